"""A plan carried out many times at once: one pass in order of time, a sample per column.

What a sample assumes:

- work starts as soon as its predecessors have ended, its machine is free and changed over, and its planned
  duration fits before the machine closes; what then takes longer rests while the machine is closed;
- a set-up and a run scatter as one, by the same factor for all operations of a run; changeovers, transport
  and services do not;
- of shared resources and limited vehicles as many are there as at the planned start, and who starts first in
  the plan takes first; a vehicle sets out when it is there and what it carries is ready;
- work that something must follow within a time starts no sooner than planned, or the wait would be longer
  from the outset; beyond that nobody watches the longest lags: :meth:`Rollout.waits` says how they fare;
- what is frozen and to come starts at its time or, held up, later. Frozen work may contradict other facts
  (a window, other frozen work): what it is held up by as it is planned already does not hold it up.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from graphlib import TopologicalSorter

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from cloud.dispatching.questions.assumptions import Assumptions, Shape
from cloud.dispatching.shop.problem import (
    Level,
    Machine,
    Maintenance,
    Operation,
    Problem,
    Run,
    State,
)
from cloud.dispatching.shop.schedule import Assignment, Schedule, Trip

Times = NDArray[np.float64]
"""A time or a duration in seconds, a sample per column."""


class Rollout:
    """One pass through a plan; :meth:`ends` may be called once."""

    def __init__(self, problem: Problem, schedule: Schedule, said: Assumptions) -> None:
        self.problem = problem
        self.schedule = schedule
        self.said = said
        # The last column is the plan itself: nothing scatters there.
        self.columns = said.samples + 1
        self.rng = np.random.default_rng(said.seed)
        self.travel = problem.travel()
        self.operations = {operation.id: operation for operation in problem.operations}
        self.calendar = {machine.id: _Calendar(machine) for machine in problem.machines}
        start = np.full(self.columns, float(problem.now))
        self.free: dict[str, Times] = {machine.id: start for machine in problem.machines}
        self.resources = {resource.id: resource for resource in problem.resources}
        self.heads = {
            resource.id: _Heads(
                max([resource.capacity, *(level.capacity for level in resource.levels)]), start
            )
            for resource in problem.resources
        }
        self.vehicles = _vehicles(problem, start)
        self.brought: dict[tuple[str, str], Times] = {}
        self.hurries = {name for o in problem.operations for name in o.max_lags}
        self.start: dict[str, Times] = {}
        self.end: dict[str, Times] = {}

    def ends(self) -> Mapping[str, Times]:
        """The end of every operation, a sample per column."""
        waits = {o.id: o.predecessors for o in self.problem.operations}
        rank = {name: at for at, name in enumerate(TopologicalSorter(waits).static_order())}

        def in_time(event: _Step | Trip) -> tuple[int, int, int]:
            if isinstance(event, Trip):  # behind work without length that ends as it sets out
                return event.start, event.start, len(rank)
            a = event.assignment
            return a.start, a.end, max((rank[o.id] for o in event.operations), default=-1)

        events: list[_Step | Trip] = [*self._steps(), *self.schedule.trips]
        for event in sorted(events, key=in_time):
            if isinstance(event, Trip):
                self._bring(event)
            else:
                self._carry_out(event)
        return {name: end[:-1] for name, end in self.end.items()}

    def waits(self) -> Iterator[tuple[Operation, str, Times]]:
        """Of each longest lag, its operation and predecessor and the seconds between, a sample per column.

        Only after :meth:`ends`. What was begun before the plan is a fact, and left out.
        """
        for operation in self.problem.operations:
            for name in operation.max_lags if operation.state is not State.FIXED else ():
                yield operation, name, (self.start[operation.id] - self.end[name])[:-1]

    def _steps(self) -> list[_Step]:
        runs = {run.id: run for run in self.problem.runs}
        tasks = {task.id: task for task in self.problem.maintenance}
        found: list[_Step] = []
        joined: dict[str, list[Operation]] = {}
        for operation in self.problem.operations:
            a = self.schedule.assignments[operation.id]
            if a.run is None:
                found.append(_Step(a, (operation,)))
            else:
                joined.setdefault(a.run, []).append(operation)
        found += [
            _Step(self.schedule.assignments[members[0].id], tuple(members), runs[name])
            for name, members in joined.items()
        ]
        found += [
            _Step(Assignment(machine=s.machine, start=s.start, end=s.end), (), task=tasks[name])
            for name, s in self.schedule.services.items()
        ]
        return found

    def _carry_out(self, step: _Step) -> None:
        a, now = step.assignment, self.problem.now
        calendar = self.calendar[a.machine]
        if step.is_frozen and a.start <= now:
            start = np.full(self.columns, float(a.start))
            end = calendar.worked(np.full(self.columns, float(now)), self._drawn(step, now))
        else:
            start = self._earliest(step)
            if step.is_frozen:
                start = start - max(0.0, start[-1] - a.start)
            else:
                start = calendar.fitting(
                    start, a.changeover_seconds, calendar.work(a.start, a.end), step.may_rest
                )
            end = self._caught_up(step, calendar.worked(start, self._drawn(step, a.start)))
        if step.is_frozen:
            end = end - (end[-1] - a.end)
        for operation in step.operations:
            self.start[operation.id], self.end[operation.id] = start, end
        for machine in step.machines:
            self.free[machine] = np.maximum(self.free[machine], end)
        for name, count in step.needs.items():
            self.heads[name].take(count, end)

    def _bring(self, trip: Trip) -> None:
        """A vehicle takes what is ready to where it is needed, as soon as there is one."""
        limited = self.problem.vehicles
        if limited is None or self.vehicles is None:
            return
        lag = self.operations[trip.operation].lags.get(trip.predecessor, 0)
        called = trip.start - limited.empty
        away = self.vehicles.count - there(limited.count, limited.levels, called)
        out = np.maximum(self.end[trip.predecessor] + lag, self.vehicles.when(1 + away) + limited.empty)
        arrives: Times = out + (trip.end - trip.start)
        self.vehicles.take(1, arrives)
        self.brought[trip.operation, trip.predecessor] = arrives

    def _earliest(self, step: _Step) -> Times:
        a = step.assignment
        start: Times = np.full(self.columns, float(step.earliest))
        for machine in step.machines:
            start = np.maximum(start, self.free[machine] + a.changeover_seconds)
        for operation in step.operations:
            least = max(operation.earliest, a.start) if operation.id in self.hurries else operation.earliest
            if operation.state is not State.FREE and operation.start is not None:
                least = max(least, operation.start)
            pin = operation.pin if operation.state is State.FREE else None
            if pin is not None and pin.start is not None:
                least = max(least, pin.start)
            start = np.maximum(start, least)
            for name in operation.predecessors:
                if name in self.end:  # work that a person froze may come before what it should wait for
                    start = np.maximum(start, self._after(step, operation, name))
        for name, count in step.needs.items():
            away = self.heads[name].count - self._there(name, a.start)
            start = np.maximum(start, self.heads[name].when(count + away) + a.changeover_seconds)
        return start

    def _after(self, step: _Step, operation: Operation, name: str) -> Times:
        """From when on the material of a predecessor is there."""
        before = self.schedule.assignments[name]
        brought = self.brought.get((operation.id, name))
        if brought is not None:
            return brought
        wait = self._wait(step, operation, name)
        if name not in operation.overlaps or before.run is not None or step.run is not None:
            return self.end[name] + wait
        quantity = self.operations[name].quantity
        share = min(operation.overlaps[name], quantity) / quantity
        return self.start[name] + (self.end[name] - self.start[name]) * share + wait

    def _wait(self, step: _Step, operation: Operation, name: str) -> int:
        before = self.schedule.assignments[name]
        travel = self.travel.get((before.machine, step.assignment.machine), 0)
        return travel + operation.lags.get(name, 0)

    def _caught_up(self, step: _Step, end: Times) -> Times:
        """Overlapping work ends no sooner than it can have worked on its predecessor's last pieces."""
        a = step.assignment
        for operation in step.operations if step.run is None else ():
            for name, pieces in operation.overlaps.items():
                if self.schedule.assignments[name].run is None:
                    share = min(pieces, operation.quantity) / operation.quantity
                    last = share * self.calendar[a.machine].work(a.start, a.end)
                    end = np.maximum(end, self.end[name] + self._wait(step, operation, name) + last)
        return end

    def _there(self, name: str, time: int) -> int:
        resource = self.resources[name]
        return there(resource.capacity, resource.levels, time)

    def _drawn(self, step: _Step, since: int) -> Times:
        """Work from ``since`` on, repairs included, in seconds; a service takes what it takes."""
        a, said = step.assignment, self.said
        seconds = float(self.calendar[a.machine].work(since, a.end))
        if not step.operations:
            return np.full(self.columns, seconds)
        work: Times = seconds * np.append(_factors(self.rng, said), 1.0)
        fails = said.breakdowns.get(a.machine)
        if fails is not None:
            failures = self.rng.poisson(work / fails.mean_between)
            failures[-1] = 0
            # The sum of so many exponential repairs.
            work = work + self.rng.standard_gamma(failures) * fails.mean_repair
        return work


