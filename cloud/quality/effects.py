"""What ledgered measurements do: a point on a chart, and where the plan says so a nonconformance.

In the ledger's transaction, so that a measurement that is acknowledged is charted. Total: what cannot be
charted goes to the exceptions inbox and blocks nothing.
"""

from __future__ import annotations

from functools import partial

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
from protocols.inspection import Characteristic, Verdict
from protocols.spc.chart import acts
from protocols.spc.charts import Point, in_words
from protocols.states import Event

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
            if not isinstance(event, act.StepDone | act.Undone):
                continue
            try:
                with savepoint(tx):
                    if isinstance(event, act.StepDone):
                        changed |= _measured(tx, action, event)
                    else:
                        changed |= _undone(tx, action, event)
            except OperationalError:
                raise  # the database itself: nothing was ledgered
            except Exception as error:  # noqa: BLE001 - whatever a measurement does to us, its lane goes on
                _log.exception("a measurement was not charted", action=action.id, edge=edge)
                text = f"a measurement was not charted ({type(error).__name__}: {error})"
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
    if point is not None and measured.characteristic.on_violation is Verdict.HOLD and acts(point):
        nonconformances.open_one(
            tx,
            source=measured.source,
            operation_id=measured.operation,
            workcell=measured.workcell,
            text=said(measured.characteristic, point, measured.value),
            actor=measured.actor,
            now=measured.ts,
            chart=chart_id,
        )
    return chart_id


def said(planned: Characteristic, point: Point, value: float) -> tuple[str, str]:
    """A violation in English and Chinese: what, how much, which rule."""
    english, chinese = in_words(point.signals)
    unit = f" {planned.unit}" if planned.unit else ""
    return f"{planned.title} {value:g}{unit}: {english}", f"{planned.title_zh} {value:g}{unit}：{chinese}"


def _undone(tx: Connection, action: Action, event: act.Undone) -> set[int]:
    chart_id = charts.undo(tx, event.action)
    if chart_id is None:
        return set()
    nonconformances.withdraw_source(tx, event.action, action.actor, action.ts)
    return {chart_id}
