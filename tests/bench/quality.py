"""What a measurement costs: a point on a chart alone, charted in the database with all that follows, and how
long it takes until a hold is painted.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from cloud.quality.effects import QualityEffects
from protocols import actions as act
from protocols.spc.chart import State, advance
from protocols.spc.charts import Kind, Sample, Spec
from protocols.spc.limits import Limits
from tests.bench import holds_shown
from tests.bench.figures import Figure, Size, median
from tests.cloud.orders.shop import open_database
from tests.cloud.quality.shop import quality_floor

KINDS = (Kind.I_MR, Kind.DNOM, Kind.EWMA, Kind.CUSUM, Kind.Q)
BEND = "q-1-1-20"


async def run(size: Size) -> list[Figure]:
    """CPU time, three rounds each."""
    points = size.of(200, 10_000)
    figures = [
        median(f"a point on a chart, {kind}", [_point(kind, points) for _ in range(3)], "µs CPU", note="pure")
        for kind in KINDS
    ]
    ledgered = [_ledgered(size.of(20, 1_000)) for _ in range(3)]
    note = "in the ledger's transaction, 50 a batch, SQLite"
    charted = median("a measurement charted", ledgered, "µs CPU", note=note)
    return [*figures, charted, *await holds_shown.run(size)]


def _point(kind: Kind, points: int) -> float:
    rng, state = random.Random(1), State()
    spec = Spec(kind, nominal=0.0)
    limits = Limits(0.0, 1.0, 1.128, points=30, version=1)
    samples = [Sample((rng.gauss(0, 1),)) for _ in range(points)]
    began = time.process_time()
    for sample in samples:
        state, _ = advance(spec, limits, state, sample)
    return (time.process_time() - began) / points * 1e6


def _ledgered(points: int) -> float:
    rng = random.Random(2)
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'quality.db'}")
        try:
            floor = quality_floor(database, 400)
            floor.opens(BEND)
            effects, batches = QualityEffects(), []
            for start in range(0, points, 50):
                batches.append(
                    [
                        floor.action("brake-1", act.StepDone("r", BEND, 1, f"{rng.gauss(25, 0.05):.3f}"))
                        for _ in range(min(50, points - start))
                    ]
                )
            began = time.process_time()
            for batch in batches:
                database.write(lambda tx, batch=batch: effects.actions(tx, "machining", batch, 1)).result()  # type: ignore[misc]
            return (time.process_time() - began) / points * 1e6
        finally:
            database.close()
