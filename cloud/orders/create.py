"""Orders in, changed, cancelled: every reason against an impossible one at once, then jobs and operations."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from cloud.orders import articles, dispositions, exceptions, journal
from cloud.orders.arithmetic import FormulaError
from cloud.orders.balance import OPEN_OPERATIONS
from cloud.orders.dispositions import Correction
from cloud.orders.products import Product
from cloud.orders.requests import (
    MAX_QUANTITY,
    ImpossibleOrder,
    LineRequest,
    OrderChange,
    OrderProblem,
    OrderRequest,
    UnknownOrder,
)
from cloud.orders.routing import RoutedOperation, configure, route, shown
from cloud.orders.tables import instruction, job, lease, operation, order_line, orders, run_part
from cloud.phrase import one_of, phrase
from protocols.calendar import longest_stretch
from protocols.clock import Clock
from protocols.inspection import Characteristic
from protocols.jobs import Step
from protocols.lifecycles import ORDER, OperationState, OrderEvent, OrderState
from protocols.site import Site

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CREATE, CHANGE, CANCEL = "order.create", "order.change", "order.cancel"
"""Kinds of commands in the journal that change orders."""
_DONE = (OrderState.COMPLETED, OrderState.CANCELLED)


class PlacedLine(msgspec.Struct, frozen=True):
    """An order line with everything decided: the product's version and all parameters."""

    product: str
    quantity: Decimal
    parameters: dict[str, str]
    material_at: int | None = None


class PlacedOrder(msgspec.Struct, frozen=True):
    """A possible order, as the journal keeps it: applying it again gives the same jobs and operations."""

    id: str
    customer: str
    note: str
    due: int
    priority: int
    created: int
    lines: tuple[PlacedLine, ...]
    shortage: str = "replace"


class ChangedOrder(msgspec.Struct, frozen=True):
    """The office promised an order for another time, or gave it another priority."""

    id: str
    due: int
    priority: int
    material_at: int | None = None
    """When the material of its open jobs is there; None leaves what was known."""


class CancelledOrder(msgspec.Struct, frozen=True):
    """The office cancelled an order."""

    id: str
    reason: str
    at: int


