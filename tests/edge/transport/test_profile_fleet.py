"""A vehicle behind Modbus registers carries missions: each once, whatever is lost or restarted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import DeviceLost, Driver
from drivers.profile import AnyProfile
from drivers.profile_files import load_profile
from drivers.registry import driver_type
from edge.outbox.store import Store
from edge.transport import journal
from edge.transport.carriers import Carriers
from edge.transport.missions import Mission, MissionEvent, MissionState
from edge.transport.profile_fleet import ProfileFleet
from edge.transport.profile_roles import roles, unfit_stations
from protocols.clock import Clock
from protocols.documents import DocumentError
from protocols.site_graph import GraphEdge, GraphNode, SiteGraph, Station
from protocols.values import MICROSECONDS, Reading, Value

WORDS = {"idle": 0, "under-way": 1, "done": 2, "failed": 3}
PROFILE = """\
vendor: Acme
model: Tug 7
protocol: modbus
tags:
  mission: {address: "input:0", type: uint16, role: mission, sampling: 0.05}
  progress:
    address: input:1
    type: uint16
    role: mission_state
    sampling: 0.05
    enum: {0: idle, 1: under-way, 2: done, 3: failed}
  battery: {address: "input:2", type: uint16, role: battery, unit: "%", sampling: 0.05}
  from: {address: "holding:0", type: uint16, role: pick_station, access: read-write}
  to: {address: "holding:1", type: uint16, role: drop_station, access: read-write}
  order: {address: "holding:2", type: uint16, role: mission_order, access: read-write}
writes:
  from: {min: 1, max: 20}
  to: {min: 1, max: 20}
  order: {min: 1, max: 30000}
"""
GRAPH = SiteGraph(
    nodes={name: GraphNode(x=at, y=0) for at, name in enumerate(("a", "b", "c"))},
    edges=tuple(GraphEdge.model_validate({"from": a, "to": b, "both": True}) for a, b in ("ab", "bc")),
    stations={
        "laser-1": Station(node="a", number=4),
        "brake-1": Station(node="b", number=7),
        "weld-1": Station(node="c"),
    },
)


def written(folder: Path, text: str = PROFILE) -> AnyProfile:
    (folder / "tug.yaml").write_text(text, "utf-8")
    return load_profile(folder / "tug.yaml")


@dataclass
class Tug:
    """A vehicle's own program behind its registers. ``deaf`` takes no order; ``done`` are journeys made."""

    server: Any = None
    driver: Driver[Any] | None = None
    last: dict[str, Value] = field(default_factory=dict)
    locked: str = ""
    deaf: bool = False
    done: list[tuple[int, Value, Value]] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)

    def ordered(self, name: str, value: Value) -> None:
        if name != "order" or not isinstance(value, int):
            return
        self.writes.append(value)
        if not self.deaf and self.server.get("mission") != value:
            self.server.update({"mission": value, "progress": WORDS["under-way"]})

    def arrive(self, word: str = "done") -> None:
        number = self.server.get("mission")
        self.done.append((number, self.server.get("from"), self.server.get("to")))
        self.server.update({"progress": WORDS[word]})

    def values(self, device: str, tags: Collection[str]) -> dict[str, Value]:
        return {tag: self.last[tag] for tag in tags if tag in self.last and self.driver is not None}

    def driver_of(self, device: str) -> Driver[Any] | None:
        return self.driver

    def refuses(self, device: str) -> str:
        return self.locked


@dataclass
class Devices:
    """As the fleet sees the edge's devices."""

    tug: Tug

    def values(self, device: str, tags: Collection[str]) -> dict[str, Value]:
        return self.tug.values(device, tags)

    def driver(self, device: str) -> Driver[Any] | None:
        return self.tug.driver

    def refuses(self, device: str) -> str:
        return self.tug.locked


