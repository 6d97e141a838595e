"""A TCP proxy that makes trouble: delays, black holes, resets, slices and late replies, switched at run time.

It stands between a client and a real server, so that the tests meet what networks do without touching the
machine's firewall. One proxy serves one upstream address on a loopback port of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum


class Direction(Enum):
    """Seen from the client."""

    UP = "client to server"
    DOWN = "server to client"


@dataclass(slots=True)
class Trouble:
    """What happens to bytes in one direction; all off means they pass as they are.

    ``delay`` holds every piece back for so many seconds (order is kept). ``blackhole`` swallows bytes and
    keeps the connection open, as a dead link without a reset does. ``slice`` passes pieces of at most so
    many bytes, each on its own. ``rate`` limits to bytes a second. ``late_first`` delays only the next
    piece, once: the reply that arrives when nobody waits for it any more.
    """

    delay: float = 0.0
    blackhole: bool = False
    slice: int = 0
    rate: float = 0.0
    late_first: float = 0.0


@dataclass(slots=True)
class ChaosProxy:
    """A proxy for ``host:port``. ``refuse`` makes new connections fail as if nobody listened."""

    host: str
    port: int
    up: Trouble = field(default_factory=Trouble)
    down: Trouble = field(default_factory=Trouble)
    refuse: bool = False
    connections: int = field(default=0, init=False)
    """Connections accepted since the start."""
    _pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = field(default_factory=set, init=False)
    _server: asyncio.Server | None = field(default=None, init=False)

    @property
    def listening(self) -> int:
        """The port that clients connect to."""
        assert self._server is not None, "the proxy is not started"
        return int(self._server.sockets[0].getsockname()[1])

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ChaosProxy]:
        """Serve until the block is left; all connections end with it."""
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self._server.close()
            self.reset()
            await self._server.wait_closed()

    def reset(self) -> None:
        """Break every connection with a reset, both ways."""
        for pair in list(self._pairs):
            for writer in pair:
                writer.transport.abort()

    def blackhole(self, on: bool = True) -> None:
        """Swallow everything both ways without a word, or stop doing so."""
        self.up.blackhole = self.down.blackhole = on

    def calm(self) -> None:
        """No more trouble; connections stay as they are."""
        self.up, self.down, self.refuse = Trouble(), Trouble(), False

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refuse:
            writer.transport.abort()
            return
        try:
            upstream_reader, upstream = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, upstream)
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, upstream, Direction.UP))
                tasks.create_task(self._pump(upstream_reader, writer, Direction.DOWN))
        finally:
            self._pairs.discard(pair)
            for end in pair:
                end.close()
            for end in pair:
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        try:
            while data := await reader.read(65536):
                trouble = self.up if direction is Direction.UP else self.down
                late, trouble.late_first = trouble.late_first, 0.0
                if trouble.delay or late:
                    await asyncio.sleep(trouble.delay + late)
                trouble = self.up if direction is Direction.UP else self.down
                if trouble.blackhole:
                    continue
                size = trouble.slice or len(data)
                for start in range(0, len(data), size):
                    piece = data[start : start + size]
                    writer.write(piece)
                    await writer.drain()
                    if trouble.slice or trouble.rate:
                        await asyncio.sleep(len(piece) / trouble.rate if trouble.rate else 0.001)
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            writer.transport.abort()
