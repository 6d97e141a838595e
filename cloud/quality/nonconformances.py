"""Nonconformances: opened by a chart that holds or by a person, decided about by a supervisor.

A nonconformance holds what follows in its job until its disposition releases it: *use as is* and *scrap* do
at once, *rework* and *return* when they are reported done. Within a transaction; every decision is in the
journal.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, or_, select, update

from cloud.orders import journal
from cloud.orders.tables import operation
from cloud.quality.tables import nonconformance as table
from cloud.quality.tables import nonconformance_event as events
from protocols.lifecycles import NONCONFORMANCE, NonconformanceEvent, NonconformanceState

OPEN, DISPOSED = NonconformanceState.OPEN, NonconformanceState.DISPOSED


class Disposition(StrEnum):
    """What is done with pieces that do not conform (ISO 9001:2015, 8.7)."""

    USE_AS_IS = "use as is"
    REWORK = "rework"
    SCRAP = "scrap"
    RETURN = "return"


HELD_UNTIL_DONE = frozenset({Disposition.REWORK, Disposition.RETURN})
"""Dispositions after which work goes on only when they are done."""


class Nonconformance(msgspec.Struct, frozen=True):
    """One nonconformance; times in µs UTC. ``holds``: what follows in its job waits."""

    id: int
    chart: int | None
    job: str
    operation: str
    workcell: str
    text: str
    text_zh: str
    state: NonconformanceState
    disposition: str
    reason: str
    opened: int
    opened_by: str
    changed: int
    changed_by: str | None
    holds: bool


class Decided(msgspec.Struct, frozen=True):
    """One line of a nonconformance's history."""

    ts: int
    actor: str
    event: str
    disposition: str
    reason: str


class UnknownNonconformance(KeyError):
    """There is no nonconformance of that id."""


class UnknownOperation(KeyError):
    """What does not conform must belong to an operation."""


class DispositionMissing(ValueError):
    """A disposition is needed to dispose, and nowhere else."""


def open_one(
    tx: Connection,
    *,
    source: str,
    operation_id: str,
    workcell: str,
    text: tuple[str, str],
    actor: str,
    now: int,
    chart: int | None = None,
) -> int | None:
    """Open a nonconformance for an operation; its id.

    None where the same source opened one already, or one of the same chart and operation is open: a drift
    that goes on is one matter for one decision.

    Raises:
        UnknownOperation: there is no such operation.
    """
    same = table.c.source == source
    if chart is not None:
        still = (table.c.chart_id == chart) & (table.c.operation_id == operation_id) & (table.c.state == OPEN)
        same = or_(same, still)
    if tx.execute(select(table.c.id).where(same)).first() is not None:
        return None
    job = tx.execute(select(operation.c.job_id).where(operation.c.id == operation_id)).scalar_one_or_none()
    if job is None:
        raise UnknownOperation(operation_id)
    row = {
        "source": source,
        "chart_id": chart,
        "job_id": job,
        "operation_id": operation_id,
        "workcell": workcell,
        "text": text[0],
        "text_zh": text[1],
        "state": OPEN,
        "disposition": "",
        "reason": "",
        "opened": now,
        "opened_by": actor,
        "changed": now,
    }
    made = tx.execute(insert(table).values(row).returning(table.c.id)).scalar_one()
    _remember(tx, made, now, actor, "open", "", text[0])
    return int(made)


def advance(
    tx: Connection,
    nonconformance: int,
    event: NonconformanceEvent,
    *,
    actor: str,
    now: int,
    reason: str,
    command: str,
    disposition: Disposition | None = None,
) -> Nonconformance:
    """Apply a supervisor's decision, with its reason.

    Raises:
        UnknownNonconformance: no nonconformance of that id.
        IllegalTransitionError: not possible in its state.
        DispositionMissing: disposing without one, or one with another event.
    """
    row = _row(tx, nonconformance)
    state = NONCONFORMANCE.next(str(nonconformance), NonconformanceState(row.state), event)
    if (event is NonconformanceEvent.DISPOSE) != (disposition is not None):
        allowed = ", ".join(Disposition)
        raise DispositionMissing(
            f"{event} {'needs' if disposition is None else 'takes no'} disposition: {allowed}"
        )
    kept = disposition if disposition is not None else row.disposition if state is not OPEN else ""
    changes = {"state": state, "disposition": kept, "reason": reason, "changed": now, "changed_by": actor}
    tx.execute(update(table).where(table.c.id == nonconformance).values(changes))
    _remember(tx, nonconformance, now, actor, event, disposition or "", reason)
    body = msgspec.json.encode(
        {"nonconformance": nonconformance, "event": event, "disposition": disposition, "reason": reason}
    )
    journal.append_command(tx, command, journal.NONCONFORMANCE, actor, now, body)
    return _known(_row(tx, nonconformance))


