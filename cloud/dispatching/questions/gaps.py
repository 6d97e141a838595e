"""Work put into the gaps of a plan whose other work stays exactly where it is.

What stays is frozen for a moment and a planner places the rest. Only the machines that the rest could use are
looked at, so this takes as long as the change is large and not as the shop is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from cloud.dispatching.questions.shared import left_of_resources, left_of_vehicles
from cloud.dispatching.shop.problem import Operation, Problem, State, Window
from cloud.dispatching.shop.schedule import Assignment, Schedule, Service, Status, Trip, evaluate
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct

ROUNDS = 8
"""Gaps turn out to be useless (no time to change back over): how often to try without them."""

Planner = Callable[[Problem], Schedule]


class Stay(NamedTuple):
    """A machine is taken by an operation, a run or (with neither names nor set-up) a service."""

    start: int
    end: int
    setup: Mapping[str, str] | None
    names: tuple[str, ...]


def stays_of(problem: Problem, assignments: Mapping[str, Assignment]) -> dict[str, list[Stay]]:
    """What takes each machine, in order of time."""
    run_setup = {run.id: run.setup for run in problem.runs}
    units: dict[tuple[str, str], list[tuple[Operation, Assignment]]] = {}
    for operation in problem.operations:
        a = assignments.get(operation.id)
        if a is not None:
            unit = f"run {a.run}" if a.run else operation.id
            units.setdefault((a.machine, unit), []).append((operation, a))
    found: dict[str, list[Stay]] = {machine.id: [] for machine in problem.machines}
    for (machine, _), members in units.items():
        operation, a = members[0]
        setup = run_setup.get(a.run, {}) if a.run else operation.setup
        names = tuple(member.id for member, _ in members)
        found.setdefault(machine, []).append(Stay(a.start, a.end, setup, names))
    for stays in found.values():
        stays.sort(key=lambda stay: stay[:2])
    return found


def facts(problem: Problem) -> dict[str, Assignment]:
    """Where frozen work is, by operation."""
    runs = {name: run for run in problem.runs for name in run.operations}
    ends = {o.id: problem.end_of_fixed(o) for o in problem.operations if o.state is State.FIXED}
    found: dict[str, Assignment] = {}
    for operation in problem.operations:
        if operation.id not in ends or operation.machine is None or operation.start is None:
            continue
        run = runs.get(operation.id)
        end = max(ends[name] for name in (run.operations if run else (operation.id,)))
        offered = run.alternatives if run else operation.alternatives
        setup_seconds = next((a.setup_seconds for a in offered if a.machine == operation.machine), 0)
        found[operation.id] = Assignment(
            machine=operation.machine,
            start=operation.start,
            end=end,
            setup_seconds=min(setup_seconds, end - operation.start),
            run=run.id if run else None,
        )
    return found


def insert(
    problem: Problem,
    stays: Mapping[str, Assignment],
    services: Mapping[str, Service],
    trips: Iterable[Trip] = (),
    planner: Planner = construct,
) -> Schedule | None:
    """The operations of ``stays`` at exactly their times, ``services`` too, the rest where ``planner`` says.

    ``trips`` are those of the plan that ``stays`` come from.

    ``None`` when the gaps do not serve; every plan it returns passed the validator.
    """
    settled = _changed_over(problem, {**stays, **facts(problem)})
    bound = tuple(trip for trip in trips if trip.operation in stays and trip.predecessor in settled)
    problem_of_rest = replace(
        problem,
        resources=left_of_resources(problem, {name: settled[name] for name in stays}, services),
        vehicles=left_of_vehicles(problem.vehicles, bound),
    )
    closed: dict[str, list[Window]] = {}
    for task in problem.maintenance:
        service = services.get(task.id)
        if service is None:
            continue
        window = Window(start=service.start, end=service.end, reason="maintenance")
        for machine in (task.machine, *task.also):
            closed.setdefault(machine, []).append(window)
    for _ in range(ROUNDS):
        made = planner(rest(problem_of_rest, settled, services, closed))
        assignments = {o.id: settled.get(o.id) or made.assignments[o.id] for o in problem.operations}
        useless = list(_useless_gaps(problem, assignments, settled))
        if not useless:
            placed = {**made.services, **services}
            assignments = _changed_over(problem, assignments)
            schedule = Schedule(
                assignments=assignments,
                services=placed,
                trips=(*bound, *made.trips),
                objective=evaluate(problem, assignments, placed),
                status=Status.CONSTRUCTED,
            )
            return None if violations(problem, schedule) else schedule
        for machine, window in useless:
            closed.setdefault(machine, []).append(window)
    return None


def rest(
    problem: Problem,
    settled: Mapping[str, Assignment],
    services: Mapping[str, Service],
    closed: Mapping[str, list[Window]],
) -> Problem:
    """The problem of what is not settled: the machines it could use, what is settled there or before it.

    ``services`` are done; on the machines ``closed`` there are these windows more.
    """
    run_of = {name: run for run in problem.runs for name in run.operations}
    machines: set[str] = set()
    wanted: set[str] = set()
    for operation in problem.operations:
        if operation.id not in settled:
            run = run_of.get(operation.id)
            machines.update(a.machine for a in (run.alternatives if run else operation.alternatives))
            wanted.update((operation.id, *operation.predecessors))
    for task in problem.maintenance:
        if task.id not in services:
            machines.update((task.machine, *task.also))
    everything = bool(problem.resources or problem.vehicles)  # who shares a crew may be on any machine
    wanted.update(name for name, a in settled.items() if everything or a.machine in machines)
    for name in list(wanted):
        if name in run_of:
            wanted.update(run_of[name].operations)
    machines.update(a.machine for name, a in settled.items() if name in wanted)
    return replace(
        problem,
        operations=tuple(
            _frozen(problem, operation, settled[operation.id]) if operation.id in settled else operation
            for operation in problem.operations
            if operation.id in wanted
        ),
        runs=tuple(run for run in problem.runs if wanted.issuperset(run.operations)),
        machines=tuple(
            replace(machine, unavailable=(*machine.unavailable, *closed.get(machine.id, ())))
            for machine in problem.machines
            if machine.id in machines
        ),
        maintenance=tuple(task for task in problem.maintenance if task.id not in services),
        published={name: at for name, at in problem.published.items() if name in wanted},
    )


def _frozen(problem: Problem, operation: Operation, a: Assignment) -> Operation:
    """``operation`` as a fact; what it waited for does not matter any more."""
    return replace(
        operation,
        state=State.FIXED,
        machine=a.machine,
        start=a.start,
        remaining=a.end - max(a.start, problem.now),
        alternatives=tuple(offered for offered in operation.alternatives if offered.machine == a.machine),
        predecessors=(),
        lags={},
        max_lags={},
        overlaps={},
        pin=None,
    )


def _useless_gaps(
    problem: Problem, assignments: Mapping[str, Assignment], settled: Mapping[str, Assignment]
) -> Iterator[tuple[str, Window]]:
    """Gaps into which something went, so that what stays behind it cannot be changed over to."""
    by_machine = stays_of(problem, assignments)
    for machine in problem.machines:
        state: Mapping[str, str] = machine.setup
        last: Stay | None = None
        kept_until = problem.now
        for stay in by_machine[machine.id]:
            kept = stay.names[0] in settled
            if kept and last is not None and last.names[0] not in settled:
                taken = stay.start - machine.changeover(state, stay.setup or {})
                if taken < last.end or any(
                    taken < w.end and w.start < stay.start for w in machine.unavailable
                ):
                    yield machine.id, Window(start=kept_until, end=stay.start, reason="kept")
            if kept:
                kept_until = max(kept_until, stay.end)
            state, last = stay.setup or {}, stay


def _changed_over(problem: Problem, assignments: Mapping[str, Assignment]) -> dict[str, Assignment]:
    """With the changeovers that the order of work demands; before frozen work, what fits."""
    frozen = {operation.id for operation in problem.operations if operation.state is State.FIXED}
    result = dict(assignments)
    by_machine = stays_of(problem, assignments)
    for machine in problem.machines:
        state: Mapping[str, str] = machine.setup
        last: Stay | None = None
        for stay in by_machine[machine.id]:
            seconds = machine.changeover(state, stay.setup or {})
            if stay.names[0] in frozen and stay.start <= problem.now:
                seconds = 0
            elif stay.names[0] in frozen and (last is None or last.names[0] in frozen):
                free_from = max(problem.now, last.end if last else problem.now)
                seconds = max(0, min(seconds, stay.start - free_from))
            for name in stay.names:
                result[name] = replace(result[name], changeover_seconds=seconds)
            state, last = stay.setup or {}, stay
    return result
