"""Of plans that differ only by which of several equal lots or equal machines is which, the model keeps one.

Equal lots are in order of their first starts; of equal machines the first is used by the first activity that
uses any, and none before the one ahead of it. A plan to start from is renamed so that it keeps that.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from msgspec import structs

from cloud.dispatching.shop.schedule import Trip
from cloud.dispatching.solving.activities import Activity, Job, Shop, Spot
from cloud.dispatching.solving.exact.variables import Variables


def add_symmetry(m: Variables) -> None:
    """Keep one of the plans that are the same but for names."""
    for jobs in twins(m.shop):
        firsts = [m.start[job.activities[0]] for job in jobs]
        for one, other in pairwise(firsts):
            m.model.add(one <= other)
    for stations in equal_stations(m.shop):
        before: list[dict[int, Any]] = []
        for activity in _users(m.shop, stations):
            choices = zip(activity.options, m.choices[activity.index], strict=True)
            present = {option.station: choice.present for option, choice in choices}
            for ahead, station in pairwise(stations):
                m.model.add_bool_or([~present[station], *(earlier[ahead] for earlier in before)])
            before.append(present)


def arranged(shop: Shop, spots: Sequence[Spot], trips: Sequence[Trip]) -> tuple[list[Spot], list[Trip]]:
    """The same plan with equal lots and machines named as :func:`add_symmetry` wants it."""
    result, renamed = list(spots), {(trip.operation, trip.predecessor): trip for trip in trips}
    for jobs in twins(shop):
        by_start = sorted(jobs, key=lambda job: spots[job.activities[0]].start)
        for job, like in zip(jobs, by_start, strict=True):
            for index, model in zip(job.activities, like.activities, strict=True):
                result[index] = spots[model]
                hauls = zip(shop.activities[index].hauls, shop.activities[model].hauls, strict=True)
                for own, its in hauls:
                    key = own.operation, own.predecessor
                    renamed.pop(key, None)
                    for trip in trips:
                        if (trip.operation, trip.predecessor) == (its.operation, its.predecessor):
                            renamed[key] = structs.replace(
                                trip, operation=own.operation, predecessor=own.predecessor
                            )
    for stations in equal_stations(shop):
        users = _users(shop, stations)
        used = dict.fromkeys(shop.activities[a.index].options[result[a.index].option].station for a in users)
        order = [station for station in used if station in stations]
        order += [station for station in stations if station not in used]
        name = dict(zip(order, stations, strict=True))
        for activity in users:
            station = activity.options[result[activity.index].option].station
            option = next(
                i for i, o in enumerate(activity.options) if o.station == name.get(station, station)
            )
            result[activity.index] = replace(result[activity.index], option=option)
    return result, list(renamed.values())


def twins(shop: Shop) -> list[list[Job]]:
    """Jobs that are equal but for their names, and bound to nothing but themselves and facts."""
    if _is_part(shop):
        return []
    alike: dict[Hashable, list[Job]] = {}
    for job in shop.jobs:
        members = [shop.activities[index] for index in job.activities]
        place = {index: at for at, index in enumerate(job.activities)}
        bound = (other for a in members for other, _ in (*a.before, *a.after))
        hauled = (haul.before for a in members for haul in a.hauls if haul.before >= 0)
        if not members or any(a.run or a.leased or a.wishes for a in members):
            continue
        if all(other in place for other in (*bound, *hauled)):
            key = job.due, job.weight, job.end, tuple(_shape(a, place) for a in members)
            alike.setdefault(key, []).append(job)
    return [jobs for jobs in alike.values() if len(jobs) > 1]


def _shape(activity: Activity, place: dict[int, int]) -> Hashable:
    """All of an activity but names; activities of the same job by their place in it."""
    return (
        tuple((o.station, o.seconds, o.setup_seconds, o.release, o.state, o.needs) for o in activity.options),
        activity.pins,
        activity.interruptible,
        tuple(
            (place[before], lag, activity.most.get(before), activity.overlaps.get(before))
            for before, lag in activity.before
        ),
        tuple((h.lag, place.get(h.before, -1), h.station, h.end) for h in activity.hauls),
    )


def equal_stations(shop: Shop) -> list[list[int]]:
    """Machines that are equal but for their names: the same work, windows, set-up and ways."""
    if _is_part(shop):
        return []
    told_apart = {task.station for task in shop.tasks}
    told_apart |= {wish.station for activity in shop.activities for wish in activity.wishes}
    work: dict[int, list[Hashable]] = {}
    for activity in shop.activities:
        for o in activity.options:
            own = activity.index, o.seconds, o.setup_seconds, o.release, o.state, o.needs
            work.setdefault(o.station, []).append(own)
    alike: dict[Hashable, list[int]] = {}
    for index, done in work.items():
        station = shop.stations[index]
        if index not in told_apart:
            ways = tuple(shop.travel[index]), tuple(row[index] for row in shop.travel if row)
            changeover = tuple(tuple(row) for row in station.changeover)
            key = tuple(done), station.state, changeover, station.blocks, ways
            alike.setdefault(key, []).append(index)
    return [sorted(stations) for stations in alike.values() if len(stations) > 1]


def _users(shop: Shop, stations: Sequence[int]) -> list[Activity]:
    """Activities that may run on ``stations``: those of one may run on all."""
    return [a for a in shop.activities if any(o.station == stations[0] for o in a.options)]


def _is_part(shop: Shop) -> bool:
    """In a part of a shop, what is kept and what comes later tell the rest apart."""
    return bool(shop.sources or shop.closing) or any(a.rank >= 0 for a in shop.activities)
