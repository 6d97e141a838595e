"""From a problem in words to the numbered shop the planner works on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from msgspec.structs import replace

from cloud.dispatching.shop.problem import (
    Alternative,
    Kind,
    Machine,
    Operation,
    Problem,
    Run,
    State,
    lease_order,
)
from cloud.dispatching.shop.schedule import Assignment
from cloud.dispatching.solving.activities import (
    Activity,
    Block,
    Fact,
    Haul,
    Job,
    Option,
    Overlap,
    Pool,
    Shop,
    Station,
    Task,
    Wish,
)


def compile_shop(problem: Problem) -> Shop:
    """Number what ``problem`` names and settle what is fixed; ``validation`` must accept the problem."""
    return _Compiler(problem).shop()


class _Compiler:
    """Builds a :class:`Shop`; the attributes are what its steps hand to each other."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.number = {machine.id: index for index, machine in enumerate(problem.machines)}
        travel = problem.travel()
        self.has_travel = bool(travel)
        self.travel = [
            [travel.get((one.id, other.id), 0) for other in problem.machines] if travel else []
            for one in problem.machines
        ]
        self.by_id = {operation.id: operation for operation in problem.operations}
        self.covered = {name for run in problem.runs for name in run.operations}
        self.pool_number = {resource.id: index for index, resource in enumerate(problem.resources)}
        # By machine, the pool that it is where the maintenance of another stops it as well.
        stopped = dict.fromkeys(name for task in problem.maintenance for name in task.also)
        self.stopped = {name: len(problem.resources) + at for at, name in enumerate(stopped)}
        self.units = list(self._units())
        self.fixed = self._fixed_assignments()
        # Set-up states by machine: the attribute values its rules look at.
        self.states: list[dict[tuple[str, ...], int]] = [{} for _ in problem.machines]

    def _units(self) -> Iterator[tuple[Run | None, list[Operation]]]:
        for run in self.problem.runs:
            yield run, [self.by_id[name] for name in run.operations]
        for operation in self.problem.operations:
            if operation.id not in self.covered:
                yield None, [operation]

    def _fixed_assignments(self) -> dict[str, Assignment]:
        fixed: dict[str, Assignment] = {}
        for run, members in self.units:
            first = members[0]
            if first.state is not State.FIXED or first.machine is None or first.start is None:
                continue
            alternatives = run.alternatives if run else first.alternatives
            chosen = next((a for a in alternatives if a.machine == first.machine), None)
            end = max(self.problem.end_of_fixed(member) for member in members)
            for member in members:
                fixed[member.id] = Assignment(
                    machine=first.machine,
                    start=first.start,
                    end=end,
                    setup_seconds=min(chosen.setup_seconds, end - first.start) if chosen else 0,
                    run=run.id if run else None,
                )
        return fixed

    def _state(self, station: int, setup: Mapping[str, str]) -> int:
        rules = self.problem.machines[station].changeovers
        key = tuple(setup.get(rule.attribute, "") for rule in rules)
        states = self.states[station]
        return states.setdefault(key, len(states))

    def shop(self) -> Shop:
        problem = self.problem
        initial = [self._state(i, machine.setup) for i, machine in enumerate(problem.machines)]
        facts: list[list[Fact]] = [[] for _ in problem.machines]
        activities: list[Activity] = []
        where: dict[str, int] = {}
        for run, members in self.units:
            first = members[0]
            setup = run.setup if run else first.setup
            if first.id in self.fixed:
                a = self.fixed[first.id]
                station = self.number[a.machine]
                name = f"run {run.id}" if run else first.id
                names = tuple(member.id for member in members)
                facts[station].append(Fact(a.start, a.end, name, self._state(station, setup), names))
                continue
            where.update((member.id, len(activities)) for member in members)
            activities.append(self._activity(len(activities), run, members, setup))
        self._connect(activities, where)
        self._bind(activities, where)
        stations = tuple(
            Station(
                index=index,
                id=machine.id,
                state=initial[index],
                changeover=self._matrix(index),
                blocks=self._blocks(machine, facts[index]),
                facts=tuple(facts[index]),
            )
            for index, machine in enumerate(problem.machines)
        )
        return Shop(
            problem=problem,
            stations=stations,
            activities=tuple(activities),
            jobs=self._jobs(where),
            tasks=tuple(
                Task(
                    t.id,
                    self.number[t.machine],
                    t.seconds,
                    max(t.earliest, problem.now),
                    t.finish_before,
                    t.omit_cost,
                    t.delay_cost,
                    self._needs(t.needs, t.machine, *t.also),
                )
                for t in problem.maintenance
            ),
            travel=self.travel,
            has_travel=self.has_travel,
            fixed=self.fixed,
            order=_topological(activities),
            settled_end=max([problem.now, *(assignment.end for assignment in self.fixed.values())]),
            pools=tuple(self._pools()),
        )

    def _activity(
        self, index: int, run: Run | None, members: list[Operation], setup: Mapping[str, str]
    ) -> Activity:
        first = members[0]
        offered = _offered(run.alternatives if run else first.alternatives, members)
        return Activity(
            index=index,
            id=f"run {run.id}" if run else first.id,
            run=run.id if run else None,
            operations=tuple(member.id for member in members),
            options=tuple(
                Option(
                    station=(station := self.number[a.machine]),
                    seconds=a.seconds,
                    setup_seconds=a.setup_seconds,
                    release=self._release(members, station),
                    state=self._state(station, setup),
                    needs=self._needs(a.needs, a.machine),
                )
                for a in offered
            ),
            leased=first.state is State.LEASED,
            wishes=self._wishes(members),
            interruptible=all(member.interruptible for member in members),
            pins=self._pins(members),
        )

    def _needs(self, needs: Mapping[str, int], *machines: str) -> tuple[tuple[int, int], ...]:
        """(pool, amount) of what is needed, and of the machines that are pools and stand still for it."""
        shared = tuple((self.pool_number[name], n) for name, n in sorted(needs.items()) if n)
        return (*shared, *((self.stopped[name], 1) for name in machines if name in self.stopped))

    def _release(self, members: list[Operation], station: int) -> int:
        release = self.problem.now
        for member in members:
            release = max(release, member.earliest)
            if member.state is State.LEASED and member.start is not None:
                release = max(release, member.start)
            if member.state is State.FREE and member.pin is not None and member.pin.start is not None:
                release = max(release, member.pin.start)
            for name in member.predecessors:
                before = self.fixed.get(name)
                if before is not None:
                    travel = self.travel[self.number[before.machine]][station] if self.has_travel else 0
                    wait = member.lags.get(name, 0) + travel
                    release = max(release, self._after_fixed(before, name, member, station) + wait)
        return release

    def _after_fixed(self, before: Assignment, name: str, member: Operation, station: int) -> int:
        """From when on fixed work ``before`` lets ``member`` start, lag and way left out."""
        pieces = self._overlap(name, member)
        own = member.alternative(self.problem.machines[station].id)
        if not pieces or own is None:
            return before.end
        run = before.end - before.start - before.setup_seconds
        first = before.start + before.setup_seconds + _share(run, pieces, self.by_id[name])
        return max(first, before.end + _share(own.run_seconds, pieces, member) - own.seconds)

    def _overlap(self, name: str, member: Operation) -> int:
        """Pieces of operation ``name`` after which ``member`` may start; 0 where it waits for all of it."""
        alone = name not in self.covered and member.id not in self.covered
        return member.overlaps.get(name, 0) if alone else 0

    def _pins(self, members: list[Operation]) -> tuple[tuple[int, int], ...]:
        """Starts that people asked for, or that a longest lag after fixed work asks for."""
        cost = self.problem.weights.pinned * self.problem.weights.deviation
        pins = [
            (self.fixed[name].end + most, cost)
            for member in members
            for name, most in member.max_lags.items()
            if name in self.fixed
        ]
        pins += [(o.pin.start, cost) for o in members if o.pin is not None and o.pin.start is not None]
        return tuple(pins) if cost else ()

    def _wishes(self, members: list[Operation]) -> tuple[Wish, ...]:
        weights = self.problem.weights
        counts: dict[tuple[int, int], int] = {}
        for member in members:
            placement = self.problem.published.get(member.id)
            if placement is not None:
                key = self.number.get(placement.machine, -1), placement.start
                counts[key] = counts.get(key, 0) + (weights.leased if member.state is State.LEASED else 1)
        return tuple(Wish(station, start, count) for (station, start), count in counts.items() if count)

    def _connect(self, activities: list[Activity], where: dict[str, int]) -> None:
        lags: dict[tuple[int, int], int] = {}
        for operation in self.problem.operations:
            index = where.get(operation.id)
            if index is None:
                continue
            for name in operation.predecessors:
                if name in where:
                    pair = where[name], index
                    lags[pair] = max(lags.get(pair, 0), operation.lags.get(name, 0))
        for one, other in lease_order(self.problem):
            if one in where and other in where and where[one] != where[other]:
                lags.setdefault((where[one], where[other]), 0)
        for (before, after), lag in lags.items():
            activities[before].after.append((after, lag))
            activities[after].before.append((before, lag))

    def _bind(self, activities: list[Activity], where: dict[str, int]) -> None:
        """Longest lags, overlaps and hauls of the arcs that are there."""
        for operation in self.problem.operations:
            index = where.get(operation.id)
            if index is None:
                continue
            activity = activities[index]
            for name in operation.predecessors:
                before = where.get(name, -1)
                if before >= 0 and name in operation.max_lags:
                    most = operation.max_lags[name]
                    activity.most[before] = min(activity.most.get(before, most), most)
                pieces = self._overlap(name, operation)
                if pieces and before >= 0:
                    activity.overlaps[before] = self._overlapping(name, operation, pieces)
                elif self.problem.vehicles is not None and not pieces:
                    activity.hauls.append(self._haul(operation, name, before))

    def _overlapping(self, name: str, operation: Operation, pieces: int) -> Overlap:
        one = self.by_id[name]
        return Overlap(
            first=tuple(
                a.setup_seconds + _share(a.run_seconds, pieces, one)
                for a in _offered(one.alternatives, [one])
            ),
            last=tuple(
                _share(a.run_seconds, pieces, operation)
                for a in _offered(operation.alternatives, [operation])
            ),
        )

    def _haul(self, operation: Operation, name: str, before: int) -> Haul:
        lag = operation.lags.get(name, 0)
        if before >= 0:
            return Haul(operation.id, name, lag, before)
        fact = self.fixed[name]
        return Haul(operation.id, name, lag, station=self.number[fact.machine], end=fact.end)

    def _pools(self) -> Iterator[Pool]:
        taken: list[list[tuple[int, int, int]]] = [[] for _ in self.problem.resources]
        stopped: dict[str, list[tuple[int, int, int]]] = {name: [] for name in self.stopped}
        for run, members in self.units:
            fact = self.fixed.get(members[0].id)
            if fact is None:
                continue
            offered = run.alternatives if run else members[0].alternatives
            chosen = next((a for a in offered if a.machine == fact.machine), None)
            rests = all(member.interruptible for member in members)
            for name, amount in (chosen.needs if chosen else {}).items():
                spans = [(fact.start, fact.end)]
                if rests and self.problem.resources[self.pool_number[name]].kind is Kind.CREW:
                    spans = list(_between_pauses(self.problem.machines[self.number[fact.machine]], fact))
                taken[self.pool_number[name]] += [(start, end, amount) for start, end in spans]
            if fact.machine in self.stopped:
                stopped[fact.machine].append((fact.start, fact.end, 1))
        for index, resource in enumerate(self.problem.resources):
            yield Pool(
                index, resource.id, resource.kind, resource.capacity, resource.levels, tuple(taken[index])
            )
        for name, index in self.stopped.items():
            yield Pool(index, f"machine {name}", Kind.TOOL, 1, (), tuple(stopped[name]))

    def _matrix(self, station: int) -> list[list[int]]:
        machine = self.problem.machines[station]
        keys = list(self.states[station])
        return [
            [
                sum(r.between(b, a) for r, b, a in zip(machine.changeovers, before, after, strict=True))
                for after in keys
            ]
            for before in keys
        ]

    def _blocks(self, machine: Machine, facts: list[Fact]) -> tuple[Block, ...]:
        """Fixed work merged where it overlaps, and the windows that are left beside it."""
        now = self.problem.now
        works: list[Block] = []
        for fact in sorted(facts, key=lambda f: (f.start, f.end, f.id)):
            block = Block(fact.start, fact.end, fact.state, fact.state, fact.start <= now)
            if works and block.start < works[-1].end:
                last = works[-1]
                block = Block(last.start, max(last.end, block.end), last.enter, block.leave, last.begun)
                works.pop()
            works.append(block)
        blocks = list(works)
        for start, end, pause in _windows(machine, now):
            at = start
            for work in works:
                if work.end <= at or work.start >= end:
                    continue
                if at < work.start:
                    blocks.append(Block(at, work.start, pause=pause))
                at = max(at, work.end)
            if at < end:
                blocks.append(Block(at, end, pause=pause))
        return tuple(sorted(blocks, key=lambda b: (b.start, b.end)))

    def _jobs(self, where: dict[str, int]) -> tuple[Job, ...]:
        members: dict[str, list[Operation]] = {}
        for operation in self.problem.operations:
            members.setdefault(operation.job_id, []).append(operation)
        jobs = []
        for name, operations in members.items():
            dues = [o.due for o in operations if o.due is not None]
            jobs.append(
                Job(
                    id=name,
                    due=max(dues) if dues else None,
                    weight=max(o.weight for o in operations),
                    activities=tuple(dict.fromkeys(where[o.id] for o in operations if o.id in where)),
                    end=max(
                        (self.fixed[o.id].end for o in operations if o.id in self.fixed),
                        default=self.problem.now,
                    ),
                )
            )
        return tuple(jobs)


