"""Features of an asset's signals, kept up sample by sample; the same code feeds training and scoring.

A sample is one row of normalised signal values (:mod:`protocols.prognostics.regimes`), NaN where a signal is
missing. What is remembered of the past (:class:`History`) is bounded: the last samples as they came, the
rest as sums. It can be stored and taken up again, and the same samples give the same features bit for bit,
under every Python too: sums are ``fsum``, as the built-in ``sum`` of floats rounds otherwise since 3.12.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum, nan, sqrt
from operator import mul
from typing import Literal

import msgspec

MAX_SPAN = 512
"""Samples that a window may hold."""

Kind = Literal["age", "last", "mean", "spread", "slope", "smoothed", "life_mean", "life_slope", "drift"]


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, order=True):
    """One number made of one signal: what (``kind``), of which (index of the signal), over which ``span``.

    ``age``         samples since the asset was new or repaired (of no signal, 0 is written)
    ``last``        the newest value
    ``mean``        mean of the last ``span`` values
    ``spread``      standard deviation of the last ``span`` values
    ``slope``       least-squares slope of the last ``span`` values, per sample
    ``smoothed``    exponentially weighted mean, weight 2/(``span`` + 1), the plain mean until then
    ``life_mean``   mean since the asset was new
    ``life_slope``  least-squares slope since the asset was new, per sample
    ``drift``       mean of the last ``span`` values less the mean of the asset's first ``first`` values

    A window with fewer than half of its values, counting only what can be there by now, has no feature (NaN).
    """

    kind: Kind
    signal: int
    span: int = 0


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The features of a model, in the order of its row; ``first`` is the length of an asset's beginning."""

    features: tuple[Feature, ...]
    first: int = 20

    def __post_init__(self) -> None:
        if not 1 <= self.first <= MAX_SPAN:
            raise ValueError(f"first is {self.first}: 1 to {MAX_SPAN} samples make an asset's beginning")
        for number, feature in enumerate(self.features):
            windowed = feature.kind in _SPANNED
            if feature.signal < 0 or not (1 if windowed else 0) <= feature.span <= MAX_SPAN:
                raise ValueError(
                    f"feature {number} ({feature.kind}) has signal {feature.signal} and span {feature.span}: "
                    f"a signal counts from 0, a span from 1 to {MAX_SPAN} samples"
                )


class Life(msgspec.Struct):
    """One signal since the asset was new: count, means, co-moments (Welford 1962), the beginning's mean."""

    count: int = 0
    mean: float = 0.0
    mean_age: float = 0.0
    age_age: float = 0.0
    age_value: float = 0.0
    first: float = nan

    def take(self, age: int, value: float, first: int) -> None:
        """Add a value that is not NaN; ``age`` counts samples from 1."""
        self.count += 1
        before = age - self.mean_age
        self.mean_age += before / self.count
        self.mean += (value - self.mean) / self.count
        self.age_age += before * (age - self.mean_age)
        self.age_value += before * (value - self.mean)
        if age <= first:
            self.first = self.mean


class History(msgspec.Struct):
    """What is remembered of one asset: its age in samples, its last values, and sums over its life.

    ``recent`` and ``lives`` have one entry a signal; ``smoothed`` one for each (signal, span) that the plan
    smooths, NaN before the first value.
    """

    age: int = 0
    recent: list[list[float]] = []
    lives: list[Life] = []
    smoothed: list[float] = []


