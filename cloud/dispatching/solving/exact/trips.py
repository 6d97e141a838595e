"""Limited vehicles: a trip for each haul between two places, no more at a time than there are vehicles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloud.dispatching.solving.activities import Activity, Haul
from cloud.dispatching.solving.exact.profiles import profile
from cloud.dispatching.solving.exact.variables import Carried, Variables


def add_trips(m: Variables) -> None:
    """Trips between the end before, lag included, and the start after; and the vehicles for them."""
    vehicles = m.shop.problem.vehicles
    if vehicles is None:
        return
    intervals: list[Any] = []
    for activity in m.shop.activities:
        for haul in activity.hauls:
            intervals += _carry(m, vehicles.empty, activity, haul)
    if not intervals:
        return
    left = profile(vehicles.count, vehicles.levels, (), (), m.shop.problem.now, m.horizon)
    missing = [m.model.new_fixed_size_interval_var(start, end - start, "") for start, end, _ in left.missing]
    m.model.add_cumulative(
        [*intervals, *missing],
        [1] * len(intervals) + [amount for _, _, amount in left.missing],
        left.capacity,
    )


def _carry(m: Variables, empty: int, activity: Activity, haul: Haul) -> Iterator[Any]:
    """The intervals in which a vehicle may be taken for ``haul``, way there included."""
    model, shop = m.model, m.shop
    pairs = list(_pairs(m, activity, haul))
    lengths = sorted({seconds for _, _, seconds in pairs})
    if lengths == [0]:
        return
    start = model.new_int_var(shop.problem.now + empty, m.horizon, "")
    ways: dict[int, Any] = {lengths[0]: True}
    if len(lengths) > 1:
        ways = {seconds: model.new_bool_var("") for seconds in lengths}
        model.add_exactly_one(ways.values())
        for one, other, seconds in pairs:
            model.add_bool_or([~x for x in (one, other) if x is not True] + [ways[seconds]])
    m.trips.append(Carried(activity.index, haul, start, ways))
    ready: Any = haul.end if haul.before < 0 else m.end[haul.before]
    for seconds, literal in ways.items():
        if not seconds:
            continue
        m.only_if(model.add(start >= ready + haul.lag), literal)
        m.only_if(model.add(start + seconds <= m.start[activity.index]), literal)
        begin, size = start - empty, empty + seconds
        if literal is True:
            yield model.new_fixed_size_interval_var(begin, size, "")
        else:
            yield model.new_optional_fixed_size_interval_var(begin, size, literal, "")


def _pairs(m: Variables, activity: Activity, haul: Haul) -> Iterator[tuple[Any, Any, int]]:
    """(literal, literal, seconds of the way) for each pair of machines the material may go between."""
    travel = m.shop.travel
    for option, choice in zip(activity.options, m.choices[activity.index], strict=True):
        if haul.before < 0:
            seconds = travel[haul.station][option.station] if m.shop.has_travel else 0
            yield True, choice.present, seconds
            continue
        one = m.shop.activities[haul.before]
        for from_option, from_choice in zip(one.options, m.choices[haul.before], strict=True):
            seconds = travel[from_option.station][option.station] if m.shop.has_travel else 0
            yield from_choice.present, choice.present, seconds
