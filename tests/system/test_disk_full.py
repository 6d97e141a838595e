"""No room for what cannot be sent: samples are given up with a reason, what people did never is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge.client import EdgeClient
from tests.system.accounts import Accounts, queued
from tests.system.machines import Flood
from tests.system.plant import Edge, Machine, Plant, plant
from tests.system.processes import until
from tests.system.witness import Witness
from tests.system.worker import Worker

MIB = 1 << 20
AT_LENGTH = int(os.environ.get("ONELOT_KILLS", "50")) > 50
pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto"), pytest.mark.timeout(300)]


@dataclass(slots=True)
class Scene:
    """One edge that is flooded with samples, and a worker."""

    plant: Plant
    witness: Witness
    worker: Worker
    stop: asyncio.Event
    shift: asyncio.Task[None]

    @property
    def edge(self) -> Edge:
        return self.plant.edges["north"]

    async def health(self) -> dict[str, Any]:
        """The edge's health; it must answer."""
        health = await self.plant.edge_health("north")
        assert health is not None
        return health

    async def until_dropped(self, samples: int) -> None:
        """Wait until so many samples are given up; what is kept stays within its bounds all the time."""

        async def enough() -> bool:
            self.plant.check()
            return bool((await self.health())["samples"]["dropped"] > samples)

        await until(enough, f"more than {samples} samples are given up", 120, 0.2)

    async def worked(self, pieces: int) -> None:
        """Wait for so many accepted bookings more."""
        goal = self.worker.booked.total() + pieces

        async def done() -> bool:
            return self.worker.booked.total() >= goal

        await until(done, f"{pieces} pieces more are booked", 60)

    async def settle_and_compare(self) -> Accounts:
        """The broker is back: everything is in the ledger or has a tombstone, to the sample."""
        self.stop.set()
        await asyncio.wait_for(self.shift, 60)
        await self.plant.settled()
        await self.edge.process.stop()
        await self.witness.silent("north")
        accounts = Accounts.of(self.plant.ledger)
        told = list(self.witness.told.values())
        assert accounts.unaccounted(told, queued(self.edge.database)) == []
        assert accounts.altered(told) == []
        assert self.worker.accepted - set(accounts.actions()) == set()
        return accounts


@contextlib.asynccontextmanager
async def flooded(folder: Path, outbox: Mapping[str, Any], blocks: int) -> AsyncIterator[Scene]:
    """An edge whose machine sends ``blocks`` × 62 new values twenty times a second."""
    profile = Flood.write_profile(folder / "profiles/test/flood.yaml", blocks, 0.05)
    async with contextlib.AsyncExitStack() as stack:
        flood = await stack.enter_async_context(Flood(profile))
        witness = await stack.enter_async_context(Witness().listening())
        machines = {"north": [Machine("flood-1", "test/flood", flood.url)]}
        site = await stack.enter_async_context(
            plant(folder, machines, witness=witness.address, outbox=outbox, profiles=folder / "profiles")
        )
        await site.start()
        await site.order(10_000, "flood-1")
        edge = site.edges["north"]
        client = await stack.enter_async_context(EdgeClient(edge.url, await edge.token()))
        worker, stop = Worker(client, "flood-1", random.Random(7)), asyncio.Event()
        shift = asyncio.create_task(worker.work(stop), name="worker")
        try:
            yield Scene(site, witness, worker, stop, shift)
        finally:
            shift.cancel()
            await asyncio.wait([shift])


async def test_a_full_outbox_gives_up_samples_with_a_reason_and_no_action(tmp_path: Path) -> None:
    async with flooded(tmp_path, {"max_bytes": MIB}, blocks=8) as now:
        await now.worked(3)
        now.plant.broker.kill()
        await now.until_dropped(20_000)
        await now.worked(10)
        assert now.edge.database.stat().st_size <= MIB
        assert now.worker.refused == {}
        now.plant.broker.start()
        accounts = await now.settle_and_compare()

        tombstones = accounts.tombstones()
        assert {stone.reason for stone in tombstones} <= {
            "thinned: the outbox is full",
            "dropped: the outbox is full",
            "dropped: no room to record it",
        }
        given_up = sum(stone.samples for stone in tombstones)
        assert given_up == sum(sum(stone.counts.values()) for stone in tombstones) > 20_000
        await _a_chart_shows_the_gap(now.plant)


async def _a_chart_shows_the_gap(site: Plant) -> None:
    """The page's history has the gap with its reason, and the cloud has counted every sample once."""
    tags = await site.get("/tags", device="flood-1")
    tag = next(tag["id"] for tag in tags if tag["path"] == "flood-1/value_0")
    history = await site.get(f"/history/{tag}", start=0, end=2**62)
    assert any(gap["samples"] > 0 and "full" in gap["reason"] for gap in history["gaps"])
    accounts, health = Accounts.of(site.ledger), await site.cloud_health()
    assert health is not None
    assert health["samples"]["ledgered"] == accounts.samples()
    assert health["samples"]["dropped"] == accounts.missing()
    assert health["samples"]["duplicated"] == 0


# --- a disk that is really full -------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A tmpfs of ``size`` bytes at ``folder``; skips where it cannot be mounted."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.soak
@pytest.mark.skipif(not AT_LENGTH, reason="only at length: make soak")
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="a tmpfs needs Linux and root")
async def test_a_full_disk_takes_the_ballast_and_then_refuses_clearly(tmp_path: Path) -> None:
    with small_disk(tmp_path / "north", 16 * MIB):
        async with flooded(tmp_path, {}, blocks=40) as now:
            await now.worked(3)
            now.plant.broker.kill()
            _fill(tmp_path / "north/others", leave=2 * MIB)  # else it takes a busy machine minutes to fill it
            await now.until_dropped(20_000)
            await now.worked(10)  # samples made room for what people do
            _fill(tmp_path / "north/rubbish")
            await _refuses_or_accepts(now)
            (tmp_path / "north/rubbish").unlink()
            (tmp_path / "north/others").unlink()
            await now.worked(10)
            now.plant.broker.start()
            await now.settle_and_compare()


def _fill(path: Path, leave: int = 0) -> None:
    """Take every byte that is left on a disk but ``leave``."""
    path.write_bytes(b"")
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while shutil.disk_usage(path.parent).free >= leave and file.write(b"x" * 4096):
            pass


async def _refuses_or_accepts(now: Scene) -> None:
    """Whatever the disk does, a worker hears either that it is on disk or that it is not: never nothing."""
    before = now.worker.booked.total() + now.worker.refused.total()

    async def answered() -> bool:
        now.plant.check()
        return now.worker.booked.total() + now.worker.refused.total() >= before + 10

    await until(answered, "the worker gets answers", 60)
    assert set(now.worker.refused) <= {"disk-full"}
