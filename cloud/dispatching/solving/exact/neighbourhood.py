"""A part of the shop to decide anew, small whatever the size of the shop.

Some activities are *free*. What starts before them is settled. What runs beside them on machines they may
use, or waits for them, is *kept*: it keeps its machine and its order there, and its times may move. All that
comes later stays in order too but is not modelled: the longest paths through it say how the jobs' ends follow
from the part's. Windows in there are overlooked, so a solution is put back into the plan and valued first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cloud.dispatching.shop.schedule import Service
from cloud.dispatching.solving.activities import Activity, Block, Option, Shop, Source, Spot, Station
from cloud.dispatching.solving.exact.plan_graph import NEVER, PlanGraph

MAX_PATHS = 1000
"""Paths to jobs' ends that a part takes into account, the most critical first."""

KEPT_FOR_FREE = 2
"""Activities a part may keep for each free one; where there are more, the latest are not freed."""


@dataclass(frozen=True, slots=True)
class Part:
    """A small shop; ``activities[i]`` is what its activity *i* is in the whole one, ``options[i]`` which of
    its options are left, ``spots`` and ``services`` what the plan says of them.
    """

    shop: Shop
    activities: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]
    spots: tuple[Spot, ...]
    services: Mapping[str, Service]
    since: int
    until: int

    def merge(
        self, plan: PlanGraph, found: Sequence[Spot], services: Mapping[str, Service]
    ) -> tuple[list[Spot], dict[str, Service], list[int]]:
        """The whole plan with the part as ``found``, and the order of its activities in time."""
        merged = list(plan.spots)
        for whole, options, spot in zip(self.activities, self.options, found, strict=True):
            merged[whole] = Spot(options[spot.option], spot.changeover, spot.start, spot.end)
        rank = {self.activities[index]: at for at, index in enumerate(self.shop.order)}

        def when(index: int) -> tuple[int, int, int, int]:
            if index not in rank:
                start = plan.spots[index].start
                if start < self.since:
                    return 0, 0, 0, 0
                if start >= self.until:
                    return 2, 0, 0, 0
            return 1, merged[index].start, merged[index].end, rank.get(index, -1)

        mine = {task.id for task in self.shop.tasks}
        others = {name: service for name, service in plan.services.items() if name not in mine}
        return merged, {**others, **services}, sorted(plan.by_start, key=when)