def withdraw_source(tx: Connection, source: str, actor: str, now: int) -> bool:
    """Withdraw what an undone measurement opened, unless a person has decided about it already."""
    row = tx.execute(select(table).where(table.c.source == source, table.c.state == OPEN)).first()
    if row is None:
        return False
    changes = {"state": NonconformanceState.WITHDRAWN, "changed": now, "changed_by": actor}
    tx.execute(update(table).where(table.c.id == row.id).values(changes))
    _remember(tx, row.id, now, actor, NonconformanceEvent.WITHDRAW, "", "the measurement was undone")
    return True


def nonconformances(tx: Connection, *, open_only: bool = False, limit: int = 500) -> list[Nonconformance]:
    """Nonconformances, newest first; ``open_only`` those that somebody must still decide about or close."""
    query = select(table).order_by(table.c.opened.desc(), table.c.id.desc()).limit(limit)
    if open_only:
        query = query.where(table.c.state.in_([OPEN, DISPOSED]))
    return [_known(row) for row in tx.execute(query)]


def nonconformance(tx: Connection, nonconformance_id: int) -> Nonconformance:
    """One of them; raises UnknownNonconformance."""
    return _known(_row(tx, nonconformance_id))


def history(tx: Connection, nonconformance_id: int) -> list[Decided]:
    """What was decided about it, oldest first; raises UnknownNonconformance."""
    _row(tx, nonconformance_id)
    query = select(events).where(events.c.nonconformance_id == nonconformance_id).order_by(events.c.id)
    return [Decided(r.ts, r.actor, r.event, r.disposition, r.reason) for r in tx.execute(query)]


def holding(tx: Connection, jobs: Collection[str]) -> list[Nonconformance]:
    """Those that hold what follows in one of ``jobs``, oldest first."""
    if not jobs:
        return []
    holds = or_(
        table.c.state == OPEN,
        (table.c.state == DISPOSED) & table.c.disposition.in_(sorted(HELD_UNTIL_DONE)),
    )
    query = select(table).where(table.c.job_id.in_(sorted(jobs)), holds).order_by(table.c.id)
    return [_known(row) for row in tx.execute(query)]


def _row(tx: Connection, nonconformance_id: int) -> Row[Any]:
    row = tx.execute(select(table).where(table.c.id == nonconformance_id)).first()
    if row is None:
        raise UnknownNonconformance(nonconformance_id)
    return row


def _remember(
    tx: Connection, nonconformance_id: int, ts: int, actor: str, event: str, disposition: str, reason: str
) -> None:
    tx.execute(
        insert(events).values(
            nonconformance_id=nonconformance_id,
            ts=ts,
            actor=actor,
            event=str(event),
            disposition=str(disposition),
            reason=reason,
        )
    )


def _known(row: Row[Any]) -> Nonconformance:
    state = NonconformanceState(row.state)
    return Nonconformance(
        id=row.id,
        chart=row.chart_id,
        job=row.job_id,
        operation=row.operation_id,
        workcell=row.workcell,
        text=row.text,
        text_zh=row.text_zh,
        state=state,
        disposition=row.disposition,
        reason=row.reason,
        opened=row.opened,
        opened_by=row.opened_by,
        changed=row.changed,
        changed_by=row.changed_by,
        holds=state is OPEN or (state is DISPOSED and row.disposition in HELD_UNTIL_DONE),
    )
