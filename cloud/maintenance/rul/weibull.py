"""Wear parts that only count (cycles, hours, strokes): a Weibull life, with parts replaced early as censored.

Maximum likelihood for the two-parameter Weibull distribution under right censoring (Lawless, Statistical
Models and Methods for Lifetime Data, 2nd ed., §5.2); intervals from the observed information, of the
logarithms of both parameters, which keeps them above 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, fsum, inf, isfinite, log, sqrt
from statistics import NormalDist

from cloud.maintenance.rul.runs import TrainingRefusedError

FEWEST_FAILURES = 3
SMALLEST_SHAPE, LARGEST_SHAPE = 0.01, 1000.0


@dataclass(frozen=True, slots=True)
class PartLife:
    """How long one part was in use; ``failed`` is False where it was replaced before, or is still in use."""

    life: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """An estimate with its interval."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of a part's life: the median, and the bounds between which it ends at the asked level."""

    lower: float
    median: float
    upper: float


@dataclass(frozen=True, slots=True)
class WeibullLife:
    """A fitted distribution: reliability exp(−(life / scale)^shape).

    ``shape`` above 1 is wear, 1 is chance, below 1 is infant mortality: replacing early then makes it worse.
    ``covariance`` is of (ln scale, shape): their variances and the covariance between.
    """

    shape: float
    scale: float
    failures: int
    censored: int
    covariance: tuple[float, float, float]

    def shape_bounds(self, level: float = 0.9) -> Bounds:
        """The shape and its interval."""
        return _bounds(self.shape, sqrt(self.covariance[1]) / self.shape, level)

    def scale_bounds(self, level: float = 0.9) -> Bounds:
        """The scale (the life that 63.2 % have failed by) and its interval, in the unit of the lives."""
        return _bounds(self.scale, sqrt(self.covariance[0]), level)

    def life_bounds(self, share: float, level: float = 0.9) -> Bounds:
        """The life by which ``share`` (0 … 1) of the parts have failed (0.1: B10), by the delta method."""
        if not 0.0 < share < 1.0:
            raise ValueError(f"the share of failed parts is {share}: between 0 and 1 is wanted")
        quantile = log(-log(1.0 - share))
        slope = -quantile / self.shape**2
        scale, shape, both = self.covariance
        variance = scale + slope * slope * shape + 2.0 * slope * both
        return _bounds(self.scale * exp(quantile / self.shape), sqrt(max(0.0, variance)), level)

    def reliability(self, life: float) -> float:
        """The share of parts that live longer."""
        return exp(-math.pow(life / self.scale, self.shape)) if life > 0 else 1.0

    def remaining(self, age: float, level: float = 0.9) -> Remaining:
        """What a part that has reached ``age`` still has. That the parameters are estimates is left out."""
        if not age >= 0:
            raise ValueError(f"the age is {age}: 0 or more is wanted")
        tail = (1.0 - level) / 2.0
        lower, median, upper = (self._left(age, share) for share in (tail, 0.5, 1.0 - tail))
        return Remaining(lower, median, upper)

    def _left(self, age: float, share: float) -> float:
        spent = math.pow(age / self.scale, self.shape)
        return max(0.0, self.scale * math.pow(spent - log(1.0 - share), 1.0 / self.shape) - age)


def fit(lives: Sequence[PartLife]) -> WeibullLife:
    """The most likely distribution; raises TrainingRefusedError where the data cannot tell one."""
    for part in lives:
        if not (isfinite(part.life) and part.life > 0):
            raise TrainingRefusedError(f"a part's life is {part.life}: above 0 and finite is wanted")
    failed = [part.life for part in lives if part.failed]
    if len(failed) < FEWEST_FAILURES:
        raise TrainingRefusedError(
            f"{len(failed)} of {len(lives)} parts failed, {FEWEST_FAILURES} failures are wanted: parts "
            "replaced early say only that they would have lived longer"
        )
    if len({part.life for part in lives}) == 1:
        raise TrainingRefusedError(
            f"all {len(lives)} lives are {lives[0].life:g}: a counter that is replaced by plan tells no wear"
        )
    # Measured in the geometric mean of the failures: powers of large counts would overflow.
    unit = exp(fsum(map(log, failed)) / len(failed))
    logs = [log(part.life / unit) for part in lives]
    shape = _shape(logs, len(failed))
    powers = [exp(shape * one) for one in logs]
    scale = (fsum(powers) / len(failed)) ** (1.0 / shape)
    return WeibullLife(
        shape,
        scale * unit,
        len(failed),
        len(lives) - len(failed),
        _covariance(logs, len(failed), shape, scale),
    )


def _shape(logs: Sequence[float], failures: int) -> float:
    """The root of the profile likelihood's slope, which rises with the shape: by bisection.

    The mean logarithm of the failures is 0 in the unit chosen.
    """

    def slope(shape: float) -> float:
        largest = max(logs)
        powers = [exp(shape * (one - largest)) for one in logs]
        return fsum(p * one for p, one in zip(powers, logs, strict=True)) / fsum(powers) - 1.0 / shape

    low, high = SMALLEST_SHAPE, LARGEST_SHAPE
    if slope(low) > 0 or slope(high) < 0:
        raise TrainingRefusedError(
            f"{failures} failures lie so that no Weibull shape from {low:g} to {high:g} fits: "
            "check the counter"
        )
    for _ in range(200):
        middle = sqrt(low * high)
        if middle in (low, high):
            break
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return sqrt(low * high)


def _covariance(
    logs: Sequence[float], failures: int, shape: float, scale: float
) -> tuple[float, float, float]:
    """Inverse of the observed information in (ln scale, shape)."""
    away = [one - log(scale) for one in logs]
    powers = [exp(shape * one) for one in away]
    first = shape * shape * fsum(powers)
    second = failures / shape**2 + fsum(p * a * a for p, a in zip(powers, away, strict=True))
    both = -(fsum(p * (1.0 + shape * a) for p, a in zip(powers, away, strict=True)) - failures)
    determinant = first * second - both * both
    if determinant <= 0:
        return inf, inf, 0.0
    return second / determinant, first / determinant, -both / determinant


def _bounds(value: float, relative: float, level: float) -> Bounds:
    """An interval that is symmetric in the logarithm; ``relative`` is the logarithm's standard error."""
    if not isfinite(relative):
        return Bounds(value, 0.0, inf)
    factor = exp(NormalDist().inv_cdf(0.5 + level / 2.0) * relative)
    return Bounds(value, value / factor, value * factor)
