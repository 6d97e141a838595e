"""The shop as a constraint model for OR-Tools CP-SAT. The only user of OR-Tools.

An activity has a start, an end and one presence literal for each option. A machine's stays must not overlap,
where a stay begins with the changeover. On machines with changeovers a circuit over the activities fixes the
order of work and so the changeovers; frozen work is a node of it. What is settled (windows, fixed work) is
constant. Most rules are in files beside this one. The plan is read back from the solution; it
is re-checked by the validator before it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cloud.dispatching.shop.schedule import Service, Trip
from cloud.dispatching.solving.activities import Block, Option, Shop, Spot
from cloud.dispatching.solving.exact.circuits import add_changeovers
from cloud.dispatching.solving.exact.costs import (
    add_changeover_costs,
    add_deviation,
    add_makespan,
    add_tardiness,
)
from cloud.dispatching.solving.exact.pools import add_pools
from cloud.dispatching.solving.exact.rests import add_rests, literals, pauses
from cloud.dispatching.solving.exact.symmetry import add_symmetry
from cloud.dispatching.solving.exact.trips import add_trips
from cloud.dispatching.solving.exact.variables import Choice, Variables
from cloud.dispatching.solving.exact.waits import add_waits
from cloud.dispatching.solving.limits import Limits, Stop

MAX_ARCS = 250_000
"""Circuit arcs beyond which a model is too large to build at once (about 1 GB and 20 s)."""

MAX_RESTS = 60_000
"""Literals of interruptible work and pauses beyond which a model is too large to be of use."""


@dataclass(frozen=True, slots=True)
class Found:
    """A solution: spots by activity, services by maintenance id, trips where vehicles are limited."""

    spots: list[Spot]
    services: dict[str, Service]
    trips: list[Trip]


OnFound = Callable[[Found], None]
"""Called with each solution, from the solver's thread."""


def arcs(shop: Shop) -> int:
    """How many circuit arcs a model of ``shop`` has; see :data:`MAX_ARCS`."""
    total = 0
    for station in shop.stations:
        if station.has_changeovers:
            count = sum(any(o.station == station.index for o in a.options) for a in shop.activities)
            total += (count + 1 + len(station.facts)) ** 2
    return total


def represents(shop: Shop, spots: Sequence[Spot] = ()) -> bool:
    """Whether a model says all of ``shop`` and is small enough to build; ``spots`` of a plan tell its end."""
    return arcs(shop) <= MAX_ARCS and literals(shop, horizon(shop, spots)) <= MAX_RESTS


def horizon(shop: Shop, spots: Sequence[Spot]) -> int:
    """A time by which an optimal plan has surely ended: after ``spots`` with everything done one by one."""
    longest = [max((o.seconds for o in a.options), default=0) for a in shop.activities]
    changeover = max((max(row) for s in shop.stations for row in s.changeover), default=0)
    way = max((max(row) for row in shop.travel if row), default=0)
    waits = sum(lag + way for a in shop.activities for _, lag in a.before)
    vehicles = shop.problem.vehicles
    if vehicles is not None:
        waits += sum(haul.lag + way + vehicles.empty for a in shop.activities for haul in a.hauls)
    work = sum(longest) + changeover * len(longest) + waits + sum(t.seconds for t in shop.tasks)
    end = max([shop.problem.now, *(s.end for s in spots), *(a.end for a in shop.fixed.values())])
    end = max([end, *(o.release for a in shop.activities for o in a.options)])
    end = max([end, *(wish.start for a in shop.activities for wish in a.wishes)])
    ahead = [(b.start, b.end) for s in shop.stations for b in s.blocks]
    for levels in (*(pool.levels for pool in shop.pools), vehicles.levels if vehicles else ()):
        ahead += [(level.start, level.end) for level in levels]
    return max([end, *(until for start, until in ahead if start < end + work)]) + work


@dataclass(frozen=True, slots=True)
class Result:
    """How a search ended; ``work`` is CP-SAT's deterministic time."""

    bound: float
    proved: bool
    work: float


