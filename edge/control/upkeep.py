"""Maintenance orders at an edge: what the service sent, what was begun, what came of it. Pure.

The orders are kept on disk with the locks, so that one can be begun and ended with no network at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from edge.station.refusals import Refusal
from edge.station.station_view import OrderView
from protocols import actions as did
from protocols.jobs import JobList, MaintenanceOrder
from protocols.values import MICROSECONDS

DONE = 2**62
"""Revision of an order that is over for good."""
KEPT_ENDS = 50
"""Orders whose end is remembered, so that a list that was under way does not bring them back."""


class Begun(msgspec.Struct, frozen=True):
    """An order in work: at which machine, since when (µs UTC), by whom, and what was found so far."""

    case: str
    device: str
    since: int
    actor: str
    order: MaintenanceOrder | None = None
    found: str = ""


class Upkeep(msgspec.Struct, frozen=True):
    """By case: ``orders`` of the newest list, ``begun`` ones, and of those that ended here the revision up to
    which they are over."""

    orders: dict[str, MaintenanceOrder] = {}
    begun: dict[str, Begun] = {}
    ended: dict[str, int] = {}

    def open_order(self, case: str) -> MaintenanceOrder | None:
        """An order that can be begun, refused or kept."""
        order = self.orders.get(case)
        return None if order is None or self._over(order) or case in self.begun else order

    def of(self, device: str) -> tuple[OrderView, ...]:
        """What a station shows of a machine: first what is in work, then what comes first."""
        views = [
            OrderView(begun.order, begun.since, begun.actor, begun.found)
            for begun in self.begun.values()
            if begun.device == device and begun.order is not None
        ]
        waiting = [o for o in self.orders.values() if o.device == device and self.open_order(o.case)]
        waiting.sort(key=lambda order: (order.start or order.earliest, order.case))
        return (*views, *(OrderView(order) for order in waiting))

    def _over(self, order: MaintenanceOrder) -> bool:
        return order.revision <= self.ended.get(order.case, -1)


def receive(upkeep: Upkeep, jobs: JobList) -> Upkeep:
    """The orders of a job list; what is in work here stays in work whatever the list says."""
    return replace(upkeep, orders={order.case: order for order in jobs.maintenance})


# --- what people may do -------------------------------------------------------------------------------


def waiting(upkeep: Upkeep, case: str, station: str) -> MaintenanceOrder:
    """The order of a case, which nobody has begun; raises Refusal."""
    if case in upkeep.begun:
        begun = upkeep.begun[case]
        raise Refusal("order-begun", device=begun.device, actor=begun.actor)
    order = upkeep.open_order(case)
    if order is None:
        raise Refusal("unknown-order", order=case, station=station)
    return order


def in_work(upkeep: Upkeep, case: str, station: str) -> Begun:
    """What was begun for a case; raises Refusal."""
    begun = upkeep.begun.get(case)
    if begun is None:
        order = upkeep.open_order(case)
        if order is None:
            raise Refusal("unknown-order", order=case, station=station)
        raise Refusal("order-not-begun", title=order.title)
    return begun


def done_with(upkeep: Upkeep, device: str) -> list[did.Event]:
    """What production says beside accepting a machine: the orders begun at it are done."""
    return [
        did.MaintenanceDone(begun.case, device) for begun in upkeep.begun.values() if begun.device == device
    ]


def renews(upkeep: Upkeep, case: str) -> bool:
    """Whether a machine is as new when the maintenance of a case is done. Where that is not known here the
    service knows and says so.
    """
    begun = upkeep.begun.get(case)
    order = begun.order if begun is not None else upkeep.orders.get(case)
    return order is not None and order.renews


# --- what actions change ------------------------------------------------------------------------------


def apply(upkeep: Upkeep, action: did.Action) -> Upkeep:
    """The state after an action; the same object for actions of other kinds."""
    effect = _EFFECTS.get(type(action.event))
    return upkeep if effect is None else effect(upkeep, action, action.event)


def _started(upkeep: Upkeep, action: did.Action, event: did.MaintenanceStarted) -> Upkeep:
    begun = Begun(event.case, event.device, action.ts, action.actor, upkeep.orders.get(event.case))
    return replace(upkeep, begun={**upkeep.begun, event.case: begun})


def _found(upkeep: Upkeep, action: did.Action, event: did.MaintenanceFound) -> Upkeep:
    before = upkeep.begun.get(event.case)
    if before is None:
        return upkeep
    return replace(upkeep, begun={**upkeep.begun, event.case: replace(before, found=event.found)})


def _broken_off(upkeep: Upkeep, action: did.Action, event: did.MaintenanceBrokenOff) -> Upkeep:
    return _ended(upkeep, event.case, _revision(upkeep, event.case))


def _done(upkeep: Upkeep, action: did.Action, event: did.MaintenanceDone) -> Upkeep:
    return _ended(upkeep, event.case, DONE)


def _refused(upkeep: Upkeep, action: did.Action, event: did.MaintenanceRefused) -> Upkeep:
    return _ended(upkeep, event.case, _revision(upkeep, event.case))


def _kept(upkeep: Upkeep, action: did.Action, event: did.MaintenanceKept) -> Upkeep:
    order = upkeep.orders.get(event.case)
    if order is None:
        return upkeep
    return replace(upkeep, orders={**upkeep.orders, event.case: replace(order, fixed=True)})


def _moved(upkeep: Upkeep, action: did.Action, event: did.MaintenanceMoved) -> Upkeep:
    order = upkeep.orders.get(event.case)
    if order is None:
        return upkeep
    end = event.start + order.seconds * MICROSECONDS
    moved = replace(order, start=event.start, end=end, fixed=True, declined=None)
    return replace(upkeep, orders={**upkeep.orders, event.case: moved})


def _revision(upkeep: Upkeep, case: str) -> int:
    order = upkeep.orders.get(case)
    begun = upkeep.begun.get(case)
    known = [o.revision for o in (order, begun.order if begun is not None else None) if o is not None]
    return max(known, default=0)


def _ended(upkeep: Upkeep, case: str, revision: int) -> Upkeep:
    ended = {name: number for name, number in upkeep.ended.items() if name != case}
    ended[case] = revision
    for old in list(ended)[:-KEPT_ENDS]:
        del ended[old]
    begun = {name: work for name, work in upkeep.begun.items() if name != case}
    return replace(upkeep, begun=begun, ended=ended)


_EFFECTS: Mapping[type, Callable[[Upkeep, did.Action, Any], Upkeep]] = {
    did.MaintenanceStarted: _started,
    did.MaintenanceFound: _found,
    did.MaintenanceBrokenOff: _broken_off,
    did.MaintenanceDone: _done,
    did.MaintenanceRefused: _refused,
    did.MaintenanceKept: _kept,
    did.MaintenanceMoved: _moved,
}
