"""Wear of a milling tool (University of Michigan, SMART lab, 2018): was the tool worn, told from the axes.

18 experiments of 100 ms samples, of which the layers being cut are used. One experiment is left out at a
time, never single rows; an experiment is voted worn where the mean probability of its rows is 0.5 or more.
8 tools were unworn, 10 worn: always saying "worn" is right in 0.56.

What tells in these data are the positions of the axes. Without them, by currents, powers, velocities and
following errors, 7 of 18 experiments are voted right, which is worse than chance: a feed or clamping that
comes with one class in the training comes with the other in the experiment left out. With so few experiments
the figure says that the split is honest, and little of how wear shows on another machine.
"""

from __future__ import annotations

import csv
import gzip
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloud.maintenance.benches.classifying import Decided, Flags, count
from cloud.maintenance.benches.data import BenchDataError
from cloud.maintenance.rul import boosted
from cloud.maintenance.rul.boosted import Growth
from cloud.maintenance.rul.runs import Floats
from cloud.maintenance.rul.training import Tell, silent

SOURCE = "the CNC mill tool wear data of the University of Michigan's SMART lab (Kaggle, shasun)"
TABLE = "experiments.csv"
AXES = ("X1_", "Y1_", "Z1_", "S1_")
"""How the columns of the axes and the spindle begin; program, sequence and feed are left out."""
CUTTING = "Layer"
EVERY = 3
"""Of the rows, 100 ms apart and much alike, one in so many is used."""
GROWTH = Growth(max_iter=40, learning_rate=0.1, min_samples_leaf=30, l2_regularization=5.0, max_features=1.0)


@dataclass(frozen=True, slots=True)
class Result:
    """``by_vote`` counts experiments, ``by_row`` rows; ``wrong`` are the experiments voted wrong."""

    by_vote: Decided
    by_row: Decided
    wrong: tuple[int, ...]
    seconds: float


def run(folder: Path, seed: int, tell: Tell = silent) -> Result:
    """Leave every experiment out once; raises BenchDataError."""
    began = time.monotonic()
    rows, experiment, worn = read(folder)
    numbers = np.unique(experiment)
    score = np.zeros(len(rows))
    for at, number in enumerate(numbers):
        tell(f"experiment {at + 1} of {len(numbers)}", at / len(numbers))
        held = experiment == number
        fitted = boosted.classifier(GROWTH, seed).fit(rows[~held], worn[~held])
        score[held] = fitted.predict_proba(rows[held])[:, 1]
    truth = np.array([worn[experiment == number][0] for number in numbers])
    votes = np.array([score[experiment == number].mean() >= 0.5 for number in numbers])
    return Result(
        count(votes, truth),
        count(score >= 0.5, worn),
        tuple(int(number) for number in numbers[votes != truth]),
        time.monotonic() - began,
    )


def read(folder: Path) -> tuple[Floats, NDArray[np.intp], Flags]:
    """Rows of signals, the experiment of each, and whether its tool was worn; raises BenchDataError."""
    rows: list[list[float]] = []
    experiment: list[int] = []
    worn: list[bool] = []
    for one in _table(folder / TABLE, ("No", "tool_condition")):
        number = int(one["No"])
        stem = f"experiment_{number:02}.csv"
        file = folder / stem if (folder / stem).is_file() else folder / f"{stem}.gz"
        table = _table(file, ("Machining_Process",))
        signals = [name for name in table[0] if name.startswith(AXES)]
        for row in table[::EVERY]:
            if row["Machining_Process"].startswith(CUTTING):
                rows.append([float(row[name]) for name in signals])
                experiment.append(number)
                worn.append(one["tool_condition"] == "worn")
    return np.array(rows), np.array(experiment), np.array(worn)


def _table(file: Path, wanted: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        data = file.read_bytes()
        text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BenchDataError(f"{file}: cannot be read ({error}): obtain {SOURCE}") from None
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or not set(wanted) <= set(rows[0]):
        raise BenchDataError(f"{file}: has not the columns {', '.join(wanted)}: obtain {SOURCE}")
    return rows