class _Step(Struct, frozen=True):
    """One thing on a machine: the operations of one assignment, or (with none) a service."""

    assignment: Assignment
    operations: tuple[Operation, ...]
    run: Run | None = None
    task: Maintenance | None = None

    @property
    def earliest(self) -> int:
        return self.task.earliest if self.task is not None else 0

    @property
    def machines(self) -> tuple[str, ...]:
        """What it takes: its machine, and what stands still for a service."""
        return (self.assignment.machine, *(self.task.also if self.task is not None else ()))

    @property
    def is_frozen(self) -> bool:
        return bool(self.operations) and self.operations[0].state is State.FIXED

    @property
    def may_rest(self) -> bool:
        return bool(self.operations) and all(operation.interruptible for operation in self.operations)

    @property
    def needs(self) -> Mapping[str, int]:
        if self.task is not None:
            return self.task.needs
        offered = self.run.alternatives if self.run else self.operations[0].alternatives
        return next((a.needs for a in offered if a.machine == self.assignment.machine), {})


def there(capacity: int, levels: Iterable[Level], time: int) -> int:
    """How many there are at a time."""
    return next((level.capacity for level in levels if level.start <= time < level.end), capacity)


def _vehicles(problem: Problem, since: Times) -> _Heads | None:
    limited = problem.vehicles
    if limited is None:
        return None
    return _Heads(max([limited.count, *(level.capacity for level in limited.levels)]), since)


