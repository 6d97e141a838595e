"""What a finished operation did not yield: remake jobs for what is missing, rework for what can be saved.

The shortage of an operation is what it should have made less what it did. It is compared with what is
already on its way, so that a later correction (undo, a late booking) opens more or takes back what nobody
has started; what has been started is a person's decision. Of a cancelled order nothing is made up for.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from cloud.orders import exceptions
from cloud.orders.facts import Matter
from cloud.orders.tables import genealogy, instruction, job, lease, operation, orders
from protocols.lifecycles import OPERATION, OperationEvent, OperationState, OrderState

ZERO = Decimal(0)
OPEN_OPERATIONS = (OperationState.PLANNED, OperationState.RUNNING, OperationState.PAUSED)


def rebalance(fact: Matter, operation_id: str) -> None:
    """Open or take back remake jobs and rework so that they cover what the operation did not yield."""
    row = fact.tx.execute(select(operation).where(operation.c.id == operation_id)).one()
    finished = row.state == OperationState.FINISHED
    made = row.good + row.scrap + row.rework
    if finished and not made and row.quantity:
        text = f"{operation_id} was finished without a count: book what was made, {row.quantity} were planned"
        fact.inbox("count", text, concerns=operation_id)
        return
    exceptions.settle(fact.tx, ts=fact.ts, kind="count", concerns=operation_id)
    missing = max(row.quantity - row.good - row.rework, ZERO) if finished else ZERO
    if _delivers_less(fact, row.job_id):
        _balance_undelivered(fact, row, missing)
    else:
        _balance_remakes(fact, row, missing)
    _balance_rework(fact, row, row.rework if finished else ZERO)


# --- less is delivered ------------------------------------------------------------------------------


def _delivers_less(fact: Matter, job_id: str) -> bool:
    """Whether the order wants no replacement of what became scrap."""
    query = select(orders.c.shortage).join(job, job.c.order_id == orders.c.id).where(job.c.id == job_id)
    return fact.tx.execute(query).scalar_one_or_none() == "reduce"


def _balance_undelivered(fact: Matter, row: Row[Any], missing: Decimal) -> None:
    if missing == row.undelivered:
        return
    _add_to_followers(fact, row, row.undelivered - missing)
    fact.tx.execute(update(operation).where(operation.c.id == row.id).values(undelivered=missing))


# --- remake -----------------------------------------------------------------------------------------


def _balance_remakes(fact: Matter, row: Row[Any], missing: Decimal) -> None:
    remakes = fact.tx.execute(
        select(job)
        .where(job.c.remake_cause == row.id, job.c.state != OrderState.CANCELLED)
        .order_by(job.c.created.desc(), job.c.id.desc())
    ).all()
    covered = sum((remake.quantity for remake in remakes), ZERO)
    for remake in remakes:
        if covered <= missing:
            break
        if remake.state == OrderState.RELEASED:
            _withdraw_remake(fact, row, remake)
            covered -= remake.quantity
    if covered > missing:
        text = (
            f"{row.id} lacks {missing}, and remake jobs for {covered} are already started: "
            f"decide what happens to the rest"
        )
        fact.inbox("remake", text, concerns=row.id)
    elif covered < missing:
        _open_remake(fact, row, missing - covered)


def _withdraw_remake(fact: Matter, row: Row[Any], remake: Row[Any]) -> None:
    of_remake = operation.c.job_id == remake.id
    ids = [*fact.tx.execute(select(operation.c.id).where(of_remake)).scalars()]
    fact.tx.execute(update(operation).where(of_remake).values(state=OperationState.CANCELLED))
    fact.tx.execute(delete(lease).where(lease.c.operation_id.in_(ids)))
    gone = {"state": OrderState.CANCELLED, "completed": fact.ts}
    fact.tx.execute(update(job).where(job.c.id == remake.id).values(gone))
    _add_to_followers(fact, row, remake.quantity)


def _open_remake(fact: Matter, row: Row[Any], quantity: Decimal) -> None:
    """An urgent job for the missing quantity: what leads to the operation, itself and what follows it."""
    origin = fact.tx.execute(select(job).where(job.c.id == row.job_id)).one()
    root = origin.id.rsplit("-r", 1)[0] if origin.remake_of else origin.id
    count = fact.tx.execute(
        select(job.c.id).where(
            job.c.order_id == origin.order_id, job.c.id.startswith(root + "-r", autoescape=True)
        )
    ).all()
    remake_id = f"{root}-r{len(count) + 1}"
    fact.tx.execute(
        insert(job).values(
            id=remake_id,
            order_id=origin.order_id,
            line=origin.line,
            quantity=quantity,
            unit=origin.unit,
            title=origin.title,
            title_zh=origin.title_zh,
            variant=origin.variant,
            state=OrderState.RELEASED,
            urgent=True,
            remake_of=origin.id,
            remake_cause=row.id,
            created=fact.ts,
        )
    )
    routing = _routing(fact, origin.id)
    base = _base(fact, row, routing)
    chosen = _before(routing, base) | {base} | _behind(routing, row.id)
    ids = {name: f"{remake_id}-{routing[name].position}" for name in chosen}
    for name in sorted(chosen, key=lambda name: routing[name].position):
        step = routing[name]
        after = [ids.get(before, before) for before in step.predecessors if before in routing]
        links = {ids.get(before, before): link for before, link in step.links.items() if before in routing}
        changes = {"job_id": remake_id, "quantity": quantity, "predecessors": after, "links": links}
        _copy_operation(fact, step, ids[name], changes)
    link = {"child": remake_id, "parent": origin.id, "relation": "remake", "ts": fact.ts}
    fact.tx.execute(insert(genealogy).values(link))
    _add_to_followers(fact, row, -quantity)


def _add_to_followers(fact: Matter, row: Row[Any], quantity: Decimal) -> None:
    """What is missing here does not reach the operations behind; what comes back does again.

    An operation that nothing reaches any more is cancelled, or it would wait for ever to be begun.
    """
    routing = _routing(fact, row.job_id)
    for name in _behind(routing, row.id):
        step = routing[name]
        nothing_came = step.state == OperationState.CANCELLED and not step.quantity
        if step.state not in OPEN_OPERATIONS and not nothing_came:
            continue
        value = max(step.quantity + quantity, ZERO)
        values: dict[str, Any] = {"quantity": value}
        if nothing_came and value:
            values["state"] = OPERATION.next(name, OperationState(step.state), OperationEvent.RESTORE)
        elif step.state == OperationState.PLANNED and not value:
            values["state"] = OPERATION.next(name, OperationState(step.state), OperationEvent.CANCEL)
            fact.tx.execute(delete(lease).where(lease.c.operation_id == name))
        fact.tx.execute(update(operation).where(operation.c.id == name).values(values))


# --- rework -----------------------------------------------------------------------------------------


def _balance_rework(fact: Matter, row: Row[Any], wanted: Decimal) -> None:
    """A new instance of the operation, which what follows waits for."""
    existing = fact.tx.execute(
        select(operation).where(
            operation.c.rework_of == row.id, operation.c.state != OperationState.CANCELLED
        )
    ).all()
    covered = sum((rework.quantity for rework in existing), ZERO)
    if covered == wanted:
        return
    for rework in existing:
        if rework.state != OperationState.PLANNED:
            if covered > wanted:
                text = f"{row.id} needs rework of {wanted}, and rework of {covered} is already started"
                fact.inbox("remake", text, concerns=row.id)
                return
            continue
        fact.tx.execute(
            update(operation).where(operation.c.id == rework.id).values(state=OperationState.CANCELLED)
        )
        fact.tx.execute(delete(lease).where(lease.c.operation_id == rework.id))
        covered -= rework.quantity
    if covered < wanted:
        _open_rework(fact, row, wanted - covered)


def _open_rework(fact: Matter, row: Row[Any], quantity: Decimal) -> None:
    numbers = fact.tx.execute(select(operation.c.id).where(operation.c.rework_of == row.id)).all()
    rework_id = f"{row.id}w{len(numbers) + 1}"
    followers = [step for step in _routing(fact, row.job_id).values() if row.id in step.predecessors]
    _copy_operation(
        fact,
        row,
        rework_id,
        {
            "quantity": quantity,
            "predecessors": [row.id],
            "links": {},
            "rework_of": row.id,
            "position": row.position + len(numbers) + 1,
        },
    )
    for step in followers:
        if step.state == OperationState.PLANNED:
            values: dict[str, Any] = {"predecessors": [*step.predecessors, rework_id]}
            if row.id in step.links:  # what is done anew dries anew
                values["links"] = {**step.links, rework_id: step.links[row.id]}
            fact.tx.execute(update(operation).where(operation.c.id == step.id).values(values))


# --- the routing of a job ---------------------------------------------------------------------------


def _routing(fact: Matter, job_id: str) -> dict[str, Row[Any]]:
    """A job's operations by id, rework left out."""
    found = select(operation).where(operation.c.job_id == job_id, operation.c.rework_of.is_(None))
    return {row.id: row for row in fact.tx.execute(found.order_by(operation.c.position))}


