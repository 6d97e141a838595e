"""OPC UA servers with a lot on them: 20,000 monitored items subscribed, 100,000 nodes browsed.

The server is a process of its own: asyncua's, and node-opcua where npm is. *Subscribed* is from the call
until every tag has a value. The browse goes through one flat folder, page by page; *stood still* is the
longest time for which nothing else ran on our event loop, in which a screen would not have moved. Beside each
time stands the processor time of the server and of ourselves: what the server needs, no client makes shorter.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import cast

import pytest

from drivers.opcua.driver import OPCUA, OpcuaDriver
from drivers.opcua.profile import OpcuaProfile
from drivers.profile.profile import AnyProfile
from protocols.values import Reading
from tests.bench.figures import Figure, Size, missing, progress
from tests.bench.flat import URI, Flat, flat
from tests.bench.site import lacking

ITEMS_S = 10.0
FIRST_S = 1.0
"""Seconds until the first rows of a browse; what a person takes for an answer at once."""
PATIENCE_S = 120.0
"""Seconds for one step; what takes longer is told as a figure without a number."""
OPTIONS = {"security": "none", "timeout": 30, "watchdog": 60}


async def run(size: Size) -> list[Figure]:
    """See the module."""
    items, nodes = size.of(2_000, 20_000), size.of(5_000, 100_000)
    figures = await _against("asyncua", items, nodes)
    if lack := lacking("npm"):
        return [*figures, missing("the same against node-opcua", "s", lack)]
    try:
        return [*figures, *await _against("node-opcua", items, nodes)]
    except pytest.skip.Exception as reason:
        return [*figures, missing("the same against node-opcua", "s", str(reason))]


async def _against(name: str, items: int, nodes: int) -> list[Figure]:
    figures = []
    progress(f"{name}: laying out {nodes:,} nodes")
    try:
        async with flat(name, nodes) as server:
            progress(f"{name}: ready after {server.layout:.1f} s; browsing {nodes:,} nodes")
            figures += await _browsed(server, nodes)
            progress(f"{name}: subscribing {items:,} items")
            figures += await _subscribed(server, items)
    except TimeoutError:
        what = f"{name}: {'subscribing' if figures else f'browsing {nodes:,} nodes'}"
        figures.append(missing(what, "s", f"not within {PATIENCE_S:g} s", ITEMS_S if figures else None))
    return figures


class _Shares:
    """Time that passes, and whose processor time it was."""

    def __init__(self, server: Flat) -> None:
        self._server = server
        self._began = time.perf_counter()
        self._server_cpu = server.cpu()
        self._our_cpu = time.process_time()

    def seconds(self) -> float:
        return time.perf_counter() - self._began

    def __str__(self) -> str:
        server, ours = self._server.cpu() - self._server_cpu, time.process_time() - self._our_cpu
        return f"CPU: server {server:.1f} s, we {ours:.1f} s"


class _Pulse:
    """How long the event loop stood still at most."""

    longest = 0.0

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Measure while the block runs."""
        task = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _beat(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            self.longest = max(self.longest, time.perf_counter() - began - 0.005)


def _profile(count: int) -> OpcuaProfile:
    tags = {f"t{n}": {"address": f"nsu={URI};i={n + 1}", "type": "float64"} for n in range(count)}
    return OpcuaProfile.model_validate({"vendor": "Bench", "model": "Big", "protocol": "opcua", "tags": tags})


async def _subscribed(server: Flat, count: int) -> list[Figure]:
    seen: set[str] = set()
    every = asyncio.Event()
    pulse = _Pulse()

    def take(readings: list[Reading]) -> None:
        seen.update(reading.path for reading in readings if reading.value is not None)
        if len(seen) == count:
            every.set()

    async with OPCUA.create(server.url, cast("AnyProfile", _profile(count)), OPTIONS) as made, pulse.taken():
        shares = _Shares(server)
        task = asyncio.create_task(made.stream(take))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait(
                    [task, asyncio.create_task(every.wait())], return_when=asyncio.FIRST_COMPLETED
                )
            seconds, note = shares.seconds(), str(shares)
            if task.done():
                task.result()
        finally:
            task.cancel()
            every.set()
            await asyncio.wait([task])
    return [
        Figure(f"{server.name}: {count:,} items, all with a value", seconds, "s", ITEMS_S, note=note),
        Figure("our event loop stood still for, at most", pulse.longest, "s"),
    ]


async def _browsed(server: Flat, count: int) -> list[Figure]:
    pulse = _Pulse()
    async with OPCUA.create(server.url, cast("AnyProfile", _profile(1)), OPTIONS) as made:
        assert isinstance(made, OpcuaDriver)
        found, at = 0, []
        shares = _Shares(server)
        async with pulse.taken(), asyncio.timeout(PATIENCE_S):
            async for page in made.browse_pages(f"nsu={URI};s=Flat"):
                found += len(page)
                at.append(shares.seconds())
                if len(at) % 20 == 0:
                    progress(f"{server.name}: {found:,} nodes")
        seconds, note = shares.seconds(), str(shares)
        assert found == count, f"{found} of {count} nodes"
    gaps = [after - before for before, after in zip([0.0, *at], at, strict=False)]
    note = f"{note}; {len(at)} pages with type and access, longest wait for one {max(gaps):.2f} s"
    return [
        Figure(f"{server.name}: {count:,} nodes of one folder browsed", seconds, "s", note=note),
        Figure("the first of them show after", at[0], "s", FIRST_S),
        Figure("our event loop stood still for, at most", pulse.longest, "s"),
    ]