def cut(plan: PlanGraph, wanted: Collection[int]) -> Part:
    """The part of ``plan`` in which the activities ``wanted``, or the earlier of them, are decided anew."""
    shop, spots = plan.shop, plan.spots
    most = len(wanted) * (1 + KEPT_FOR_FREE)
    in_time = sorted(wanted, key=lambda index: spots[index].start)
    since = spots[in_time[0]].start
    while True:
        free = set(in_time)
        until = max(max(spots[index].end for index in free), since + 1)
        inside, stations = _inside(plan, free, since, until)
        if len(inside) <= most or len(in_time) == 1:
            break
        in_time = in_time[: max(1, len(in_time) * 2 // 3)]
    place = {whole: index for index, whole in enumerate(inside)}
    options = [
        tuple(range(len(shop.activities[whole].options))) if whole in free else (spots[whole].option,)
        for whole in inside
    ]
    activities = [_activity(plan, index, whole, options[index], place) for index, whole in enumerate(inside)]
    _keep_order(plan, free, inside, activities)
    tasks = tuple(
        task
        for task in shop.tasks
        if task.station in stations
        and (task.earliest if task.id not in plan.services else plan.services[task.id].start) < until
        and (task.id not in plan.services or plan.services[task.id].start >= since)
    )
    mine = {task.id for task in tasks}
    rank = {index: position for position, index in enumerate(shop.order)}
    part = _with_ends(
        replace(
            shop,
            stations=_stations(plan, place, stations, since, until, mine),
            activities=tuple(activities),
            tasks=tasks,
            order=tuple(place[whole] for whole in sorted(inside, key=lambda i: rank[i])),
        ),
        plan,
        place,
        stations,
        since,
        until,
    )
    return Part(
        shop=part,
        activities=tuple(inside),
        options=tuple(options),
        spots=tuple(
            replace(spots[whole], option=positions.index(spots[whole].option))
            for whole, positions in zip(inside, options, strict=True)
        ),
        services={name: service for name, service in plan.services.items() if name in mine},
        since=since,
        until=until,
    )


def _inside(plan: PlanGraph, free: Collection[int], since: int, until: int) -> tuple[list[int], set[int]]:
    """The activities of the part in order of time, and the machines it may touch."""
    stations = {option.station for index in free for option in plan.shop.activities[index].options}
    inside: set[int] = set()
    ordered: list[int] = []
    for index in plan.between(since, until):
        if (
            plan.station[index] in stations
            or plan.previous[index] in inside
            or any(before in inside for before, _ in plan.shop.activities[index].before)
        ):
            inside.add(index)
            ordered.append(index)
    return ordered, stations | {plan.station[index] for index in inside}


def _activity(
    plan: PlanGraph, index: int, whole: int, positions: tuple[int, ...], place: Mapping[int, int]
) -> Activity:
    activity = plan.shop.activities[whole]
    settled = [(before, lag) for before, lag in activity.before if before not in place]
    return Activity(
        index=index,
        id=activity.id,
        run=activity.run,
        operations=activity.operations,
        options=tuple(_released(plan, activity.options[position], settled) for position in positions),
        leased=activity.leased,
        wishes=activity.wishes,
        before=[(place[before], lag) for before, lag in activity.before if before in place],
        after=[(place[after], lag) for after, lag in activity.after if after in place],
    )


def _released(plan: PlanGraph, option: Option, settled: Sequence[tuple[int, int]]) -> Option:
    """``option`` after its settled predecessors."""
    release = option.release
    for before, lag in settled:
        wait = plan.shop.wait(lag, plan.station[before], option.station)
        release = max(release, plan.spots[before].end + wait)
    return option if release == option.release else replace(option, release=release)


def _keep_order(
    plan: PlanGraph, free: Collection[int], inside: Sequence[int], activities: Sequence[Activity]
) -> None:
    """Let what is not decided anew follow each other on its machine as it does now."""
    last: dict[int, Activity] = {}
    for whole, activity in zip(inside, activities, strict=True):
        if whole in free:
            continue
        before = last.get(plan.station[whole])
        activity.rank = before.rank + 1 if before else 0
        if before is not None and all(activity.index != other for other, _ in before.after):
            before.after.append((activity.index, 0))
            activity.before.append((before.index, 0))
        last[plan.station[whole]] = activity


def _stations(
    plan: PlanGraph,
    place: Mapping[int, int],
    touched: Collection[int],
    since: int,
    until: int,
    open_services: Collection[str],
) -> tuple[Station, ...]:
    """The machines as what is settled leaves them: busy until then, set up as the last work had it."""
    now = plan.shop.problem.now
    fixed_services: dict[str, list[Service]] = {}
    for name, service in plan.services.items():
        if name not in open_services:
            fixed_services.setdefault(service.machine, []).append(service)
    stations = []
    for station in plan.shop.stations:
        if station.index not in touched:
            stations.append(replace(station, blocks=(), facts=()))
            continue
        free, last = now, (now - 1, 0, station.state)
        for index in plan.queues[station.index]:
            spot = plan.spots[index]
            if index in place or spot.start >= until:
                break
            free, last = max(free, spot.end), (spot.start, spot.end, plan.option(index).state)
        services = [Block(s.start, s.end) for s in fixed_services.get(station.id, ())]
        blocks = sorted((*station.blocks, *services), key=lambda b: (b.start, b.end))
        settled = [b for b in blocks if b.start < since and (b.is_work or b in services)]
        free = max([free, *(b.end for b in settled)])
        _, _, state = max([last, *((b.start, b.end, b.leave) for b in settled if b.is_work)])
        ahead = [
            b if b.start >= free else replace(b, start=free)
            for b in blocks
            if b.end > free and b not in settled
        ]
        if free > now:
            ahead.insert(0, Block(now, free, state, state, begun=True))
        stations.append(replace(station, state=state, blocks=tuple(ahead), facts=()))
    return tuple(stations)


def _with_ends(
    part: Shop, plan: PlanGraph, place: Mapping[int, int], stations: Collection[int], since: int, until: int
) -> Shop:
    """``part`` with the jobs' ends and the plan's as they follow from it."""
    shop, spots = plan.shop, plan.spots
    columns, longest = plan.paths()
    alone = _without_the_part(plan, place, plan.since(until))
    ends = {i: alone.get(i, spots[i].end) for i in range(len(spots)) if i not in place}
    sources, rows, times = _sources(plan, place, stations, until, longest)
    limits = [max(shop.jobs[n].due or 0, plan.job_ends[n]) for n in columns]
    limits.append(max(spot.end for spot in spots))
    tails: list[list[tuple[int, int]]] = [[] for _ in limits]
    for source, column in _critical(rows, times, np.array(limits), allowance=(until - since) // 2 + 1):
        tails[column].append((source, int(rows[source, column])))
    column_of = {number: column for column, number in enumerate(columns)}
    jobs = []
    for number, job in enumerate(shop.jobs):
        members = tuple(place[i] for i in job.activities if i in place)
        paths = tails[column_of[number]] if number in column_of else []
        if members or paths:
            end = max([job.end, *(ends[i] for i in job.activities if i in ends)])
            jobs.append(replace(job, activities=members, end=end, tails=tuple(paths)))
    return replace(
        part,
        jobs=tuple(jobs),
        sources=sources,
        settled_end=max([shop.settled_end, *ends.values()]),
        closing=tuple(tails[-1]),
    )


def _without_the_part(plan: PlanGraph, place: Mapping[int, int], later: Sequence[int]) -> dict[int, int]:
    """When what comes ``later`` would end if the part took no time at all."""
    spots = plan.spots
    ends: dict[int, int] = {}
    for index in later:
        option = plan.option(index)
        start = option.release
        for before, lag in plan.shop.activities[index].before:
            if before not in place:
                wait = plan.shop.wait(lag, plan.station[before], option.station)
                start = max(start, ends.get(before, spots[before].end) + wait)
        before = plan.previous[index]
        if before >= 0 and before not in place:
            start = max(start, ends.get(before, spots[before].end) + spots[index].changeover)
        ends[index] = start + option.seconds
    return ends


def _sources(
    plan: PlanGraph,
    place: Mapping[int, int],
    stations: Collection[int],
    until: int,
    longest: NDArray[np.int64],
) -> tuple[tuple[Source, ...], NDArray[np.int64], NDArray[np.int64]]:
    """Where paths leave the part, how long they are to each column's end, and when the plan reaches them."""
    shop, spots = plan.shop, plan.spots
    sources: list[Source] = []
    rows: list[NDArray[np.int64]] = []
    times: list[int] = []
    for whole, index in place.items():
        row: NDArray[np.int64] | None = None
        for after, lag in shop.activities[whole].after:
            if after in place:
                continue
            wait = shop.wait(lag, plan.station[whole], plan.station[after])
            path = longest[after] + (wait + spots[after].end - spots[after].start)
            row = path if row is None else np.maximum(row, path)
        if row is not None:
            sources.append(Source(activity=index))
            rows.append(row)
            times.append(spots[whole].end)
    for station in stations:
        head = next((i for i in plan.queues[station] if spots[i].start >= until), None)
        if head is not None:
            sources.append(Source(station=station, state=plan.option(head).state))
            rows.append(longest[head] + (spots[head].end - spots[head].start))
            times.append(spots[head].start)
    width = longest.shape[1]
    stacked = np.stack(rows) if rows else np.empty((0, width), dtype=np.int64)
    return tuple(sources), stacked, np.array(times, dtype=np.int64)


def _critical(
    rows: NDArray[np.int64], times: NDArray[np.int64], limits: NDArray[np.int64], allowance: int
) -> list[tuple[int, int]]:
    """(source, column) of the paths that end a job late, or could if they grew by ``allowance``."""
    if not len(rows):
        return []
    excess = rows + times[:, None] - limits[None, :]
    excess[rows < NEVER // 2] = NEVER
    chosen = np.argwhere(excess > -allowance)
    if len(chosen) > MAX_PATHS:
        values = excess[chosen[:, 0], chosen[:, 1]]
        chosen = chosen[np.argpartition(-values, MAX_PATHS)[:MAX_PATHS]]
    return [(int(source), int(column)) for source, column in chosen]
