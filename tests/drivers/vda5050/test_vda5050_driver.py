"""The VDA 5050 driver and its simulator, over a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish

from drivers.contract import Received
from drivers.driver import (
    Alarm,
    Confirmation,
    ConnectError,
    DeviceLost,
    Identity,
    WriteFailed,
    WriteRefused,
)
from drivers.profile.files import load_profile
from drivers.registry import driver_type
from drivers.simulator import Fault
from drivers.vda5050.driver import Vda5050Driver, parse_url
from drivers.vda5050.profile import Vda5050Profile, look_up, parse_place
from drivers.vda5050.simulator import Vda5050Server
from drivers.virtual.agv import VirtualAgv
from protocols.documents import DocumentError
from protocols.values import Quality, Reason
from protocols.vda5050 import MAX_BYTES, Error, Level
from protocols.vda5050_control import NotNowError
from protocols.vda5050_lifecycles import OrderState
from protocols.vda5050_topics import Topic, VehicleId
from tests.drivers.virtual.vda5050_world import stops
from tests.servers import MosquittoServer

PROFILES = Path(__file__).parents[3] / "firmware_configs" / "profiles"
PATIENCE = 20.0


@pytest.fixture(autouse=True)
def tells_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vehicle on which nothing changes tells its state more often than a real one, which takes seconds."""
    monkeypatch.setattr("drivers.virtual.agv.STATE_EVERY", 0.3)


def profile() -> Vda5050Profile:
    loaded = load_profile(PROFILES / "virtual" / "agv-vda.yaml")
    assert isinstance(loaded, Vda5050Profile)
    return loaded


@contextlib.asynccontextmanager
async def vehicle(broker: MosquittoServer) -> AsyncIterator[Vda5050Server]:
    """A virtual vehicle with topics of its own, in a hurry."""
    who = VehicleId("uagv", "acme", uuid.uuid4().hex[:12])
    agv = VirtualAgv(who, "n0", map_id="m", hurry=20)
    async with Vda5050Server(profile(), broker.host, broker.port, vehicle=who, agv=agv) as server:
        yield server


def driver(server: Vda5050Server, **options: Any) -> Vda5050Driver:
    made = driver_type("vda5050").create(server.url, profile(), {"timeout": 6, "silence": 8, **options})
    assert isinstance(made, Vda5050Driver)
    return made


@contextlib.asynccontextmanager
async def streaming(made: Vda5050Driver) -> AsyncIterator[Received]:
    received = Received()
    task = asyncio.create_task(made.stream(received))
    try:
        yield received
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, DeviceLost):
            await task


async def until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never: {what}") from None


def last(received: Received, path: str) -> Any:
    found = received.of(path)
    return found[-1].value if found else None


async def test_a_vehicle_is_read_and_streamed(mosquitto: MosquittoServer) -> None:
    async with vehicle(mosquitto) as server, driver(server) as made, streaming(made) as received:
        await until(lambda: last(received, "x") is not None, "a position")
        assert (await made.read(["state", "battery", "station"]))[2].value == "n0"
        await until(lambda: made.control.factsheet is not None, "a factsheet")
        assert await made.identify() == Identity(
            "acme", "Virtual AGV", server.vehicle.serial, "", {"VDA 5050": "2.1.0"}
        )
        assert last(received, "connection") == "ONLINE"
        server.set("battery", 12.5)
        await until(lambda: last(received, "battery") == 12.5, "the battery that was set")
        assert server.get("battery") == 12.5


async def test_an_order_runs_through_and_shows_in_the_tags(mosquitto: MosquittoServer) -> None:
    async with vehicle(mosquitto) as server, driver(server) as made, streaming(made) as received:
        kept: list[Any] = []

        async def keep(given: Any) -> None:
            await asyncio.sleep(0)
            kept.append(given)

        made.keep = keep
        made.give("o1", *stops(4), 2)
        with pytest.raises(NotNowError, match="o1 is"):
            made.give("o2", *stops(4), 4)
        await until(lambda: last(received, "mission") == "o1", "the mission")
        made.release(4)
        await until(lambda: made.control.order is not None and made.control.order.ended, "the end")
        assert made.control.order is not None
        assert made.control.order.state is OrderState.FINISHED
        await until(lambda: last(received, "order_state") == "finished", "the state of the order")
        assert kept[-1].state is OrderState.FINISHED
        words = [reading.value for reading in received.of("state")]
        assert {"driving", "acting"} <= set(words)
        assert last(received, "station") == "n3"


