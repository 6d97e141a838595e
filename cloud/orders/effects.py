"""What ledgered actions do to orders, in the ledger's own transaction. Total: a fact never blocks a lane.

Each action is written to the journal once (a replay has no effect), applied in a savepoint of its own, and
what cannot take effect goes to the exceptions inbox. One function per kind of event, in one table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import OperationalError

from cloud.orders import balance, exceptions, genealogy, journal, leases
from cloud.orders.facts import Fact
from cloud.orders.progress import find_operation, follow_operations, follow_runs, is_cancelled
from cloud.orders.routing import link
from cloud.orders.tables import (
    andon,
    booking,
    run,
    run_part,
    shift_note,
    step_done,
    stop_reason,
    unassigned_run,
)
from cloud.orders.tables import operation as operation_table
from cloud.store.database import savepoint
from protocols import actions as act
from protocols import states
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import ANDON, RUN, AndonEvent, AndonState, OperationState, RunEvent, RunState

_log = structlog.get_logger(__name__)
ZERO = Decimal(0)
MAX_QUANTITY = Decimal(10) ** 9
ENDED = (RunState.COMPLETED, RunState.ABORTED)


class OrderEffects:
    """The effects of the ``actions`` and ``states`` lanes on orders; called by the ingest."""

    def actions(self, tx: Connection, edge: str, actions: list[act.Action], received: int) -> None:
        """Apply actions in order. Those that the journal has already are replays and do nothing."""
        seen = journal.known(tx, [action.id for action in actions])
        for action in actions:
            if action.id in seen:
                continue
            seen.add(action.id)
            journal.append(tx, edge, action, received)
            outcome = apply(tx, edge, action, received)
            if outcome != journal.APPLIED:
                journal.set_outcome(tx, action.id, outcome)

    def states(self, tx: Connection, edge: str, events: list[states.Event], received: int) -> None:
        """A job list that the edge has on disk: its operations are leased from now on."""
        for event in events:
            if isinstance(event, states.JobsApplied):
                leases.confirm(tx, edge, event.version, received)


def apply(tx: Connection, edge: str, action: act.Action, received: int) -> str:
    """Apply one action in a savepoint; returns its outcome. Never raises for what the action says."""
    fact = Fact(tx, edge, action, received)
    try:
        with savepoint(tx):
            HANDLERS[type(action.event)](fact, action.event)
    except OperationalError:
        raise  # the database itself: nothing was ledgered, the batch is not acknowledged
    except Exception as error:  # noqa: BLE001 - whatever a fact does to us, its lane goes on
        _log.exception("effects of an action failed", action=action.id, edge=edge)
        text = f"the effects of {type(action.event).__name__} failed ({type(error).__name__}: {error})"
        exceptions.record(tx, ts=action.ts, kind="failed", text=text, edge=edge, source=action.id)
        return journal.FAILED
    return journal.INBOX if fact.in_inbox else journal.APPLIED


# --- runs -------------------------------------------------------------------------------------------


def _run_opened(fact: Fact, event: act.RunOpened) -> None:
    if find_run(fact.tx, event.run) is not None:
        fact.inbox("double", f"run {event.run} was opened a second time", concerns=event.run)
        return
    state = RUN.next(event.run, RUN.initial, RunEvent.SETUP if event.setup else RunEvent.START)
    fact.tx.execute(
        insert(run).values(
            id=event.run,
            workcell=fact.action.workcell,
            edge=fact.edge,
            actor=fact.action.actor,
            state=state,
            opened=fact.ts,
            started=None if event.setup else fact.ts,
            paused_us=0,
            reason="",
        )
    )
    quantities: dict[str, Decimal] = {}
    for part in event.parts:
        quantities[part.operation] = quantities.get(part.operation, ZERO) + part.quantity
    for operation_id, quantity in quantities.items():
        _cover(fact, event, operation_id, quantity)
    for operation_id in quantities:
        follow_runs(fact, operation_id)


def _cover(fact: Fact, event: act.RunOpened, operation_id: str, quantity: Decimal) -> None:
    """Let a run cover an operation; without effect on it when it cannot be executed any more."""
    row = find_operation(fact.tx, operation_id)
    at = f"{fact.action.workcell} works on {operation_id} in run {event.run}"
    effective = False
    if row is None:
        fact.inbox("unknown", f"{at}, which is no operation of ours", concerns=event.run)
    elif row.state == OperationState.CANCELLED:
        why = "is cancelled" if row.quantity else "nothing is left of: all that led to it was scrap"
        text = f"{at}, which {why}: its pieces count to no order, decide what happens to them"
        fact.inbox("cancelled", text, concerns=event.run)
    elif row.state == OperationState.FINISHED:
        fact.inbox("double", f"{at}, which is finished already", concerns=event.run)
    else:
        effective = True
        if row.state == OperationState.RUNNING:
            fact.inbox("double", f"{at}, which is running in another run already", concerns=event.run)
        _note_open_predecessors(fact, row, event.unconfirmed)
    fact.tx.execute(
        insert(run_part).values(
            run_id=event.run,
            operation_id=operation_id,
            quantity=quantity,
            good=ZERO,
            scrap=ZERO,
            rework=ZERO,
            finished=False,
            effective=effective,
        )
    )


def _note_open_predecessors(fact: Fact, row: Row[Any], unconfirmed: tuple[str, ...]) -> None:
    """Work that began before its predecessor's finish was reported: settles itself when that arrives."""
    for name in row.predecessors:
        before = find_operation(fact.tx, name)
        if before is None or before.state in (OperationState.FINISHED, OperationState.CANCELLED):
            continue
        if link(row.links, name).enough(before.good):
            continue
        how = "by a person's decision" if name in unconfirmed else "as the edge knew it to be finished"
        text = f"{row.id} began {how}, and the finish of {name} is not reported yet (it is {before.state})"
        fact.inbox("predecessor", text, concerns=name)


