"""Modbus TCP devices that misbehave, down at the bytes: what no well-behaved server library will do."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Frame = tuple[int, int, bytes]
"""Transaction number, unit and PDU."""

Behave = Callable[[Frame, asyncio.StreamWriter], Awaitable[None]]


def reply(frame: Frame, pdu: bytes) -> bytes:
    """A reply to a frame, in its transaction."""
    transaction, unit, _ = frame
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def registers(frame: Frame, value: int) -> bytes:
    """A reply to a read of holding registers: every register holds ``value``."""
    _, size = struct.unpack(">HH", frame[2][1:5])
    return reply(frame, struct.pack(">BB", frame[2][0], size * 2) + struct.pack(">H", value) * size)


@asynccontextmanager
async def device(behave: Behave) -> AsyncIterator[str]:
    """A device on a free port that calls ``behave`` for each request, in order; yields its address."""
    writers: list[asyncio.StreamWriter] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while True:
                transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                frame = (transaction, unit, await reader.readexactly(length - 1))
                task = asyncio.create_task(_ignoring_loss(behave(frame, writer)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"modbus://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for task in list(tasks):
            task.cancel()
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


async def _ignoring_loss(answer: Awaitable[None]) -> None:
    try:
        await answer
    except ConnectionError:
        return
