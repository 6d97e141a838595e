"""Orders that come, go, or are promised anew: problem in, problem out."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cloud.dispatching.questions.changes import CancelledOrder, LikeOrder, NewOrder, OrderTerms
from cloud.dispatching.questions.refused import Refused, unknown
from cloud.dispatching.questions.routing import undecided, waiting_for
from cloud.dispatching.shop.problem import Operation, Problem, State


def order_ids(problem: Problem) -> list[str]:
    """The orders of a problem, each once, in its order."""
    return list(dict.fromkeys(operation.order_id for operation in problem.operations))


def add(problem: Problem, change: NewOrder) -> Problem:
    """With the new order; its operations are as the problem file of it says, all of them free."""
    reasons = _new_name(problem, change.order)
    reasons += _weight(change.weight)
    known = {operation.id for operation in problem.operations}
    jobs = {operation.job_id for operation in problem.operations}
    machines = [machine.id for machine in problem.machines]
    if not change.operations:
        reasons.append(f"the new order {change.order} has no operations")
    for operation in change.operations:
        if operation.order_id != change.order:
            reasons.append(f"{operation.id} is of order {operation.order_id}, not of {change.order}")
        if operation.id in known:
            reasons.append(f"there is an operation {operation.id} already; give the new one another id")
        if operation.job_id in jobs:
            reasons.append(f"{operation.id}: there is a job {operation.job_id} already; give it another id")
        if operation.state is not State.FREE:
            reasons.append(f"{operation.id} is {operation.state}: work of a new order is free")
        reasons += [
            f"{operation.id}: {unknown('machine', name, machines)}"
            for name in dict.fromkeys(alternative.machine for alternative in operation.alternatives)
            if name not in machines
        ]
    if reasons:
        raise Refused(*dict.fromkeys(reasons))
    fields: dict[str, Any] = {
        name: value
        for name, value in (("due", change.due), ("weight", change.weight), ("earliest", change.earliest))
        if value is not None
    }
    added = tuple(replace(operation, **fields) for operation in change.operations)
    return replace(problem, operations=problem.operations + added)


def copy(problem: Problem, change: LikeOrder) -> Problem:
    """With another order like one that is there. It waits for other orders where that one does."""
    reasons = [*_new_name(problem, change.order), *_weight(change.weight)]
    originals = [operation for operation in problem.operations if operation.order_id == change.like]
    if not originals:
        reasons.append(unknown("order", change.like, order_ids(problem)))
    covered = {name: run for run in problem.runs for name in run.operations}
    names = {operation.id: f"{change.order}/{operation.id}" for operation in originals}
    taken = {operation.id for operation in problem.operations}
    made: list[Operation] = []
    for operation in originals:
        run = covered.get(operation.id)
        alternatives = operation.alternatives or (run.alternatives if run else ())
        if not alternatives:
            reasons.append(f"{operation.id} is frozen and says no duration: order {change.like} has no copy")
        if names[operation.id] in taken:
            reasons.append(f"there is an operation {names[operation.id]} already; call the order otherwise")
        made.append(
            undecided(
                operation,
                id=names[operation.id],
                order_id=change.order,
                job_id=f"{change.order}/{operation.job_id}",
                alternatives=alternatives,
                due=change.due,
                weight=change.weight,
                earliest=change.earliest,
                **waiting_for(operation, lambda name: (names.get(name, name),)),
            )
        )
    if reasons:
        raise Refused(*reasons)
    return replace(problem, operations=problem.operations + tuple(made))


def promise_anew(problem: Problem, change: OrderTerms) -> Problem:
    """With another due date or weight of an order."""
    reasons = _weight(change.weight)
    if change.order not in set(order_ids(problem)):
        reasons.append(unknown("order", change.order, order_ids(problem)))
    if change.due is None and change.weight is None:
        reasons.append(f"nothing changes for order {change.order}: name a due date or a weight")
    if reasons:
        raise Refused(*reasons)
    fields: dict[str, Any] = {}
    if change.due is not None:
        fields["due"] = change.due
    if change.weight is not None:
        fields["weight"] = change.weight
    return replace(
        problem,
        operations=tuple(
            replace(operation, **fields) if operation.order_id == change.order else operation
            for operation in problem.operations
        ),
    )


def cancel(problem: Problem, change: CancelledOrder) -> Problem:
    """Without the order. Whether others wait for its work is looked at when all changes are made."""
    own = [operation for operation in problem.operations if operation.order_id == change.order]
    if not own:
        raise Refused(unknown("order", change.order, order_ids(problem)))
    frozen = [operation.id for operation in own if operation.state is State.FIXED]
    if frozen and not change.keep_frozen:
        raise Refused(
            f"order {change.order} cannot fall away: {', '.join(frozen)} "
            f"{'is' if len(frozen) == 1 else 'are'} frozen; keep_frozen cancels only what is not"
        )
    gone = {operation.id for operation in own} - set(frozen)
    if not gone:
        raise Refused(f"all that is left of order {change.order} is frozen: there is nothing to cancel")
    kept = []
    for operation in problem.operations:
        if operation.id in gone:
            continue
        if operation.order_id == change.order:  # frozen: it waits for nothing any more
            left = waiting_for(operation, lambda name: () if name in gone else (name,))
            operation = replace(operation, **left)
        kept.append(operation)
    runs = (
        replace(run, operations=tuple(n for n in run.operations if n not in gone)) for run in problem.runs
    )
    return replace(
        problem,
        operations=tuple(kept),
        runs=tuple(run for run in runs if run.operations),
        published={name: at for name, at in problem.published.items() if name not in gone},
    )


def orphans(problem: Problem, before: Problem) -> list[str]:
    """Work that waits for work that was cancelled, in words."""
    there = {operation.id for operation in problem.operations}
    was = {operation.id: operation.order_id for operation in before.operations}
    waiting: dict[tuple[str, str], list[str]] = {}
    for operation in problem.operations:
        for name in operation.predecessors:
            if name not in there and name in was:
                waiting.setdefault((operation.order_id, was[name]), []).append(operation.id)
    return [
        f"order {order} needs what order {gone} makes ({names[0]} waits for it): "
        f"cancel {order} too, or keep {gone}"
        for (order, gone), names in waiting.items()
    ]


def _new_name(problem: Problem, order: str) -> list[str]:
    if not order:
        return ["a new order needs a name"]
    if order in set(order_ids(problem)):
        return [f"there is an order {order} already; call the new one otherwise"]
    return []


def _weight(weight: int | None) -> list[str]:
    return [f"weight {weight} is less than 0"] if weight is not None and weight < 0 else []
