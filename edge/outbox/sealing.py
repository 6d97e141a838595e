"""Rows of the outbox: append, merge, seal, re-key, acknowledge. All of it runs inside a transaction.

A batch is encoded once. *Sealing* gives it its place (stream, seq) and makes it immutable; until then its
row may be merged with others or thinned. The open stream is the newest row of ``stream``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import structlog

from edge.columns import joined, picked
from protocols import actions, states, telemetry
from protocols.actions import Action
from protocols.lanes import Lane
from protocols.link_commands import Queued, Want
from protocols.packing import MAX_BLOB, MAX_SINGLE, MAX_UNPACKED, UndecodableError, digest, unpacked_size
from protocols.session import BatchKey, Bounds
from protocols.telemetry import MAX_SAMPLES, SampleColumns

T = TypeVar("T")

log = structlog.get_logger(__name__)

MERGE_BYTES = 48 * 1024
"""Unsealed rows smaller than this are merged, once together they reach it or are many."""
MERGE_ROWS = 24
ROTTEN = 1 << 20
"""``thinned`` of a row that is left as it is, because its blob does not decode any more."""

COMMITTED, ACKED, DROPPED = "samples.committed", "samples.acked", "samples.dropped"
ACCEPTED, DELIVERED = "actions.accepted", "actions.acked"
SERIAL = "sealed"
LAST_ACK = "ack.last"
"""Counter that holds the time of the last acknowledgement in µs UTC; absent before the first."""


class TooLargeError(ValueError):
    """One single thing does not fit into a batch."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What the link needs to know of a sealed batch. ``serial`` counts sealings over all streams.

    ``first_ts``/``last_ts`` in µs UTC, ``size`` in bytes of the blob.
    """

    serial: int
    key: BatchKey
    digest: bytes
    count: int
    size: int
    first_ts: int
    last_ts: int


def add(db: sqlite3.Connection, counter: str, amount: int) -> int:
    """Add to a persisted counter; returns its new value."""
    row = db.execute(
        "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
        " RETURNING value",
        (counter, amount),
    ).fetchall()[0]
    return int(row[0])


def counters(db: sqlite3.Connection) -> dict[str, int]:
    """All persisted counters."""
    return dict(db.execute("SELECT name, value FROM counter"))


# --- streams --------------------------------------------------------------------------------------------


def open_stream(db: sqlite3.Connection, uuid: bytes, now: int) -> None:
    """From now on everything is sealed into stream ``uuid``; old streams without batches are forgotten."""
    db.execute("DELETE FROM stream WHERE id NOT IN (SELECT stream FROM batch WHERE stream IS NOT NULL)")
    db.execute("INSERT INTO stream (uuid, opened) VALUES (?, ?)", (uuid, now))


def streams(db: sqlite3.Connection) -> tuple[bytes, ...]:
    """Streams that have batches, oldest first, and last the open one."""
    rows = db.execute(
        """SELECT uuid FROM stream
        WHERE id = (SELECT max(id) FROM stream) OR EXISTS (SELECT 1 FROM batch WHERE batch.stream = stream.id)
        ORDER BY id"""
    )
    return tuple(uuid for (uuid,) in rows)


def _open_stream_id(db: sqlite3.Connection) -> int:
    (newest,) = db.execute("SELECT max(id) FROM stream").fetchone()
    if newest is None:
        raise sqlite3.ProgrammingError("no stream is open: Outbox.open() comes before the first append")
    return int(newest)


# --- append ---------------------------------------------------------------------------------------------


def append_actions(db: sqlite3.Connection, batch: list[Action]) -> None:
    """Actions, in order, sealed at once."""
    for part, blob in _fitting(batch, actions.encode):
        _insert(db, Lane.ACTIONS, blob, len(part), part[0].ts, part[-1].ts, sealed=True)
        add(db, ACCEPTED, len(part))


def append_states(db: sqlite3.Connection, events: list[states.Event]) -> None:
    """Events of machines and of the edge itself, in order, sealed at once."""
    for part, blob in _fitting(events, states.encode):
        times = [ts for event in part if (ts := _time_of(event))] or [0]
        _insert(db, Lane.STATES, blob, len(part), min(times), max(times), sealed=True)


def _time_of(event: states.Event) -> int:
    """When it happened; 0 for what has no time (a catalogue)."""
    if isinstance(event, states.Dropped):
        return event.to_ts
    return 0 if isinstance(event, states.CatalogueAnnounced) else event.ts


def append_samples(db: sqlite3.Connection, columns: SampleColumns, *, sealed: bool = False) -> None:
    """Samples; not sealed they wait to be merged, and may be thinned under pressure."""
    if not len(columns):
        return
    insert_samples(db, columns, sealed=sealed)
    add(db, COMMITTED, len(columns))
    if not sealed:
        _merge(db)


def append_history(db: sqlite3.Connection, columns: SampleColumns) -> None:
    """Samples that a machine recorded itself: sealed at once, apart from the live ones, and flagged."""
    if len(columns):
        insert_samples(db, columns, sealed=True, historical=True)
        add(db, COMMITTED, len(columns))


def append_bulk(db: sqlite3.Connection, blob: bytes, now: int) -> None:
    """One message of the ``bulk`` lane, encoded already and no larger than a batch may be; sealed at once.

    ``now`` (µs UTC) is its age's beginning.
    """
    if not _fits(blob, MAX_BLOB):
        raise TooLargeError(f"a message of the bulk lane takes {len(blob)} bytes, a batch holds {MAX_BLOB}")
    _insert(db, Lane.BULK, blob, 1, now, now, sealed=True)


def insert_samples(
    db: sqlite3.Connection,
    columns: SampleColumns,
    *,
    sealed: bool = False,
    historical: bool = False,
    ids: Iterable[int] = (),
) -> None:
    """Rows of samples that are counted already; ``ids`` are row ids to use again, so that order stays."""
    free = iter(ids)
    for part, blob in _fitting_samples(columns):
        times = part.times()
        first, last = min(times), max(times)
        row = next(free, None)
        _insert(
            db, Lane.TELEMETRY, blob, len(part), first, last, sealed=sealed, historical=historical, row=row
        )


def replace_samples(db: sqlite3.Connection, row: int, columns: SampleColumns, thinned: int) -> int:
    """Put fewer samples into an unsealed row; returns the bytes of its new blob."""
    blob = telemetry.encode(columns)
    db.execute(
        "UPDATE batch SET digest = ?, count = ?, bytes = ?, thinned = ? WHERE id = ? AND seq IS NULL",
        (digest(blob), len(columns), len(blob), thinned, row),
    )
    db.execute("UPDATE blob SET data = ? WHERE id = ?", (blob, row))
    return len(blob)


def _insert(
    db: sqlite3.Connection,
    lane: Lane,
    blob: bytes,
    count: int,
    first_ts: int,
    last_ts: int,
    *,
    sealed: bool,
    historical: bool = False,
    row: int | None = None,
) -> None:
    place = _next_place(db, lane) if sealed else (None, None, None)
    added = db.execute(
        "INSERT INTO batch"
        " (id, lane, stream, seq, serial, digest, count, bytes, first_ts, last_ts, historical)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (row, str(lane), *place, digest(blob), count, len(blob), first_ts, last_ts, historical),
    )
    db.execute("INSERT INTO blob VALUES (?, ?)", (added.lastrowid, blob))


def _next_place(db: sqlite3.Connection, lane: Lane) -> tuple[int, int, int]:
    """Stream, seq and serial of the next batch to be sealed."""
    stream = _open_stream_id(db)
    seq = db.execute(
        "INSERT INTO sequence VALUES (?, ?, 1) ON CONFLICT (stream, lane) DO UPDATE SET last = last + 1"
        " RETURNING last",
        (stream, str(lane)),
    ).fetchall()[0][0]
    return stream, int(seq), add(db, SERIAL, 1)


def _fitting(items: list[T], encode: Callable[[list[T]], bytes]) -> Iterator[tuple[list[T], bytes]]:
    """Items in as few blobs as halving gives; one alone, which has no halves, may take MAX_SINGLE bytes."""
    if not items:
        return
    blob = encode(items)
    if _fits(blob, MAX_BLOB if len(items) > 1 else MAX_SINGLE):
        yield items, blob
    elif len(items) == 1:
        raise TooLargeError(
            f"{type(items[0]).__name__} takes {len(blob)} bytes ({unpacked_size(blob)} unpacked), "
            f"a batch holds {MAX_SINGLE} ({MAX_UNPACKED})"
        )
    else:
        half = len(items) // 2
        yield from _fitting(items[:half], encode)
        yield from _fitting(items[half:], encode)


def _fits(blob: bytes, limit: int) -> bool:
    """Whether the cloud will read it: what repeats itself may be small packed and far too large unpacked."""
    return len(blob) <= limit and unpacked_size(blob) <= MAX_UNPACKED


def _fitting_samples(columns: SampleColumns) -> Iterator[tuple[SampleColumns, bytes]]:
    if len(columns) <= MAX_SAMPLES:
        blob = telemetry.encode(columns)
        if _fits(blob, MAX_BLOB):
            yield columns, blob
            return
        if len(columns) == 1:
            raise TooLargeError(f"one sample takes {len(blob)} bytes, a batch holds {MAX_BLOB}")
    half = len(columns) // 2
    yield from _fitting_samples(picked(columns, range(half)))
    yield from _fitting_samples(picked(columns, range(half, len(columns))))


# --- merge and seal -------------------------------------------------------------------------------------


def _merge(db: sqlite3.Connection) -> None:
    """Make one row of the newest small unsealed rows, once they are many or large enough together."""
    small = _newest_small(db)
    if len(small) < 2:
        return
    size, samples, unpacked = (sum(column) for column in list(zip(*small, strict=True))[1:])
    if len(small) < MERGE_ROWS and _is_small(size, samples, unpacked):
        return
    ids = [row[0] for row in small]
    found = [(row, columns) for row in ids if (columns := samples_of(db, row)) is not None]
    if not found:
        return
    ids, parts = [row for row, _ in found], [columns for _, columns in found]
    delete(db, ids)
    start = 0
    for end in range(1, len(parts) + 1):
        if end == len(parts) or parts[end].catalogue != parts[start].catalogue:
            insert_samples(db, joined(parts[start:end]), ids=ids[start:end])
            start = end


def _newest_small(db: sqlite3.Connection) -> list[tuple[int, int, int, int]]:
    """Id, bytes, samples and unpacked bytes of the small rows behind the last large one, oldest first: what
    is merged over the head of a larger row would come before it.
    """
    small = []
    for row, size, samples, head in db.execute(
        "SELECT b.id, b.bytes, b.count, substr(o.data, 1, 32) FROM batch b JOIN blob o ON o.id = b.id"
        " WHERE b.lane = ? AND b.seq IS NULL AND b.thinned = 0 ORDER BY b.id DESC LIMIT ?",
        (str(Lane.TELEMETRY), MERGE_ROWS),
    ):
        if not _is_small(size, samples, unpacked := unpacked_size(head)):
            break
        small.append((row, size, samples, unpacked))
    return small[::-1]


def _is_small(size: int, samples: int, unpacked: int) -> bool:
    """Whether a row may be merged; two of the limits leave the sum of a merger within those of a batch."""
    return size < MERGE_BYTES and samples < MAX_SAMPLES // 2 and unpacked < MAX_UNPACKED // 4


def seal(db: sqlite3.Connection) -> int:
    """Seal every unsealed row, oldest first; returns how many."""
    waiting = db.execute("SELECT id, lane FROM batch WHERE seq IS NULL ORDER BY id").fetchall()
    for row, lane in waiting:
        place = _next_place(db, Lane(lane))
        db.execute("UPDATE batch SET stream = ?, seq = ?, serial = ? WHERE id = ?", (*place, row))
    return len(waiting)


def rekey(db: sqlite3.Connection, key: BatchKey, known: bytes) -> bool:
    """Give a forked batch a new place in the open stream; False when it is no longer here.

    ``known`` is its digest. It is not fresh any more: the row is flagged historical.
    """
    found = find(db, key, known)
    if found is None:
        return False
    place = _next_place(db, key.lane)
    db.execute(
        "UPDATE batch SET stream = ?, seq = ?, serial = ?, historical = 1 WHERE id = ?", (*place, found)
    )
    return True


# --- read and delete ------------------------------------------------------------------------------------

_SEALED = """SELECT b.serial, s.uuid, b.lane, b.seq, b.digest, b.count, b.bytes, b.first_ts, b.last_ts
    FROM batch b JOIN stream s ON s.id = b.stream"""


def sealed_after(db: sqlite3.Connection, serial: int) -> list[Sealed]:
    """Batches sealed after the one of ``serial``, in the order of sealing."""
    found = db.execute(f"{_SEALED} WHERE b.serial > ? ORDER BY b.serial", (serial,))
    return [Sealed(n, BatchKey(u, Lane(lane), seq), *rest) for n, u, lane, seq, *rest in found]


def waiting_actions(db: sqlite3.Connection, serial: int, limit: int) -> list[tuple[Sealed, bytes]]:
    """Batches of people's actions sealed after the one of ``serial``, with their blobs."""
    found = db.execute(
        f"{_SEALED.replace(' FROM', ', o.data FROM')} JOIN blob o ON o.id = b.id"
        " WHERE b.lane = ? AND b.serial > ? ORDER BY b.serial LIMIT ?",
        (Lane.ACTIONS, serial, limit),
    )
    return [(Sealed(n, BatchKey(u, Lane(lane), seq), *rest), blob) for n, u, lane, seq, *rest, blob in found]


