"""Blocks of real servers, from the array to the samples, the ring and the answer."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from asyncua import ua

from drivers.driver import Capability, Captured, Driver, ReadFailed
from drivers.modbus.profile import ModbusProfile
from drivers.modbus.simulator import ModbusServer
from drivers.opcua.profile import OpcuaProfile, OpcuaTag
from drivers.opcua.simulator import OpcuaServer
from drivers.opcua.values import Mismatch, block_of
from drivers.profile.profile import AnyProfile
from edge.collector import Collector
from edge.outbox.outbox import Outbox
from edge.waveforms import taking
from edge.waveforms.blocks import Blocks
from edge.waveforms.ring import Ring
from protocols.lanes import Lane
from protocols.values import Quality, Reading, Reason, Sample
from protocols.waveforms import messages
from protocols.waveforms.block import decode
from protocols.waveforms.coding import values_of
from protocols.waveforms.messages import Chunk, Found, Wanted
from tests.edge.machines import STATES, collecting, device, recorded, recorder_of

RATE, LENGTH = 1000.0, 500
WAVE: dict[str, Any] = {"rate": RATE, "length": LENGTH, "every": 0.6, "bands": [[0, 100], [100, 500]]}


def spindle(protocol: str = "opcua", **wave: Any) -> AnyProfile:
    """A machine with a state, a trigger, a speed, a program and a waveform of 16-bit counts."""
    places = {
        "opcua": {name: f"ns=1;s={name}" for name in ("state", "ready", "speed", "program", "drive")},
        "modbus": {
            "state": "holding:0",
            "ready": "coil:0",
            "speed": "holding:4",
            "program": "holding:10",
            "drive": "holding:100",
        },
    }[protocol]
    tags: dict[str, Any] = {
        "state": {"type": "int32", "role": "state"},
        "ready": {"type": "bool"},
        "speed": {"type": "float32", "unit": "1/min"},
        "program": {"type": "string", "role": "program", "length": 16},
    }
    for name, tag in tags.items():
        tag |= {"address": places[name], "sampling": 0.05}
    tags["drive"] = {
        "address": places["drive"],
        "type": "int16",
        "unit": "m/s²",
        "scale": 0.01,
        "role": "vibration",
        "waveform": {**WAVE, **wave},
    }
    head = {"vendor": "A", "model": "S", "protocol": protocol, "tags": tags, "states": STATES}
    kind = OpcuaProfile if protocol == "opcua" else ModbusProfile
    more = {"opcua": {"namespaces": ["urn:test:spindle"]}} if protocol == "opcua" else {}
    return cast("AnyProfile", kind.model_validate({**head, **more}))


def counts(amplitude: float, hertz: float = 50.0) -> Any:
    samples = amplitude * np.sin(2 * np.pi * hertz * np.arange(LENGTH) / RATE)
    return np.rint(samples / 0.01).astype(np.int16)


@contextlib.asynccontextmanager
async def running(folder: Path, profile: AnyProfile, server: Any) -> AsyncIterator[Collector]:
    at = device(server.url, options={"security": "none"} if profile.protocol == "opcua" else {"timeout": 0.5})
    async with collecting(folder, profile, at) as collector, recorder_of(collector).running():
        task = asyncio.create_task(collector.run())
        try:
            yield collector
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


def blocks_of(collector: Collector) -> Blocks:
    assert collector.blocks is not None
    return collector.blocks


def taken(collector: Collector) -> int:
    assert collector.taking is not None
    return collector.taking.taken


async def samples(collector: Collector, name: str) -> list[Sample]:
    return [sample for tag, sample in await recorded(collector) if tag == name]


@pytest.mark.parametrize("protocol", ["opcua", "modbus"])
async def test_an_array_becomes_numbers_and_a_block_in_the_ring(tmp_path: Path, protocol: str) -> None:
    profile = spindle(protocol, shaft="speed")
    server = OpcuaServer(profile) if protocol == "opcua" else ModbusServer(profile)
    async with server:
        server.update({"state": 3, "speed": 3000.0, "program": "P-7"})
        server.set_block("drive", counts(4.0))
        async with running(tmp_path, profile, server) as collector:
            await until(lambda: taken(collector) == 1)
            server.set_block("drive", counts(8.0))
            await until(lambda: taken(collector) == 2)
            first, second = (await samples(collector, "drive.rms"))[:2]
            expected = [4 / math.sqrt(2), 8 / math.sqrt(2)]
            assert [first.value, second.value] == pytest.approx(expected, abs=0.01)
            assert first.quality is Quality.GOOD
            (shaft, *_) = await samples(collector, "drive.shaft")
            assert shaft.value == pytest.approx(4.0, abs=0.02)
            (crest, *_) = await samples(collector, "drive.crest")
            assert crest.value == pytest.approx(math.sqrt(2), rel=0.01)
            oldest, newest = blocks_of(collector).ring.blocks("press-1/drive")
            assert values_of(oldest) == pytest.approx(counts(4.0) * 0.01)
            assert (oldest.regime, oldest.turns, oldest.unit) == ("3 P-7", 50.0, "m/s²")
            assert abs(newest.ts - second.ts) < 2_000_000
            health = blocks_of(collector).health
            assert health is not None and (health.taken, health.kept, health.problem) == (2, 2, "")
            definition = next(t for t in collector.catalogue.tags if t.path == "press-1/drive.rms")
            assert (definition.role, definition.unit, definition.max_interval) == ("vibration", "m/s²", 0)


async def test_the_same_block_is_taken_once_and_is_stale_at_last(tmp_path: Path) -> None:
    profile = spindle()
    async with OpcuaServer(profile) as server:
        server.set_block("drive", counts(4.0))
        async with running(tmp_path, profile, server) as collector:
            await until(lambda: "drive" in collector.problems)
            assert "the machine has shown the same block for 1.8 s" in collector.problems["drive"]
            found = await samples(collector, "drive.rms")
            assert [(s.quality, s.reason) for s in found] == [
                (Quality.GOOD, Reason.NONE),
                (Quality.BAD, Reason.STALE),
            ]
            assert taken(collector) == 1
            server.set_block("drive", counts(5.0))
            await until(lambda: taken(collector) == 2)
            assert "drive" not in collector.problems


async def test_the_numbers_of_a_block_are_not_repeated_without_a_block(tmp_path: Path) -> None:
    profile = spindle(every=3600)
    async with OpcuaServer(profile) as server:
        server.set_block("drive", counts(4.0))
        async with running(tmp_path, profile, server) as collector:
            await until(lambda: taken(collector) == 1)
            for _ in range(3):
                collector.sweep()
            assert len(await samples(collector, "drive.rms")) == 1


async def test_blocks_are_taken_while_the_machine_runs(tmp_path: Path) -> None:
    profile = spindle(when="running", every=0.5)
    async with OpcuaServer(profile) as server:
        server.set_block("drive", counts(4.0))
        server.update({"state": 1})
        async with running(tmp_path, profile, server) as collector:
            await until(lambda: collector.machine.seen.word == "1")
            await asyncio.sleep(2 * taking.LOOK)
            assert taken(collector) == 0
            server.update({"state": 3})
            await until(lambda: taken(collector) == 1)


async def test_a_block_is_taken_when_its_trigger_rises(tmp_path: Path) -> None:
    profile = spindle("modbus", trigger="ready", every=0.6)
    async with ModbusServer(profile) as server, running(tmp_path, profile, server) as collector:
        await until(lambda: collector.reads_well)
        server.set_block("drive", counts(3.0))
        await asyncio.sleep(2 * taking.LOOK)
        assert taken(collector) == 0
        server.set("ready", True)
        await until(lambda: taken(collector) == 1)
        server.set("ready", False)
        await until(lambda: collector.values(["ready"]) == {"ready": False})
        server.set_block("drive", counts(6.0))
        server.set("ready", True)
        await until(lambda: taken(collector) == 2)
        found = await samples(collector, "drive.rms")
        assert [s.value for s in found] == pytest.approx([3 / math.sqrt(2), 6 / math.sqrt(2)], abs=0.01)


async def test_an_array_of_another_length_is_told_and_costs_only_its_numbers(tmp_path: Path) -> None:
    profile = spindle()
    async with OpcuaServer(profile) as server:
        server.update({"speed": 5.0})
        server._queue("drive", ua.DataValue(ua.Variant([1] * 400, ua.VariantType.Int16)))
        async with running(tmp_path, profile, server) as collector:
            await until(lambda: "drive" in collector.problems)
            assert "the server sends 400 samples, waveform.length says 500" in collector.problems["drive"]
            (rms,) = await samples(collector, "drive.rms")
            assert (rms.value, rms.quality, rms.reason) == (None, Quality.BAD, Reason.DEVICE_FAILURE)
            assert collector.connected and (await samples(collector, "speed"))[-1].value == 5.0
            server.set_block("drive", counts(2.0))
            await until(lambda: "drive" not in collector.problems)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("int16", [0.5] * 100, "the server sends an array of float, the profile says int16"),
        ("int16", [70_000] * 100, "the server sends 70000 to 70000, a int16 holds -32768 to 32767"),
        ("int16", 5, "the server sends no array"),
        ("int16", None, "the server sends no array"),
        ("float32", [True] * 100, "the server sends an array of bool"),
        ("float32", ["a"] * 100, "the server sends an array of str"),
        ("float32", [[1.0]] * 100, "the server sends an array of list"),
        ("uint16", [1] * 99, "the server sends 99 samples, waveform.length says 100"),
    ],
)
def test_what_is_no_array_of_the_tag_s_type_is_no_block(kind: str, value: Any, words: str) -> None:
    tag = OpcuaTag.model_validate({"address": "i=1", "type": kind})
    with pytest.raises(Mismatch, match=words):
        block_of(tag, value, 100)


def test_whole_numbers_are_floats_to_a_tag_of_floats() -> None:
    tag = OpcuaTag.model_validate({"address": "i=1", "type": "float32"})
    assert block_of(tag, [1] * 100, 100).dtype == np.float32


async def test_flat_clipped_and_broken_signals_are_said_to_be_so(tmp_path: Path) -> None:
    profile = spindle()
    async with OpcuaServer(profile) as server:
        server.set_block("drive", np.full(LENGTH, 7, np.int16))
        async with running(tmp_path, profile, server) as collector:
            await until(lambda: "the signal is flat" in collector.problems.get("drive", ""))
            (kurtosis,) = await samples(collector, "drive.kurtosis")
            assert (kurtosis.quality, kurtosis.reason) == (Quality.BAD, Reason.SENSOR_FAILURE)
            server.set_block("drive", np.clip(counts(400.0).astype(int) * 20, -32768, 32767).astype(np.int16))
            await until(lambda: "cut off at the ends of the range" in collector.problems.get("drive", ""))
            *_, rms = await samples(collector, "drive.rms")
            assert (rms.quality, rms.reason) == (Quality.UNCERTAIN, Reason.OUT_OF_RANGE)


async def test_samples_that_are_no_numbers_make_bad_numbers_and_no_block(tmp_path: Path) -> None:
    profile = spindle()
    data = profile.model_dump()
    data["waveforms"]["drive"] |= {"type": "float32", "scale": 1.0}
    profile = cast("AnyProfile", OpcuaProfile.model_validate(data))
    async with OpcuaServer(profile) as server:
        broken = counts(4.0).astype(np.float32)
        broken[7:10] = np.nan
        server.set_block("drive", broken)
        async with running(tmp_path, profile, server) as collector:
            await until(lambda: "3 of 500 samples are no numbers" in collector.problems.get("drive", ""))
            (rms,) = await samples(collector, "drive.rms")
            assert (rms.quality, rms.reason) == (Quality.BAD, Reason.SENSOR_FAILURE)
            assert len(blocks_of(collector).ring) == 0


async def test_a_lost_machine_has_no_numbers_until_its_next_block(tmp_path: Path) -> None:
    profile = spindle("modbus")
    server = ModbusServer(profile)
    server.set_block("drive", counts(4.0))
    await server.start()
    async with running(tmp_path, profile, server) as collector:
        await until(lambda: taken(collector) == 1)
        await server.stop()
        await until(lambda: not collector.connected)
        *_, rms = await samples(collector, "drive.rms")
        assert (rms.quality, rms.reason) == (Quality.BAD, Reason.NOT_CONNECTED)
        server.set_block("drive", counts(5.0))
        await server.start()
        await until(lambda: taken(collector) == 2)
        *_, rms = await samples(collector, "drive.rms")
        assert rms.quality is Quality.GOOD
    await server.stop()


async def test_a_block_that_the_device_fills_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    """Each request is answered from another block, five times; then the device rests."""
    profile = spindle("modbus")
    async with ModbusServer(profile) as server:
        answer, turns = server.answer_read, iter(range(5))

        def restless(unit: int, function: int, start: int, size: int) -> Any:
            if start >= 100 and (turn := next(turns, None)) is not None:
                server.set_block("drive", counts(1.0 + turn))
            return answer(unit, function, start, size)

        server.answer_read = restless  # type: ignore[method-assign]
        async with running(tmp_path, profile, server) as collector:
            await until(lambda: taken(collector) == 1)
            (only,) = blocks_of(collector).ring.blocks("press-1/drive")
            assert values_of(only) == pytest.approx(counts(5.0) * 0.01)


class Arrayless(Driver[Any]):
    """Somebody else's driver, from before there were waveforms."""

    capabilities = frozenset({Capability.READ})

    async def connect(self) -> None:
        """There at once."""

    async def close(self) -> None:
        """Nothing to close."""

    async def stream(self, deliver: Any) -> None:
        deliver([Reading("state", 3)])
        await asyncio.Event().wait()

    async def read(self, paths: Any) -> list[Reading]:
        return [Reading(path, 3) for path in paths]

    async def identify(self) -> Any:
        from drivers.driver import Identity

        return Identity()

    async def send(self, path: str, tag: Any, value: Any) -> None:
        raise AssertionError("nothing is written")


