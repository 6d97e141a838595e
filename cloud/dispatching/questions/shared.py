"""What is left of crews, tools and vehicles beside work that stays where it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from cloud.dispatching.shop.levels import Taken, left
from cloud.dispatching.shop.problem import Operation, Problem, Resource, Vehicles
from cloud.dispatching.shop.schedule import Assignment, Service, Trip


def left_of_vehicles(vehicles: Vehicles | None, trips: Sequence[Trip]) -> Vehicles | None:
    """The vehicles that ``trips`` leave to others."""
    if vehicles is None:
        return None
    taken = [(trip.start - vehicles.empty, trip.end, 1) for trip in trips]
    return replace(vehicles, levels=left(vehicles.count, vehicles.levels, taken))


def left_of_resources(
    problem: Problem, stays: Mapping[str, Assignment], services: Mapping[str, Service]
) -> tuple[Resource, ...]:
    """The resources without what maintenance takes that stays, and without what is taken while machines are
    changed over for work that stays.

    A frozen operation takes them from its start on only, one that stays from the start of its changeover.
    """
    taken: dict[str, list[Taken]] = {}
    for operation, alternative_needs in _needs(problem, stays):
        a = stays[operation.id]
        if a.changeover_seconds:
            for name, count in alternative_needs.items():
                taken.setdefault(name, []).append((a.occupied_from, a.start, count))
    for task in problem.maintenance:
        service = services.get(task.id)
        if service is None:
            continue
        for name, count in task.needs.items():
            taken.setdefault(name, []).append((service.start, service.end, count))
    return tuple(
        replace(r, levels=left(r.capacity, r.levels, taken[r.id])) if r.id in taken else r
        for r in problem.resources
    )


def _needs(problem: Problem, stays: Mapping[str, Assignment]) -> Iterator[tuple[Operation, dict[str, int]]]:
    """Of each operation or run that stays, what it takes; a run once, by its first operation."""
    runs = {name: run for run in problem.runs for name in run.operations}
    for operation in problem.operations:
        run = runs.get(operation.id)
        if operation.id not in stays or (run is not None and run.operations[0] != operation.id):
            continue
        offered = run.alternatives if run is not None else operation.alternatives
        machine = stays[operation.id].machine
        yield operation, next((a.needs for a in offered if a.machine == machine), {})