def _base(fact: Matter, row: Row[Any], routing: dict[str, Row[Any]]) -> str:
    """The operation of the routing that a rework repeats; an operation that is none is its own."""
    name: str = row.id
    while name not in routing:
        name = fact.tx.execute(select(operation.c.rework_of).where(operation.c.id == name)).scalar_one()
    return name


def _before(routing: dict[str, Row[Any]], name: str) -> set[str]:
    found: set[str] = set()
    todo = [before for before in routing[name].predecessors if before in routing]
    while todo:
        before = todo.pop()
        if before not in found:
            found.add(before)
            todo += [more for more in routing[before].predecessors if more in routing]
    return found


def _behind(routing: dict[str, Row[Any]], name: str) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        at = todo.pop()
        more = {row.id for row in routing.values() if at in row.predecessors} - found
        found |= more
        todo += sorted(more)
    return found


def _copy_operation(fact: Matter, row: Row[Any], new_id: str, changes: dict[str, Any]) -> None:
    values = dict(row._mapping) | {
        "id": new_id,
        "good": ZERO,
        "scrap": ZERO,
        "rework": ZERO,
        "state": OperationState.PLANNED,
        "workcell": None,
        "started": None,
        "finished": None,
        "rework_of": None,
        "undelivered": ZERO,
    }
    fact.tx.execute(insert(operation).values(values | changes))
    words = select(instruction.c.steps, instruction.c.inspection).where(instruction.c.operation_id == row.id)
    same = fact.tx.execute(words).first()
    if same is not None:
        copied = {"steps": same.steps, "inspection": same.inspection}
        fact.tx.execute(insert(instruction).values(operation_id=new_id, **copied))