def find_run(tx: Connection, run_id: str) -> Row[Any] | None:
    """The row of a run."""
    return tx.execute(select(run).where(run.c.id == run_id)).first()


def _run_moves(run_event: RunEvent) -> Callable[[Fact, Any], None]:
    """A handler that moves a run by this event, its operations following."""

    def handler(fact: Fact, event: Any) -> None:
        if _move_run(fact, event.run, run_event):
            for operation_id in _parts(fact.tx, event.run):
                follow_runs(fact, operation_id)

    return handler


def _move_run(fact: Fact, run_id: str, run_event: RunEvent) -> bool:
    row = find_run(fact.tx, run_id)
    if row is None:
        fact.inbox("unknown", f'"{run_event}" of run {run_id}, which was never opened', concerns=run_id)
        return False
    try:
        state = RUN.next(run_id, RunState(row.state), run_event)
    except IllegalTransitionError as error:
        fact.inbox("illegal", str(error), concerns=run_id)
        return False
    values: dict[str, Any] = {"state": state}
    if state is RunState.RUNNING and row.started is None:
        values["started"] = fact.ts
    if row.paused is not None:
        values["paused"] = None
        values["paused_us"] = row.paused_us + max(0, fact.ts - row.paused)
    if state is RunState.PAUSED:
        values["paused"] = fact.ts
    if state in (RunState.PAUSED, RunState.ABORTED):
        values["reason"] = getattr(fact.action.event, "reason", "")
    values["ended"] = fact.ts if state in ENDED else None
    fact.tx.execute(update(run).where(run.c.id == run_id).values(values))
    return True


def _parts(tx: Connection, run_id: str) -> list[str]:
    found = select(run_part.c.operation_id).where(run_part.c.run_id == run_id)
    return [*tx.execute(found.order_by(run_part.c.operation_id)).scalars()]


def _run_completed(fact: Fact, event: act.RunCompleted) -> None:
    if not _move_run(fact, event.run, RunEvent.COMPLETE):
        return
    covered = _parts(fact.tx, event.run)
    for name in sorted(set(event.finished) - set(covered)):
        fact.inbox("unknown", f"run {event.run} finished {name}, which it does not cover", concerns=event.run)
    fact.tx.execute(
        update(run_part)
        .where(run_part.c.run_id == event.run, run_part.c.operation_id.in_(event.finished))
        .values(finished=True)
    )
    for operation_id in covered:
        follow_runs(fact, operation_id)


def _run_reopened(fact: Fact, event: act.RunReopened) -> None:
    if not _move_run(fact, event.run, RunEvent.REOPEN):
        return
    fact.tx.execute(update(run_part).where(run_part.c.run_id == event.run).values(finished=False))
    for operation_id in _parts(fact.tx, event.run):
        follow_runs(fact, operation_id)


