"""The OPC UA driver against broken and hostile servers: bounded, and nobody else is disturbed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import struct
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua
from asyncua.client import ua_session
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_to_binary

from drivers.driver import ConnectError, DeviceLost
from drivers.opcua.guard import ELEMENTS, MESSAGE, TooMuch
from drivers.opcua.simulator import OpcuaServer
from tests.drivers.opcua.test_opcua_driver import driver, profile
from tests.drivers.streams import streaming

MODEL = profile({"count": {}})
LIMIT = 100 * 1024 * 1024
"""Bytes that a hostile server may make us hold for a moment."""


@dataclass
class Frame:
    """One chunk of the real server on its way to us (OPC 10000-6, 6.7.2)."""

    data: bytes

    @property
    def kind(self) -> bytes:
        return self.data[:4]

    def like(self, body: bytes, final: bytes = b"F", ahead: int = 0) -> bytes:
        """A chunk in its place with another body; ``ahead`` is added to its sequence number."""
        channel, token, sequence, request = struct.unpack("<IIII", self.data[8:24])
        head = b"MSG" + final + struct.pack("<I", 24 + len(body))
        return head + struct.pack("<IIII", channel, token, sequence + ahead, request) + body


Attack = Callable[[Frame, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def between(port: int, attack: Attack, after: int) -> AsyncIterator[str]:
    """Stands between us and a server; instead of its answer number ``after`` (from 0) comes the attack."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)

        async def forward() -> None:
            while data := await reader.read(65536):
                back.write(data)
            back.close()

        async def answer() -> None:
            number = 0
            while True:
                head = await there.readexactly(8)
                frame = Frame(head + await there.readexactly(int.from_bytes(head[4:], "little") - 8))
                if number == after:
                    await attack(frame, writer)
                    await asyncio.sleep(3600)
                writer.write(frame.data)
                number += 1

        async def both() -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                async with asyncio.TaskGroup() as group:
                    group.create_task(_quietly(forward()))
                    group.create_task(_quietly(answer()))

        task = asyncio.create_task(both())
        tasks.add(task)
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            back.close()
            writer.transport.abort()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"opc.tcp://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _quietly(work: Any) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await work


async def garbage(_: Frame, writer: asyncio.StreamWriter) -> None:
    writer.write(random.Random(7).randbytes(300_000))


