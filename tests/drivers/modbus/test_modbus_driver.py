"""The Modbus driver against real sockets: well-behaved servers, and devices that are not."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from pymodbus.pdu import ExceptionResponse

from drivers.contract import Received
from drivers.driver import ConnectError, DeviceLost, Identity, WriteFailed, WriteUnknown
from drivers.modbus.address import Bus, Line, Transport, parse_url
from drivers.modbus.driver import MODBUS, ModbusDriver
from drivers.modbus.profile import ModbusProfile, Table
from drivers.modbus.simulator import ModbusServer
from protocols.values import Quality, Reading, Reason
from tests.drivers.modbus.devices import Frame, device, registers, reply
from tests.drivers.streams import streaming


def profile(tags: dict[str, dict[str, Any]], **defaults: Any) -> ModbusProfile:
    writes: dict[str, Any] = {name: {} for name, tag in tags.items() if tag.get("access") == "read-write"}
    return ModbusProfile.model_validate(
        {
            "vendor": "Test",
            "model": "M",
            "protocol": "modbus",
            "modbus": defaults,
            "tags": {name: {"type": "uint16", "sampling": 0.05, **tag} for name, tag in tags.items()},
            "writes": writes,
        }
    )


def block(size: int, start: int = 0) -> dict[str, dict[str, Any]]:
    return {f"r{n}": {"address": f"holding:{n}"} for n in range(start, start + size)}


def driver(address: str, model: ModbusProfile, **options: Any) -> ModbusDriver:
    made = MODBUS.create(address, model, {"timeout": 0.2, **options})
    assert isinstance(made, ModbusDriver)
    return made


async def test_contiguous_tags_are_read_in_as_few_requests_as_possible() -> None:
    model = profile(block(250))
    async with ModbusServer(model) as server, driver(server.url, model) as reader:
        readings = await reader.read(list(model.tags))
        assert len(readings) == 250
        assert server.requests == 2


async def test_an_illegal_address_in_the_middle_of_a_block_costs_only_itself() -> None:
    model = profile(block(100))
    server = ModbusServer(model)
    server.illegal.add((Table.HOLDING, 37))
    for n in range(100):
        server.set(f"r{n}", n)
    async with server, streaming(driver(server.url, model)) as (received, _):
        await received.until(lambda: len({r.path for r in received.readings}) == 100, "all tags")
        good = {r.path: r.value for r in received.readings if r.quality is Quality.GOOD}
        assert good == {f"r{n}": n for n in range(100) if n != 37}
        assert received.of("r37") == [Reading("r37", None, Quality.BAD, Reason.ILLEGAL_ADDRESS)]
        # What was learnt holds: two requests a round from now on, and r37 is not said to be bad again.
        before, rounds = server.requests, len(received.of("r0"))
        await received.until(lambda: len(received.of("r99")) >= rounds + 5, "five more rounds")
        assert server.requests - before <= 2 * (len(received.of("r0")) - rounds + 1)
        assert len(received.of("r37")) == 1


async def test_an_illegal_gap_is_not_read_and_both_sides_are() -> None:
    model = profile({"a": {"address": "holding:0"}, "b": {"address": "holding:5"}})
    async with ModbusServer(model, gaps=False) as server, driver(server.url, model) as reader:
        server.update({"a": 1, "b": 2})
        assert [r.value for r in await reader.read(["a", "b"])] == [1, 2]
        assert server.requests == 1 + 2 + 2
        await reader.read(["a", "b"])
        assert server.requests == 1 + 2 + 2 + 2


async def test_a_device_with_a_smaller_limit_than_the_profile_says_is_learnt() -> None:
    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        _, size = struct.unpack(">HH", frame[2][1:5])
        writer.write(reply(frame, bytes([0x83, 3])) if size > 20 else registers(frame, 9))

    model = profile(block(100))
    async with device(behave) as address, driver(address, model) as reader:
        readings = await reader.read(list(model.tags))
        assert {r.value for r in readings} == {9}


async def test_an_address_that_becomes_legal_is_found_again() -> None:
    model = profile(block(20))
    server = ModbusServer(model)
    server.illegal.add((Table.HOLDING, 7))
    async with server, streaming(driver(server.url, model, retry=0.2)) as (received, _):
        await received.until(lambda: bool(received.of("r7")), "the refusal")
        rounds = len(received.of("r0"))
        await received.until(lambda: len(received.of("r0")) >= rounds + 10, "more rounds")
        assert len(received.of("r7")) == 1, "a lasting refusal is said once"
        server.illegal.clear()
        server.set("r7", 77)
        await received.until(lambda: received.of("r7")[-1].value == 77, "r7 = 77")


async def test_a_device_that_refuses_a_request_and_keeps_silent_on_its_parts_starves_nobody() -> None:
    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        start, size = struct.unpack(">HH", frame[2][1:5])
        if start >= 500:
            writer.write(registers(frame, 9))
        elif size == 10:
            writer.write(reply(frame, bytes([0x83, 2])))

    far = {"far": {"address": "holding:500"}}
    slow = {"slow": {"address": "holding:600", "sampling": 0.2}}
    model = profile({**block(10), **far, **slow})
    async with device(behave) as address:
        made = driver(address, model, timeout=0.05, lost_after=3)
        async with streaming(made) as (received, task):
            await received.until(lambda: len(received.of("far")) >= 3 and bool(received.of("slow")), "both")
            assert not task.done()
    assert [r.reason for r in received.of("r3")] == [Reason.ILLEGAL_ADDRESS]


async def test_a_unit_that_never_answers_is_asked_about() -> None:
    model = profile(block(3))
    async with ModbusServer(model) as server:
        address = server.url.replace("unit=1", "unit=9")
        async with driver(address, model, timeout=0.05, lost_after=1) as reader:
            with pytest.raises(DeviceLost, match=r"is there a unit 9 at this address \(\?unit=\)"):
                await reader.read(["r0"])


async def test_other_exceptions_mark_the_tags_and_the_stream_goes_on() -> None:
    model = profile({"a": {"address": "holding:0"}, "b": {"address": "holding:500"}})
    async with ModbusServer(model) as server, streaming(driver(server.url, model)) as (received, task):
        await received.until(lambda: bool(received.of("b")), "b")
        server.fail("a", Reason.TIMEOUT)
        await received.until(lambda: received.of("a")[-1].reason is Reason.TIMEOUT, "a busy")
        server.fail("a", Reason.DEVICE_FAILURE)
        await received.until(lambda: received.of("a")[-1].reason is Reason.DEVICE_FAILURE, "a failed")
        assert {r.quality for r in received.of("b")} == {Quality.GOOD}
        assert not task.done()


async def test_a_device_that_is_silent_from_the_start_is_lost_after_the_agreed_number_of_timeouts() -> None:
    asked: list[Frame] = []

    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        asked.append(frame)

    model = profile(block(3))
    received = Received()
    async with device(behave) as address, driver(address, model, timeout=0.05, lost_after=4) as reader:
        with pytest.raises(DeviceLost, match=r"no reply within 0\.05 s, 4 times in a row"):
            await reader.stream(received)
    assert len(asked) == 4
    assert [r.reason for r in received.of("r1")] == [Reason.TIMEOUT, Reason.NOT_CONNECTED]


async def test_one_missing_reply_is_a_timeout_and_not_a_loss() -> None:
    count = 0

    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        if count != 2:
            writer.write(registers(frame, count))

    async with device(behave) as address, streaming(driver(address, profile(block(1)))) as (received, task):
        await received.until(lambda: len(received.readings) >= 4, "four readings")
        assert not task.done()
    qualities = [(r.quality, r.reason) for r in received.readings[:3]]
    assert qualities == [
        (Quality.GOOD, Reason.NONE),
        (Quality.BAD, Reason.TIMEOUT),
        (Quality.GOOD, Reason.NONE),
    ]


async def test_a_late_reply_is_never_taken_for_the_answer_to_a_later_request() -> None:
    """Each reply holds its request's number; every second one comes after its timeout."""
    numbers: list[int] = []
    late: list[bytes] = []

    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        numbers.append(frame[0])
        answer = registers(frame, len(numbers))
        if len(numbers) % 2 == 0:
            late.append(answer)
            return
        # The late reply and the right one in one segment: both are larger than one frame together.
        writer.write(b"".join(late) + answer)
        late.clear()

    model = profile(block(120))
    async with device(behave) as address, streaming(driver(address, model, timeout=0.1)) as (received, task):
        await received.until(lambda: len(received.of("r7")) >= 8, "eight readings")
        assert not task.done()
    good = [r.value for r in received.of("r7") if r.quality is Quality.GOOD]
    assert good == [2 * n + 1 for n in range(len(good))]
    assert len(set(numbers)) == len(numbers)


