"""The collector: what becomes a sample, and how a device is lost and found again, on real protocols."""

import asyncio
import contextlib
import itertools
import math
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.driver import Driver
from drivers.modbus.simulator import ModbusServer
from drivers.opcua.simulator import OpcuaServer
from drivers.profile.profile import FirmwareRange, Identification
from drivers.registry import driver_type
from edge.collector import Collector
from protocols.states import DeviceHeartbeat, Dropped, MachineStateChanged, Notice
from protocols.values import Quality, Reading, Reason
from tests.edge.machines import Ticks, collecting, device, lathe, press, recorded, recorder_of, reported
from tests.servers import free_port


def good(**values: Any) -> list[Reading]:
    return [Reading(name, value) for name, value in values.items()]


def bad(reason: Reason, *names: str) -> list[Reading]:
    return [Reading(name, None, Quality.BAD, reason) for name in names]


async def test_only_what_is_new_becomes_a_sample(tmp_path: Path) -> None:
    ticks = Ticks()
    async with collecting(tmp_path, press(), device(), ticks.clock()) as collector:
        for load, parts in [(10.0, 1), (10.9, 1), (11.1, 1), (11.0, 2), (9.9, 2)]:
            ticks.pass_(1)
            collector.deliver(good(load=load, parts=parts))
        found = [(name, sample.value) for name, sample in await recorded(collector)]
        assert found == [("load", 10.0), ("parts", 1), ("load", 11.1), ("parts", 2), ("load", 9.9)]


async def test_a_deadband_in_percent_is_of_the_last_value_sent(tmp_path: Path) -> None:
    profile = press(speed={"address": "holding:10", "type": "float32", "deadband_percent": 10})
    ticks = Ticks()
    async with collecting(tmp_path, profile, device(), ticks.clock()) as collector:
        for speed in (100.0, 109.0, 111.0, 101.0, 99.0):
            ticks.pass_(1)
            collector.deliver(good(speed=speed))
        assert [sample.value for _, sample in await recorded(collector)] == [100.0, 111.0, 99.0]


async def test_time_is_strictly_increasing_for_each_tag_whatever_the_clock_does(tmp_path: Path) -> None:
    ticks = Ticks()
    async with collecting(tmp_path, press(), device(), ticks.clock()) as collector:
        collector.deliver(good(parts=1))
        collector.deliver(good(parts=2))
        ticks.elapsed += 10_000_000
        ticks.wall -= 3_600_000_000  # an hour back
        collector.deliver(good(parts=3))
        ticks.pass_(1)
        collector.deliver(good(parts=4))
        ticks.wall += 3_700_000_000
        collector.deliver(good(parts=5))
        samples = [sample for _, sample in await recorded(collector)]
        times = [sample.ts for sample in samples]
        assert all(before < after for before, after in itertools.pairwise(times))
        assert [sample.reason for sample in samples] == [
            Reason.NONE,
            Reason.NONE,
            Reason.CLOCK_UNCERTAIN,
            Reason.CLOCK_UNCERTAIN,
            Reason.NONE,
        ]


async def test_a_bad_tag_is_reported_once_for_each_reason(tmp_path: Path) -> None:
    async with collecting(tmp_path, press(), device()) as collector:
        for readings in (
            good(load=5.0),
            bad(Reason.TIMEOUT, "load"),
            bad(Reason.TIMEOUT, "load"),
            bad(Reason.NOT_CONNECTED, "load"),
            good(load=5.0),
            good(load=math.nan),
            good(load=math.inf),
            good(load=5.2),
        ):
            collector.deliver(readings)
        found = [(sample.value, sample.quality, sample.reason) for _, sample in await recorded(collector)]
        assert found == [
            (5.0, Quality.GOOD, Reason.NONE),
            (None, Quality.BAD, Reason.TIMEOUT),
            (None, Quality.BAD, Reason.NOT_CONNECTED),
            (5.0, Quality.GOOD, Reason.NONE),
            (None, Quality.BAD, Reason.SENSOR_FAILURE),
            (5.2, Quality.GOOD, Reason.NONE),
        ]


