"""What could not be read: kept, bounded, for the person who looks for the cause."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select, update

from cloud.ledger import tables
from protocols.lanes import Lane, up

MAX_ROWS = 1000
"""Entries kept; the oldest go. The counters of the edges keep counting."""

MAX_PAYLOAD = 64 * 1024
"""Bytes kept of one payload."""


def put(
    tx: Connection,
    *,
    edge: str,
    topic: str,
    reason: str,
    payload: bytes,
    received: int,
    batch: int | None = None,
) -> None:
    """Add one entry and keep the table within its bound."""
    entry = tx.scalar(
        insert(tables.quarantine)
        .values(
            received=received,
            edge=edge[:32],
            topic=printable(topic)[:500],
            batch=batch,
            reason=printable(reason)[:1000],
            size=len(payload),
            payload=b"" if batch is not None else payload[:MAX_PAYLOAD],
        )
        .returning(tables.quarantine.c.id)
    )
    count = tx.scalar(select(func.count()).select_from(tables.quarantine))
    if entry is not None and count is not None and count > MAX_ROWS:
        oldest = (
            select(tables.quarantine.c.id).order_by(tables.quarantine.c.id.desc()).offset(MAX_ROWS).limit(1)
        )
        tx.execute(delete(tables.quarantine).where(tables.quarantine.c.id <= oldest.scalar_subquery()))


def refuse(tx: Connection, row: int, reason: str) -> None:
    """A ledgered batch of samples cannot be read after all: it counts for none. Harmless when repeated."""
    at, of = tables.batch.c, tables.edge.c
    found = tx.execute(
        select(at.edge, at.count, at.received, at.blob).where(at.id == row, at.decodable)
    ).first()
    if found is None:
        return
    tx.execute(update(tables.batch).where(at.id == row).values(decodable=False, count=0))
    tx.execute(
        update(tables.edge)
        .where(of.id == found.edge)
        .values(samples=of.samples - found.count, quarantined=of.quarantined + 1)
    )
    put(
        tx,
        edge=found.edge,
        topic=up(found.edge, Lane.TELEMETRY),
        reason=reason,
        payload=bytes(found.blob),
        received=found.received,
        batch=row,
    )


def printable(text: str) -> str:
    """Text as a database takes it: NUL, which PostgreSQL refuses, becomes visible."""
    return text.replace("\x00", "␀")
