"""A shop whose configuration a test changes while its edge runs: real Modbus, an edge in this process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from ruamel.yaml import YAML

from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import load_profile
from edge.agent import Agent
from edge.bootstrap import built
from edge.config import Setup, load_setup
from protocols import states, telemetry
from protocols.lanes import Lane
from protocols.states import CatalogueAnnounced, Event
from protocols.values import Sample
from tests.servers import free_port

COUNTER: dict[str, Any] = {"address": "holding:4", "type": "uint32", "role": "counter", "sampling": 0.05}
PRESS: dict[str, Any] = {
    "vendor": "Acme",
    "model": "Press",
    "protocol": "modbus",
    "tags": {
        "state": {"address": "holding:0", "type": "uint16", "role": "state", "sampling": 0.05},
        "load": {"address": "holding:2", "type": "uint16", "unit": "A", "sampling": 0.05},
        "counter": COUNTER,
    },
    "states": {1: {"item_state": "not_executing"}, 3: {"item_state": "executing"}},
}
METER: dict[str, Any] = {
    "vendor": "Acme",
    "model": "Meter",
    "protocol": "modbus",
    "tags": {"counter": COUNTER},
}

TIMEOUT = 5.0
"""Seconds that a machine may take to answer; it runs in this process, which may have to wait itself."""
STEPS = 20
"""Steps from one number of a machine's counter to the next."""


async def until(met: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"not met within {seconds} s"
        await asyncio.sleep(0.02)


def runs(agent: Agent, hashes: dict[str, str]) -> bool:
    """Whether files with these hashes are what runs."""
    return hashes.items() <= agent.reconfiguration.health.hashes.items()


@dataclass
class Shop:
    """Files of an edge in ``folder``, and the servers of its machines (device: server)."""

    folder: Path
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    servers: dict[str, ModbusServer] = field(default_factory=dict)
    edge: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / "edge.yaml"

    def write_profile(self, name: str, profile: dict[str, Any]) -> Path:
        path = self.folder / "profiles" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        return _dump(path, profile)

    def write_site(self) -> None:
        """The site with the devices as they are in ``devices`` now."""
        cell = {"id": "press-1", "uuid": str(UUID(int=4)), "title": "Press", "kind": "press"}
        line = {"id": "line", "uuid": str(UUID(int=3)), "title": "Line", "workcells": [cell]}
        area = {"id": "hall", "uuid": str(UUID(int=2)), "title": "Hall", "lines": [line]}
        devices = [
            {"id": name, "asset": str(UUID(int=100 + number)), **device}
            for number, (name, device) in enumerate(self.devices.items())
        ]
        edge = {"id": "machining", "workcells": ["press-1"], "devices": devices}
        site = {"id": "shop", "uuid": str(UUID(int=1)), "title": "Shop", "areas": [area], "edges": [edge]}
        _dump(self.folder / "site.yaml", site)

    def write_edge(self, **more: Any) -> None:
        self.edge |= more
        _dump(self.path, self.edge)

    async def add(self, stack: contextlib.AsyncExitStack, device: str, profile: str) -> ModbusServer:
        """A machine that runs, and its device in ``devices``; the site is written by whoever is done."""
        server = ModbusServer(load_profile(self.folder / "profiles" / f"{profile}.yaml"))
        await stack.enter_async_context(server)
        self.servers[device] = server
        self.devices[device] = {"profile": profile, "url": server.url, "options": {"timeout": TIMEOUT}}
        return server

    def setup(self) -> Setup:
        return load_setup(self.path)


def _dump(path: Path, data: dict[str, Any]) -> Path:
    """By way of a draft, as an editor does it: nobody reads half a file."""
    draft = path.with_suffix(".draft")
    with draft.open("w", encoding="utf-8") as file:
        YAML().dump(data, file)
    draft.replace(path)
    return path


@contextlib.asynccontextmanager
async def shop(folder: Path, **changes: Any) -> AsyncIterator[Shop]:
    """A press that runs and a meter beside it; no broker, so that all stays in the outbox."""
    made = Shop(folder)
    made.write_profile("acme/press", PRESS)
    made.write_profile("acme/meter", METER)
    async with contextlib.AsyncExitStack() as stack:
        (await made.add(stack, "press-1", "acme/press")).update({"state": 3, "load": 40})
        await made.add(stack, "meter-1", "acme/meter")
        made.devices["press-1"]["workcells"] = ["press-1"]
        made.write_site()
        made.write_edge(
            edge="machining",
            site="site.yaml",
            profiles="profiles",
            data="data",
            broker={"host": "127.0.0.1", "port": free_port()},
            api={"port": free_port()},
            changes={"probation": 1.0, **changes},
        )
        yield made


@contextlib.asynccontextmanager
async def living(setup: Setup) -> AsyncIterator[Agent]:
    """The edge, running."""
    ready: asyncio.Queue[int] = asyncio.Queue()
    async with built(setup) as agent:
        task = asyncio.create_task(agent.run(ready.put_nowait))
        try:
            async with asyncio.timeout(20):
                await ready.get()
            yield agent
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextlib.asynccontextmanager
async def counting(server: ModbusServer, every: float = 0.2) -> AsyncIterator[None]:
    """Let a machine's counter count: slowly enough that each number is read several times.

    It sleeps in small steps: where this process had to wait for the processor, so must the counter.
    """

    async def count() -> None:
        number = 0
        while True:
            number += 1
            server.set("counter", number)
            for _ in range(STEPS):
                await asyncio.sleep(every / STEPS)

    task = asyncio.create_task(count())
    try:
        yield
    finally:
        task.cancel()


@dataclass
class Told:
    """Everything an outbox holds: events in order, samples by path with the catalogue they came under."""

    events: list[Event]
    samples: dict[str, list[Sample]]
    in_order: bool
    """Whether every catalogue was announced before the first batch that needs it."""

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def told(agent: Agent) -> Told:
    """What is on disk now; nothing was acknowledged."""
    await agent.recorder.flush()
    await agent.outbox.seal()
    events: list[Event] = []
    samples: dict[str, list[Sample]] = {}
    catalogues: dict[bytes, dict[int, str]] = {}
    in_order = True
    for sealed in sorted(await agent.outbox.pending(), key=lambda sealed: sealed.serial):
        blob = await agent.outbox.blob(sealed.key) or b""
        if sealed.key.lane is Lane.STATES:
            fresh = states.decode(blob)
            events += fresh
            for event in fresh:
                if isinstance(event, CatalogueAnnounced):
                    catalogues[event.hash] = {tag.number: tag.path for tag in event.catalogue.tags}
        elif sealed.key.lane is Lane.TELEMETRY:
            batch = telemetry.decode(blob)
            in_order &= batch.catalogue in catalogues
            for sample in batch.samples():
                samples.setdefault(catalogues[batch.catalogue][sample.tag], []).append(sample)
    return Told(events, samples, in_order)


def numbers(samples: list[Sample]) -> list[int]:
    """The good values of a counter, in order."""
    return [sample.value for sample in samples if isinstance(sample.value, int)]


def is_complete(found: list[int]) -> bool:
    """Whether a counter was seen at every number between its first and its last, once each."""
    return bool(found) and found == list(range(found[0], found[-1] + 1))
