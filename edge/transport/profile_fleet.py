"""AGVs behind registers or nodes as a carrier: what a profile's roles let it say and write.

A vehicle gets the numbers of two stations, then the number of its order (:attr:`Roles.order`, written last).
It shows the number it works at and how far it is. It keeps its own traffic: OneLot reserves no ground for it.

An order is on disk before it is written. Once the vehicle has shown its number it is never written again: one
that shows another number has forgotten it, and a person looks where the load is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from msgspec.structs import replace

from drivers.driver import DeviceLost, WriteFailed, WriteRefused, WriteUnknown
from edge.outbox.store import Store
from edge.transport import journal
from edge.transport.handshakes import StationDevices
from edge.transport.missions import ENDED, Mission, MissionEvent, MissionState, NumberedOrder
from edge.transport.port import Report
from edge.transport.profile_roles import Roles, VehicleState
from protocols.clock import Clock
from protocols.fleet import MIN_BATTERY
from protocols.site_graph import SiteGraph
from protocols.values import MICROSECONDS, Value

log = structlog.get_logger(__name__)

AGAIN = 5 * MICROSECONDS
"""µs after writing an order until it is written once more, should the vehicle not show it."""
TRIES = 5
"""Times an order is written before a person is called."""
WRITE_TIMEOUT = 3.0
"""Seconds for writing one order: other vehicles wait meanwhile."""
LAST_NUMBER = 30_000
"""After it numbers begin again at 1: they fit a signed register."""


@dataclass(slots=True)
class ProfileFleet:
    """Vehicles by device id.

    Args:
        graph: whose stations have the numbers that vehicles know them by.
        vehicles: the tags of each.
        devices: the devices of the edge.
        orders: by device, the last one of each, as kept.
    """

    graph: SiteGraph
    vehicles: Mapping[str, Roles]
    devices: StationDevices
    store: Store
    clock: Clock
    orders: dict[str, NumberedOrder] = field(default_factory=dict)
    _missions: dict[str, Mission] = field(default_factory=dict, init=False)
    _written: dict[str, tuple[int, int]] = field(default_factory=dict, init=False)
    """When each open order was written last, and how often since this start."""

    async def step(self, waiting: Sequence[Mission], report: Report) -> None:
        """See :class:`edge.transport.port.Carrier`."""
        left = [each for each in waiting if self._reaches(each)]
        for device, roles in self.vehicles.items():
            order = self.orders.get(device)
            says = self.devices.values(device, roles.read)
            if order is not None and not order.ended:
                await self._go_on(device, order, says, report)
            elif left and self._is_free(device, says):
                await self._take(device, left.pop(0), report)

    def resume(self, missions: Mapping[str, Mission]) -> dict[str, Mission]:
        """What became of the missions that these vehicles had when the edge went down."""
        changed: dict[str, Mission] = {}
        for order in self.orders.values():
            mission = missions.get(order.mission)
            if mission is None or mission.state in ENDED:
                continue
            if mission.state is MissionState.WAITING:
                mission = mission.after(MissionEvent.TAKE, device=order.device)
            if order.ended:
                mission = mission.after(MissionEvent(order.ended), device=order.device, reason=order.reason)
            else:
                self._missions[mission.id] = mission
            changed[mission.id] = mission
        return changed

    # --- inside -----------------------------------------------------------------------------------------

    def _reaches(self, mission: Mission) -> bool:
        """Both stations have a number and need no handshake, which such a vehicle has no signals for."""
        ends = (self.graph.stations[mission.pick], self.graph.stations[mission.drop])
        return all(station.number is not None and station.handshake == "none" for station in ends)

    def _is_free(self, device: str, says: Mapping[str, Value]) -> bool:
        roles = self.vehicles[device]
        if self.devices.driver(device) is None or self.devices.refuses(device):
            return False
        charge = 100.0 if roles.battery is None else says.get(roles.battery)
        enough = isinstance(charge, int | float) and charge >= MIN_BATTERY
        return enough and roles.state_of(says) in (VehicleState.IDLE, VehicleState.DONE)

    async def _take(self, device: str, mission: Mission, report: Report) -> None:
        before = self.orders.get(device)
        number = 1 if before is None or before.number >= LAST_NUMBER else before.number + 1
        order = NumberedOrder(device, number, mission.id)
        await self._keep(order)
        self._missions[mission.id] = mission
        report(mission, MissionEvent.TAKE, device, "")
        await self._write(device, order, mission)

    async def _go_on(
        self, device: str, order: NumberedOrder, says: Mapping[str, Value], report: Report
    ) -> None:
        roles, mission = self.vehicles[device], self._missions.get(order.mission)
        shown, state = says.get(roles.mission), roles.state_of(says)
        if shown is None or state is None or mission is None:
            return  # away, or it says nothing: only what is said counts
        if shown == order.number and not order.shown:
            order = replace(order, shown=True)
            await self._keep(order)
        if shown == order.number and state is VehicleState.DONE:
            await self._end(order, mission, MissionEvent.FINISH, "", report)
        elif shown == order.number and state is VehicleState.FAILED:
            await self._end(order, mission, MissionEvent.FAIL, "the vehicle gave it up", report)
        elif shown != order.number and order.shown:
            why = f"the vehicle forgot order {order.number} and shows {shown}"
            await self._end(order, mission, MissionEvent.FAIL, why, report)
        elif not order.shown:
            await self._again(device, order, mission, report)

    async def _again(self, device: str, order: NumberedOrder, mission: Mission, report: Report) -> None:
        at, tries = self._written.get(device, (0, 0))
        if self.clock.now() - at < AGAIN or self.devices.refuses(device):
            return
        if tries < TRIES:
            await self._write(device, order, mission)
            return
        why = f"order {order.number} was written {tries} times and never shown: go and look at the vehicle"
        await self._end(order, mission, MissionEvent.FAIL, why, report)

    async def _end(
        self, order: NumberedOrder, mission: Mission, event: MissionEvent, reason: str, report: Report
    ) -> None:
        await self._keep(replace(order, ended=str(event), reason=reason))
        self._missions.pop(mission.id, None)
        self._written.pop(order.device, None)
        report(mission, event, order.device, reason)

    async def _keep(self, order: NumberedOrder) -> None:
        await self.store.run(lambda db: journal.keep_numbered(db, order))
        self.orders[order.device] = order

    async def _write(self, device: str, order: NumberedOrder, mission: Mission) -> None:
        """Stations first, the order's number last, each through the driver's gate and read back."""
        roles, driver = self.vehicles[device], self.devices.driver(device)
        tries = self._written.get(device, (0, 0))[1]
        self._written[device] = (self.clock.now(), tries + 1)
        if driver is None:
            return
        numbers = [self.graph.stations[cell].number for cell in (mission.pick, mission.drop)]
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                values = (*numbers, order.number)
                for tag, value in zip((roles.pick, roles.drop, roles.order), values, strict=True):
                    if value is not None:
                        await driver.write(tag, value)
        except (WriteRefused, WriteFailed, WriteUnknown, DeviceLost, TimeoutError) as error:
            reason = str(error) or f"no answer within {WRITE_TIMEOUT:g} s"
            log.warning("transport.order_not_written", device=device, order=order.number, reason=reason)
