"""The shop as a constraint model for OR-Tools CP-SAT. The only user of OR-Tools.

An activity has a start, an end and one presence literal for each option. A machine's stays must not overlap,
where a stay begins with the changeover. On machines with changeovers a circuit over the activities fixes the
order of work and so the changeovers; frozen work is a node of it. What is settled (windows, fixed work) is
constant. The plan is read back from the solution; it is re-checked by the validator before it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloud.dispatching.activities import Activity, Block, Shop, Spot, Station
from cloud.dispatching.limits import Limits, Stop
from cloud.dispatching.schedule import Service

if TYPE_CHECKING:
    from ortools.sat.python import cp_model as cp

OnSpots = Callable[[list[Spot], dict[str, Service]], None]
"""Called with each solution: spots by activity, services by maintenance id."""

MAX_ARCS = 250_000
"""Circuit arcs beyond which a model is too large to build at once (about 1 GB and 20 s)."""


def arcs(shop: Shop) -> int:
    """How many circuit arcs a model of ``shop`` has; see :data:`MAX_ARCS`."""
    total = 0
    for station in shop.stations:
        if station.has_changeovers:
            count = sum(any(o.station == station.index for o in a.options) for a in shop.activities)
            total += (count + 1 + len(station.facts)) ** 2
    return total


def horizon(shop: Shop, spots: Sequence[Spot]) -> int:
    """A time by which an optimal plan has surely ended: after ``spots`` with everything done one by one."""
    longest = [max((o.seconds for o in a.options), default=0) for a in shop.activities]
    changeover = max((max(row) for s in shop.stations for row in s.changeover), default=0)
    end = max([shop.problem.now, *(s.end for s in spots), *(a.end for a in shop.fixed.values())])
    end = max([end, *(b.end for s in shop.stations for b in s.blocks if b.end < end + sum(longest))])
    return end + sum(longest) + changeover * len(longest) + sum(t.seconds for t in shop.tasks)


@dataclass(frozen=True, slots=True)
class Result:
    """How a search ended; ``work`` is CP-SAT's deterministic time."""

    bound: float
    proved: bool
    work: float


@dataclass(slots=True)
class _Choice:
    """An option in the model; ``begin`` is when its machine is taken, with the changeover."""

    present: Any
    begin: Any
    changeover: Any