async def closed(_: Frame, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def silence(_: Frame, writer: asyncio.StreamWriter) -> None:
    del writer


async def one_huge_chunk(_: Frame, writer: asyncio.StreamWriter) -> None:
    writer.write(b"MSGF" + struct.pack("<I", 2**32 - 16))
    while not writer.is_closing():
        writer.write(bytes(65536))
        await writer.drain()


async def endless_chunks(frame: Frame, writer: asyncio.StreamWriter) -> None:
    ahead = 0
    while not writer.is_closing():
        writer.write(frame.like(bytes(60_000), b"C", ahead))
        ahead += 1
        await writer.drain()


async def endless_empty_chunks(frame: Frame, writer: asyncio.StreamWriter) -> None:
    ahead = 0
    while not writer.is_closing():
        writer.write(b"".join(frame.like(b"", b"C", ahead + n) for n in range(100)))
        ahead += 100
        await writer.drain()


def read_response(results: bytes) -> bytes:
    made = ua.ReadResponse()
    made.ResponseHeader.Timestamp = datetime.now(UTC)
    whole = struct_to_binary(made)
    assert whole.endswith(bytes(8)), "no results and no diagnostics"
    return whole[:-8] + results + b"\xff\xff\xff\xff"


NULLS = struct.pack("<i", 1) + b"\x01\x80" + struct.pack("<i", 2**31 - 1)
"""One value: an array of 2147483647 Nulls, which cost no byte."""
EMPTIES = struct.pack("<i", 2_000_000) + bytes(2_000_000)
"""Two million values of one byte each."""
NESTED = struct.pack("<i", 1) + b"\x01" + b"\x18" * 5000
"""A Variant in a Variant in a Variant…"""
NEGATIVE = struct.pack("<i", 1) + b"\x01\x86" + struct.pack("<i", -77)


def answering(results: bytes) -> Attack:
    async def answer(frame: Frame, writer: asyncio.StreamWriter) -> None:
        body = read_response(results)
        parts = [body[i : i + 60_000] for i in range(0, len(body), 60_000)]
        for number, part in enumerate(parts):
            writer.write(frame.like(part, b"F" if number == len(parts) - 1 else b"C", number))

    return answer


ATTACKS: dict[str, Attack] = {
    "garbage": garbage,
    "closed": closed,
    "silence": silence,
    "one huge chunk": one_huge_chunk,
    "endless chunks": endless_chunks,
    "endless empty chunks": endless_empty_chunks,
    "an array of nulls": answering(NULLS),
    "two million empty values": answering(EMPTIES),
    "values in values": answering(NESTED),
    "a negative length": answering(NEGATIVE),
}


@pytest.mark.parametrize("after", [0, 2, 8])
@pytest.mark.parametrize("name", list(ATTACKS))
async def test_the_others_go_on_and_memory_is_bounded(name: str, after: int) -> None:
    async with (
        OpcuaServer(MODEL) as server,
        between(server.port, ATTACKS[name], after) as address,
        streaming(driver(server.url, MODEL)) as (received, healthy),
    ):
        await received.until(lambda: bool(received.readings), "the first value")
        tracemalloc.start()
        try:
            with pytest.raises((ConnectError, DeviceLost)):
                async with driver(address, MODEL, timeout=1, watchdog=1) as victim:
                    await asyncio.wait_for(victim.stream(lambda _: None), 20)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < LIMIT
        server.set("count", 5)
        await received.until(lambda: received.of("count")[-1].value == 5, "the healthy one goes on")
        assert not healthy.done()


@pytest.mark.parametrize("results", [NULLS, EMPTIES, NESTED, NEGATIVE])
def test_a_message_that_holds_too_much_is_refused_before_it_is_built(results: bytes) -> None:
    with pytest.raises(TooMuch):
        ua_session.struct_from_binary(ua.ReadResponse, Buffer(read_response(results)))  # type: ignore[attr-defined]


def test_a_large_array_that_somebody_wants_is_taken() -> None:
    assert ELEMENTS * 8 < MESSAGE
    made = ua.ReadResponse(Results=[ua.DataValue(ua.Variant([0.5] * 100_000))])
    data = Buffer(struct_to_binary(made))
    (back,) = ua_session.struct_from_binary(ua.ReadResponse, data).Results  # type: ignore[attr-defined]
    assert len(back.Value.Value) == 100_000


async def test_handles_and_subscriptions_that_nobody_knows_cost_nobody_a_value() -> None:
    async with OpcuaServer(MODEL) as server:
        made = driver(server.url, MODEL)
        async with streaming(made) as (received, task):
            await received.until(lambda: bool(received.readings), "the first value")
            assert made._session is not None
            callbacks = made._session._client.uaclient.session._subscription_callbacks
            (tell,) = callbacks.values()
            items = [
                ua.MonitoredItemNotification(handle, ua.DataValue(ua.Variant(7, ua.VariantType.Int32)))
                for handle in (4_000_000_000, 1, 0)
            ]
            result = ua.PublishResult(1)
            result.NotificationMessage.NotificationData = [ua.DataChangeNotification(items)]
            tell(result)
            assert [r.value for r in received.of("count")][-1] == 7
            assert not task.done()


def test_random_messages_never_do_more_than_raise() -> None:
    seed = int(os.environ.get("FUZZ_SEED", "1"))
    dice = random.Random(seed)
    whole = bytearray(
        read_response(struct.pack("<i", 3) + b"\x01\x0b" + bytes(8) + b"\x01\x8b" + b"\x02\0\0\0" + bytes(17))
    )
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        with contextlib.suppress(Exception):  # whatever it raises, it raises: the caller hangs up then
            ua_session.struct_from_binary(ua.ReadResponse, Buffer(bytes(data)))  # type: ignore[attr-defined]
