"""A plant at work, with a witness: machines run, workers book, and in the end all accounts must agree."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.client import EdgeClient
from tests.servers import MosquittoServer
from tests.system.accounts import Accounts, Effects, effects, order_problems, queued, waiting_actions
from tests.system.machines import Lathe, Press
from tests.system.plant import Machine, Plant, plant
from tests.system.processes import until
from tests.system.witness import Key, Witness
from tests.system.worker import Worker

NORTH, SOUTH = "north", "south"
COUNTERS = {NORTH: ("press-1/counter", "lathe-1/counter"), SOUTH: ("press-2/counter",)}
PIECES = 10_000
ENOUGH = 20
"""Bookings in all, and samples of each counter, below which a comparison says little."""


@dataclass(slots=True)
class Scene:
    """Two edges with three machines, a worker at each."""

    plant: Plant
    witness: Witness
    presses: tuple[Press, Press]
    lathe: Lathe
    workers: list[Worker]
    stop_working: asyncio.Event
    shifts: list[asyncio.Task[None]]
    health: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each edge said of itself last."""
    put_back: bool = False
    """Whether an edge was put back to an older copy of its file: what it had sent may come again."""
    discarded: set[Key] = field(default_factory=set)
    """Batches that were in an outbox file when it was put back to an older copy: gone with it, no loss."""
    discarded_actions: set[str] = field(default_factory=set)

    async def worked(self, pieces: int) -> None:
        """Wait until every worker has booked so many pieces more."""
        before = [worker.booked.total() for worker in self.workers]

        async def done() -> bool:
            for shift in self.shifts:
                if shift.done():
                    shift.result()
            pairs = zip(self.workers, before, strict=True)
            return all(worker.booked.total() >= count + pieces for worker, count in pairs)

        await until(done, f"every worker books {pieces} pieces", 60)

    async def worked_enough(self) -> None:
        """Wait until there is something to compare, however fast this machine is."""

        async def enough() -> bool:
            accounts = Accounts.of(self.plant.ledger)
            stories = [accounts.story(edge, path) for edge, paths in COUNTERS.items() for path in paths]
            booked = sum(worker.booked.total() for worker in self.workers)
            return booked > ENOUGH and all(len(story.samples) > ENOUGH for story in stories)

        await until(enough, f"{ENOUGH} bookings and samples of every counter are in", 60, 0.5)

    async def check_edge(self, edge: str) -> None:
        """Everything a killed edge had on its disk is queued there, in the ledger, or has a tombstone."""
        await self.witness.silent(edge)
        waiting = queued(self.plant.edges[edge].database)  # before the ledger: a batch only moves there
        accounts = Accounts.of(self.plant.ledger)
        told = [each for each in self.witness.told.values() if each.edge == edge]
        nothing(accounts.unaccounted(told, waiting | self.discarded), "lost")
        nothing(accounts.altered(told), "altered")

    async def settle_and_compare(self) -> Accounts:
        """The end: everybody answers, nothing waits, and all accounts agree."""
        await self.settle()
        return self.compare(self.plant.ledger)

    async def settle(self) -> None:
        """Everybody answers, nothing waits, and the edges stop."""
        site = self.plant
        await self.worked_enough()
        self.stop_working.set()
        await asyncio.wait_for(asyncio.gather(*self.shifts), 60)
        self.health = await site.settled()
        for edge in site.edges.values():  # stopped, not killed: what is in memory goes to the disk
            await edge.process.stop()
            await self.witness.silent(edge.id)

    def compare(self, ledger: Path) -> Accounts:
        """Whether a ledger agrees with what witness, workers and edges know; raises AssertionError."""
        site = self.plant
        waiting = {key for edge in site.edges.values() for key in queued(edge.database)}
        accounts = Accounts.of(ledger)
        told = list(self.witness.told.values())
        nothing(self.witness.forks, "told twice with different contents")
        nothing(accounts.unaccounted(told, waiting | self.discarded), "lost")
        nothing(accounts.altered(told), "altered")
        assert {each.edge for each in told if each.key.lane == "telemetry"} == set(site.edges)

        self._compare_actions(accounts, effects(ledger))
        for name, paths in COUNTERS.items():
            nothing(order_problems(accounts, name), "out of order")
            for path in paths:
                story = accounts.story(name, path)
                nothing(story.check(), f"wrong with {path}")
                assert self.put_back or not story.doubles, f"{story.doubles} samples of {path} came twice"
                assert len(story.samples) > ENOUGH, f"{path} was hardly seen"
            samples = self.health[name]["samples"]
            assert samples["committed"] == samples["acked"] + samples["dropped"] + samples["queued"]
        return accounts

    def _compare_actions(self, accounts: Accounts, took: Effects) -> None:
        """Every accepted action is in the ledger exactly once, and took effect exactly once."""
        site = self.plant
        accepted = {action for worker in self.workers for action in worker.accepted}
        nothing(accepted - self.discarded_actions - set(accounts.actions()), "accepted and lost")
        nothing([action for action, times in accounts.actions().items() if times > 1], "ledgered twice")
        for edge in site.edges.values():
            nothing(waiting_actions(edge.database), f"still waiting at {edge.id}")

        booked: Counter[str] = Counter()
        for worker in self.workers:
            booked += worker.booked
        assert booked.total() > ENOUGH, [worker.refused for worker in self.workers]
        nothing(took.failed, "without effect")
        if not self.discarded_actions:
            good = {name: count for name, count in took.good.items() if count}
            assert good == dict(booked), f"pieces that took effect {good}, booked {dict(booked)}"
            notes = sum(worker.notes for worker in self.workers)
            assert (took.bookings, took.notes) == (booked.total(), notes), (took, booked, notes)
        for name in site.edges:
            samples = sum(row.count for row in accounts.lane("telemetry", name))
            done = sum(row.count for row in accounts.lane("actions", name))
            assert took.counted[name] == (samples, done), (name, took.counted, samples, done)


