"""From a problem in words to the numbered shop the planner works on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloud.dispatching.activities import Activity, Block, Fact, Job, Option, Shop, Station, Task, Wish
from cloud.dispatching.problem import Alternative, Machine, Operation, Problem, Run, State, lease_order
from cloud.dispatching.schedule import Assignment


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
        self.units = list(self._units())
        self.fixed = self._fixed_assignments()
        # Set-up states by machine: the attribute values its rules look at.
        self.states: list[dict[tuple[str, ...], int]] = [{} for _ in problem.machines]

    def _units(self) -> Iterator[tuple[Run | None, list[Operation]]]:
        operations = {operation.id: operation for operation in self.problem.operations}
        covered = {name for run in self.problem.runs for name in run.operations}
        for run in self.problem.runs:
            yield run, [operations[name] for name in run.operations]
        for operation in self.problem.operations:
            if operation.id not in covered:
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
                )
                for t in problem.maintenance
            ),
            travel=self.travel,
            has_travel=self.has_travel,
            fixed=self.fixed,
            order=_topological(activities),
            settled_end=max([problem.now, *(assignment.end for assignment in self.fixed.values())]),
        )

    def _activity(
        self, index: int, run: Run | None, members: list[Operation], setup: Mapping[str, str]
    ) -> Activity:
        first = members[0]
        offered: tuple[Alternative, ...] = run.alternatives if run else first.alternatives
        leased = first.state is State.LEASED
        if leased:
            offered = tuple(a for a in offered if a.machine == first.machine)
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
                )
                for a in offered
            ),
            leased=leased,
            wishes=self._wishes(members),
        )

    def _release(self, members: list[Operation], station: int) -> int:
        release = self.problem.now
        for member in members:
            release = max(release, member.earliest)
            if member.state is State.LEASED and member.start is not None:
                release = max(release, member.start)
            for name in member.predecessors:
                before = self.fixed.get(name)
                if before is not None:
                    travel = self.travel[self.number[before.machine]][station] if self.has_travel else 0
                    release = max(release, before.end + member.lags.get(name, 0) + travel)
        return release

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
        last_end = now
        for window in sorted(machine.unavailable, key=lambda w: (w.start, w.end)):
            start, end = max(window.start, last_end), window.end
            if end <= start:
                continue
            last_end = end
            for work in works:
                if work.end <= start or work.start >= end:
                    continue
                if start < work.start:
                    blocks.append(Block(start, work.start))
                start = max(start, work.end)
            if start < end:
                blocks.append(Block(start, end))
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


def _topological(activities: list[Activity]) -> tuple[int, ...]:
    waits = [len(activity.before) for activity in activities]
    order = [index for index, count in enumerate(waits) if not count]
    for index in order:  # grows while it is read
        for follower, _ in activities[index].after:
            waits[follower] -= 1
            if not waits[follower]:
                order.append(follower)
    return tuple(order)