async def test_a_reply_in_pieces_is_put_together() -> None:
    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        for byte in registers(frame, 0x1234):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with device(behave) as address, driver(address, profile(block(10)), timeout=2) as reader:
        assert {r.value for r in await reader.read(["r0", "r9"])} == {0x1234}


async def test_a_reply_of_the_wrong_length_is_a_device_failure() -> None:
    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(frame, bytes([3, 2, 0, 1])))

    async with device(behave) as address, driver(address, profile(block(4))) as reader:
        readings = await reader.read(["r0", "r3"])
        assert {r.reason for r in readings} == {Reason.DEVICE_FAILURE}
        assert reader.problems["r0"] == "answered 2 bytes instead of 8"


async def test_garbage_is_no_answer_and_does_no_harm() -> None:
    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff" * 300)

    received = Received()
    async with device(behave) as address, driver(address, profile(block(4)), timeout=0.05) as reader:
        with pytest.raises(DeviceLost):
            await reader.stream(received)
    assert {r.quality for r in received.readings} == {Quality.BAD}


async def test_a_closed_connection_is_noticed_at_once_even_with_a_request_in_flight() -> None:
    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with device(behave) as address, driver(address, profile(block(1)), timeout=30) as reader:
        async with asyncio.timeout(5):
            with pytest.raises(DeviceLost, match="closed"):
                await reader.stream(Received())


