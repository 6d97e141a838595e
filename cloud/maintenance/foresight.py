"""Where a prognosis for a case comes from while no model of remaining life holds: how a sign of wear grows
towards its limit, else how the health fell.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection, select

from cloud.ledger.tables import machine_state
from cloud.maintenance import assets
from cloud.maintenance.case import Case
from cloud.maintenance.cases import SENSOR
from cloud.maintenance.crossing import TOLERANCE, Seen, reached
from cloud.maintenance.health.asset import AssetHealth
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.health.trend import Point
from cloud.maintenance.prognosis import FEW_POINTS, HOUR, Prognosis, trend
from cloud.maintenance.work_order import BoundFrom, Foreseen
from protocols.site import Site
from protocols.states import ItemState

Foresight = Callable[[Connection, Case, int], Foreseen | None]
"""What is known of the remaining life of a case's asset at a time (µs UTC); None where nothing is."""

LEAST_FALL = 5.0
"""Points of health by which it must have fallen before its course says anything."""
SELDOM = 0.05
"""Part of the judged windows below which a regime does not count: the machine hardly works in it."""
NONE = Prognosis()


def by_limit(site: Site) -> Foresight:
    """From how signs of wear grow towards the limits that the site file gives for them.

    Of several limits the one that is reached first counts. Nothing is foreseen where there is no limit for
    what wears, from a few windows, or of a sensor that cannot be believed.
    """

    def foresee(tx: Connection, case: Case, now: int) -> Foreseen | None:
        limits = site.upkeep(case.device, case.mode).limits
        if case.mode == SENSOR or not limits:
            return None
        known = assets.load(tx, case.asset).get(case.asset)
        if known is None or not known.trend.points:
            return None
        begin = known.trend.points[0].end
        worked = operating_hours(tx, case.device, begin, now)
        ends = [
            end
            for tag, value in limits.items()
            if (found := growth(known, tag, value, worked)) is not None
            and (end := reached(found.seen, found.limit, worked(now), found.tolerance)) is not None
        ]
        if not ends:
            return None
        first = min(ends, key=lambda end: float("inf") if end.median is None else end.median)
        return Foreseen(first, BoundFrom.LIMIT) if first != NONE else None

    return foresee


class Growth(msgspec.Struct, frozen=True):
    """How a tag grew since it was learned, as a part of what is normal in each regime; the limit likewise."""

    seen: list[Seen]
    limit: float
    tolerance: float


def growth(known: AssetHealth, tag: str, value: float, worked: Callable[[int], float]) -> Growth | None:
    """The growth of a tag that ends at ``value``; None where it is not known what is normal.

    A limit is reached in the regime with the largest normal value first, but only if the machine works in it
    then: it lies between that and what a third of the work reaches no later than.
    Windows that depend on each other say less: their spread is widened as that of a mean of dependent values
    (n' = n(1-φ)/(1+φ)).
    """
    normal = {name: tags[tag] for name, tags in known.normals.items() if tag in tags and tags[tag].centre > 0}
    points = [p for p in known.trend.points if p.regime in normal and tag in p.means]
    counts = Counter(point.regime for point in points)
    usual = {name for name, count in counts.items() if count >= SELDOM * len(points)}
    if not usual:
        return None
    dependence = known.thresholds.dependence if known.thresholds is not None else 0.0
    apart = dependence**known.trend.stride
    wider = math.sqrt((1 + apart) / (1 - apart))
    seen = [
        Seen(
            worked(point.end),
            point.means[tag] / normal[point.regime].centre - 1,
            wider * normal[point.regime].spread / normal[point.regime].centre,
        )
        for point in points
    ]
    ends = sorted(value / normal[p.regime].centre - 1 for p in points if p.regime in usual)
    first, soon = ends[0], ends[len(ends) // 3]
    limit = (first + soon) / 2
    if limit <= 0:
        return None
    return Growth(seen, limit, math.hypot(TOLERANCE, (soon - first) / 2 / limit))


def by_trend(limits: Limits) -> Foresight:
    """From how the health fell in its last decline, as far as that has been kept.

    Nothing is foreseen of a sensor that cannot be believed, nor from a few points or a small fall.
    """

    def foresee(tx: Connection, case: Case, now: int) -> Foreseen | None:
        if case.mode == SENSOR:
            return None
        known = assets.load(tx, case.asset).get(case.asset)
        course = decline(known.trend.points, limits) if known is not None else []
        if len(course) < FEW_POINTS or course[0][1] - course[-1][1] < LEAST_FALL:
            return None
        worked = operating_hours(tx, case.device, course[0][0], now)
        found = trend([(worked(end), health) for end, health in course])
        return None if found is None else Foreseen(found, BoundFrom.TREND)

    return foresee


def decline(points: Sequence[Point], limits: Limits) -> list[tuple[int, float]]:
    """The newest points (µs UTC, health) without one in between at which the asset was well."""
    course = [(point.end, limits.health(point.score)) for point in points]
    well = max((at for at, (_, health) in enumerate(course) if health >= 100.0), default=-1)
    return course[max(0, well) :]


def operating_hours(tx: Connection, device: str, start: int, end: int) -> Callable[[int], float]:
    """A function of a time between ``start`` and ``end`` (µs UTC): the hours since ``start`` in which a
    machine executed, as far as its states are known.
    """
    at = machine_state.c
    own = select(at.ts, at.item_state).where(at.device == device)
    before = own.where(at.ts <= start).order_by(at.ts.desc()).limit(1)
    changes = [*tx.execute(before), *tx.execute(own.where(at.ts > start, at.ts < end).order_by(at.ts))]
    times = [max(row.ts, start) for row in changes]
    executes = [row.item_state == ItemState.EXECUTING for row in changes]
    sums = [0]
    for number, begins in enumerate(times[:-1]):
        sums.append(sums[-1] + (times[number + 1] - begins if executes[number] else 0))

    def hours(ts: int) -> float:
        found = bisect_right(times, ts) - 1
        if found < 0:
            return 0.0
        return (sums[found] + (ts - times[found] if executes[found] else 0)) / HOUR

    return hours
