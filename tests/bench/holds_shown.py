"""How long until a hold is painted: measured at the edge, and decided at the service.

Textual's terminal, the edge's API and its disk, the dispatching service and its database are the real ones;
between service and edge stands no broker (see ``latency`` for that way). The issue promises two seconds.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from textual.pilot import Pilot

from cloud.dispatching.settings import DispatchSettings
from edge.station import commands as asked
from tests.bench.figures import Figure, Size, percentile
from tests.cloud.orders.shop import open_database
from tests.edge.edges import edge_with_stations
from tests.edge.test_lots_on_hold import BRAKE, PACK, RUN, WELD, jobs, measure
from tests.system.holds import line, shown, terminal

PROMISED_MS = 2000.0
HELD = "■ HOLD"
WAITS = "■ on hold"


async def run(size: Size) -> list[Figure]:
    """Milliseconds, each time from a quiet screen."""
    with tempfile.TemporaryDirectory() as folder:
        here, there = await _measured(Path(folder), size.of(3, 40))
    with tempfile.TemporaryDirectory() as folder:
        held, freed = await _decided(Path(folder), size.of(2, 15))
    said = (
        ("value measured → hold painted at its terminal", here),
        ("value measured → painted at the next station's terminal", there),
        ("hold at the service → painted at the terminal", held),
        ("release at the service → painted at the terminal", freed),
    )
    return [
        Figure(
            f"{what}, p95",
            percentile(times, 0.95),
            "ms",
            PROMISED_MS,
            note=f"{len(times)} times",
            runs=tuple(times),
        )
        for what, times in said
    ]


async def _measured(folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    here: list[float] = []
    there: list[float] = []
    async with edge_with_stations(folder, places=(BRAKE, WELD, PACK)) as edge:
        await edge.stations.jobs_received(jobs())
        await edge.stations.perform("brake-1", asked.OpenRun(id=RUN, actor="K7", operations=("bend",)))
        async with terminal(edge, "brake-1") as brake, terminal(edge, "weld-1") as weld:
            await weld.press("f1")
            await shown(brake, "Measure flange")
            for number in range(rounds):
                measured = f"measured-{number:04}"
                began = time.perf_counter()
                await measure(edge, "25.42", measured)
                here.append(await _painted(brake, HELD, began))
                there.append(await _painted(weld, WAITS, began))
                undo = asked.Undo(id=f"undo-{number:06}", actor="K7", command=measured)
                await edge.stations.perform("brake-1", undo)
                await shown(brake, HELD, gone=True)
                await shown(weld, WAITS, gone=True)
    return here, there


async def _decided(folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    held: list[float] = []
    freed: list[float] = []
    database = open_database(f"sqlite:///{folder / 'orders.db'}")
    try:
        async with (
            line(database, folder, DispatchSettings()) as lot,
            terminal(lot.edge, "weld-1") as weld,
        ):
            await weld.press("f1")
            for _ in range(rounds):
                began = time.perf_counter()
                number = await lot.hold()
                held.append(await _painted(weld, WAITS, began))
                began = time.perf_counter()
                await lot.release(number)
                freed.append(await _painted(weld, WAITS, began, gone=True))
    finally:
        database.close()
    return held, freed


async def _painted(pilot: Pilot[str], words: str, began: float, *, gone: bool = False) -> float:
    """Milliseconds since ``began`` once the words are there, or gone."""
    await shown(pilot, words, gone=gone)
    return (time.perf_counter() - began) * 1000
