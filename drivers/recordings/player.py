"""Playing a recording: a device that answers as the recorded one did; does the driver read the same?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from drivers.driver import ConnectError, DeviceLost, Driver
from drivers.recordings.modbus_frames import Adu, Answers, Frames
from drivers.recordings.tape import Round, Said, Tape
from drivers.registry import driver_type
from drivers.simulator import ProfileServer
from protocols.values import Quality, Reason

_NOTICED_S = 0.5
"""A recorded answer that took at least this long is as late again; quicker ones come at once."""
_SHOWN_TRIES = 50
_UNSECURED = {"opcua": {"security": "none"}}
"""How the simulator of a protocol is connected to."""


@asynccontextmanager
async def answering(tape: Tape, port: int = 0) -> AsyncIterator[str]:
    """A Modbus TCP server that gives the recorded answers; yields its address."""
    tasks: set[asyncio.Task[None]] = set()
    answers = Answers(tape.frames)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
        frames = Frames()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while (data := await reader.read(4096)) and not frames.broken:
                for frame in frames.feed(data):
                    body, after = answers.answer(frame.body)
                    if after >= _NOTICED_S:
                        await asyncio.sleep(after)
                    if body is not None:
                        writer.write(Adu(frame.transaction, body).wire())
                        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        query = f"?{tape.header.query}" if tape.header.query else ""
        yield f"modbus://127.0.0.1:{server.sockets[0].getsockname()[1]}{query}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await server.wait_closed()


async def play(tape: Tape) -> list[str]:
    """Let the driver of today read the recorded device; every difference to what was read then, as a line.

    Raises:
        KeyError: no such driver.
    """
    return await (_play_frames(tape) if tape.header.frames else _play_readings(tape))


async def _play_frames(tape: Tape) -> list[str]:
    profile, kind = tape.profile(), driver_type(tape.header.driver)
    paths = [name for name, tag in profile.tags.items() if tag.readable]
    found: list[str] = []
    async with answering(tape) as address:
        number = 0
        while number < len(tape.rounds):
            try:
                async with kind.create(address, profile, tape.header.options) as driver:
                    while number < len(tape.rounds):
                        readings = [Said.of(reading) for reading in await driver.read(paths)]
                        found += compare(number, tape.rounds[number], readings, driver, exact=True)
                        number += 1
            except (DeviceLost, ConnectError) as error:
                if not tape.rounds[number].lost:
                    found.append(f"round {number + 1}: lost ({error.cause}), then it was not")
                number += 1
    return found


async def _play_readings(tape: Tape) -> list[str]:
    profile, kind = tape.profile(), driver_type(tape.header.driver)
    server: ProfileServer = kind.serve(profile)
    options = {**tape.header.options, **_UNSECURED.get(kind.name, {})}
    found: list[str] = []
    async with server, kind.create(server.url, profile, options) as driver:
        for number, wanted in enumerate(tape.rounds):
            if wanted.lost:
                continue
            _show(server, wanted)
            found += await _until_shown(number, wanted, driver)
    return found


def _show(server: ProfileServer, wanted: Round) -> None:
    for said in wanted.readings:
        if said.quality == Quality.BAD:
            server.fail(said.path, Reason(said.reason))
        else:
            server.set(said.path, said.value)


async def _until_shown(number: int, wanted: Round, driver: Driver[Any]) -> list[str]:
    """What still differs once the server has had time to show the round."""
    paths = [said.path for said in wanted.readings]
    left: list[str] = []
    for _ in range(_SHOWN_TRIES):
        readings = [Said.of(reading) for reading in await driver.read(paths)]
        left = compare(number, wanted, readings, driver, exact=False)
        if not left:
            break
        await asyncio.sleep(0.02)
    return left


def compare(
    number: int, wanted: Round, readings: list[Said], driver: Driver[Any], *, exact: bool
) -> list[str]:
    """Lines that say what was read then and is read now, where they differ.

    Of a device that is only simulated the reason of a bad value need not be the same.
    """
    if wanted.lost:
        return [f"round {number + 1}: read, then it was lost ({wanted.lost})"]
    then = {said.path: said for said in wanted.readings}
    lines = []
    for now in readings:
        was = then.get(now.path)
        if was is None or _same(was, now, exact=exact):
            continue
        why = driver.problems.get(now.path, "")
        tail = f" — {why}" if now.quality == Quality.BAD and why else ""
        lines.append(f"round {number + 1}: {now.path} was {was}, is {now}{tail}")
    return lines


def _same(was: Said, now: Said, *, exact: bool) -> bool:
    if exact:
        return was == now
    bad = was.quality == Quality.BAD
    return (now.quality == Quality.BAD) == bad and (bad or was.value == now.value)