class ShopModel:
    """Variables, then the rules one method each, then the objective."""

    def __init__(self, shop: Shop, horizon: int) -> None:
        from ortools.sat.python import cp_model

        self.cp = cp_model
        self.shop = shop
        self.horizon = horizon
        self.model: cp.CpModel = cp_model.CpModel()
        self.start: list[Any] = []
        self.end: list[Any] = []
        self.choices: list[list[_Choice]] = []
        self.stays: list[list[Any]] = [[] for _ in shop.stations]
        self.arcs: list[tuple[int, int, int, Any]] = []
        """(station, node before, node after, literal)."""
        self.nodes: list[list[tuple[int, int] | Block]] = [[] for _ in shop.stations]
        """By station, what node 1, 2, … of its circuit is: (activity, option) or fixed work; 0: the start."""
        self.service: list[tuple[Any, Any]] = []
        self.source: list[Any] = []
        self.station_source: dict[int, int] = {}
        self.terms: list[Any] = []
        self.job_late: list[tuple[int, Any]] = []
        self.wish_off: list[tuple[int, int, Any]] = []
        self.changeovers: list[Any] = []
        self._activities()
        self._services()
        self._precedences()
        self._changeovers()
        self._no_overlap()
        self._sources()
        self._tardiness()
        self._deviation()
        self._makespan()
        self.model.minimize(sum(self.terms))

    # -- variables ------------------------------------------------------------------------------------

    def _activities(self) -> None:
        for activity in self.shop.activities:
            options = activity.options
            earliest = min(o.release for o in options)
            shortest = min(o.seconds for o in options)
            start = self.model.new_int_var(earliest, self.horizon, "")
            single = len(options) == 1
            if len({o.seconds for o in options}) == 1:
                end: Any = start + shortest
            else:
                end = self.model.new_int_var(earliest + shortest, self.horizon, "")
            self.start.append(start)
            self.end.append(end)
            choices = []
            for option in options:
                present = True if single else self.model.new_bool_var("")
                choices.append(self._choice(activity, option.station, start, end, option.seconds, present))
                if option.release > earliest:
                    self._if(self.model.add(start >= option.release), present)
            if not single:
                self.model.add_exactly_one(choice.present for choice in choices)
            self.choices.append(choices)

    def _choice(
        self, activity: Activity, station: int, start: Any, end: Any, seconds: int, present: Any
    ) -> _Choice:
        model = self.model
        if not self.shop.stations[station].has_changeovers:
            if present is True:
                self.stays[station].append(model.new_interval_var(start, seconds, end, ""))
            else:
                self.stays[station].append(model.new_optional_interval_var(start, seconds, end, present, ""))
            return _Choice(present, start, 0)
        longest = max(max(row) for row in self.shop.stations[station].changeover)
        changeover = model.new_int_var(0, longest, "")
        begin = model.new_int_var(self.shop.problem.now, self.horizon, "")
        size = changeover + seconds
        if present is True:
            self.stays[station].append(model.new_interval_var(begin, size, end, ""))
        else:
            self.stays[station].append(model.new_optional_interval_var(begin, size, end, present, ""))
            self._if(model.add(end == start + seconds), present)
            model.add(changeover == 0).only_enforce_if(~present)
        return _Choice(present, begin, changeover)

    def _if(self, constraint: Any, *literals: Any) -> None:
        """Enforce ``constraint`` only where all ``literals`` hold; ``True`` is left out."""
        real = [literal for literal in literals if literal is not True]
        if real:
            constraint.only_enforce_if(*real)

    def _services(self) -> None:
        for task in self.shop.tasks:
            done = self.model.new_bool_var("")
            latest = task.finish_before - task.seconds
            if latest < task.earliest:
                self.model.add(done == 0)
                latest = task.earliest
            start = self.model.new_int_var(task.earliest, latest, "")
            self.stays[task.station].append(
                self.model.new_optional_fixed_size_interval_var(start, task.seconds, done, "")
            )
            self.service.append((done, start))
            self.terms.append((self.shop.problem.weights.tardiness * task.omit_cost) * (1 - done))

    # -- rules ----------------------------------------------------------------------------------------

    def _precedences(self) -> None:
        """An activity starts after its predecessors' ends, lags and transport."""
        for activity in self.shop.activities:
            for before, lag in activity.before:
                self._after(activity, self.shop.activities[before], lag)

    def _after(self, activity: Activity, before: Activity, lag: int) -> None:
        start, end = self.start[activity.index], self.end[before.index]
        if not self.shop.has_travel:
            self.model.add(start >= end + lag)
            return
        travel = self.shop.travel
        waits = [[travel[one.station][o.station] for one in before.options] for o in activity.options]
        least = min(min(row) for row in waits)
        self.model.add(start >= end + lag + least)
        for row, choice in zip(waits, self.choices[activity.index], strict=True):
            nearest = min(row)
            if nearest > least:
                self._if(self.model.add(start >= end + lag + nearest), choice.present)
            for wait, other in zip(row, self.choices[before.index], strict=True):
                if wait > nearest:
                    self._if(self.model.add(start >= end + lag + wait), choice.present, other.present)

    def _changeovers(self) -> None:
        """A circuit through the work of each machine that changes over; its arcs set the changeovers."""
        for station in self.shop.stations:
            if not station.has_changeovers:
                continue
            nodes: list[tuple[int, int] | Block] = [
                (activity.index, position)
                for activity in self.shop.activities
                for position, option in enumerate(activity.options)
                if option.station == station.index
            ]
            nodes += [block for block in station.blocks if block.is_work]
            if nodes:
                self.nodes[station.index] = nodes
                self._circuit(station, nodes)

    def _circuit(self, station: Station, nodes: list[tuple[int, int] | Block]) -> None:
        model = self.model
        tuples: list[tuple[int, int, Any]] = []
        paid: list[list[Any]] = [[] for _ in nodes]
        empty = model.new_bool_var("")
        tuples.append((0, 0, empty))
        always = any(isinstance(node, Block) or self._present(node) is True for node in nodes)
        if always:
            model.add(empty == 0)
        for at, node in enumerate(nodes, start=1):
            tuples.append((at, 0, model.new_bool_var("")))
            self.arcs.append((station.index, at, 0, tuples[-1][2]))
            present = True if isinstance(node, Block) else self._present(node)
            if present is not True:
                tuples.append((at, at, ~present))
                model.add_implication(present, ~empty)
            for came, before in enumerate([None, *nodes]):
                if came == at or not self._may_follow(before, node):
                    continue
                literal = model.new_bool_var("")
                tuples.append((came, at, literal))
                self.arcs.append((station.index, came, at, literal))
                seconds = self._follow(station, before, node, literal)
                if seconds:
                    paid[at - 1].append(seconds * literal)
        self.arcs.append((station.index, 0, 0, empty))
        model.add_circuit(tuples)
        for node, costs in zip(nodes, paid, strict=True):
            total = sum(costs) if costs else 0
            if isinstance(node, Block):
                if costs:
                    self.changeovers.append(total)
            else:
                choice = self.choices[node[0]][node[1]]
                model.add(choice.changeover == total)
                self.changeovers.append(choice.changeover)

    def _present(self, node: tuple[int, int]) -> Any:
        return self.choices[node[0]][node[1]].present

    def _may_follow(self, before: tuple[int, int] | Block | None, node: tuple[int, int] | Block) -> bool:
        """Whether ``node`` can come directly after ``before`` (``None``: the machine's present set-up)."""
        if isinstance(before, Block) and isinstance(node, Block):
            return before.end <= node.start
        if isinstance(node, Block):
            # What has begun is preceded by nothing that is still to be planned.
            return before is None or not node.begun
        rank = self.shop.activities[node[0]].rank
        if isinstance(before, tuple):
            rank_before = self.shop.activities[before[0]].rank
            # Of what keeps its order, only neighbours can follow directly.
            return before[0] != node[0] and (rank < 0 or rank_before < 0 or rank == rank_before + 1)
        return before is not None or rank <= 0

    def _follow(
        self,
        station: Station,
        before: tuple[int, int] | Block | None,
        node: tuple[int, int] | Block,
        arc: Any,
    ) -> int:
        """Time the order ``before``, ``node`` that the literal ``arc`` stands for; returns the changeover."""
        now = self.shop.problem.now
        free: Any  # a constant, or an expression of the model
        if isinstance(before, Block):
            leave, free = before.leave, before.end
        elif before is None:
            leave, free = station.state, now
        else:
            leave, free = self.shop.activities[before[0]].options[before[1]].state, self.end[before[0]]
        if isinstance(node, Block):
            seconds = station.changeover[leave][node.enter]
            if node.begun:
                return 0
            if isinstance(free, int):
                return max(0, min(seconds, node.start - max(now, free)))
            self.model.add(free + seconds <= node.start).only_enforce_if(arc)
            return seconds
        choice = self.choices[node[0]][node[1]]
        if not isinstance(free, int) or free > now:
            self.model.add(choice.begin >= free).only_enforce_if(arc)
        return station.changeover[leave][self.shop.activities[node[0]].options[node[1]].state]

    def _no_overlap(self) -> None:
        """A machine does one thing at a time and nothing while unavailable."""
        for station, stays in zip(self.shop.stations, self.stays, strict=True):
            now = self.shop.problem.now
            for block in station.blocks:
                start = max(block.start, now)
                if (block.end > start or block.is_work) and start < self.horizon:
                    stays.append(self.model.new_fixed_size_interval_var(start, block.end - start, ""))
            if len(stays) > 1:
                self.model.add_no_overlap(stays)

    def _sources(self) -> None:
        """When each source of a path that leaves a part is reached."""
        given_back: dict[int, Any] = {}
        for number, source in enumerate(self.shop.sources):
            if source.activity >= 0:
                self.source.append(self.end[source.activity])
            else:
                given_back[source.station] = self.model.new_int_var(self.shop.problem.now, self.horizon, "")
                self.source.append(given_back[source.station])
                self.station_source[source.station] = number
        for activity in self.shop.activities:
            for option, choice in zip(activity.options, self.choices[activity.index], strict=True):
                number = self.station_source.get(option.station, -1)
                if number >= 0:
                    state = self.shop.sources[number].state
                    change = self.shop.stations[option.station].changeover[option.state][state]
                    end = self.end[activity.index]
                    self._if(self.model.add(self.source[number] >= end + change), choice.present)

    # -- objective ------------------------------------------------------------------------------------

    def _tardiness(self) -> None:
        for number, job in enumerate(self.shop.jobs):
            cost = self.shop.problem.weights.tardiness * job.weight
            if job.due is None or not cost:
                continue
            if not job.activities and not job.tails:
                self.terms.append(cost * max(0, job.end - job.due))
                continue
            most = self.horizon + max((seconds for _, seconds in job.tails), default=0)
            late = self.model.new_int_var(
                max(0, job.end - job.due), max(0, job.end - job.due, most - job.due), ""
            )
            members = set(job.activities)
            for index in job.activities:
                if not any(after in members for after, _ in self.shop.activities[index].after):
                    self.model.add(late >= self.end[index] - job.due)
            for source, seconds in job.tails:
                self.model.add(late >= self.source[source] + (seconds - job.due))
            self.job_late.append((number, late))
            self.terms.append(cost * late)
        if self.shop.problem.weights.changeover:
            self.terms += [self.shop.problem.weights.changeover * c for c in self.changeovers]

    def _deviation(self) -> None:
        weights = self.shop.problem.weights
        if not weights.deviation:
            return
        for activity in self.shop.activities:
            for position, wish in enumerate(activity.wishes):
                off = self.model.new_int_var(0, self.horizon + abs(wish.start), "")
                self.model.add(off >= self.start[activity.index] - wish.start)
                self.model.add(off >= wish.start - self.start[activity.index])
                self.wish_off.append((activity.index, position, off))
                self.terms.append(weights.deviation * wish.count * off)
                for option, choice in zip(activity.options, self.choices[activity.index], strict=True):
                    if option.station != wish.station:
                        cost = weights.deviation * wish.count * weights.other_machine
                        self.terms.append(cost * choice.present)

    def _makespan(self) -> None:
        weights, now = self.shop.problem.weights, self.shop.problem.now
        self.latest = None
        if not weights.makespan:
            return
        most = self.horizon + max((seconds for _, seconds in self.shop.closing), default=0)
        self.latest = self.model.new_int_var(self.shop.settled_end, max(most, self.shop.settled_end), "")
        for source, seconds in self.shop.closing:
            self.model.add(self.latest >= self.source[source] + seconds)
        for activity in self.shop.activities:
            if not activity.after:
                self.model.add(self.latest >= self.end[activity.index])
        self.terms.append(weights.makespan * (self.latest - now))

    # -- search, result  -------------------------------------------------------------------

    def solve(
        self,
        limits: Limits,
        found: OnSpots,
        stop: Stop,
        on_bound: Callable[[float], None] | None = None,
    ) -> Result:
        """Search; ``found`` hears of every solution, ``on_bound`` of every better bound of the cost."""
        solver = self.cp.CpSolver()
        parameters = solver.parameters
        parameters.num_workers = limits.workers
        parameters.random_seed = limits.seed
        parameters.absolute_gap_limit = limits.gap
        if limits.quick:
            parameters.cp_model_probing_level = 0
            parameters.linearization_level = 0
        if limits.deterministic:
            parameters.max_deterministic_time = min(limits.seconds, limits.work)
            # One worker is repeatable as it is; several are only when they take turns.
            parameters.interleave_search = limits.workers > 1
        else:
            parameters.max_time_in_seconds = max(0.05, limits.seconds)
            parameters.max_deterministic_time = limits.work
        model = self

        class Listener(self.cp.CpSolverSolutionCallback):  # type: ignore[misc, name-defined]
            def on_solution_callback(self) -> None:
                found(*model.read(self.value))

        if on_bound is not None:
            solver.best_bound_callback = on_bound
        stop.attach(solver.stop_search)
        if stop.requested:
            return Result(0.0, False, 0.0)
        status = solver.solve(self.model, Listener())
        if status == self.cp.MODEL_INVALID:
            raise RuntimeError(f"CP-SAT refuses the model: {self.model.validate()}")
        if status == self.cp.INFEASIBLE:
            raise RuntimeError("CP-SAT finds the model infeasible though a valid plan is known")
        return Result(
            bound=solver.best_objective_bound,
            proved=status == self.cp.OPTIMAL,
            work=solver.response_proto.deterministic_time,
        )

    def read(self, value: Callable[[Any], int]) -> tuple[list[Spot], dict[str, Service]]:
        """The plan that a solution describes."""
        spots: list[Spot] = []
        for activity in self.shop.activities:
            choices = self.choices[activity.index]
            position = next(i for i, c in enumerate(choices) if c.present is True or value(c.present))
            changeover = choices[position].changeover
            start = int(value(self.start[activity.index]))
            spots.append(
                Spot(
                    option=position,
                    changeover=0 if isinstance(changeover, int) else int(value(changeover)),
                    start=start,
                    end=start + activity.options[position].seconds,
                )
            )
        services = {
            task.id: Service(
                machine=self.shop.stations[task.station].id,
                start=int(value(start)),
                end=int(value(start)) + task.seconds,
            )
            for task, (done, start) in zip(self.shop.tasks, self.service, strict=True)
            if value(done)
        }
        return spots, services