async def test_a_long_text_is_cut_and_said_to_be(tmp_path: Path) -> None:
    profile = press(program={"address": "holding:20", "type": "string", "length": 200})
    async with collecting(tmp_path, profile, device()) as collector:
        collector.deliver(good(program="x" * 200_000))
        collector.deliver(good(program="x" * 200_000))
        ((_, sample),) = await recorded(collector)
        assert sample.value == "x" * 1024
        assert (sample.quality, sample.reason) == (Quality.UNCERTAIN, Reason.OUT_OF_RANGE)


@pytest.mark.parametrize(("mode", "expected"), [("receive", 1_000_000), ("trust", 400_000), ("offset", 0)])
async def test_a_device_s_own_clock_is_used_as_its_site_says(
    tmp_path: Path, mode: str, expected: int
) -> None:
    ticks = Ticks()
    async with collecting(tmp_path, press(), device(clock=mode), ticks.clock()) as collector:
        start = ticks.wall
        collector.deliver([Reading("parts", 1, source_time=start - 100_000_000)])
        ticks.pass_(1)
        collector.deliver([Reading("parts", 2, source_time=start - 99_000_000)])
        ticks.pass_(0)
        collector.deliver([Reading("load", 2.0, source_time=start + 400_000)])
        found = await recorded(collector)
        last = found[-1][1].ts - start
        if mode == "offset":
            assert found[1][1].ts - start == 1_000_000
        else:
            assert last == expected


async def test_a_time_of_the_far_future_is_not_believed(tmp_path: Path) -> None:
    """OPC UA's last time is in the year 9999: no batch may hold it, and no later value would get past it."""
    ticks = Ticks()
    async with collecting(tmp_path, press(), device(clock="trust"), ticks.clock()) as collector:
        start = ticks.wall
        collector.deliver([Reading("parts", 1, source_time=253_402_300_799_000_000)])
        ticks.pass_(2)
        collector.deliver([Reading("parts", 2, source_time=start + 1_000_000)])
        assert [sample.ts - start for _, sample in await recorded(collector)] == [0, 1_000_000]


async def test_a_healthy_value_is_repeated_only_while_reads_confirm_it(tmp_path: Path) -> None:
    ticks = Ticks()
    async with collecting(tmp_path, press(), device(), ticks.clock()) as collector:
        collector.connected = True
        collector.deliver(good(parts=7))
        ticks.pass_(61)
        collector.sweep()
        assert len(await recorded(collector)) == 1
        collector.deliver(good(parts=7))
        collector.sweep()
        ticks.pass_(30)
        collector.deliver(good(parts=7))
        collector.sweep()
        found = await recorded(collector)
        assert [sample.value for _, sample in found] == [7, 7]
        assert found[1][1].ts - found[0][1].ts == 61_000_000
        collector.deliver(bad(Reason.TIMEOUT, "parts"))
        ticks.pass_(120)
        collector.sweep()
        assert len(await recorded(collector)) == 3


async def test_a_slow_poll_is_not_made_younger_by_a_quick_one(tmp_path: Path) -> None:
    """``max_interval`` of a tag that is read every ten minutes: its value is as old as its own last read."""
    ticks = Ticks()
    profile = press(level={"address": "holding:20", "type": "uint16", "sampling": 600})
    async with collecting(tmp_path, profile, device(), ticks.clock()) as collector:
        collector.connected = True
        collector.deliver(good(level=7, parts=1))
        for parts in range(2, 300):
            ticks.pass_(2)
            collector.deliver(good(parts=parts))
            collector.sweep()
        assert [name for name, _ in await recorded(collector)].count("level") == 1
        ticks.pass_(4)
        collector.deliver(good(level=7))
        samples = [sample for name, sample in await recorded(collector) if name == "level"]
        assert [sample.value for sample in samples] == [7, 7]
        assert samples[1].ts - samples[0].ts == 600_000_000