def _offered(alternatives: tuple[Alternative, ...], members: list[Operation]) -> tuple[Alternative, ...]:
    """The alternatives that leases and pins leave open."""
    first = members[0]
    if first.state is State.LEASED:
        return tuple(a for a in alternatives if a.machine == first.machine)
    pinned = {o.pin.machine for o in members if o.pin is not None and o.pin.machine is not None}
    return tuple(a for a in alternatives if not pinned or a.machine in pinned)


def _share(seconds: int, pieces: int, operation: Operation) -> int:
    """Seconds until ``pieces`` of an operation that takes ``seconds`` are done, rounded up."""
    return -(-seconds * min(pieces, operation.quantity) // operation.quantity)


def _between_pauses(machine: Machine, fact: Assignment) -> Iterator[tuple[int, int]]:
    """The time from a fact's start to its end without the machine's pauses within it."""
    at = fact.start
    pauses = replace(machine, unavailable=tuple(w for w in machine.unavailable if w.pause))
    for start, end, _ in _windows(pauses, fact.start):
        if at < start and end < fact.end:
            yield at, start
            at = end
    yield at, fact.end


def _windows(machine: Machine, now: int) -> list[tuple[int, int, bool]]:
    """(start, end, pause) from ``now`` on, none overlapping; where both lie, it is no pause."""
    steps: dict[int, list[int]] = {}
    for window in machine.unavailable:
        for time, step in ((max(now, window.start), 1), (max(now, window.end), -1)):
            steps.setdefault(time, [0, 0])[window.pause] += step
    joined: list[tuple[int, int, bool]] = []
    counts = [0, 0]
    for start, end in pairwise(sorted(steps)):
        counts = [count + step for count, step in zip(counts, steps[start], strict=True)]
        pause = not counts[0]
        if not any(counts):
            continue
        if joined and joined[-1][1] == start and joined[-1][2] is pause:
            joined[-1] = joined[-1][0], end, pause
        else:
            joined.append((start, end, pause))
    return joined


def _topological(activities: list[Activity]) -> tuple[int, ...]:
    waits = [len(activity.before) for activity in activities]
    order = [index for index, count in enumerate(waits) if not count]
    for index in order:  # grows while it is read
        for follower, _ in activities[index].after:
            waits[follower] -= 1
            if not waits[follower]:
                order.append(follower)
    return tuple(order)
