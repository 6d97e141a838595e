"""How long an asset will last, in operating hours, and what that is on the calendar. Pure.

A prognosis comes from wherever one can be made: a model of remaining useful life, the trend of the health.
Hours become dates by the work that is planned for the machine; behind the plan every shift is counted as
worked in full, so that a date is rather too early than too late.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from itertools import combinations

import msgspec

from protocols.calendar import working
from protocols.site import Calendar
from protocols.values import MICROSECONDS

HOUR = 3600 * MICROSECONDS
DAY = 24 * HOUR
HORIZON_DAYS = 90
"""How far ahead hours are turned into dates."""
FEW_POINTS = 5
"""With fewer points than this the spread of their slopes says nothing."""
MOST_POINTS = 60
"""Newest points that a trend is made of: the number of pairs grows with the square."""


class Prognosis(msgspec.Struct, frozen=True):
    """Remaining life in operating hours; None where it is beyond what can be foreseen.

    ``lower`` is what the asset reaches with the probability of the interval's lower bound, ``upper`` what it
    does not outlive with that of its upper one.

    Raises:
        ValueError: negative, not a number, or out of order.
    """

    lower: float | None = None
    median: float | None = None
    upper: float | None = None

    def __post_init__(self) -> None:
        known = [hours for hours in (self.lower, self.median, self.upper) if hours is not None]
        if any(not 0 <= hours < float("inf") for hours in known) or known != sorted(known):
            raise ValueError(
                f"remaining hours must be 0 ≤ lower ≤ median ≤ upper, not {self.lower}, {self.median}, "
                f"{self.upper}"
            )


class PlannedLoad(msgspec.Struct, frozen=True):
    """When a machine will work: ``spans`` (µs UTC) ascending, apart from each other, up to ``until``."""

    spans: tuple[tuple[int, int], ...]
    until: int


def planned_load(
    busy: Iterable[tuple[int, int]], calendar: Calendar, now: int, days: int = HORIZON_DAYS
) -> PlannedLoad:
    """The load of a machine from ``now`` on: what is planned, and behind it every shift in full."""
    planned = _joined((max(start, now), end) for start, end in busy if end > now)
    planned_until = max([now, *(end for _, end in planned)])
    until = now + days * DAY
    after = working(calendar, planned_until, until) if planned_until < until else []
    return PlannedLoad((*planned, *((s.start, s.end) for s in after)), max(until, planned_until))


def date(load: PlannedLoad, now: int, hours: float) -> int | None:
    """When (µs UTC) a machine will have worked so many more hours; None when that is behind the load."""
    left = round(hours * HOUR)
    if left <= 0:
        return now
    for start, end in load.spans:
        begins = max(start, now)
        if end <= begins:
            continue
        if left <= end - begins:
            return begins + left
        left -= end - begins
    return None


def trend(points: Sequence[tuple[float, float]], failed: float = 0.0) -> Prognosis | None:
    """Remaining life from how health falls: ``points`` are (operating hours, health), oldest first.

    The slope is the median of the slopes of all pairs (Theil 1950, Sen 1968), which one odd value in four
    does not move. The interval is that of the steepest and the flattest tenth of them; with few points it is
    from half of the median to nothing known. None where health does not fall.
    """
    newest = points[-MOST_POINTS:]
    slopes = sorted(
        (one[1] - other[1]) / (other[0] - one[0])
        for one, other in combinations(newest, 2)
        if other[0] > one[0]
    )
    if not slopes:
        return None
    middle = statistics.median(slopes)
    if middle <= 0:
        return None
    left = max(0.0, newest[-1][1] - failed)
    median = left / middle
    if len(newest) < FEW_POINTS:
        return Prognosis(median / 2, median, None)
    steep, flat = slopes[-1 - len(slopes) // 10], slopes[len(slopes) // 10]
    return Prognosis(left / steep, median, left / flat if flat > 0 else None)


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        elif end > start:
            joined.append((start, end))
    return joined
