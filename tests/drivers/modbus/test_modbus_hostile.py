"""The Modbus driver against servers that answer nonsense, and the simulator against clients that send it.

Nobody hangs, crashes or grows; values become bad with a reason and come back; and another device in the same
event loop keeps its values all the while.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from pymodbus.framer.rtu import FramerRTU

from drivers.contract import Received
from drivers.driver import ConnectError, DeviceLost, WriteUnknown
from drivers.modbus.address import Transport
from drivers.modbus.simulator import ModbusServer
from protocols.values import Quality, Reason
from tests.drivers.modbus.test_modbus_driver import block, driver, profile

SIZE, VALUE = 4, 7
MODEL = profile({**block(SIZE), "set": {"address": "holding:40", "access": "read-write"}})
GROWTH = 4 * 1024 * 1024
"""Bytes that a hostile server may make us hold."""


class Asked:
    """One request, and how it would be answered on its transport."""

    def __init__(self, transport: Transport, head: bytes, unit: int, pdu: bytes) -> None:
        self.transport, self.head, self.unit, self.pdu = transport, head, unit, pdu

    @property
    def right(self) -> bytes:
        """The PDU that answers it."""
        if self.pdu[0] in (6, 16):
            return self.pdu[:5]
        size = int.from_bytes(self.pdu[3:5], "big")
        return bytes([self.pdu[0], 2 * size]) + VALUE.to_bytes(2, "big") * size

    def frame(self, pdu: bytes, *, unit: int | None = None, ahead: int = 0, protocol: int = 0) -> bytes:
        """A PDU in its frame; ``ahead`` is added to the transaction number."""
        unit = self.unit if unit is None else unit
        if self.transport is Transport.TCP:
            number = int.from_bytes(self.head, "big") + ahead
            return struct.pack(">HHHB", number & 0xFFFF, protocol, len(pdu) + 1, unit) + pdu
        body = bytes([unit]) + pdu
        checksum: int = FramerRTU.compute_CRC(body)
        return body + checksum.to_bytes(2, "big")


Attack = Callable[[Asked], Iterator[bytes]]


def one(make: Callable[[Asked], bytes]) -> Attack:
    """An attack that is one piece of bytes."""
    return lambda asked: iter([make(asked)])


def endless(asked: Asked) -> Iterator[bytes]:
    while True:
        yield asked.frame(asked.right, unit=99) * 100


def noise(asked: Asked) -> Iterator[bytes]:
    dice = random.Random(int.from_bytes(asked.pdu, "big"))
    while True:
        yield dice.randbytes(dice.randrange(1, 2000))


def drip(asked: Asked) -> Iterator[bytes]:
    """A frame that never ends, byte by byte."""
    yield from (bytes([byte]) for byte in asked.frame(asked.right)[:-3])
    while True:
        yield b"\x03"


NUMBERED: dict[str, Attack] = {
    "a length of 65535": one(lambda a: a.head + b"\0\0\xff\xff\x01" + a.right),
    "a length of nothing": one(lambda a: a.head + b"\0\0\0\0\x01" + a.right),
    "another protocol": one(lambda a: a.frame(a.right, protocol=1)),
    "another transaction": one(lambda a: a.frame(a.right, ahead=1)),
    "a byte count beyond the frame": one(lambda a: a.frame(a.right[:1] + b"\xff" + a.right[2:])),
    "no data": one(lambda a: a.frame(a.right[:1])),
}
SERIAL: dict[str, Attack] = {
    "a wrong checksum": one(lambda a: a.frame(a.right)[:-1] + bytes([a.frame(a.right)[-1] ^ 1])),
    "a byte count beyond the frame": one(lambda a: a.frame(a.right[:1] + b"\xff" + a.right[2:])),
}
ANY: dict[str, Attack] = {
    "half a frame": one(lambda a: a.frame(a.right)[:7]),
    "another unit": one(lambda a: a.frame(a.right, unit=99)),
    "another function": one(lambda a: a.frame(b"\x04" + a.right[1:])),
    "no such function": one(lambda a: a.frame(b"\x63" + a.right[1:])),
    "function 0": one(lambda a: a.frame(b"\0" + a.right[1:])),
    "function 128": one(lambda a: a.frame(b"\x80\x02")),
    "an unknown exception": one(lambda a: a.frame(bytes([a.pdu[0] | 0x80, 200]))),
    "half an identification": one(lambda a: a.frame(b"\x2b\x0e\x01\x83\0\0\x09\0\xff")),
    "too much": one(lambda a: a.frame(a.right[:1] + bytes([a.right[1] + 2]) + a.right[2:] + b"\0\x07")),
    "too little": one(lambda a: a.frame(a.right[:1] + bytes([a.right[1] - 2]) + a.right[2:-2])),
    "random bytes": one(lambda a: random.Random(a.pdu).randbytes(300)),
    "the request itself": one(lambda a: a.frame(a.pdu)),
    "an endless stream": endless,
    "endless noise": noise,
    "a frame that never ends": drip,
}
ATTACKS = [
    pytest.param(transport, attack, id=f"{transport}: {name}")
    for transport, more in ((Transport.TCP, NUMBERED), (Transport.RTU_OVER_TCP, SERIAL))
    for name, attack in {**ANY, **more}.items()
]


class Server:
    """A device that answers rightly, or by ``attack`` while there is one."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.attack: Attack | None = None
        self.attacked = 0

    async def answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if (attack := self.attack) is None:
            writer.write(asked.frame(asked.right))
            return
        self.attacked += 1
        for piece in attack(asked):
            if self.attack is not attack:
                return
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head, length = b"", 5
                if self.transport is Transport.TCP:
                    head = await reader.readexactly(2)
                    _, length, unit = struct.unpack(">HHB", await reader.readexactly(5))
                    pdu = await reader.readexactly(length - 1)
                else:
                    unit, *rest = await reader.readexactly(8)
                    pdu = bytes(rest[:-2])
                await self.answer(Asked(self.transport, head, unit, pdu), writer)


