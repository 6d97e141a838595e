"""Tombstones: samples an edge gave up under pressure. Data that was ledgered after all beats them."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, insert, select, update

from cloud.ledger import tables
from protocols.session import BatchKey
from protocols.states import Dropped


def record(tx: Connection, edge: str, dropped: Dropped, received: int) -> int:
    """Store a tombstone; returns how many samples are really missing."""
    ledgered = 0
    if dropped.first >= 0:
        ledgered = int(
            tx.scalar(
                select(func.coalesce(func.sum(tables.batch.c.count), 0)).where(
                    tables.batch.c.stream == dropped.stream,
                    tables.batch.c.lane == dropped.lane,
                    tables.batch.c.seq.between(dropped.first, dropped.last),
                )
            )
            or 0
        )
    ledgered = min(ledgered, dropped.samples)
    tx.execute(
        insert(tables.gap).values(
            edge=edge,
            stream=dropped.stream,
            lane=dropped.lane,
            first=dropped.first,
            last=dropped.last,
            from_ts=dropped.from_ts,
            to_ts=dropped.to_ts,
            samples=dropped.samples,
            ledgered=ledgered,
            catalogue=dropped.catalogue,
            counts={str(number): count for number, count in dropped.counts.items()},
            reason=dropped.reason,
            received=received,
        )
    )
    return dropped.samples - ledgered


_at = tables.gap.c
_FILL = (
    update(tables.gap)
    .where(
        _at.stream == bindparam("of_stream"),
        _at.lane == bindparam("of_lane"),
        _at.first <= bindparam("seq"),
        _at.last >= bindparam("seq"),
        _at.first >= 0,
        _at.ledgered + bindparam("count") <= _at.samples,
    )
    .values(ledgered=_at.ledgered + bindparam("count"))
)
_ANY = select(_at.id).where(_at.stream == bindparam("of_stream"), _at.first >= 0).limit(1)


def fill(tx: Connection, key: BatchKey, count: int) -> int:
    """A batch of ``count`` samples was ledgered: returns how many a tombstone had called missing."""
    found = tx.execute(
        _FILL, {"of_stream": key.stream, "of_lane": key.lane.value, "seq": key.seq, "count": count}
    )
    return count if found.rowcount else 0


def has_any(tx: Connection, stream: bytes) -> bool:
    """Whether any tombstone lies over sealed batches of a stream."""
    return tx.scalar(_ANY, {"of_stream": stream}) is not None