def pending(db: sqlite3.Connection) -> list[Sealed]:
    """All sealed batches, streams in the order they were opened, seqs ascending."""
    found = db.execute(f"{_SEALED} ORDER BY b.stream, b.lane, b.seq")
    return [Sealed(n, BatchKey(u, Lane(lane), seq), *rest) for n, u, lane, seq, *rest in found]


def bounds(db: sqlite3.Connection) -> list[Bounds]:
    """First and last seq that waits, for each lane of each stream; for a drained ordered lane of the open
    stream, where it goes on.
    """
    found = db.execute(
        "SELECT s.uuid, b.lane, min(b.seq), max(b.seq) FROM batch b JOIN stream s ON s.id = b.stream"
        " GROUP BY b.stream, b.lane"
    )
    waiting = [Bounds(stream, Lane(lane), first, last) for stream, lane, first, last in found]
    busy = {(each.stream, each.lane) for each in waiting}
    drained = db.execute(
        "SELECT s.uuid, q.lane, q.last FROM sequence q JOIN stream s ON s.id = q.stream"
        " WHERE q.stream = (SELECT max(id) FROM stream)"
    )
    return waiting + [
        Bounds(stream, Lane(lane), last + 1, last)
        for stream, lane, last in drained
        if Lane(lane).ordered and (stream, lane) not in busy
    ]


