"""A shop with every feature as arrays for the list decoder, and the units its lists are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloud.dispatching.shop.problem import Kind, Level
from cloud.dispatching.solving.activities import Activity, Job, Shop, Station
from cloud.dispatching.solving.search import list_columns as k
from cloud.dispatching.solving.search.units import Units, units_of

Ints = NDArray[np.int64]

NEVER = -(1 << 50)
FAR = 1 << 50
"""Seconds before and after any time."""

PIN = -2
"""Instead of a station: a wish that only a later start leaves unfulfilled."""


class Numbered(NamedTuple):
    """A shop, and room for a plan of it, in arrays: :mod:`~cloud.dispatching.solving.search.list_columns`."""

    activities: Ints
    options: Ints
    relations: Ints
    jobs: Ints
    stations: Ints
    blocks: Ints
    table: Ints
    pools: Ints
    steps: Ints
    numbers: Ints
    units: Ints
    members: Ints


def numbered(shop: Shop) -> Numbered:
    """The arrays of ``shop``; nothing is placed yet, and everything is on its first option."""
    return _Numbering(shop).arrays()


class _Numbering:
    """Builds the arrays; the attributes are what grows row by row."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        size = len(shop.stations)
        self.table = (
            [seconds for row in shop.travel for seconds in row] if shop.has_travel else [0] * (size * size)
        )
        self.options: list[tuple[int, ...]] = []
        self.relations: list[tuple[int, ...]] = []
        self.blocks: list[tuple[int, ...]] = []
        self.tails = _tails(shop)

    def arrays(self) -> Numbered:
        shop, weights = self.shop, self.shop.problem.weights
        activities = np.zeros((len(shop.activities) + len(shop.tasks), k.COLUMNS), dtype=np.int64)
        activities[:, (k.HELD, k.PUSHED)] = NEVER
        activities[:, (k.PREVIOUS, k.CAUSE)] = -1
        for row, activity in zip(activities, shop.activities, strict=False):
            self._activity(row, activity)
        for row, task in zip(activities[len(shop.activities) :], shop.tasks, strict=True):
            row[k.OPTION_AT] = row[k.OPTION] = len(self.options)
            needs = self._add(task.needs)
            self.options += [(task.station, task.seconds, task.earliest, -1, *needs)] * 2
            row[k.OPTION_END] = len(self.options)
            row[k.IS_TASK] = 1
            row[k.FINISH_BEFORE] = task.finish_before
            row[k.OMIT_COST] = weights.tardiness * task.omit_cost
            row[k.DELAY_COST] = task.delay_cost
        stations, facts = self._stations()
        pools, steps = self._pools()
        units = units_of(shop)
        unit_rows, flat = _unit_arrays(units)
        for unit, inside in enumerate(units.members):
            activities[list(inside), k.UNIT] = unit
        numbers = np.zeros(k.NUMBERS, dtype=np.int64)
        vehicles = shop.problem.vehicles
        numbers[k.NOW] = shop.problem.now
        numbers[k.EMPTY] = vehicles.empty if vehicles is not None else 0
        numbers[k.CHANGEOVER_COST] = weights.changeover
        numbers[k.MAKESPAN_COST] = weights.makespan
        numbers[k.OTHER_MACHINE] = weights.other_machine
        numbers[k.VEHICLES] = len(shop.pools) if vehicles is not None else -1
        numbers[k.FINISH] = shop.settled_end
        jobs = _table([self._job(job, flat) for job in shop.jobs], 5)
        late = np.maximum(0, jobs[:, k.JOB_ENDS] - jobs[:, k.DUE]) @ jobs[:, k.WEIGHT]
        numbers[k.COST] = (
            int(late) + weights.changeover * facts + weights.makespan * (shop.settled_end - shop.problem.now)
        )
        return Numbered(
            activities=activities,
            options=_table(self.options, 6),
            relations=_table(self.relations, k.R_COLUMNS),
            jobs=jobs,
            stations=stations,
            blocks=_table(self.blocks, 7),
            table=np.array(self.table, dtype=np.int64),
            pools=pools,
            steps=steps,
            numbers=numbers,
            units=unit_rows,
            members=np.array(flat, dtype=np.int64),
        )

    def _job(self, job: Job, flat: list[int]) -> tuple[int, ...]:
        first = len(flat)
        flat += job.activities
        due = FAR if job.due is None else job.due
        weight = 0 if job.due is None else job.weight * self.shop.problem.weights.tardiness
        return due, weight, job.end, first, len(flat)

    def _activity(self, row: Ints, activity: Activity) -> None:
        deviation = self.shop.problem.weights.deviation
        row[k.OPTION_AT] = row[k.OPTION] = len(self.options)
        for option in activity.options:
            first = len(self.relations)
            self._add(option.needs)
            self.options.append(
                (option.station, option.seconds, option.release, option.state, first, len(self.relations))
            )
        row[k.OPTION_END] = len(self.options)
        row[k.ARC_AT], row[k.ARC_END] = self._add(self._arc(activity, *arc) for arc in activity.before)
        row[k.HAUL_AT], row[k.HAUL_END] = self._add(
            (haul.before, haul.lag, haul.station, haul.end, NEVER) for haul in activity.hauls
        )
        row[k.WISH_AT], row[k.WISH_END] = self._add(
            chain(
                ((w.station, w.start, w.count * deviation) for w in activity.wishes),
                ((PIN, start, cost) for start, cost in activity.pins),
            )
        )
        row[k.JOB_AT], row[k.JOB_END] = self._add(
            (job, tail, 0) for job, tail in self.tails[activity.index].items()
        )
        row[k.RESTS] = activity.interruptible

    def _add(self, rows: Iterable[tuple[int, ...]]) -> tuple[int, int]:
        first = len(self.relations)
        self.relations += [(*row, *[0] * (k.R_COLUMNS - len(row))) for row in rows]
        return first, len(self.relations)

    def _arc(self, activity: Activity, before: int, lag: int) -> tuple[int, ...]:
        overlap = activity.overlaps.get(before)
        first = last = -1
        if overlap is not None:
            first = len(self.table)
            self.table += overlap.first
            last = len(self.table)
            self.table += overlap.last
        return before, lag, activity.most.get(before, -1), first, last

    def _stations(self) -> tuple[Ints, int]:
        """The stations' rows, and the seconds of changeover to frozen work while no free work is placed."""
        rows = np.zeros((len(self.shop.stations), 10), dtype=np.int64)
        total = 0
        for row, station in zip(rows, self.shop.stations, strict=True):
            row[k.CHANGE_AT] = len(self.table) if station.has_changeovers else -1
            row[k.STATES] = len(station.changeover)
            if station.has_changeovers:
                self.table += [seconds for line in station.changeover for seconds in line]
            seconds_to = self._fact_seconds(station)
            total += sum(seconds_to.values())
            row[k.BLOCK_AT] = row[k.AT] = len(self.blocks)
            following = -1
            rows_here: list[tuple[int, ...]] = []
            for place in range(len(station.blocks) - 1, -1, -1):
                block = station.blocks[place]
                if block.is_work and not block.begun:
                    following = len(self.blocks) + place
                first = next((f.id for f in sorted(station.facts, key=lambda f: (f.start, f.end, f.id))
                              if block.is_work and f.start >= block.start), "")  # fmt: skip
                rows_here.append(
                    (block.start, block.end, block.enter, block.leave, block.pause, following,
                     seconds_to.get(first, 0))
                )  # fmt: skip
            self.blocks += reversed(rows_here)
            row[k.BLOCK_END] = len(self.blocks)
            row[k.FREE] = self.shop.problem.now
            row[k.STATE] = station.state
            row[k.FACT_AT] = row[k.TOP] = -1
        return rows, total

    def _fact_seconds(self, station: Station) -> dict[str, int]:
        """Changeover before each fact if only facts come before it."""
        now = free_from = self.shop.problem.now
        seconds: dict[str, int] = {}
        state = station.state
        for fact in sorted(station.facts, key=lambda f: (f.start, f.end, f.id)):
            if fact.start > now:
                seconds[fact.id] = max(
                    0, min(station.changeover[state][fact.state], fact.start - max(now, free_from))
                )
            state, free_from = fact.state, fact.end
        return seconds

    def _pools(self) -> tuple[Ints, Ints]:
        """The pools' rows and steps, with room for all steps that a plan can make of them."""
        shop = self.shop
        heads: list[tuple[int, int, int]] = []
        profiles = [
            (
                _steps(pool.capacity, pool.levels, pool.taken),
                pool.kind is Kind.CREW,
                self._changes(pool.index),
            )
            for pool in shop.pools
        ]
        if (vehicles := shop.problem.vehicles) is not None:
            trips = 2 * sum(len(activity.hauls) for activity in shop.activities)
            profiles.append((_steps(vehicles.count, vehicles.levels, ()), False, trips))
        room = sum(len(steps) + changes + 3 for steps, _, changes in profiles)
        table = np.zeros((room, 2), dtype=np.int64)
        at = 0
        for steps, crew, changes in profiles:
            heads.append((at, len(steps), crew))
            table[at : at + len(steps)] = steps
            at += len(steps) + changes + 3
        return _table(heads, 3), table

    def _changes(self, pool: int) -> int:
        """How often at most what is left of a pool changes because of a plan."""
        users = sum(any(pool in dict(o.needs) for o in a.options) for a in self.shop.activities)
        users += sum(pool in dict(task.needs) for task in self.shop.tasks)
        pauses = sum(block.pause for station in self.shop.stations for block in station.blocks)
        return 2 * (users + pauses)