class Defective(Arrayless):
    """One whose way of reading arrays has a defect."""

    capabilities = frozenset({Capability.READ, Capability.WAVEFORMS})

    async def capture(self, path: str) -> Captured:
        raise ZeroDivisionError(path)


@pytest.mark.parametrize(
    ("kind", "words", "reason"),
    [
        (Arrayless, "reads no arrays: remove the key waveform", Reason.CONFIGURATION),
        (Defective, "ZeroDivisionError: drive", Reason.OTHER),
    ],
)
async def test_a_driver_without_arrays_or_with_a_defect_costs_only_the_numbers(
    tmp_path: Path, kind: type[Driver[Any]], words: str, reason: Reason
) -> None:
    from drivers.opcua.options import OpcuaOptions

    profile = spindle()
    made = kind("opc.tcp://x:1", profile, OpcuaOptions(security="none"))
    async with (
        collecting(tmp_path, profile, device(), make=lambda: made) as collector,
        recorder_of(collector).running(),
    ):
        task = asyncio.create_task(collector.run())
        await until(lambda: "drive" in made.problems)
        assert words in made.problems["drive"]
        (rms,) = await samples(collector, "drive.rms")
        assert (rms.quality, rms.reason) == (Quality.BAD, reason)
        assert collector.connected
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


