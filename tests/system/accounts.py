"""The accounts: what witness, outbox files and ledger say, and where they do not agree.

Everything is read from the files themselves, read-only, with SQL of its own: what the product says of
itself is not asked.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from protocols import actions, states, telemetry
from protocols.catalogue import Catalogue
from protocols.states import DeviceHeartbeat, Dropped
from protocols.values import Quality, Sample
from tests.system.witness import Key, Told

MILLION = 10**6
"""Quantities are stored as millionths."""


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write, to a file that others may be writing."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def queued(outbox: Path) -> set[Key]:
    """Sealed batches that wait in an edge's file."""
    with read_only(outbox) as db:
        rows = db.execute(
            "SELECT s.uuid, b.lane, b.seq FROM batch b JOIN stream s ON s.id = b.stream"
        ).fetchall()
    return {Key(bytes(stream).hex(), lane, seq) for stream, lane, seq in rows}


def waiting_actions(outbox: Path) -> set[str]:
    """Ids of actions that wait in an edge's file."""
    with read_only(outbox) as db:
        rows = db.execute("SELECT data FROM blob JOIN batch USING (id) WHERE lane = 'actions'").fetchall()
    return {action.id for (blob,) in rows for action in actions.decode(blob)}


@dataclass(frozen=True, slots=True)
class Row:
    """A ledgered batch."""

    id: int
    edge: str
    key: Key
    digest: str
    count: int
    blob: bytes


@dataclass(slots=True)
class Accounts:
    """The ledger's batches, and what follows from them alone."""

    rows: dict[Key, Row]
    catalogues: dict[bytes, Catalogue]
    quarantined: int

    @classmethod
    def of(cls, ledger: Path) -> Accounts:
        """Read a ledger (SQLite)."""
        with read_only(ledger) as db:
            rows = [
                Row(
                    number, edge, Key(bytes(stream).hex(), lane, seq), bytes(digest).hex(), count, bytes(blob)
                )
                for number, edge, stream, lane, seq, digest, count, blob in db.execute(
                    "SELECT id, edge, stream, lane, seq, digest, count, blob FROM batch ORDER BY id"
                )
            ]
            documents = db.execute("SELECT hash, document FROM catalogue").fetchall()
            (quarantined,) = db.execute("SELECT count(*) FROM quarantine").fetchone()
        found = {bytes(name): msgspec.msgpack.decode(data, type=Catalogue) for name, data in documents}
        return cls({row.key: row for row in rows}, found, quarantined)

    def lane(self, lane: str, edge: str = "") -> list[Row]:
        """Batches of a lane in the order they were ledgered."""
        return [row for row in self.rows.values() if row.key.lane == lane and edge in ("", row.edge)]

    def samples(self) -> int:
        """Samples in the ledger, batch by batch."""
        return sum(row.count for row in self.lane("telemetry"))

    def events(self, edge: str = "") -> list[states.Event]:
        """All events, in the order they were ledgered."""
        return [event for row in self.lane("states", edge) for event in states.decode(row.blob)]

    def tombstones(self) -> list[Dropped]:
        """What edges gave up."""
        return [event for event in self.events() if isinstance(event, Dropped)]

    def missing(self) -> int:
        """Samples that edges gave up and the ledger does not have: what was on its way when it was given up,
        and arrived after all, is not missing.
        """
        return sum(
            stone.samples
            - sum(
                row.count
                for row in self.lane(str(stone.lane))
                if row.key.stream == stone.stream.hex() and stone.first <= row.key.seq <= stone.last
            )
            for stone in self.tombstones()
        )

    def actions(self) -> Counter[str]:
        """How often each action stands in the ledger."""
        return Counter(action.id for row in self.lane("actions") for action in actions.decode(row.blob))

    # --- against the witness --------------------------------------------------------------------------

    def unaccounted(self, told: Collection[Told], queued: Collection[Key]) -> list[Told]:
        """Batches that were on an edge's disk and are nowhere now."""
        buried = defaultdict(list)
        for tombstone in self.tombstones():
            buried[tombstone.stream.hex(), str(tombstone.lane)].append((tombstone.first, tombstone.last))
        return [
            each
            for each in told
            if each.key not in self.rows
            and each.key not in queued
            and not any(
                first <= each.key.seq <= last for first, last in buried[each.key.stream, each.key.lane]
            )
        ]

    def altered(self, told: Collection[Told]) -> list[tuple[Told, Row]]:
        """Batches whose edge, digest or count in the ledger is not what it was when it was committed."""
        return [
            (each, row)
            for each in told
            if (row := self.rows.get(each.key)) is not None
            and (row.edge, row.digest, row.count) != (each.edge, each.digest, each.count)
        ]

    # --- one counter ----------------------------------------------------------------------------------

    def story(self, edge: str, path: str) -> Story:
        """Everything ledgered of one tag."""
        story = Story(path)
        for row in self.lane("telemetry", edge):
            columns = telemetry.decode(row.blob)
            number = self._number(columns.catalogue, path)
            for sample in columns.samples():
                if sample.tag == number:
                    story.add(row.key, sample)
        device = path.partition("/")[0]
        for event in self.events(edge):
            if isinstance(event, DeviceHeartbeat) and event.device == device and not event.connected:
                story.gaps.append((event.ts, event.ts))
            elif isinstance(event, Dropped) and self._number(event.catalogue, path) in event.counts:
                story.gaps.append((event.from_ts, event.to_ts))
        return story

    def _number(self, catalogue: bytes, path: str) -> int:
        return next(tag.number for tag in self.catalogues[catalogue].tags if tag.path == path)


