"""What work waits for that machines share: heads of a crew, tools, a vehicle. Reads problem and plan only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from cloud.dispatching.shop.problem import (
    Alternative,
    Kind,
    Level,
    Maintenance,
    Operation,
    Problem,
    Resource,
)
from cloud.dispatching.shop.schedule import Assignment, Schedule
from cloud.dispatching.shop.shared_violations import interruptible, pauses_of


class SharedWait(NamedTuple):
    """Before ``until`` there was too little of ``resource``; ``other`` had it until then, if anybody did."""

    until: int
    resource: str
    other: str = ""


def scarce(problem: Problem, schedule: Schedule, members: list[Operation]) -> Iterator[SharedWait]:
    """Resources of which there was too little just before ``members`` took theirs, changeover included."""
    first = members[0]
    planned = schedule.assignments[first.id]
    since = planned.start - planned.changeover_seconds
    needs = _needs(problem, first, planned)
    for resource, other in _short(problem, schedule, needs, since, {m.id for m in members}):
        yield SharedWait(planned.start, resource.label or resource.id, other)


def short_of(problem: Problem, schedule: Schedule, task: Maintenance, start: int) -> Iterator[SharedWait]:
    """Resources of which there was too little for a maintenance just before it begins at ``start``."""
    for resource, other in _short(problem, schedule, task.needs, start, {task.id}):
        yield SharedWait(start, resource.label or resource.id, other)


def _short(
    problem: Problem, schedule: Schedule, needs: Mapping[str, int], since: int, own: set[str]
) -> Iterator[tuple[Resource, str]]:
    """Of what is needed, what there is too little of just before ``since``, and who had it until then."""
    for resource in problem.resources:
        need = needs.get(resource.id, 0)
        if not need:
            continue
        holders = [*_holders(problem, schedule, resource, since - 1, own)]
        taken = sum(amount for amount, _, _ in holders)
        if taken + need > _there(resource, since - 1):
            yield resource, next((name for _, end, name in holders if end == since), "")


def carried(schedule: Schedule, problem: Problem, members: list[Operation]) -> Iterator[SharedWait]:
    """Trips that set out later than what they carry was ready."""
    lags = {(m.id, name): m.lags.get(name, 0) for m in members for name in m.predecessors}
    for trip in schedule.trips:
        lag = lags.get((trip.operation, trip.predecessor))
        if lag is not None and trip.start > schedule.assignments[trip.predecessor].end + lag:
            yield SharedWait(trip.end, "vehicle", trip.predecessor)


def _needs(problem: Problem, operation: Operation, planned: Assignment) -> Mapping[str, int]:
    offered: Iterable[Alternative] = operation.alternatives
    for run in problem.runs:
        if operation.id in run.operations:
            offered = run.alternatives
    return next((a.needs for a in offered if a.machine == planned.machine), {})


def _holders(
    problem: Problem, schedule: Schedule, resource: Resource, at: int, own: set[str]
) -> Iterator[tuple[int, int, str]]:
    """Amount, until when, and name of what has some of ``resource`` at a moment; each run once.

    A crew is given back when the work ends, or rests before.
    """
    for task in problem.maintenance:
        service, amount = schedule.services.get(task.id), task.needs.get(resource.id, 0)
        if amount and service is not None and service.start <= at < service.end and task.id not in own:
            yield amount, service.end, task.id
    rests = interruptible(problem) if resource.kind is Kind.CREW else set()
    pauses = {machine.id: pauses_of(machine) for machine in problem.machines} if rests else {}
    runs: set[str] = set()
    for operation in problem.operations:
        planned = schedule.assignments[operation.id]
        if operation.id in own or not planned.start - planned.changeover_seconds <= at < planned.end:
            continue
        if planned.run is not None and planned.run in runs:
            continue
        runs.add(planned.run or operation.id)
        resting = operation.id in rests and any(
            start <= at < end for start, end in pauses.get(planned.machine, ())
        )
        amount = _needs(problem, operation, planned).get(resource.id, 0)
        if amount and not resting:
            around = pauses.get(planned.machine, ()) if operation.id in rests else ()
            free_at = (start for start, end in around if at < start and end < planned.end)
            yield amount, min(free_at, default=planned.end), operation.id


def _there(resource: Resource, at: int) -> int:
    """How much there is of a resource at a moment."""
    level: Level | None = next((x for x in resource.levels if x.start <= at < x.end), None)
    return resource.capacity if level is None else level.capacity
