"""The validator's sweeps against a look at every single second, on plans that chance made."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest

from cloud.dispatching.shop.problem import Alternative, Kind, Level, Machine, Operation, Problem, Run, State
from cloud.dispatching.shop.schedule import Assignment, Schedule, Service, Trip
from cloud.dispatching.shop.violations import violations
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop

Broken = tuple[str, ...]
"""What is broken: the kind of rule, then whose."""

SAID: tuple[tuple[str, str], ...] = (
    (r"(?:.+) is on (.+) while it is unavailable .+", "closed"),
    (r"(?:.+) and (?:.+) overlap on (.+)", "taken twice"),
    (r"(.+) takes \d+ s on (?:.+), planned -?\d+ s", "worked"),
    (r"\d+ of (.+) are taken at -?\d+, there are \d+: .+", "too few"),
    (r"(.+) starts at -?\d+, but its predecessor (.+) ends at .+", "too early"),
    (r"(.+) starts at -?\d+, but \d+ pieces of (.+) are done at .+", "too early"),
    (r"(.+) ends at -?\d+, but its last pieces come from (.+) at .+", "ends too early"),
    (r"(.+) starts at -?\d+, more than \d+ s after its predecessor (.+), which .+", "too late"),
    (r"(.+) is pinned to .+", "pinned"),
    (r"no trip brings (.+) what (.+) made", "no trip"),
    (r"(.+) needs no trip from (.+)", "needless"),
    (r"the trip from (.+) to (.+) sets out at .+", "sets out"),
    (r"(.+) starts at -?\d+, before its trip arrives at .+", "arrives"),
)

ELSEWHERE = re.compile(
    r".+ (of changeover on|no time to change over|before its earliest start|takes its machine before now"
    r"|before \d+$|after its risk date|planned earlier at|is leased|does not come after leased).*"
    r"|no time to change over .+|leased .+|the objective says .+|the trip from .+ takes .+"
)


def said(problem: Problem, plan: Schedule) -> set[Broken]:
    """What the validator says, as far as seconds are looked at here; anything unknown fails."""
    found: set[Broken] = set()
    for line in violations(problem, plan):
        for pattern, kind in SAID:
            if match := re.fullmatch(pattern, line):
                names = match.groups()
                found.add((kind, *(reversed(names) if kind == "sets out" else names)))
                break
        else:
            assert ELSEWHERE.fullmatch(line), line
    return found


class Seconds:
    """Looks at a plan second by second, knowing nothing of intervals."""

    def __init__(self, problem: Problem, plan: Schedule) -> None:
        self.problem, self.plan = problem, plan
        self.machines = {m.id: m for m in problem.machines}
        self.run_of = {name: run for run in problem.runs for name in run.operations}
        self.operations = {o.id: o for o in problem.operations}
        self.travel = problem.travel()

    def broken(self) -> set[Broken]:
        return {
            *self.machine_rules(),
            *self.durations(),
            *self.shared(),
            *self.waits(),
            *self.pins(),
            *self.trips(),
        }

    def units(self) -> Iterator[tuple[str, Operation, Run | None, Assignment]]:
        """What is done at once, by its first operation."""
        for operation in self.problem.operations:
            run = self.run_of.get(operation.id)
            if run is None or operation.id == run.operations[0]:
                yield operation.id, operation, run, self.plan.assignments[operation.id]

    def may_rest(self, name: str) -> bool:
        run = self.run_of.get(name)
        return all(self.operations[n].interruptible for n in (run.operations if run else (name,)))

    def resting(self, name: str, machine: str, second: int) -> bool:
        """Whether the work rests then: its machine has a pause that it does not start or end in."""
        a = self.plan.assignments[name]
        pause = in_pause(self.machines[machine], second)
        return (
            self.may_rest(name)
            and pause
            and not in_pause(self.machines[machine], a.start)
            and not in_pause(self.machines[machine], a.end - 1)
        )

    def machine_rules(self) -> Iterator[Broken]:
        at: dict[tuple[str, int], list[bool]] = {}
        for name, operation, _, a in self.units():
            fixed = operation.state is State.FIXED
            for second in range(a.start if fixed else a.start - a.changeover_seconds, a.end):
                at.setdefault((a.machine, second), []).append(fixed)
                rests = second >= a.start and self.resting(name, a.machine, second)
                if not fixed and closed(self.machines[a.machine], second, rests):
                    yield "closed", a.machine
        for task in self.problem.maintenance:
            service = self.plan.services.get(task.id)
            if service is None:
                continue
            for second in range(service.start, service.end):
                for machine in (service.machine, *task.also):
                    at.setdefault((machine, second), []).append(False)
                if closed(self.machines[service.machine], second, False):
                    yield "closed", service.machine
        for (machine, _), fixed_ones in at.items():
            if len(fixed_ones) > 1 and not all(fixed_ones):
                yield "taken twice", machine

    def durations(self) -> Iterator[Broken]:
        for operation in self.problem.operations:
            a, run = self.plan.assignments[operation.id], self.run_of.get(operation.id)
            if operation.state is State.FIXED:
                continue
            chosen = next(x for x in (run or operation).alternatives if x.machine == a.machine)
            worked = sum(
                not (self.may_rest(operation.id) and in_pause(self.machines[a.machine], second))
                for second in range(a.start, a.end)
            )
            if worked != chosen.setup_seconds + chosen.run_seconds:
                yield "worked", operation.id

    def shared(self) -> Iterator[Broken]:
        for resource in self.problem.resources:
            taken: dict[int, list[tuple[int, bool]]] = {}
            for name, operation, run, a in self.units():
                fixed = operation.state is State.FIXED
                needs = {x.machine: x.needs for x in (run or operation).alternatives}.get(a.machine, {})
                amount = needs.get(resource.id, 0)
                for second in range(a.start if fixed else a.start - a.changeover_seconds, a.end):
                    crew_rests = resource.kind is Kind.CREW and self.off(name, a, second)
                    if amount and not crew_rests:
                        taken.setdefault(second, []).append((amount, fixed))
            for task in self.problem.maintenance:
                service, amount = self.plan.services.get(task.id), task.needs.get(resource.id, 0)
                for second in range(service.start, service.end) if service is not None and amount else ():
                    taken.setdefault(second, []).append((amount, False))
            yield from too_few(resource.id, resource.capacity, resource.levels, taken)
        if self.problem.vehicles is not None:
            vehicles = self.problem.vehicles
            trips: dict[int, list[tuple[int, bool]]] = {}
            for trip in self.plan.trips:
                for second in range(trip.start - vehicles.empty, trip.end):
                    trips.setdefault(second, []).append((1, False))
            yield from too_few("vehicles", vehicles.count, vehicles.levels, trips)

    def off(self, name: str, a: Assignment, second: int) -> bool:
        """Whether the crew of this work is off then: a pause that lies within the work as a whole."""
        machine = self.machines[a.machine]
        if not self.may_rest(name) or not in_pause(machine, second):
            return False
        first = last = second
        while in_pause(machine, first - 1):
            first -= 1
        while in_pause(machine, last + 1):
            last += 1
        taken_from = a.start
        if self.operations[name].state is not State.FIXED:
            taken_from -= a.changeover_seconds
        return taken_from < first and last + 1 < a.end

    def waits(self) -> Iterator[Broken]:
        for operation in self.problem.operations:
            if operation.state is State.FIXED:
                continue
            a = self.plan.assignments[operation.id]
            for name in operation.predecessors:
                b, before = self.plan.assignments[name], self.operations[name]
                wait = self.travel.get((b.machine, a.machine), 0) + operation.lags.get(name, 0)
                pieces = operation.overlaps.get(name, 0)
                alone = name not in self.run_of and operation.id not in self.run_of
                if pieces and alone:
                    there = b.start + b.setup_seconds + seconds_for(b, pieces, before.quantity) + wait
                    if a.start < there:
                        yield "too early", operation.id, name
                    if a.end < b.end + wait + seconds_for(a, pieces, operation.quantity):
                        yield "ends too early", operation.id, name
                elif a.start < b.end + wait:
                    yield "too early", operation.id, name
                most = operation.max_lags.get(name)
                if most is not None and before.state is not State.FIXED and a.start - b.end > most:
                    yield "too late", operation.id, name

    def pins(self) -> Iterator[Broken]:
        for operation in self.problem.operations:
            a, pin = self.plan.assignments[operation.id], operation.pin
            if operation.state is State.FREE and pin is not None:
                elsewhere = pin.machine is not None and pin.machine != a.machine
                if elsewhere or (pin.start is not None and a.start < pin.start):
                    yield "pinned", operation.id

    def trips(self) -> Iterator[Broken]:
        if self.problem.vehicles is None:
            return
        made = {(trip.operation, trip.predecessor): trip for trip in self.plan.trips}
        for operation in self.problem.operations:
            for name in operation.predecessors if operation.state is not State.FIXED else ():
                a, b = self.plan.assignments[operation.id], self.plan.assignments[name]
                trip = made.get((operation.id, name))
                by_hand = name in operation.overlaps and not {name, operation.id} & set(self.run_of)
                needed = bool(self.travel.get((b.machine, a.machine), 0)) and not by_hand
                if needed and trip is None:
                    yield "no trip", operation.id, name
                elif trip is not None and not needed:
                    yield "needless", operation.id, name
                elif trip is not None:
                    ready = b.end + operation.lags.get(name, 0)
                    if trip.start < max(ready, self.problem.now + self.problem.vehicles.empty):
                        yield "sets out", operation.id, name
                    if trip.end > a.start:
                        yield "arrives", operation.id


def in_pause(machine: Machine, second: int) -> bool:
    return any(w.pause and w.start <= second < w.end for w in machine.unavailable)


def closed(machine: Machine, second: int, rests: bool) -> bool:
    """Whether a window lies there that the work does not rest over."""
    return any(w.start <= second < w.end and not (rests and w.pause) for w in machine.unavailable)


def seconds_for(a: Assignment, pieces: int, quantity: int) -> int:
    """Whole seconds until that many of the pieces are done, counted up."""
    run, seconds = a.end - a.start - a.setup_seconds, 0
    while seconds * quantity < run * min(pieces, quantity):
        seconds += 1
    return seconds


def too_few(
    name: str, capacity: int, levels: tuple[Level, ...], taken: dict[int, list[tuple[int, bool]]]
) -> Iterator[Broken]:
    for second, takings in taken.items():
        there = next((x.capacity for x in levels if x.start <= second < x.end), capacity)
        if sum(amount for amount, _ in takings) > there and not all(fixed for _, fixed in takings):
            yield "too few", name


def chance(rng: random.Random, problem: Problem, span: int) -> Schedule:
    """A plan with right durations mostly, at random times; so every rule is sometimes kept, sometimes not."""
    machines = {m.id: m for m in problem.machines}
    assignments: dict[str, Assignment] = {}
    units: list[tuple[tuple[str, ...], tuple[Alternative, ...], str | None]] = [
        (run.operations, run.alternatives, run.id) for run in problem.runs
    ]
    grouped = {name for run in problem.runs for name in run.operations}
    units += [((o.id,), o.alternatives, None) for o in problem.operations if o.id not in grouped]
    by_id = {o.id: o for o in problem.operations}
    for names, alternatives, run in units:
        first = by_id[names[0]]
        if first.state is State.FIXED:
            start, machine = first.start or 0, first.machine or ""
            own = next(a for a in alternatives if a.machine == machine)
            end, setup, changeover = problem.end_of_fixed(first), own.setup_seconds, 0
            setup = min(setup, end - start)
        else:
            own = rng.choice(alternatives)
            machine, setup = own.machine, own.setup_seconds
            changeover = rng.choice((0, 0, 1, 3))
            start = end = rng.randint(changeover, span)
            rests = all(by_id[name].interruptible for name in names)
            left = own.seconds if rng.random() < 0.9 else rng.randint(1, 12)
            while left:
                left -= not (rests and in_pause(machines[machine], end))
                end += 1
        for name in names:
            assignments[name] = Assignment(
                machine=machine,
                start=start,
                end=end,
                setup_seconds=setup,
                changeover_seconds=changeover,
                run=run,
            )
    services = {
        t.id: Service(machine=t.machine, start=(start := rng.randint(0, span)), end=start + t.seconds)
        for t in problem.maintenance
        if rng.random() < 0.5
    }
    return Schedule(
        assignments=assignments, services=services, trips=tuple(_trips(rng, problem, assignments))
    )


def _trips(rng: random.Random, problem: Problem, assignments: dict[str, Assignment]) -> Iterator[Trip]:
    travel = problem.travel()
    for operation in problem.operations:
        if problem.vehicles is None or operation.state is State.FIXED:
            continue
        for name in operation.predecessors:
            before, after = assignments[name], assignments[operation.id]
            seconds = travel.get((before.machine, after.machine), 0)
            if (seconds and rng.random() < 0.9) or rng.random() < 0.1:
                start = before.end + operation.lags.get(name, 0) + rng.choice((-1, 0, 0, 0, 1, 5))
                yield Trip(operation=operation.id, predecessor=name, start=start, end=start + seconds)


@pytest.mark.parametrize("seed", range(8))
def test_sweeps_say_what_seconds_say(seed: int) -> None:
    rng = random.Random(seed)
    kept: set[str] = set()
    broken: set[str] = set()
    for _ in range(40):
        problem = random_shop(
            rng,
            operations=rng.randint(3, 9),
            machines=rng.randint(2, 4),
            windows=1,
            decided=0.4,
            runs=rng.randint(0, 2),
            maintenance=1,
            second=1,
            features=ALL,
        )
        plan = chance(rng, problem, rng.choice((30, 60, 120)))
        by_seconds = Seconds(problem, plan).broken()
        assert said(problem, plan) == by_seconds
        kinds = {kind for kind, *_ in by_seconds}
        broken |= kinds
        kept |= {"closed", "taken twice", "too few", "too early", "worked", "pinned"} - kinds
    # Chance tries both sides of the rules, or the comparison would say little.
    assert broken >= {"closed", "taken twice", "too few", "too early", "worked", "too late", "no trip"}
    assert kept == {"closed", "taken twice", "too few", "too early", "worked", "pinned"}
