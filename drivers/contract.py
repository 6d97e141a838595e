"""What every driver must do: subclass :class:`DriverContract` in your tests and name your profile.

::

    class TestMyDriver(DriverContract):
        profile = load_profile(Path("tests/contract.yaml"))
        options = {"timeout": 0.3}

The profile must have the tags that :data:`TAGS` describes, in the addresses of your protocol; the server
is the driver's own simulator. The tests run their own event loop and need no plug-in but pytest.
"""
# ruff: noqa: S101 - these are tests, shipped as a library

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar

import pytest

from drivers.driver import (
    Capability,
    Captures,
    Confirmation,
    ConnectError,
    DeviceLost,
    Driver,
    Identifies,
    Reads,
    WriteRefused,
    Writes,
)
from drivers.profile.profile import AnyProfile, Effect, Role, WriteRule
from drivers.registry import driver_type
from drivers.simulator import ProfileServer
from protocols.documents import DocumentError
from protocols.values import Quality, Reading, Reason, Value

TAGS = {
    "count": "uint32, sampling 0.1",
    "temperature": "int16 with scale 0.1, sampling 0.1",
    "ratio": "float32, sampling 0.2",
    "running": "bool, sampling 0.1",
    "program": "string of 16 characters, read-write, sampling 0.2",
    "setpoint": "float32, read-write; writes: min 0, max 100, needs ready = true; sampling 0.2",
    "ready": "bool, sampling 0.1",
    "missing": "int16 at an address the server does not have, sampling 0.1",
}
"""The tags a contract profile has. ``writes`` allows setpoint and program and nothing else."""

VALUES: dict[str, Value] = {
    "count": 4_000_000_000,
    "temperature": -41.3,
    "ratio": 0.15625,
    "running": True,
    "program": "RAL-5010/Ü",
    "setpoint": 12.5,
    "ready": True,
}
"""A value of every tag that the server has, each exact in its type."""

PATIENCE_S = 10.0
"""Seconds after which something that should have come counts as missing."""


