"""Tries every plan of a tiny shop, second by second: what is started when, on which machine, by which trip.

Shares no code with what makes plans, and knows no rule of thumb: work is placed in the order of its starts,
at every second there is. All that cuts the search short is a cost that is known to be reached.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cloud.dispatching.shop.problem import (
    Alternative,
    Kind,
    Machine,
    Maintenance,
    Operation,
    Problem,
    Run,
    State,
)
from cloud.dispatching.shop.schedule import Assignment, Schedule, Service, Trip, evaluate
from cloud.dispatching.shop.violations import violations


class TooMany(Exception):
    """The search would take longer than a test should."""


LAST = 400
"""A second by which tiny shops are done."""


@dataclass(frozen=True)
class Unit:
    """What is started at once: an operation, a run or a service."""

    name: str
    members: tuple[Operation, ...]
    alternatives: tuple[Alternative, ...]
    setup: Mapping[str, str] | None
    run: Run | None = None
    task: Maintenance | None = None

    @property
    def shortest(self) -> int:
        return min(a.seconds for a in self.alternatives)

    @property
    def rests(self) -> bool:
        return bool(self.members) and all(member.interruptible for member in self.members)


@dataclass(frozen=True)
class Haul:
    """A trip of ``seconds`` that may set out from ``ready`` on and must arrive by ``by``."""

    operation: str
    predecessor: str
    ready: int
    by: int
    seconds: int


class Exhaustive:
    """All plans of ``problem`` that cost less than ``bound``, the best of them kept; facts must have begun.

    Raises :class:`TooMany` beyond ``most_nodes`` placings.
    """

    def __init__(self, problem: Problem, bound: int, most_nodes: int) -> None:
        self.problem = problem
        self.bound = bound
        self.most_nodes = most_nodes
        self.best: Schedule | None = None
        self.nodes = 0
        self.machines = {m.id: m for m in problem.machines}
        self.operations = {o.id: o for o in problem.operations}
        self.run_of = {name: run for run in problem.runs for name in run.operations}
        self.travel = problem.travel()
        self.kinds = {r.id: r.kind for r in problem.resources}
        self.closed = {m.id: seconds_of(m, pause=False) for m in problem.machines}
        self.pauses = {m.id: seconds_of(m, pause=True) for m in problem.machines}
        self.dues: dict[str, tuple[int, int]] = {}
        for o in problem.operations:
            due, weight = self.dues.get(o.job_id, (-1, 0))
            self.dues[o.job_id] = max(due, -1 if o.due is None else o.due), max(weight, o.weight)
        self.busy: set[tuple[str, int]] = set()
        self.taken: Counter[tuple[str, int]] = Counter()
        self.assignments: dict[str, Assignment] = {}
        self.services: dict[str, Service] = {}
        self.hauls: list[Haul] = []

    def run(self) -> Schedule | None:
        units = list(self._units())
        facts = [u for u in units if u.members and u.members[0].state is State.FIXED]
        states: dict[str, Mapping[str, str]] = {name: m.setup for name, m in self.machines.items()}
        for unit in sorted(facts, key=lambda u: u.members[0].start or 0):
            self._fact(unit)
            states[unit.members[0].machine or ""] = unit.setup or {}
        work = [u for u in units if u not in facts]
        tasks = [Unit(t.id, (), (_service(t),), None, task=t) for t in self.problem.maintenance]
        for count in range(len(tasks) + 1):
            for done in itertools.combinations(tasks, count):
                omitted = sum(
                    t.omit_cost for t in self.problem.maintenance if t.id not in {u.name for u in done}
                )
                self._search([*work, *done], 0, states, self.problem.weights.tardiness * omitted)
        return self.best

    def _units(self) -> Iterator[Unit]:
        for run in self.problem.runs:
            members = tuple(self.operations[name] for name in run.operations)
            yield Unit(run.id, members, run.alternatives, run.setup, run)
        for o in self.problem.operations:
            if o.id not in self.run_of:
                yield Unit(o.id, (o,), o.alternatives, o.setup)

    def _fact(self, unit: Unit) -> None:
        first = unit.members[0]
        machine, start = first.machine or "", first.start or 0
        end = max(self.problem.end_of_fixed(o) for o in unit.members)
        own = next((a for a in unit.alternatives if a.machine == machine), None)
        for o in unit.members:
            self.assignments[o.id] = Assignment(
                machine=machine,
                start=start,
                end=end,
                setup_seconds=min(own.setup_seconds, end - start) if own else 0,
                run=unit.run.id if unit.run else None,
            )
        self.busy |= {(machine, second) for second in range(start, end)}
        for name, amount in (own.needs if own else {}).items():
            for second in self._taken_seconds(unit, name, machine, start, start, end):
                self.taken[name, second] += amount

    # -- the search -----------------------------------------------------------------------------------

    def _search(
        self, left: Sequence[Unit], since: int, states: Mapping[str, Mapping[str, str]], paid: int
    ) -> None:
        self.nodes += 1
        if self.nodes > self.most_nodes:
            raise TooMany
        if not left:
            self._finish()
            return
        for unit in left:
            if any(
                name not in self.assignments and self.operations[name].state is not State.FIXED
                for member in unit.members
                for name in member.predecessors
            ):
                continue
            others = [u for u in left if u is not unit]
            for alternative in unit.alternatives:
                self._try(unit, alternative, others, since, states, paid)

    def _try(
        self,
        unit: Unit,
        alternative: Alternative,
        others: Sequence[Unit],
        since: int,
        states: Mapping[str, Mapping[str, str]],
        paid: int,
    ) -> None:
        machine = alternative.machine
        if any(o.pin and o.pin.machine not in (None, machine) for o in unit.members if o.state is State.FREE):
            return
        if any(o.state is State.LEASED and o.machine != machine for o in unit.members):
            return
        changeover, after = 0, states
        if unit.setup is not None:
            changeover = self.machines[machine].changeover(states[machine], unit.setup)
            after = {**states, machine: unit.setup}
            paid += self.problem.weights.changeover * changeover
        earliest, latest = self._window(unit, alternative)
        for start in range(max(since, earliest, self.problem.now + changeover), min(latest, LAST) + 1):
            end = self._end(unit, alternative, start)
            costs = paid + self._delay(unit, start, end)
            if self._least(others, start, costs, unit, end) >= self.bound:
                break
            if end is None or not self._free(unit, machine, start - changeover, start, end):
                continue
            if not self._last_pieces(unit, alternative, end):
                continue
            undo = self._place(unit, alternative, changeover, start, end)
            if undo is not None:
                self._search(others, start, after, costs)
                self._take_back(unit, machine, undo)

    def _window(self, unit: Unit, alternative: Alternative) -> tuple[int, int]:
        """Seconds between which it may start, by what is placed already."""
        if unit.task is not None:
            task = unit.task
            return max(task.earliest, self.problem.now), task.finish_before - task.seconds
        earliest, latest = self.problem.now, LAST
        for o in unit.members:
            earliest = max(earliest, o.earliest)
            if o.state is State.LEASED:
                earliest = max(earliest, o.start or 0)
            elif o.pin is not None:
                earliest = max(earliest, o.pin.start or 0)
            for name in o.predecessors:
                before = self.assignments[name]
                wait = self._wait(o, name, alternative.machine)
                if name in o.overlaps and not {name, o.id} & set(self.run_of):
                    run = before.end - before.start - before.setup_seconds
                    done = seconds_for(run, o.overlaps[name], self.operations[name].quantity)
                    earliest = max(earliest, before.start + before.setup_seconds + done + wait)
                else:
                    earliest = max(earliest, before.end + wait)
                if name in o.max_lags and self.operations[name].state is not State.FIXED:
                    latest = min(latest, before.end + o.max_lags[name])
        return earliest, latest

    def _wait(self, operation: Operation, name: str, machine: str) -> int:
        way = self.travel.get((self.assignments[name].machine, machine), 0)
        return way + operation.lags.get(name, 0)

    def _last_pieces(self, unit: Unit, alternative: Alternative, end: int) -> bool:
        for o in unit.members:
            for name, pieces in o.overlaps.items():
                if not {name, o.id} & set(self.run_of):
                    last = seconds_for(alternative.run_seconds, pieces, o.quantity)
                    if end < self.assignments[name].end + self._wait(o, name, alternative.machine) + last:
                        return False
        return True

    def _end(self, unit: Unit, alternative: Alternative, start: int) -> int | None:
        """When it ends if it starts then, resting over pauses; ``None`` where it would start in one."""
        pauses = self.pauses[alternative.machine] if unit.rests else set()
        if start in pauses:
            return None
        end, work = start, alternative.seconds
        while work:
            work -= end not in pauses
            end += 1
        return end

    def _free(self, unit: Unit, machine: str, begin: int, start: int, end: int) -> bool:
        for second in range(begin, end):
            if (machine, second) in self.busy or second in self.closed[machine]:
                return False
            if second in self.pauses[machine] and not (unit.rests and second >= start):
                return False
        also = unit.task.also if unit.task is not None else ()
        return not any((name, second) in self.busy for name in also for second in range(start, end))

    def _place(
        self, unit: Unit, alternative: Alternative, changeover: int, start: int, end: int
    ) -> tuple[list[tuple[str, int]], list[tuple[str, int, int]], int] | None:
        machine, begin = alternative.machine, start - changeover
        taken = [
            (name, second, amount)
            for name, amount in alternative.needs.items()
            for second in self._taken_seconds(unit, name, machine, begin, start, end)
            if amount
        ]
        if any(self.taken[name, s] + amount > self._there(name, s) for name, s, amount in taken):
            return None
        hauls = self._new_hauls(unit, machine, start)
        if hauls and self._dispatched((*self.hauls, *hauls), []) is None:
            return None
        for name, second, amount in taken:
            self.taken[name, second] += amount
        stopped = (machine, *(unit.task.also if unit.task is not None else ()))
        busy = [(name, second) for name in stopped for second in range(begin, end)]
        self.busy.update(busy)
        self.hauls += hauls
        if unit.task is not None:
            self.services[unit.name] = Service(machine=machine, start=start, end=end)
        for o in unit.members:
            self.assignments[o.id] = Assignment(
                machine=machine,
                start=start,
                end=end,
                setup_seconds=alternative.setup_seconds,
                changeover_seconds=changeover,
                run=unit.run.id if unit.run else None,
            )
        return busy, taken, len(hauls)

    def _take_back(
        self, unit: Unit, machine: str, undo: tuple[list[tuple[str, int]], list[tuple[str, int, int]], int]
    ) -> None:
        busy, taken, hauls = undo
        self.busy.difference_update(busy)
        for name, second, amount in taken:
            self.taken[name, second] -= amount
        del self.hauls[len(self.hauls) - hauls :]
        self.services.pop(unit.name, None)
        for o in unit.members:
            del self.assignments[o.id]

    def _taken_seconds(
        self, unit: Unit, name: str, machine: str, begin: int, start: int, end: int
    ) -> list[int]:
        """A crew is free while the work rests; what began in a pause (a fact) does not rest in that one."""
        pauses = self.pauses[machine] if unit.rests and self.kinds[name] is Kind.CREW else set()
        worked = []
        for second in range(begin, end):
            first = last = second
            while first - 1 in pauses:
                first -= 1
            while last + 1 in pauses:
                last += 1
            if not (second in pauses and start < first and last + 1 < end):
                worked.append(second)
        return worked

    def _there(self, name: str, second: int) -> int:
        resource = next(r for r in self.problem.resources if r.id == name)
        return next((x.capacity for x in resource.levels if x.start <= second < x.end), resource.capacity)

    # -- trips ----------------------------------------------------------------------------------------

    def _new_hauls(self, unit: Unit, machine: str, start: int) -> list[Haul]:
        vehicles, hauls = self.problem.vehicles, []
        for o in unit.members if vehicles is not None else ():
            for name in o.predecessors:
                before = self.assignments[name]
                seconds = self.travel.get((before.machine, machine), 0)
                by_hand = name in o.overlaps and not {name, o.id} & set(self.run_of)
                if seconds and not by_hand and vehicles is not None:
                    ready = max(before.end + o.lags.get(name, 0), self.problem.now + vehicles.empty)
                    hauls.append(Haul(o.id, name, ready, start, seconds))
        return hauls

    def _dispatched(self, hauls: Sequence[Haul], made: list[Trip]) -> list[Trip] | None:
        """Trips for all ``hauls``, at every second that they may set out; ``None`` where there are none."""
        if not hauls:
            return made
        vehicles, haul = self.problem.vehicles, hauls[0]
        if vehicles is None:
            return None
        for out in range(haul.ready, haul.by - haul.seconds + 1):
            trip = Trip(
                operation=haul.operation, predecessor=haul.predecessor, start=out, end=out + haul.seconds
            )
            trips = [*made, trip]
            for second in range(out - vehicles.empty, trip.end):
                there = next(
                    (x.capacity for x in vehicles.levels if x.start <= second < x.end), vehicles.count
                )
                if sum(t.start - vehicles.empty <= second < t.end for t in trips) > there:
                    break
            else:
                found = self._dispatched(hauls[1:], trips)
                if found is not None:
                    return found
        return None

    # -- costs ----------------------------------------------------------------------------------------

    def _delay(self, unit: Unit, start: int, end: int | None) -> int:
        """What starting then costs by itself."""
        weights = self.problem.weights
        if unit.task is not None:
            earliest = max(unit.task.earliest, self.problem.now)
            return unit.task.delay_cost * (start - earliest)
        late = 0
        for o in unit.members:
            wanted = [
                self.assignments[name].end + most
                for name, most in o.max_lags.items()
                if self.operations[name].state is State.FIXED
            ]
            wanted += [o.pin.start] if o.pin is not None and o.pin.start is not None else []
            late += sum(max(0, start - second) for second in wanted)
        return weights.deviation * weights.pinned * late

    def _least(self, others: Sequence[Unit], start: int, costs: int, unit: Unit, end: int | None) -> int:
        """What any plan costs that goes on from here: nothing that is left starts earlier."""
        ends = {name: a.end for name, a in self.assignments.items()}
        own = end if end is not None else start + unit.shortest
        ends.update((o.id, own) for o in unit.members)
        ends.update((o.id, start + u.shortest) for u in others for o in u.members)
        last: dict[str, int] = {}
        for name, time in ends.items():
            job = self.operations[name].job_id
            last[job] = max(last.get(job, 0), time)
        weights = self.problem.weights
        tardiness = sum(
            max(0, time - self.dues[job][0]) * self.dues[job][1]
            for job, time in last.items()
            if self.dues[job][0] >= 0
        )
        makespan = max([self.problem.now, *ends.values()]) - self.problem.now
        return costs + weights.tardiness * tardiness + weights.makespan * makespan

    def _finish(self) -> None:
        objective = evaluate(self.problem, self.assignments, self.services)
        if objective.total >= self.bound:
            return
        plan = Schedule(
            assignments=dict(self.assignments),
            services=dict(self.services),
            trips=tuple(self._dispatched(self.hauls, []) or ()),
            objective=objective,
        )
        if not violations(self.problem, plan):
            self.best, self.bound = plan, objective.total


def _service(task: Maintenance) -> Alternative:
    return Alternative(machine=task.machine, run_seconds=task.seconds, needs=task.needs)


def seconds_of(machine: Machine, *, pause: bool) -> set[int]:
    return {s for w in machine.unavailable if w.pause is pause for s in range(w.start, w.end)}


def seconds_for(run: int, pieces: int, quantity: int) -> int:
    """Whole seconds until ``pieces`` are done, counted up."""
    seconds = 0
    while seconds * quantity < run * min(pieces, quantity):
        seconds += 1
    return seconds