@contextlib.asynccontextmanager
async def yard(folder: Path) -> AsyncIterator[tuple[Tug, Store, AnyProfile]]:
    """A served vehicle, a driver that reads it, and the edge's file."""
    profile, kind, tug = written(folder), driver_type("modbus"), Tug()
    async with kind.serve(profile) as tug.server, kind.create(tug.server.url, profile, {}) as tug.driver:
        tug.server.update({"mission": 0, "progress": WORDS["idle"], "battery": 80})
        tug.server.on_write = tug.ordered

        def note(readings: list[Reading]) -> None:
            tug.last.update({reading.path: reading.value for reading in readings})

        reads = asyncio.create_task(tug.driver.stream(note))
        try:
            async with Store(folder / "edge.db", [journal.TRANSPORT]) as store:
                yield tug, store, profile
        finally:
            reads.cancel()
            with contextlib.suppress(asyncio.CancelledError, DeviceLost):
                await reads


@dataclass
class Told:
    """What a fleet reported, and missions as they are now."""

    missions: dict[str, Mission]
    events: list[MissionEvent] = field(default_factory=list)

    def __call__(self, mission: Mission, event: MissionEvent, device: str, reason: str) -> None:
        self.events.append(event)
        self.missions[mission.id] = self.missions[mission.id].after(event, device=device, reason=reason)

    @property
    def waiting(self) -> list[Mission]:
        return [each for each in self.missions.values() if each.state is MissionState.WAITING]

    @property
    def states(self) -> list[MissionState]:
        return [each.state for each in self.missions.values()]


def missions(*names: str, drop: str = "brake-1") -> Told:
    return Told({name: Mission(name, name, "job", "laser-1", drop, 1) for name in names})


async def fleet_of(tug: Tug, store: Store, profile: AnyProfile, clock: Clock | None = None) -> ProfileFleet:
    known = roles(profile)
    assert known is not None
    orders = await store.read(journal.load_numbered)
    return ProfileFleet(GRAPH, {"tug": known}, Devices(tug), store, clock or Clock(), orders)


async def until(fleet: ProfileFleet, told: Told, true: Any) -> None:
    async with asyncio.timeout(20):
        while not true():
            await fleet.step(told.waiting, told)
            await asyncio.sleep(0.02)


async def test_missions_are_carried_one_after_the_other(tmp_path: Path) -> None:
    async with yard(tmp_path) as (tug, store, profile):
        fleet, told = await fleet_of(tug, store, profile), missions("one", "two")
        for number in (1, 2):
            await until(fleet, told, lambda: tug.server.get("progress") == WORDS["under-way"])
            tug.arrive()
            await until(fleet, told, lambda n=number: told.events.count(MissionEvent.FINISH) == n)
        assert tug.done == [(1, 4, 7), (2, 4, 7)]
        assert told.states == [MissionState.DONE] * 2
        assert tug.writes == [1, 2]


async def test_a_station_without_number_is_nothing_for_it(tmp_path: Path) -> None:
    async with yard(tmp_path) as (tug, store, profile):
        fleet, told = await fleet_of(tug, store, profile), missions("one", drop="weld-1")
        await until(fleet, told, lambda: "progress" in tug.last)
        await fleet.step(told.waiting, told)
        assert told.states == [MissionState.WAITING]
        assert tug.writes == []


async def test_a_locked_or_empty_vehicle_is_not_sent(tmp_path: Path) -> None:
    async with yard(tmp_path) as (tug, store, profile):
        fleet, told = await fleet_of(tug, store, profile), missions("one")
        tug.locked = "locked by Li: brakes"
        await until(fleet, told, lambda: "progress" in tug.last)
        await fleet.step(told.waiting, told)
        tug.server.update({"battery": 5})
        await until(fleet, told, lambda: tug.last.get("battery") == 5)
        tug.locked = ""
        await fleet.step(told.waiting, told)
        assert tug.writes == []
        tug.server.update({"battery": 50})
        await until(fleet, told, lambda: tug.writes == [1])


