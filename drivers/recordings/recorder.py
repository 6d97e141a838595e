"""Recording: the driver reads a device in rounds, on Modbus TCP through a proxy that keeps the frames."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from drivers.driver import ConnectError, DeviceLost
from drivers.profile.profile import AnyProfile
from drivers.recordings.modbus_frames import Frames
from drivers.recordings.tape import Frame, Header, Line, Round, Said, numbers
from drivers.registry import driver_type

_PROXIED = "modbus"
"""The scheme whose frames are kept."""
_PORT = 502


class Proxy:
    """Stands between a driver and a device on Modbus TCP, and remembers who said what."""

    def __init__(self, host: str, port: int, clock: Callable[[], float]) -> None:
        self._host, self._port, self._clock = host, port, clock
        self._open: dict[int, tuple[float, bytes]] = {}
        self.frames: list[Frame] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Listen on loopback; yields the port."""
        tasks: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                tasks.add(task)
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._connect(reader, writer)
            writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            await server.wait_closed()
            self.end()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.end()
        device_reader, device_writer = await asyncio.open_connection(self._host, self._port)
        try:
            async with asyncio.TaskGroup() as group:
                ways = [
                    group.create_task(self._pass(reader, device_writer, self.asked)),
                    group.create_task(self._pass(device_reader, writer, self.answered)),
                ]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
        finally:
            device_writer.close()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        note: Callable[[int, bytes], None],
    ) -> None:
        frames = Frames()
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                for frame in frames.feed(data):
                    note(frame.transaction, frame.body)
                writer.write(data)
                await writer.drain()

    def asked(self, transaction: int, body: bytes) -> None:
        """The driver sent a request."""
        self._open[transaction] = (self._clock(), body)

    def answered(self, transaction: int, body: bytes) -> None:
        """The device sent an answer."""
        asked = self._open.pop(transaction, None)
        if asked is not None:
            at, ask = asked
            self.frames.append(Frame(round(at, 4), ask.hex(), body.hex(), round(self._clock() - at, 4)))

    def end(self) -> None:
        """What has no answer by now will have none."""
        self.frames += [Frame(round(at, 4), ask.hex()) for at, ask in self._open.values()]
        self._open.clear()


async def record(
    address: str,
    profile: AnyProfile,
    text: str,
    options: Mapping[str, Any],
    rounds: int,
    interval: float,
    told: Callable[[Round], None],
) -> list[Line]:
    """Read every tag of a device ``rounds`` times, ``interval`` seconds apart, and keep what came.

    Args:
        address: of the device.
        profile: its tags, and ``text`` as it is written.
        told: called after each round.

    Raises:
        ConnectError: the device cannot be reached at all.
        ValueError: the address is none of this profile's protocol.
    """
    kind = driver_type(profile.protocol)
    kind.create(address, profile, options)  # says what is wrong with it before anything is opened
    url = urlsplit(address)
    loop = asyncio.get_running_loop()
    start = loop.time()

    def clock() -> float:
        return loop.time() - start

    proxied = url.scheme == _PROXIED and profile.protocol == "modbus"
    header = Header(1, kind.name, text, url.query, numbers(dict(options)), proxied)
    if not proxied:
        return [header, *await _rounds(address, profile, options, rounds, interval, clock, told)]
    proxy = Proxy(url.hostname or "", url.port or _PORT, clock)
    async with kind.create(address, profile, options):
        pass  # an unreachable device is told by its own name, not as a proxy that hangs up
    async with proxy.serving() as port:
        through = f"{url.scheme}://127.0.0.1:{port}" + (f"?{url.query}" if url.query else "")
        done = await _rounds(through, profile, options, rounds, interval, clock, told)
    lines: list[Frame | Round] = [*proxy.frames, *done]
    return [header, *sorted(lines, key=lambda line: line.t)]


async def _rounds(
    address: str,
    profile: AnyProfile,
    options: Mapping[str, Any],
    rounds: int,
    interval: float,
    clock: Callable[[], float],
    told: Callable[[Round], None],
) -> list[Round]:
    kind = driver_type(profile.protocol)
    paths = [name for name, tag in profile.tags.items() if tag.readable]
    done: list[Round] = []
    start = clock()
    while len(done) < rounds:
        try:
            async with kind.create(address, profile, options) as driver:
                while len(done) < rounds:
                    if (wait := start + interval * len(done) - clock()) > 0:
                        await asyncio.sleep(wait)
                    readings = await driver.read(paths)
                    done.append(Round(round(clock(), 4), [Said.of(r) for r in readings]))
                    told(done[-1])
        except (DeviceLost, ConnectError) as error:
            if isinstance(error, ConnectError) and not done:
                raise
            done.append(Round(round(clock(), 4), lost=error.cause))
            told(done[-1])
            if (wait := start + interval * len(done) - clock()) > 0:
                await asyncio.sleep(wait)
    return done
