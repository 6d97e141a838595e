"""C-MAPSS: simulated turbofans from new to failure (NASA; Saxena, Goebel, Simon, Eklund, PHM 2008).

Errors are counted against the truth capped at 125 cycles, as the literature does, and raw. The score is
NASA's: Σ exp(e / 10) − 1 for a prediction that is late by e cycles, Σ exp(e / 13) − 1 for one that is early.
The test file is opened once, after the model is finished.
"""

from __future__ import annotations

import gzip
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cloud.maintenance.benches.data import BenchDataError
from cloud.maintenance.rul.conformal import covered
from cloud.maintenance.rul.runs import Fleet, Floats, Run
from cloud.maintenance.rul.training import Choices, Tell, silent, train
from protocols.prognostics.model import Model, Prognoser

HORIZON = 125.0
SETS = ("FD001", "FD002", "FD003", "FD004")
CONDITIONS = ("setting_1", "setting_2", "setting_3")
SIGNALS = tuple(f"sensor_{number}" for number in range(1, 22))
COLUMNS = 2 + len(CONDITIONS) + len(SIGNALS)
SOURCE = "the C-MAPSS data of NASA's prognostics data repository (Turbofan Engine Degradation Simulation)"


@dataclass(frozen=True, slots=True)
class OnTest:
    """Errors on the engines of the test file, in cycles."""

    rmse_capped: float
    score_capped: float
    rmse_raw: float
    score_raw: float
    coverage: float
    mean_width: float


@dataclass(frozen=True, slots=True)
class Result:
    """What a set gave; ``test`` is None where its files are not there. Times in seconds."""

    model: Model
    test: OnTest | None
    train_seconds: float
    total_seconds: float


def run(folder: Path, name: str, choices: Choices, at: int, tell: Tell = silent) -> Result:
    """Train on the set's training file, then touch its test file. Raises BenchDataError."""
    began = time.monotonic()
    fleet = read_fleet(folder, name)
    model = train(fleet, choices, at, tell)
    trained = time.monotonic()
    test = on_test(folder, name, model)
    return Result(model, test, trained - began, time.monotonic() - began)


def read_fleet(folder: Path, name: str) -> Fleet:
    """The engines of the training file; every one ran to its failure."""
    rows = _table(folder, f"train_{name}", COLUMNS)
    return Fleet(name, "cycles", CONDITIONS, SIGNALS, _runs(rows, failed=True))


def read_test_engines(folder: Path, name: str) -> tuple[Run, ...]:
    """The engines of the test file, each up to some flight before its failure."""
    return _runs(_table(folder, f"test_{name}", COLUMNS), failed=False)


def on_test(folder: Path, name: str, model: Model) -> OnTest | None:
    """Errors at the last sample of every test engine; None where the two test files are not there."""
    names = (f"test_{name}", f"RUL_{name}")
    if any(_file(folder, one) is None for one in names):
        return None
    engines = read_test_engines(folder, name)
    truth = _table(folder, names[1], 1)[:, 0]
    if len(truth) != len(engines):
        raise BenchDataError(
            f"{folder}: {names[0]} has {len(engines)} engines, {names[1]} {len(truth)} lives"
        )
    prognoser = Prognoser(model)
    chosen = [SIGNALS.index(signal) for signal in model.signals]
    found = []
    for engine in engines:
        history = prognoser.new()
        for conditions, values in zip(
            engine.conditions.tolist(), engine.values[:, chosen].tolist(), strict=True
        ):
            prognoser.take(history, conditions, values)
        found.append(prognoser.prognosis(history))
    life = np.array([one.life for one in found])
    lower = np.array([one.lower for one in found])
    upper = np.array([model.horizon if one.upper is None else one.upper for one in found])
    capped = np.minimum(truth, model.horizon)
    return OnTest(
        _rmse(life, capped),
        nasa_score(life, capped),
        _rmse(life, truth),
        nasa_score(life, truth),
        *covered(lower, upper, capped),
    )


def nasa_score(predicted: Floats, truth: Floats) -> float:
    """See the module."""
    late = predicted - truth
    return float(np.where(late < 0, np.expm1(-late / 13.0), np.expm1(late / 10.0)).sum())


def _rmse(predicted: Floats, truth: Floats) -> float:
    return float(np.sqrt(np.mean((predicted - truth) ** 2)))


def _runs(rows: Floats, *, failed: bool) -> tuple[Run, ...]:
    middle = 2 + len(CONDITIONS)
    runs = []
    for engine in np.unique(rows[:, 0]):
        own = rows[rows[:, 0] == engine]
        own = own[own[:, 1].argsort(kind="stable")]
        runs.append(Run(f"engine {int(engine)}", own[:, 2:middle], own[:, middle:], failed))
    return tuple(runs)


def _file(folder: Path, stem: str) -> Path | None:
    found = [path for ending in (".txt", ".txt.gz") if (path := folder / f"{stem}{ending}").is_file()]
    return found[0] if found else None


def _table(folder: Path, stem: str, columns: int) -> Floats:
    path = _file(folder, stem)
    if path is None:
        raise BenchDataError(f"{folder / stem}.txt (or .txt.gz) is not there: obtain {SOURCE}")
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("ascii")
        table = np.loadtxt(text.splitlines(), ndmin=2)
    except (OSError, ValueError, EOFError) as error:
        raise BenchDataError(f"{path}: not a table of numbers ({error})") from None
    if table.shape[1] != columns or len(table) == 0:
        raise BenchDataError(f"{path}: {table.shape[1]} columns, {columns} are wanted")
    return table
