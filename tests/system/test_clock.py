"""The clock of a workstation PC is set back an hour: time goes on, and says that it is uncertain."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.bootstrap import built
from edge.client import EdgeClient
from edge.config import load_setup
from edge.station.commands import WriteShiftNote
from protocols import actions
from protocols.clock import Clock
from protocols.values import Quality
from tests.system.accounts import Accounts, order_problems
from tests.system.machines import Press
from tests.system.plant import Machine, Plant, plant
from tests.system.processes import until

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto"), pytest.mark.timeout(240)]
HOUR_NS = 3600 * 10**9
TAG = "press-1/counter"


class Wall:
    """A wall clock that can be set; the machine's own monotonic time stays as it is."""

    def __init__(self) -> None:
        self.offset = 0

    def clock(self) -> Clock:
        return Clock(wall_ns=lambda: time.time_ns() + self.offset)


async def test_a_clock_set_back_an_hour_neither_repeats_nor_reorders_anything(tmp_path: Path) -> None:
    wall = Wall()
    async with (
        Press() as press,
        plant(tmp_path, {"north": [Machine("press-1", "test/press", press.url)]}) as site,
    ):
        await asyncio.to_thread(site.broker.start)
        site.cloud.start()
        async with _agent(site, wall):
            await site.ready()
            await _samples(site, Quality.GOOD, 5)
            assert await _note(site, "certain") is False
            wall.offset -= HOUR_NS
            await _samples(site, Quality.UNCERTAIN, 5)
            assert await _note(site, "set-back") is True
        # Restarted with the clock still an hour behind: times go on after the last one on disk.
        async with _agent(site, wall):
            await site.ready()
            seen = len(Accounts.of(site.ledger).story("north", TAG).samples)
            await _samples(site, Quality.UNCERTAIN, seen)
            await site.settled()

        accounts = Accounts.of(site.ledger)
        story = accounts.story("north", TAG)
        assert story.check() == [] and story.doubles == 0
        assert order_problems(accounts, "north") == []
        received = [row.id for row in accounts.lane("telemetry")]
        assert received == sorted(received)
        assert max(story.samples) > time.time_ns() // 1000 - 60_000_000  # not an hour ago


@contextlib.asynccontextmanager
async def _agent(site: Plant, wall: Wall) -> AsyncIterator[None]:
    """The edge north in this process, with our clock; stopped in order at the end."""
    async with built(load_setup(site.edges["north"].config), clock=wall.clock()) as agent:
        running = asyncio.create_task(agent.run(), name="agent")
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def _samples(site: Plant, quality: Quality, count: int) -> None:
    """Wait until the ledger has more than ``count`` samples of this quality."""

    async def enough() -> bool:
        if not site.ledger.exists():
            return False
        samples = Accounts.of(site.ledger).story("north", TAG).samples.values()
        return sum(sample.quality is quality for sample in samples) > count

    await until(enough, f"more than {count} {quality.name} samples arrive", 60, 0.2)


async def _note(site: Plant, name: str) -> bool:
    """Write a shift note; whether the action in the ledger says that its time is uncertain."""
    edge = site.edges["north"]
    async with EdgeClient(edge.url, await edge.token()) as client:
        await client.act("press-1", WriteShiftNote(id=f"note-{name}", actor="W1", note=name))

    async def ledgered() -> list[actions.Action]:
        rows = Accounts.of(site.ledger).lane("actions")
        found = [action for row in rows for action in actions.decode(row.blob)]
        return [action for action in found if action.id.startswith(f"note-{name}")]

    (action,) = await until(ledgered, f"the note {name} arrives")
    return action.uncertain