# --- questions ----------------------------------------------------------------------------------------


async def answers(collector: Collector) -> list[messages.Message]:
    outbox: Outbox = recorder_of(collector).outbox
    found = []
    for sealed in await outbox.pending():
        if sealed.key.lane is Lane.BULK:
            found.append(messages.decode(await outbox.blob(sealed.key) or b""))
    return found


async def test_a_question_is_answered_once_by_the_bulk_lane(tmp_path: Path) -> None:
    profile = spindle()
    async with OpcuaServer(profile) as server:
        server.set_block("drive", counts(4.0))
        async with running(tmp_path, profile, server) as collector:
            await until(lambda: taken(collector) == 1)
            blocks = blocks_of(collector)
            oldest, _ = blocks.ring.span("press-1/drive")
            wanted = Wanted("q1", "press-1/drive", oldest - 1000, oldest + 1000)
            for _ in range(3):
                await blocks.asked(wanted)
            *parts, found = await answers(collector)
            assert found == Found("q1", "press-1/drive", (oldest,), oldest, oldest)
            assert [type(part) for part in parts] == [Chunk]
            data = b"".join(part.data for part in parts if isinstance(part, Chunk))
            assert values_of(decode(data)) == pytest.approx(counts(4.0) * 0.01)
            stats = await recorder_of(collector).outbox.stats()
            assert stats.lanes[Lane.BULK].batches == 2


