"""AI4I 2020 (S. Matzka, HTW Berlin; UCI 601): does a milling operation fail, told from its process values.

The data are synthetic and have no time. Five stratified folds; the columns that name the mode of failure are
not looked at. Beside the measured values stand what a machinist would work out: power, temperature difference
and strain. The threshold of a fold is chosen on its training part alone, by an inner cross-validation.
"""

from __future__ import annotations

import csv
import gzip
import time
from dataclasses import dataclass
from math import pi
from pathlib import Path

import numpy as np

from cloud.maintenance.benches.classifying import Decided, Flags, best_cut, count
from cloud.maintenance.benches.data import BenchDataError
from cloud.maintenance.rul import boosted
from cloud.maintenance.rul.boosted import Growth
from cloud.maintenance.rul.cores import one_thread_each
from cloud.maintenance.rul.runs import Floats
from cloud.maintenance.rul.training import Tell, silent

SOURCE = "the AI4I 2020 predictive maintenance data set of the UCI repository (id 601)"
KINDS = ("L", "M", "H")
MEASURED = (
    "Air temperature [K]",
    "Process temperature [K]",
    "Rotational speed [rpm]",
    "Torque [Nm]",
    "Tool wear [min]",
)
FAILED = "Machine failure"
FOLDS = 5
GROWTH = Growth(
    max_iter=150, min_samples_leaf=10, l2_regularization=1.0, max_features=0.5, learning_rate=0.05
)


@dataclass(frozen=True, slots=True)
class Result:
    """Over all folds. ``area`` is the area under the precision-recall curve (average precision)."""

    rows: int
    failures: int
    area: float
    decided: Decided
    seconds: float


def run(file: Path, seed: int, tell: Tell = silent) -> Result:
    """Cross-validate; raises BenchDataError."""
    one_thread_each()
    from sklearn.metrics import average_precision_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    began = time.monotonic()
    features, failed = read(file)
    score = np.zeros(len(failed))
    decided = np.zeros(len(failed), bool)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for number, (kept, held) in enumerate(folds.split(features, failed)):
        tell(f"fold {number + 1} of {FOLDS}", number / FOLDS)
        inner = StratifiedKFold(3, shuffle=True, random_state=seed)
        seen = cross_val_predict(
            boosted.classifier(GROWTH, seed), features[kept], failed[kept], cv=inner, method="predict_proba"
        )[:, 1]
        fitted = boosted.classifier(GROWTH, seed).fit(features[kept], failed[kept])
        score[held] = fitted.predict_proba(features[held])[:, 1]
        decided[held] = score[held] >= best_cut(seen, failed[kept])
    return Result(
        len(failed),
        int(failed.sum()),
        float(average_precision_score(failed, score)),
        count(decided, failed),
        time.monotonic() - began,
    )


def read(file: Path) -> tuple[Floats, Flags]:
    """Features and whether each operation failed; raises BenchDataError."""
    try:
        data = file.read_bytes()
        text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BenchDataError(f"{file}: cannot be read ({error}): obtain {SOURCE}") from None
    rows = list(csv.DictReader(text.splitlines()))
    wanted = {"Type", FAILED, *MEASURED}
    if not rows or not wanted <= set(rows[0]):
        missing = ", ".join(sorted(wanted - set(rows[0] if rows else ())))
        raise BenchDataError(f"{file}: has no column {missing}: obtain {SOURCE}")
    try:
        kind = np.array([float(KINDS.index(row["Type"])) for row in rows])
        measured = np.array([[float(row[name]) for name in MEASURED] for row in rows])
        failed = np.array([int(row[FAILED]) for row in rows]) == 1
    except ValueError as error:
        raise BenchDataError(f"{file}: {error}") from None
    air, process, speed, torque, wear = measured.T
    worked_out = (process - air, torque * speed * 2 * pi / 60, wear * torque)
    return np.column_stack((kind, measured, *worked_out)), failed
