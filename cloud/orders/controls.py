"""What people did to machines at their edges: locks, accepted firmware, commands. Told, never commanded.

The cloud keeps a picture of the locks, for the page and the planner. There is no way back: nothing here or
anywhere in the service sets or releases a lock, or writes to a machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from cloud.hub import EdgeChanged, Hub
from cloud.ledger import tables
from cloud.orders import exceptions
from cloud.store.database import after_commit, insert_into
from protocols import actions as act
from protocols.actions import Action
from protocols.lifecycles import CommandState, LockState
from protocols.states import Event


class ControlEffects:
    """Effects of the ``actions`` lane on the picture of the locks. ``hub`` hears when one changed."""

    def __init__(self, hub: Hub | None = None) -> None:
        self._hub = hub

    def actions(self, tx: Connection, edge: str, actions: list[Action], received: int) -> None:
        """Apply the actions in order; what is late never replaces what is newer."""
        changed = False
        for action in actions:
            apply = _EFFECTS.get(type(action.event))
            if apply is not None:
                apply(tx, edge, action, action.event)
                changed = True
        if changed and (hub := self._hub) is not None:
            after_commit(tx, lambda: hub.publish(EdgeChanged(edge)))

    def states(self, tx: Connection, edge: str, events: list[Event], received: int) -> None:
        """What machines report does nothing here."""


def _to(tx: Connection, edge: str, action: Action, device: str, state: LockState, **more: str) -> None:
    row = {"edge": edge, "workcell": action.workcell, "state": str(state), "since": action.ts, **more}
    statement = insert_into(tx, tables.machine_lock).values(
        device=device, **{"owner": action.actor, "reason": "", **row}
    )
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["device"], set_=row, where=tables.machine_lock.c.since <= action.ts
        )
    )


def _locked(tx: Connection, edge: str, action: Action, event: act.MachineLocked) -> None:
    _to(tx, edge, action, event.device, LockState.LOCKED, owner=action.actor, reason=event.reason)


def _released(tx: Connection, edge: str, action: Action, event: act.LockReleased) -> None:
    _to(tx, edge, action, event.device, LockState.RELEASED)
    if event.second:
        text = (
            f"the lock of {event.device} was released by {action.actor} and {event.second} in the absence of "
            "its owner: ask whether the machine is safe"
        )
        exceptions.record(tx, ts=action.ts, kind="lock", text=text, edge=edge, source=action.id)


def _accepted(tx: Connection, edge: str, action: Action, event: act.MachineAccepted) -> None:
    _to(tx, edge, action, event.device, LockState.FREE)


def _ended(tx: Connection, edge: str, action: Action, event: act.MachineCommandEnded) -> None:
    if event.state == CommandState.UNKNOWN:
        text = (
            f"nobody knows whether a command to {event.device} took effect ({event.detail}): somebody must "
            f"look, and settle it at {action.workcell} (F10)"
        )
        concerns = event.command
        exceptions.record(
            tx, ts=action.ts, kind="command", text=text, edge=edge, source=action.id, concerns=concerns
        )
    else:
        exceptions.settle(tx, ts=action.ts, kind="command", concerns=event.command)


_EFFECTS: dict[type, Callable[[Connection, str, Action, Any], None]] = {
    act.MachineLocked: _locked,
    act.LockReleased: _released,
    act.MachineAccepted: _accepted,
    act.MachineCommandEnded: _ended,
}