def wanted(db: sqlite3.Connection, want: Want) -> list[Queued]:
    """The rows that the link asks for, in the order (stream opened, seq)."""
    after = _position(db, want.after) if want.after is not None else (0, 0)
    upto = _position(db, want.upto) if want.upto is not None else (1 << 62, 0)
    found = db.execute(
        "SELECT s.uuid, b.seq, b.digest, b.bytes, b.count, b.historical"
        " FROM batch b JOIN stream s ON s.id = b.stream WHERE b.lane = ?"
        " AND (b.stream, b.seq) > (?, ?) AND (b.stream, b.seq) <= (?, ?) ORDER BY b.stream, b.seq LIMIT ?",
        (str(want.lane), *after, *upto, want.limit),
    )
    return [
        Queued(BatchKey(stream, want.lane, seq), known, size, count, bool(historical))
        for stream, seq, known, size, count, historical in found
    ]


def _position(db: sqlite3.Connection, key: BatchKey) -> tuple[int, int]:
    """Where a key stands in the order of streams, also when its batch is gone."""
    row = db.execute("SELECT id FROM stream WHERE uuid = ?", (key.stream,)).fetchone()
    return (0 if row is None else int(row[0])), key.seq


def find(db: sqlite3.Connection, key: BatchKey, known: bytes | None = None) -> int | None:
    """Row id of a sealed batch, when its digest is ``known``."""
    row = db.execute(
        "SELECT b.id, b.digest FROM batch b JOIN stream s ON s.id = b.stream"
        " WHERE s.uuid = ? AND b.lane = ? AND b.seq = ?",
        (key.stream, str(key.lane), key.seq),
    ).fetchone()
    return int(row[0]) if row is not None and known in (None, row[1]) else None


