"""Pruning: telemetry (and bulk) that every projection has passed and whose time is over.

What is pruned leaves its seqs behind, so that a late copy of it is still known as a replay. Actions, states
and catalogues are never pruned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, func, insert, or_, select

from cloud.ledger import tables
from protocols.lanes import Lane

BATCHES = 500
"""Batches that one transaction deletes at most."""


class Range(NamedTuple):
    """Seqs ``first`` to ``last`` (inclusive) and the samples they held."""

    first: int
    last: int
    samples: int


def prune(tx: Connection, received_before: int, limit: int = BATCHES) -> int:
    """Delete telemetry and bulk batches received before that time (µs UTC) that all projections have.

    Returns how many went; call again while it is ``limit``.
    """
    cursor = tx.scalar(select(func.min(tables.projection.c.cursor)))
    if cursor is None:
        return 0
    held = {row for rows in tx.scalars(select(tables.projection.c.held)) for row in rows}
    at = tables.batch.c
    found = tx.execute(
        select(at.id, at.stream, at.lane, at.seq, at.count.label("samples"))
        .where(
            or_(at.lane == Lane.TELEMETRY.value, at.lane == Lane.BULK.value),
            at.id <= cursor,
            at.received < received_before,
        )
        .order_by(at.id)
        .limit(limit + len(held))
    ).all()
    going = [row for row in found if row.id not in held][:limit]
    ranges: dict[tuple[bytes, str], list[Range]] = defaultdict(list)
    for row in going:
        ranges[bytes(row.stream), row.lane].append(Range(row.seq, row.seq, row.samples))
    for (stream, lane), gone in ranges.items():
        _remember(tx, stream, lane, gone)
    if going:
        tx.execute(delete(tables.batch).where(at.id.in_([row.id for row in going])))
    return len(going)


def _remember(tx: Connection, stream: bytes, lane: str, gone: Sequence[Range]) -> None:
    """Merge ranges of seqs into the table, joining the ranges they touch."""
    at = tables.pruned.c
    low, high = min(part.first for part in gone) - 1, max(part.last for part in gone) + 1
    near = and_(at.stream == stream, at.lane == lane, at.first <= high, at.last >= low)
    known = [Range(*row) for row in tx.execute(select(at.first, at.last, at.samples).where(near))]
    tx.execute(delete(tables.pruned).where(near))
    tx.execute(
        insert(tables.pruned),
        [{"stream": stream, "lane": lane, **part._asdict()} for part in merge([*known, *gone])],
    )


def merge(ranges: Sequence[Range]) -> list[Range]:
    """Disjoint ranges in ascending order, those that touch made one."""
    merged: list[Range] = []
    for part in sorted(ranges):
        if merged and part.first <= merged[-1].last + 1:
            before = merged[-1]
            merged[-1] = Range(before.first, max(part.last, before.last), before.samples + part.samples)
        else:
            merged.append(part)
    return merged
