"""What happened in a simulated shop, and whether it could have happened: an independent check.

:func:`impossible` reads the history and the world only and shares no code with the execution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from cloud.dispatching.simulation.world import Order, World


@dataclass(frozen=True, slots=True)
class Done:
    """A machine's work on one operation: changeover from ``taken`` to ``start``, then the run until ``end``.

    ``stopped`` seconds of it the machine was down. ``prepared`` names work the machine was changed over for
    ahead of time, without doing it yet: ``start`` and ``end`` are then the same.
    """

    operation: str
    machine: str
    taken: int
    start: int
    end: int
    stopped: int = 0
    prepared: bool = False


@dataclass(frozen=True, slots=True)
class Replan:
    """A plan made at ``time``: of ``open`` operations that were in the plan before and not frozen, ``moved``
    went elsewhere or are to start at another time. ``seconds`` are the computer's."""

    time: int
    causes: tuple[str, ...]
    open: int
    moved: int
    seconds: float


@dataclass(slots=True)
class History:
    """All that is kept of a run; ``promised`` by order id."""

    world: World
    done: list[Done] = field(default_factory=list)
    promised: dict[str, int] = field(default_factory=dict)
    replans: list[Replan] = field(default_factory=list)
    planned: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By operation the machine and start of the plan in force when it was begun, where there was a plan."""

    def finishes(self) -> dict[str, int]:
        """When each order was finished."""
        ends = {one.operation: one.end for one in self.done if not one.prepared}
        return {order.id: max(ends[o.id] for o in order.operations) for order in self.world.orders}


def impossible(history: History) -> list[str]:
    """Every rule of the shop that a history breaks, in words."""
    world = history.world
    runs: dict[str, Done] = {}
    broken: list[str] = []
    for one in history.done:
        if not one.prepared and runs.setdefault(one.operation, one) is not one:
            broken.append(f"{one.operation} was done twice")
    for order in world.orders:
        broken += _order(world, order, runs)
    for machine in world.machines:
        broken += _machine(world, machine.id, [one for one in history.done if one.machine == machine.id])
    return broken


def _order(world: World, order: Order, runs: Mapping[str, Done]) -> Iterator[str]:
    for operation in order.operations:
        one = runs.get(operation.id)
        if one is None:
            yield f"{operation.id} was never done"
            continue
        if one.taken < order.arrival:
            yield f"{operation.id} began at {one.taken}, its order came at {order.arrival}"
        if operation.alternative(one.machine) is None:
            yield f"{operation.id} cannot run on {one.machine}"
            continue
        real = world.seconds(operation, one.machine)
        down = _overlap(world.breakdowns[one.machine], one.start, one.end)
        if one.end - one.start != real + down:
            yield f"{operation.id} takes {real} s and {down} s of repair, took {one.end - one.start} s"
        for name in operation.predecessors:
            before = runs.get(name)
            way = world.transport if before and before.machine != one.machine else 0
            if before and one.taken < before.end + way:
                yield f"{operation.id} began at {one.taken}, {name} ended at {before.end} and is {way} s away"


def _machine(world: World, name: str, stays: list[Done]) -> Iterator[str]:
    """One thing at a time, begun while people work and the machine is up, changed over as its rules say."""
    machine = next(m for m in world.machines if m.id == name)
    operations = {o.id: o for order in world.orders for o in order.operations}
    stays = sorted(stays, key=lambda stay: (stay.taken, stay.end))
    for before, after in pairwise(stays):
        if after.taken < before.end:
            yield f"{before.operation} and {after.operation} overlap on {name}"
    setup: Mapping[str, str] = {}
    for stay in stays:
        operation = operations[stay.operation]
        if not world.shifts.is_open(stay.taken):
            yield f"{stay.operation} began at {stay.taken} on {name}, nobody works then"
        if any(down <= stay.taken < up for down, up in world.breakdowns[name]):
            yield f"{stay.operation} began at {stay.taken} on {name}, which is down"
        needed = world.changeover(operation, name, machine.changeover(setup, operation.setup))
        needed += _overlap(world.breakdowns[name], stay.taken, stay.start)
        if stay.start - stay.taken != needed:
            yield f"{stay.operation} needs {needed} s of changeover on {name}, got {stay.start - stay.taken}"
        if stay.stopped != _overlap(world.breakdowns[name], stay.taken, stay.end):
            yield f"{stay.operation} was stopped for {stay.stopped} s on {name}, the breakdowns say otherwise"
        setup = operation.setup


def _overlap(spans: tuple[tuple[int, int], ...], start: int, end: int) -> int:
    return sum(max(0, min(end, until) - max(start, since)) for since, until in spans)
