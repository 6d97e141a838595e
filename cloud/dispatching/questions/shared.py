"""What is left of crews, tools and vehicles beside work that stays where it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from msgspec.structs import replace

from cloud.dispatching.shop.problem import Level, Operation, Problem, Resource, Vehicles
from cloud.dispatching.shop.schedule import Assignment, Trip

Taken = tuple[int, int, int]
"""From when until when, how many."""


def left_of_vehicles(vehicles: Vehicles | None, trips: Sequence[Trip]) -> Vehicles | None:
    """The vehicles that ``trips`` leave to others."""
    if vehicles is None:
        return None
    taken = [(trip.start - vehicles.empty, trip.end, 1) for trip in trips]
    return replace(vehicles, levels=_left(vehicles.count, vehicles.levels, taken))


def left_of_resources(problem: Problem, stays: Mapping[str, Assignment]) -> tuple[Resource, ...]:
    """The resources without what is taken while machines are changed over for work that stays.

    A frozen operation takes them from its start on only, one that stays from the start of its changeover.
    """
    taken: dict[str, list[Taken]] = {}
    for operation, alternative_needs in _needs(problem, stays):
        a = stays[operation.id]
        if a.changeover_seconds:
            for name, count in alternative_needs.items():
                taken.setdefault(name, []).append((a.occupied_from, a.start, count))
    return tuple(
        replace(r, levels=_left(r.capacity, r.levels, taken[r.id])) if r.id in taken else r
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


def _left(count: int, levels: Iterable[Level], taken: Sequence[Taken]) -> tuple[Level, ...]:
    """Levels of what is left: one for each stretch in which it is not simply ``count``."""
    known = sorted(levels, key=lambda level: level.start)
    times = sorted(
        {time for start, end, _ in taken for time in (start, end)}
        | {time for level in known for time in (level.start, level.end)}
    )
    used = dict.fromkeys(times, 0)
    for start, end, amount in taken:
        used[start] += amount
        used[end] -= amount
    result: list[Level] = []
    busy = at = 0
    for time, until in pairwise(times):
        busy += used[time]
        while at < len(known) and known[at].end <= time:
            at += 1
        level = known[at] if at < len(known) and known[at].start <= time else None
        there = count if level is None else level.capacity
        if there - busy != count:
            result.append(Level(start=time, end=until, capacity=max(0, there - busy)))
    return tuple(result)
