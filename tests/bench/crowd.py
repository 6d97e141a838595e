"""Fifty machines in a process of their own, which note when they are asked; one is silent, one flaps.

Told on standard input: ``trouble`` begins it, ``report`` prints the times at which each was asked since then
(seconds of this process's clock, as JSON), the end of the input ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import load_profile
from drivers.profile.profile import AnyProfile
from drivers.simulator import Fault
from tests.system.processes import ROOT

FLAP = 3.0
"""Seconds for which the flapping machine hangs up on everybody, and then for which it answers."""


@dataclass(slots=True)
class Crowd:
    """The machines as the bench has them in hand; ``silent`` and ``flapping`` are two of ``urls``."""

    urls: dict[str, str]
    silent: str
    flapping: str
    _process: asyncio.subprocess.Process

    async def trouble(self) -> None:
        """From now on one is silent and one flaps, and all note when they are asked."""
        await self._tell("trouble")

    async def report(self) -> dict[str, list[float]]:
        """When each machine was asked since the trouble began."""
        await self._tell("report")
        assert self._process.stdout is not None
        found: dict[str, list[float]] = json.loads(await self._process.stdout.readline())
        return found

    async def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        await self._process.stdin.drain()


@contextlib.asynccontextmanager
async def crowd(profile: Path, count: int) -> AsyncIterator[Crowd]:
    """So many machines of a profile, until the block is left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.crowd", str(profile), str(count)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    try:
        assert process.stdout is not None
        urls: dict[str, str] = json.loads(await process.stdout.readline())
        silent, flapping = list(urls)[:2]
        yield Crowd(urls, silent, flapping, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class _Asked(ModbusServer):
    """A machine that notes when it is asked."""

    def __init__(self, profile: AnyProfile) -> None:
        super().__init__(profile)
        self.times: list[float] = []

    def answer_read(self, *request: Any) -> Any:
        self.times.append(asyncio.get_running_loop().time())
        return super().answer_read(*request)


async def _serve(path: Path, count: int) -> None:
    profile = load_profile(path)
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[str] = asyncio.Queue()
    loop.run_in_executor(None, _listen, told, loop)
    machines = {f"plc-{n:02d}": _Asked(profile) for n in range(1, count + 1)}
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        for machine in machines.values():
            await stack.enter_async_context(machine)
        print(json.dumps({name: machine.url for name, machine in machines.items()}), flush=True)
        silent, flapping = list(machines.values())[:2]
        while (word := await told.get()) != "":
            if word == "trouble":
                silent.silent = True
                flaps = tasks.create_task(_flap(flapping))
                for machine in machines.values():
                    machine.times.clear()
            else:
                print(json.dumps({name: machine.times for name, machine in machines.items()}), flush=True)
        flaps.cancel()


async def _flap(machine: ModbusServer) -> None:
    for fault in itertools.cycle((Fault.DISCONNECT, None)):
        machine.fault = fault
        await asyncio.sleep(FLAP)


def _listen(told: asyncio.Queue[str], loop: asyncio.AbstractEventLoop) -> None:
    """Lines of standard input; its end is an empty one."""
    for line in sys.stdin:
        loop.call_soon_threadsafe(told.put_nowait, line.strip())
    loop.call_soon_threadsafe(told.put_nowait, "")


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
