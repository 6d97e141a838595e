"""OPC UA servers with a lot on them: 20,000 monitored items subscribed, 100,000 nodes browsed.

The server is a process of its own. *Subscribed* is from the call until every tag has a value. The browse goes
through one flat folder, page by page; beside its time stands the longest time between two pages, in which
whoever looks at the list waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from typing import cast

from asyncua import ua
from asyncua.server.server import Server

from drivers.opcua import OPCUA, OpcuaDriver
from drivers.opcua_profile import OpcuaProfile
from drivers.opcua_simulator import LightServer
from drivers.profile import AnyProfile
from protocols.values import Reading
from tests.bench.figures import Figure, Size
from tests.system.processes import ROOT, quiet_port

ITEMS_S = 10.0
PATIENCE_S = 900.0
OPTIONS = {"security": "none", "timeout": 30, "watchdog": 60}
URI = "urn:onelot:bench"


async def run(size: Size) -> list[Figure]:
    """See the module."""
    items, nodes = size.of(2_000, 20_000), size.of(5_000, 100_000)
    async with _flat(nodes) as url:
        return [await _subscribed(url, items), *await _browsed(url, nodes)]


def _profile(count: int) -> OpcuaProfile:
    tags = {f"t{n}": {"address": f"nsu={URI};i={n + 1}", "type": "float64"} for n in range(count)}
    return OpcuaProfile.model_validate({"vendor": "Bench", "model": "Big", "protocol": "opcua", "tags": tags})


async def _subscribed(url: str, count: int) -> Figure:
    seen: set[str] = set()
    every = asyncio.Event()

    def take(readings: list[Reading]) -> None:
        seen.update(reading.path for reading in readings)
        if len(seen) == count:
            every.set()

    async with OPCUA.create(url, cast("AnyProfile", _profile(count)), OPTIONS) as made:
        began = time.perf_counter()
        task = asyncio.create_task(made.stream(take))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await every.wait()
        finally:
            seconds = time.perf_counter() - began
            task.cancel()
            await asyncio.wait([task])
    return Figure(f"{count:,} monitored items, all with a value", seconds, "s", ITEMS_S)


async def _browsed(url: str, count: int) -> list[Figure]:
    async with OPCUA.create(url, cast("AnyProfile", _profile(1)), OPTIONS) as made:
        assert isinstance(made, OpcuaDriver)
        found, gaps, last = 0, [], time.perf_counter()
        began = last
        async for page in made.browse_pages(f"nsu={URI};s=Flat"):
            found += len(page)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now
        seconds = last - began
        assert found == count, f"{found} of {count} nodes"
    note = f"with type and access level; {len(gaps)} pages"
    return [
        Figure(f"{count:,} nodes of one folder browsed", seconds, "s", note=note),
        Figure("longest wait for a page", max(gaps), "s", note=f"the first shows after {gaps[0]:.2f} s"),
    ]


@contextlib.asynccontextmanager
async def _flat(count: int) -> AsyncIterator[str]:
    """A server in a process of its own with so many variables in one folder; yields its address."""
    port = quiet_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.opcua_size", str(port), str(count)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        assert url, "the server did not start"
        yield url
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def serve(port: int, count: int) -> None:
    """Serve the flat folder until standard input ends."""
    server = Server(LightServer())
    server.disable_clock()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    number = await server.register_namespace(URI)
    folder = await server.nodes.objects.add_folder(ua.NodeId("Flat", number), "Flat")  # type: ignore[arg-type]
    for n in range(count):
        await folder.add_variable(ua.NodeId(n + 1, number), f"Tag{n}", 0.0)  # type: ignore[arg-type]
    async with server:
        print(f"opc.tcp://127.0.0.1:{port}", flush=True)
        await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