@pytest.mark.parametrize(
    ("path", "shift", "words"),
    [
        ("press-1/drive", -90_000_000_000, "overwritten: the edge keeps blocks of press-1/drive from"),
        ("press-1/drive", 90_000_000_000, "not taken yet: the newest block of press-1/drive is of"),
        ("press-1/drvie", 0, 'no such waveform: "press-1/drvie" is not one of press-1/drive'),
        ("press-2/drive", 0, "no such waveform"),
    ],
)
async def test_a_block_that_is_not_there_is_an_answer_too(
    tmp_path: Path, path: str, shift: int, words: str
) -> None:
    profile = spindle()
    async with OpcuaServer(profile) as server:
        server.set_block("drive", counts(4.0))
        async with running(tmp_path, profile, server) as collector:
            await until(lambda: taken(collector) == 1)
            blocks = blocks_of(collector)
            ts, _ = blocks.ring.span("press-1/drive")
            await blocks.asked(Wanted("q1", path, ts + shift, ts + shift))
            (found,) = await answers(collector)
            assert isinstance(found, Found) and found.blocks == () and words in found.why


async def test_an_edge_that_has_taken_nothing_says_so(tmp_path: Path) -> None:
    async with collecting(tmp_path, spindle(), device()) as collector:
        await blocks_of(collector).asked(Wanted("q1", "press-1/drive", 1, 2))
        (found,) = await answers(collector)
        assert isinstance(found, Found) and "none was taken yet" in found.why


