"""Orders, jobs and runs as the API and the page show them, with what the plan in force expects of them.

Frozen structs, each from one consistent reading. Times are µs UTC; quantities decimals in the unit of the
line. ``expected`` is when the plan in force finishes an order, ``promised`` its due date.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from cloud.dispatching.floor.floor import OPEN_RUNS, OPEN_STATES, Planned, current_version, read_plan
from cloud.orders import tables as t
from cloud.orders.leases import all_leases
from protocols.lifecycles import AndonState, OperationState, OrderState, RunState
from protocols.values import MICROSECONDS

OPEN_ORDERS = (OrderState.RELEASED, OrderState.STARTED)


class Line(msgspec.Struct, frozen=True):
    """One article of an order, with its variant in the words of the product file."""

    line: int
    product: str
    title: str
    title_zh: str
    quantity: Decimal
    unit: str
    variant: dict[str, str]


class Order(msgspec.Struct, frozen=True):
    """An order. ``late`` is by how many seconds it is, or is expected to be, behind its due date."""

    id: str
    customer: str
    state: OrderState
    priority: int
    created: int
    promised: int
    expected: int | None
    completed: int | None
    late: int
    operations: int
    finished: int
    lines: tuple[Line, ...]


class Operation(msgspec.Struct, frozen=True):
    """One step of a job. ``state`` is leased where an edge holds it; ``start``/``end`` are planned times."""

    id: str
    order: str
    job: str
    step: str
    position: int
    title: str
    title_zh: str
    kind: str
    state: OperationState
    quantity: Decimal
    good: Decimal
    scrap: Decimal
    rework: Decimal
    workcell: str | None
    start: int | None
    end: int | None
    started: int | None
    finished: int | None
    predecessors: tuple[str, ...]
    setup: dict[str, str]
    rework_of: str | None


class Job(msgspec.Struct, frozen=True):
    """A lot of units of one order line with its operations; a remake names the job it makes up for."""

    id: str
    order: str
    line: int
    title: str
    title_zh: str
    quantity: Decimal
    unit: str
    variant: dict[str, str]
    state: OrderState
    urgent: bool
    remake_of: str | None
    due: int
    created: int
    completed: int | None
    operations: tuple[Operation, ...]


class Part(msgspec.Struct, frozen=True):
    """What a run makes of one operation."""

    operation: str
    quantity: Decimal
    good: Decimal
    scrap: Decimal
    rework: Decimal
    finished: bool


class Run(msgspec.Struct, frozen=True):
    """One execution at one workcell, of one or several operations."""

    id: str
    workcell: str
    state: RunState
    opened: int
    started: int | None
    ended: int | None
    parts: tuple[Part, ...]


class UnassignedRun(msgspec.Struct, frozen=True):
    """Machine activity that nobody booked."""

    id: str
    workcell: str
    opened: int
    closed: int | None
    parts: int


class Andon(msgspec.Struct, frozen=True):
    id: str
    workcell: str
    topic: str
    note: str
    state: str
    raised: int
    cleared: int | None


class InboxEntry(msgspec.Struct, frozen=True):
    """A fact without effect, or something else that a person must decide. ``settled_by`` is None while it is
    open, and where it settled itself.
    """

    id: int
    ts: int
    edge: str
    source: str
    kind: str
    concerns: str
    text: str
    owner: str
    state: str
    settled: int | None
    settled_by: str | None


class OrderCount(msgspec.Struct, frozen=True):
    """``released`` counts every order that was ever taken in and not cancelled."""

    released: int
    completed: int
    open: int
    late: int


class OperationCount(msgspec.Struct, frozen=True):
    completed: int
    open: int


def orders(tx: Connection, *, open_only: bool = False, limit: int = 500) -> list[Order]:
    """Open orders, the most urgent due date first; then the others, what ended last first."""
    is_open = t.orders.c.state.in_(OPEN_ORDERS)
    due_first = select(t.orders).where(is_open).order_by(t.orders.c.due, t.orders.c.id)
    rows = [*tx.execute(due_first.limit(limit))]
    if not open_only and len(rows) < limit:
        ended = select(t.orders).where(~is_open).order_by(t.orders.c.completed.desc(), t.orders.c.id)
        rows += tx.execute(ended.limit(limit - len(rows)))
    ids = [row.id for row in rows]
    expected = expected_ends(tx)
    done = _progress(tx, ids)
    lines = _lines(tx, ids)
    return [
        Order(
            id=row.id,
            customer=row.customer,
            state=OrderState(row.state),
            priority=row.priority,
            created=row.created,
            promised=row.due,
            expected=expected.get(row.id),
            completed=row.completed,
            late=_late(row.due, row.completed or expected.get(row.id)),
            operations=done.get(row.id, (0, 0))[0],
            finished=done.get(row.id, (0, 0))[1],
            lines=tuple(lines.get(row.id, ())),
        )
        for row in rows
    ]


def expected_ends(tx: Connection) -> dict[str, int]:
    """When the plan in force finishes each order that it still has work of."""
    plan = read_plan(tx, current_version(tx))
    if not plan:
        return {}
    rows = tx.execute(
        select(t.operation.c.id, t.job.c.order_id)
        .join(t.job, t.job.c.id == t.operation.c.job_id)
        .where(t.operation.c.state.in_(OPEN_STATES))
    )
    ends: dict[str, int] = {}
    for operation, order in rows:
        if operation in plan:
            ends[order] = max(ends.get(order, 0), plan[operation].end)
    return ends


def jobs(tx: Connection, *, order: str = "", open_only: bool = False, limit: int = 500) -> list[Job]:
    """Jobs with their operations, newest first."""
    query = select(t.job, t.orders.c.due).join(t.orders, t.orders.c.id == t.job.c.order_id)
    if order:
        query = query.where(t.job.c.order_id == order)
    if open_only:
        query = query.where(t.job.c.state.in_(OPEN_ORDERS))
    rows = tx.execute(query.order_by(t.job.c.created.desc(), t.job.c.id).limit(limit)).all()
    by_job: dict[str, list[Operation]] = {}
    for operation in operations(tx, jobs=[row.id for row in rows]):
        by_job.setdefault(operation.job, []).append(operation)
    return [
        Job(
            id=row.id,
            order=row.order_id,
            line=row.line,
            title=row.title,
            title_zh=row.title_zh,
            quantity=row.quantity,
            unit=row.unit,
            variant=row.variant,
            state=OrderState(row.state),
            urgent=bool(row.urgent),
            remake_of=row.remake_of,
            due=row.due,
            created=row.created,
            completed=row.completed,
            operations=tuple(by_job.get(row.id, ())),
        )
        for row in rows
    ]


def operations(tx: Connection, *, jobs: Sequence[str] | None = None) -> list[Operation]:
    """Operations of some jobs, or all that are open; in the order of their jobs and routings."""
    query = select(t.operation, t.job.c.order_id).join(t.job, t.job.c.id == t.operation.c.job_id)
    if jobs is None:
        query = query.where(t.operation.c.state.in_(OPEN_STATES))
    else:
        query = query.where(t.operation.c.job_id.in_(jobs))
    rows = tx.execute(query.order_by(t.operation.c.job_id, t.operation.c.position, t.operation.c.id)).all()
    leases = all_leases(tx)
    plan = read_plan(tx, current_version(tx))
    return [_operation(row, row.id in leases, plan.get(row.id)) for row in rows]


def runs(tx: Connection, *, open_only: bool = False, limit: int = 200) -> list[Run]:
    """Runs, newest first."""
    query = select(t.run).order_by(t.run.c.opened.desc()).limit(limit)
    if open_only:
        query = query.where(t.run.c.state.in_(OPEN_RUNS))
    rows = tx.execute(query).all()
    parts: dict[str, list[Part]] = {}
    for part in tx.execute(
        select(t.run_part)
        .where(t.run_part.c.run_id.in_([row.id for row in rows]))
        .order_by(t.run_part.c.operation_id)
    ):
        parts.setdefault(part.run_id, []).append(
            Part(part.operation_id, part.quantity, part.good, part.scrap, part.rework, bool(part.finished))
        )
    return [
        Run(
            row.id,
            row.workcell,
            RunState(row.state),
            row.opened,
            row.started,
            row.ended,
            tuple(parts.get(row.id, ())),
        )
        for row in rows
    ]


def unassigned(tx: Connection, *, open_only: bool = False, limit: int = 100) -> list[UnassignedRun]:
    """Machine activity nobody booked, newest first."""
    query = select(t.unassigned_run).order_by(t.unassigned_run.c.opened.desc()).limit(limit)
    if open_only:
        query = query.where(t.unassigned_run.c.closed.is_(None))
    return [
        UnassignedRun(row.id, row.workcell, row.opened, row.closed, row.parts) for row in tx.execute(query)
    ]


def andons(tx: Connection, *, open_only: bool = False, limit: int = 100) -> list[Andon]:
    """Calls for help, newest first."""
    query = select(t.andon).order_by(t.andon.c.raised.desc()).limit(limit)
    if open_only:
        query = query.where(t.andon.c.state == AndonState.OPEN)
    return [Andon(**row) for row in tx.execute(query).mappings()]


def has_operation(tx: Connection, operation: str) -> bool:
    """Whether there is such an operation, in whatever state."""
    return tx.execute(select(t.operation.c.id).where(t.operation.c.id == operation)).first() is not None


def inbox(tx: Connection, *, open_only: bool = True, limit: int = 200) -> list[InboxEntry]:
    """The exceptions inbox, newest first."""
    table = t.exception_inbox
    query = select(*[table.c[name] for name in InboxEntry.__struct_fields__])
    query = query.order_by(table.c.id.desc()).limit(limit)
    if open_only:
        query = query.where(table.c.state == "open")
    return [InboxEntry(**row) for row in tx.execute(query).mappings()]


def stop_reasons(tx: Connection, stops: Iterable[str]) -> dict[str, str]:
    """The newest reason given for each of the stops; none where it was taken back."""
    rows = tx.execute(
        select(t.stop_reason.c.stop, t.stop_reason.c.reason)
        .where(t.stop_reason.c.stop.in_(list(stops)))
        .order_by(t.stop_reason.c.ts)
    )
    newest = {row.stop: row.reason for row in rows}
    return {stop: reason for stop, reason in newest.items() if reason}


def count_orders(tx: Connection, now: int) -> OrderCount:
    """How many orders there are in which condition; late ones are open and past their due date or will be."""
    counted = tx.execute(select(t.orders.c.state, func.count()).group_by(t.orders.c.state))
    by_state: dict[str, int] = {row[0]: row[1] for row in counted}
    expected = expected_ends(tx)
    is_open = t.orders.c.state.in_(OPEN_ORDERS)
    late = sum(
        max(now, expected.get(row.id, 0)) > row.due
        for row in tx.execute(select(t.orders.c.id, t.orders.c.due).where(is_open))
    )
    completed = by_state.get(OrderState.COMPLETED, 0)
    still = by_state.get(OrderState.RELEASED, 0) + by_state.get(OrderState.STARTED, 0)
    return OrderCount(still + completed, completed, still, late)


def count_operations(tx: Connection) -> OperationCount:
    """How many operations are finished, how many open."""
    counted = tx.execute(select(t.operation.c.state, func.count()).group_by(t.operation.c.state))
    by_state: dict[str, int] = {row[0]: row[1] for row in counted}
    finished = by_state.get(OperationState.FINISHED, 0)
    return OperationCount(
        finished, sum(by_state.values()) - finished - by_state.get(OperationState.CANCELLED, 0)
    )


def _late(due: int, end: int | None) -> int:
    return max(0, (end - due) // MICROSECONDS) if end is not None else 0


def _progress(tx: Connection, ids: list[str]) -> dict[str, tuple[int, int]]:
    rows = tx.execute(
        select(t.job.c.order_id, t.operation.c.state, func.count())
        .join(t.job, t.job.c.id == t.operation.c.job_id)
        .where(t.job.c.order_id.in_(ids), t.operation.c.state != OperationState.CANCELLED)
        .group_by(t.job.c.order_id, t.operation.c.state)
    )
    found: dict[str, tuple[int, int]] = {}
    for order, state, number in rows:
        total, finished = found.get(order, (0, 0))
        found[order] = (total + number, finished + (number if state == OperationState.FINISHED else 0))
    return found


def _lines(tx: Connection, ids: list[str]) -> dict[str, list[Line]]:
    line, product = t.order_line, t.product
    rows = tx.execute(
        select(line, product.c.id.label("product_id"), product.c.title, product.c.title_zh)
        .join(product, product.c.hash == line.c.product)
        .where(line.c.order_id.in_(ids))
        .order_by(line.c.order_id, line.c.line)
    )
    found: dict[str, list[Line]] = {}
    for row in rows:
        found.setdefault(row.order_id, []).append(
            Line(row.line, row.product_id, row.title, row.title_zh, row.quantity, row.unit, row.variant)
        )
    return found


def _operation(row: Any, leased: bool, planned: Planned | None) -> Operation:
    state = OperationState(row.state)
    if state is OperationState.PLANNED and leased:
        state = OperationState.LEASED
    return Operation(
        id=row.id,
        order=row.order_id,
        job=row.job_id,
        step=row.step_id,
        position=row.position,
        title=row.title,
        title_zh=row.title_zh,
        kind=row.kind,
        state=state,
        quantity=row.quantity,
        good=row.good,
        scrap=row.scrap,
        rework=row.rework,
        workcell=row.workcell or (planned.workcell if planned is not None else None),
        start=planned.start if planned is not None else None,
        end=planned.end if planned is not None else None,
        started=row.started,
        finished=row.finished,
        predecessors=tuple(row.predecessors),
        setup=row.setup,
        rework_of=row.rework_of,
    )
