"""The machines' own control panels: what an operator's hands do at a virtual machine.

OneLot itself never starts a motion; in the demo somebody must press the buttons. One JSON object a line on
loopback: ``{"machine": "laser-1", "press": "start", "program": "P1", "seconds_per_piece": 4.5}`` or
``{"pick": "laser-1", "drop": "brake-1"}``; the answer is ``{"done": true}`` or ``{"done": false, "why": …}``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

from drivers.virtual.factory import Factory, UnknownMachineError

MAX_LINE = 4096
DEFAULT_PORT = 14800


class Press(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request at the panel. ``press`` is setup, start, stop, repair or look; ``machine`` a device id."""

    machine: str = ""
    press: str = "look"
    program: str = ""
    seconds_per_piece: float | None = None
    pick: str = ""
    drop: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What came of it; ``state``, ``parts`` and ``alarm`` are the machine's afterwards."""

    done: bool
    why: str = ""
    state: str = ""
    parts: int = 0
    alarm: str = ""
    wear: float = 0.0


_press = msgspec.json.Decoder(Press)
_answer = msgspec.json.Decoder(Answer)


def act(factory: Factory, press: Press) -> Answer:
    """Do what was asked at the panel."""
    try:
        if press.pick or press.drop:
            factory.carry(press.pick, press.drop)
            return Answer(done=True)
        machine = factory.machine(press.machine)
    except UnknownMachineError as error:
        return Answer(done=False, why=str(error.args[0]))
    if press.press == "repair":
        machine.repair()
        done = True
    elif press.press == "look":
        done = True
    else:
        done = machine.press(press.press, press.program, press.seconds_per_piece)
    why = (
        "" if done else f"{press.machine} is {machine.state.name.lower()}: it does not react to {press.press}"
    )
    return Answer(done, why, machine.state.name.lower(), machine.parts, machine.alarm, machine.wear)


@contextlib.asynccontextmanager
async def serve(factory: Factory, port: int = DEFAULT_PORT, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Serve the panels; gives the port."""
    talking: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(writer)
        try:
            while line := await reader.readline():
                try:
                    answer = act(factory, _press.decode(line))
                except (msgspec.DecodeError, msgspec.ValidationError) as error:
                    answer = Answer(done=False, why=f"not a request: {error}")
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.IncompleteReadError):
            # gone, or a line beyond MAX_LINE: a panel owes nobody an explanation
            writer.transport.abort()
        finally:
            talking.discard(writer)
            writer.close()

    server = await asyncio.start_server(talk, host, port, limit=MAX_LINE)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in talking:
            writer.transport.abort()
        await server.wait_closed()


class Panel:
    """A client of the panels: connects when first used and again after the factory was away."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def press(self, press: Press) -> Answer:
        """Do it; an answer with ``done`` false says why, also when there is nobody at the other end."""
        async with self._turn:
            try:
                if self._streams is None:
                    self._streams = await asyncio.open_connection(self._host, self._port)
                reader, writer = self._streams
                writer.write(msgspec.json.encode(press) + b"\n")
                async with asyncio.timeout(5):
                    line = await reader.readline()
                if line:
                    return _answer.decode(line)
            except (OSError, TimeoutError) as error:
                await self._drop()
                return Answer(done=False, why=f"no factory at {self._host}:{self._port}: {error}")
            await self._drop()
            return Answer(done=False, why=f"the factory at {self._host}:{self._port} closed the connection")

    async def close(self) -> None:
        """Close the connection."""
        async with self._turn:
            await self._drop()

    async def _drop(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