async def test_after_a_restart_it_goes_on_with_the_same_order(tmp_path: Path) -> None:
    async with yard(tmp_path) as (tug, store, profile):
        fleet, told = await fleet_of(tug, store, profile), missions("one")
        await until(fleet, told, lambda: fleet.orders.get("tug") is not None and fleet.orders["tug"].shown)
        # the edge dies before the mission itself was kept as taken
        again, told = await fleet_of(tug, store, profile), missions("one")
        told.missions.update(again.resume(told.missions))
        assert told.states == [MissionState.UNDER_WAY]
        tug.arrive()
        await until(again, told, lambda: told.states == [MissionState.DONE])
        assert tug.writes == [1]
        assert tug.done == [(1, 4, 7)]
        # and dies once more before its end was kept
        last, told = await fleet_of(tug, store, profile), missions("one")
        assert last.resume(told.missions)["one"].state is MissionState.DONE


async def test_one_that_forgot_its_order_is_not_sent_again(tmp_path: Path) -> None:
    async with yard(tmp_path) as (tug, store, profile):
        fleet, told = await fleet_of(tug, store, profile), missions("one")
        await until(fleet, told, lambda: fleet.orders.get("tug") is not None and fleet.orders["tug"].shown)
        tug.server.update({"mission": 0, "progress": WORDS["idle"]})
        await until(fleet, told, lambda: told.states == [MissionState.FAILED])
        assert "forgot order 1 and shows 0" in told.missions["one"].reason
        assert tug.writes == [1]


class Hurried(Clock):
    """Ten seconds with each look."""

    def now(self) -> int:
        self.extra = getattr(self, "extra", 0) + 10 * MICROSECONDS
        return super().now() + self.extra


async def test_one_that_never_shows_its_order_calls_a_person(tmp_path: Path) -> None:
    async with yard(tmp_path) as (tug, store, profile):
        tug.deaf = True
        fleet, told = await fleet_of(tug, store, profile, Hurried()), missions("one")
        await until(fleet, told, lambda: told.states == [MissionState.FAILED])
        assert "written 5 times and never shown: go and look" in told.missions["one"].reason
        assert tug.writes == [1] * 5


async def test_one_that_gives_up_says_so(tmp_path: Path) -> None:
    async with yard(tmp_path) as (tug, store, profile):
        fleet, told = await fleet_of(tug, store, profile), missions("one")
        await until(fleet, told, lambda: tug.server.get("progress") == WORDS["under-way"])
        tug.arrive("failed")
        await until(fleet, told, lambda: told.states == [MissionState.FAILED])
        assert told.missions["one"].reason == "the vehicle gave it up"
        await fleet.step([], told)
        assert tug.writes == [1], "after a failure it waits until somebody has set it idle"


async def test_what_one_carrier_took_the_next_is_not_offered() -> None:
    offered: list[list[str]] = []

    @dataclass
    class Taker:
        most: int

        async def step(self, waiting: Any, report: Any) -> None:
            offered.append([each.id for each in waiting])
            for mission in waiting[: self.most]:
                report(mission, MissionEvent.TAKE, "agv", "")

    told = missions("one", "two", "three")
    await Carriers([Taker(1), Taker(5)]).step(told.waiting, told)
    assert offered == [["one", "two", "three"], ["two", "three"]]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  order: {min: 1, max: 30000}\n", "", "a mission_order is written: allow it under writes"),
        ("  from: {min: 1, max: 20}", "  from: {min: 1, max: 20, two_people: true}", "without a person"),
        (", role: drop_station", "", "has one with role drop_station, too"),
        ("2: done, 3: failed", "2: finished, 3: failed", "lacks done"),
    ],
)
def test_a_vehicle_that_cannot_be_sent_is_an_error(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in PROFILE
    with pytest.raises(DocumentError) as found:
        written(tmp_path, PROFILE.replace(old, new))
    assert any(said in str(problem) for problem in found.value.problems), found.value.problems


def test_stations_need_numbers_of_their_own() -> None:
    stations = {**GRAPH.stations, "test-1": Station(node="c", number=4, handshake="digital")}
    graph = GRAPH.model_copy(update={"stations": stations})
    assert [where for where, _ in unfit_stations(graph, [])] == [
        ("stations", "weld-1"),
        ("stations", "test-1", "number"),
        ("stations", "test-1", "handshake"),
    ]
    assert [where for where, _ in unfit_stations(graph, ["agv-1"])] == [("stations", "test-1", "number")]
