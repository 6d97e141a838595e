"""The published plan left exactly as it is wherever that is possible, and the rest put into its gaps.

What stays is frozen for a moment and the dispatch rules place what is left, so this takes as long as the
change is large and not as the shop is. Nobody's day changes more than it must; what that costs is for the
caller to look at, who has the plans of the rules and the solver beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from cloud.dispatching.construct import construct
from cloud.dispatching.problem import Machine, Operation, Problem, Run, State, Window
from cloud.dispatching.schedule import Assignment, Schedule, Service, Status, evaluate
from cloud.dispatching.violations import violations

ROUNDS = 8
"""Gaps turn out to be useless (no time to change back over): how often to try without them."""


def keep(problem: Problem, plan: Schedule) -> Schedule | None:
    """A plan of ``problem`` that moves as little of ``plan`` as it can; ``None`` where that breaks a rule.

    ``plan`` is the published plan (``problem.published``) with its ends; ``problem`` must make sense.
    """
    services = {
        task.id: service
        for task in problem.maintenance
        if (service := plan.services.get(task.id)) is not None
        and not any(_meet(w, service.start, service.end) for w in _machine(problem, task.machine).unavailable)
    }
    return insert(problem, staying(problem, plan, services), services)


def insert(
    problem: Problem,
    stays: Mapping[str, Assignment],
    services: Mapping[str, Service],
    planner: Callable[[Problem], Schedule] = construct,
) -> Schedule | None:
    """The operations of ``stays`` at exactly their times, ``services`` too, the rest where ``planner`` says.

    ``None`` when the gaps do not serve; every plan it returns passed the validator.
    """
    if problem.vehicles is not None:
        return None  # trips of what stays would have to be frozen as well, and no problem can say that
    closed: dict[str, list[Window]] = {}
    for service in services.values():
        window = Window(start=service.start, end=service.end, reason="maintenance")
        closed.setdefault(service.machine, []).append(window)
    for _ in range(ROUNDS):
        made = planner(_frozen(problem, stays, services, closed))
        assignments = {o.id: made.assignments[o.id] for o in problem.operations}
        placed = {**made.services, **services}
        useless = list(_useless_gaps(problem, assignments, stays))
        if not useless:
            schedule = Schedule(
                assignments=assignments,
                services=placed,
                objective=evaluate(problem, assignments, placed),
                status=Status.CONSTRUCTED,
            )
            return None if violations(problem, schedule) else schedule
        for machine, window in useless:
            closed.setdefault(machine, []).append(window)
    return None


def staying(problem: Problem, plan: Schedule, services: Mapping[str, Service]) -> dict[str, Assignment]:
    """What of ``plan`` can stay where it is; what waits for something that cannot, cannot either."""
    run_of = {name: run for run in problem.runs for name in run.operations}
    found: dict[str, Assignment] = {}
    for operation in problem.operations:
        if operation.state is not State.FIXED:
            assignment = _as_published(problem, operation, run_of.get(operation.id), plan)
            if assignment is not None:
                found[operation.id] = assignment
    for run in problem.runs:
        if len({found.get(name) for name in run.operations}) > 1:  # published apart, or not all of it
            for name in run.operations:
                found.pop(name, None)
    followers: dict[str, list[str]] = {}
    for operation in problem.operations:
        for name in operation.predecessors:
            followers.setdefault(name, []).append(operation.id)
    fixed = {operation.id for operation in problem.operations if operation.state is State.FIXED}
    lost = {o.id for o in problem.operations if o.id not in found and o.id not in fixed}
    while True:
        for name in _behind(lost, followers, run_of):
            found.pop(name, None)
        lost = set(_in_the_way(problem, found, services))
        if not lost:
            return found


class _Stay(NamedTuple):
    """A machine is taken by an operation, a run or (without a set-up) a service."""

    start: int
    end: int
    setup: Mapping[str, str] | None
    names: tuple[str, ...]


def _machine(problem: Problem, name: str) -> Machine:
    return next(machine for machine in problem.machines if machine.id == name)


def _meet(window: Window, start: int, end: int) -> bool:
    return start < window.end and window.start < end


def _as_published(
    problem: Problem, operation: Operation, run: Run | None, plan: Schedule
) -> Assignment | None:
    """Where the published plan has it, if it may still be there as far as it alone is concerned."""
    at = problem.published.get(operation.id)
    if at is None:
        return None
    offered = run.alternatives if run else operation.alternatives
    chosen = next((a for a in offered if a.machine == at.machine), None)
    if chosen is None or at.start < max(problem.now, operation.earliest):
        return None
    pin = operation.pin
    if pin is not None and (pin.machine not in (None, at.machine) or at.start < (pin.start or 0)):
        return None
    if operation.state is State.LEASED and (
        at.machine != operation.machine or (operation.start is not None and at.start < operation.start)
    ):
        return None
    planned = plan.assignments.get(operation.id)
    end = at.start + chosen.seconds
    if planned is not None and (planned.machine, planned.start) == (at.machine, at.start):
        end = max(end, planned.end)  # it may rest over a break
    return Assignment(
        machine=at.machine,
        start=at.start,
        end=end,
        setup_seconds=chosen.setup_seconds,
        run=run.id if run else None,
    )


def _behind(
    lost: Iterable[str], followers: Mapping[str, list[str]], run_of: Mapping[str, Run]
) -> Iterator[str]:
    """``lost``, all that waits for any of it, and who shares a run with it."""
    seen: set[str] = set()
    stack = list(lost)
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        stack += followers.get(name, ())
        if name in run_of:
            stack += run_of[name].operations


def _stays(problem: Problem, assignments: Mapping[str, Assignment]) -> dict[str, list[_Stay]]:
    """What takes each machine, in order of time."""
    run_setup = {run.id: run.setup for run in problem.runs}
    units: dict[tuple[str, str], list[tuple[Operation, Assignment]]] = {}
    for operation in problem.operations:
        a = assignments.get(operation.id)
        if a is not None:
            units.setdefault((a.machine, f"run {a.run}" if a.run else operation.id), []).append(
                (operation, a)
            )
    found: dict[str, list[_Stay]] = {}
    for (machine, _), members in units.items():
        operation, a = members[0]
        setup = run_setup.get(a.run, {}) if a.run else operation.setup
        names = tuple(member.id for member, _ in members)
        found.setdefault(machine, []).append(_Stay(a.start, a.end, setup, names))
    for stays in found.values():
        stays.sort(key=lambda stay: stay[:2])
    return found


def _facts(problem: Problem) -> dict[str, Assignment]:
    return {
        operation.id: Assignment(
            machine=operation.machine or "",
            start=operation.start or 0,
            end=problem.end_of_fixed(operation),
            run=next((run.id for run in problem.runs if operation.id in run.operations), None),
        )
        for operation in problem.operations
        if operation.state is State.FIXED
    }


def _in_the_way(
    problem: Problem, found: Mapping[str, Assignment], services: Mapping[str, Service]
) -> Iterator[str]:
    """What lies in a window, on something else, or has no time left to change over."""
    by_machine = _stays(problem, {**_facts(problem), **found})
    operations = {operation.id: operation for operation in problem.operations}
    for machine in problem.machines:
        stays = by_machine.get(machine.id, [])
        stays += [_Stay(s.start, s.end, None, ()) for s in services.values() if s.machine == machine.id]
        stays.sort(key=lambda stay: stay[:2])
        state: Mapping[str, str] = machine.setup
        free_from = problem.now
        for stay in stays:
            kept = bool(stay.names) and stay.names[0] in found
            if kept:
                needed = machine.changeover(state, stay.setup or {})
                taken = stay.start - needed
                rests = all(operations[name].interruptible for name in stay.names)
                if taken < free_from or any(
                    _meet(window, taken, stay.end)
                    and not (window.pause and rests and stay.start < window.start and window.end < stay.end)
                    for window in machine.unavailable
                ):
                    yield from stay.names
                    continue
            state = state if stay.setup is None else stay.setup
            free_from = max(free_from, stay.end)


def _frozen(
    problem: Problem,
    stays: Mapping[str, Assignment],
    services: Mapping[str, Service],
    closed: Mapping[str, list[Window]],
) -> Problem:
    operations = (
        replace(
            operation,
            state=State.FIXED,
            machine=a.machine,
            start=a.start,
            remaining=a.end - max(a.start, problem.now),
        )
        if (a := stays.get(operation.id)) is not None and operation.state is not State.FIXED
        else operation
        for operation in problem.operations
    )
    return replace(
        problem,
        operations=tuple(operations),
        machines=tuple(
            replace(machine, unavailable=(*machine.unavailable, *closed[machine.id]))
            if machine.id in closed
            else machine
            for machine in problem.machines
        ),
        maintenance=tuple(task for task in problem.maintenance if task.id not in services),
    )


def _useless_gaps(
    problem: Problem, assignments: Mapping[str, Assignment], stays: Mapping[str, Assignment]
) -> Iterator[tuple[str, Window]]:
    """Gaps into which something went, so that what stays behind it cannot be changed over to."""
    by_machine = _stays(problem, assignments)
    settled = {*stays, *(operation.id for operation in problem.operations if operation.state is State.FIXED)}
    for machine in problem.machines:
        state: Mapping[str, str] = machine.setup
        last: _Stay | None = None
        kept_until = problem.now
        for stay in by_machine.get(machine.id, []):
            kept = stay.names[0] in settled
            if kept and last is not None and last.names[0] not in settled:
                taken = stay.start - machine.changeover(state, stay.setup or {})
                if taken < last.end or any(_meet(w, taken, stay.start) for w in machine.unavailable):
                    yield machine.id, Window(start=kept_until, end=stay.start, reason="kept")
            if kept:
                kept_until = max(kept_until, stay.end)
            state, last = stay.setup or {}, stay
