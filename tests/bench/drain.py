"""A backlog drains: a real edge with millions of queued samples, a real broker, the real cloud, two cores.

The backlog is written through the outbox as an edge does while it is offline: a thousand tags every second,
merged. Then everything starts, with a machine of a thousand tags that goes on meanwhile. Drained is when
the ledger has all that was queued; the history follows on its own and is timed apart.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.bootstrap import built
from edge.config import load_setup
from edge.outbox.outbox import append_samples
from protocols.telemetry import SampleColumns
from tests.bench.figures import Figure, Size, missing
from tests.bench.moving import PERIOD, moving, write_profile
from tests.bench.outbox import TAGS, Walks, shop
from tests.bench.site import EDGE, Meter, lacking, site
from tests.system.plant import Plant
from tests.system.processes import until

RATE, LIVE_P95_MS, RSS_MB = 100_000.0, 1000.0, 200.0
LOOK_S = 0.05
ENOUGH = 100
"""Measurements below which a 95th percentile is not held against its target."""
PATIENCE_S = 600.0
SECONDS_AT_ONCE = 20
"""Seconds of samples in one transaction, for the backlog to be made in reasonable time."""


async def run(size: Size) -> list[Figure]:
    """See the module."""
    if lack := lacking("mosquitto"):
        return [missing("backlog drained", "samples/s", lack, RATE)]
    seconds = size.of(100_000, 2_000_000, 10_000_000) // TAGS
    with tempfile.TemporaryDirectory() as folder:
        profile = write_profile(Path(folder), "modbus", TAGS, deadband=5.0)
        async with (
            moving(profile) as machine,
            site(Path(folder), {"plc-1": ("bench/modbus", machine.url)}) as made,
        ):
            queued, stored = await _fill(made, seconds)
            return _figures(await _drain(made, queued), stored / queued)


async def _fill(made: Plant, seconds: int) -> tuple[int, float]:
    """Queue a backlog in the edge's file; samples queued, and bytes of the file."""
    setup = await asyncio.to_thread(load_setup, made.edges[EDGE].config)
    async with built(setup) as agent:
        catalogue, store = agent.recorder.catalogue, agent.outbox.store
        began = agent.outbox.clock.now() - seconds * 1_000_000 - 1_000_000
        waiting: list[SampleColumns] = []
        for second, batch in enumerate(Walks(shop).seconds(seconds)):
            batch.catalogue, batch.base = catalogue, began + second * 1_000_000
            waiting.append(batch)
            if len(waiting) == SECONDS_AT_ONCE or second == seconds - 1:
                await store.run(_appended(waiting), urgent=False)
                waiting = []
        queued = (await agent.outbox.stats()).queued
    return queued, float(made.edges[EDGE].database.stat().st_size)


def _appended(batches: list[SampleColumns]) -> Callable[[sqlite3.Connection], None]:
    def work(db: sqlite3.Connection) -> None:
        for batch in batches:
            append_samples(db, batch)

    return work


@dataclass(slots=True)
class Drained:
    """What was seen: seconds until the ledger, and the history, had the backlog."""

    queued: int
    ledgered_s: float = 0.0
    history_s: float = 0.0
    live: dict[str, Any] = field(default_factory=dict)
    live_after: dict[str, Any] = field(default_factory=dict)
    rss_mb: list[float] = field(default_factory=list)
    cloud_rss_mb: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)


async def _drain(made: Plant, queued: int) -> Drained:
    """Start everything and look on until the ledger has what was queued."""
    await asyncio.to_thread(made.broker.start)
    made.cloud.start()

    async def answers() -> bool:
        return await made.cloud_health() is not None

    await until(answers, "the cloud answers", PATIENCE_S)
    made.edges[EDGE].process.start()
    pids = {"edge": made.edges[EDGE].process.pid, "cloud": made.cloud.pid, "broker": made.broker.pid or 0}
    found = Drained(queued)

    async def connected() -> bool:
        made.check()
        health = await made.edge_health(EDGE)
        return health is not None and bool(health["link"]["online"])

    await until(connected, "the edge reaches the broker", PATIENCE_S, 0.02)
    meters = {name: Meter(pid) for name, pid in pids.items()}
    start, done = time.monotonic(), 0
    while done < queued:
        await asyncio.sleep(LOOK_S)
        made.check()
        found.rss_mb.append(meters["edge"].rss_mb())
        found.cloud_rss_mb.append(meters["cloud"].rss_mb())
        done = await _backlog_done(made, queued)
        if time.monotonic() - start > PATIENCE_S:
            raise AssertionError(f"{done} of {queued} samples drained in {PATIENCE_S:g} s")
    found.ledgered_s = time.monotonic() - start
    found.cpu = {name: meter.cpu() for name, meter in meters.items()}
    found.live = (await _cloud(made))["latency_ms"]

    async def projected() -> bool:
        return bool((await _cloud(made))["history"]["samples"] >= queued)

    edge = await made.edge_health(EDGE)
    assert edge is not None and edge["samples"]["dropped"] == 0, f"samples were given up: {edge}"
    await until(projected, "the history has the backlog", PATIENCE_S, LOOK_S)
    found.history_s = time.monotonic() - start
    found.live_after = (await _cloud(made))["latency_ms"]
    return found


async def _cloud(made: Plant) -> dict[str, Any]:
    health = await made.cloud_health()
    while health is None:  # busy, not away
        made.check()
        await asyncio.sleep(LOOK_S)
        health = await made.cloud_health()
    return health


async def _backlog_done(made: Plant, queued: int) -> int:
    """Samples of the backlog in the ledger: what the edge still has that is older than the last seconds."""
    health = await made.edge_health(EDGE)
    if health is None:
        return 0
    samples = health["samples"]
    return queued if samples["queued"] < 2 * TAGS else min(queued - 1, int(samples["acked"]))


def _figures(found: Drained, stored: float) -> list[Figure]:
    rate = found.queued / found.ledgered_s
    cpu = ", ".join(f"{name} {used / found.queued * 1e6:.1f}" for name, used in found.cpu.items())
    every = f"{TAGS} live tags × {1 / PERIOD:g} Hz beside it"
    history = found.queued / found.history_s
    return [
        Figure("backlog drained", rate, "samples/s", RATE, "more", f"{found.queued:,} samples; {every}"),
        _live("live p95 until the ledger has it", found.live),
        _live("live p95 until the history has it, too", found.live_after),
        Figure("edge, resident", max(found.rss_mb), "MB", RSS_MB, note="peak"),
        Figure("cloud, resident", max(found.cloud_rss_mb), "MB", note="peak"),
        Figure("CPU of all three", sum(found.cpu.values()) / found.queued * 1e6, "µs/sample", note=cpu),
        Figure("until the history has it, too", history, "samples/s", RATE, "more"),
        Figure("backlog on disk", stored, "B/sample"),
    ]


def _live(what: str, seen: dict[str, Any]) -> Figure:
    """Sample taken to ledgered, of what was live since the cloud started."""
    enough = seen["count"] >= ENOUGH
    note = f"p50 {seen['p50']:.0f}, p99 {seen['p99']:.0f}; {seen['count']} seen"
    reached, target = (seen["p95"] if seen["count"] else None), (LIVE_P95_MS if enough else None)
    return Figure(what, reached, "ms", target, note=note if enough else f"{note}: too few to judge")
