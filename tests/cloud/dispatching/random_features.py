"""What a random shop may have beside machines and routings, one function for each feature of the problem.

Each takes a problem and returns it with the feature, so a test asks for one alone or for :data:`ALL`. What is
added can be planned: whatever else is decided, everything fits once the last window and level have passed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable

from msgspec.structs import replace

from cloud.dispatching.shop.problem import (
    Alternative,
    Kind,
    Level,
    Machine,
    Maintenance,
    Operation,
    Pin,
    Problem,
    Resource,
    State,
    Transport,
    Vehicles,
    Window,
)

Feature = Callable[[random.Random, Problem, int], Problem]


def with_features(rng: random.Random, problem: Problem, features: Collection[str], second: int) -> Problem:
    """``problem`` with the named features; all times are multiples of ``second``."""
    if unknown := set(features) - ALL:
        raise ValueError(f"no such feature: {sorted(unknown)}; there are {sorted(ALL)}")
    for name, feature in _FEATURES.items():
        if name in features:
            problem = feature(rng, problem, second)
    return problem


def _assembly(rng: random.Random, problem: Problem, second: int) -> Problem:
    """Later steps wait for work of earlier jobs too. First steps wait for nobody: no cycles by runs."""
    operations: list[Operation] = []
    for at, operation in enumerate(problem.operations):
        others = [o.id for o in problem.operations[:at] if o.job_id != operation.job_id]
        if operation.predecessors and others and rng.random() < 0.3:
            other = rng.choice(others)
            lag = {other: second * rng.randint(1, 3)} if rng.random() < 0.3 else {}
            operation = replace(
                operation, predecessors=(*operation.predecessors, other), lags={**operation.lags, **lag}
            )
        operations.append(operation)
    return replace(problem, operations=tuple(operations))


def _pauses(rng: random.Random, problem: Problem, second: int) -> Problem:
    """Breaks on most machines, some of two windows that touch, and work that may rest over them."""
    machines: list[Machine] = []
    for machine in problem.machines:
        windows, at = list(machine.unavailable), rng.randint(2, 8)
        for _ in range(rng.randint(0, 4)):
            length = rng.randint(1, 3)
            parts = [(at, length)] if rng.random() < 0.7 else [(at, 1), (at + 1, length)]
            windows += [
                Window(start=s * second, end=(s + n) * second, reason="break", pause=True) for s, n in parts
            ]
            at += length + rng.randint(3, 12)
        machines.append(replace(machine, unavailable=tuple(windows)))
    operations = tuple(replace(o, interruptible=rng.random() < 0.6) for o in problem.operations)
    return replace(problem, machines=tuple(machines), operations=operations)


def _calendar(rng: random.Random, problem: Problem, second: int) -> Problem:
    """Two shifts with a night between them, which work may not rest over, and a holiday that all share."""
    day, night = rng.randint(15, 30) * second, rng.randint(4, 8) * second
    holiday = Window(start=2 * day + night, end=2 * day + 3 * night, reason="holiday")
    machines = tuple(
        replace(m, unavailable=(*m.unavailable, Window(start=day, end=day + night, reason="night"), holiday))
        if rng.random() < 0.7
        else replace(m, unavailable=(*m.unavailable, holiday))
        for m in problem.machines
    )
    last = max(window.end for machine in machines for window in machine.unavailable)
    return replace(problem, machines=machines, known_until=last + 40 * second)


def _crews(rng: random.Random, problem: Problem, second: int) -> Problem:
    return _resources(rng, problem, second, Kind.CREW, ("fitters", "painters"), share=0.6)


def _tools(rng: random.Random, problem: Problem, second: int) -> Problem:
    return _resources(rng, problem, second, Kind.TOOL, ("jig 7", "clamps"), share=0.4)


def _resources(
    rng: random.Random, problem: Problem, second: int, kind: Kind, names: Iterable[str], share: float
) -> Problem:
    resources = tuple(
        Resource(id=name, capacity=(most := rng.randint(1, 3)), kind=kind, levels=_levels(rng, most, second))
        for name in names
        if rng.random() < 0.8
    )
    known = (*problem.resources, *resources)

    def needing(alternatives: Iterable[Alternative]) -> tuple[Alternative, ...]:
        result: list[Alternative] = []
        for alternative in alternatives:
            needs = dict(alternative.needs)
            needs |= {r.id: rng.randint(0, r.capacity) for r in resources if rng.random() < share}
            result.append(replace(alternative, needs=needs))
        return tuple(result)

    return replace(
        problem,
        resources=known,
        operations=tuple(replace(o, alternatives=needing(o.alternatives)) for o in problem.operations),
        runs=tuple(replace(run, alternatives=needing(run.alternatives)) for run in problem.runs),
    )


def _levels(rng: random.Random, capacity: int, second: int) -> tuple[Level, ...]:
    """Some time with more or less than ``capacity``, perhaps with none; levels may touch."""
    levels, at = [], rng.randint(0, 10)
    for _ in range(rng.randint(0, 3)):
        length = rng.randint(2, 8)
        there = rng.randint(0, capacity + 1)
        levels.append(Level(start=at * second, end=(at + length) * second, capacity=there))
        at += length + rng.choice((0, rng.randint(1, 10)))
    return tuple(levels)


def _vehicles(rng: random.Random, problem: Problem, second: int) -> Problem:
    """Few vehicles, and ways that all take time."""
    count = rng.randint(1, 2)
    return replace(
        problem,
        transports=tuple(
            Transport(origin=t.origin, destination=t.destination, seconds=second * rng.randint(1, 4))
            for t in problem.transports
        ),
        vehicles=Vehicles(
            count=count, empty=second * rng.randint(0, 2), levels=_levels(rng, count, second)[:2]
        ),
    )


def _overlaps(rng: random.Random, problem: Problem, second: int) -> Problem:
    """Lots of several pieces; what does not rest starts after the first pieces of the step before."""
    lots = [replace(o, quantity=rng.randint(1, 10)) for o in problem.operations]
    named = {o.id: o for o in lots}
    operations: list[Operation] = []
    for operation in lots:
        possible = [p for p in operation.predecessors if not named[p].interruptible]
        if not operation.interruptible:
            pieces = {p: rng.randint(1, named[p].quantity) for p in possible if rng.random() < 0.5}
            operation = replace(operation, overlaps=pieces)
        operations.append(operation)
    return replace(problem, operations=tuple(operations))


def _max_lags(rng: random.Random, problem: Problem, second: int) -> Problem:
    """Work that must follow soon after its only predecessor, which hurries one such follower at most.

    A chain of those has one way in, its head, and so can always be planned as a whole after all it waits for.
    Work of a run is left out: what follows its members might need one machine at the same time.
    """
    travel = problem.travel()
    longest = {m.id: _longest_changeover(m) for m in problem.machines}
    grouped = {name for run in problem.runs for name in run.operations}
    named = {o.id: o for o in problem.operations}
    hurried: set[str] = set()
    operations: list[Operation] = []
    for operation in problem.operations:
        before = named[operation.predecessors[0]] if len(operation.predecessors) == 1 else None
        if (
            before is not None
            and before.id not in hurried
            and grouped.isdisjoint((before.id, operation.id))
            and rng.random() < 0.4
        ):
            hurried.add(before.id)
            ways = [
                travel.get((one.machine, other.machine), 0)
                for one in before.alternatives
                for other in operation.alternatives
            ]
            # The same heads may be needed to change over, so that too has its time between the two.
            changeover = max(longest[a.machine] for a in operation.alternatives)
            least = operation.lags.get(before.id, 0) + max(ways, default=0) + changeover
            operation = replace(operation, max_lags={before.id: least + second * rng.randint(0, 6)})
        operations.append(operation)
    return replace(problem, operations=tuple(operations))


def _longest_changeover(machine: Machine) -> int:
    return sum(
        max([rule.seconds, *(s for row in rule.pairs.values() for s in row.values())])
        for rule in machine.changeovers
    )


def _pins(rng: random.Random, problem: Problem, second: int) -> Problem:
    """What a person decided: a machine, a time or both; one machine for all of a run."""
    offered = {name: run for run in problem.runs for name in run.operations}
    of_run: dict[str, str] = {}
    operations: list[Operation] = []
    for operation in problem.operations:
        if operation.state is not State.FIXED and rng.random() < 0.3:
            run = offered.get(operation.id)
            machine: str | None = rng.choice((run or operation).alternatives).machine
            if run is not None:
                machine = of_run.setdefault(run.id, machine or "")
            start: int | None = second * rng.randint(0, 25)
            machine, start = rng.choice(((machine, None), (None, start), (machine, start)))
            operation = replace(operation, pin=Pin(machine=machine, start=start, by="anna"))
        operations.append(operation)
    return replace(problem, operations=tuple(operations))


def _rising_risk(rng: random.Random, problem: Problem, second: int) -> Problem:
    tasks = tuple(replace(t, delay_cost=rng.choice((0, 1, 50, 2000))) for t in problem.maintenance)
    return replace(problem, maintenance=tasks)


def _upkeep(rng: random.Random, problem: Problem, second: int) -> Problem:
    """Mechanics whom services and some work need, whom services share tools with; and shared devices."""
    problem = _resources(rng, problem, second, Kind.CREW, ("mechanics",), share=0.3)
    machines = [machine.id for machine in problem.machines]
    tasks: list[Maintenance] = []
    for task in problem.maintenance:
        needs = {r.id: rng.randint(0, r.capacity) for r in problem.resources if rng.random() < 0.6}
        others = [name for name in machines if name != task.machine]
        also = tuple(rng.sample(others, rng.randint(0, min(2, len(others)))))
        tasks.append(replace(task, needs=needs, also=also))
    return replace(problem, maintenance=tuple(tasks))


_FEATURES: dict[str, Feature] = {
    "assembly": _assembly,
    "pauses": _pauses,
    "calendar": _calendar,
    "crews": _crews,
    "tools": _tools,
    "vehicles": _vehicles,
    "overlaps": _overlaps,
    "max_lags": _max_lags,
    "pins": _pins,
    "rising_risk": _rising_risk,
    "upkeep": _upkeep,
}
"""In the order they are added: overlap is for what does not rest, longest lags know ways and runs; upkeep
needs what there is of crews and tools."""

ALL = frozenset(_FEATURES)
"""The name of every feature."""
