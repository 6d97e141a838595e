"""What the states lane does: devices, machine states, stops, alarms, notices, catalogues, job lists applied.

Each kind of event has one function, found in a table. Events may come late (an edge drains its backlog):
what is late is recorded, but never replaces what is newer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, insert, update

from cloud.hub import EdgeChanged, Hub
from cloud.ledger import alarms, tables, tags
from cloud.store.database import after_commit, insert_into
from protocols.actions import Action
from protocols.states import (
    AlarmChanged,
    CatalogueAnnounced,
    ConfigApplied,
    DeviceHeartbeat,
    Event,
    ItemState,
    JobsApplied,
    MachineStateChanged,
    Notice,
    OperationMode,
    StopClosed,
    StopOpened,
)


class MachineEffects:
    """Keeps the tables of machines in step with the states lane. ``hub`` hears when an edge changed."""

    def __init__(self, hub: Hub | None = None) -> None:
        self._hub = hub

    def actions(self, tx: Connection, edge: str, actions: list[Action], received: int) -> None:
        """People's actions do nothing here: they belong to the orders."""

    def states(self, tx: Connection, edge: str, events: list[Event], received: int) -> None:
        """Apply the events in order."""
        changed = False
        for event in events:
            apply = _EFFECTS.get(type(event))
            if apply is not None and apply(tx, edge, event, received):
                changed = True
        for device in {event.device for event in events if isinstance(event, AlarmChanged)}:
            alarms.forget_old(tx, device)
        if changed and (hub := self._hub) is not None:
            after_commit(tx, lambda: hub.publish(EdgeChanged(edge)))


def _device(tx: Connection, edge: str, device: str) -> None:
    tx.execute(
        insert_into(tx, tables.device)
        .values(
            id=device,
            edge=edge,
            connected=False,
            connected_since=0,
            heartbeat=0,
            last_read=0,
            detail="",
            state_since=0,
            item_state=ItemState.NOT_AVAILABLE.value,
            mode=OperationMode.NONE.value,
            state_detail="",
        )
        .on_conflict_do_nothing()
    )


def _heartbeat(tx: Connection, edge: str, event: DeviceHeartbeat, received: int) -> bool:
    _device(tx, edge, event.device)
    at = tables.device.c
    newer = at.id == event.device, at.heartbeat <= event.ts
    turned = tx.execute(
        update(tables.device)
        .where(*newer, at.connected != event.connected)
        .values(connected=event.connected, connected_since=event.ts)
    )
    tx.execute(
        update(tables.device)
        .where(*newer)
        .values(
            edge=edge,
            heartbeat=event.ts,
            last_read=event.last_read,
            detail=event.detail,
            differs=event.differs,
            firmware=event.firmware,
            alarms_standing=event.standing,
            alarms_untold=event.untold,
        )
    )
    return turned.rowcount > 0


def _machine_state(tx: Connection, edge: str, event: MachineStateChanged, received: int) -> bool:
    _device(tx, edge, event.device)
    state = {"item_state": event.item_state.value, "mode": event.mode.value}
    tx.execute(
        insert_into(tx, tables.machine_state)
        .values(device=event.device, ts=event.ts, detail=event.detail, **state)
        .on_conflict_do_nothing()
    )
    at = tables.device.c
    tx.execute(
        update(tables.device)
        .where(at.id == event.device, at.state_since <= event.ts)
        .values(edge=edge, state_since=event.ts, state_detail=event.detail, **state)
    )
    return False


def _stop_opened(tx: Connection, edge: str, event: StopOpened, received: int) -> bool:
    statement = insert_into(tx, tables.stop).values(
        id=event.stop,
        edge=edge,
        device=event.device,
        workcell=event.workcell,
        opened=event.ts,
        closed=None,
        hint=event.hint,
    )
    tx.execute(statement.on_conflict_do_nothing())
    return False


def _stop_closed(tx: Connection, edge: str, event: StopClosed, received: int) -> bool:
    at = tables.stop.c
    tx.execute(update(tables.stop).where(at.id == event.stop, at.closed.is_(None)).values(closed=event.ts))
    return False


def _alarm(tx: Connection, edge: str, event: AlarmChanged, received: int) -> bool:
    _device(tx, edge, event.device)
    alarms.take(tx, edge, event)
    return False


def _catalogue(tx: Connection, edge: str, event: CatalogueAnnounced, received: int) -> bool:
    tags.announce(tx, edge, event.hash, event.catalogue, received)
    return True


def _jobs_applied(tx: Connection, edge: str, event: JobsApplied, received: int) -> bool:
    at = tables.edge.c
    tx.execute(
        update(tables.edge)
        .where(at.id == edge, at.jobs_version < event.version)
        .values(jobs_version=event.version)
    )
    return True


def _config_applied(tx: Connection, edge: str, event: ConfigApplied, received: int) -> bool:
    tx.execute(update(tables.edge).where(tables.edge.c.id == edge).values(configs=event.hashes))
    return True


def _notice(tx: Connection, edge: str, event: Notice, received: int) -> bool:
    tx.execute(
        insert(tables.notice).values(
            edge=edge,
            ts=event.ts,
            received=received,
            severity=event.severity,
            code=event.code,
            text=event.text,
        )
    )
    return False


_EFFECTS: dict[type, Callable[[Connection, str, Any, int], bool]] = {
    DeviceHeartbeat: _heartbeat,
    MachineStateChanged: _machine_state,
    StopOpened: _stop_opened,
    StopClosed: _stop_closed,
    AlarmChanged: _alarm,
    CatalogueAnnounced: _catalogue,
    JobsApplied: _jobs_applied,
    ConfigApplied: _config_applied,
    Notice: _notice,
}
"""One function per kind of event; true when the edge itself changed, so that who shows edges reads again.
Tombstones (``Dropped``) are counted by the ledger itself."""
