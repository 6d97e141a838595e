"""Machines that fail, work longer, or are chosen by a person: problem in, problem out."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from cloud.dispatching.problem import Machine, Problem, State, Window
from cloud.dispatching.questions.changes import MachineDown, Overtime, PinnedOperation
from cloud.dispatching.questions.refused import Refused, unknown


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
    return replace(
        machine, unavailable=tuple(part for window in machine.unavailable for part in _left(window, change))
    )


def _left(window: Window, change: Overtime) -> Iterator[Window]:
    apart = window.end <= change.start or change.end <= window.start
    if apart or (change.reasons and window.reason not in change.reasons):
        yield window
        return
    if window.start < change.start:
        yield replace(window, end=change.start)
    if change.end < window.end:
        yield replace(window, start=change.end)


def pin(problem: Problem, change: PinnedOperation) -> Problem:
    """The operation (or the run that covers it) has no other machine any more."""
    operation = next((o for o in problem.operations if o.id == change.operation), None)
    if operation is None:
        raise Refused(unknown("operation", change.operation, (o.id for o in problem.operations)))
    if operation.state is not State.FREE:
        raise Refused(f"{operation.id} is {operation.state} on {operation.machine} and cannot be pinned")
    run = next((r for r in problem.runs if operation.id in r.operations), None)
    offered = run.alternatives if run else operation.alternatives
    chosen = tuple(a for a in offered if a.machine == change.machine)
    if not chosen:
        names = [machine.id for machine in problem.machines]
        can = ", ".join(a.machine for a in offered)
        raise Refused(
            f"{operation.id} cannot run on {change.machine}; it can on {can}"
            if change.machine in names
            else unknown("machine", change.machine, names)
        )
    if run is not None:
        fixed = replace(run, alternatives=chosen)
        return replace(problem, runs=tuple(fixed if r is run else r for r in problem.runs))
    pinned = replace(operation, alternatives=chosen)
    return replace(problem, operations=tuple(pinned if o is operation else o for o in problem.operations))


def _span(problem: Problem, start: int, end: int) -> list[str]:
    if end <= start:
        return [f"it ends at {end}, not after its start {start}"]
    if end <= problem.now:
        return [f"it ends at {end}, and now is {problem.now}: it is over already"]
    return []