class OrderDesk:
    """Takes and cancels orders for one site. Every method runs inside a transaction of the caller."""

    def __init__(
        self, site: Site, clock: Clock, new_id: Callable[[], str] = lambda: f"office-{uuid.uuid4().hex}"
    ) -> None:
        self._kinds = sorted({cell.kind for cell in site.workcells().values()})
        self._longest = longest_stretch(site.calendar)
        self._shared = site.shared()
        self._clock = clock
        self._new_id = new_id

    def create(self, tx: Connection, request: OrderRequest, actor: str = "office") -> str:
        """Check the request, create order, jobs and operations, and return the order's id.

        Raises:
            ImpossibleOrder: with every reason at once.
        """
        now = self._clock.now()
        placed = self._checked(tx, request, now)
        journal.append_command(tx, self._new_id(), CREATE, actor, now, msgspec.json.encode(placed))
        place(tx, placed)
        return placed.id

    def change(self, tx: Connection, order_id: str, wanted: OrderChange, actor: str = "office") -> None:
        """Give an order another due date or priority; its work is planned anew.

        Raises:
            UnknownOrder: there is none of this id.
            IllegalTransitionError: it is completed or cancelled.
            ImpossibleOrder: with every reason at once.
        """
        row = tx.execute(select(orders).where(orders.c.id == order_id)).first()
        if row is None:
            raise UnknownOrder(order_id)
        ORDER.next(order_id, OrderState(row.state), OrderEvent.CHANGE)
        now = self._clock.now()
        if problems := [*_promise_problems(wanted.due, wanted.priority, now)]:
            raise ImpossibleOrder(problems)
        due = row.due if wanted.due is None else _microseconds(wanted.due)
        priority = row.priority if wanted.priority is None else wanted.priority
        material = None if wanted.material_at is None else _microseconds(wanted.material_at)
        if (due, priority) == (row.due, row.priority) and material is None:
            return
        command = ChangedOrder(order_id, due, priority, material)
        journal.append_command(tx, self._new_id(), CHANGE, actor, now, msgspec.json.encode(command))
        change(tx, command)

    def cancel(self, tx: Connection, order_id: str, reason: str = "", actor: str = "office") -> None:
        """Cancel an order and all its work that is not finished. Cancelling twice does nothing.

        Raises:
            UnknownOrder: there is none of this id.
            IllegalTransitionError: it is completed.
        """
        state = tx.execute(select(orders.c.state).where(orders.c.id == order_id)).scalar_one_or_none()
        if state is None:
            raise UnknownOrder(order_id)
        if state == OrderState.CANCELLED:
            return
        ORDER.next(order_id, OrderState(state), OrderEvent.CANCEL)
        now = self._clock.now()
        command = CancelledOrder(order_id, reason, now)
        journal.append_command(tx, self._new_id(), CANCEL, actor, now, msgspec.json.encode(command))
        cancel(tx, command)

    def _checked(self, tx: Connection, request: OrderRequest, now: int) -> PlacedOrder:
        problems = [*_promise_problems(request.due, request.priority, now)]
        if not request.lines:
            problems.append(OrderProblem("lines", phrase("an order needs at least one line")))
        if request.id is not None and _exists(tx, request.id):
            problems.append(
                OrderProblem(
                    "id",
                    phrase('there is already an order "{order}": choose another id', order=request.id),
                )
            )
        products = articles.current(tx)
        lines = [
            self._checked_line(f"lines.{number}", line, products, problems)
            for number, line in enumerate(request.lines)
        ]
        if problems:
            raise ImpossibleOrder(problems)
        return PlacedOrder(
            id=request.id or _next_id(tx, now),
            customer=request.customer,
            note=request.note,
            due=_microseconds(request.due),
            priority=request.priority,
            created=now,
            lines=tuple(line for line in lines if line is not None),
            shortage=request.shortage,
        )

    def _checked_line(
        self,
        at: str,
        line: LineRequest,
        products: Mapping[str, tuple[str, Product]],
        problems: list[OrderProblem],
    ) -> PlacedLine | None:
        before = len(problems)
        if line.quantity <= 0:
            problems.append(
                OrderProblem(
                    f"{at}.quantity", phrase("{quantity} is not more than 0", quantity=line.quantity)
                )
            )
        elif line.quantity > MAX_QUANTITY:
            reason = phrase("{quantity} is more than {most}", quantity=line.quantity, most=MAX_QUANTITY)
            problems.append(OrderProblem(f"{at}.quantity", reason))
        if line.product not in products:
            reason = (
                one_of(line.product, sorted(products)) if products else phrase("no product is defined yet")
            )
            problems.append(OrderProblem(f"{at}.product", reason))
            return None
        key, product = products[line.product]
        places = line.quantity.as_tuple().exponent
        if product.unit == "C62" and line.quantity != line.quantity.to_integral_value():
            reason = phrase(
                "{quantity} is not a whole number: {product} is made in pieces",
                quantity=line.quantity,
                product=product.id,
            )
            problems.append(OrderProblem(f"{at}.quantity", reason))
        elif isinstance(places, int) and places < -6:
            reason = phrase("{quantity} has more than 6 decimal places", quantity=line.quantity)
            problems.append(OrderProblem(f"{at}.quantity", reason))
        problems += _parameter_problems(f"{at}.parameters", product, line.parameters)
        if len(problems) > before:
            return None
        chosen = {name: p.default for name, p in product.parameters.items()} | dict(line.parameters)
        parameters = {
            name: shown(product.parameters[name], value)
            for name, value in chosen.items()
            if value is not None
        }
        try:
            routed = route(product, configure(product, parameters))
        except FormulaError as error:
            reason = phrase(
                "the product file has no numbers for {product} like this: {formula}",
                product=product.id,
                formula=error,
            )
            problems.append(OrderProblem(f"{at}.parameters", reason))
            return None
        problems += self._routing_problems(f"{at}.product", product, routed, line.quantity)
        material = None if line.material_at is None else _microseconds(line.material_at)
        return PlacedLine(key, line.quantity, parameters, material)

    def _routing_problems(
        self, at: str, product: Product, routed: tuple[RoutedOperation, ...], quantity: Decimal
    ) -> Iterator[OrderProblem]:
        for step in routed:
            if step.kind not in self._kinds:
                yield OrderProblem(
                    at,
                    phrase(
                        '{product} needs a workcell of kind "{kind}", and the site has none',
                        product=product.id,
                        kind=step.kind,
                    ),
                )
            for name, number in step.needs.items():
                there = self._shared.get(name, 0)
                if number > there:
                    reason = phrase(
                        '{product} needs {number} of "{name}", the site has {there}',
                        product=product.id,
                        number=number,
                        name=name,
                        there=there,
                    )
                    yield OrderProblem(at, reason)
            seconds = int(step.setup_seconds) + step.run_seconds(quantity)
            if self._longest is not None and seconds > self._longest and not step.interruptible:
                yield OrderProblem(
                    at.replace("product", "quantity"),
                    phrase(
                        "{step} of {quantity} takes {minutes} min, and nobody works longer than {longest} "
                        "without a rest: split the quantity over several lines",
                        step=step.title.en,
                        quantity=quantity,
                        minutes=seconds // 60,
                        longest=self._longest // 60,
                    ),
                )