async def test_a_cancellation_in_the_same_moment_as_the_reply_is_honoured() -> None:
    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        return

    async with device(behave) as address, driver(address, profile(block(1)), timeout=30) as reader:
        task = asyncio.create_task(reader.stream(Received()))
        await asyncio.sleep(0.05)
        lane = reader._connection._shared.lane  # type: ignore[union-attr]
        assert lane is not None
        waiting = lane._client.ctx.response_future
        assert not waiting.done()
        waiting.set_result(ExceptionResponse(3, 6))
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled()


async def test_sampling_classes_do_not_ride_with_each_other() -> None:
    model = profile(
        {"fast": {"address": "holding:0", "sampling": 0.05}, "slow": {"address": 40002, "sampling": 5}}
    )
    async with ModbusServer(model) as server, streaming(driver(server.url, model)) as (received, _):
        await received.until(lambda: len(received.of("fast")) >= 6, "six fast readings")
        assert len(received.of("slow")) == 1


async def test_a_write_without_an_answer_is_unknown_and_not_sent_again() -> None:
    writes: list[Frame] = []

    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        writes.append(frame)

    model = profile({"target": {"address": "holding:8", "access": "read-write"}})
    async with device(behave) as address, driver(address, model) as writer:
        with pytest.raises(WriteUnknown, match="may have taken effect"):
            await writer.write("target", 5)
    assert [frame[2] for frame in writes] == [bytes([6, 0, 8, 0, 5])]


async def test_a_write_that_the_device_changes_is_reported() -> None:
    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(frame, frame[2]) if frame[2][0] == 6 else registers(frame, 4))

    model = profile({"target": {"address": "holding:8", "access": "read-write"}})
    async with device(behave) as address, driver(address, model) as writer:
        with pytest.raises(WriteFailed, match="wrote 5, read back 4"):
            await writer.write("target", 5)