async def test_a_locked_vehicle_gets_no_order_but_can_be_cancelled(mosquitto: MosquittoServer) -> None:
    async with vehicle(mosquitto) as server, driver(server) as made, streaming(made):
        made.give("o1", *stops(9), 9)
        made.refuses = "locked by m.lang: belt torn"
        with pytest.raises(NotNowError, match="belt torn"):
            made.release(9)
        made.cancel()
        await until(lambda: made.control.order is not None and made.control.order.ended, "the end")
        with pytest.raises(NotNowError, match="belt torn"):
            made.give("o2", *stops(4), 4)


async def test_pausing_needs_nobody_but_driving_on_needs_a_person(mosquitto: MosquittoServer) -> None:
    async with vehicle(mosquitto) as server, driver(server) as made, streaming(made):

        def paused() -> bool:
            return server.agv.paused

        assert await made.call("pause", {}) == {}
        assert paused()
        with pytest.raises(WriteRefused, match="confirm"):
            await made.call("resume", {})
        assert paused()
        await made.call("resume", {}, Confirmation("op-7", "agv-desk"))
        assert not paused()
        with pytest.raises(WriteRefused, match="read-only"):
            await made.write("battery", 100)


async def test_an_instant_action_that_fails_says_why(mosquitto: MosquittoServer) -> None:
    async with vehicle(mosquitto) as server, driver(server) as made, streaming(made):
        rule = made.methods["pause"].model_copy(update={"action": "flyAway"})
        with pytest.raises(WriteFailed, match="is not known"):
            await made.invoke("pause", rule, {})


async def test_a_vehicle_whose_states_stop_is_lost_though_its_connection_says_online(
    mosquitto: MosquittoServer,
) -> None:
    async with vehicle(mosquitto) as server, driver(server, silence=1.5, timeout=9) as made:
        received = Received()
        server.agv.battery = 50.0
        task = asyncio.create_task(made.stream(received))
        await until(lambda: last(received, "connection") == "ONLINE", "online")
        server.fault = Fault.SILENT
        with pytest.raises(DeviceLost, match=r"silent \(connection: ONLINE\)"):
            await task
        bad = {r.path for r in received.readings if r.reason is Reason.NOT_CONNECTED}
        assert bad == set(profile().tags)
        with pytest.raises(DeviceLost):
            await made.read(["battery"])


async def test_a_vehicle_that_breaks_off_is_lost_by_its_last_will_and_comes_back(
    mosquitto: MosquittoServer,
) -> None:
    async with vehicle(mosquitto) as server:
        async with driver(server) as made:
            task = asyncio.create_task(made.stream(Received()))
            server.fault = Fault.DISCONNECT
            with pytest.raises(DeviceLost, match=r"broken \(connection: CONNECTIONBROKEN\)"):
                async with asyncio.timeout(PATIENCE):
                    await task
        server.fault = None
        async with driver(server) as again:
            assert (await again.read(["connection"]))[0].value == "ONLINE"


async def test_a_broker_that_ends_is_a_lost_device(tmp_path: Path) -> None:
    with MosquittoServer(tmp_path) as broker:
        async with vehicle(broker) as server, driver(server) as made:
            task = asyncio.create_task(made.stream(Received()))
            await asyncio.sleep(0.2)
            broker.kill()
            with pytest.raises(DeviceLost, match="broker broke"):
                async with asyncio.timeout(PATIENCE):
                    await task
            await made.close()


async def test_no_vehicle_and_no_broker_are_told_apart(mosquitto: MosquittoServer) -> None:
    url = f"vda5050://127.0.0.1:{mosquitto.port}/uagv/acme/nobody"
    made = driver_type("vda5050").create(url, profile(), {"timeout": 0.5})
    with pytest.raises(ConnectError, match="no state within") as caught:
        async with made:
            pass
    assert "uagv/v2/acme/nobody/state" in caught.value.next_step
    made = driver_type("vda5050").create("vda5050://127.0.0.1:1/uagv/acme/nobody", profile(), {})
    with pytest.raises(ConnectError, match="cannot be reached"):
        async with made:
            pass


async def test_errors_of_the_vehicle_are_alarms(mosquitto: MosquittoServer) -> None:
    async with vehicle(mosquitto) as server, driver(server) as made, streaming(made) as received:
        told: list[list[Alarm]] = []
        task = asyncio.create_task(made.events(told.append))
        server.agv.troubles.append(Error(error_type="wheelSlip", error_level=Level.FATAL))
        await until(lambda: any(batch for batch in told), "an alarm")
        (alarm,) = next(batch for batch in told if batch)
        assert (alarm.id, alarm.active, alarm.severity) == ("wheelSlip", True, 800)
        await until(lambda: last(received, "errors") == "wheelSlip", "the errors as a tag")
        await until(lambda: last(received, "state") == "error", "the word")
        server.agv.troubles.clear()
        await until(lambda: not told[-1][0].active if told[-1] else False, "the end of it")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


