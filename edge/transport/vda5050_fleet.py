"""The VDA 5050 vehicles of this edge as a carrier: reserved nodes become released nodes of their orders."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from msgspec import UNSET

from drivers.driver import DeviceLost, Driver
from drivers.vda5050.driver import Vda5050Driver
from edge.outbox.store import Store
from edge.transport import journal
from edge.transport.handshakes import Handshakes
from edge.transport.missions import Mission, MissionEvent, Order
from edge.transport.port import Report
from edge.transport.vehicle_signals import vehicle_signals
from protocols.fleet import Fleet, Haul, Trip
from protocols.handshake import Handshake, Kind, Signals
from protocols.routing import Roads
from protocols.site_graph import SiteGraph
from protocols.traffic import TrafficError
from protocols.vda5050 import (
    Action,
    ActionParameter,
    ActionStatus,
    AgvPosition,
    BlockingType,
    NodePosition,
    State,
)
from protocols.vda5050_control import NotNowError
from protocols.vda5050_lifecycles import OrderState, Presence
from protocols.vda5050_order import Given, Stop, Way

log = structlog.get_logger(__name__)

NEAR = 1.5
"""Metres from a node within which a vehicle stands at it."""


@dataclass(slots=True)
class Vda5050Fleet:
    """Vehicles by device id, each with a parking node of its own.

    Args:
        graph: where they drive.
        homes: parking node by device.
        driver: the connected driver of a device; None while it is not connected.
        store: the edge's file.
        new_id: ids of orders that bring a vehicle home.
        handshakes: of the stations that have one.
        locked: whether somebody works with their hands at a machine of a workcell.
    """

    graph: SiteGraph
    homes: Mapping[str, str]
    driver: Callable[[str], Driver[Any] | None]
    store: Store
    new_id: Callable[[], str]
    handshakes: Handshakes
    orders: dict[str, Order] = field(default_factory=dict)
    locked: Callable[[str], bool] = lambda _: False
    fleet: Fleet = field(init=False)
    _missions: dict[str, Mission] = field(default_factory=dict, init=False)
    _said: dict[str, str] = field(default_factory=dict, init=False)
    _given_up: dict[str, str] = field(default_factory=dict, init=False)
    """Why orders are being cancelled, by device."""

    def __post_init__(self) -> None:
        self.fleet = Fleet(Roads(self.graph))

    async def step(self, waiting: Sequence[Mission], report: Report) -> None:
        """See :class:`edge.transport.port.Carrier`."""
        await self.handshakes.step(self._says, {each.id for each in waiting} | set(self._missions))
        ready: dict[str, float] = {}
        for device in self.homes:
            driver = self.driver(device)
            if not isinstance(driver, Vda5050Driver):
                continue
            self._attach(device, driver)
            self._show(device, driver)
            if device not in self.fleet.traffic.claims and not self._enter(device, driver):
                continue
            free = device not in self.fleet.trips and not driver.refuses
            if device in self.fleet.trips:
                # what has ended is on disk before the vehicle hears of anything new: in the next step
                self._go_on(device, driver, report)
            state = driver.control.state
            if free and state is not None and driver.control.why_not() is None:
                ready[device] = state.battery_state.battery_charge
        hauls = {
            each.id: Haul(each.id, self.graph.station(each.pick).node, self.graph.station(each.drop).node)
            for each in waiting
        }
        missions = {each.id: each for each in waiting}
        for trip in self.fleet.plan(hauls.values(), ready):
            self._send(trip, missions.get(trip.haul.id) if trip.haul else None, report)

    def resume(self, missions: Mapping[str, Mission]) -> None:
        """Missions that were under way when the edge went down; their orders are taken up again."""
        self._missions = dict(missions)

    # --- inside -----------------------------------------------------------------------------------------

    def _says(self, handshake: Handshake) -> Signals:
        """What a vehicle says about a handshake; nothing while it does not live."""
        driver, order = self.driver(handshake.device), self.orders.get(handshake.device)
        if not isinstance(driver, Vda5050Driver) or driver.control.presence is not Presence.ALIVE:
            return Signals()
        state = driver.control.state
        if state is None:
            return Signals()
        station = self.graph.station(handshake.station)
        order_id = order.given.order_id if order is not None and order.mission == handshake.mission else ""
        digital = station.handshake == "digital"
        return vehicle_signals(handshake, state, station.node, order_id, digital=digital)

    def _show(self, device: str, driver: Vda5050Driver) -> None:
        """The step as a tag of the vehicle."""
        handshake = self.handshakes.of(device)
        if handshake is None:
            driver.show_handshake("", None)
        else:
            text = f"{handshake.kind} {handshake.station}: {handshake.step}"
            driver.show_handshake(text, handshake.since)

    def _attach(self, device: str, driver: Vda5050Driver) -> None:
        """A driver that is new takes up the order of the one before it."""
        if driver.keep is not None:
            return

        async def keep(given: Given) -> None:
            mission = self.orders[device].mission if device in self.orders else ""
            order = Order(device, mission, given)

            def work(db: sqlite3.Connection) -> None:
                journal.keep_order(db, order)

            await self.store.run(work)
            self.orders[device] = order

        driver.keep = keep
        order = self.orders.get(device)
        if order is not None and not order.given.ended:
            driver.restore(order.given)

    def _enter(self, device: str, driver: Vda5050Driver) -> bool:
        """Where a vehicle stands when it is first seen; what it was doing it goes on doing."""
        order = self.orders.get(device)
        state = driver.control.state
        if state is None:
            return False
        if order is not None and (not order.given.ended or self._is_handing(order)):
            nodes = tuple(stop.node_id for stop in order.given.stops)
            at = max(order.given.passed - 1, 0)
            return self._resumed(device, order, nodes, at)
        node = _node_of(self.graph, state)
        problem = f"{device} stands at no node of the site graph: drive it to one by hand"
        if node is not None:
            try:
                self.fleet.traffic.enter(device, node, self.homes[device])
            except TrafficError as error:
                problem = str(error)
            else:
                self._said.pop(device, None)
                return True
        if self._said.get(device) != problem:
            self._said[device] = problem
            log.warning("transport.vehicle_not_placed", device=device, reason=problem)
        return False

    def _is_handing(self, order: Order) -> bool:
        """Whether the vehicle is through with its order, but its station has not got the load yet."""
        return order.given.state is OrderState.FINISHED and order.mission in self.handshakes.handing()

    def _resumed(self, device: str, order: Order, nodes: tuple[str, ...], at: int) -> bool:
        home, base = self.homes[device], order.given.base - 1
        try:
            self.fleet.resume(device, home, nodes, at, base, order.mission)
        except TrafficError as error:
            if self._said.get(device) != str(error):
                self._said[device] = str(error)
                log.error("transport.vehicle_in_the_way", device=device, reason=str(error))
            return False
        return True

    def _go_on(self, device: str, driver: Vda5050Driver, report: Report) -> None:
        kept = self.orders.get(device)
        given = driver.control.order or (kept.given if kept is not None else None)
        if given is None:
            return
        claim = self.fleet.traffic.claims[device]
        at = max(given.passed - 1, claim.at)
        if at > claim.at:
            self.fleet.passed(device, at)
        mission = self._mission_of(device)
        if given.ended:
            if given.state is OrderState.FINISHED and mission is not None:
                self.handshakes.begin(mission, Kind.DROP, device)
                if not self.handshakes.may_leave(mission, Kind.DROP):
                    return  # the vehicle is through, the station has not got the load yet
            self._end(device, given, at, report)
        elif given.state in (OrderState.HELD, OrderState.UNANSWERED):
            self._cancel(device, driver, given.reason)
        elif given.state is OrderState.ACTIVE and (why := _not_handed_over(given, driver.control.state)):
            self._given_up[device] = why  # it does not go on without its load, so it would wait for ever
            self._cancel(device, driver, why)
        elif given.state is OrderState.UNCONFIRMED:
            # the vehicle keeps its nodes until it has answered; its load is a person's business from now on
            mission = self._taken_from(device)
            if mission is not None:
                report(mission, MissionEvent.FAIL, device, f"{given.reason}: go and look at the vehicle")
        elif given.state in (OrderState.OFFERED, OrderState.ACTIVE) and not driver.refuses:
            released = self._free(device, mission, given, self.fleet.release(device))
            if released > given.released:
                try:
                    driver.release(released)
                except (NotNowError, DeviceLost) as error:
                    log.info("transport.not_released", device=device, reason=str(error))

    def _cancel(self, device: str, driver: Vda5050Driver, why: str) -> None:
        log.warning("transport.cancelling", device=device, reason=why)
        try:
            driver.cancel()
        except NotNowError as error:
            log.info("transport.not_cancelled", device=device, reason=str(error))

    def _mission_of(self, device: str) -> Mission | None:
        haul = self.fleet.trips[device].haul
        return self._missions.get(haul.id) if haul is not None else None

    def _taken_from(self, device: str) -> Mission | None:
        """The mission that a vehicle has, which it has no more from now on."""
        haul = self.fleet.trips[device].haul
        return self._missions.pop(haul.id, None) if haul is not None else None

    def _free(self, device: str, mission: Mission | None, given: Given, reserved: int) -> int:
        """How much of what is reserved may be released: nothing that leads to a station where somebody works
        with their hands or that is not ready, and nothing beyond one that has not let go of its load."""
        free = reserved
        hands = {station.node for cell, station in self.graph.stations.items() if self.locked(cell)}
        for index in range(given.base, reserved):
            if given.stops[index].node_id in hands:
                free = min(free, index)
        for kind, index in _stations_of(given):
            if mission is None or index >= free:
                continue
            self.handshakes.begin(mission, kind, device)
            if index >= given.base and not self.handshakes.may_dock(mission, kind):
                free = min(free, index)
            elif not self.handshakes.may_leave(mission, kind):
                free = min(free, index + 1)
        return max(free, given.base)

    def _end(self, device: str, given: Given, at: int, report: Report) -> None:
        mission, why = self._taken_from(device), self._given_up.pop(device, "")
        self.fleet.ended(device, at)
        if mission is None:
            return
        if given.state is OrderState.FINISHED:
            report(mission, MissionEvent.FINISH, device, "")
        elif given.state is OrderState.REJECTED:
            report(mission, MissionEvent.RETURN, "", given.reason)
        else:
            report(mission, MissionEvent.FAIL, device, why or given.reason or str(given.state))

    def _send(self, trip: Trip, mission: Mission | None, report: Report) -> None:
        driver = self.driver(trip.vehicle)
        order_id = f"{mission.id}:{self.new_id()[:8]}" if mission is not None else f"home:{self.new_id()[:8]}"
        stops, ways = _itinerary(self.graph, trip, order_id, mission)
        first = Given(order_id, stops, ways, 1, 1)
        released = self._free(trip.vehicle, mission, first, self.fleet.release(trip.vehicle))
        if mission is not None and stops[0].actions and not self.handshakes.may_dock(mission, Kind.PICK):
            self.fleet.ended(trip.vehicle, 0)  # it stands there already: its order waits for the station
            return
        given = Given(order_id, stops, ways, released, released)
        before = self.orders.get(trip.vehicle)
        self.orders[trip.vehicle] = Order(trip.vehicle, mission.id if mission is not None else "", given)
        try:
            if not isinstance(driver, Vda5050Driver):
                raise NotNowError(f"{trip.vehicle} is not connected")
            driver.give(order_id, stops, ways, released)
        except (NotNowError, DeviceLost) as error:
            log.info("transport.not_given", device=trip.vehicle, reason=str(error))
            self.fleet.ended(trip.vehicle, 0)
            if before is not None:
                self.orders[trip.vehicle] = before
            else:
                self.orders.pop(trip.vehicle, None)
            return
        if mission is not None:
            self._missions[mission.id] = mission
            report(mission, MissionEvent.TAKE, trip.vehicle, "")


def _stations_of(given: Given) -> Iterator[tuple[Kind, int]]:
    """Where an order hands loads over."""
    for index, stop in enumerate(given.stops):
        for action in stop.actions:
            if action.action_type in list(Kind):
                yield Kind(action.action_type), index


def _not_handed_over(given: Given, state: State | None) -> str:
    """Which pick-up or drop of the base the vehicle says has failed, and why; empty when none has."""
    if state is None or given.complete:
        return ""  # its end will tell
    for action in given.actions:
        known = state.action(action.action_id)
        if known is not None and known.action_status is ActionStatus.FAILED:
            said = next((error.text for error in state.errors), "no reason given")
            return f"{action.action_type} failed ({said})"
    return ""


def _itinerary(
    graph: SiteGraph, trip: Trip, order_id: str, mission: Mission | None
) -> tuple[tuple[Stop, ...], tuple[Way, ...]]:
    """A trip as the stops and ways of an order, with pick and drop where they are due."""
    last = len(trip.route.nodes) - 1
    acts: dict[int, list[Action]] = {}
    if mission is not None:
        for index, kind in ((trip.picks_at, "pick"), (last, "drop")):
            acts.setdefault(index, []).append(_action(kind, order_id, mission))
    stops = tuple(
        Stop(name, _position(graph, name), tuple(acts.get(index, ())))
        for index, name in enumerate(trip.route.nodes)
    )
    ways = tuple(Way(edge.id, edge.speed, graph.length(edge)) for edge in trip.route.edges)
    return stops, ways


def _action(kind: str, order_id: str, mission: Mission) -> Action:
    place = mission.pick if kind == "pick" else mission.drop
    return Action(
        action_type=kind,
        action_id=f"{order_id}:{kind}",
        blocking_type=BlockingType.HARD,
        action_parameters=(
            ActionParameter(key="stationName", value=place),
            ActionParameter(key="loadId", value=mission.job),
        ),
    )


def _position(graph: SiteGraph, name: str) -> NodePosition:
    node = graph.nodes[name]
    theta = UNSET if node.theta is None else node.theta
    return NodePosition(x=node.x, y=node.y, map_id=node.map, theta=theta)


def _node_of(graph: SiteGraph, state: State) -> str | None:
    """The node a vehicle stands at: the one it names, else the nearest to its position."""
    if state.last_node_id in graph.nodes and not state.driving:
        return state.last_node_id
    spot = state.agv_position
    if not isinstance(spot, AgvPosition):
        return None
    away = {name: math.hypot(node.x - spot.x, node.y - spot.y) for name, node in graph.nodes.items()}
    near = min(away, key=lambda name: away[name])
    return near if away[near] <= NEAR else None