async def test_coils_are_read_and_written() -> None:
    model = profile(
        {
            "lamp": {"address": "coil:9", "type": "bool", "access": "read-write"},
            "door": {"address": 10004, "type": "bool"},
        }
    )
    async with ModbusServer(model) as server, driver(server.url, model) as device_driver:
        server.set("door", True)
        assert (await device_driver.write("lamp", True)).value is True
        assert server.get("lamp") is True
        assert [r.value for r in await device_driver.read(["door", "lamp"])] == [True, True]


async def test_a_device_says_what_it_is() -> None:
    texts = [b"Acme", b"PRESS-40", b"2.9.4"]

    async def behave(frame: Frame, writer: asyncio.StreamWriter) -> None:
        assert frame[2] == bytes([0x2B, 0x0E, 1, 0])
        objects = b"".join(bytes([n, len(text)]) + text for n, text in enumerate(texts))
        writer.write(reply(frame, bytes([0x2B, 0x0E, 1, 1, 0, 0, len(texts)]) + objects))

    async with device(behave) as address, driver(address, profile(block(1))) as asked:
        assert await asked.identify() == Identity("Acme", "PRESS-40", "", "2.9.4")


async def test_another_unit_is_not_answered() -> None:
    model = profile(block(1), unit=3)
    async with ModbusServer(model) as server:
        received = Received()
        async with driver(server.url.replace("unit=3", "unit=4"), model, timeout=0.05) as reader:
            with pytest.raises(DeviceLost):
                await reader.stream(received)


async def test_a_refused_connection_says_so() -> None:
    model = profile(block(1))
    async with ModbusServer(model) as server:
        address = server.url
    with pytest.raises(ConnectError, match="connection refused — check the port"):
        async with driver(address, model):
            pass


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("modbus://plc", (Bus(Transport.TCP, "plc"), None)),
        ("modbus://10.0.0.1:1502?unit=0", (Bus(Transport.TCP, "10.0.0.1", 1502), 0)),
        ("modbus://[::1]:502/", (Bus(Transport.TCP, "::1"), None)),
        ("modbus+udp://plc:1502?unit=7", (Bus(Transport.UDP, "plc", 1502), 7)),
        ("modbus+rtutcp://plc:4001?unit=7", (Bus(Transport.RTU_OVER_TCP, "plc", 4001), 7)),
        ("modbus+rtu:///dev/ttyUSB0", (Bus(Transport.RTU, path="/dev/ttyUSB0"), None)),
        (
            "modbus+rtu://COM3?unit=2&baud=9600&parity=n&stop=2&bits=7",
            (Bus(Transport.RTU, path="COM3", line=Line(9600, "N", 2, 7)), 2),
        ),
    ],
)
def test_addresses(address: str, parts: tuple[Bus, int | None]) -> None:
    assert parse_url(address) == parts


def test_the_gap_between_frames_is_three_and_a_half_characters() -> None:
    assert Line(9600, "E", 1, 8).gap == pytest.approx(3.5 * 11 / 9600)
    assert Line(115_200).gap == 0.00175


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("modbus+rtu:///dev/ttyS0?baud=9601", r'baud "9601" is not one of .* — did you mean 9600'),
        ("modbus+rtu:///dev/ttyS0?parity=odd", 'parity "odd" is not one of N, E, O'),
        ("modbus+rtu:///dev/ttyS0?stop=3", 'stop "3" is not one of 1, 2'),
        ("modbus+rtu://?unit=1", "names no serial port"),
        ("modbus://plc?baud=9600", 'unknown "baud", only unit can be given'),
        ("modbus+rtu:///dev/ttyS0?buad=9600", 'unknown "buad", unit, baud, parity, stop, bits can be given'),
    ],
)
def test_a_wrong_serial_line_says_what_is_allowed(address: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_url(address)


@pytest.mark.parametrize(
    "address",
    [
        "plc:502",
        "opc.tcp://plc",
        "modbus://",
        "modbus://h:99999",
        "modbus://h?unit=256",
        "modbus://h?untit=1",
        "modbus://h/path",
    ],
)
def test_wrong_addresses(address: str) -> None:
    with pytest.raises(ValueError, match=r"modbus://10|0 to 255"):
        parse_url(address)
