"""Training a model of remaining life: features, grouped cross-validation, intervals, the final trees.

Whole assets are left out of a fold, never single rows: rows of one asset are near-copies of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from cloud.maintenance.rul import boosted, conformal, fusion, regime_search
from cloud.maintenance.rul.boosted import Growth
from cloud.maintenance.rul.cores import side_by_side
from cloud.maintenance.rul.runs import Fleet, Floats, Run
from protocols.prognostics.features import Feature, Kind, Plan
from protocols.prognostics.intervals import Intervals
from protocols.prognostics.model import Model, Prognoser, Training, Validation
from protocols.prognostics.regimes import Regimes
from protocols.prognostics.trees import Ensemble

FOLDS = 5
LEVEL = 0.9
GROWTH = Growth()
QUANTILES = tuple(n / 10 for n in range(11))

Flags = NDArray[np.bool_]
"""One a row."""
Tell = Callable[[str, float], None]
"""Hears what is being done and how much of all of it is done, 0 … 1."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a training may be told. ``horizon`` is in the fleet's unit; at most ``mixes`` are made of the
    signals; ``members`` ensembles are averaged, each of which learns from a share of rows and
    features.
    """

    horizon: float = 125.0
    growth: Growth = GROWTH
    mixes: int = 2
    members: int = 2
    seed: int = 0


def silent(_doing: str, _done: float) -> None:
    """For a training nobody watches."""


def feature_plan(signals: int) -> Plan:
    """The features of every signal and every mix: windows, smoothed values, and the whole life."""
    kinds: Sequence[tuple[Kind, int]] = (
        ("mean", 5),
        ("mean", 15),
        ("mean", 30),
        ("smoothed", 19),
        ("smoothed", 65),
        ("slope", 30),
        ("life_mean", 0),
        ("life_slope", 0),
        ("drift", 15),
    )
    made = [Feature(kind, signal, span) for kind, span in kinds for signal in range(signals)]
    return Plan((Feature("age", 0), *made))


@dataclass(frozen=True, slots=True)
class Rows:
    """Features of every sample of a fleet, the truth (capped at the horizon), and whose run each row is."""

    features: Floats
    truth: Floats
    run: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Share:
    """What one member learns from: rows and features of :class:`Rows`, by index."""

    rows: NDArray[np.intp]
    features: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Validated:
    """Out-of-fold predictions for ``rows``, and what they say."""

    predicted: Floats
    intervals: Intervals
    validation: Validation


def train(fleet: Fleet, choices: Choices, at: int, tell: Tell = silent) -> Model:
    """The model of a fleet; ``at`` (µs UTC) is written into it. Raises TrainingRefusedError."""
    usable = fleet.failures()
    tell("regimes", 0.0)
    conditions, values, _ = usable.stacked()
    regimes, varying = regime_search.find(conditions, values, choices.seed)
    usable = usable.choose(varying)
    mixes = fusion.directions(regimes, usable.runs, min(choices.mixes, len(varying) - 1))
    plan = feature_plan(len(varying) + len(mixes))
    blank = _model(usable, choices, regimes, mixes, plan, at)
    rows = gather(blank, usable.runs, choices.horizon, lambda done: tell("features", 0.02 + 0.13 * done))
    found = validate(rows, choices, lambda done: tell("cross-validation", 0.15 + 0.65 * done))
    tell("final trees", 0.8)
    dealt = enumerate(shares(np.ones(len(rows.truth), bool), rows.features.shape[1], choices))
    members = side_by_side(
        [partial(_grown, _blank(choices, member, share), rows, share) for member, share in dealt],
        lambda done: tell("final trees", 0.8 + 0.2 * done),
    )
    tell("done", 1.0)
    expected = _expected(blank, usable.runs)
    return _model(usable, choices, regimes, mixes, plan, at, tuple(members), found, expected)


def gather(model: Model, runs: Sequence[Run], horizon: float, told: Callable[[float], None]) -> Rows:
    """Play the runs through the model's own features, sample by sample, as scoring will."""
    prognoser = Prognoser(model)
    features: list[list[float]] = []
    truth: list[float] = []
    for number, run in enumerate(runs):
        told(number / len(runs))
        history = prognoser.new()
        for left, (conditions, values) in enumerate(
            zip(run.conditions.tolist(), run.values.tolist(), strict=True), start=1
        ):
            prognoser.take(history, conditions, values)
            features.append(prognoser.row(history))
            truth.append(min(horizon, float(len(run) - left)))
    owner = np.repeat(np.arange(len(runs)), [len(run) for run in runs])
    return Rows(np.array(features), np.array(truth), owner)


