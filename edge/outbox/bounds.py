"""How much the outbox may hold, and what is given up when it is more: thin, then drop, always counted.

Operator actions and states are never given up. What is given up leaves a tombstone in the ``states`` lane,
in the same transaction. All functions run inside a transaction.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from edge.columns import picked
from edge.outbox import sealing
from protocols.lanes import Lane
from protocols.states import Dropped
from protocols.telemetry import SampleColumns
from protocols.values import MICROSECONDS

MAX_THINNING = 3
"""How often a row may be halved: at last every eighth sample is left."""
CHUNK = 16
"""Rows given up in one transaction, so that people's actions do not wait for it."""
_EXPENDABLE = (Lane.BULK, Lane.TELEMETRY)
"""Lanes that may be dropped, first the one that goes first."""


@dataclass(frozen=True, slots=True)
class OutboxBounds:
    """Bytes of telemetry and bulk blobs that may wait, and for how long (seconds)."""

    max_bytes: int = 700 << 20
    max_age: float = 7 * 86400.0


class _Row(NamedTuple):
    id: int
    lane: str
    stream: bytes | None
    seq: int | None
    samples: int
    size: int
    first_ts: int
    last_ts: int


_ROWS = """SELECT b.id, b.lane, s.uuid, b.seq, b.count, b.bytes, b.first_ts, b.last_ts
    FROM batch b LEFT JOIN stream s ON s.id = b.stream"""


def enforce(db: sqlite3.Connection, bounds: OutboxBounds, now: int) -> bool:
    """Bring the outbox nearer to its bounds; True when it has to be called again."""
    horizon = now - int(bounds.max_age * MICROSECONDS)
    old = _select(db, "b.last_ts < ? ORDER BY b.id", horizon)
    if old:
        _drop(db, old, "older than the outbox keeps")
        return True
    over = queued_bytes(db) - bounds.max_bytes
    if over <= 0:
        return False
    # A little more than needed, so that the next flush is not over the bound again.
    return relieve(db, over + bounds.max_bytes // 50)


def relieve(db: sqlite3.Connection, size: int) -> bool:
    """Free up to ``size`` bytes of blobs; False when nothing is left that may be given up."""
    return _thin(db, size) or _drop_oldest(db, size)


def queued_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the blobs that may be given up."""
    (size,) = db.execute(
        "SELECT ifnull(sum(bytes), 0) FROM batch WHERE lane IN (?, ?)", [str(lane) for lane in _EXPENDABLE]
    ).fetchone()
    return int(size)


def _select(db: sqlite3.Connection, where: str, *parameters: object) -> list[_Row]:
    lanes = ", ".join(f"'{lane}'" for lane in _EXPENDABLE)
    query = f"{_ROWS} WHERE b.lane IN ({lanes}) AND {where} LIMIT {CHUNK}"
    return [_Row(*row) for row in db.execute(query, parameters)]


def _thin(db: sqlite3.Connection, size: int) -> bool:
    """Halve unsealed telemetry, the least thinned and oldest rows first."""
    rows = _select(
        db, "b.seq IS NULL AND b.lane = 'telemetry' AND b.thinned < ? ORDER BY b.thinned, b.id", MAX_THINNING
    )
    freed = 0
    for row in rows:
        if freed >= size:
            break
        (level,) = db.execute("SELECT thinned FROM batch WHERE id = ?", (row.id,)).fetchone()
        columns = sealing.samples_of(db, row.id)
        if columns is None:
            continue
        kept, gone = thinned(columns)
        if not gone:  # nothing in it is mere resolution
            db.execute("UPDATE batch SET thinned = ? WHERE id = ?", (MAX_THINNING, row.id))
            continue
        freed += row.size - sealing.replace_samples(db, row.id, kept, level + 1)
        _bury(
            db, [row._replace(samples=gone.total())], columns.catalogue, gone, "thinned: the outbox is full"
        )
    return bool(rows)


def thinned(columns: SampleColumns) -> tuple[SampleColumns, Counter[int]]:
    """Every other number of each tag, and how many samples of each tag are gone.

    The first sample of a tag stays, and so does everything that is not a number or not good: states, texts
    and the edges of gaps are not resolution.
    """
    flagged = {flag.index for flag in columns.flags}
    keep: list[int] = []
    gone: Counter[int] = Counter()
    drop_next: dict[int, bool] = {}
    for index, (tag, value) in enumerate(zip(columns.tags, columns.values, strict=True)):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and index not in flagged and drop_next.get(tag, False):
            gone[tag] += 1
            drop_next[tag] = False
        else:
            keep.append(index)
            drop_next[tag] = True
    return picked(columns, keep), gone


def _drop_oldest(db: sqlite3.Connection, size: int) -> bool:
    """Drop the oldest rows: bulk before telemetry, sealed before unsealed."""
    for lane, unsealed in itertools.product(_EXPENDABLE, (False, True)):
        rows = _select(db, "b.lane = ? AND (b.seq IS NULL) = ? ORDER BY b.id", str(lane), unsealed)
        sizes = itertools.accumulate((row.size for row in rows), initial=0)
        chosen = [row for row, before in zip(rows, sizes, strict=False) if before < size]
        if chosen:
            _drop(db, chosen, "dropped: the outbox is full")
            return True
    return False


def _drop(db: sqlite3.Connection, rows: list[_Row], reason: str) -> None:
    """Delete rows and put one tombstone over each run of neighbouring seqs of one catalogue."""
    contents = [_tags_of(db, row) for row in rows]
    sealing.delete(db, [row.id for row in rows])  # first: a tombstone may need the room
    group: list[_Row] = []
    meaning, counts = b"", Counter[int]()
    for row, (catalogue, tags) in zip(rows, contents, strict=True):
        if group and not (catalogue == meaning and _follows(row, group[-1])):
            _bury(db, group, meaning, counts, reason)
            group, counts = [], Counter()
        group.append(row)
        meaning = catalogue
        counts += tags
    _bury(db, group, meaning, counts, reason)


def _follows(row: _Row, before: _Row) -> bool:
    if row.lane != before.lane or row.stream != before.stream:
        return False
    return row.seq == before.seq or (
        row.seq is not None and before.seq is not None and row.seq == before.seq + 1
    )


def _tags_of(db: sqlite3.Connection, row: _Row) -> tuple[bytes, Counter[int]]:
    if row.lane != Lane.TELEMETRY:
        return b"", Counter()
    columns = sealing.samples_of(db, row.id)
    if columns is None:  # counted by its row, but nobody knows any more which tags they were
        return b"", Counter()
    return columns.catalogue, Counter(columns.tags)


def _bury(
    db: sqlite3.Connection, rows: list[_Row], catalogue: bytes, counts: Counter[int], reason: str
) -> None:
    """Write the tombstone of samples of ``rows`` and count them."""
    first, last = rows[0], rows[-1]
    samples = sum(row.samples for row in rows)
    sealing.append_states(
        db,
        [
            Dropped(
                stream=first.stream or b"",
                lane=first.lane,
                first=first.seq if first.seq is not None else -1,
                last=last.seq if last.seq is not None else -1,
                from_ts=min(row.first_ts for row in rows),
                to_ts=max(row.last_ts for row in rows),
                samples=samples,
                counts=dict(counts),
                catalogue=catalogue,
                reason=reason,
            )
        ],
    )
    if first.lane == Lane.TELEMETRY:
        sealing.add(db, sealing.DROPPED, samples)
