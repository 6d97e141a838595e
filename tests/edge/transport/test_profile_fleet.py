"""Missions through tags: over real Modbus and OPC UA, by the journal and the gate, never around a lock."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from drivers.driver import DeviceLost, Driver
from drivers.opcua.profile import OpcuaProfile
from drivers.profile.files import load_profile
from drivers.profile.profile import AnyProfile
from drivers.registry import driver_type
from drivers.simulator import ProfileServer
from drivers.virtual.shuttle import Shuttle
from edge.control.controls import MachineCommand
from edge.control.execution import Execution
from edge.control.machines import Facts
from edge.outbox.store import Store
from edge.station import commands as asked
from edge.transport import journal
from edge.transport.assignments import Assignment, Stage, StageEvent, after_look, after_write, taken_up
from edge.transport.carriers import Carriers
from edge.transport.journal import TRANSPORT
from edge.transport.missions import Mission, MissionEvent, MissionState
from edge.transport.port import Report
from edge.transport.profile_fleet import PAUSE, ProfileFleet
from edge.transport.registers import Says, Word, next_number, says
from edge.transport.stations import numbered, unfit_for_tags
from protocols import actions as did
from protocols.documents import DocumentError
from protocols.lifecycles import CommandState
from protocols.site_graph import SiteGraph
from protocols.values import MICROSECONDS, Quality, Reading, Value
from tests.edge.edges import Edge, Hands, edge_with_stations
from tests.edge.transport.carrier_contract import CarrierContract, Floor

SHUTTLE = Path(__file__).parents[3] / "firmware_configs" / "profiles" / "virtual" / "shuttle.yaml"
PROFILE = load_profile(SHUTTLE)
GRAPH = SiteGraph.model_validate(
    {
        "nodes": {"a": {"x": 0, "y": 0}, "b": {"x": 5, "y": 0}, "c": {"x": 9, "y": 0}},
        "edges": [{"from": "a", "to": "b", "both": True}, {"from": "b", "to": "c", "both": True}],
        "stations": {
            "laser-1": {"node": "a", "number": 0},
            "laser-2": {"node": "b", "number": 1},
            "brake-1": {"node": "c", "number": 2},
            "saw-1": {"node": "c"},
        },
    }
)
CELLS = {0: "laser-1", 1: "laser-2", 2: "brake-1"}


def over_opcua() -> AnyProfile:
    """The same vehicle, on OPC UA."""
    plain = PROFILE.model_dump(mode="json", exclude_unset=True, exclude={"protocol"})
    for name, tag in plain["tags"].items():
        tag["address"] = f"ns=1;s={name}"
    made: Any = OpcuaProfile.model_validate(
        {**plain, "protocol": "opcua", "opcua": {"namespaces": ["urn:onelot:shuttle"]}}
    )
    return made  # type: ignore[no-any-return]


@dataclass
class TagFloor(Floor):
    """One shuttle behind a server, its driver, and an edge that commands it."""

    profile: AnyProfile = PROFILE
    options: Mapping[str, Any] = field(default_factory=dict)
    shuttle: Shuttle = field(default_factory=lambda: Shuttle(3, speed=60))
    written: list[tuple[str, Value]] = field(default_factory=list)
    edge: Edge | None = None
    fleet: ProfileFleet | None = None
    connected: Driver[Any] | None = None
    last: dict[str, Value] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    hands: Hands = field(default_factory=Hands)
    _url: str = ""
    _now: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def carrier(self) -> ProfileFleet:
        assert self.fleet is not None
        return self.fleet

    async def step(self) -> None:
        self.hands.seconds = max(self.hands.seconds, time.monotonic() - self.began)
        await super().step()

    def brought(self) -> list[tuple[str, str]]:
        return [(CELLS[pick], CELLS[drop]) for _, pick, drop in self.shuttle.done]

    def fail_next(self) -> None:
        self.shuttle.fail_next = True

    async def lock(self) -> None:
        await self._do(asked.LockMachine(id="lock-0001", actor="K7", device="agv-1", reason="belt torn"))

    async def unlock(self) -> None:
        await self._do(asked.ReleaseLock(id="free-0001", actor="K7", device="agv-1"))
        await self._do(asked.AcceptMachine(id="take-0001", actor="K7", device="agv-1"))

    async def _do(self, command: Any) -> None:
        assert self.edge is not None
        await self.edge.stations.perform("brake-1", command)

    # --- as control and carrier see the vehicle --------------------------------------------------------

    def facts(self, device: str) -> Facts | None:
        if device != "agv-1":
            return None
        return Facts(device, "AGV 1", self.profile, self.connected is not None)

    def driver(self, device: str) -> Driver[Any] | None:
        return self.connected if device == "agv-1" else None

    def refuse(self, device: str) -> None:
        if self.connected is not None:
            self.connected.refuses = self.refuses(device)

    def refuses(self, device: str) -> str:
        return self.edge.control.refuses(device) if self.edge is not None else ""

    def values(self, device: str, tags: Collection[str]) -> Mapping[str, Value]:
        return {tag: self.last[tag] for tag in tags if tag in self.last} if self.connected else {}

    def command(self, name: str) -> MachineCommand | None:
        assert self.edge is not None
        return self.edge.control.controls.commands.get(name)

    # --- what runs --------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        server: ProfileServer
        async with driver_type(self.profile.protocol).serve(self.profile) as server:
            self._url = server.url

            def wrote(tag: str, value: Value) -> None:
                self.written.append((tag, value))
                self.shuttle.write(tag, value)

            server.on_write = wrote

            async def live() -> None:
                while True:
                    self.shuttle.advance(0.05)
                    server.update(self.shuttle.tags())
                    await asyncio.sleep(0.05)

            server.update(self.shuttle.tags())
            async with _running(live()):
                await self._now.enter_async_context(self._process())
                try:
                    yield
                finally:
                    await self._now.aclose()

    @contextlib.asynccontextmanager
    async def restarted(self) -> AsyncIterator[None]:
        await self._now.aclose()
        await self._now.enter_async_context(self._process())
        yield

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncIterator[None]:
        """One edge process."""
        kind = driver_type(self.profile.protocol)

        def note(readings: list[Reading]) -> None:
            self.last.update({r.path: r.value for r in readings if r.quality is Quality.GOOD})

        async with (
            Store(self.folder / "transport.db", [TRANSPORT]) as store,
            edge_with_stations(
                self.folder, devices={"agv-1": []}, machines=self, hands=self.hands
            ) as self.edge,
            kind.create(self._url, self.profile, self.options) as self.connected,
            _running(self.connected.stream(note)),
        ):
            self.edge.control.vehicles = ["agv-1"]
            execution = Execution(self.edge.control, self.edge.stations, self, self.edge.stations.clock)
            known = await store.read(journal.load_assignments)
            self.fleet = ProfileFleet(
                GRAPH,
                {"agv-1": self.profile},
                self,
                self.edge.stations,
                store,
                self.edge.stations.clock,
                known,
            )
            self.missions |= taken_up(self.missions, known.values())
            self.fleet.resume(
                {n: each for n, each in self.missions.items() if each.state is MissionState.UNDER_WAY}
            )
            async with _running(execution.run()):
                try:
                    yield
                finally:
                    self.last.clear()
            self.connected = None


@contextlib.asynccontextmanager
async def _running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, DeviceLost):
            await task


class TestOverModbus(CarrierContract):
    ways = (("laser-1", "brake-1"), ("laser-2", "brake-1"))

    def floor(self, folder: Path) -> Floor:
        return TagFloor(folder)


class TestOverOpcua(CarrierContract):
    ways = (("laser-1", "brake-1"), ("laser-2", "brake-1"))

    def floor(self, folder: Path) -> Floor:
        return TagFloor(folder, profile=over_opcua(), options={"security": "none", "timeout": 2})


async def test_every_write_stands_in_the_journal_and_the_number_comes_last(tmp_path: Path) -> None:
    floor = TagFloor(tmp_path)
    async with floor.opened():
        floor.want("m0", "laser-2", "brake-1")
        await floor.until(floor.has("m0", MissionState.DONE))
        assert floor.written == [("pick", 1), ("drop", 2), ("order", 1)]
        assert floor.edge is not None
        sent = [action.event for action in await floor.edge.sent_actions()]
        asked_for = [event for event in sent if isinstance(event, did.MachineCommanded)]
        ended = [event for event in sent if isinstance(event, did.MachineCommandEnded)]
        assert [(e.target, e.effect) for e in asked_for] == [
            ("pick", "parameter"),
            ("drop", "parameter"),
            ("order", "parameter"),
        ]
        assert [event.state for event in ended] == ["done"] * 3


async def test_a_lock_between_the_writes_gives_the_mission_back_and_nothing_drives(tmp_path: Path) -> None:
    floor = TagFloor(tmp_path)
    async with floor.opened():
        floor.want("m0", "laser-1", "brake-1")
        await floor.until(lambda: ("drop", 2) in floor.written or floor.has("m0", MissionState.UNDER_WAY)())
        await floor.lock()
        await floor.until(floor.has("m0", MissionState.WAITING))
        assert "belt torn" in floor.missions["m0"].reason
        assert floor.shuttle.mission == 0
        await floor.unlock()
        for _ in range(5):
            await floor.step()
        assert floor.missions["m0"].state is MissionState.WAITING, "it is not offered again at once"
        floor.hands.seconds += PAUSE / MICROSECONDS
        await floor.until(floor.has("m0", MissionState.DONE))
        assert floor.shuttle.done == [(2, 0, 2)]


async def test_an_edge_that_restarts_while_a_vehicle_drives_hears_of_its_end(tmp_path: Path) -> None:
    floor = TagFloor(tmp_path)
    floor.shuttle.speed = 8
    async with floor.opened():
        floor.want("m0", "laser-2", "brake-1")
        await floor.until(lambda: floor.shuttle.loaded)
        async with floor.restarted():
            assert floor.has("m0", MissionState.UNDER_WAY)()
            await floor.until(floor.has("m0", MissionState.DONE))
        assert [tag for tag, _ in floor.written] == ["pick", "drop", "order"]


async def test_a_vehicle_that_takes_no_orders_now_gets_none(tmp_path: Path) -> None:
    floor = TagFloor(tmp_path)
    floor.shuttle.enabled = False
    async with floor.opened():
        floor.want("m0", "laser-1", "brake-1")
        await floor.until(lambda: "remote_enabled" in floor.last)
        for _ in range(10):
            await floor.step()
        assert (floor.events, floor.written) == ([], [])
        floor.last["remote_enabled"] = True  # what the edge read last; the gate reads it again
        await floor.until(lambda: [event for _, event, _, _ in floor.events][-1:] == [MissionEvent.RETURN])
        assert "needs remote_enabled = true, it is false" in floor.missions["m0"].reason
        assert ("order", 1) not in floor.written


async def test_a_station_without_a_number_is_somebody_elses(tmp_path: Path) -> None:
    floor = TagFloor(tmp_path)
    async with floor.opened():
        floor.want("m0", "saw-1", "brake-1")
        await floor.until(lambda: "remote_enabled" in floor.last)
        for _ in range(10):
            await floor.step()
        assert floor.events == []


# --- decisions --------------------------------------------------------------------------------------------

ONE = Assignment("agv-1", "m0", 7, 0, written=2, stage=Stage.TOLD)


@pytest.mark.parametrize(
    ("stage", "said", "seconds", "event"),
    [
        (Stage.TOLD, Says(7, Word.UNDER_WAY), 1, StageEvent.TAKE_UP),
        (Stage.TOLD, Says(7, Word.DONE), 1, StageEvent.FINISH),
        (Stage.TOLD, Says(7, Word.REFUSED), 1, StageEvent.RETURN),
        (Stage.TOLD, Says(7, Word.IDLE), 1, None),
        (Stage.TOLD, Says(6, Word.DONE), 1, None),
        (Stage.TOLD, Says(6, Word.DONE), 121, StageEvent.FAIL),
        (Stage.TOLD, Says(), 121, None),
        (Stage.ACTIVE, Says(7, Word.UNDER_WAY), 9999, None),
        (Stage.ACTIVE, Says(7, Word.DONE), 1, StageEvent.FINISH),
        (Stage.ACTIVE, Says(7, Word.FAILED), 1, StageEvent.FAIL),
        (Stage.ACTIVE, Says(7, Word.IDLE), 1, StageEvent.FAIL),
        (Stage.ACTIVE, Says(8, Word.UNDER_WAY), 1, StageEvent.FAIL),
        (Stage.ACTIVE, Says(8, None), 1, None),
    ],
)
def test_only_what_a_vehicle_says_of_this_mission_counts(
    stage: Stage, said: Says, seconds: int, event: StageEvent | None
) -> None:
    step = after_look(replace(ONE, stage=stage), said, seconds * MICROSECONDS)
    assert (step[0] if step is not None else None) is event


@pytest.mark.parametrize(
    ("state", "last", "waited", "event"),
    [
        (CommandState.SENDING, True, 999, None),
        (CommandState.DONE, False, 1, None),
        (CommandState.DONE, True, 1, StageEvent.TOLD),
        (CommandState.REFUSED, True, 1, StageEvent.RETURN),
        (CommandState.EXPIRED, True, 1, StageEvent.RETURN),
        (CommandState.FAILED, False, 1, StageEvent.RETURN),
        (CommandState.FAILED, True, 1, StageEvent.FAIL),
        (CommandState.UNKNOWN, True, 1, None),
        (CommandState.UNKNOWN, True, 121, StageEvent.FAIL),
        (CommandState.UNKNOWN, False, 121, StageEvent.RETURN),
    ],
)
def test_what_may_have_taken_effect_is_a_persons_business_and_never_sent_again(
    state: CommandState, last: bool, waited: int, event: StageEvent | None
) -> None:
    step = after_write(state, "why", last=last, waited=waited * MICROSECONDS)
    assert (step[0] if step is not None else None) is event


@pytest.mark.parametrize(
    ("last", "shown", "number"), [(0, 0, 1), (5, 6, 7), (65_535, 4, 1), (65_534, 65_535, 1)]
)
def test_a_number_is_none_that_the_vehicle_shows_already(last: int, shown: int, number: int) -> None:
    assert next_number(PROFILE, last, shown) == number


def test_values_are_told_by_their_roles() -> None:
    values: dict[str, Value] = {"mission": 4, "mission_state": 1, "remote_enabled": True, "battery": 71.5}
    assert says(PROFILE, values) == Says(4, Word.UNDER_WAY, True, 71.5)
    assert says(PROFILE, {"mission_state": 9}) == Says()


TEXT = SHUTTLE.read_text("utf-8")
PRECONDITION = "    precondition: {tag: remote_enabled, equals: true}\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "  drop: {min: 0, max: 999",
            "  # drop: {min: 0, max: 999",
            "a drop_station is written: allow it under",
        ),
        ("  pick: {min: 0", "  pick: {two_people: true, min: 0", "without a person"),
        ("    role: drop_station\n", "", "has one with role drop_station, too"),
        ("2: done, 3: failed", "2: finished, 3: failed", "lacks done"),
        ("    role: remote_enabled\n", "", "has one with role remote_enabled, too"),
        (PRECONDITION, "", "needs the vehicle's leave: precondition: {tag: remote_enabled, equals: true}"),
        (PRECONDITION, PRECONDITION.replace("true", "false"), "needs the vehicle's leave"),
    ],
)
def test_a_vehicle_that_cannot_be_sent_is_an_error(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TEXT
    (tmp_path / "shuttle.yaml").write_text(TEXT.replace(old, new), "utf-8")
    with pytest.raises(DocumentError) as found:
        load_profile(tmp_path / "shuttle.yaml")
    assert any(said in str(problem) for problem in found.value.problems), found.value.problems


def test_stations_need_numbers_and_no_handshake() -> None:
    station = GRAPH.stations["laser-1"].model_copy(update={"handshake": "digital"})
    graph = GRAPH.model_copy(update={"stations": {**GRAPH.stations, "laser-1": station}})
    assert [where for where, _ in unfit_for_tags(graph, [])] == [
        ("stations", "laser-1", "handshake"),
        ("stations", "saw-1"),
    ]
    assert list(unfit_for_tags(graph, ["agv-1"])) == []
    assert numbered(graph) == {"laser-2", "brake-1"}


async def test_what_one_carrier_took_the_next_is_not_offered() -> None:
    offered: list[list[str]] = []

    @dataclass
    class Taker:
        most: int

        async def step(self, waiting: Sequence[Mission], report: Report) -> None:
            offered.append([each.id for each in waiting])
            for mission in waiting[: self.most]:
                report(mission, MissionEvent.TAKE, "agv", "")

    waiting = [Mission(name, name, "job", "laser-1", "brake-1", 1) for name in ("one", "two", "three")]
    await Carriers([Taker(1), Taker(5)]).step(waiting, lambda *_: None)
    assert offered == [["one", "two", "three"], ["two", "three"]]


def test_after_a_restart_what_was_told_is_under_way_and_what_was_given_back_waits() -> None:
    waiting = {"m0": Mission("m0", "op", "job", "a", "b", 0)}
    assert taken_up(waiting, [ONE])["m0"].device == "agv-1"
    assert taken_up(waiting, [replace(ONE, stage=Stage.RETURNED)]) == {}
    other = {"m0": waiting["m0"].after(MissionEvent.TAKE, device="agv-2")}
    assert taken_up(other, [ONE]) == {}