def _promise_problems(due: datetime | None, priority: int | None, now: int) -> Iterator[OrderProblem]:
    """What is wrong with a due date and a priority, where they are given."""
    if due is not None and _microseconds(due) <= now:
        moment = _EPOCH + timedelta(microseconds=now)
        reason = phrase(
            "{time} is in the past (now {now})", time=due.isoformat(), now=f"{moment:%Y-%m-%d %H:%M} UTC"
        )
        yield OrderProblem("due", reason)
    if priority is not None and not 1 <= priority <= 10:
        reason = phrase("{value} is not between {least} and {most}", value=priority, least=1, most=10)
        yield OrderProblem("priority", reason)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _parameter_problems(
    at: str, product: Product, given: Mapping[str, Decimal | str]
) -> Iterator[OrderProblem]:
    for name, value in given.items():
        parameter = product.parameters.get(name)
        if parameter is None:
            reason = phrase("unknown parameter: {what}", what=one_of(name, product.parameters))
            yield OrderProblem(f"{at}.{name}", reason)
        elif problem := parameter.problem(value):
            yield OrderProblem(f"{at}.{name}", problem)
    for name, parameter in product.parameters.items():
        if name not in given and parameter.default is None:
            reason = phrase("is missing: allowed is {allowed}", allowed=parameter.allowed())
            yield OrderProblem(f"{at}.{name}", reason)


def _exists(tx: Connection, order_id: str) -> bool:
    return tx.execute(select(orders.c.id).where(orders.c.id == order_id)).first() is not None


def _next_id(tx: Connection, now: int) -> str:
    """``26-0001``: the year and a number that counts up in it, on from the newest orders so named."""
    year = f"{_EPOCH + timedelta(microseconds=now):%y}-"
    of_year = select(orders.c.id).where(orders.c.id.startswith(year, autoescape=True))
    newest = tx.execute(of_year.order_by(orders.c.created.desc(), orders.c.id.desc()).limit(100)).scalars()
    tails = [name.removeprefix(year) for name in newest]
    number = max((int(tail) for tail in tails if tail.isdecimal()), default=0) + 1
    while _exists(tx, f"{year}{number:04d}"):
        number += 1
    return f"{year}{number:04d}"


def place(tx: Connection, placed: PlacedOrder) -> None:
    """Store a checked order with its jobs and operations."""
    tx.execute(
        insert(orders).values(
            id=placed.id,
            customer=placed.customer,
            note=placed.note,
            due=placed.due,
            priority=placed.priority,
            shortage=placed.shortage,
            state=ORDER.initial,
            created=placed.created,
        )
    )
    for number, line in enumerate(placed.lines, start=1):
        product = articles.version(tx, line.product)
        if product is None:
            raise LookupError(f"product version {line.product} of order {placed.id} is not in the database")
        variant = configure(product, line.parameters)
        labels = {name: variant.words[name] for name in variant.chosen}
        tx.execute(
            insert(order_line).values(
                order_id=placed.id,
                line=number,
                product=line.product,
                quantity=line.quantity,
                unit=product.unit,
                variant=variant.chosen,
            )
        )
        job_id = f"{placed.id}-{number}"
        tx.execute(
            insert(job).values(
                id=job_id,
                order_id=placed.id,
                line=number,
                quantity=line.quantity,
                unit=product.unit,
                title=product.title,
                title_zh=product.title_zh or product.title,
                variant=labels,
                state=ORDER.initial,
                urgent=False,
                material_at=line.material_at,
                created=placed.created,
            )
        )
        store_operations(tx, job_id, line.quantity, route(product, variant))