async def test_a_repeated_value_is_the_one_last_read_not_the_one_last_sent(tmp_path: Path) -> None:
    ticks = Ticks()
    async with collecting(tmp_path, press(), device(), ticks.clock()) as collector:
        collector.connected = collector._subscribed = True
        collector.deliver(good(load=10.0))
        ticks.pass_(1)
        collector.deliver(good(load=10.9))
        ticks.pass_(60)
        collector.sweep()
        assert [sample.value for _, sample in await recorded(collector)] == [10.0, 10.9]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("parts", 2**40, Reason.OUT_OF_RANGE),
        ("parts", -1, Reason.OUT_OF_RANGE),
        ("parts", 2**70, Reason.OUT_OF_RANGE),
        ("parts", 1.5, Reason.TYPE_MISMATCH),
        ("parts", True, Reason.TYPE_MISMATCH),
        ("parts", [1], Reason.TYPE_MISMATCH),
        ("load", 10**400, Reason.OUT_OF_RANGE),
        ("load", "many", Reason.TYPE_MISMATCH),
        ("load", -math.inf, Reason.SENSOR_FAILURE),
        ("program", b"raw", Reason.TYPE_MISMATCH),
        ("program", 5, Reason.TYPE_MISMATCH),
    ],
)
async def test_a_value_that_is_not_of_its_tag_s_type_is_bad_and_stops_nobody(
    tmp_path: Path, name: str, value: Any, reason: Reason
) -> None:
    profile = press(program={"address": "holding:20", "type": "string", "length": 20})
    async with collecting(tmp_path, profile, device()) as collector:
        collector.deliver([Reading(name, value)])
        collector.deliver([Reading(name, value)])
        collector.deliver([Reading(name, value, Quality.UNCERTAIN, Reason.STALE)])
        ((_, sample),) = await recorded(collector)
        assert (sample.value, sample.quality, sample.reason) == (None, Quality.BAD, reason)


async def test_values_that_fit_their_type_are_kept_exactly(tmp_path: Path) -> None:
    profile = press(
        big={"address": "holding:20", "type": "uint64"},
        low={"address": "holding:24", "type": "int64"},
        program={"address": "holding:30", "type": "string", "length": 20},
    )
    async with collecting(tmp_path, profile, device()) as collector:
        collector.deliver(good(big=2**64 - 1, low=-(2**63), load=3, program="Grüße \ud800 你好"))
        found = {name: sample.value for name, sample in await recorded(collector)}
        assert found == {"big": 2**64 - 1, "low": -(2**63), "load": 3.0, "program": "Grüße ? 你好"}


