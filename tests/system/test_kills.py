"""``kill -9`` of edges, cloud and broker at random moments, in any order, restarted: nothing is lost, nothing
doubled.

``ONELOT_KILLS`` says how often (50 in the suite, 1,000 in ``make soak``), ``ONELOT_SEED`` which story.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.system.accounts import Accounts, queued, waiting_actions
from tests.system.plant import Plant
from tests.system.processes import until
from tests.system.scene import NORTH, SOUTH, scene

KILLS = int(os.environ.get("ONELOT_KILLS", "50"))
SEED = int(os.environ.get("ONELOT_SEED", "1"))
BROKER, CLOUD = "broker", "cloud"
TARGETS = (NORTH, SOUTH, NORTH, SOUTH, CLOUD, BROKER, BROKER)
"""What is killed, as often as it stands here."""

pytestmark = [pytest.mark.system, pytest.mark.soak, pytest.mark.needs("mosquitto")]
bounded = pytest.mark.timeout(300 if KILLS <= 50 else 0)


class Trouble:
    """Kills parts and starts them again after a moment of its own for each."""

    def __init__(self, site: Plant, rng: random.Random) -> None:
        self.rng = rng
        self.site = site
        self.log: list[str] = []
        self._began = time.monotonic()
        self._starts: dict[str, Callable[[], Awaitable[None]]] = {
            BROKER: lambda: asyncio.to_thread(site.broker.start),
            CLOUD: self._starter(CLOUD),
            **{edge: self._starter(edge) for edge in site.edges},
        }
        self._coming: dict[str, asyncio.Task[None]] = {}

    def _starter(self, name: str) -> Callable[[], Awaitable[None]]:
        process = self.site.cloud if name == CLOUD else self.site.edges[name].process

        async def start() -> None:
            process.start()

        return start

    def note(self, what: str) -> None:
        """Write into the story of this run."""
        self.log.append(f"{time.monotonic() - self._began:7.2f} {what}")

    async def kill(self, target: str) -> None:
        """Kill one part now."""
        await self._up(target)
        self.note(f"kill {target}")
        if target == BROKER:
            await asyncio.to_thread(self.site.broker.kill)
        elif target == CLOUD:
            await self.site.cloud.kill()
        else:
            await self.site.edges[target].process.kill()

    async def start(self, target: str, after: float = 0.0) -> None:
        """Start one part again, ``after`` so many seconds."""
        await asyncio.sleep(after)
        self.note(f"start {target}")
        await self._starts[target]()

    def start_later(self, target: str) -> None:
        """Start it again some time soon, whatever else happens meanwhile."""
        delay = self.rng.choice((0.0, self.rng.uniform(0, 1), self.rng.uniform(0, 3)))
        self._coming[target] = asyncio.create_task(self.start(target, delay), name=f"start {target}")

    async def _up(self, target: str) -> None:
        if (coming := self._coming.pop(target, None)) is not None:
            await coming

    async def all_up(self) -> None:
        """Wait until everything that was killed is started again."""
        for target in list(self._coming):
            await self._up(target)


@bounded
async def test_kills_at_random_moments_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    async with scene(tmp_path, SEED) as now:
        await now.worked(1)
        trouble = Trouble(now.plant, rng)
        try:
            for number in range(KILLS):
                await asyncio.sleep(rng.choice((rng.uniform(0, 0.3), rng.uniform(0.5, 5.5))))
                target = rng.choice(TARGETS)
                await trouble.kill(target)
                if target in now.plant.edges:
                    await now.check_edge(target)
                trouble.start_later(target)
                if number % 25 == 12:
                    # A moment of rest, or nothing of what was lost would ever be seen to come back.
                    await trouble.all_up()
                    await now.plant.settled()
                    trouble.note("settled")
            await trouble.all_up()
            trouble.note("all up")
            await now.settle_and_compare()
            print(*trouble.log, sep="\n")
            assert sum(worker.repeats for worker in now.workers) > 0, "no answer was ever missing"
        except BaseException:
            print(f"seed {SEED}, {KILLS} kills:", *trouble.log, sep="\n")
            raise


@pytest.mark.timeout(180)
async def test_an_edge_restarted_while_the_broker_is_down_and_one_put_back_to_an_older_copy(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, SEED) as now:
        site, trouble = now.plant, Trouble(now.plant, random.Random(SEED))
        south, copy = site.edges[SOUTH], tmp_path / "copy"
        await now.worked(5)

        await trouble.kill(BROKER)
        await now.worked(5)
        await trouble.kill(SOUTH)
        await now.check_edge(SOUTH)
        # Yesterday's copy: it holds sealed batches, samples that were not sealed yet, and a run in hand.
        shutil.copytree(south.data, copy)
        assert queued(south.database)
        await trouble.start(SOUTH)
        await now.worked(5)
        await trouble.kill(CLOUD)
        await trouble.start(BROKER)
        await trouble.start(CLOUD)
        await site.ready()
        await site.settled()
        assert {each.key for each in now.witness.told.values() if each.edge == SOUTH} & queued(
            copy / "edge.db"
        ) <= set(Accounts.of(site.ledger).rows)

        await trouble.kill(SOUTH)
        await now.check_edge(SOUTH)
        now.discarded |= queued(south.database) - queued(copy / "edge.db")
        now.discarded_actions |= waiting_actions(south.database) - waiting_actions(copy / "edge.db")
        now.put_back = True
        shutil.rmtree(south.data)
        shutil.copytree(copy, south.data)
        await trouble.start(SOUTH)
        await site.ready()
        await now.worked(5)
        await now.settle_and_compare()
        doubles = Accounts.of(site.ledger).story(SOUTH, "press-2/counter").doubles
        await _history_has_each_sample_once(site, SOUTH, "press-2/counter")
        print(f"{doubles} samples were sent a second time by the older copy")


async def _history_has_each_sample_once(site: Plant, edge: str, path: str) -> None:
    story = Accounts.of(site.ledger).story(edge, path)
    tag = next(tag["id"] for tag in await site.get("/tags", edge=edge) if tag["path"] == path)

    async def complete() -> bool:
        found = await site.get(f"/history/{tag}", start=0, end=2**62, points=100_000)
        return bool(found["complete"] and found["times"] == sorted(story.samples))

    await until(complete, f"the history has the {len(story.samples)} samples of {path}, each once")
