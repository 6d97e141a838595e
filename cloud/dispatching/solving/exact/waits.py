"""An activity waits for what comes before it: lags, ways, first pieces; and it does not wait too long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloud.dispatching.solving.activities import Activity, Overlap
from cloud.dispatching.solving.exact.variables import Variables


def add_waits(m: Variables) -> None:
    """For each arc of the routing: no start too early, and none too late."""
    for activity in m.shop.activities:
        for before, lag in activity.before:
            one = m.shop.activities[before]
            overlap = activity.overlaps.get(before)
            if overlap is None:
                _apart(
                    m, one, activity, m.start[activity.index], m.end[before], _waits(m, one, activity, lag)
                )
            else:
                _overlapping(m, one, activity, lag, overlap)
            most = activity.most.get(before)
            if most is not None:
                m.model.add(m.start[activity.index] <= m.end[before] + most)


def _waits(m: Variables, one: Activity, other: Activity, lag: int) -> list[list[int]]:
    """Lag and way by option of ``other``, then of ``one``."""
    return [[m.shop.wait(lag, a.station, b.station) for a in one.options] for b in other.options]


def _overlapping(m: Variables, one: Activity, other: Activity, lag: int, overlap: Overlap) -> None:
    """The first pieces are there at the start, and there is time for the last ones before the end."""
    waits = _waits(m, one, other, lag)
    first = [[wait + done for wait, done in zip(row, overlap.first, strict=True)] for row in waits]
    _apart(m, one, other, m.start[other.index], m.start[one.index], first)
    last = [[wait + left for wait in row] for row, left in zip(waits, overlap.last, strict=True)]
    _apart(m, one, other, m.end[other.index], m.end[one.index], last)


def _apart(
    m: Variables, one: Activity, other: Activity, late: Any, early: Any, waits: Sequence[Sequence[int]]
) -> None:
    """``late`` lies at least ``waits[option of other][option of one]`` after ``early``."""
    least = min(min(row) for row in waits)
    m.model.add(late >= early + least)
    for row, choice in zip(waits, m.choices[other.index], strict=True):
        nearest = min(row)
        if nearest > least:
            m.only_if(m.model.add(late >= early + nearest), choice.present)
        for wait, before in zip(row, m.choices[one.index], strict=True):
            if wait > nearest:
                m.only_if(m.model.add(late >= early + wait), choice.present, before.present)
