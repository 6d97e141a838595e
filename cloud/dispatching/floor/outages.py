"""Machines and vehicles that cannot be counted on, why, and until when as far as their past says."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, select

from cloud.ledger.tables import device, machine_lock, stop
from cloud.maintenance.cases import cases
from protocols.lifecycles import CaseState, LockState
from protocols.site import Site
from protocols.states import ItemState, OperationMode
from protocols.values import MICROSECONDS

REMEMBERED_STOPS = 20


class Down(msgspec.Struct, frozen=True):
    """A workcell that cannot work, or a vehicle that cannot drive.

    ``expected`` is until when, as far as its past says; µs UTC.
    """

    workcell: str
    since: int
    expected: int
    reason: str


class Trouble(msgspec.Struct, frozen=True):
    """A device that cannot be counted on; a lock says more than what the machine says itself.

    ``lasts`` is how long, where the maintenance that is done to it says so (µs), else 0.
    """

    device: str
    since: int
    reason: str
    lock: bool = False
    lasts: int = 0


def troubles(tx: Connection) -> list[Trouble]:
    """Devices that are out of service, in maintenance or switched off, then those that are locked."""
    found: list[Trouble] = []
    for row in tx.execute(select(device)):
        out = row.item_state == ItemState.OUT_OF_SERVICE or row.mode == OperationMode.MAINTENANCE
        off = row.item_state == ItemState.NOT_AVAILABLE and row.connected and row.state_since
        if out or off:
            reason = row.state_detail or row.item_state.replace("_", " ")
            found.append(Trouble(row.id, row.state_since, reason))
    lasts = {
        case.device: case.order.duration
        for case in cases(tx, open_only=True)
        if case.state is CaseState.IN_WORK and case.order is not None
    }
    for lock in tx.execute(select(machine_lock).where(machine_lock.c.state != LockState.FREE)):
        waits = lock.state == LockState.RELEASED
        reason = "waits to be accepted" if waits else f"locked by {lock.owner}: {lock.reason}"
        usual = 0 if waits else lasts.get(lock.device, 0)
        found.append(Trouble(lock.device, lock.since, reason, lock=True, lasts=usual))
    return found


def down(
    tx: Connection, site: Site, troubles: Sequence[Trouble], now: int, repair_seconds: int
) -> dict[str, Down]:
    """Workcells with a machine that cannot be counted on."""
    found: dict[str, Down] = {}
    cells = {name: d.workcells for name, d in site.devices().items()}
    for trouble in troubles:
        for cell in cells.get(trouble.device, ()):
            usual = trouble.lasts or _usual_stop(tx, cell) or repair_seconds * MICROSECONDS
            new = Down(cell, trouble.since, expected(trouble.since, usual, now), trouble.reason)
            known = found.get(cell)
            if trouble.lock or known is None or known.expected < new.expected:
                found[cell] = new
    return found


def stuck(site: Site, troubles: Sequence[Trouble], now: int, repair_seconds: int) -> dict[str, Down]:
    """Vehicles that report a fatal error, are switched off or locked."""
    vehicles = site.vehicles()
    return {
        each.device: Down(
            each.device,
            each.since,
            expected(each.since, repair_seconds * MICROSECONDS, now),
            each.reason,
        )
        for each in troubles
        if each.device in vehicles
    }


def expected(since: int, usual: int, now: int) -> int:
    """Until when (µs UTC) what usually takes ``usual`` lasts; one that takes longer is expected to take half
    of what it has taken once more.
    """
    return max(since + usual, now + max(usual // 4, (now - since) // 2))


def _usual_stop(tx: Connection, cell: str) -> int:
    """Mean µs of the workcell's last stops; 0 where there were none."""
    rows = tx.execute(
        select(stop.c.opened, stop.c.closed)
        .where(stop.c.workcell == cell, stop.c.closed.is_not(None))
        .order_by(stop.c.opened.desc())
        .limit(REMEMBERED_STOPS)
    ).all()
    return sum(max(0, row.closed - row.opened) for row in rows) // len(rows) if rows else 0
