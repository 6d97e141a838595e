"""Refuses what makes no sense about the resources that machines share, and about vehicles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from msgspec import Struct

from cloud.dispatching.shop.problem import Alternative, Level, Problem, State


class ProblemError(Struct, frozen=True, kw_only=True):
    """One piece of nonsense: which order and operation (empty where none), what is wrong, in words."""

    reason: str
    order_id: str = ""
    operation_id: str = ""

    def __str__(self) -> str:
        where = f"order {self.order_id}, operation {self.operation_id}: " if self.operation_id else ""
        return where + self.reason


def shared_errors(problem: Problem) -> Iterator[ProblemError]:
    """Everything that is wrong with resources, with what work needs of them, and with vehicles."""
    for resource in problem.resources:
        yield from _level_errors(f"resource {resource.id!r}", resource.capacity, resource.levels)
    if problem.vehicles is not None:
        yield from _level_errors("vehicles", problem.vehicles.count, problem.vehicles.levels)
        if problem.vehicles.count < 1:
            yield ProblemError(reason="vehicles are limited to none: leave them out where nobody needs one")
        if problem.vehicles.empty < 0:
            yield ProblemError(reason=f"vehicles come empty in {problem.vehicles.empty} s, less than 0")
    most = {r.id: r.capacity for r in problem.resources}
    covering = {name for run in problem.runs for name in run.operations}
    for operation in problem.operations:
        if operation.id not in covering:
            for reason in _need_reasons(_needs(operation.alternatives), most, operation.state is State.FIXED):
                yield ProblemError(reason=reason, order_id=operation.order_id, operation_id=operation.id)
    fixed = {o.id for o in problem.operations if o.state is State.FIXED}
    for run in problem.runs:
        for reason in _need_reasons(_needs(run.alternatives), most, not fixed.isdisjoint(run.operations)):
            yield ProblemError(reason=f"run {run.id!r} {reason}")
    for task in problem.maintenance:
        for reason in _need_reasons([(task.machine, task.needs)], most, fixed=False):
            yield ProblemError(reason=f"maintenance {task.id!r} {reason}")


def _level_errors(name: str, capacity: int, levels: tuple[Level, ...]) -> Iterator[ProblemError]:
    if capacity < 0:
        yield ProblemError(reason=f"{name}: a capacity of {capacity} is less than 0")
    for level in levels:
        if level.end <= level.start:
            yield ProblemError(reason=f"{name}: a level from {level.start} ends at {level.end}")
        if level.capacity < 0:
            yield ProblemError(reason=f"{name}: a capacity of {level.capacity} is less than 0")
    for one, other in pairwise(sorted(levels, key=lambda level: level.start)):
        if other.start < one.end:
            yield ProblemError(reason=f"{name}: the levels from {one.start} and from {other.start} overlap")


def _needs(alternatives: Iterable[Alternative]) -> Iterator[tuple[str, dict[str, int]]]:
    return ((alternative.machine, alternative.needs) for alternative in alternatives)


def _need_reasons(
    needs: Iterable[tuple[str, dict[str, int]]], most: dict[str, int], fixed: bool
) -> Iterator[str]:
    """What is wrong with the needs on each machine. A need that only a level can meet is nonsense too:
    levels end.
    """
    for machine, wanted in needs:
        for name, amount in wanted.items():
            if name not in most:
                yield f"needs the unknown resource {name!r} on machine {machine!r}"
            elif amount < 0:
                yield f"needs {amount} of {name!r} on machine {machine!r}, less than 0"
            elif amount > most[name] and not fixed:
                yield f"needs {amount} of {name!r} on machine {machine!r}, of which there are {most[name]}"