class Received:
    """What a driver has delivered, in order."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self._news = asyncio.Event()

    def __call__(self, readings: list[Reading]) -> None:
        assert isinstance(readings, list), "readings are delivered as a list"
        assert readings, "an empty list says nothing"
        self.readings.extend(readings)
        self._news.set()

    def of(self, path: str) -> list[Reading]:
        """All readings of one tag."""
        return [reading for reading in self.readings if reading.path == path]

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition on what was received holds."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():
                    await self._news.wait()
                    self._news.clear()
        except TimeoutError:
            raise AssertionError(f"never received {what}; got {self.readings[-20:]}") from None


class DriverContract:
    """The tests. Subclasses set ``profile`` and, where needed, ``options`` and ``bad_address``."""

    profile: ClassVar[AnyProfile]
    options: ClassVar[Mapping[str, Any]] = {}
    bad_address: ClassVar[str] = "nonsense://nowhere"
    lost_within_s: ClassVar[float] = 8.0
    """How soon a silent device must be noticed with these options."""
    takes_blocks: ClassVar[bool] = False
    """Set by :class:`drivers.waveform_contract.WaveformContract`, which adds the tests of waveforms."""

    def server(self) -> ProfileServer:
        """The simulator with every tag but ``missing``."""
        tags = {name: tag for name, tag in self.profile.tags.items() if name != "missing"}
        shown = self.profile.model_copy(update={"tags": tags})
        server: ProfileServer = driver_type(self.profile.protocol).serve(shown)
        server.update(VALUES)
        return server

    def driver(self, address: str) -> Driver[Any]:
        """A driver that is not connected yet."""
        return driver_type(self.profile.protocol).create(address, self.profile, self.options)

    def run(self, test: Callable[[ProfileServer], Coroutine[Any, Any, None]]) -> None:
        """Run a test against a running server and see that it leaves no task behind."""

        async def guarded() -> None:
            async with self.server() as server:
                await test(server)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if left:
                _, left = await asyncio.wait(left, timeout=1.0)
            assert not left, f"tasks left behind: {left}"

        asyncio.run(guarded())

    # --- construction -----------------------------------------------------------------------------------

    def test_the_profile_is_the_contract_s(self) -> None:
        assert set(TAGS) == set(self.profile.tags)
        assert set(self.profile.writes) == {"setpoint", "program"}

    def test_construction_needs_no_network_and_no_event_loop(self) -> None:
        driver = self.driver(self.server().url.replace(":0", ":9"))
        assert driver.profile is self.profile
        assert driver.capabilities >= {Capability.READ}
        assert driver.max_sessions >= 1

    def test_a_wrong_address_fails_at_construction_and_says_what_one_looks_like(self) -> None:
        with pytest.raises(ValueError, match="write "):
            self.driver(self.bad_address)

    def test_an_unknown_option_fails_at_construction(self) -> None:
        kind = driver_type(self.profile.protocol)
        with pytest.raises(DocumentError, match="unknown key"):
            kind.create(self.server().url.replace(":0", ":9"), self.profile, {**self.options, "tmieout": 1})

    def test_declared_capabilities_are_there(self) -> None:
        driver = self.driver(self.server().url.replace(":0", ":9"))
        protocols = {
            Capability.READ: Reads,
            Capability.WRITE: Writes,
            Capability.IDENTIFY: Identifies,
            Capability.WAVEFORMS: Captures,
        }
        for capability, protocol in protocols.items():
            if capability in driver.capabilities:
                assert isinstance(driver, protocol), f"{capability} is declared, but not there"
        declared = Capability.WAVEFORMS in driver.capabilities
        assert declared == self.takes_blocks, "WaveformContract tests what declares waveforms"

    # --- connection -------------------------------------------------------------------------------------

    def test_a_machine_that_is_not_there_is_a_connect_error_with_a_next_step(self) -> None:
        async def test(server: ProfileServer) -> None:
            address = server.url
            await server.stop()
            with pytest.raises(ConnectError) as caught:
                async with asyncio.timeout(PATIENCE_S), self.driver(address):
                    pass
            assert caught.value.address
            assert caught.value.cause
            assert caught.value.next_step

        self.run(test)

    def test_closing_twice_or_without_a_connection_is_harmless(self) -> None:
        async def test(server: ProfileServer) -> None:
            driver = self.driver(server.url)
            await driver.close()
            async with driver:
                await driver.close()
            await driver.close()

        self.run(test)

    def test_reading_without_a_connection_says_so(self) -> None:
        async def test(server: ProfileServer) -> None:
            with pytest.raises(DeviceLost, match="not connected"):
                await self.driver(server.url).read(["count"])

        self.run(test)

    def test_identify_answers_or_stays_empty(self) -> None:
        async def test(server: ProfileServer) -> None:
            async with self.driver(server.url) as driver:
                identity = await driver.identify()
                assert all(isinstance(t, str) for t in (identity.vendor, identity.product, identity.firmware))

        self.run(test)

    # --- reading ----------------------------------------------------------------------------------------

    def test_read_returns_every_type_in_the_order_asked(self) -> None:
        async def test(server: ProfileServer) -> None:
            order = sorted(VALUES, reverse=True)
            async with self.driver(server.url) as driver:
                readings = await driver.read(order)
            assert [r.path for r in readings] == order
            assert {r.path: r.value for r in readings} == VALUES
            assert {r.quality for r in readings} == {Quality.GOOD}

        self.run(test)

    def test_a_missing_address_is_bad_with_a_reason_and_does_not_stop_the_others(self) -> None:
        async def test(server: ProfileServer) -> None:
            async with self.driver(server.url) as driver:
                readings = {r.path: r for r in await driver.read(list(TAGS))}
                assert readings["missing"].quality is Quality.BAD
                assert readings["missing"].reason is Reason.ILLEGAL_ADDRESS
                assert readings["missing"].value is None
                assert driver.problems["missing"]
                assert {p: r.value for p, r in readings.items() if p != "missing"} == VALUES

        self.run(test)

    def test_an_unknown_tag_is_a_key_error_with_the_nearest_name(self) -> None:
        async def test(server: ProfileServer) -> None:
            async with self.driver(server.url) as driver:
                with pytest.raises(KeyError, match="did you mean count"):
                    await driver.read(["cuont"])

        self.run(test)

    # --- streaming --------------------------------------------------------------------------------------

    def test_stream_delivers_every_tag_and_then_what_changes_in_order(self) -> None:
        async def test(server: ProfileServer) -> None:
            received = Received()
            async with self.driver(server.url) as driver, streaming(driver, received):
                await received.until(lambda: {r.path for r in received.readings} == set(TAGS), "every tag")
                for count in range(5):
                    server.set("count", count)
                    await received.until(
                        lambda count=count: received.of("count")[-1].value == count,  # type: ignore[misc]
                        f"count = {count}",
                    )
                counts = [r.value for r in received.of("count")]
                distinct = [v for n, v in enumerate(counts) if n == 0 or counts[n - 1] != v]
                assert distinct == [VALUES["count"], 0, 1, 2, 3, 4]
                assert len(received.of("missing")) == 1, "a lasting fault is said once"
                assert {r.value for r in received.of("program")} == {VALUES["program"]}

        self.run(test)

    def test_a_tag_that_fails_is_bad_once_and_good_again_when_it_recovers(self) -> None:
        async def test(server: ProfileServer) -> None:
            received = Received()
            async with self.driver(server.url) as driver, streaming(driver, received):
                await received.until(lambda: bool(received.of("ratio")), "ratio")
                server.fail("ratio", Reason.DEVICE_FAILURE)
                await received.until(lambda: received.of("ratio")[-1].quality is Quality.BAD, "ratio bad")
                assert received.of("ratio")[-1].reason is Reason.DEVICE_FAILURE
                assert received.of("ratio")[-1].value is None
                await asyncio.sleep(0.5)
                assert [r.quality for r in received.of("ratio")].count(Quality.BAD) == 1
                server.set("ratio", 0.5)
                await received.until(lambda: received.of("ratio")[-1].value == 0.5, "ratio good again")

        self.run(test)

    def test_cancelling_the_stream_ends_it_at_once(self) -> None:
        async def test(server: ProfileServer) -> None:
            received = Received()
            async with self.driver(server.url) as driver:
                task = asyncio.create_task(driver.stream(received))
                await received.until(lambda: bool(received.readings), "anything")
                task.cancel()
                begin = time.monotonic()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert time.monotonic() - begin < 1.0

        self.run(test)

    # --- loss -------------------------------------------------------------------------------------------

    def test_a_server_that_goes_away_is_device_lost_and_every_tag_is_bad_once_at_the_end(self) -> None:
        async def test(server: ProfileServer) -> None:
            received = Received()
            async with self.driver(server.url) as driver:
                task = asyncio.create_task(driver.stream(received))
                await received.until(lambda: {r.path for r in received.readings} == set(TAGS), "every tag")
                await server.stop()
                await _lost(task, self.lost_within_s)
            _ends_bad(received)

        self.run(test)

    def test_a_server_that_falls_silent_is_device_lost_in_bounded_time(self) -> None:
        async def test(server: ProfileServer) -> None:
            received = Received()
            async with self.driver(server.url) as driver:
                task = asyncio.create_task(driver.stream(received))
                await received.until(lambda: {r.path for r in received.readings} == set(TAGS), "every tag")
                server.silent = True
                await _lost(task, self.lost_within_s)
            _ends_bad(received)

        self.run(test)

    def test_a_new_driver_reads_the_server_that_came_back(self) -> None:
        async def test(server: ProfileServer) -> None:
            async with self.driver(server.url) as driver:
                await driver.read(["count"])
                await server.stop()
            await server.start()
            server.set("count", 7)
            received = Received()
            async with self.driver(server.url) as driver, streaming(driver, received):
                await received.until(lambda: any(r.value == 7 for r in received.of("count")), "count = 7")

        self.run(test)

    # --- writing ----------------------------------------------------------------------------------------

    def test_a_write_within_its_rule_is_read_back(self) -> None:
        async def test(server: ProfileServer) -> None:
            written: list[tuple[str, Value]] = []
            server.on_write = lambda name, value: written.append((name, value))
            async with self.driver(server.url) as driver:
                assert await driver.write("setpoint", 99.5) == await _read_one(driver, "setpoint")
                assert (await driver.write("program", "P2")).value == "P2"
            assert (server.get("setpoint"), server.get("program")) == (99.5, "P2")
            assert written == [("setpoint", 99.5), ("program", "P2")]

        self.run(test)

    @pytest.mark.parametrize(
        ("path", "value", "why"),
        [
            ("count", 1, "read-only"),
            ("setpoint", 100.5, "above the maximum 100"),
            ("setpoint", -1, "below the minimum 0"),
            ("setpoint", "fast", "not a number"),
            ("program", 7, "not text"),
        ],
    )
    def test_a_write_outside_its_rule_is_refused_and_changes_nothing(
        self, path: str, value: Value, why: str
    ) -> None:
        async def test(server: ProfileServer) -> None:
            async with self.driver(server.url) as driver:
                with pytest.raises(WriteRefused, match=why):
                    await driver.write(path, value)
            assert server.get(path) == VALUES[path]

        self.run(test)

    def test_a_write_whose_precondition_does_not_hold_is_refused(self) -> None:
        async def test(server: ProfileServer) -> None:
            server.set("ready", False)
            async with self.driver(server.url) as driver:
                with pytest.raises(WriteRefused, match="needs ready"):
                    await driver.write("setpoint", 5)
            assert server.get("setpoint") == VALUES["setpoint"]

        self.run(test)

    # --- the gate ---------------------------------------------------------------------------------------

    def guarded(self, address: str) -> Driver[Any]:
        """A driver for which writing ``setpoint`` starts something: two people, at most once a minute."""
        tags = dict(self.profile.tags)
        tags["ready"] = tags["ready"].model_copy(update={"role": Role.REMOTE_ENABLED})
        rule = WriteRule(min=0, max=100, effect=Effect.START, two_people=True, interval=60)
        shown = self.profile.model_copy(update={"tags": tags, "writes": {"setpoint": rule}})
        return driver_type(self.profile.protocol).create(address, shown, self.options)

    def test_nothing_gets_round_the_gate(self) -> None:
        driver = self.driver(self.server().url.replace(":0", ":9"))
        for name in ("write", "call"):
            assert getattr(type(driver), name) is getattr(Driver, name), f"{name} decides what may be sent"

    @pytest.mark.parametrize(
        ("confirmation", "ready", "why"),
        [
            (None, True, "needs a person"),
            (Confirmation("", "station-1", "K9"), True, "needs a person"),
            (Confirmation("K7", "station-1"), True, "needs two people"),
            (Confirmation("K7", "station-1", "K7"), True, "confirmed twice"),
            (Confirmation("K7", "station-1", "K9"), False, "needs ready = true, it is false"),
            (Confirmation("K7", "station-1", "K9"), None, "ready = true, but it has no good value"),
        ],
    )
    def test_a_start_without_people_or_without_the_machine_s_leave_is_refused_and_changes_nothing(
        self, confirmation: Confirmation | None, ready: bool | None, why: str
    ) -> None:
        async def test(server: ProfileServer) -> None:
            if ready is None:
                server.fail("ready", Reason.DEVICE_FAILURE)
            else:
                server.set("ready", ready)
            async with self.guarded(server.url) as driver:
                with pytest.raises(WriteRefused, match=why):
                    await driver.write("setpoint", 5, confirmation)
            assert server.get("setpoint") == VALUES["setpoint"]

        self.run(test)

    def test_the_machine_s_leave_is_read_at_the_moment_of_writing(self) -> None:
        two = Confirmation("K7", "station-1", "K9")

        async def test(server: ProfileServer) -> None:
            received = Received()
            async with self.guarded(server.url) as driver, streaming(driver, received):
                await received.until(lambda: bool(received.of("ready")), "ready")
                assert received.of("ready")[-1].value is True
                server.set("ready", False)
                with pytest.raises(WriteRefused, match="needs ready = true"):
                    await driver.write("setpoint", 5, two)
                server.set("ready", True)
                assert (await driver.write("setpoint", 5, two)).value == 5
                with pytest.raises(WriteRefused, match="at least 60 s must pass"):
                    await driver.write("setpoint", 6, two)
            assert server.get("setpoint") == 5

        self.run(test)

    def test_while_the_driver_refuses_nothing_is_written(self) -> None:
        async def test(server: ProfileServer) -> None:
            async with self.driver(server.url) as driver:
                driver.refuses = "locked by K3: blade change"
                with pytest.raises(WriteRefused, match="locked by K3: blade change"):
                    await driver.write("setpoint", 5)
                assert server.get("setpoint") == VALUES["setpoint"]
                driver.refuses = ""
                await driver.write("setpoint", 5)
            assert server.get("setpoint") == 5

        self.run(test)


class streaming:
    """A stream that runs for the length of a block and must not end by itself."""

    def __init__(self, driver: Driver[Any], received: Received) -> None:
        self._driver, self._received = driver, received

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._driver.stream(self._received))

    async def __aexit__(self, *_: object) -> None:
        ended = self._task.done()
        self._task.cancel()
        await asyncio.wait([self._task])
        assert not ended, f"the stream ended by itself: {self._task}"


async def _read_one(driver: Driver[Any], path: str) -> Reading:
    (reading,) = await driver.read([path])
    return reading


async def _lost(task: asyncio.Task[None], within: float) -> None:
    _, pending = await asyncio.wait([task], timeout=within)
    if pending:
        task.cancel()
        await asyncio.wait([task])
        raise AssertionError(f"the loss was not noticed within {within} s")
    error = task.exception()
    assert isinstance(error, DeviceLost), f"ended with {error!r} instead of DeviceLost"
    assert error.cause


def _ends_bad(received: Received) -> None:
    for path in TAGS:
        readings = received.of(path)
        assert readings[-1].quality is Quality.BAD, f"{path} still looks alive"
        assert readings[-1].value is None
        said = [r.reason for r in readings].count(Reason.NOT_CONNECTED)
        assert said == 1, f"{path} was said to be lost {said} times"
