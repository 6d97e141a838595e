"""Nonconformances: opened by a chart that holds, at a station or by a person, decided about by a supervisor.

A nonconformance holds what follows in its job until its disposition releases it: *use as is* and *scrap* do
at once, *rework* when its operation is finished, *return* when it is reported done. Within a transaction;
every decision is in the journal.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, or_, select, update

from cloud.orders import dispositions, journal
from cloud.orders.balance import OPEN_OPERATIONS
from cloud.orders.dispositions import Correction
from cloud.orders.tables import operation
from cloud.quality.tables import nonconformance as table
from cloud.quality.tables import nonconformance_event as events
from protocols.inspection import Disposition
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import NONCONFORMANCE, NonconformanceEvent, NonconformanceState

OPEN, DISPOSED = NonconformanceState.OPEN, NonconformanceState.DISPOSED


HELD_UNTIL_DONE = frozenset({Disposition.REWORK, Disposition.RETURN})
"""Dispositions after which work goes on only when they are done."""
CHANGES_COUNTS = frozenset({Disposition.REWORK, Disposition.SCRAP})
"""Dispositions that make good pieces something else."""
RELEASE = "release"
"""In the history of a nonconformance: somebody decided at a station."""


class Nonconformance(msgspec.Struct, frozen=True):
    """One nonconformance; times in µs UTC. ``holds``: what follows in its job waits. ``quantity`` are the
    pieces that its disposition made rework or scrap.
    """

    id: int
    source: str
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
    quantity: Decimal | None = None


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


class TooManyPieces(ValueError):
    """More pieces are to be worked on again, or scrap, than are booked as good."""


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
    quantity: Decimal | None = None,
) -> Nonconformance:
    """Apply a supervisor's decision, with its reason.

    *rework* and *scrap* are of ``quantity`` pieces, of all that are booked as good where it is not given:
    they count so at once, and what they lead to is planned. Holding it again takes that back.

    Raises:
        UnknownNonconformance: no nonconformance of that id.
        IllegalTransitionError: not possible in its state.
        DispositionMissing: disposing without one, or one with another event.
        TooManyPieces: more than are booked as good.
    """
    row = _row(tx, nonconformance)
    state = NONCONFORMANCE.next(str(nonconformance), NonconformanceState(row.state), event)
    if (event is NonconformanceEvent.DISPOSE) != (disposition is not None):
        allowed = ", ".join(Disposition)
        raise DispositionMissing(
            f"{event} {'needs' if disposition is None else 'takes no'} disposition: {allowed}"
        )
    kept = disposition if disposition is not None else row.disposition if state is not OPEN else ""
    pieces = row.quantity
    if disposition is not None:
        pieces = _pieces(tx, row, disposition, quantity)
        _corrected(tx, row, disposition, pieces, actor, now, reason, command)
    elif event is NonconformanceEvent.REOPEN:
        if row.state == DISPOSED and pieces:  # what was closed has been worked on
            _corrected(tx, row, Disposition(row.disposition), -pieces, actor, now, reason, command)
        pieces = None
    changes = {"state": state, "disposition": kept, "reason": reason, "changed": now, "changed_by": actor}
    tx.execute(update(table).where(table.c.id == nonconformance).values({**changes, "quantity": pieces}))
    _remember(tx, nonconformance, now, actor, event, disposition or "", reason)
    body = msgspec.json.encode(
        {
            "nonconformance": nonconformance,
            "event": event,
            "disposition": disposition,
            "reason": reason,
            "quantity": pieces,
        }
    )
    journal.append_command(tx, command, journal.NONCONFORMANCE, actor, now, body)
    return _known(_row(tx, nonconformance))


def _pieces(
    tx: Connection, row: Row[Any], disposition: Disposition, quantity: Decimal | None
) -> Decimal | None:
    if disposition not in CHANGES_COUNTS:
        return None
    good = dispositions.good_pieces(tx, row.operation_id)
    if quantity is not None and not 0 < quantity <= good:
        raise TooManyPieces(
            f"{row.operation_id} has {good} good pieces booked, {disposition} of {quantity} is not possible: "
            "give the number of them, or leave it out for all"
        )
    return good if quantity is None else quantity


def _corrected(
    tx: Connection,
    row: Row[Any],
    disposition: Disposition,
    pieces: Decimal | None,
    actor: str,
    now: int,
    reason: str,
    command: str,
) -> None:
    """Count the pieces as what they are; those that nobody has booked yet are booked so at their station."""
    if not pieces:
        return
    rework = pieces if disposition is Disposition.REWORK else Decimal(0)
    wanted = Correction(row.operation_id, rework, pieces - rework, now, reason, reason)
    dispositions.correct(tx, wanted, actor, f"{command}-pieces")


def done_with_rework(tx: Connection, operation_id: str, actor: str, now: int, command: str) -> list[int]:
    """Close what waited for the rework of an operation, once all of that is finished; their ids."""
    this = select(operation.c.rework_of).where(operation.c.id == operation_id)
    reworked = tx.execute(this).scalar_one_or_none()
    if reworked is None:
        return []
    others = select(operation.c.state).where(operation.c.rework_of == reworked)
    if {*tx.execute(others).scalars()} & set(map(str, OPEN_OPERATIONS)):
        return []
    waits = (table.c.operation_id == reworked) & (table.c.state == DISPOSED)
    found = tx.execute(select(table.c.id).where(waits, table.c.disposition == Disposition.REWORK)).scalars()
    closed = [*found]
    for number in closed:
        advance(
            tx,
            number,
            NonconformanceEvent.CLOSE,
            actor=actor,
            now=now,
            reason=f"{operation_id} is finished",
            command=f"{command}-nc{number}",
        )
    return closed


def of_source(tx: Connection, source: str) -> int | None:
    """What a measurement opened; None where it opened nothing."""
    return tx.execute(select(table.c.id).where(table.c.source == source)).scalar_one_or_none()


def released_at_station(
    tx: Connection, source: str, disposition: Disposition, *, actor: str, now: int, reason: str, command: str
) -> str:
    """Apply what somebody decided at a station; why it has no effect, or nothing.

    That it was decided there is remembered in any case, so that the station hears what holds now.
    """
    number = of_source(tx, source)
    if number is None:
        return f"{actor} released what {source} holds, of which nothing is known"
    said = (events.c.nonconformance_id == number) & (events.c.event == RELEASE) & (events.c.ts == now)
    if tx.execute(select(events.c.id).where(said, events.c.actor == actor)).first() is not None:
        return ""  # a replay
    _remember(tx, number, now, actor, RELEASE, disposition, reason)
    try:
        event = NonconformanceEvent.DISPOSE
        advance(
            tx, number, event, actor=actor, now=now, reason=reason, command=command, disposition=disposition
        )
    except IllegalTransitionError as error:
        return str(error)
    return ""


def told_by_stations(tx: Connection, jobs: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sources of nonconformances of ``jobs``, and of those about which somebody decided at a station."""
    if not jobs:
        return (), ()
    known = select(table.c.id, table.c.source).where(table.c.job_id.in_(sorted(jobs))).order_by(table.c.id)
    sources = {row.id: row.source for row in tx.execute(known)}
    decided = select(events.c.nonconformance_id).where(
        events.c.event == RELEASE, events.c.nonconformance_id.in_(sorted(sources))
    )
    numbers = {*tx.execute(decided).scalars()} if sources else set()
    return tuple(sources.values()), tuple(source for n, source in sources.items() if n in numbers)


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
        source=row.source,
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
        quantity=row.quantity,
        holds=state is OPEN or (state is DISPOSED and row.disposition in HELD_UNTIL_DONE),
    )
