"""Machines that fail, work longer, or are chosen by a person: problem in, problem out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from msgspec.structs import replace

from cloud.dispatching.questions.changes import MachineDown, OtherHeads, Overtime, PinnedOperation
from cloud.dispatching.questions.refused import Refused, unknown
from cloud.dispatching.shop.problem import Level, Machine, Pin, Problem, Resource, State, Window


def take_down(problem: Problem, change: MachineDown) -> Problem:
    """The machine is unavailable for a while more."""
    reasons = _span(problem, change.start, change.end)
    names = [machine.id for machine in problem.machines]
    if change.machine not in names:
        reasons.append(unknown("machine", change.machine, names))
    if reasons:
        raise Refused(*reasons)
    window = Window(start=change.start, end=change.end, reason=change.reason)
    return replace(
        problem,
        machines=tuple(
            replace(machine, unavailable=(*machine.unavailable, window))
            if machine.id == change.machine
            else machine
            for machine in problem.machines
        ),
    )


def open_up(problem: Problem, change: Overtime) -> Problem:
    """Windows within the overtime fall away; what sticks out of it stays."""
    reasons = _span(problem, change.start, change.end)
    names = [machine.id for machine in problem.machines]
    reasons += [unknown("machine", name, names) for name in change.machines if name not in names]
    wanted = set(change.machines or names)
    machines = tuple(
        _opened(machine, change) if machine.id in wanted else machine for machine in problem.machines
    )
    if not reasons and machines == problem.machines:
        which = ", ".join(change.machines) if change.machines else "every machine"
        closed = f" closed for {' or '.join(change.reasons)}" if change.reasons else " closed"
        reasons.append(
            f"overtime gains nothing: {which} is never{closed} from {change.start} to {change.end}"
        )
    if reasons:
        raise Refused(*reasons)
    return replace(problem, machines=machines)


def _opened(machine: Machine, change: Overtime) -> Machine:
    left = tuple(part for window in machine.unavailable for part in _left(window, change))
    if left == machine.unavailable:
        return machine
    return replace(machine, unavailable=left, overtime=(*machine.overtime, *_worked(machine, change, left)))


def _worked(machine: Machine, change: Overtime, left: Iterable[Window]) -> Iterator[Window]:
    """The time that the overtime gains: within it something was closed, and nothing is any more."""
    closed = sorted({time for w in (*machine.unavailable, *left) for time in (w.start, w.end)})
    cuts = [change.start, *(time for time in closed if change.start < time < change.end), change.end]
    for start, end in pairwise(cuts):
        was = any(w.start <= start and end <= w.end for w in machine.unavailable)
        if was and not any(w.start < end and start < w.end for w in left):
            yield Window(start=start, end=end, reason="overtime")


def _left(window: Window, change: Overtime) -> Iterator[Window]:
    apart = window.end <= change.start or change.end <= window.start
    if apart or (change.reasons and window.reason not in change.reasons):
        yield window
        return
    if window.start < change.start:
        yield replace(window, end=change.start)
    if change.end < window.end:
        yield replace(window, start=change.end)


def staff(problem: Problem, change: OtherHeads) -> Problem:
    """More or fewer of a resource for a while, on top of (or less than) what there is at each time."""
    reasons = _span(problem, change.start, change.end)
    names = [resource.id for resource in problem.resources]
    resource = next((r for r in problem.resources if r.id == change.resource), None)
    if change.more == 0:
        reasons.append(f"nothing changes for {change.resource}: name how many more or fewer there are")
    if resource is None:
        reasons.append(unknown("crew or tool", change.resource, names))
    elif not reasons:
        least = min(capacity for _, _, capacity in _capacities(resource, change))
        if least + change.more < 0:
            reasons.append(f"{-change.more} of {resource.id} cannot be missing: at times there is {least}")
    if reasons or resource is None:
        raise Refused(*reasons)
    levels = [
        part for level in resource.levels for part in _outside(level.start, level.end, level.capacity, change)
    ]
    levels += [
        Level(start=start, end=end, capacity=capacity + change.more)
        for start, end, capacity in _capacities(resource, change)
    ]
    levels.sort(key=lambda level: level.start)
    staffed = replace(resource, levels=tuple(levels))
    return replace(
        problem, resources=tuple(staffed if r.id == change.resource else r for r in problem.resources)
    )


def _capacities(resource: Resource, change: OtherHeads) -> Iterator[tuple[int, int, int]]:
    """(start, end, how many there are) within the change, by its levels and between them."""
    at = change.start
    for level in sorted(resource.levels, key=lambda level: level.start):
        start, end = max(level.start, at), min(level.end, change.end)
        if start >= end:
            continue
        if at < start:
            yield at, start, resource.capacity
        yield start, end, level.capacity
        at = end
    if at < change.end:
        yield at, change.end, resource.capacity


def _outside(start: int, end: int, capacity: int, change: OtherHeads) -> Iterator[Level]:
    for since, until in ((start, min(end, change.start)), (max(start, change.end), end)):
        if since < until:
            yield Level(start=since, end=until, capacity=capacity)


def pin(problem: Problem, change: PinnedOperation) -> Problem:
    """The operation goes where and starts when the change says; an earlier pin stands otherwise."""
    operation = next((o for o in problem.operations if o.id == change.operation), None)
    if operation is None:
        raise Refused(unknown("operation", change.operation, (o.id for o in problem.operations)))
    if operation.state is not State.FREE:
        raise Refused(f"{operation.id} is {operation.state} on {operation.machine} and cannot be pinned")
    if change.machine is None and change.start is None:
        raise Refused(f"{operation.id} is pinned to nothing: name a machine or a start")
    run = next((r for r in problem.runs if operation.id in r.operations), None)
    offered = [a.machine for a in (run.alternatives if run else operation.alternatives)]
    if change.machine is not None and change.machine not in offered:
        names = [machine.id for machine in problem.machines]
        raise Refused(
            f"{operation.id} cannot run on {change.machine}; it can on {', '.join(offered)}"
            if change.machine in names
            else unknown("machine", change.machine, names)
        )
    before = operation.pin or Pin()
    pinned = Pin(
        machine=before.machine if change.machine is None else change.machine,
        start=before.start if change.start is None else change.start,
        by="scenario",
    )
    return replace(
        problem,
        operations=tuple(replace(o, pin=pinned) if o.id == operation.id else o for o in problem.operations),
    )


def _span(problem: Problem, start: int, end: int) -> list[str]:
    if end <= start:
        return [f"it ends at {end}, not after its start {start}"]
    if end <= problem.now:
        return [f"it ends at {end}, and now is {problem.now}: it is over already"]
    return []