@asynccontextmanager
async def hostile(transport: Transport) -> AsyncIterator[tuple[Server, str]]:
    made = Server(transport)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await made.serve(reader, writer)
        writer.transport.abort()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield made, f"{transport}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        ending = list(tasks)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)


@asynccontextmanager
async def asked_again_and_again(address: str) -> AsyncIterator[Received]:
    """What an edge gets of a device: its stream, and a new connection whenever it is lost."""
    received = Received()

    async def keep() -> None:
        while True:
            with contextlib.suppress(DeviceLost, ConnectError):
                async with driver(address, MODEL, timeout=0.1) as made:
                    await made.stream(received)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(keep())
    try:
        yield received
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def neighbour() -> AsyncIterator[Received]:
    """Another device, which has its values at the end as at the beginning, and never a bad one."""
    async with ModbusServer(MODEL) as server:
        server.set("r0", 42)
        async with asked_again_and_again(server.url) as received:
            await received.until(lambda: bool(received.of("r0")), "the neighbour's value")
            yield received
            seen = len(received.of("r0"))
            await received.until(lambda: len(received.of("r0")) > seen + 2, "more of the neighbour")
        assert {(r.value, r.quality) for r in received.of("r0")} == {(42, Quality.GOOD)}


def alarmed(caught: list[dict[str, object]]) -> None:
    """Have what would be a traceback in the log collected."""
    asyncio.get_running_loop().set_exception_handler(lambda _, context: caught.append(context))


@pytest.mark.parametrize(("transport", "attack"), ATTACKS)
async def test_a_server_that_answers_nonsense_harms_nobody(transport: Transport, attack: Attack) -> None:
    caught: list[dict[str, object]] = []
    alarmed(caught)
    async with (
        neighbour() as other,
        hostile(transport) as (server, address),
        asked_again_and_again(address) as received,
    ):
        await received.until(lambda: bool(received.of("r0")), "a first value")
        before = len(received.readings)
        server.attack = attack

        def bad() -> bool:
            return any(r.quality is Quality.BAD for r in received.readings[before:])

        tracemalloc.start()
        try:
            await received.until(bad, "a bad value")
            seen = len(other.of("r0"))
            await other.until(lambda: len(other.of("r0")) > seen + 5, "the neighbour's values")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < GROWTH
        assert server.attacked
        wrong = [r for r in received.of("r0") if r.quality is Quality.GOOD and r.value != VALUE]
        assert not wrong, "what no request asked for is no value"
        reasons = {r.reason for r in received.of("r0") if r.quality is Quality.BAD}
        assert reasons <= {Reason.TIMEOUT, Reason.DEVICE_FAILURE, Reason.NOT_CONNECTED, Reason.OTHER}
        server.attack = None
        await received.until(lambda: received.readings[-1].value == VALUE, "it is well again")
    assert not caught, "nothing is for asyncio to log"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("transport", [Transport.TCP, Transport.RTU_OVER_TCP])
