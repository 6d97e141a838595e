"""Models of maintenance on public data, and what scoring costs.

Wants C-MAPSS, AI4I 2020 and the CNC mill wear data on this machine; ``ONELOT_SHARED`` names the folder above
``data/pdm``. ``quick`` trains FD001 with a few trees, only to see that it works. Trains as many models as
there are sets: minutes.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from cloud.maintenance.benches import ai4i, cmapss, mill
from cloud.maintenance.rul.boosted import Growth
from cloud.maintenance.rul.training import Choices, feature_plan
from protocols.prognostics.intervals import Intervals
from protocols.prognostics.model import Model, Prognoser, Training, Validation
from protocols.prognostics.regimes import Regimes
from protocols.prognostics.trees import Scorer
from tests.bench.figures import Figure, Size, missing, progress
from tests.protocols.prognostics import grown
from tests.system.processes import ROOT

FOLDER = Path(os.environ.get("ONELOT_SHARED") or ROOT.parent / "shared") / "data" / "pdm"
NOTE = "no data on this machine: ONELOT_SHARED names the folder above data/pdm (C-MAPSS, AI4I 2020, CNC mill)"
TEST = {"FD001": (11.3, 190.0), "FD003": (9.8, 190.0)}
"""Capped RMSE and NASA's score on the test file."""
FULL = Growth().max_iter
CV = {"FD002": 10.6, "FD004": 11.8}
"""Capped RMSE by grouped cross-validation: their test files are kept apart."""


async def run(size: Size) -> list[Figure]:
    """See the module."""
    figures = [_trees(), _scoring(size.of(50, 1000))]
    if not FOLDER.is_dir():
        return [*figures, missing("C-MAPSS, AI4I, mill wear", "", NOTE)]
    sets = cmapss.SETS[:1] if size is Size.QUICK else ("FD001", "FD003", "FD002", "FD004")
    for name in sets:
        progress(f"C-MAPSS {name}")
        figures += _turbofans(name, size.of(3, FULL))
    progress("AI4I 2020")
    figures += _operations()
    progress("mill wear")
    return [*figures, *_tools()]


def _turbofans(name: str, trees: int) -> list[Figure]:
    found = cmapss.run(FOLDER / "cmapss", name, Choices(cmapss.HORIZON, Growth(max_iter=trees)), at=0)
    validation = found.model.validation
    if trees < FULL:  # shows that it works: nothing to judge
        note = f"{trees} trees"
        return [Figure(f"{name}: RMSE by cross-validation", validation.rmse_capped, "cycles", note=note)]
    figures = [
        Figure(f"{name}: RMSE by grouped cross-validation", validation.rmse_capped, "cycles", CV.get(name)),
        Figure(f"{name}: 90 % interval, coverage", validation.coverage, "", 0.88, "more", "at most 0.92"),
        Figure(f"{name}: 90 % interval, mean width", validation.mean_width, "cycles", 32.0),
        Figure(f"{name}: training", found.train_seconds, "s", 60.0 if name == "FD001" else None),
    ]
    if found.test is not None:
        rmse, score = TEST.get(name, (None, None))
        raw = f"raw truth: RMSE {found.test.rmse_raw:.2f}, score {found.test.score_raw:.0f}"
        inside = f"{found.test.mean_width:.1f} cycles wide"
        figures += [
            Figure(f"{name}: 90 % interval on the test file", found.test.coverage, "", note=inside),
            Figure(f"{name}: RMSE on the test file", found.test.rmse_capped, "cycles", rmse, note=raw),
            Figure(f"{name}: NASA's score on the test file", found.test.score_capped, "", score),
        ]
    return figures


def _operations() -> list[Figure]:
    found = ai4i.run(FOLDER / "ai4i2020" / "ai4i2020.csv.gz", seed=0)
    alarms = f"{found.decided.false_alarms} false alarms, {found.decided.missed} of {found.failures} missed"
    return [
        Figure("AI4I: area under precision and recall", found.area, "", 0.87, "more"),
        Figure("AI4I: F1", found.decided.f1, "", 0.83, "more", alarms),
    ]


def _tools() -> list[Figure]:
    found = mill.run(FOLDER / "cnc_mill", seed=0)
    note = f"{found.by_vote.false_alarms} false alarms, {found.by_vote.missed} missed of 18"
    return [
        Figure(
            "mill wear: right by vote, an experiment left out", found.by_vote.accuracy, "", 0.92, "more", note
        )
    ]


def _trees() -> Figure:
    rng = random.Random(1)
    scorer = Scorer(grown.ensemble(rng, 600, 150), 150)
    rows = [grown.row(rng, 150) for _ in range(300)]
    began = time.process_time()
    for row in rows:
        scorer(row)
    spent = 1000 * (time.process_time() - began) / len(rows)
    return Figure("600 trees of up to 16 leaves, a row", spent, "ms CPU", 0.2, note="pure Python")


def _scoring(assets: int) -> Figure:
    """One sample of 20 tags and one prognosis for every asset."""
    rng = random.Random(2)
    tags = 20
    plan = feature_plan(tags + 2)
    width = len(plan.features)
    model = Model(
        name="bench",
        unit="h",
        horizon=125.0,
        signals=tuple(f"tag {n}" for n in range(tags)),
        conditions=("speed",),
        regimes=Regimes((1.0,), 9.0, ((0.0,),), ((0.0,) * tags,), ((1.0,) * tags,)),
        mixes=((0.2,) * tags, (0.1,) * tags),
        plan=plan,
        ensembles=(grown.ensemble(rng, 200, width), grown.ensemble(rng, 200, width)),
        intervals=Intervals(0.9, (), (-10.0,), (10.0,)),
        expected=(),
        training=Training("bench", 0, 0, 0, 0, {}),
        validation=Validation(0, 0.0, 0.0, 0.0),
    )
    prognoser = Prognoser(model)
    histories = [prognoser.new() for _ in range(assets)]
    for history in histories:
        for _ in range(40):
            prognoser.take(history, [0.0], [rng.gauss(0, 1) for _ in range(tags)])
    samples = [[rng.gauss(0, 1) for _ in range(tags)] for _ in range(assets)]
    began = time.process_time()
    for history, sample in zip(histories, samples, strict=True):
        prognoser.take(history, [0.0], sample)
        prognoser.prognosis(history)
    spent = (time.process_time() - began) * 1000 / assets / 60 * 100
    return Figure(
        "1,000 assets × 20 tags each minute", spent, "% of a core", 5.0, note=f"{width} features each"
    )