def nothing(found: Collection[object], what: str) -> None:
    """Fail with the first few of ``found`` when there is any."""
    if found:
        raise AssertionError(f"{len(found)} {what}: {list(found)[:5]}")


@contextlib.asynccontextmanager
async def scene(
    folder: Path, seed: int, *, broker: MosquittoServer | None = None, broker_port: int = 0
) -> AsyncIterator[Scene]:
    """A plant at work. ``broker_port`` is where the edges find the broker, if not at its own."""
    rng = random.Random(seed)
    async with contextlib.AsyncExitStack() as stack:
        presses = (await stack.enter_async_context(Press()), await stack.enter_async_context(Press()))
        lathe = await stack.enter_async_context(Lathe().turning())
        witness = await stack.enter_async_context(Witness().listening())
        owned = {
            NORTH: [
                Machine("press-1", "test/press", presses[0].url),
                Machine("lathe-1", "test/lathe", lathe.url, {"security": "none", "queue": 1000}),
            ],
            SOUTH: [Machine("press-2", "test/press", presses[1].url)],
        }
        site = await stack.enter_async_context(
            plant(folder, owned, witness=witness.address, broker=broker, broker_port=broker_port)
        )
        await site.start()
        workers, shifts, stop = [], [], asyncio.Event()
        for edge, station in ((NORTH, "press-1"), (NORTH, "lathe-1"), (SOUTH, "press-2")):
            await site.order(PIECES, station)
            client = EdgeClient(site.edges[edge].url, await site.edges[edge].token())
            await stack.enter_async_context(client)
            worker = Worker(client, station, random.Random(rng.random()))
            workers.append(worker)
            shifts.append(asyncio.create_task(worker.work(stop), name=f"worker {station}"))
        try:
            yield Scene(site, witness, presses, lathe, workers, stop, shifts)
        finally:
            for shift in shifts:
                shift.cancel()
            await asyncio.wait(shifts)
