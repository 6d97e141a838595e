"""A shop as arrays for the compiled search, and a plan of it.

Activities, stations and set-up states are numbered as in
:class:`~cloud.dispatching.solving.activities.Shop`; options are numbered through all activities. Times are
whole seconds as in the problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloud.dispatching.solving.activities import Shop, Spot, Station
from cloud.dispatching.solving.search import columns as k

Ints = NDArray[np.int64]


class Facts(NamedTuple):
    """A shop, and room for a plan of it, in arrays (:mod:`~cloud.dispatching.solving.search.columns`)."""

    activities: Ints
    options: Ints
    arcs: Ints
    stations: Ints
    table: Ints


class Code(NamedTuple):
    """A plan in its shortest form: options by activity, and all activities in an order that machines and
    routings keep."""

    option: Ints
    order: Ints


def represents(shop: Shop) -> list[str]:
    """Why the search cannot plan ``shop``, in words; empty when it can."""
    reasons: list[str] = []
    weights = shop.problem.weights
    if not shop.activities:
        reasons.append("nothing is left to decide")
    if shop.tasks:
        reasons.append("maintenance may be placed or left out")
    if not shop.is_plain:
        reasons.append("machines share something, or work rests, overlaps, hurries or is pinned")
    if shop.sources or shop.closing:
        reasons.append("it is a part of a shop")
    for station in shop.stations:
        if _prefix(station, shop.problem.now) is None:
            reasons.append(f"{station.id} has windows or frozen work ahead")
    if any(job.due is not None and job.weight for job in shop.jobs) and weights.tardiness:
        reasons.append("jobs are due")
    if weights.changeover and any(station.has_changeovers for station in shop.stations):
        reasons.append("seconds of changeover cost")
    if weights.deviation and any(activity.wishes for activity in shop.activities):
        reasons.append("leaving the published plan costs")
    if not weights.makespan:
        reasons.append("the end of the plan costs nothing")
    return reasons


def _prefix(station: Station, now: int) -> tuple[int, int] | None:
    """When a station becomes free and how it is set up then; ``None`` if anything lies ahead after that."""
    free, state = now, station.state
    for block in station.blocks:
        if block.start > free:
            return None
        free = max(free, block.end)
        if block.is_work:
            state = block.leave
    return free, state


def facts(shop: Shop) -> Facts:
    """The arrays of ``shop``, for which :func:`represents` must be empty."""
    size = len(shop.stations)
    activities = np.zeros((len(shop.activities), k.COLUMNS), dtype=np.int64)
    options: list[tuple[int, int, int, int]] = []
    arcs: list[tuple[int, int]] = []
    for row, activity in zip(activities, shop.activities, strict=True):
        row[k.OPTION_AT] = len(options)
        options += [(o.station, o.seconds, o.release, o.state) for o in activity.options]
        row[k.OPTION_END] = len(options)
        row[k.BEFORE_AT] = len(arcs)
        arcs += activity.before
        row[k.BEFORE_END] = row[k.AFTER_AT] = len(arcs)
        arcs += activity.after
        row[k.AFTER_END] = len(arcs)
    table = [seconds for row in shop.travel for seconds in row] if shop.has_travel else [0] * (size * size)
    stations = np.zeros((size, 6), dtype=np.int64)
    for row, station in zip(stations, shop.stations, strict=True):
        prefix = _prefix(station, shop.problem.now)
        if prefix is None:
            raise ValueError(f"the search does not represent {station.id}: something lies ahead on it")
        row[k.READY_AT], row[k.FIRST_STATE] = prefix
        row[k.STATES] = len(station.changeover)
        row[k.CHANGE_AT] = len(table) if station.has_changeovers else -1
        if station.has_changeovers:
            table += [seconds for line in station.changeover for seconds in line]
    return Facts(
        activities=activities,
        options=np.array(options, dtype=np.int64).reshape(-1, 4),
        arcs=np.array(arcs, dtype=np.int64).reshape(-1, 2),
        stations=stations,
        table=np.array(table, dtype=np.int64),
    )


def encode(given: Facts, shop: Shop, spots: Sequence[Spot]) -> Code:
    """The decisions of a valid plan."""
    rank = {index: position for position, index in enumerate(shop.order)}
    order = sorted(range(len(spots)), key=lambda i: (spots[i].start, spots[i].end, rank[i]))
    chosen = np.array([spot.option for spot in spots], dtype=np.int64)
    return Code(given.activities[:, k.OPTION_AT] + chosen, np.array(order, dtype=np.int64))


def decode(given: Facts, code: Code, start: Ints) -> list[Spot]:
    """Spots by activity: the plan with everything at ``start``."""
    spots = [Spot(0, 0, 0, 0)] * len(code.option)
    state_of = given.stations[:, k.FIRST_STATE].tolist()
    for index in code.order.tolist():
        chosen = int(code.option[index])
        station, seconds, _, state = given.options[chosen].tolist()
        at = int(given.stations[station, k.CHANGE_AT])
        row = int(given.stations[station, k.STATES]) * state_of[station]
        change = 0 if at < 0 else int(given.table[at + row + state])
        state_of[station] = state
        begin = int(start[index])
        spots[index] = Spot(
            chosen - int(given.activities[index, k.OPTION_AT]), change, begin, begin + seconds
        )
    return spots


def lower_bound(shop: Shop) -> int:
    """No plan ends earlier: the longest routing, and the load of what can only go to one station."""
    shortest = [min(o.seconds for o in activity.options) for activity in shop.activities]
    earliest = [min(o.release for o in activity.options) for activity in shop.activities]
    tail = [0] * len(shortest)
    for v in shop.order:
        for other, lag in shop.activities[v].after:
            earliest[other] = max(earliest[other], earliest[v] + shortest[v] + lag)
    for v in reversed(shop.order):
        for other, lag in shop.activities[v].after:
            tail[v] = max(tail[v], lag + shortest[other] + tail[other])
    alone: dict[int, list[int]] = {}
    for activity in shop.activities:
        if len(activity.options) == 1:
            alone.setdefault(activity.options[0].station, []).append(activity.index)
    return max(
        [
            shop.settled_end,
            *(begin + seconds for begin, seconds in zip(earliest, shortest, strict=True)),
            *(
                min(earliest[v] for v in members)
                + sum(shortest[v] for v in members)
                + min(tail[v] for v in members)
                for members in alone.values()
            ),
        ]
    )