def _booked(fact: Fact, event: act.Booked) -> None:
    part = fact.tx.execute(
        select(run_part).where(run_part.c.run_id == event.run, run_part.c.operation_id == event.operation)
    ).first()
    made = {"good": event.good, "scrap": event.scrap, "rework": event.rework}
    words = " ".join(f"{name} {value}" for name, value in made.items() if value)
    if part is None:
        text = f"{words} booked on {event.operation} in run {event.run}, which does not cover it"
        fact.inbox("unknown", text, concerns=event.run)
        return
    totals = {name: getattr(part, name) + value for name, value in made.items()}
    if not all(value.is_finite() and 0 <= value <= MAX_QUANTITY for value in totals.values()):
        shown = " ".join(f"{name} {value}" for name, value in totals.items())
        text = f"{words} booked on {event.operation} would make {shown}: not possible"
        fact.inbox("illegal", text, concerns=event.run)
        return
    here = (run_part.c.run_id == event.run) & (run_part.c.operation_id == event.operation)
    fact.tx.execute(update(run_part).where(here).values(totals))
    fact.tx.execute(
        insert(booking).values(
            action_id=fact.action.id,
            run_id=event.run,
            operation_id=event.operation,
            ts=fact.ts,
            reason=event.reason,
            **made,
        )
    )
    if not part.effective:
        text = f"{words} booked on {event.operation} count to no order: decide what happens to the pieces"
        fact.inbox("cancelled", text, concerns=event.run)
        return
    _count(fact, event, made, words)


def _count(fact: Fact, event: act.Booked, made: dict[str, Decimal], words: str) -> None:
    """Add a booking to its operation, and what follows from the new counts."""
    row = find_operation(fact.tx, event.operation)
    if row is None:
        return
    counts = {name: getattr(row, name) + value for name, value in made.items()}
    fact.tx.execute(update(operation_table).where(operation_table.c.id == row.id).values(counts))
    genealogy.number_units(fact, row.id)
    state = fact.tx.execute(select(run.c.state).where(run.c.id == event.run)).scalar_one()
    if state == RunState.ABORTED:
        fact.inbox(
            "late", f"{words} booked on {row.id} after run {event.run} was aborted", concerns=event.run
        )
    if row.state == OperationState.FINISHED and not is_cancelled(fact.tx, row.job_id):
        balance.rebalance(fact, row.id)
        follow_operations(fact, row.job_id)


def _step_done(fact: Fact, event: act.StepDone) -> None:
    fact.tx.execute(
        insert(step_done).values(
            action_id=fact.action.id,
            run_id=event.run,
            operation_id=event.operation,
            step=event.step,
            ts=fact.ts,
            value=event.value[: act.MAX_TEXT],
            ok=event.ok,
        )
    )
    if find_operation(fact.tx, event.operation) is None:
        text = f"step {event.step} of {event.operation} confirmed, which is no operation of ours"
        fact.inbox("unknown", text, concerns=event.run)
    else:
        genealogy.trace_material(fact, event)


# --- beside the runs --------------------------------------------------------------------------------


def _stop_reasoned(fact: Fact, event: act.StopReasoned) -> None:
    fact.tx.execute(
        insert(stop_reason).values(
            action_id=fact.action.id, stop=event.stop, ts=fact.ts, reason=event.reason, note=event.note
        )
    )


def _andon_raised(fact: Fact, event: act.AndonRaised) -> None:
    if fact.tx.execute(select(andon.c.id).where(andon.c.id == event.andon)).first() is not None:
        fact.inbox("double", f"andon {event.andon} was raised a second time", concerns=event.andon)
        return
    fact.tx.execute(
        insert(andon).values(
            id=event.andon,
            workcell=fact.action.workcell,
            topic=event.topic,
            note=event.note,
            state=ANDON.initial,
            raised=fact.ts,
        )
    )


def _andon_cleared(fact: Fact, event: act.AndonCleared) -> None:
    state = fact.tx.execute(select(andon.c.state).where(andon.c.id == event.andon)).scalar_one_or_none()
    if state is None:
        fact.inbox("unknown", f"andon {event.andon} was cleared, but never raised", concerns=event.andon)
        return
    try:
        state = ANDON.next(event.andon, AndonState(state), AndonEvent.CLEAR)
    except IllegalTransitionError as error:
        fact.inbox("illegal", str(error), concerns=event.andon)
        return
    fact.tx.execute(update(andon).where(andon.c.id == event.andon).values(state=state, cleared=fact.ts))