def blob_of(db: sqlite3.Connection, key: BatchKey) -> bytes | None:
    """Blob of a sealed batch; None when it is no longer here (acknowledged or dropped)."""
    row = find(db, key)
    return None if row is None else blobs(db, [row])[0]


def blobs(db: sqlite3.Connection, ids: Iterable[int]) -> list[bytes]:
    """Blobs of rows, in the order of ``ids``."""
    return [db.execute("SELECT data FROM blob WHERE id = ?", (row,)).fetchone()[0] for row in ids]


def samples_of(db: sqlite3.Connection, row: int) -> SampleColumns | None:
    """Samples of a row of telemetry; None when its blob is rotten: it is neither merged nor thinned."""
    try:
        return telemetry.decode(blobs(db, [row])[0])
    except UndecodableError as error:
        log.error("outbox.rotten", row=row, error=str(error), next="check this PC's disk")
        db.execute("UPDATE batch SET thinned = ? WHERE id = ?", (ROTTEN, row))
        return None


def acknowledge(db: sqlite3.Connection, batches: Iterable[tuple[BatchKey, bytes]], now: int) -> int:
    """The ledger has these batches (key and digest): delete and count them; returns how many were here."""
    done = 0
    counted = {Lane.TELEMETRY: ACKED, Lane.ACTIONS: DELIVERED}
    for key, known in batches:
        row = find(db, key, known)
        if row is None:
            continue
        (count,) = db.execute("SELECT count FROM batch WHERE id = ?", (row,)).fetchone()
        if key.lane in counted:
            add(db, counted[key.lane], count)
        delete(db, [row])
        done += 1
    db.execute("INSERT OR REPLACE INTO counter VALUES (?, ?)", (LAST_ACK, now))
    return done


def delete(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Delete rows with their blobs."""
    db.executemany("DELETE FROM batch WHERE id = ?", ((row,) for row in ids))