def validate(rows: Rows, choices: Choices, told: Callable[[float], None]) -> Validated:
    """Predict every row by trees that saw nothing of its run, and calibrate the intervals by that."""
    fold = folds(rows.run, choices.seed)
    works, of_fold = [], []
    for number in range(FOLDS):
        held = fold == number
        for member, share in enumerate(shares(~held, rows.features.shape[1], choices)):
            works.append(partial(_foretold, _blank(choices, member, share), rows, share, held))
            of_fold.append(held)
    told(0.0)
    predicted = np.zeros_like(rows.truth)
    for held, found in zip(of_fold, side_by_side(works, told), strict=True):
        predicted[held] += found / choices.members
    predicted = np.clip(predicted, 0.0, choices.horizon)
    coverage, width = conformal.cross_coverage(predicted, rows.truth, fold, LEVEL, choices.horizon)
    error = float(np.sqrt(np.mean((predicted - rows.truth) ** 2)))
    return Validated(
        predicted,
        conformal.calibrate(predicted, rows.truth, LEVEL),
        Validation(FOLDS, round(error, 4), round(coverage, 4), round(width, 3)),
    )


def folds(run: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    """The fold of every row: whole runs, dealt out at random in equal numbers."""
    runs = int(run.max()) + 1
    dealt = np.empty(runs, np.intp)
    dealt[np.random.default_rng(seed).permutation(runs)] = np.arange(runs) % FOLDS
    return np.asarray(dealt[run])


def shares(kept: Flags, features: int, choices: Choices) -> list[Share]:
    """What each member learns from: of two, one has every other row and a random half of the features, the
    second has the rest; the age, which is feature 0, is asked by all.

    Neighbouring rows of an asset are near-copies, and so are many features of it: a share of them says about
    as much, and members that saw different ones err less together (decision 0034).
    """
    rows, members = np.flatnonzero(kept), choices.members
    dealt = 1 + np.random.default_rng(choices.seed).permutation(features - 1)
    return [
        Share(rows[member::members], np.sort(np.append(dealt[member::members], 0)))
        for member in range(members)
    ]


def _foretold(blank: boosted.Regressor, rows: Rows, share: Share, held: Flags) -> Floats:
    """The lives of the rows that are held back, by trees that saw none of their runs."""
    fitted = blank.fit(rows.features[np.ix_(share.rows, share.features)], rows.truth[share.rows])
    return np.asarray(fitted.predict(rows.features[np.ix_(held, share.features)]))


def _grown(blank: boosted.Regressor, rows: Rows, share: Share) -> Ensemble:
    """A member of the model."""
    fitted = blank.fit(rows.features[np.ix_(share.rows, share.features)], rows.truth[share.rows])
    return boosted.ensemble(fitted, share.features.tolist())


def _blank(choices: Choices, member: int, share: Share) -> boosted.Regressor:
    """A member's regressor, not fitted yet. Made before threads are: they would import a library at once."""
    return boosted.regressor(choices.growth.for_rows(len(share.rows)), choices.seed + member)


def _model(
    fleet: Fleet,
    choices: Choices,
    regimes: Regimes,
    mixes: tuple[tuple[float, ...], ...],
    plan: Plan,
    at: int,
    members: tuple[Ensemble, ...] = (Ensemble(0.0, ()),),
    found: Validated | None = None,
    expected: tuple[tuple[float, ...], ...] = (),
) -> Model:
    return Model(
        name=fleet.source,
        unit=fleet.unit,
        horizon=choices.horizon,
        signals=fleet.signals,
        conditions=fleet.conditions,
        regimes=regimes,
        mixes=mixes,
        plan=plan,
        ensembles=members,
        intervals=found.intervals if found else Intervals(LEVEL, (), (0.0,), (0.0,)),
        expected=expected,
        training=Training(
            source=fleet.source,
            assets=len(fleet.runs),
            rows=sum(map(len, fleet.runs)),
            at=at,
            seed=choices.seed,
            libraries={name: version(name) for name in ("numpy", "scikit-learn")},
        ),
        validation=found.validation if found else Validation(0, 0.0, 0.0, 0.0),
    )


def _expected(model: Model, runs: Sequence[Run]) -> tuple[tuple[float, ...], ...]:
    """Quantiles of each normalised signal over the training."""
    samples = []
    for run in runs:
        for conditions, values in zip(run.conditions.tolist(), run.values.tolist(), strict=True):
            regime = model.regimes.regime(conditions)
            if regime is not None:
                samples.append(model.regimes.normalised(regime, values))
    table = np.array(samples)
    return tuple(tuple(np.quantile(column[np.isfinite(column)], QUANTILES).tolist()) for column in table.T)


def usual_horizon(fleet: Fleet) -> float:
    """60 % of the median run, to two digits: wear that shows seldom begins before."""
    median = float(np.median([len(run) for run in fleet.runs]))
    return max(1.0, float(f"{0.6 * median:.2g}"))