@dataclass(slots=True)
class Story:
    """The samples of one counter. ``gaps``: spans (µs UTC) that the edge itself recorded as without data."""

    path: str
    samples: dict[int, Sample] = field(default_factory=dict)
    """By time: the identity of a sample is its tag and its time."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    doubles: int = 0
    """Samples that came again with the same value: only a file put back to an older copy sends them."""
    problems: list[str] = field(default_factory=list)
    _last: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, key: Key, sample: Sample) -> None:
        """The next sample in the order of the ledger."""
        before = self.samples.setdefault(sample.ts, sample)
        if before is not sample:
            self.doubles += 1
            if before != sample:
                self.problems.append(f"{self.path} at {sample.ts} is both {before.value} and {sample.value}")
        if sample.quality is Quality.BAD:
            self.gaps.append((sample.ts, sample.ts))

    def check(self) -> list[str]:
        """What is wrong: repeats, steps back, jumps that nothing explains."""
        found = list(self.problems)
        good = [sample for _, sample in sorted(self.samples.items()) if sample.quality is not Quality.BAD]
        for before, after in itertools.pairwise(good):
            assert isinstance(before.value, int) and isinstance(after.value, int)
            step = after.value - before.value
            explained = any(start <= after.ts and before.ts <= end for start, end in self.gaps)
            if step < 0 or (step != 1 and not explained):
                found.append(
                    f"{self.path}: {before.value} at {before.ts}, then {after.value} at {after.ts}, no gap"
                )
        return found


def order_problems(accounts: Accounts, edge: str) -> list[str]:
    """Where a tag's time does not rise within a stream, in the order of the seqs."""
    found = []
    last: dict[tuple[str, bytes, int], int] = {}
    for row in sorted(accounts.lane("telemetry", edge), key=lambda row: (row.key.stream, row.key.seq)):
        columns = telemetry.decode(row.blob)
        for sample in columns.samples():
            place = (row.key.stream, columns.catalogue, sample.tag)
            if sample.ts <= last.get(place, -1):
                found.append(f"{edge}: tag {sample.tag} in {row.key}: {sample.ts} after {last[place]}")
            last[place] = sample.ts
    return found


def effects(ledger: Path) -> Effects:
    """What took effect, as the orders' tables have it."""
    with read_only(ledger) as db:
        good = {
            name: count // MILLION for name, count in db.execute("SELECT id, good FROM operation").fetchall()
        }
        (bookings,) = db.execute("SELECT count(*) FROM booking").fetchone()
        (notes,) = db.execute("SELECT count(*) FROM shift_note").fetchone()
        counted = {
            edge: (samples, acts)
            for edge, samples, acts in db.execute("SELECT id, samples, actions FROM edge").fetchall()
        }
        failed = [
            text
            for (text,) in db.execute(
                "SELECT text FROM exception_inbox WHERE kind IN ('failed', 'effects-failed')"
            )
        ]
    return Effects(good, bookings, notes, counted, failed)


@dataclass(frozen=True, slots=True)
class Effects:
    """``good``: pieces by operation; ``counted``: samples and actions by edge, as the cloud counted them
    while they came in; ``failed``: effects that broke.
    """

    good: Mapping[str, int]
    bookings: int
    notes: int
    counted: Mapping[str, tuple[int, int]]
    failed: list[str]