class ShopModel(Variables):
    """Its variables, then the rules one function each, then the objective."""

    def __init__(self, shop: Shop, horizon: int) -> None:
        from ortools.sat.python import cp_model

        super().__init__(shop, horizon, cp_model)
        self._activities()
        self._services()
        add_waits(self)
        add_changeovers(self)
        self._no_overlap()
        add_pools(self)
        add_trips(self)
        add_symmetry(self)
        self._sources()
        add_tardiness(self)
        add_changeover_costs(self)
        add_deviation(self)
        add_makespan(self)
        self.model.minimize(sum(self.terms))

    # -- variables ------------------------------------------------------------------------------------

    def _activities(self) -> None:
        for activity in self.shop.activities:
            options = activity.options
            earliest = min(o.release for o in options)
            shortest = min(o.seconds for o in options)
            rests = [pauses(self.shop, activity, option, self.horizon) for option in options]
            start = self.model.new_int_var(earliest, self.horizon, "")
            single = len(options) == 1
            if len({o.seconds for o in options}) == 1 and not any(rests):
                end: Any = start + shortest
            else:
                end = self.model.new_int_var(earliest + shortest, self.horizon, "")
            self.start.append(start)
            self.end.append(end)
            choices = []
            for option, over in zip(options, rests, strict=True):
                present = True if single else self.model.new_bool_var("")
                choice = self._choice(option, start, end, present, over)
                choices.append(choice)
                self.stays[option.station].append(choice.stay)
                if not over:
                    self.rigid[option.station].append(choice.stay)
                if option.release > earliest:
                    self.only_if(self.model.add(start >= option.release), present)
            if not single:
                self.model.add_exactly_one(choice.present for choice in choices)
            self.choices.append(choices)

    def _choice(self, option: Option, start: Any, end: Any, present: Any, over: Sequence[Block]) -> Choice:
        model, station = self.model, self.shop.stations[option.station]
        choice = Choice(present, start, 0)
        size: Any = option.seconds
        longest = max(max(row) for row in station.changeover) if station.has_changeovers else 0
        if station.has_changeovers:
            choice.changeover = model.new_int_var(0, longest, "")
            choice.begin = model.new_int_var(self.shop.problem.now, self.horizon, "")
            size = choice.changeover + option.seconds
        if over:
            most = longest + option.seconds + sum(pause.end - pause.start for pause in over)
            size = choice.size = model.new_int_var(option.seconds, most, "")
        if present is True:
            choice.stay = model.new_interval_var(choice.begin, size, end, "")
        else:
            choice.stay = model.new_optional_interval_var(choice.begin, size, end, present, "")
        if over:
            add_rests(self, option, choice, start, end, over)
            if station.has_changeovers:
                self.only_if(model.add(start == choice.begin + choice.changeover), present)
        elif station.has_changeovers:
            self.only_if(model.add(end == start + option.seconds), present)
        if station.has_changeovers and present is not True:
            model.add(choice.changeover == 0).only_enforce_if(~present)
        return choice

    def _services(self) -> None:
        """Maintenance is done in time or left out; what is done late costs by the second."""
        for task in self.shop.tasks:
            done = self.model.new_bool_var("")
            latest = task.finish_before - task.seconds
            if latest < task.earliest:
                self.model.add(done == 0)
                latest = task.earliest
            start = self.model.new_int_var(task.earliest, latest, "")
            stay = self.model.new_optional_fixed_size_interval_var(start, task.seconds, done, "")
            self.stays[task.station].append(stay)
            self.rigid[task.station].append(stay)
            self.service.append((done, start))
            self.service_stays.append(stay)
            self.terms.append((self.shop.problem.weights.tardiness * task.omit_cost) * (1 - done))
            if task.delay_cost:
                self.model.add(start == task.earliest).only_enforce_if(~done)
                self.terms.append(task.delay_cost * (start - task.earliest))

    # -- rules of machines ----------------------------------------------------------------------------

    def _no_overlap(self) -> None:
        """A machine does one thing at a time and nothing while unavailable.

        Work that may rest over pauses is held off them by its rests; so pauses bind the other stays only.
        """
        machines = zip(self.shop.stations, self.stays, self.rigid, strict=True)
        for number, (station, stays, rigid) in enumerate(machines):
            # Work is done by the horizon; a service may wait until its risk date, which may lie behind it.
            services = [task.finish_before for task in self.shop.tasks if task.station == number]
            until = max([self.horizon, *services])
            split = len(rigid) < len(stays)
            shut = [b for b in station.blocks if not (split and b.pause)]
            self._take_turns(stays, shut, until)
            if split and rigid:
                self._take_turns(rigid, station.blocks, until)

    def _take_turns(self, stays: Sequence[Any], blocks: Sequence[Block], until: int) -> None:
        now, all_of_it = self.shop.problem.now, list(stays)
        for block in blocks:
            start = max(block.start, now)
            if (block.end > start or block.is_work) and start < until:
                all_of_it.append(self.model.new_fixed_size_interval_var(start, block.end - start, ""))
        if len(all_of_it) > 1:
            self.model.add_no_overlap(all_of_it)

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
                    self.only_if(self.model.add(self.source[number] >= end + change), choice.present)

    # -- search, result  -------------------------------------------------------------------

    def solve(
        self,
        limits: Limits,
        found: OnFound,
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
                found(model.read(self.value))

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

    def read(self, value: Callable[[Any], int]) -> Found:
        """The plan that a solution describes."""
        spots: list[Spot] = []
        for activity in self.shop.activities:
            choices = self.choices[activity.index]
            position = next(i for i, c in enumerate(choices) if c.present is True or value(c.present))
            changeover = choices[position].changeover
            spots.append(
                Spot(
                    option=position,
                    changeover=0 if isinstance(changeover, int) else int(value(changeover)),
                    start=int(value(self.start[activity.index])),
                    end=int(value(self.end[activity.index])),
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
        trips: list[Trip] = []
        for carried in self.trips:
            seconds = next(n for n, way in carried.ways.items() if way is True or value(way))
            if seconds:
                start, haul = int(value(carried.start)), carried.haul
                trips.append(
                    Trip(
                        operation=haul.operation,
                        predecessor=haul.predecessor,
                        start=start,
                        end=start + seconds,
                    )
                )
        return Found(spots, services, trips)
