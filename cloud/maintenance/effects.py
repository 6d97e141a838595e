"""What people did for a case at the stations: begun, found, broken off, done, refused, kept at its time,
moved.

Effects are total. What the state of the case does not allow (it was closed meanwhile, the order was
refused at the page) goes to the exceptions inbox, for a person to decide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from cloud.hub import CaseChanged, Hub
from cloud.maintenance import cases
from cloud.maintenance.case import MAX_NOTE, ImpossibleStep, Step
from cloud.maintenance.cases import NoSuchCaseError
from cloud.orders import exceptions
from cloud.store.database import after_commit, savepoint
from protocols import actions as act
from protocols.actions import Action
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import CaseEvent
from protocols.states import Event


class CaseEffects:
    """Effects of the ``actions`` lane on the maintenance cases. ``hub`` hears of every case that changed."""

    def __init__(self, hub: Hub | None = None) -> None:
        self._hub = hub

    def actions(self, tx: Connection, edge: str, actions: list[Action], received: int) -> None:
        """Apply the actions in order; one that was applied before does nothing."""
        for action in actions:
            self.apply(tx, edge, action)

    def states(self, tx: Connection, edge: str, events: list[Event], received: int) -> None:
        """What machines report does nothing here."""

    def apply(self, tx: Connection, edge: str, action: Action) -> bool:
        """Apply one action; whether it is about a case."""
        step = _STEPS.get(type(action.event))
        if step is None:
            return False
        event: Any = action.event
        case = event.case
        try:
            with savepoint(tx):
                cases.happened(tx, case, step(tx, action, event), action.id)
        except NoSuchCaseError:
            text = f'{action.workcell} reports "{_words(event)}" of case {case}, which is not known here'
            exceptions.record(tx, ts=action.ts, kind="unknown", text=text, edge=edge, source=action.id)
        except (IllegalTransitionError, ImpossibleStep) as error:
            text = f'{action.workcell} reports "{_words(event)}": {error}'
            exceptions.record(
                tx, ts=action.ts, kind="illegal", text=text, edge=edge, source=action.id, concerns=case
            )
        else:
            if (hub := self._hub) is not None:
                after_commit(tx, lambda: hub.publish(CaseChanged(case)))
        return True


def _words(event: act.Event) -> str:
    return str(type(event).__struct_config__.tag)


def _begun(tx: Connection, action: Action, event: act.MaintenanceStarted) -> Step:
    return Step(CaseEvent.START, action.actor, action.ts, note=action.workcell)


def _found(tx: Connection, action: Action, event: act.MaintenanceFound) -> Step:
    return Step(CaseEvent.FIND, action.actor, action.ts, found=event.found[:MAX_NOTE])


def _broken_off(tx: Connection, action: Action, event: act.MaintenanceBrokenOff) -> Step:
    return Step(CaseEvent.BREAK_OFF, action.actor, action.ts, note=event.reason[:MAX_NOTE])


def _done(tx: Connection, action: Action, event: act.MaintenanceDone) -> Step:
    return Step(CaseEvent.FINISH, action.actor, action.ts, note=action.workcell)


def _refused(tx: Connection, action: Action, event: act.MaintenanceRefused) -> Step:
    return Step(CaseEvent.REFUSE, action.actor, action.ts, note=event.reason[:MAX_NOTE])


def _kept(tx: Connection, action: Action, event: act.MaintenanceKept) -> Step:
    order = cases.find(tx, event.case).order
    if order is not None:
        order = order.kept_at(event.start)
    return Step(CaseEvent.KEEP, action.actor, action.ts, note=action.workcell, order=order)


def _moved(tx: Connection, action: Action, event: act.MaintenanceMoved) -> Step:
    """Within the window as it is known by now; else the order stays, and the station hears why."""
    order, wanted, reason = cases.find(tx, event.case).order, CaseEvent.MOVE, event.reason[:MAX_NOTE]
    if order is not None:
        declined = order.against(event.start, action.ts)
        wanted = CaseEvent.MOVE if declined is None else CaseEvent.DECLINE
        order = order.kept_at(event.start) if declined is None else order.changed(declined=declined)
    return Step(wanted, action.actor, action.ts, note=reason, order=order)


_STEPS: dict[type, Callable[[Connection, Action, Any], Step]] = {
    act.MaintenanceStarted: _begun,
    act.MaintenanceFound: _found,
    act.MaintenanceBrokenOff: _broken_off,
    act.MaintenanceDone: _done,
    act.MaintenanceRefused: _refused,
    act.MaintenanceKept: _kept,
    act.MaintenanceMoved: _moved,
}
