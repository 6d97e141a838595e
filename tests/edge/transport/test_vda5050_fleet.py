"""Two virtual vehicles on a broker carry missions: every load arrives once, across a restart too."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import DeviceLost, Driver, WriteUnknown
from drivers.profile.files import load_profile
from drivers.registry import driver_type
from drivers.vda5050.driver import Vda5050Driver
from drivers.vda5050.simulator import Vda5050Server
from drivers.virtual.agv import VirtualAgv
from drivers.virtual.transfer import TransferStation
from edge.outbox.store import Store
from edge.transport import journal
from edge.transport.handshakes import Handshakes
from edge.transport.journal import TRANSPORT
from edge.transport.missions import Mission, MissionEvent, MissionState, reconciled
from edge.transport.vda5050_fleet import Vda5050Fleet
from protocols.clock import Clock
from protocols.documents import load
from protocols.handshake import Handshake, Step
from protocols.site_graph import SiteGraph, Station, StationSignals
from protocols.values import Reading, Value
from protocols.vda5050_topics import VehicleId
from tests.servers import MosquittoServer

ROOT = Path(__file__).parents[3] / "firmware_configs"
DEMO = load(ROOT / "sites" / "demo" / "graph.yaml", SiteGraph)
WITHOUT = {
    cell: station if isinstance(station.handshake, str) else Station(node=station.node)
    for cell, station in DEMO.stations.items()
}
GRAPH = DEMO.model_copy(update={"stations": WITHOUT})
"""The demo's ground; none of its stations has signals of its own."""
HOMES = GRAPH.homes(["agv-1", "agv-2"])
SIGNALS = StationSignals(device="dock-1", ready="ready", sensed="sensed", release="release")
DOCKED = GRAPH.model_copy(
    update={"stations": {**GRAPH.stations, "brake-1": Station(node="brake-1", handshake=SIGNALS)}}
)


@dataclass
class Dock:
    """A transfer station behind its own server and driver; none until it is opened."""

    station: TransferStation = field(default_factory=lambda: TransferStation("brake-1", 60))
    made: Driver[Any] | None = None
    last: dict[str, Value] = field(default_factory=dict)
    locked: str = ""

    @contextlib.asynccontextmanager
    async def opened(self, yard: Yard) -> AsyncIterator[None]:
        """Serve it and read it, and let its people work."""
        profile = load_profile(ROOT / "profiles" / "virtual" / "transfer.yaml")
        kind = driver_type("modbus")
        async with kind.serve(profile) as server, kind.create(server.url, profile, {}) as self.made:
            server.on_write = lambda _, value: setattr(self.station, "release", bool(value))

            async def live() -> None:
                while True:
                    self.station.advance(0.05, [each.agv for each in yard.servers.values()])
                    server.update({"ready": self.station.ready, "sensed": self.station.loaded})
                    await asyncio.sleep(0.05)

            def note(readings: list[Reading]) -> None:
                self.last.update({r.path: r.value for r in readings})

            tasks = [asyncio.create_task(live()), asyncio.create_task(self.made.stream(note))]
            try:
                yield
            finally:
                self.made = None
                for task in tasks:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, DeviceLost):
                        await task

    def values(self, device: str, tags: Collection[str]) -> dict[str, Value]:
        return {tag: self.last[tag] for tag in tags if tag in self.last} if device == "dock-1" else {}

    def driver(self, device: str) -> Driver[Any] | None:
        return self.made if device == "dock-1" else None

    def refuses(self, device: str) -> str:
        return self.locked