class Recorder:
    """Keeps histories for a plan over ``signals`` signals; holds no asset's data itself."""

    def __init__(self, plan: Plan, signals: int) -> None:
        if any(feature.signal >= signals for feature in plan.features):
            raise ValueError(f"a feature asks for a signal beyond the {signals} of the model")
        self._signals = signals
        self._first = plan.first
        self._window = max(
            (f.span for f in plan.features if f.kind in _SPANNED and f.kind != "smoothed"), default=1
        )
        smoothed = sorted({(f.signal, f.span) for f in plan.features if f.kind == "smoothed"})
        self._smoothed = [(signal, 2.0 / (span + 1)) for signal, span in smoothed]
        place = {key: at for at, key in enumerate(smoothed)}
        self._makers = [
            (_MAKERS[f.kind], f.signal, place[f.signal, f.span] if f.kind == "smoothed" else f.span)
            for f in plan.features
        ]

    def new(self) -> History:
        """The history of an asset that was just put in, or repaired."""
        return History(
            recent=[[] for _ in range(self._signals)],
            lives=[Life() for _ in range(self._signals)],
            smoothed=[nan] * len(self._smoothed),
        )

    def take(self, history: History, sample: Sequence[float]) -> None:
        """Add one sample of normalised values to what is remembered."""
        history.age += 1
        age, window, first = history.age, self._window, self._first
        for recent, life, value in zip(history.recent, history.lives, sample, strict=True):
            recent.append(value)
            if len(recent) > window:
                del recent[0]
            if value == value:
                life.take(age, value, first)
        smoothed = history.smoothed
        for at, (signal, weight) in enumerate(self._smoothed):
            value = sample[signal]
            if value == value:
                before = smoothed[at]
                if before != before:
                    smoothed[at] = value
                else:
                    count = history.lives[signal].count
                    smoothed[at] = before + max(weight, 1.0 / count) * (value - before)

    def row(self, history: History) -> list[float]:
        """The features now, in the order of the plan."""
        return [make(history, signal, span) for make, signal, span in self._makers]


def _age(history: History, _signal: int, _span: int) -> float:
    return float(history.age)


def _last(history: History, signal: int, _span: int) -> float:
    return history.recent[signal][-1] if history.age else nan


def _mean(history: History, signal: int, span: int) -> float:
    values = history.recent[signal][-span:]
    total = fsum(values)
    if total == total:
        return total / len(values) if values else nan
    present = [value for value in values if value == value]
    return fsum(present) / len(present) if 2 * len(present) >= len(values) else nan


def _spread(history: History, signal: int, span: int) -> float:
    values = [value for value in history.recent[signal][-span:] if value == value]
    if len(values) < 2 or 2 * len(values) < min(span, history.age):
        return nan
    mean = fsum(values) / len(values)
    return sqrt(fsum((value - mean) ** 2 for value in values) / len(values))


def _slope(history: History, signal: int, span: int) -> float:
    values = history.recent[signal][-span:]
    if len(values) < 5:
        return nan
    middle = (len(values) - 1) / 2.0
    found = fsum(map(mul, values, _centred(len(values))))
    if found == found:
        return found / (len(values) * (len(values) ** 2 - 1) / 12.0)
    points = [(at - middle, value) for at, value in enumerate(values) if value == value]
    if len(points) < 5 or 2 * len(points) < len(values):
        return nan
    middle = fsum(at for at, _ in points) / len(points)
    return fsum((at - middle) * value for at, value in points) / fsum((at - middle) ** 2 for at, _ in points)


def _smoothed(history: History, _signal: int, place: int) -> float:
    return history.smoothed[place]


def _life_mean(history: History, signal: int, _span: int) -> float:
    life = history.lives[signal]
    return life.mean if life.count else nan


def _life_slope(history: History, signal: int, _span: int) -> float:
    life = history.lives[signal]
    return life.age_value / life.age_age if life.count >= 5 else nan


def _drift(history: History, signal: int, span: int) -> float:
    return _mean(history, signal, span) - history.lives[signal].first


_CENTRED: dict[int, tuple[float, ...]] = {}


def _centred(length: int) -> tuple[float, ...]:
    """0 … length − 1 less their mean; made once for each length."""
    if length not in _CENTRED:
        middle = (length - 1) / 2.0
        _CENTRED[length] = tuple(at - middle for at in range(length))
    return _CENTRED[length]


_MAKERS: dict[Kind, Callable[[History, int, int], float]] = {
    "age": _age,
    "last": _last,
    "mean": _mean,
    "spread": _spread,
    "slope": _slope,
    "smoothed": _smoothed,
    "life_mean": _life_mean,
    "life_slope": _life_slope,
    "drift": _drift,
}
_SPANNED = {"mean", "spread", "slope", "smoothed", "drift"}
