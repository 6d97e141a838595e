"""Cloud: remaining life of 1,000 assets with 20 tags each, a row a minute, in CPU time of its process.

The samples are made before the clock starts and go in as the ledger publishes them, a moment of all machines
at a time: a whole minute at once, 240,000 samples, is more than may wait for one subscriber. Behind is the
real service with its database: rows, regimes, features, 400 trees, drift, and every row and score written
each minute. The model is grown at random in the shape that a training gives; what a score costs depends on
its size and not on what it learned.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from cloud.history.sqlite import SqliteHistory
from cloud.hub import Hub, ModelsChanged, SamplesLedgered
from cloud.ledger.reading import Tag
from cloud.maintenance.rul import registry
from cloud.maintenance.rul.service import LifeService
from cloud.maintenance.rul.training import feature_plan
from cloud.store.database import Database
from protocols.clock import Clock
from protocols.prognostics import model_file
from protocols.prognostics.intervals import Intervals
from protocols.prognostics.model import Model, Training, Validation
from protocols.prognostics.regimes import Regimes
from protocols.prognostics.rows import RowKind
from protocols.site import Device
from protocols.values import MICROSECONDS
from tests.bench.figures import Figure, Size, median, progress
from tests.protocols.prognostics import grown

SIGNALS, CONDITIONS, MIXES, TREES = 18, 2, 2, 200
TAGS = SIGNALS + CONDITIONS
EVERY_S = 5
"""Seconds between two samples of a tag."""
MINUTE = 60 * MICROSECONDS
STARTED = 1_790_000_040 * MICROSECONDS
FILLED = 32
"""Minutes before the measured ones: the windows are full, as they are in use."""
AT_ONCE = 10_000
"""Samples that one batch has at most."""
PATIENCE_S = 300.0
"""For the rows of one minute, or until all machines are followed."""


async def run(size: Size) -> list[Figure]:
    """The figure of the live service."""
    assets, minutes = size.of(50, 1000), size.of(2, 5)
    model = _model()
    devices = {
        f"machine-{n:04d}": Device(
            id=f"machine-{n:04d}", asset=UUID(int=n + 1), profile="acme/press", url="opc.tcp://127.0.0.1:1"
        )
        for n in range(assets)
    }
    names = (*model.conditions, *model.signals)
    tags = [
        Tag(1 + n * TAGS + place, f"{device}/{name}", "float64", "", "edge", device, "", 60.0, True)
        for n, device in enumerate(devices)
        for place, name in enumerate(names)
    ]

    async def known() -> Sequence[Tag]:
        return tags

    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    data = model_file.write(model, key)

    def use(tx: Connection) -> None:
        registry.register(tx, "one", "acme/press", model, data, 1, "bench")
        registry.shadow(tx, "one", 1, "bench")
        registry.activate(tx, "one", 1, "bench", "it is a bench")

    now = [STARTED]
    clock = Clock(wall_ns=lambda: now[0] * 1000, elapsed_ns=lambda: 0)
    with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/cloud.db") as database:
        database.create_all()
        await database.run(use)
        hub, history = Hub(), SqliteHistory(Path(folder) / "history")
        trusted = {model_file.key_id(public): public}
        service = LifeService(database, hub, clock, devices, trusted, known, quiet=0.0)
        working = asyncio.create_task(service.run(history), name="lives")
        try:
            while not hub.wanted(SamplesLedgered):  # noqa: ASYNC110 - it subscribes when it is ready
                await asyncio.sleep(0.001)
            hub.publish(ModelsChanged())
            progress(f"{assets} machines are taken up")
            async with asyncio.timeout(PATIENCE_S):
                while service.behind or service.followed < assets:  # noqa: ASYNC110 - it has nothing to tell yet
                    await asyncio.sleep(0.05)
            progress(f"{FILLED} minutes fill the windows, {minutes} are measured")
            costs = [await _minute(service, hub, now, tags, minute) for minute in range(FILLED + minutes)]
            rows = service.rows
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            history.close()
    if rows != assets * (FILLED + minutes - 2):
        raise RuntimeError(f"{rows} rows were scored: the bench does not measure scoring")
    share = [100 * cost / 60 * (1000 / assets) for cost in costs[-minutes:]]
    note = (
        f"{assets} assets × {TAGS} tags, a sample each {EVERY_S} s, a row a minute, 2 × {TREES} trees over "
        f"{len(model.plan.features)} features, written each minute"
    )
    return [
        median("remaining life of 1,000 assets × 20 tags, each minute", share, "% of a core", 5.0, note=note)
    ]


async def _minute(service: LifeService, hub: Hub, now: list[int], tags: Sequence[Tag], minute: int) -> float:
    """Seconds of the processor for one minute of all assets: samples, rows, scores, saving."""
    moments = [[*_samples(tags, minute, second)] for second in range(0, 60, EVERY_S)]
    now[0] = STARTED + (minute + 1) * MINUTE
    wanted = service.rows + (len(tags) // TAGS if minute > 1 else 0)  # a piece is added up a minute later
    before = time.process_time()
    async with asyncio.timeout(PATIENCE_S):
        for moment in moments:
            for batch in moment:
                hub.publish(batch)
            await asyncio.sleep(0.01)  # the service takes them
            while service.rows < wanted:  # noqa: ASYNC110 - the service is not asked to tell
                await asyncio.sleep(0.02)
    await service.keep()
    spent = time.process_time() - before
    if service.behind:
        raise RuntimeError(f"{service.behind} machines fell behind: samples were left out")
    return spent


def _samples(tags: Sequence[Tag], minute: int, second: int) -> Iterator[SamplesLedgered]:
    """What all machines told at one second of a minute, batch by batch."""
    rng = random.Random(60 * minute + second)
    ts = STARTED + minute * MINUTE + second * MICROSECONDS
    ids = [tag.id for tag in tags]
    for at in range(0, len(ids), AT_ONCE):
        some = ids[at : at + AT_ONCE]
        values = [rng.gauss(0, 0.5) for _ in some]
        yield SamplesLedgered("edge", some, [ts] * len(some), [*values], [0] * len(some))


def _model() -> Model:
    rng = random.Random(1)
    plan = feature_plan(SIGNALS + MIXES)
    width = len(plan.features)
    return Model(
        name="bench",
        unit="min",
        horizon=125.0,
        signals=tuple(f"signal-{n}" for n in range(SIGNALS)),
        conditions=tuple(f"condition-{n}" for n in range(CONDITIONS)),
        regimes=Regimes(
            (1.0,) * CONDITIONS,
            9.0,
            tuple((float(n), float(n)) for n in range(6)),
            ((0.0,) * SIGNALS,) * 6,
            ((0.5,) * SIGNALS,) * 6,
        ),
        mixes=tuple(tuple(rng.gauss(0, 1) for _ in range(SIGNALS)) for _ in range(MIXES)),
        plan=plan,
        ensembles=tuple(grown.ensemble(rng, TREES, width) for _ in range(2)),
        intervals=Intervals(0.9, (40.0,), (-10.0, -20.0), (10.0, 20.0)),
        expected=tuple(tuple(n / 4 - 2.0 for n in range(17)) for _ in range(SIGNALS)),
        training=Training("a bench", 100, 20_000, STARTED, 1, {}),
        validation=Validation(5, 10.0, 0.9, 30.0),
        row=RowKind(every=60.0),
    )
