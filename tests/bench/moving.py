"""A machine whose values move, in a process of its own: served from a profile on the real protocol.

Every ``PERIOD`` seconds a part of the tags *jumps* further than any deadband and a part *jitters* within it;
``still``, ``shop`` and ``all`` say how many. The process is told on its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.profile.files import load_profile
from drivers.registry import driver_type
from drivers.simulator import ProfileServer
from protocols.values import DataType
from tests.system.processes import ROOT, quiet_port

PERIOD = 0.2
DEADBAND = 5.0
MOVES = {"still": (0.0, 0.0), "shop": (0.1, 0.4), "all": (1.0, 0.0)}
"""How: the part of the tags that jumps and the part that jitters, each time."""


@dataclass(slots=True)
class Moving:
    """The machine as the bench has it in hand."""

    url: str
    profile: Path
    _process: asyncio.subprocess.Process

    async def move(self, how: str) -> None:
        """From now on, one of :data:`MOVES`."""
        assert how in MOVES
        assert self._process.stdin is not None
        self._process.stdin.write(f"{how}\n".encode())
        await self._process.stdin.drain()


def write_profile(folder: Path, protocol: str, tags: int, **more: Any) -> Path:
    """Profile ``bench/PROTOCOL`` below ``folder``: so many tags, listed one by one, read every PERIOD.

    ``more`` goes into every tag.
    """
    path = folder / f"bench/{protocol}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"modbus": "uint16", "opcua": "float64"}[protocol]
    address = {"modbus": "holding:{}", "opcua": "ns=1;s=Tag{}"}[protocol]
    profile: dict[str, Any] = {"vendor": "Bench", "model": protocol, "protocol": protocol}
    if protocol == "opcua":
        profile["opcua"] = {"namespaces": ["urn:onelot:bench"]}
    profile["tags"] = {
        f"t{n}": {"address": address.format(n), "type": kind, "sampling": PERIOD, **more} for n in range(tags)
    }
    path.write_text(json.dumps(profile), "utf-8")
    return path


@contextlib.asynccontextmanager
async def moving(profile: Path, how: str = "shop") -> AsyncIterator[Moving]:
    """Serve a profile until the block is left."""
    port = quiet_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.moving", str(profile), str(port), how),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        assert url, "the machine did not start"
        yield Moving(url, profile, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _serve(path: Path, port: int, how: str) -> None:
    profile = load_profile(path)
    server: ProfileServer = driver_type(profile.protocol).serve(profile, port=port)
    numbers = [name for name, tag in profile.tags.items() if tag.type is not DataType.BOOL]
    levels = {name: 1000.0 + 10 * n for n, name in enumerate(numbers)}
    kinds = {name: profile.tags[name].value_type for name in numbers}
    told = [how]
    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, _listen, told, loop)
    async with server:
        print(server.url, flush=True)
        turn, due = 0, loop.time()
        while told[0]:
            jump, jitter = MOVES[told[0]]
            turn += 1
            for n, name in enumerate(numbers):
                # Which ones, is spread over the tags and different each time.
                place = ((n * 7919 + turn * 104729) % 10_000) / 10_000
                if place < jump:
                    levels[name] = 1000.0 + (levels[name] - 1000.0 + 97.25) % 50_000
                elif place >= jump + jitter:
                    continue
                shown = levels[name] + (turn % 3 if place >= jump else 0)
                server.set(name, shown if kinds[name] is DataType.FLOAT64 else int(shown))
            due = max(due + PERIOD, loop.time())
            await asyncio.sleep(due - loop.time())


def _listen(told: list[str], loop: asyncio.AbstractEventLoop) -> None:
    """Lines of standard input; its end ends the process."""
    for line in sys.stdin:
        loop.call_soon_threadsafe(told.__setitem__, 0, line.strip())
    loop.call_soon_threadsafe(told.__setitem__, 0, "")


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
