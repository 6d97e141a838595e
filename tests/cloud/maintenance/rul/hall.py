"""One machine before a running service of remaining lives: a real database, history and hub."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection

from cloud.history.port import Series
from cloud.history.sqlite import SqliteHistory
from cloud.hub import EdgeOpened, Hub, ModelsChanged, SamplesLedgered, StatesLedgered
from cloud.ledger.reading import Tag
from cloud.maintenance.rul import lives, registry
from cloud.maintenance.rul.lives import RemainingLife, ScoredRow
from cloud.maintenance.rul.service import LifeService
from cloud.store.database import Database
from protocols.clock import Clock
from protocols.prognostics import model_file
from protocols.prognostics.model import Model
from protocols.site import Device
from protocols.states import ItemState, MachineStateChanged, OperationMode
from protocols.values import MICROSECONDS
from tests.cloud.maintenance.rul import signed

ASSET = "0b0e6c1e-7b1b-4a57-9f0a-000000000001"
PRESS = Device(id="press-1", asset=UUID(ASSET), profile="acme/press", url="opc.tcp://127.0.0.1:1")
NAMES = ("speed", "vibration", "temperature", "current", "cycle")
TAGS = [
    Tag(n, f"press-1/{name}", "float64", "", "hall", "press-1", "", 60.0, True)
    for n, name in enumerate(NAMES, 1)
]
START = 1_790_000_000 * MICROSECONDS
Cycle = tuple[float, float, float, float]
"""Speed, vibration, temperature, current."""


def cycles(count: int, seed: int = 5, strange: Sequence[int] = ()) -> list[Cycle]:
    """What was measured in each cycle of a machine that wears; ``strange`` ones ran at an unknown speed."""
    rng = random.Random(seed)
    found = []
    for n in range(count):
        speed = 9000.0 if n in strange else rng.choice([1000.0, 3000.0])
        found.append((speed, 1.0 + n / count + rng.gauss(0, 0.1), rng.gauss(50, 4), 5.0 + rng.random()))
    return found


def batch(measured: Sequence[Cycle], first: int = 1, *, historical: bool = False) -> SamplesLedgered:
    """All tags of each cycle, read together: cycle ``first`` and those after it, one a second."""
    event = SamplesLedgered("hall", [], [], [], [], historical)
    for cycle, values in enumerate(measured, first):
        for tag, value in enumerate((*values, float(cycle)), 1):
            event.tags.append(tag)
            event.times.append(START + cycle * MICROSECONDS)
            event.values.append(None if value != value else value)
            event.qualities.append(2 if value != value else 0)
    return event


@dataclass(slots=True)
class Hall:
    """``tell`` is what the ledger does with a batch: the history gets it, then whoever watches."""

    database: Database
    history: SqliteHistory
    hub: Hub
    service: LifeService
    faults: list[tuple[str, str]] = field(default_factory=list)

    def store(self, event: SamplesLedgered) -> None:
        """Into the history alone."""
        for tag in sorted(set(event.tags)):
            rows = [n for n, one in enumerate(event.tags) if one == tag]
            bad = {at: event.qualities[n] for at, n in enumerate(rows) if event.qualities[n]}
            self.history.write(
                {tag: Series([event.times[n] for n in rows], [event.values[n] for n in rows], bad)}
            )

    def tell(self, event: SamplesLedgered) -> None:
        self.store(event)
        self.hub.publish(event)

    def opened(self) -> None:
        self.hub.publish(EdgeOpened("hall"))

    async def use(self, model: Model, *, active: bool = True, name: str = "one", now: int = 1) -> None:
        """Take a model in; into use, or into shadow."""
        data = model_file.write(model, signed.KEY)

        def work(tx: Connection) -> None:
            registry.register(tx, name, "acme/press", model, data, now, "ann")
            registry.shadow(tx, name, now + 1, "ann")
            if active:
                registry.activate(tx, name, now + 2, "ann", "it is a test")

        await self.database.run(work)
        self.hub.publish(ModelsChanged())
        await self.until(lambda: self.following(name))

    def following(self, name: str) -> bool:
        """Whether the machine is followed with a model, and nothing is behind."""
        found = self.service._followers.get((ASSET, name))
        return found is not None and not found.behind

    async def rows(self, count: int, name: str = "one", last: int | None = None) -> list[ScoredRow]:
        """The stored rows, when there are so many of them, the last of them of the cycle ``last``."""
        found: list[ScoredRow] = []

        async def enough() -> bool:
            await self.service.keep()
            found[:] = await self.database.query(lambda tx: lives.scored_rows(tx, ASSET, name, 10_000))
            return len(found) >= count and (last is None or found[-1].count == last)

        async with asyncio.timeout(20):
            while not (await enough() and self.following(name)):  # noqa: ASYNC110 - it saves, too
                await asyncio.sleep(0.005)
        return found

    async def shown(self) -> RemainingLife | None:
        await self.service.keep()
        return (await self.database.query(lives.lives)).get(ASSET)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for it; a second too long is no matter, forever is an error."""
        async with asyncio.timeout(20):
            while not true():  # noqa: ASYNC110 - the service is not asked to tell
                await asyncio.sleep(0.002)


def executes(ts: int = START) -> StatesLedgered:
    state = MachineStateChanged(ts, "press-1", ItemState.EXECUTING, OperationMode.PROCESSING)
    return StatesLedgered("hall", [state])


@contextlib.asynccontextmanager
async def running(folder: Path, now: int = START + 3600 * MICROSECONDS) -> AsyncIterator[Hall]:
    """A service in ``folder``, running; it stops and saves at the end of the block, as it would."""
    history = SqliteHistory(folder / "history")
    with Database(f"sqlite:///{folder}/cloud.db") as database:
        database.create_all()
        hub = Hub()
        clock = Clock(wall_ns=lambda: now * 1000, elapsed_ns=time.monotonic_ns)
        faults: list[tuple[str, str]] = []

        async def tags() -> Sequence[Tag]:
            return TAGS

        service = LifeService(
            database, hub, clock, {PRESS.id: PRESS}, signed.TRUSTED, tags, lambda _asset: faults, quiet=0.0
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(service.run(history))
                hall = Hall(database, history, hub, service, faults)
                await hall.until(lambda: hub.wanted(SamplesLedgered))
                yield hall
                task.cancel()
        finally:
            history.close()