def _lease_released(fact: Fact, event: act.LeaseReleased) -> None:
    leases.answered(fact.tx, fact.edge, event.request, event.operations, released=True, now=fact.received)


def _lease_kept(fact: Fact, event: act.LeaseKept) -> None:
    leases.answered(fact.tx, fact.edge, event.request, event.operations, released=False, now=fact.received)


def _unassigned_opened(fact: Fact, event: act.UnassignedOpened) -> None:
    if _unassigned(fact.tx, event.run) is not None:
        fact.inbox("double", f"unassigned run {event.run} was opened a second time", concerns=event.run)
        return
    values = {"id": event.run, "workcell": fact.action.workcell, "opened": fact.ts, "parts": 0}
    fact.tx.execute(insert(unassigned_run).values(values))


def _unassigned_closed(fact: Fact, event: act.UnassignedClosed) -> None:
    row = _unassigned(fact.tx, event.run)
    if row is None:
        fact.inbox("unknown", f"unassigned run {event.run} ended, but never began", concerns=event.run)
    elif row.closed is not None:
        fact.inbox("illegal", f"unassigned run {event.run} ended a second time", concerns=event.run)
    else:
        this = unassigned_run.c.id == event.run
        fact.tx.execute(update(unassigned_run).where(this).values(closed=fact.ts, parts=event.parts))


def _unassigned(tx: Connection, run_id: str) -> Row[Any] | None:
    return tx.execute(select(unassigned_run).where(unassigned_run.c.id == run_id)).first()


def _shift_note(fact: Fact, event: act.ShiftNote) -> None:
    note = {"action_id": fact.action.id, "workcell": fact.action.workcell, "ts": fact.ts, "note": event.note}
    fact.tx.execute(insert(shift_note).values(note))


def _undone(fact: Fact, event: act.Undone) -> None:
    if not journal.mark_undone(fact.tx, event.action):
        text = f"action {event.action} was undone, but is not in the journal"
        fact.inbox("unknown", text, concerns=event.action)


def _nothing(fact: Fact, event: act.Event) -> None:
    """What is done to machines does nothing to orders: see ``cloud.orders.controls`` for locks and commands,
    ``cloud.maintenance.effects`` for maintenance, ``cloud.quality.effects`` for lots on hold."""


HANDLERS: Mapping[type, Callable[[Fact, Any], None]] = {
    act.RunOpened: _run_opened,
    act.FirstPieceReleased: _run_moves(RunEvent.FIRST_PIECE),
    act.RunStarted: _run_moves(RunEvent.START),
    act.RunPaused: _run_moves(RunEvent.PAUSE),
    act.RunResumed: _run_moves(RunEvent.RESUME),
    act.Booked: _booked,
    act.RunCompleted: _run_completed,
    act.RunAborted: _run_moves(RunEvent.ABORT),
    act.RunReopened: _run_reopened,
    act.StepDone: _step_done,
    act.StopReasoned: _stop_reasoned,
    act.AndonRaised: _andon_raised,
    act.AndonCleared: _andon_cleared,
    act.LeaseReleased: _lease_released,
    act.LeaseKept: _lease_kept,
    act.UnassignedOpened: _unassigned_opened,
    act.UnassignedClosed: _unassigned_closed,
    act.ShiftNote: _shift_note,
    act.Undone: _undone,
    act.LotHeld: _nothing,
    act.LotReleased: _nothing,
    act.MachineLocked: _nothing,
    act.LockReleased: _nothing,
    act.MachineAccepted: _nothing,
    act.FirmwareAccepted: _nothing,
    act.MachineCommanded: _nothing,
    act.MachineCommandEnded: _nothing,
    act.MaintenanceStarted: _nothing,
    act.MaintenanceFound: _nothing,
    act.MaintenanceBrokenOff: _nothing,
    act.MaintenanceDone: _nothing,
    act.MaintenanceRefused: _nothing,
    act.MaintenanceKept: _nothing,
    act.MaintenanceMoved: _nothing,
}