PAYLOADS = [
    b"",
    b"{",
    b"[]",
    b"\xff" * 64,
    b"[" * 50_000,
    b'{"headerId": 1, "orderId": [[[[]]]]}',
    b'{"headerId":' + b"9" * 4000 + b"}",
    b'{"agvPosition": {"x": 1e400}}',
    b'{"batteryState": {"batteryCharge": "full"}}',
    b'{"errors": ' + b"[" + b",".join([b'{"errorType":"x"}'] * 9000) + b"]}",
    b"x" * (MAX_BYTES + 1),
]


async def test_malformed_payloads_spoil_nothing_but_their_own_tags(mosquitto: MosquittoServer) -> None:
    async with vehicle(mosquitto) as server, driver(server) as made, streaming(made) as received:
        await until(lambda: last(received, "x") is not None, "a position")
        for topic in (Topic.STATE, Topic.VISUALIZATION, Topic.CONNECTION, Topic.FACTSHEET, Topic.ORDER):
            for payload in PAYLOADS:
                await asyncio.to_thread(
                    publish.single,
                    server.vehicle.topic(topic),
                    payload,
                    hostname=mosquitto.host,
                    port=mosquitto.port,
                )
        bad = [r for r in received.readings if r.quality is Quality.BAD]
        assert {r.reason for r in bad} <= {
            Reason.DEVICE_FAILURE,
            Reason.TYPE_MISMATCH,
            Reason.ILLEGAL_ADDRESS,
            Reason.OTHER,
        }
        server.set("battery", 33.0)
        await until(lambda: last(received, "battery") == 33.0, "a good value after all of it")
        assert len(made.problems) <= len(profile().tags)
        made.give("o1", *stops(2), 2)
        await until(lambda: made.control.order is not None and made.control.order.ended, "an order")


def test_an_address_says_what_one_looks_like() -> None:
    known = profile()
    host, port, who = parse_url("vda5050://broker/uagv/acme/7", known)
    assert (host, port, str(who)) == ("broker", None, "uagv/acme/7")
    assert str(parse_url("vda5050://broker", known)[2]) == "uagv/OneLot/V-AGV-1"
    for bad in (
        "mqtt://broker/a/b/c",
        "vda5050://broker/a/b",
        "vda5050://broker:port/a/b/c",
        "vda5050://u:p@broker/a/b/c",
        "vda5050://broker/a/b/%23",
        "vda5050:///a/b/c",
        "vda5050://broker/a/b/c?x=1",
    ):
        with pytest.raises(ValueError, match="write vda5050://"):
            parse_url(bad, known)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("state.batterySate.batteryCharge", "did you mean batteryState"),
        ("stat.driving", "did you mean state"),
        ("state", "write a topic and a path"),
        ("vehicle.stat", "did you mean state"),
        ("state..x", "write a topic and a path"),
    ],
)
def test_a_wrong_address_of_a_tag_names_the_nearest(address: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_place(address)


def test_lists_are_counted_joined_and_picked_from() -> None:
    message = {"errors": [{"t": "a"}, {"t": "b"}]}
    assert look_up(message, ("errors", "#")) == 2
    assert look_up(message, ("errors", "*", "t")) == "a, b"
    assert look_up(message, ("errors", "1", "t")) == "b"
    with pytest.raises(LookupError, match=r"no errors\.2"):
        look_up(message, ("errors", "2", "t"))


def test_a_profile_that_resumes_without_saying_so_is_refused(tmp_path: Path) -> None:
    text = (PROFILES / "virtual" / "agv-vda.yaml").read_text("utf-8").replace("    effect: resume\n", "")
    file = tmp_path / "agv.yaml"
    file.write_text(text + "writes:\n  battery: {min: 0, max: 100}\n", "utf-8")
    with pytest.raises(DocumentError) as caught:
        load_profile(file)
    assert "sets a vehicle in motion — set effect: resume" in str(caught.value)
    assert "can be written: use methods" in str(caught.value)


async def test_several_vehicles_share_a_broker_and_have_serials_of_their_own(
    mosquitto: MosquittoServer,
) -> None:
    loaded = profile()
    serial = uuid.uuid4().hex[:8]
    known = loaded.model_copy(update={"vda5050": loaded.vda5050.model_copy(update={"serial": serial})})
    first, second = (Vda5050Server(known, mosquitto.host, mosquitto.port) for _ in range(2))
    first.adopt(second, 2)
    async with first:
        assert second.url == f"{first.url}-2"
        async with driver(first) as one, driver(second) as two:
            assert (await one.read(["connection"]))[0].value == "ONLINE"
            assert two.vehicle.serial == f"{serial}-2"


async def test_a_virtual_vehicle_without_a_broker_says_what_it_needs() -> None:
    with pytest.raises(OSError, match="needs a broker"):
        async with Vda5050Server(profile(), "127.0.0.1", 1):
            pass
