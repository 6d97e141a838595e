"""C-MAPSS through the whole chain: virtual machines, edge, broker, service; every score against the file's.

A model is trained on the engines of FD001 that failed. Those of its test file are replayed over Modbus, one
machine an engine; in the middle the broker is away and the service is killed. Their true lives are not read.
Wants the data on this machine: ``ONELOT_SHARED`` names the folder above ``data/pdm``. The normal size replays
the 30 shortest recordings of the test file (31 to 98 flights, 1,999 in all), one flight a second: it takes
about four minutes on two free cores. ``quick`` replays three of them with a few trees, ``full`` all 100.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cloud.maintenance.benches import cmapss
from cloud.maintenance.rul.runs import Run
from tests.bench.figures import Figure, Size, missing, progress
from tests.bench.maintenance_models import FOLDER
from tests.bench.site import lacking
from tests.system import engines
from tests.system.engines import Flight

SET = "FD001"
PACE_S = 1.0
"""Seconds of a flight: so slow that engines still fly when each has a row, and the link is cut."""
OUTAGE_S = 10.0
AT_EDGE = 3
"""Engines that the edge scores, too."""
PATIENCE_S = 1800.0
NOTE = f"no data on this machine: obtain {cmapss.SOURCE}; ONELOT_SHARED names the folder above data/pdm"


async def run(size: Size) -> list[Figure]:
    """See the module."""
    if lack := lacking("mosquitto"):
        return [missing("scores that differ", "", lack, 0.0)]
    if not (FOLDER / "cmapss").is_dir():
        return [missing("scores that differ", "", NOTE, 0.0)]
    with tempfile.TemporaryDirectory() as folder:
        return await _through(Path(folder), size)


async def _through(folder: Path, size: Size) -> list[Figure]:
    fleet = cmapss.read_fleet(FOLDER / "cmapss", SET)
    shortest_first = sorted(cmapss.read_test_engines(FOLDER / "cmapss", SET), key=len)
    flown = {_name(one): _flights(one) for one in shortest_first[: size.of(3, 30, 100)]}
    failed = engines.write(folder / "failed.csv", {_name(one): _flights(one) for one in fleet.runs})
    progress(f"trains on {SET}")
    few = ("--trees", "10") if size is Size.QUICK else ()
    model = await asyncio.to_thread(engines.trained, folder, failed, "--horizon", "125", *few)
    async with engines.hangar(folder, flown, model, PACE_S, AT_EDGE) as made:
        await made.use(model)
        began = time.monotonic()
        made.take_off()
        progress(f"{len(flown)} engines fly")
        await made.scored(1, PATIENCE_S)
        progress("the broker is away, the service is killed")
        broke, mended = await made.cut_off(OUTAGE_S)
        progress("flies on")
        await made.landed(PATIENCE_S)
        seconds = time.monotonic() - began
        progress("compares")
        found = await engines.compared(made, model)
        ends = [row["end"] for engine in flown for row in await made.rows(engine)]
    if found.differences:
        progress("; ".join(found.differences[:5]))
    away = f"{len(flown)} engines, {OUTAGE_S:g} s without a broker, service killed once"
    return [
        Figure(
            "rows from machine to stored score",
            found.rows,
            "rows",
            sum(map(len, flown.values())),
            "more",
            away,
        ),
        Figure("rows and scores that differ from the file's", len(found.differences), "", 0.0),
        Figure(
            "rows flown while edge and service had not each other",
            sum(broke < end < mended for end in ends),
            "rows",
            float(OUTAGE_S / PACE_S),
            "more",
            "each engine that still flies has one a flight",
        ),
        Figure("numbers compared to the last bit", found.numbers, ""),
        Figure("from the first flight to the last score", seconds, "s", note=f"a flight each {PACE_S:g} s"),
    ]


def _name(one: Run) -> str:
    return one.asset.replace(" ", "-")


def _flights(one: Run) -> Sequence[Flight]:
    found: list[Flight] = np.column_stack([one.conditions, one.values]).tolist()
    return found
