"""When the plan in force has work for a workcell, and where it has a maintenance order."""

from __future__ import annotations

from sqlalchemy import Connection, select

from cloud.dispatching.floor.floor import current_version
from cloud.dispatching.tables import plan_operation, plan_service


def busy(tx: Connection, workcell: str) -> list[tuple[int, int]]:
    """Spans (µs UTC) in which the plan in force has work there, in their order; those of a run coincide."""
    at = plan_operation.c
    query = select(at.start, at.end).where(at.version == current_version(tx), at.workcell == workcell)
    return [(row.start, row.end) for row in tx.execute(query.order_by(at.start, at.end).distinct())]


def service(tx: Connection, order: str) -> tuple[int, int] | None:
    """From when to when (µs UTC) the plan in force has a maintenance order; None where it found no room."""
    at = plan_service.c
    query = select(at.start, at.end).where(at.version == current_version(tx), at.service_id == order)
    row = tx.execute(query).first()
    return None if row is None else (row.start, row.end)


def services(tx: Connection) -> dict[str, tuple[int, int]]:
    """The same for every maintenance order that the plan in force places."""
    at = plan_service.c
    query = select(at.service_id, at.start, at.end).where(at.version == current_version(tx))
    return {row.service_id: (row.start, row.end) for row in tx.execute(query)}
