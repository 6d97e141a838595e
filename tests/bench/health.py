"""Cloud: health of 1,000 assets with 20 tags each, a window a minute, in CPU time of its process.

The samples are made before the clock starts and go in as the ledger publishes them; behind is the real
service with its database: gathering, sensors, regimes, deviation, and what was learned written each minute.
Beside it stands what the same detector makes of the C-MAPSS turbofans, where those data are at hand.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from cloud.hub import Hub, SamplesLedgered, StatesLedgered
from cloud.maintenance.benches.detector import SETS, bench
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.service import MaintenanceService, Settings, WatchedTag
from cloud.store.database import Database
from protocols.clock import Clock
from protocols.states import ItemState, MachineStateChanged, OperationMode
from protocols.values import MICROSECONDS
from tests.bench.figures import Figure, Size, median, progress

TAGS = 20
ROLES = ("vibration", "temperature", "spindle_load", "current", "pressure")
EVERY_S = 5
"""Seconds between two samples of a tag: what a deadband leaves of a value read each second."""
MINUTE = 60 * MICROSECONDS
STARTED = 1_790_000_040 * MICROSECONDS
LEARN = 8
"""Windows that are learned from, twice as many where a temperature seems to rise; then all are judged."""
AT_ONCE = 10_000
"""Samples that one batch has at most."""

CMAPSS = (
    Path(os.environ.get("ONELOT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    / "data"
    / "pdm"
    / "cmapss"
)
OBTAIN = (
    "C-MAPSS is not here: get Turbofan Engine Degradation Simulation from the NASA Prognostics Data "
    "Repository and put it into ../shared/data/pdm/cmapss"
)


async def run(size: Size) -> list[Figure]:
    """The figures of the live service, then those of the detector."""
    return [*await _service(size.of(50, 1000), size.of(2, 5)), *_detector(size)]


async def _service(assets: int, minutes: int) -> list[Figure]:
    tags = {
        1 + asset * TAGS + number: WatchedTag(
            f"asset-{asset:04d}",
            f"machine-{asset:04d}",
            f"machine-{asset:04d}/tag-{number}",
            "",
            ROLES[number % len(ROLES)],
            "float64",
            60.0,
        )
        for asset in range(assets)
        for number in range(TAGS)
    }

    async def watched() -> Mapping[int, WatchedTag]:
        return tags

    now = [STARTED]
    clock = Clock(wall_ns=lambda: now[0] * 1000, elapsed_ns=lambda: 0)
    with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/cloud.db") as database:
        database.create_all()
        hub = Hub()
        settings = Settings(limits=Limits(learn=LEARN))
        service = MaintenanceService(database, hub, clock, watched, settings)
        working = asyncio.create_task(service.run(), name="maintenance")
        try:
            while not hub.wanted(SamplesLedgered):  # noqa: ASYNC110 - it subscribes when it is ready
                await asyncio.sleep(0.001)
            hub.publish(
                StatesLedgered("edge", [_runs(device) for device in {t.device for t in tags.values()}])
            )
            costs = [
                await _minute(service, hub, now, tags, minute) for minute in range(2 * LEARN + 2 + minutes)
            ]
            judged = sum(health.judged > 0 for health in service.assets.values())
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
    if judged != assets:
        raise RuntimeError(f"{judged} of {assets} assets were judged: the bench does not measure scoring")
    measured = costs[-minutes:]
    share = [100 * cost / 60 * (1000 / assets) for cost in measured]
    note = f"{assets} assets × {TAGS} tags, a sample each {EVERY_S} s, a window a minute, saved each minute"
    return [median("health of 1,000 assets × 20 tags, each minute", share, "% of a core", 5.0, note=note)]


def _runs(device: str) -> MachineStateChanged:
    return MachineStateChanged(STARTED - MINUTE, device, ItemState.EXECUTING, OperationMode.PROCESSING)


async def _minute(
    service: MaintenanceService, hub: Hub, now: list[int], tags: Mapping[int, WatchedTag], minute: int
) -> float:
    """Seconds of the processor for one minute of all assets: samples, windows, scores, saving."""
    batches = [*_samples(tags, minute)]
    begin = STARTED + minute * MINUTE
    now[0] = begin + MINUTE
    before = time.process_time()
    for batch in batches:
        hub.publish(batch)
    done = begin - MINUTE  # windows close a minute after their end
    while minute > 1 and any(health.updated < done for health in service.assets.values()):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.05)
    await service.keep()
    return time.process_time() - before


def _samples(tags: Mapping[int, WatchedTag], minute: int) -> Iterator[SamplesLedgered]:
    rng = random.Random(minute)
    start = STARTED + minute * MINUTE
    ids = list(tags)
    for second in range(0, 60, EVERY_S):
        ts = start + second * MICROSECONDS
        for at in range(0, len(ids), AT_ONCE):
            some = ids[at : at + AT_ONCE]
            values = [50.0 + rng.gauss(0, 0.5) for _ in some]
            yield SamplesLedgered("edge", some, [ts] * len(some), [*values], [0] * len(some))


def _detector(size: Size) -> list[Figure]:
    figures = []
    for name in SETS if size is Size.FULL else ("FD001", "FD003"):
        if size is Size.QUICK or not (CMAPSS / f"train_{name}.txt.gz").exists():
            why = "left out of the quick size" if size is Size.QUICK else OBTAIN
            figures.append(Figure(f"{name}: median lead of the alarm", None, "cycles", 55.0, "more", why))
            continue
        progress(f"the detector follows {name}")
        found = bench(CMAPSS, name).all_engines
        caught = f"{found.caught} of {found.engines} engines caught"
        early = found.early_per_1000
        figures += [
            Figure(f"{name}: median lead of the alarm", found.median_lead, "cycles", 55.0, "more", caught),
            Figure(f"{name}: early alarms per 1,000 healthy cycles", early, "", 1.5),
        ]
    return figures
