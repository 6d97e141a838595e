"""What ledgered measurements do: a point on a chart, and where the plan says so a nonconformance.

In the ledger's transaction, so that a measurement that is acknowledged is charted. Total: what cannot be
charted goes to the exceptions inbox and blocks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError

from cloud.hub import Hub, QualityChanged
from cloud.orders import exceptions
from cloud.orders.tables import operation
from cloud.quality import charts, nonconformances
from cloud.quality.charts import Measured
from cloud.quality.plans import plan_of
from cloud.store.database import after_commit, savepoint
from protocols import actions as act
from protocols.actions import Action
from protocols.inspection import Disposition, Verdict, said
from protocols.spc.chart import acts
from protocols.spc.charts import Point
from protocols.states import Event

MACHINE, BACKLOG = "machine", charts.BACKLOG
"""Actors of what nobody entered: a tag, and a tag's value that an outage had kept back."""
NO_CHART = 0
"""Instead of a chart's id: what changed belongs to none."""

_log = structlog.get_logger(__name__)


class QualityEffects:
    """Effects of the ``actions`` lane on charts and nonconformances. ``hub`` hears when one changed."""

    def __init__(self, hub: Hub | None = None) -> None:
        self._hub = hub

    def actions(self, tx: Connection, edge: str, actions: list[Action], received: int) -> None:
        """Chart what was measured, take back what was undone. A replay has no effect."""
        changed: set[int] = set()
        for action in actions:
            event = action.event
            effect = _EFFECTS.get(type(event))
            if effect is None:
                continue
            try:
                with savepoint(tx):
                    changed |= effect(tx, action, event)
            except OperationalError:
                raise  # the database itself: nothing was ledgered
            except Exception as error:  # noqa: BLE001 - whatever a measurement does to us, its lane goes on
                _log.exception("an action had no effect on quality", action=action.id, edge=edge)
                what = (
                    "a measurement was not charted"
                    if isinstance(event, act.StepDone)
                    else "no effect on quality"
                )
                text = f"{what} ({type(error).__name__}: {error})"
                exceptions.record(tx, ts=action.ts, kind="quality", text=text, edge=edge, source=action.id)
        if self._hub is not None:
            for chart_id in sorted(changed):
                after_commit(tx, partial(self._hub.publish, QualityChanged(chart_id)))

    def states(self, tx: Connection, edge: str, events: list[Event], received: int) -> None:
        """What machines report does nothing here."""


def _measured(tx: Connection, action: Action, event: act.StepDone) -> set[int]:
    planned = next((each for each in plan_of(tx, event.operation) if event.step in each.steps), None)
    if planned is None:
        return set()
    job = tx.execute(select(operation.c.job_id).where(operation.c.id == event.operation)).scalar_one()
    measured = Measured(
        characteristic=planned,
        workcell=action.workcell,
        operation=event.operation,
        job=job,
        value=float(event.value),
        ts=action.ts,
        source=action.id,
        actor=action.actor,
    )
    return {chart(tx, measured)}


def chart(tx: Connection, measured: Measured) -> int:
    """Chart a measurement and open a nonconformance where its plan holds; the id of the chart."""
    chart_id, point = charts.take(tx, measured)
    if point is not None:
        _acted(tx, chart_id, measured, point)
    return chart_id


def chart_late(tx: Connection, measured: Sequence[Measured]) -> int:
    """The same for measurements of one chart that come after newer ones."""
    chart_id, made = charts.take_late(tx, measured)
    for each, point in made:
        _acted(tx, chart_id, each, point)
    return chart_id


def _acted(tx: Connection, chart_id: int, measured: Measured, point: Point) -> None:
    if measured.characteristic.on_violation is Verdict.HOLD and acts(point):
        nonconformances.open_one(
            tx,
            source=measured.source,
            operation_id=measured.operation,
            workcell=measured.workcell,
            text=said(measured.characteristic, point.signals, measured.value),
            actor=MACHINE if measured.actor == BACKLOG else measured.actor,
            now=measured.ts,
            chart=chart_id,
        )


def _held(tx: Connection, action: Action, event: act.LotHeld) -> set[int]:
    """What a station holds is held, whatever the service's own chart says."""
    nonconformances.open_one(
        tx,
        source=event.source,
        operation_id=event.operation,
        workcell=action.workcell,
        text=(event.text[: act.MAX_TEXT], event.text_zh[: act.MAX_TEXT]),
        actor=action.actor,
        now=action.ts,
    )
    return {NO_CHART}


def _released(tx: Connection, action: Action, event: act.LotReleased) -> set[int]:
    against = nonconformances.released_at_station(
        tx,
        event.source,
        Disposition(event.disposition),
        actor=action.actor,
        now=action.ts,
        reason=event.reason[: act.MAX_TEXT],
        command=f"{action.id}-nc",
    )
    if against:
        exceptions.record(tx, ts=action.ts, kind="quality", text=against, source=action.id)
    return {NO_CHART}


def _completed(tx: Connection, action: Action, event: act.RunCompleted) -> set[int]:
    closed: list[int] = []
    for name in event.finished:
        closed += nonconformances.done_with_rework(tx, name, action.actor, action.ts, action.id)
    return {NO_CHART} if closed else set()


def _undone(tx: Connection, action: Action, event: act.Undone) -> set[int]:
    chart_id = charts.undo(tx, event.action)
    withdrawn = nonconformances.withdraw_source(tx, event.action, action.actor, action.ts)
    if chart_id is not None:
        return {chart_id}
    return {NO_CHART} if withdrawn else set()


_EFFECTS: Mapping[type, Callable[[Connection, Action, Any], set[int]]] = {
    act.StepDone: _measured,
    act.Undone: _undone,
    act.LotHeld: _held,
    act.LotReleased: _released,
    act.RunCompleted: _completed,
}
"""What each event does; the ids of the charts that changed, :data:`NO_CHART` for a nonconformance alone."""