def _steps(
    capacity: int, levels: Sequence[Level], taken: Sequence[tuple[int, int, int]]
) -> list[tuple[int, int]]:
    """(time, what is left from then on), each unlike the one before; the first is before any time."""
    changes: dict[int, int] = {}
    spans = [(level.start, level.end, capacity - level.capacity) for level in levels]
    for start, end, amount in chain(spans, taken):
        changes[start] = changes.get(start, 0) - amount
        changes[end] = changes.get(end, 0) + amount
    steps = [(NEVER, capacity)]
    for time in sorted(changes):
        if changes[time]:
            steps.append((time, steps[-1][1] + changes[time]))
    return steps


def _tails(shop: Shop) -> list[dict[int, int]]:
    """By activity and job, seconds that must pass from its end to the end of that job at least."""
    tails: list[dict[int, int]] = [{} for _ in shop.activities]
    for number, job in enumerate(shop.jobs):
        for index in job.activities:
            tails[index][number] = 0
    shortest = [min(option.seconds for option in activity.options) for activity in shop.activities]
    for index in reversed(shop.order):
        mine = tails[index]
        for after, lag in shop.activities[index].after:
            overlap = shop.activities[after].overlaps.get(index)
            seconds = lag + (min(overlap.last) if overlap is not None else shortest[after])
            for job_number, tail in tails[after].items():
                if job_number in mine:
                    mine[job_number] = max(mine[job_number], tail + seconds)
    return tails


def _unit_arrays(units: Units) -> tuple[Ints, list[int]]:
    rows: list[tuple[int, ...]] = []
    flat: list[int] = []
    for group in zip(units.members, units.before, units.after, strict=True):
        row: list[int] = []
        for entries in group:
            row += (len(flat), len(flat) + len(entries))
            flat += entries
        rows.append(tuple(row))
    return _table(rows, 6), flat


def _table(rows: Sequence[tuple[int, ...]], columns: int) -> Ints:
    return np.array(rows, dtype=np.int64).reshape(-1, columns)
