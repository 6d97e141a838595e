"""Refuses a problem that makes no sense: all its errors at once, each naming order, operation and reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cloud.dispatching.shop.money_validation import money_errors
from cloud.dispatching.shop.problem import Operation, Problem, State, lease_order
from cloud.dispatching.shop.shared_validation import ProblemError, shared_errors
from cloud.dispatching.shop.time_validation import fits_nowhere, waits_too_long


class ImpossibleProblem(ValueError):
    """The problem cannot be planned; ``errors`` says why, all at once."""

    def __init__(self, errors: list[ProblemError]) -> None:
        self.errors = errors
        shown = "\n  ".join(str(error) for error in errors[:20])
        more = f"\n  and {len(errors) - 20} more" if len(errors) > 20 else ""
        super().__init__(f"{len(errors)} error(s) in the problem to plan:\n  {shown}{more}")


def check(problem: Problem) -> None:
    """Raise :class:`ImpossibleProblem` with everything :func:`validate` finds."""
    errors = validate(problem)
    if errors:
        raise ImpossibleProblem(errors)


def validate(problem: Problem) -> list[ProblemError]:
    """Everything that makes ``problem`` impossible or meaningless; empty when it can be planned."""
    return [
        *_duplicates(problem),
        *_machine_errors(problem),
        *_operation_errors(problem),
        *_run_errors(problem),
        *_pin_errors(problem),
        *shared_errors(problem),
        *money_errors(problem),
        *_cycles(problem),
        *waits_too_long(problem),
        *fits_nowhere(problem),
    ]


def _duplicates(problem: Problem) -> Iterator[ProblemError]:
    kinds: dict[str, Iterable[str]] = {
        "machine": (m.id for m in problem.machines),
        "operation": (o.id for o in problem.operations),
        "run": (r.id for r in problem.runs),
        "maintenance": (m.id for m in problem.maintenance),
        "resource": (r.id for r in problem.resources),
    }
    for kind, ids in kinds.items():
        seen: set[str] = set()
        for name in ids:
            if name in seen:
                yield ProblemError(reason=f"{kind} id {name!r} is used twice")
            seen.add(name)


def _machine_errors(problem: Problem) -> Iterator[ProblemError]:
    known = {m.id for m in problem.machines}
    for machine in problem.machines:
        for window in machine.unavailable:
            if window.end <= window.start:
                yield ProblemError(
                    reason=f"machine {machine.id!r}: a window from {window.start} ends at {window.end}"
                )
        for rule in machine.changeovers:
            if rule.seconds < 0 or any(s < 0 for row in rule.pairs.values() for s in row.values()):
                yield ProblemError(
                    reason=f"machine {machine.id!r}: a changeover of {rule.attribute!r} takes less than 0 s"
                )
    for transport in problem.transports:
        if transport.seconds < 0:
            yield ProblemError(
                reason=f"transport {transport.origin!r} to {transport.destination!r} takes "
                f"{transport.seconds} s, less than 0"
            )
    for task in problem.maintenance:
        if task.machine not in known:
            yield ProblemError(reason=f"maintenance {task.id!r} is for the unknown machine {task.machine!r}")
        for name in task.also:
            if name not in known:
                yield ProblemError(reason=f"maintenance {task.id!r} also stops the unknown machine {name!r}")
        if len({task.machine, *task.also}) <= len(task.also):
            yield ProblemError(reason=f"maintenance {task.id!r} names a machine that it stops twice")
        if task.seconds <= 0:
            yield ProblemError(reason=f"maintenance {task.id!r} takes {task.seconds} s, not more than 0")
        if task.delay_cost < 0:
            yield ProblemError(
                reason=f"maintenance {task.id!r}: a delay cost of {task.delay_cost} is below 0"
            )


def _operation_errors(problem: Problem) -> Iterator[ProblemError]:
    machines = {m.id for m in problem.machines}
    operations = {o.id: o for o in problem.operations}
    for operation in problem.operations:
        for reason in (*_reasons(operation, machines, operations), *_wait_reasons(operation, operations)):
            yield ProblemError(reason=reason, order_id=operation.order_id, operation_id=operation.id)


def _reasons(operation: Operation, machines: set[str], operations: Mapping[str, Operation]) -> Iterator[str]:
    if not operation.alternatives and operation.state is not State.FIXED:
        yield "no machine can do it: it has no alternatives"
    seen: set[str] = set()
    for alternative in operation.alternatives:
        if alternative.machine not in machines:
            yield f"alternative on the unknown machine {alternative.machine!r}"
        if alternative.machine in seen:
            yield f"two alternatives on machine {alternative.machine!r}"
        seen.add(alternative.machine)
        if alternative.run_seconds < 0 or alternative.setup_seconds < 0:
            yield f"takes less than 0 s on machine {alternative.machine!r}"
    for predecessor in operation.predecessors:
        if predecessor not in operations:
            yield f"waits for the unknown operation {predecessor!r}; leave finished ones out"
    if len(set(operation.predecessors)) < len(operation.predecessors):
        yield "names a predecessor twice"
    if operation.weight < 0:
        yield f"weight {operation.weight} is less than 0"
    if operation.size < 0:
        yield f"size {operation.size} is less than 0"
    if operation.quantity < 1:
        yield f"quantity {operation.quantity} is less than 1"
    if operation.remaining is not None and operation.remaining < 0:
        yield f"remaining {operation.remaining} s is less than 0"
    if operation.state is State.FREE:
        return
    if operation.machine not in machines:
        yield f"is {operation.state} on the unknown machine {operation.machine!r}"
    elif operation.state is State.LEASED and operation.machine not in seen:
        yield f"is leased on machine {operation.machine!r}, which is not one of its alternatives"
    if operation.state is State.FIXED:
        if operation.start is None:
            yield "is fixed without a start"
        if operation.remaining is None and operation.machine not in seen:
            yield f"is fixed on machine {operation.machine!r} without a duration there or a remaining time"


def _wait_reasons(operation: Operation, operations: Mapping[str, Operation]) -> Iterator[str]:
    """What is wrong with how it waits for its predecessors."""
    kinds: tuple[tuple[str, Mapping[str, int], int, str], ...] = (
        ("a lag", operation.lags, 0, " s"),
        ("a longest lag", operation.max_lags, 0, " s"),
        ("an overlap", operation.overlaps, 1, " pieces"),
    )
    for words, given, least, unit in kinds:
        for name, value in given.items():
            if name not in operation.predecessors:
                yield f"has {words} after {name!r}, which is not its predecessor"
            if value < least:
                yield f"has {words} of {value}{unit} after {name!r}, less than {least}"
    for name, most in operation.max_lags.items():
        if 0 <= most < operation.lags.get(name, 0):
            yield f"starts {most} s after {name!r} at most, but not before {operation.lags[name]} s after it"
    for name, pieces in operation.overlaps.items():
        before = operations.get(name)
        if before is not None and pieces > before.quantity:
            yield f"starts after {pieces} pieces of {name!r}, which has {before.quantity}"
        if operation.interruptible or (before is not None and before.interruptible):
            yield f"overlaps {name!r}: neither of them may be interruptible"


def _run_errors(problem: Problem) -> Iterator[ProblemError]:
    operations = {o.id: o for o in problem.operations}
    machines = {m.id for m in problem.machines}
    covered: dict[str, str] = {}
    for run in problem.runs:
        members = [operations[name] for name in run.operations if name in operations]
        for name in run.operations:
            if name not in operations:
                yield ProblemError(reason=f"run {run.id!r} covers the unknown operation {name!r}")
            if name in covered:
                yield ProblemError(
                    reason=f"operation {name!r} is in run {covered[name]!r} and run {run.id!r}"
                )
            covered[name] = run.id
        if not members:
            yield ProblemError(reason=f"run {run.id!r} covers no operation")
            continue
        first = members[0]
        for other in members[1:]:
            if (other.state, other.machine, other.start) != (first.state, first.machine, first.start):
                yield ProblemError(
                    reason=f"is in run {run.id!r} with {first.id}, which has another state, machine or start",
                    order_id=other.order_id,
                    operation_id=other.id,
                )
        offered = {a.machine for a in run.alternatives}
        if not offered and first.state is not State.FIXED:
            yield ProblemError(reason=f"run {run.id!r}: no machine can do it: it has no alternatives")
        for name in sorted(offered - machines):
            yield ProblemError(reason=f"run {run.id!r}: alternative on the unknown machine {name!r}")
        if any(a.run_seconds < 0 or a.setup_seconds < 0 for a in run.alternatives):
            yield ProblemError(reason=f"run {run.id!r} takes less than 0 s")
        if len(offered) != len(run.alternatives):
            yield ProblemError(reason=f"run {run.id!r}: two alternatives on one machine")
        if first.state is State.LEASED and first.machine not in offered:
            yield ProblemError(
                reason=f"run {run.id!r} is leased on machine {first.machine!r}, not one of its alternatives"
            )


def _pin_errors(problem: Problem) -> Iterator[ProblemError]:
    """Pins to machines that are not offered; what is leased or fixed has its machine anyhow."""
    covering = {name: run for run in problem.runs for name in run.operations}
    of_run: dict[str, Operation] = {}
    for operation in problem.operations:
        pin, run = operation.pin, covering.get(operation.id)
        if operation.state is not State.FREE or pin is None or pin.machine is None:
            continue
        reason = ""
        if pin.machine not in {a.machine for a in (run or operation).alternatives}:
            of_what = f"of run {run.id!r}" if run else "one of its alternatives"
            reason = f"is pinned to machine {pin.machine!r}, which is not {of_what}"
        elif run is not None:
            other = of_run.setdefault(run.id, operation).pin
            if other is not None and other.machine != pin.machine:
                reason = (
                    f"is pinned to machine {pin.machine!r}, but {of_run[run.id].id} of the same run "
                    f"to {other.machine!r}"
                )
        if reason:
            yield ProblemError(reason=reason, order_id=operation.order_id, operation_id=operation.id)


def _cycles(problem: Problem) -> Iterator[ProblemError]:
    """Operations that wait for themselves: over predecessors, runs and the order of leased work."""
    operations = {o.id: o for o in problem.operations}
    node = {name: name for name in operations}
    for run in problem.runs:
        node.update((name, "run " + run.id) for name in run.operations if name in node)
    waits: dict[str, set[str]] = {name: set() for name in node.values()}
    for operation in problem.operations:
        if operation.state is not State.FIXED:
            waits[node[operation.id]].update(node[p] for p in operation.predecessors if p in node)
    for before, after in lease_order(problem):
        if node[before] != node[after]:
            waits[node[after]].add(node[before])
    # Kahn: what never becomes free of waits lies on a cycle or behind one; going back along waits finds it.
    followers: dict[str, list[str]] = {name: [] for name in waits}
    open_waits = {name: len(before) for name, before in waits.items()}
    for name, before_names in waits.items():
        for before in before_names:
            followers[before].append(name)
    ready = [name for name, count in open_waits.items() if not count]
    while ready:
        for follower in followers[ready.pop()]:
            open_waits[follower] -= 1
            if not open_waits[follower]:
                ready.append(follower)
    stuck = {name for name, count in open_waits.items() if count}
    while stuck:
        path: list[str] = [min(stuck)]
        while path[-1] not in path[:-1]:
            path.append(min(waits[path[-1]] & stuck))
        cycle = path[path.index(path[-1]) :]
        named = next((operations[o] for o in operations if node[o] == cycle[0]), None)
        yield ProblemError(
            reason="waits for itself: " + " after ".join(cycle),
            order_id=named.order_id if named else "",
            operation_id=named.id if named else "",
        )
        stuck = _not_behind(stuck - set(cycle), waits, set(cycle))


def _not_behind(stuck: set[str], waits: dict[str, set[str]], removed: set[str]) -> set[str]:
    """What is still stuck once the ``removed`` nodes are taken as resolved."""
    left = set(stuck)
    changed = True
    while changed:
        free = {name for name in left if not (waits[name] & left)}
        changed = bool(free)
        left -= free
    return left - removed
