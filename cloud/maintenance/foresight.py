"""Where a prognosis for a case comes from while no model of remaining life holds: its health's trend."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select

from cloud.ledger.tables import machine_state
from cloud.maintenance.case import Case
from cloud.maintenance.prognosis import HOUR, trend
from cloud.maintenance.tables import ASSET_HEALTH
from cloud.maintenance.work_order import BoundFrom, Foreseen
from protocols.states import ItemState

Foresight = Callable[[Connection, Case, int], Foreseen | None]
"""What is known of the remaining life of a case's asset at a time (µs UTC); None where nothing is."""

LEAST_HOURS = 1.0
"""Operating hours after the opening before which a trend says nothing."""
LEAST_FALL = 5.0
"""Points of health by which it must have fallen since."""


def by_trend(tx: Connection, case: Case, now: int) -> Foreseen | None:
    """From how the health fell since the case was opened; None while it has not, or not for long enough."""
    health = tx.execute(
        select(ASSET_HEALTH.c.health).where(ASSET_HEALTH.c.asset == case.asset)
    ).scalar_one_or_none()
    if health is None or case.health - health < LEAST_FALL:
        return None
    hours = operating_hours(tx, case.device, case.opened, now)
    if hours < LEAST_HOURS:
        return None
    found = trend([(0.0, case.health), (hours, health)])
    return None if found is None else Foreseen(found, BoundFrom.TREND)


def operating_hours(tx: Connection, device: str, start: int, end: int) -> float:
    """Hours between two times (µs UTC) in which a machine executed, as far as its states are known."""
    at = machine_state.c
    before = (
        select(at.ts, at.item_state)
        .where(at.device == device, at.ts <= start)
        .order_by(at.ts.desc())
        .limit(1)
    )
    within = (
        select(at.ts, at.item_state).where(at.device == device, at.ts > start, at.ts < end).order_by(at.ts)
    )
    changes = [*tx.execute(before), *tx.execute(within)]
    ends = [*(row.ts for row in changes[1:]), end]
    worked = (
        sum(
            until - max(row.ts, start)
            for row, until in zip(changes, ends, strict=True)
            if row.item_state == ItemState.EXECUTING
        )
        if changes
        else 0
    )
    return worked / HOUR
