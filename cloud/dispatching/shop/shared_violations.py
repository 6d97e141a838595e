"""What a plan takes of what machines share, held against how much there is: crews, tools and vehicles.

A part of the independent validator (:mod:`~cloud.dispatching.shop.violations`), of which the same is true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from cloud.dispatching.shop.problem import Kind, Level, Machine, Problem, State
from cloud.dispatching.shop.schedule import Schedule, Trip


class _Taking(Struct, frozen=True):
    """``amount`` is taken from ``start`` to ``end``; a fact is not held against others."""

    start: int
    end: int
    amount: int
    name: str
    fixed: bool = False


def pauses_of(machine: Machine) -> list[tuple[int, int]]:
    """The machine's pauses, in order and joined where they touch."""
    joined: list[tuple[int, int]] = []
    for window in sorted((w for w in machine.unavailable if w.pause), key=lambda w: w.start):
        if joined and window.start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], window.end)
        else:
            joined.append((window.start, window.end))
    return joined


def resting(pauses: Iterable[tuple[int, int]], start: int, end: int) -> int:
    """Seconds of ``pauses`` between ``start`` and ``end``."""
    return sum(max(0, min(end, until) - max(start, since)) for since, until in pauses)


def interruptible(problem: Problem) -> set[str]:
    """Operations that may rest over pauses; those of a run only if all of it may."""
    may = {operation.id for operation in problem.operations if operation.interruptible}
    for run in problem.runs:
        if not may.issuperset(run.operations):
            may.difference_update(run.operations)
    return may


def shared_violations(problem: Problem, schedule: Schedule) -> Iterator[str]:
    """Every limit of a shared resource and of the vehicles that ``schedule`` does not keep."""
    takings: dict[str, list[_Taking]] = {resource.id: [] for resource in problem.resources}
    if takings:
        for taking, taken_of in _takings(problem, schedule):
            takings[taken_of].append(taking)
    for resource in problem.resources:
        yield from _overdrawn(resource.id, resource.capacity, resource.levels, takings[resource.id])
    if problem.vehicles is None:
        yield from (f"{trip.operation} has a trip, but vehicles are not limited" for trip in schedule.trips)
        return
    yield from _trips(problem, schedule)
    empty = problem.vehicles.empty
    taken = [_Taking(t.start - empty, t.end, 1, f"the trip to {t.operation}") for t in schedule.trips]
    yield from _overdrawn("vehicles", problem.vehicles.count, problem.vehicles.levels, taken)


def _takings(problem: Problem, schedule: Schedule) -> Iterator[tuple[_Taking, str]]:
    """What each operation, run or maintenance takes, and of which resource; crews are free over pauses.

    Fixed work takes it from its start on: how long its changeover is follows from what is planned before it.
    """
    for task in problem.maintenance:
        service = schedule.services.get(task.id)
        if service is not None:
            for resource, amount in task.needs.items():
                yield _Taking(service.start, service.end, amount, f"maintenance {task.id}"), resource
    assignments = schedule.assignments
    covering = {name: run for run in problem.runs for name in run.operations}
    kinds = {resource.id: resource.kind for resource in problem.resources}
    pauses = {machine.id: pauses_of(machine) for machine in problem.machines}
    may_rest = interruptible(problem)
    seen: set[str] = set()
    for operation in problem.operations:
        run, planned = covering.get(operation.id), assignments[operation.id]
        name = f"run {run.id}" if run is not None else operation.id
        if name in seen:
            continue
        seen.add(name)
        offered = run.alternatives if run is not None else operation.alternatives
        chosen = next((a for a in offered if a.machine == planned.machine), None)
        fixed = operation.state is State.FIXED
        rests = pauses.get(planned.machine, []) if operation.id in may_rest else []
        since = planned.start if fixed else planned.start - planned.changeover_seconds
        for resource, amount in (chosen.needs if chosen is not None else {}).items():
            at = since
            for start, end in rests if kinds.get(resource) is Kind.CREW else ():
                if at < start and end < planned.end:
                    yield _Taking(at, start, amount, name, fixed), resource
                    at = end
            yield _Taking(at, planned.end, amount, name, fixed), resource


def _overdrawn(
    name: str, capacity: int, levels: Iterable[Level], takings: Iterable[_Taking]
) -> Iterator[str]:
    """Where more is taken than there is, and not by facts alone."""
    work = [taking for taking in takings if taking.start < taking.end and taking.amount]
    steps: dict[int, int] = {}
    for taking in work:
        steps[taking.start] = steps.get(taking.start, 0) + taking.amount
        steps[taking.end] = steps.get(taking.end, 0) - taking.amount
    changes = sorted(levels, key=lambda level: level.start)
    for level in changes:
        steps.setdefault(level.start, 0)
        steps.setdefault(level.end, 0)
    taken = at = 0
    for time in sorted(steps):
        taken += steps[time]
        while at < len(changes) and changes[at].end <= time:
            at += 1
        now = changes[at] if at < len(changes) else None
        there = now.capacity if now is not None and now.start <= time else capacity
        if taken > there:
            here = [x.name for x in work if x.start <= time < x.end and not x.fixed]
            if here:
                yield f"{taken} of {name} are taken at {time}, there are {there}: {', '.join(here)}"


def _trips(problem: Problem, schedule: Schedule) -> Iterator[str]:
    """One trip for each way that material must take, between the end before and the start after it."""
    travel = problem.travel()
    empty = problem.vehicles.empty if problem.vehicles is not None else 0
    planned: dict[tuple[str, str], Trip] = {}
    for trip in schedule.trips:
        key = trip.operation, trip.predecessor
        if key in planned:
            yield f"two trips bring {trip.operation} what {trip.predecessor} made"
        planned[key] = trip
    for operation in problem.operations:
        after = schedule.assignments[operation.id]
        for name in operation.predecessors if operation.state is not State.FIXED else ():
            before = schedule.assignments[name]
            seconds = travel.get((before.machine, after.machine), 0)
            by_hand = name in operation.overlaps and before.run is None and after.run is None
            trip_made = planned.pop((operation.id, name), None)
            if not seconds or by_hand:
                if trip_made is not None:
                    yield f"{operation.id} needs no trip from {name}"
                continue
            if trip_made is None:
                yield f"no trip brings {operation.id} what {name} made"
                continue
            ready = max(before.end + operation.lags.get(name, 0), problem.now + empty)
            if trip_made.end - trip_made.start != seconds:
                yield f"the trip from {name} to {operation.id} takes {seconds} s"
            if trip_made.start < ready:
                yield f"the trip from {name} to {operation.id} sets out at {trip_made.start}, before {ready}"
            if trip_made.end > after.start:
                yield f"{operation.id} starts at {after.start}, before its trip arrives at {trip_made.end}"
    yield from (f"the trip from {name} to {operation} is for nobody" for operation, name in planned)
