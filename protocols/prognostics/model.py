"""A model of remaining useful life, and its evaluation: samples in, life with bounds and evidence out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, nan
from operator import mul

import msgspec

from protocols.prognostics.features import Feature, History, Plan, Recorder
from protocols.prognostics.intervals import Intervals
from protocols.prognostics.regimes import Regimes
from protocols.prognostics.rows import RowKind
from protocols.prognostics.trees import Ensemble, Scorer, contributions


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model was made of: files or span of time, how much, when, and by which libraries.

    ``assets`` counts run-to-failures; ``rows`` their samples; ``at`` is µs UTC.
    """

    source: str
    assets: int
    rows: int
    at: int
    seed: int
    libraries: dict[str, str]


class Validation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cross-validation with whole assets left out: errors in the model's unit, coverage as a fraction."""

    folds: int
    rmse_capped: float
    coverage: float
    mean_width: float


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is needed to tell an asset's remaining life from its signals, on any side of the wire.

    A sample has one value for each of ``signals`` and one for each of ``conditions`` (what picks the regime).
    ``unit`` is what one sample stands for, such as cycles or operating hours: lives are in it. Lives beyond
    ``horizon`` are not told apart. Features are made of the normalised signals and, behind them, of their
    ``mixes``: weighted sums, one weight a signal, that show wear which many signals share better than each.
    The prediction is the mean of the ensembles' sums. ``expected`` are each signal's quantiles over the
    training, in spreads, for the alarm that the data have drifted away. ``row`` says how a row is made of a
    running machine's samples; without it the model scores files alone.
    """

    name: str
    unit: str
    horizon: float
    signals: tuple[str, ...]
    conditions: tuple[str, ...]
    regimes: Regimes
    mixes: tuple[tuple[float, ...], ...]
    plan: Plan
    ensembles: tuple[Ensemble, ...]
    intervals: Intervals
    expected: tuple[tuple[float, ...], ...]
    training: Training
    validation: Validation
    row: RowKind | None = None

    def __post_init__(self) -> None:
        if len(self.regimes.means[0]) != len(self.signals):
            raise ValueError(f"{len(self.signals)} signals, but regimes for {len(self.regimes.means[0])}")
        if len(self.regimes.scale) != len(self.conditions):
            raise ValueError(f"{len(self.conditions)} conditions, but centres of {len(self.regimes.scale)}")
        if any(len(mix) != len(self.signals) for mix in self.mixes):
            raise ValueError(f"{len(self.signals)} signals, but a mix of another number")
        if not self.ensembles:
            raise ValueError("a model without trees")
        if not self.horizon > 0:
            raise ValueError(f"the horizon is {self.horizon}: above 0 is wanted")
        if self.expected and len(self.expected) != len(self.signals):
            raise ValueError(
                f"expected values of {len(self.expected)} signals, the model has {len(self.signals)}"
            )


@dataclass(frozen=True, slots=True)
class Prognosis:
    """Remaining life in the model's unit. ``upper`` is None where it lies beyond the model's horizon."""

    life: float
    lower: float
    upper: float | None


@dataclass(frozen=True, slots=True)
class Contribution:
    """How much a signal lengthens (+) or shortens (−) the life, in the model's unit.

    ``current`` is the signal's mean over the last samples and ``normal`` that of the asset's beginning, both
    in spreads of its regime.
    """

    signal: str
    life: float
    current: float
    normal: float


CURRENT = 15
"""Samples whose mean is shown as a signal's present value."""


class Prognoser:
    """Evaluates one model; holds no asset's data. Raises ValueError where the model contradicts itself."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._recorder = Recorder(model.plan, len(model.signals) + len(model.mixes))
        self._scorers = [Scorer(ensemble, len(model.plan.features)) for ensemble in model.ensembles]
        self._missing = [nan] * (len(model.signals) + len(model.mixes))

    def new(self) -> History:
        """The history of an asset that is new or was repaired."""
        return self._recorder.new()

    def take(self, history: History, conditions: Sequence[float], values: Sequence[float]) -> int | None:
        """Add one sample; the regime it was made in, None for an unseen one.

        In an unseen regime the asset ages, and its signals count as missing.
        """
        regimes = self.model.regimes
        regime = regimes.regime(conditions)
        if regime is None:
            self._recorder.take(history, self._missing)
        else:
            sample = regimes.normalised(regime, values)
            self._recorder.take(history, sample + [_mixed(mix, sample) for mix in self.model.mixes])
        return regime

    def miss(self, history: History) -> None:
        """Add a sample that was not seen: the asset ages, and its signals count as missing."""
        self._recorder.take(history, self._missing)

    def row(self, history: History) -> list[float]:
        """The features now, as the trees ask for them."""
        return self._recorder.row(history)

    def prognosis(self, history: History) -> Prognosis:
        """The remaining life as the history stands."""
        return self.of_row(self._recorder.row(history))

    def of_row(self, row: Sequence[float]) -> Prognosis:
        """The remaining life for one row of features."""
        sums = [scorer(row) for scorer in self._scorers]
        horizon = self.model.horizon
        life = min(horizon, max(0.0, fsum(sums) / len(sums)))
        lower, upper = self.model.intervals.around(life, horizon)
        return Prognosis(life, lower, None if upper >= horizon else upper)

    def evidence(self, history: History, most: int = 3) -> list[Contribution]:
        """The signals that move the life most away from the training's mean, strongest first.

        What a mix contributes is shared out among its signals by what each adds to it now.
        """
        signals = self.model.signals
        row = self._recorder.row(history)
        shares = [0.0] * (len(signals) + len(self.model.mixes))
        for ensemble in self.model.ensembles:
            for feature, share in zip(self.model.plan.features, contributions(ensemble, row)[1], strict=True):
                if feature.kind != "age":
                    shares[feature.signal] += share / len(self.model.ensembles)
        means = Plan(tuple(Feature("mean", signal, CURRENT) for signal in range(len(signals))))
        current = Recorder(means, len(shares)).row(history)
        for mix, share in zip(self.model.mixes, shares[len(signals) :], strict=True):
            parts = [abs(w * v) if v == v else 0.0 for w, v in zip(mix, current, strict=True)]
            whole = fsum(parts)
            for signal, part in enumerate(parts):
                shares[signal] += share * part / whole if whole else 0.0
        strongest = sorted(range(len(signals)), key=lambda signal: -abs(shares[signal]))[:most]
        return [
            Contribution(signals[signal], shares[signal], current[signal], history.lives[signal].first)
            for signal in strongest
        ]


def _mixed(weights: Sequence[float], sample: Sequence[float]) -> float:
    """The weighted sum; missing values count as usual ones unless they carry half of the weight."""
    found = fsum(map(mul, weights, sample))
    if found == found:
        return found
    present = [(weight, value) for weight, value in zip(weights, sample, strict=True) if value == value]
    if 2.0 * fsum(abs(weight) for weight, _ in present) < fsum(map(abs, weights)):
        return nan
    return fsum(weight * value for weight, value in present)