@dataclass
class Yard:
    """Vehicles, drivers that read them, and what was reported."""

    broker: MosquittoServer
    stack: contextlib.AsyncExitStack
    servers: dict[str, Vda5050Server] = field(default_factory=dict)
    drivers: dict[str, Vda5050Driver] = field(default_factory=dict)
    missions: dict[str, Mission] = field(default_factory=dict)
    events: list[tuple[str, MissionEvent]] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    dock: Dock = field(default_factory=Dock)

    async def vehicles(self) -> None:
        profile = load_profile(ROOT / "profiles" / "virtual" / "agv-vda.yaml")
        for name, home in HOMES.items():
            who = VehicleId("uagv", "yard", uuid.uuid4().hex[:12])
            spot = GRAPH.nodes[home]
            agv = VirtualAgv(who, home, spot.x, spot.y, spot.map, hurry=60)
            made: Any = Vda5050Server(profile, self.broker.host, self.broker.port, vehicle=who, agv=agv)
            self.servers[name] = await self.stack.enter_async_context(made)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Drivers that stream, as collectors let them."""
        profile = load_profile(ROOT / "profiles" / "virtual" / "agv-vda.yaml")
        async with contextlib.AsyncExitStack() as stack:
            tasks = []
            for name, server in self.servers.items():
                made = driver_type("vda5050").create(
                    server.url, profile, {"timeout": 8, "resend": 1, "cancel_timeout": 2}
                )
                assert isinstance(made, Vda5050Driver)
                self.drivers[name] = await stack.enter_async_context(made)
                tasks.append(asyncio.create_task(made.stream(lambda _: None)))
            try:
                yield
            finally:
                self.drivers.clear()
                for task in tasks:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, DeviceLost):
                        await task

    def report(self, mission: Mission, event: MissionEvent, device: str, reason: str) -> None:
        known = self.missions.get(mission.id, mission)
        self.missions[mission.id] = known.after(event, device=device, reason=reason)
        self.events.append((mission.id, event))

    def waiting(self) -> list[Mission]:
        return [each for each in self.missions.values() if each.state is MissionState.WAITING]

    async def run(self, fleet: Vda5050Fleet, until: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not until():
                await fleet.step(self.waiting(), self.report)
                held: set[object] = set()
                for claim in fleet.fleet.traffic.claims.values():
                    assert not held & claim.held()
                    held |= claim.held()
                await asyncio.sleep(0.05)

    def all_done(self) -> bool:
        return all(each.state is MissionState.DONE for each in self.missions.values())


def carrier(
    yard: Yard, store: Store, orders: Any = None, handing: Any = None, graph: SiteGraph = GRAPH
) -> Vda5050Fleet:
    ids = itertools.count()
    prefix = uuid.uuid4().hex[:4]
    handshakes = Handshakes(graph.stations, yard.dock, store, yard.clock, dict(handing or {}))
    new_id = lambda: f"{prefix}{next(ids):04}"  # noqa: E731
    return Vda5050Fleet(graph, HOMES, yard.drivers.get, store, new_id, handshakes, dict(orders or {}))


def missions(*ways: tuple[str, str]) -> dict[str, Mission]:
    return {
        f"m{n}": Mission(f"m{n}", f"op-{n}", f"job-{n}", pick, drop, n) for n, (pick, drop) in enumerate(ways)
    }


async def test_two_vehicles_carry_everything_and_go_home(mosquitto: MosquittoServer, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack, Store(tmp_path / "edge.db", [TRANSPORT]) as store:
        yard = Yard(mosquitto, stack)
        await yard.vehicles()
        yard.missions = missions(
            ("laser-1", "brake-1"), ("laser-2", "weld-1"), ("brake-1", "weld-2"), ("asm-1", "pack-1")
        )
        async with yard.connected():
            fleet = carrier(yard, store)
            await yard.run(fleet, yard.all_done)
            taken = [name for name, event in yard.events if event is MissionEvent.TAKE]
            assert sorted(taken) == sorted(yard.missions)
            assert {each.device for each in yard.missions.values()} == set(HOMES)

            def at_home() -> bool:
                return all(yard.servers[name].agv.node == home for name, home in HOMES.items())

            await yard.run(fleet, at_home)
            assert all(not server.agv.load for server in yard.servers.values())


async def test_an_edge_that_restarts_in_the_middle_goes_on_with_the_same_order(
    mosquitto: MosquittoServer, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        yard = Yard(mosquitto, stack)
        await yard.vehicles()
        for server in yard.servers.values():
            server.agv.hurry = 8
        yard.missions = missions(("laser-1", "weld-2"))
        async with Store(tmp_path / "edge.db", [TRANSPORT]) as store, yard.connected():
            fleet = carrier(yard, store)
            await yard.run(fleet, lambda: any(server.agv.load for server in yard.servers.values()))
            carrying = next(name for name, server in yard.servers.items() if server.agv.load)
            order = yard.servers[carrying].agv.order_id
        kept = dict(yard.missions)
        async with Store(tmp_path / "edge.db", [TRANSPORT]) as store, yard.connected():
            _, orders = await store.read(journal.load)
            assert orders[carrying].given.order_id == order
            yard.missions = reconciled(kept, orders.values())
            fleet = carrier(yard, store, orders, await store.read(journal.load_handshakes))
            fleet.resume(yard.missions)
            await yard.run(fleet, yard.all_done)
            assert yard.servers[carrying].agv.order_id.startswith(order)
        assert [event for _, event in yard.events] == [MissionEvent.TAKE, MissionEvent.FINISH]


async def test_a_locked_vehicle_stops_at_its_base_and_goes_on_when_it_is_free(
    mosquitto: MosquittoServer, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack, Store(tmp_path / "edge.db", [TRANSPORT]) as store:
        yard = Yard(mosquitto, stack)
        await yard.vehicles()
        yard.missions = missions(("laser-1", "weld-2"))
        async with yard.connected():
            for driver in yard.drivers.values():
                driver.refuses = "locked by K7: floor wet"
            fleet = carrier(yard, store)
            for _ in range(10):
                await fleet.step(yard.waiting(), yard.report)
            assert yard.events == []
            for driver in yard.drivers.values():
                driver.refuses = ""
            await yard.run(fleet, yard.all_done)


async def test_a_mission_whose_action_fails_is_given_up_with_the_vehicle_s_reason(
    mosquitto: MosquittoServer, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack, Store(tmp_path / "edge.db", [TRANSPORT]) as store:
        yard = Yard(mosquitto, stack)
        await yard.vehicles()
        for server in yard.servers.values():
            server.agv.fail_next = True
        yard.missions = missions(("laser-1", "brake-1"))
        async with yard.connected():
            fleet = carrier(yard, store)
            await yard.run(fleet, lambda: yard.missions["m0"].state is MissionState.FAILED)
        assert "pick failed" in yard.missions["m0"].reason


async def test_a_vehicle_under_way_does_not_dock_where_somebody_works_with_their_hands(
    mosquitto: MosquittoServer, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack, Store(tmp_path / "edge.db", [TRANSPORT]) as store:
        yard = Yard(mosquitto, stack)
        await yard.vehicles()
        yard.missions = missions(("laser-1", "weld-2"))
        hands = {"weld-2"}
        async with yard.connected():
            fleet = carrier(yard, store)
            fleet.locked = lambda cell: cell in hands
            await yard.run(fleet, lambda: any(server.agv.node == "b5" for server in yard.servers.values()))
            for _ in range(20):
                await fleet.step(yard.waiting(), yard.report)
                await asyncio.sleep(0.05)
            assert any(server.agv.node == "b5" for server in yard.servers.values())
            assert not yard.all_done()
            hands.clear()
            await yard.run(fleet, yard.all_done)


async def test_an_order_that_is_cancelled_and_never_confirmed_is_a_persons_business(
    mosquitto: MosquittoServer, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack, Store(tmp_path / "edge.db", [TRANSPORT]) as store:
        yard = Yard(mosquitto, stack)
        await yard.vehicles()
        for server in yard.servers.values():
            server.agv.hurry = 8
        yard.missions = missions(("laser-1", "weld-2"))
        async with yard.connected():
            fleet = carrier(yard, store)
            await yard.run(fleet, lambda: any(server.agv.load for server in yard.servers.values()))
            carrying = next(name for name, server in yard.servers.items() if server.agv.load)
            agv = yard.servers[carrying].agv
            await yard.run(fleet, lambda: agv.state(0).driving)
            agv.paused = True
            call = asyncio.create_task(yard.drivers[carrying].call("cancel", {}))
            await yard.run(fleet, lambda: yard.missions["m0"].state is MissionState.FAILED)
            assert "go and look" in yard.missions["m0"].reason
            with pytest.raises(WriteUnknown, match="go and look"):
                await call
            assert carrying in fleet.fleet.trips, "its nodes are still its own"
            agv.paused = False
            await yard.run(fleet, lambda: agv.node == HOMES[carrying])


def handshake(fleet: Vda5050Fleet, name: str) -> Handshake:
    return fleet.handshakes.open[name]


async def test_loads_go_over_step_by_step_and_the_release_is_withdrawn(
    mosquitto: MosquittoServer, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack, Store(tmp_path / "edge.db", [TRANSPORT]) as store:
        yard = Yard(mosquitto, stack)
        await yard.vehicles()
        for server in yard.servers.values():
            server.agv.hurry = 20
        del yard.servers["agv-2"]
        yard.missions = missions(("laser-1", "brake-1"))
        async with yard.connected(), yard.dock.opened(yard):
            fleet = carrier(yard, store, graph=DOCKED)
            seen: list[Step] = []
            on: list[bool] = []

            def note() -> bool:
                on.append(yard.dock.station.release)
                found = fleet.handshakes.open.get("m0:drop")
                if found is not None and found.step not in seen[-1:]:
                    seen.append(found.step)
                return found is None and bool(seen)

            await yard.run(fleet, note)
            assert yard.all_done()
            assert yard.dock.station.loaded
            assert set(seen) <= set(Step) - {Step.GIVEN_UP}
            assert sorted(seen, key=list(Step).index) == seen, "no step back"
            assert True in on and on[-1] is False
            assert (await store.read(journal.load_handshakes)) == {}


async def test_a_vehicle_waits_for_a_station_that_is_not_ready_and_a_person_is_called(
    mosquitto: MosquittoServer, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack, Store(tmp_path / "edge.db", [TRANSPORT]) as store:
        yard = Yard(mosquitto, stack)
        await yard.vehicles()
        del yard.servers["agv-2"]
        yard.dock.station.prepare = 1e9
        yard.missions = missions(("laser-1", "brake-1"))
        agv = yard.servers["agv-1"].agv
        async with yard.connected(), yard.dock.opened(yard):
            ahead = 0
            yard.clock = Clock(lambda: 10**18 + ahead, lambda: ahead)
            fleet = carrier(yard, store, graph=DOCKED)
            calls: list[str] = []
            fleet.handshakes.on_late = lambda _, reason: calls.append(reason)
            await yard.run(fleet, lambda: agv.node == "a4" and "m0:drop" in fleet.handshakes.open)
            for _ in range(10):
                await fleet.step(yard.waiting(), yard.report)
                await asyncio.sleep(0.02)
            assert (agv.node, handshake(fleet, "m0:drop").step, calls) == ("a4", Step.WAITING, [])
            ahead = 601 * 10**9
            await yard.run(fleet, lambda: bool(calls))
            for _ in range(5):
                await fleet.step(yard.waiting(), yard.report)
            assert calls == ["drop at brake-1: the station has not been ready for 600 s"]
            yard.dock.locked = "locked by K7"
            yard.dock.station.prepare = yard.dock.station._left = 0
            await yard.run(fleet, lambda: bool(yard.dock.last.get("ready")))
            for _ in range(10):
                await fleet.step(yard.waiting(), yard.report)
            assert handshake(fleet, "m0:drop").step is Step.WAITING
            yard.dock.locked = ""
            await yard.run(fleet, yard.all_done)


async def test_an_edge_that_restarts_before_the_load_is_released_goes_on_at_the_same_step(
    mosquitto: MosquittoServer, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        yard = Yard(mosquitto, stack)
        await yard.vehicles()
        del yard.servers["agv-2"]
        yard.missions = missions(("laser-1", "brake-1"))
        async with yard.dock.opened(yard):
            async with Store(tmp_path / "edge.db", [TRANSPORT]) as store, yard.connected():
                fleet = carrier(yard, store, graph=DOCKED)
                yard.drivers["agv-1"].refuses = ""
                dock = yard.dock.made
                assert dock is not None
                dock.refuses = "locked by K7: light barrier dirty"
                fleet.handshakes.on_late = lambda *_: None

                def through() -> bool:
                    order = fleet.orders.get("agv-1")
                    found = fleet.handshakes.open.get("m0:drop")
                    ended = order is not None and order.given.ended and order.mission == "m0"
                    return ended and found is not None and found.step is Step.SENSED

                await yard.run(fleet, through)
                assert not yard.all_done()
            kept = dict(yard.missions)
            async with Store(tmp_path / "edge.db", [TRANSPORT]) as store, yard.connected():
                _, orders = await store.read(journal.load)
                handing = await store.read(journal.load_handshakes)
                assert handing["m0:drop"].step is Step.SENSED
                fleet = carrier(yard, store, orders, handing, DOCKED)
                yard.missions = reconciled(kept, orders.values(), fleet.handshakes.handing())
                assert yard.missions["m0"].state is MissionState.UNDER_WAY
                fleet.resume(yard.missions)
                for _ in range(10):
                    await fleet.step(yard.waiting(), yard.report)
                    await asyncio.sleep(0.02)
                assert handshake(fleet, "m0:drop").step is Step.SENSED
                assert yard.servers["agv-1"].agv.node == "brake-1"
                dock.refuses = ""
                await yard.run(fleet, yard.all_done)
                await yard.run(fleet, lambda: not fleet.handshakes.open)
                assert yard.dock.station.release is False
