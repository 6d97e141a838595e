"""Where a prognosis for a case comes from while no model of remaining life holds: how its health fell."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select

from cloud.ledger.tables import machine_state
from cloud.maintenance import assets
from cloud.maintenance.case import Case
from cloud.maintenance.cases import SENSOR
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.health.trend import Point
from cloud.maintenance.prognosis import FEW_POINTS, HOUR, trend
from cloud.maintenance.work_order import BoundFrom, Foreseen
from protocols.states import ItemState

Foresight = Callable[[Connection, Case, int], Foreseen | None]
"""What is known of the remaining life of a case's asset at a time (µs UTC); None where nothing is."""

LEAST_FALL = 5.0
"""Points of health by which it must have fallen before its course says anything."""


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
