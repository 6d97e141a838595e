"""The published plan left exactly as it is wherever that is possible, and the rest put into its gaps.

Nobody's day changes more than it must; what that costs is for the caller to look at, who has the plans of the
rules and the solver beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cloud.dispatching.questions.gaps import Stay, facts, insert, stays_of
from cloud.dispatching.shop.problem import Machine, Operation, Problem, Run, State
from cloud.dispatching.shop.schedule import Assignment, Schedule, Service


def keep(problem: Problem, plan: Schedule) -> Schedule | None:
    """A plan of ``problem`` that moves as little of ``plan`` as it can; ``None`` where that breaks a rule.

    ``plan`` is the published plan (``problem.published``) with its ends; ``problem`` must make sense.
    """
    services = kept_services(problem, plan)
    return insert(problem, staying(problem, plan, services), services, plan.trips)


def kept_services(problem: Problem, plan: Schedule) -> dict[str, Service]:
    """Maintenance that can stay when it is planned."""
    machines = {machine.id: machine for machine in problem.machines}
    return {
        task.id: service
        for task in problem.maintenance
        if (service := plan.services.get(task.id)) is not None
        and not any(
            service.start < w.end and w.start < service.end for w in machines[task.machine].unavailable
        )
    }


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
    fixed = facts(problem)
    lost = {o.id for o in problem.operations if o.id not in found and o.id not in fixed}
    while True:
        for name in behind(problem, lost):
            found.pop(name, None)
        lost = set(in_the_way(problem, found, fixed, services))
        if not lost:
            return found


def behind(problem: Problem, lost: Iterable[str]) -> Iterator[str]:
    """``lost``, all that waits for any of it, and who shares a run with it."""
    followers: dict[str, list[str]] = {}
    for operation in problem.operations:
        for name in operation.predecessors:
            followers.setdefault(name, []).append(operation.id)
    run_of = {name: run for run in problem.runs for name in run.operations}
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


def in_the_way(
    problem: Problem,
    found: Mapping[str, Assignment],
    firm: Mapping[str, Assignment],
    services: Mapping[str, Service],
) -> Iterator[str]:
    """Of ``found`` what lies in a window, on something else, or has no time left to change over.

    What is ``firm`` stays whatever is in its way.
    """
    by_machine = stays_of(problem, {**firm, **found})
    resting = {operation.id for operation in problem.operations if operation.interruptible}
    for machine in problem.machines:
        stays = by_machine[machine.id]
        stays += [
            Stay(services[task.id].start, services[task.id].end, None, ())
            for task in problem.maintenance
            if task.id in services and task.stops(machine.id)
        ]
        stays.sort(key=lambda stay: stay[:2])
        state: Mapping[str, str] = machine.setup
        free_from = problem.now
        for stay in stays:
            if stay.names and stay.names[0] in found:
                taken = stay.start - machine.changeover(state, stay.setup or {})
                if taken < free_from or _is_closed(machine, taken, stay, resting):
                    yield from stay.names
                    continue
            state = state if stay.setup is None else stay.setup
            free_from = max(free_from, stay.end)


def _is_closed(machine: Machine, taken: int, stay: Stay, resting: set[str]) -> bool:
    may_rest = resting.issuperset(stay.names)
    return any(
        taken < w.end
        and w.start < stay.end
        and not (w.pause and may_rest and stay.start < w.start and w.end < stay.end)
        for w in machine.unavailable
    )


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
    pin = operation.pin if operation.state is State.FREE else None
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
