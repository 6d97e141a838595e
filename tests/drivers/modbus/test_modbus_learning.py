"""What the driver learns of a device and how it writes: one bit of a register, functions that an old device
does not know, a sensor that fails beside others that do not."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.driver import DeviceLost, Identity, WriteFailed, WriteUnknown
from drivers.modbus import bus as modbus_bus
from drivers.modbus.address import Bus, Transport
from drivers.modbus.planning import ISOLATE, Knowledge, Limits, Request, Span, isolate, plan
from drivers.modbus.profile import Table
from drivers.modbus.simulator import ModbusServer
from protocols.values import Quality, Reason
from tests.drivers.modbus.devices import Behave, Frame, device, registers, reply
from tests.drivers.modbus.test_modbus_driver import block, driver, profile
from tests.drivers.streams import streaming

BIT: dict[str, Any] = {"address": "holding:5", "type": "bool", "access": "read-write"}
BITS: dict[str, dict[str, Any]] = {
    "low": {**BIT, "bit": 2},
    "high": {**BIT, "bit": 12},
    "word": {"address": "holding:5"},
}


# --- one bit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["ABCD", "BADC", "CDAB", "DCBA"])
@pytest.mark.parametrize("how", ["mask", "read_modify_write"])
async def test_one_bit_is_written_and_the_others_stay(how: str, order: str) -> None:
    model = profile(BITS, bit_write=how, word_order=order)
    async with ModbusServer(model) as server, driver(server.url, model) as made:
        server.set("word", 0b0100_1000_0000_0001)
        assert (await made.write("low", True)).value is True
        assert (await made.write("high", True)).value is True
        assert server.get("word") == 0b0101_1000_0000_0101
        await made.write("low", False)
        assert server.get("word") == 0b0101_1000_0000_0001


def test_a_bit_that_is_written_nobody_says_how_is_refused() -> None:
    with pytest.raises(ValidationError, match="bit_write: mask"):
        profile(BITS)


async def answering(answers: dict[int, bytes], asked: list[bytes], frame: Frame) -> bytes | None:
    """The reply to a frame by its function; an exception 1 to what is not there."""
    asked.append(frame[2])
    function = frame[2][0]
    if function in answers:
        return reply(frame, answers[function])
    if function in (6, 16, 22):
        return reply(frame, frame[2][:5] if function == 16 else frame[2])
    return reply(frame, bytes([function | 0x80, 1]))


def behaving(answers: dict[int, bytes], asked: list[bytes]) -> Behave:
    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        if (data := await answering(answers, asked, frame)) is not None:
            writer.write(data)

    return behave


@pytest.mark.parametrize(
    ("defaults", "sent"),
    [
        ({"bit_write": "mask"}, [struct.pack(">BHHH", 22, 5, 0xFFFB, 4)]),
        (
            {"bit_write": "read_modify_write"},
            [struct.pack(">BHH", 3, 5, 1), struct.pack(">BHH", 6, 5, 0x8005)],
        ),
        (
            {"bit_write": "read_modify_write", "single_write": 16},
            [struct.pack(">BHH", 3, 5, 1), struct.pack(">BHHBH", 16, 5, 1, 2, 0x8005)],
        ),
    ],
)
async def test_how_a_bit_travels(defaults: dict[str, Any], sent: list[bytes]) -> None:
    model, asked = profile(BITS, **defaults), list[bytes]()
    async with (
        device(behaving({3: b"\3\2\x80\x01"}, asked)) as address,
        driver(address, model) as made,
    ):
        await made.send("low", model.tags["low"], True)
    assert asked == sent


async def test_a_single_register_is_written_by_function_16_where_the_profile_says_so() -> None:
    model = profile({"target": {"address": "holding:8", "access": "read-write"}}, single_write=16)
    asked: list[bytes] = []
    async with device(behaving({3: b"\3\2\0\5"}, asked)) as address, driver(address, model) as made:
        assert (await made.write("target", 5)).value == 5
    assert asked[0] == struct.pack(">BHHBH", 16, 8, 1, 2, 5)


async def test_a_device_without_function_22_says_so() -> None:
    model = profile(BITS, bit_write="mask")
    async with device(behaving({22: b"\x96\1"}, [])) as address, driver(address, model) as made:
        with pytest.raises(WriteFailed, match="illegal function"):
            await made.send("low", model.tags["low"], True)


async def test_what_cannot_be_read_is_not_written() -> None:
    model, asked = profile(BITS, bit_write="read_modify_write"), list[bytes]()
    async with device(behaving({3: b"\x83\2"}, asked)) as address, driver(address, model) as made:
        with pytest.raises(WriteFailed, match="nothing was written, the register could not be read"):
            await made.send("low", model.tags["low"], True)
    assert [pdu[0] for pdu in asked] == [3]


async def test_between_the_reading_and_the_writing_of_a_bit_nobody_else_is_asked() -> None:
    """Two units, two drivers, one connection: five bits each, at once, beside reads."""
    model = profile({f"b{n}": {**BIT, "bit": n} for n in range(5)}, bit_write="read_modify_write")
    async with ModbusServer(model) as server, contextlib.AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(driver(server.url, model)) for _ in range(2)]
        writes = [
            made.send(f"b{n}", model.tags[f"b{n}"], True) for n in range(5) for made in ((one, two)[n % 2],)
        ]
        await asyncio.gather(*writes, *(one.read(["b0"]) for _ in range(5)))
        assert all(server.get(f"b{n}") for n in range(5))


async def test_an_unanswered_change_of_a_bit_is_unknown() -> None:
    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        if frame[2][0] == 3:
            writer.write(registers(frame, 1))

    model = profile(BITS, bit_write="read_modify_write")
    async with device(behave) as address, driver(address, model, timeout=0.1) as made:
        with pytest.raises(WriteUnknown):
            await made.send("low", model.tags["low"], True)


# --- identification -------------------------------------------------------------------------------------


async def test_an_old_device_is_asked_for_its_server_id() -> None:
    said = b"\x11\x0c" + b"\x02Pump 3\0\xfe\xffA\n"
    asked: list[bytes] = []
    async with device(behaving({17: said}, asked)) as address, driver(address, profile(block(1))) as made:
        assert await made.identify() == Identity(product="Pump 3A")
    assert [pdu[0] for pdu in asked] == [0x2B, 17]


@pytest.mark.parametrize("answers_reads", [True, False])
async def test_a_device_that_takes_the_question_for_noise_is_not_lost(answers_reads: bool) -> None:
    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        if frame[2][0] == 3 and answers_reads:
            writer.write(registers(frame, 1))

    async with device(behave) as address, driver(address, profile(block(1)), timeout=0.1) as made:
        if answers_reads:
            assert await made.identify() == Identity()
        else:
            with pytest.raises(DeviceLost, match="no reply"):
                await made.identify()


@pytest.mark.parametrize("code", [2, 3, 4, 11])
async def test_any_other_refusal_asks_nothing_more(code: int) -> None:
    asked: list[bytes] = []
    async with (
        device(behaving({0x2B: bytes([0xAB, code])}, asked)) as address,
        driver(address, profile(block(1))) as made,
    ):
        assert await made.identify() == Identity()
    assert len(asked) == 1


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_a_device_that_takes_it_ill_is_not_asked_again(hangs_up: bool) -> None:
    asked: list[int] = []

    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        asked.append(frame[2][0])
        if frame[2][0] == 0x2B:
            writer.write(reply(frame, b"\xab\1"))
        elif hangs_up:
            writer.close()

    async with device(behave) as address:
        for _ in range(2):
            async with driver(address, profile(block(1)), timeout=0.1) as made:
                with contextlib.suppress(DeviceLost):
                    assert await made.identify() == Identity()
    assert asked == [0x2B, 17, 0x2B]


# --- what is remembered ---------------------------------------------------------------------------------


async def test_where_a_device_must_be_cut_is_known_at_the_next_connection() -> None:
    model = profile({"a": {"address": "holding:0"}, "b": {"address": "holding:9"}})
    async with ModbusServer(model, gaps=False) as server:
        async with driver(server.url, model) as made:
            assert [r.quality for r in await made.read(["a", "b"])] == [Quality.GOOD] * 2
        learnt, server.requests = server.requests, 0
        async with driver(server.url, model) as made:
            assert [r.quality for r in await made.read(["a", "b"])] == [Quality.GOOD] * 2
        assert (learnt, server.requests) == (5, 2)


async def test_an_illegal_address_is_asked_for_again_at_the_next_connection() -> None:
    model = profile(block(2))
    async with ModbusServer(model) as server:
        server.illegal.add((Table.HOLDING, 1))
        async with driver(server.url, model) as made:
            assert (await made.read(["r1"]))[0].reason is Reason.ILLEGAL_ADDRESS
        server.illegal.clear()
        async with driver(server.url, model) as made:
            assert (await made.read(["r1"]))[0].quality is Quality.GOOD


async def test_only_so_many_devices_are_remembered() -> None:
    bus = Bus(Transport.TCP, "plc")
    first = modbus_bus.remembered(bus, 0, [])
    assert modbus_bus.remembered(bus, 0, []) is first
    for port in range(modbus_bus.REMEMBERED):
        modbus_bus.remembered(Bus(Transport.TCP, "plc", port), 1, [])
    assert modbus_bus.remembered(bus, 0, []) is not first
    assert len(modbus_bus._memories[asyncio.get_running_loop()]) == modbus_bus.REMEMBERED


# --- a sensor that fails --------------------------------------------------------------------------------


async def test_a_failing_sensor_does_not_blind_its_neighbours_and_comes_back() -> None:
    model = profile(block(20))
    async with ModbusServer(model) as server, streaming(driver(server.url, model)) as (received, _):
        await received.until(lambda: bool(received.of("r7")), "a first value")
        server.fail("r7", Reason.DEVICE_FAILURE)
        await received.until(lambda: received.of("r7")[-1].quality is Quality.BAD, "the failure")
        seen = len(received.of("r6"))
        await received.until(lambda: len(received.of("r6")) > seen + 3, "its neighbour's values")
        assert received.of("r7")[-1].reason is Reason.DEVICE_FAILURE
        bad = {r.path for r in received.readings if r.quality is Quality.BAD}
        assert bad == {"r7"}
        server.set("r7", 5)
        await received.until(lambda: received.of("r7")[-1].value == 5, "its value")
        await received.until(lambda: len(received.of("r7")) > 20, "some polls")
        server.requests = 0
        seen = len(received.of("r7"))
        await received.until(lambda: len(received.of("r7")) >= seen + 5, "more polls")
        assert server.requests <= 7, "they share one request again"


async def test_a_device_that_fails_as_a_whole_costs_a_few_requests_once() -> None:
    model = profile(block(60))
    async with ModbusServer(model) as server, driver(server.url, model) as made:
        for name in model.tags:
            server.fail(name, Reason.DEVICE_FAILURE)
        for _ in range(5):
            assert {r.reason for r in await made.read(list(model.tags))} == {Reason.DEVICE_FAILURE}
        assert server.requests == 5 + ISOLATE


@given(st.integers(1, 60), st.sets(st.integers(0, 59), max_size=8))
def test_isolating_costs_little_and_parts_only_what_fails(size: int, wrong: set[int]) -> None:
    """Afterwards nothing that fails shares a request with what does not, or nothing was learnt."""
    spans = [Span(f"r{n}", Table.HOLDING, n, 1) for n in range(size)]
    failing = wrong & set(range(size))
    (request,) = plan(spans, Limits(), Knowledge())
    knowledge, tries = Knowledge(), 0
    search = isolate(request, knowledge)

    def fails(attempt: Request) -> bool:
        return any(attempt.start <= n < attempt.end for n in failing)

    attempt = next(search, None)
    while attempt is not None:
        tries += 1
        try:
            attempt = search.send(not fails(attempt))
        except StopIteration:
            break
    assert tries <= ISOLATE
    if knowledge.failing:
        assert {start for _, start, _ in knowledge.failing} == failing
        assert 2 * len(failing) <= size
    requests = plan(spans, Limits(), knowledge)
    assert sorted(s.name for r in requests for s in r.spans) == sorted(s.name for s in spans)
    if knowledge.failing:
        assert all(r.size == 1 for r in requests if fails(r))
    elif len(failing) == 1 and 1 < size <= 60:
        raise AssertionError("one failing sensor of so few is always found")