async def test_blocks_that_cannot_be_kept_cost_no_numbers(tmp_path: Path) -> None:
    (tmp_path / "waveforms").write_text("somebody put a file here")
    profile = spindle()
    async with OpcuaServer(profile) as server:
        server.set_block("drive", counts(4.0))
        async with running(tmp_path, profile, server) as collector:
            await until(lambda: taken(collector) == 1)
            (rms,) = await samples(collector, "drive.rms")
            assert rms.quality is Quality.GOOD
            health = blocks_of(collector).health
            assert health is not None and (health.taken, health.kept) == (1, 0)
            assert "exists" in health.problem or "directory" in health.problem


def test_a_block_deleted_behind_our_back_is_none(tmp_path: Path) -> None:
    from edge.waveforms.ring import RingBounds
    from tests.edge.waveforms.blocks import block

    ring = Ring(tmp_path / "waveforms")
    ring.open()
    ring.put("laser-1/drive", 5, block(5), RingBounds(1 << 20, 30))
    next(ring.folder.rglob("*.block")).unlink()
    assert ring.read("laser-1/drive", 5) is None


async def test_a_driver_says_why_a_block_cannot_be_read(tmp_path: Path) -> None:
    from drivers.registry import driver_type

    profile = spindle("modbus")
    async with ModbusServer(profile) as server:
        from drivers.modbus.profile import Table

        server.illegal.add((Table.HOLDING, 130))
        async with driver_type("modbus").create(server.url, profile, {"timeout": 0.5}) as driver:
            with pytest.raises(ReadFailed, match=r'"drive", holding:100: exception 2'):
                await cast("Any", driver).capture("drive")


async def test_who_looks_whether_a_profile_is_right_sees_the_numbers_of_its_waveforms() -> None:
    from drivers.registry import driver_type
    from edge.commission.reading import read_all, row, rows

    profile = spindle("modbus", shaft="speed")
    async with ModbusServer(profile) as server:
        server.update({"state": 3, "speed": 3000.0})
        server.set_block("drive", counts(4.0))
        driver = driver_type("modbus").create(server.url, profile, {"timeout": 0.5})
        readings = await read_all(driver, [*profile.tags, *profile.waveforms])
        found = {reading.path: reading.value for reading in readings}
        assert found["drive.shaft"] == pytest.approx(4.0, abs=0.02) and found["speed"] == 3000.0
        assert ("drive.rms", "2.828346 m/s²", "") in [row(reading, profile) for reading in readings]
        assert {each["unit"] for each in rows(readings, driver) if each["tag"] == "drive.rms"} == {"m/s²"}
        server.set_block("drive", np.zeros(LENGTH, np.int16))
        again = driver_type("modbus").create(server.url, profile, {"timeout": 0.5})
        flat = await read_all(again, ["drive"])
        shown = [row(reading, profile, again.problems) for reading in flat]
        assert ("drive.crest", "✕", "sensor_failure: the signal is flat: is the sensor connected?") in shown