def store_operations(
    tx: Connection, job_id: str, quantity: Decimal, routed: tuple[RoutedOperation, ...]
) -> None:
    """Store the operations of a job, predecessors as ids of operations."""
    ids = {step.step_id: f"{job_id}-{step.position}" for step in routed}
    for step in routed:
        tx.execute(
            insert(operation).values(
                id=ids[step.step_id],
                job_id=job_id,
                position=step.position,
                step_id=step.step_id,
                title=step.title.en,
                title_zh=step.title.zh,
                kind=step.kind,
                quantity=quantity,
                good=Decimal(0),
                scrap=Decimal(0),
                rework=Decimal(0),
                state=OperationState.PLANNED,
                predecessors=[ids[name] for name in step.after],
                setup=step.setup,
                setup_seconds=step.setup_seconds,
                seconds_per_run=step.seconds_per_run,
                seconds_per_piece=step.seconds_per_piece,
                program=step.program,
                interruptible=step.interruptible,
                needs=step.needs,
                links={ids[name]: msgspec.to_builtins(link) for name, link in step.links.items()},
            )
        )
        store_steps(tx, ids[step.step_id], step.steps, step.inspection)


def store_steps(
    tx: Connection, operation_id: str, steps: tuple[Step, ...], inspection: tuple[Characteristic, ...] = ()
) -> None:
    """Store rendered instructions and the inspection plan."""
    words, plan = msgspec.json.encode(steps).decode(), msgspec.json.encode(inspection).decode()
    tx.execute(insert(instruction).values(operation_id=operation_id, steps=words, inspection=plan))


def change(tx: Connection, command: ChangedOrder) -> None:
    """Give an order its new due date and priority, and its open jobs their material."""
    promise = {"due": command.due, "priority": command.priority}
    tx.execute(update(orders).where(orders.c.id == command.id).values(promise))
    if command.material_at is not None:
        open_jobs = (job.c.order_id == command.id) & job.c.state.not_in(_DONE)
        tx.execute(update(job).where(open_jobs).values(material_at=command.material_at))


def cancel(tx: Connection, command: CancelledOrder) -> None:
    """Cancel an order's open work; runs in progress go on as facts that count nothing to it."""
    jobs = select(job.c.id).where(job.c.order_id == command.id)
    cancel_operations(tx, [*tx.execute(jobs).scalars()], command.at)
    tx.execute(
        update(job)
        .where(job.c.order_id == command.id, job.c.state.not_in(_DONE))
        .values(state=OrderState.CANCELLED, completed=command.at)
    )
    tx.execute(
        update(orders)
        .where(orders.c.id == command.id)
        .values(state=OrderState.CANCELLED, completed=command.at)
    )


def cancel_operations(tx: Connection, jobs: list[str], now: int) -> None:
    """Cancel what is not finished of these jobs, with its leases; nobody waits for it any more."""
    found = tx.execute(
        select(operation.c.id).where(operation.c.job_id.in_(jobs), operation.c.state.in_(OPEN_OPERATIONS))
    )
    ids = [*found.scalars()]
    tx.execute(update(operation).where(operation.c.id.in_(ids)).values(state=OperationState.CANCELLED))
    tx.execute(delete(lease).where(lease.c.operation_id.in_(ids)))
    tx.execute(update(run_part).where(run_part.c.operation_id.in_(ids)).values(effective=False))
    for name in ids:
        exceptions.settle(tx, ts=now, kind="predecessor", concerns=name)


def apply_command(tx: Connection, entry: journal.Entry) -> None:
    """Apply a command of the journal again; raises ValueError for a kind this version does not know."""
    if entry.type == CREATE:
        place(tx, msgspec.json.decode(entry.body, type=PlacedOrder))
    elif entry.type == CHANGE:
        change(tx, msgspec.json.decode(entry.body, type=ChangedOrder))
    elif entry.type == CANCEL:
        cancel(tx, msgspec.json.decode(entry.body, type=CancelledOrder))
    elif entry.type == journal.CORRECT:
        dispositions.apply(tx, msgspec.json.decode(entry.body, type=Correction), entry.id)
    elif entry.type not in journal.ELSEWHERE:
        raise ValueError(f'the journal has a command "{entry.type}" that this version does not know')
