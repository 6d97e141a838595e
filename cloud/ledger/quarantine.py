"""What could not be read: kept, bounded, for the person who looks for the cause."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select

from cloud.ledger import tables

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


def printable(text: str) -> str:
    """Text as a database takes it: NUL, which PostgreSQL refuses, becomes visible."""
    return text.replace("\x00", "␀")
