"""The trouble-maker itself: each kind of trouble does what it says and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.system.chaos import ChaosProxy


@contextlib.asynccontextmanager
async def echo() -> AsyncIterator[int]:
    writers: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(1024):
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def through() -> AsyncIterator[tuple[ChaosProxy, asyncio.StreamReader, asyncio.StreamWriter]]:
    async with echo() as port, ChaosProxy("127.0.0.1", port).running() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.listening)
        try:
            yield proxy, reader, writer
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)


async def test_without_trouble_bytes_pass_unchanged() -> None:
    async with through() as (_, reader, writer):
        writer.write(b"x" * 100_000)
        assert await asyncio.wait_for(reader.readexactly(100_000), 5) == b"x" * 100_000


async def test_a_slice_arrives_in_pieces_and_whole() -> None:
    async with through() as (proxy, reader, writer):
        proxy.down.slice = 1
        writer.write(b"sliced")
        first = await asyncio.wait_for(reader.read(1024), 5)
        assert len(first) < 6
        assert first + await asyncio.wait_for(reader.readexactly(6 - len(first)), 5) == b"sliced"


async def test_a_black_hole_is_silent_and_keeps_the_connection() -> None:
    async with through() as (proxy, reader, writer):
        proxy.blackhole()
        writer.write(b"lost")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        proxy.blackhole(on=False)
        writer.write(b"back")
        assert await asyncio.wait_for(reader.readexactly(4), 5) == b"back"


async def test_a_late_reply_is_late_once() -> None:
    async with through() as (proxy, reader, writer):
        proxy.down.late_first = 0.3
        writer.write(b"a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        assert await asyncio.wait_for(reader.readexactly(1), 5) == b"a"
        writer.write(b"b")
        assert await asyncio.wait_for(reader.readexactly(1), 5) == b"b"


async def test_a_reset_breaks_and_a_refusal_keeps_out() -> None:
    async with through() as (proxy, reader, _):
        await asyncio.sleep(0.05)
        proxy.reset()
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(1), 5) == b""
        proxy.refuse = True
        again, writer = await asyncio.open_connection("127.0.0.1", proxy.listening)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(again.read(1), 5) == b""
        writer.close()