class _Heads:
    """A shared resource: when each of it becomes free, the first in the first row."""

    def __init__(self, count: int, since: Times) -> None:
        self.count = count
        self._free = np.tile(since, (count, 1))

    def when(self, count: int) -> Times:
        """When ``count`` of them are free."""
        row: Times = self._free[min(max(count, 1), self.count) - 1]
        return row

    def take(self, count: int, until: Times) -> None:
        self._free[:count] = until
        self._free.sort(axis=0)


class _Calendar:
    """The windows of a machine in order, those that touch as one."""

    def __init__(self, machine: Machine) -> None:
        self._windows: list[tuple[int, int, bool]] = []
        for start, end, pause in sorted((w.start, w.end, w.pause) for w in machine.unavailable):
            if self._windows and start <= self._windows[-1][1]:
                since, until, all_pause = self._windows[-1]
                self._windows[-1] = since, max(until, end), all_pause and pause
            else:
                self._windows.append((start, end, pause))
        self._ends = [end for _, end, _ in self._windows]

    def work(self, start: int, end: int) -> int:
        """Seconds from ``start`` to ``end`` without the windows that lie between."""
        rests = sum(until - since for since, until, _ in self._windows if start < since and until <= end)
        return max(0, end - start - rests)

    def fitting(self, start: Times, changeover: int, work: int, may_rest: bool) -> Times:
        """``start``, or later, so that changeover and planned work lie between windows.

        What ``may_rest`` need not end before a pause.
        """
        for since, until, pause in self._windows[bisect_right(self._ends, start.min() - changeover) :]:
            if since >= start.max() + work:
                break
            reaches = start if may_rest and pause else start + work
            meets = (start - changeover < until) & (reaches > since)
            # Work of no length that starts with the window meets nothing.
            start = np.where(meets, float(until + changeover), start)
        return start

    def worked(self, start: Times, work: Times) -> Times:
        """When ``work`` begun at ``start`` is done, if it rests in windows."""
        end: Times = start + work
        for since, until, _ in self._windows[bisect_right(self._ends, start.min()) :]:
            if since >= end.max():
                break
            end = np.where((start < since) & (end > since), end + (until - since), end)
        return end


def _factors(rng: np.random.Generator, said: Assumptions) -> Times:
    """By what the planned duration is multiplied."""
    if said.spread == 0:
        return np.ones(said.samples)
    if said.shape is Shape.TRIANGULAR:
        return rng.triangular(1 - said.spread, 1.0, 1 + said.spread, said.samples)
    variance = math.log1p(said.spread**2)
    return rng.lognormal(-variance / 2, math.sqrt(variance), said.samples)