async def test_replies_damaged_anyhow(transport: Transport, seed: int) -> None:
    """Bytes flipped, lost, doubled and split. With a checksum, no value is wrong."""
    dice = random.Random(seed)

    def damaged(asked: Asked) -> Iterator[bytes]:
        data = bytearray(asked.frame(asked.right))
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(data))
            match dice.randrange(5):
                case 0:
                    data[at] ^= 1 << dice.randrange(8)
                case 1:
                    del data[at]
                case 2:
                    data[at:at] = dice.randbytes(dice.randrange(1, 20))
                case 3:
                    data.extend(bytes(data))
                case _:
                    del data[at:]
            if not data:
                break
        cut = dice.randrange(len(data) + 1)
        yield from filter(None, (bytes(data[:cut]), bytes(data[cut:])))

    caught: list[dict[str, object]] = []
    alarmed(caught)
    async with (
        neighbour() as other,
        hostile(transport) as (server, address),
        asked_again_and_again(address) as received,
    ):
        server.attack = damaged
        seen = len(other.of("r0"))
        await other.until(lambda: len(other.of("r0")) > seen + 20, "the neighbour's values")
        if transport is Transport.RTU_OVER_TCP:
            good = {r.value for r in received.of("r0") if r.quality is Quality.GOOD}
            assert good <= {VALUE}
        server.attack = None
        await received.until(lambda: received.readings[-1].value == VALUE, "it is well again")
    assert not caught


async def test_a_write_that_another_address_answers_may_or_may_not_have_happened() -> None:
    async with hostile(Transport.TCP) as (server, address), driver(address, MODEL) as made:
        server.attack = one(lambda a: a.frame(a.pdu[:2] + b"\x99" + a.pdu[3:]))
        with pytest.raises(WriteUnknown, match="answered for address 153 to a write of 40"):
            await made.send("set", MODEL.tags["set"], 5)


async def test_a_device_that_numbers_nothing_is_believed_until_a_reply_is_missing() -> None:
    async with hostile(Transport.TCP) as (server, address), driver(address, MODEL) as made:

        def unnumbered(asked: Asked) -> Iterator[bytes]:
            yield b"\0\0" + asked.frame(asked.right)[2:]

        server.attack = unnumbered
        (reading,) = await made.read(["r0"])
        assert reading.value == VALUE
        server.attack = lambda _: iter(())
        (reading,) = await made.read(["r0"])
        assert reading.reason is Reason.TIMEOUT
        server.attack = unnumbered
        (reading,) = await made.read(["r0"])
        assert reading.reason is Reason.DEVICE_FAILURE, "it may be the late answer to another question"


# --- the simulator --------------------------------------------------------------------------------------


def requests(dice: random.Random, transport: Transport) -> bytes:
    """A request that is nearly one: any function, any body, sometimes a wrong head."""
    pdu = bytes([dice.choice((1, 2, 3, 4, 5, 6, 8, 15, 16, 17, 20, 22, 23, 24, 43, dice.randrange(256)))])
    pdu += dice.randbytes(dice.choice((0, 1, 4, 4, 4, 9, 50, 250)))
    asked = Asked(transport, dice.randbytes(2), dice.choice((0, 1, 1, 1, 255)), pdu)
    data = asked.frame(pdu, protocol=dice.choice((0, 0, 0, 7)))
    return dice.choice((data, data, data, data[:-1], data + dice.randbytes(5), dice.randbytes(40)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("transport", [Transport.TCP, Transport.RTU_OVER_TCP])
async def test_a_client_that_sends_nonsense_to_the_simulator_harms_no_other(
    transport: Transport, seed: int
) -> None:
    dice = random.Random(seed)
    caught: list[dict[str, object]] = []
    alarmed(caught)
    async with ModbusServer(MODEL, transport=transport) as server:
        server.set("r0", 42)
        async with asked_again_and_again(server.url) as received:
            await received.until(lambda: bool(received.of("r0")), "a first value")
            for _ in range(20):
                with contextlib.suppress(ConnectionError):
                    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                    for _ in range(10):
                        writer.write(requests(dice, transport))
                        await writer.drain()
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(0.005):
                                await reader.read(1000)
                    writer.transport.abort()
            seen = len(received.of("r0"))
            await received.until(lambda: len(received.of("r0")) > seen + 5, "values after it")
        assert {r.quality for r in received.of("r0")} == {Quality.GOOD}
    assert not caught


async def test_a_client_that_takes_no_answers_is_disconnected() -> None:
    """It would fill the simulator; here the network takes little in between."""
    frame = Asked(Transport.TCP, b"\0\1", 1, b"\3\0\0\0\x29").frame(b"\3\0\0\0\x29")
    loop = asyncio.get_running_loop()

    async def keep_asking(client: socket.socket) -> None:
        for _ in range(50_000):
            await loop.sock_sendall(client, frame)
            await asyncio.sleep(0)

    async with ModbusServer(MODEL) as server:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", server.port))
            await loop.sock_sendall(client, frame)
            await loop.sock_recv(client, 1000)
            (ours,) = server._server.active_connections.values()
            ours.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            async with asked_again_and_again(server.url) as received:
                with pytest.raises(ConnectionError):
                    await keep_asking(client)
                seen = len(received.of("r0"))
                await received.until(lambda: len(received.of("r0")) > seen + 2, "another's values")