readings = st.lists(
    st.tuples(
        st.sampled_from(["load", "parts"]),
        st.one_of(st.integers(0, 4), st.sampled_from([Reason.TIMEOUT, Reason.NOT_CONNECTED, math.nan])),
        st.sampled_from([-3_600.0, -0.5, 0.0, 0.0, 0.7, 61.0]),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(readings)
def test_whatever_comes_each_tag_tells_a_story_without_repeats(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[str, Any, float]]
) -> None:
    asyncio.run(tell(tmp_path_factory.mktemp("collector"), script))


async def tell(folder: Path, script: list[tuple[str, Any, float]]) -> None:
    ticks = Ticks()
    async with collecting(folder, press(), device(), ticks.clock()) as collector:
        for name, value, seconds in script:
            ticks.elapsed += round(max(seconds, 0.0) * 1e6)
            ticks.wall += round(seconds * 1e6)
            if isinstance(value, Reason):
                collector.deliver(bad(value, name))
            else:
                collector.deliver(good(**{name: value}))
        found = await recorded(collector)
        stats = await recorder_of(collector).outbox.stats()
    assert stats.committed == stats.queued == len(found)
    for name in ("load", "parts"):
        story = [sample for tag, sample in found if tag == name]
        assert all(before.ts < after.ts for before, after in itertools.pairwise(story))
        told = [(s.value, s.reason if s.quality is Quality.BAD else None) for s in story]
        for (before, after), (one, two) in zip(
            itertools.pairwise(told), itertools.pairwise(story), strict=True
        ):
            confirmed = two.quality is not Quality.BAD and two.ts - one.ts >= 60_000_000
            assert before != after or confirmed, "a repeat before max_interval has passed"
        last = next((value for tag, value, _ in reversed(script) if tag == name), None)
        if name == "parts" and isinstance(last, int) and not isinstance(last, Reason):
            assert story[-1].value == last


# --- on real protocols ----------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def running(collector: Collector) -> AsyncIterator[None]:
    async with recorder_of(collector).running():
        task = asyncio.create_task(collector.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(met: Callable[[], bool], seconds: float = 15.0) -> None:
    start = time.monotonic()
    while not met():
        if time.monotonic() - start > seconds:
            raise AssertionError(f"not met within {seconds} s")
        await asyncio.sleep(0.02)


async def test_a_modbus_device_is_read_lost_and_found_again(tmp_path: Path) -> None:
    profile = press()
    server = ModbusServer(profile)
    server.update({"state": 3, "parts": 5, "load": 40.0})
    await server.start()
    port = int(server.url.rpartition(":")[2].partition("?")[0])
    counts: list[tuple[str, int]] = []
    at = device(server.url, options={"timeout": 0.2})
    async with collecting(tmp_path, profile, at) as collector:
        collector.on_count = lambda name, count: counts.append((name, count.total))
        async with running(collector):
            await until(lambda: counts == [("press-1", 5)])
            await server.stop()
            await until(lambda: not collector.connected)
            back = ModbusServer(profile, port=port)
            back.update({"state": 3, "parts": 6, "load": 41.5})
            async with back:
                await until(lambda: collector.connected)
                await until(lambda: counts[-1] == ("press-1", 6))
        found = await recorded(collector)
        parts = [(s.value, s.reason) for name, s in found if name == "parts"]
        assert parts == [(5, Reason.NONE), (None, Reason.NOT_CONNECTED), (6, Reason.NONE)]
        load = [s.value for name, s in found if name == "load"]
        assert load == [40.0, None, 41.5]
        events = await reported(collector)
        beats = [event.connected for event in events if isinstance(event, DeviceHeartbeat)]
        assert beats == [False, True, False, True]
        changes = [event.detail for event in events if isinstance(event, MachineStateChanged)]
        assert changes == ["running", "not_connected", "running"]
        assert collector.losses == 1


async def test_a_device_that_is_not_there_is_marked_once(tmp_path: Path) -> None:
    at = device(f"modbus://127.0.0.1:{free_port()}")
    attempts = 0

    def make() -> Driver[Any]:
        nonlocal attempts
        attempts += 1
        return driver_type("modbus").create(at.url, press(), {})

    async with collecting(tmp_path, press(), at, make=make) as collector:
        async with running(collector):
            await until(lambda: "not reach" in collector.detail or "refused" in collector.detail)
            await until(lambda: attempts >= 3)
        found = await recorded(collector)
        assert sorted(name for name, _ in found) == ["alarm", "load", "parts", "state"]
        assert {sample.reason for _, sample in found} == {Reason.NOT_CONNECTED}
        beats = [event for event in await reported(collector) if isinstance(event, DeviceHeartbeat)]
        assert len(beats) == 2
        assert collector.last_read == 0


async def test_a_device_that_accepts_connections_but_answers_nothing_is_lost_once(tmp_path: Path) -> None:
    profile = press()
    server = ModbusServer(profile)
    server.update({"state": 3, "parts": 5, "load": 40.0})
    async with server:
        attempts = 0
        at = device(server.url, options={"timeout": 0.05})

        def make() -> Driver[Any]:
            nonlocal attempts
            attempts += 1
            return driver_type("modbus").create(at.url, profile, at.options)

        async with collecting(tmp_path, profile, at, make=make) as collector:
            async with running(collector):
                await until(lambda: collector.connected)
                server.silent = True
                await until(lambda: attempts >= 4)
                assert not collector.connected
                server.silent = False
                await until(lambda: collector.connected)
            events = await reported(collector)
            beats = [event.connected for event in events if isinstance(event, DeviceHeartbeat)]
            assert beats == [False, True, False, True]
            assert collector.losses == 1


async def test_an_opc_ua_server_restarts(tmp_path: Path) -> None:
    profile = lathe()
    port = free_port()
    at = device(f"opc.tcp://127.0.0.1:{port}", options={"security": "none"})
    async with collecting(tmp_path, profile, at) as collector, running(collector):
        server = OpcuaServer(profile, port=port)
        server.update({"state": 3, "load": 12.5})
        async with server:
            await until(lambda: collector.machine.seen.word == "3")
            server.set("load", 13.5)
            await until(lambda: collector._tags["load"].value == 13.5)
        await until(lambda: not collector.connected)
        again = OpcuaServer(profile, port=port)
        again.update({"state": 1, "load": 14.5})
        async with again:
            await until(lambda: collector.machine.seen.word == "1")
        load = [s.value for name, s in await recorded(collector) if name == "load"]
        assert [value for value in load if value is not None] == [12.5, 13.5, 14.5]


def reads(collector: Collector, load: float) -> bool:
    return collector._tags["load"].value == load


async def test_a_machine_of_another_kind_is_told_once_and_read_all_the_same(tmp_path: Path) -> None:
    profile = lathe().model_copy(
        update={"identification": Identification(product="Lathe 7*"), "firmware": FirmwareRange(min="999")}
    )
    port = free_port()
    at = device(f"opc.tcp://127.0.0.1:{port}", options={"security": "none"})
    async with collecting(tmp_path, profile, at) as collector:
        async with running(collector):
            for load in (12.5, 13.5):
                server = OpcuaServer(profile, port=port)
                server.update({"state": 3, "load": load})
                async with server:
                    await until(partial(reads, collector, load))
                await until(lambda: not collector.connected)
        (notice,) = [event for event in await reported(collector) if isinstance(event, Notice)]
        assert notice.code == "device.identity"
        assert notice.text.startswith("press-1 is not what its profile was made for: ")
        assert '"Lathe 7*" expected' in notice.text
        assert "Check the device's address" in notice.text


async def test_a_driver_with_a_defect_does_not_stop_the_agent(tmp_path: Path) -> None:
    attempts = 0

    def broken() -> Driver[Any]:
        nonlocal attempts
        attempts += 1
        raise ZeroDivisionError("a defect")

    async with (
        collecting(tmp_path, press(), device(), make=broken) as collector,
        running(collector),
    ):
        await until(lambda: attempts >= 2)
        assert collector.detail == "ZeroDivisionError: a defect"


async def test_samples_that_find_no_room_are_counted_and_explained(tmp_path: Path) -> None:
    ticks = Ticks()
    profile = press()
    async with collecting(
        tmp_path, profile, device(), ticks.clock(), max_bytes=1 << 20, reserve=0
    ) as collector:
        outbox = recorder_of(collector).outbox
        ballast = "CREATE TABLE ballast (data BLOB)"
        await outbox.store.run(lambda db: db.execute(ballast).rowcount)
        with contextlib.suppress(Exception):
            while True:
                await outbox.store.run(
                    lambda db: db.execute("INSERT INTO ballast VALUES (zeroblob(3000))").rowcount
                )
        made = refused = 0
        for n in range(60):
            if n == 40:
                await outbox.store.run(lambda db: db.execute("DELETE FROM ballast").rowcount)
            ticks.pass_(1)
            rows = recorder_of(collector).rows
            for sample in range(200):
                rows.tags.append(1)
                rows.times.append(ticks.wall + sample)
                rows.values.append(hash((n, sample)) / 7)
            made += 200
            refused += not await recorder_of(collector).flush()
        assert refused
        found = await recorded(collector)
        stats = await outbox.stats()
        assert stats.committed == made
        assert stats.dropped > 0
        assert len(found) == stats.queued == made - stats.dropped
        assert len(found) >= 20 * 200
        stones = [event for event in await reported(collector) if isinstance(event, Dropped)]
        assert sum(stone.samples for stone in stones) == stats.dropped
        assert sum(stone.counts[1] for stone in stones) == stats.dropped
