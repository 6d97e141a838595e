"""What runs mean for operations, operations for jobs, and jobs for orders.

An operation's state follows from the runs that cover it; a job's from its operations; an order's from its
jobs. Each is worked out anew after a fact and then moved through its lifecycle, so that the order in which
facts of different edges arrive does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, select, update

from cloud.orders import balance, exceptions
from cloud.orders.facts import Fact, Matter
from cloud.orders.tables import job, lease, operation, orders, run, run_part
from protocols.lifecycle import Lifecycle
from protocols.lifecycles import (
    OPERATION,
    ORDER,
    OperationEvent,
    OperationState,
    OrderEvent,
    OrderState,
    RunState,
)

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)

WORKING = (RunState.QUEUED, RunState.SETUP, RunState.FIRST_PIECE, RunState.RUNNING)
"""States of a run in which its workcell is at it."""

OPERATION_PATHS: Mapping[tuple[OperationState, OperationState], tuple[OperationEvent, ...]] = {
    (OperationState.PLANNED, OperationState.RUNNING): (OperationEvent.START,),
    (OperationState.PLANNED, OperationState.PAUSED): (OperationEvent.START, OperationEvent.PAUSE),
    (OperationState.PLANNED, OperationState.FINISHED): (OperationEvent.START, OperationEvent.FINISH),
    (OperationState.RUNNING, OperationState.PAUSED): (OperationEvent.PAUSE,),
    (OperationState.RUNNING, OperationState.FINISHED): (OperationEvent.FINISH,),
    (OperationState.PAUSED, OperationState.RUNNING): (OperationEvent.RESUME,),
    (OperationState.PAUSED, OperationState.FINISHED): (OperationEvent.FINISH,),
    (OperationState.FINISHED, OperationState.RUNNING): (OperationEvent.REOPEN,),
    (OperationState.FINISHED, OperationState.PAUSED): (OperationEvent.REOPEN, OperationEvent.PAUSE),
}
"""Which events lead from where an operation stands to where its runs say it is."""

ORDER_PATHS: Mapping[tuple[OrderState, OrderState], tuple[OrderEvent, ...]] = {
    (OrderState.RELEASED, OrderState.STARTED): (OrderEvent.START,),
    (OrderState.RELEASED, OrderState.COMPLETED): (OrderEvent.START, OrderEvent.COMPLETE),
    (OrderState.STARTED, OrderState.COMPLETED): (OrderEvent.COMPLETE,),
    (OrderState.COMPLETED, OrderState.STARTED): (OrderEvent.REOPEN,),
}
"""The same for jobs and orders."""


def walk(
    lifecycle: Lifecycle[S, E], paths: Mapping[tuple[S, S], tuple[E, ...]], object_id: str, at: S, to: S
) -> None:
    """Check that the lifecycle leads from ``at`` to ``to``; raises IllegalTransitionError when not."""
    state = at
    for event in paths.get((at, to), ()):
        state = lifecycle.next(object_id, state, event)
    if state != to:
        raise AssertionError(f"{lifecycle.name} {object_id}: no path from {at} to {to}")


def find_operation(tx: Connection, operation_id: str) -> Row[Any] | None:
    """The row of an operation."""
    return tx.execute(select(operation).where(operation.c.id == operation_id)).first()


def is_cancelled(tx: Connection, job_id: str) -> bool:
    """Whether a job, or the order it belongs to, is cancelled: nothing of it moves any more."""
    found = select(job.c.state, orders.c.state).join(orders, orders.c.id == job.c.order_id)
    return OrderState.CANCELLED in tx.execute(found.where(job.c.id == job_id)).one()


def follow_runs(fact: Fact, operation_id: str) -> None:
    """Bring an operation to where its runs say it is, and its job and order with it."""
    row = find_operation(fact.tx, operation_id)
    if row is None or row.state == OperationState.CANCELLED:
        return
    at, to = OperationState(row.state), _state_by_runs(fact.tx, operation_id)
    if to is None or at == to:
        return
    if is_cancelled(fact.tx, row.job_id):
        text = f"{operation_id} would be {to}, but its order is cancelled: it stays {at}"
        fact.inbox("cancelled", text, concerns=operation_id)
        return
    walk(OPERATION, OPERATION_PATHS, operation_id, at, to)
    values: dict[str, Any] = {"state": to, "workcell": fact.action.workcell}
    if row.started is None:
        values["started"] = fact.ts
    values["finished"] = fact.ts if to is OperationState.FINISHED else None
    fact.tx.execute(update(operation).where(operation.c.id == operation_id).values(values))
    if OperationState.FINISHED in (at, to):
        balance.rebalance(fact, operation_id)
    if to is OperationState.FINISHED:
        fact.tx.execute(lease.delete().where(lease.c.operation_id == operation_id))
        exceptions.settle(fact.tx, ts=fact.ts, kind="predecessor", concerns=operation_id)
    follow_operations(fact, row.job_id)


def _state_by_runs(tx: Connection, operation_id: str) -> OperationState | None:
    """Where its effective runs say an operation is; None when there is none."""
    parts = tx.execute(
        select(run.c.state, run_part.c.finished)
        .join(run, run.c.id == run_part.c.run_id)
        .where(run_part.c.operation_id == operation_id, run_part.c.effective)
    ).all()
    if not parts:
        return None
    if any(part.finished for part in parts):
        return OperationState.FINISHED
    if any(part.state in WORKING for part in parts):
        return OperationState.RUNNING
    return OperationState.PAUSED


def follow_operations(fact: Matter, job_id: str) -> None:
    """Bring a job to where its operations say it is, and its order with it."""
    row = fact.tx.execute(select(job).where(job.c.id == job_id)).one()
    if row.state == OrderState.CANCELLED:
        return
    found = select(operation.c.state).where(operation.c.job_id == job_id)
    states = [OperationState(state) for state in fact.tx.execute(found).scalars()]
    final = (OperationState.FINISHED, OperationState.CANCELLED)
    if states and all(state in final for state in states):
        to = OrderState.COMPLETED
    elif any(state not in (OperationState.PLANNED, OperationState.CANCELLED) for state in states):
        to = OrderState.STARTED
    else:
        to = OrderState(row.state)
    _move(fact, job, row, to)
    follow_jobs(fact, row.order_id)


def follow_jobs(fact: Matter, order_id: str) -> None:
    """Bring an order to where its jobs say it is."""
    row = fact.tx.execute(select(orders).where(orders.c.id == order_id)).first()
    if row is None or row.state == OrderState.CANCELLED:
        return
    found = select(job.c.state).where(job.c.order_id == order_id, job.c.state != OrderState.CANCELLED)
    states = {OrderState(state) for state in fact.tx.execute(found).scalars()}
    if states == {OrderState.COMPLETED}:
        to = OrderState.COMPLETED
    elif states & {OrderState.STARTED, OrderState.COMPLETED}:
        to = OrderState.STARTED
    else:
        to = OrderState(row.state)
    _move(fact, orders, row, to)


def _move(fact: Matter, table: Any, row: Row[Any], to: OrderState) -> None:
    at = OrderState(row.state)
    if at == to:
        return
    walk(ORDER, ORDER_PATHS, row.id, at, to)
    values = {
        "state": to,
        "started": row.started if row.started is not None else fact.ts,
        "completed": fact.ts if to is OrderState.COMPLETED else None,
    }
    fact.tx.execute(update(table).where(table.c.id == row.id).values(values))
