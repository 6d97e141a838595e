"""From healthy windows and a false-alarm budget to alarm thresholds. Pure.

The judged value is an EWMA of standardised deviations, so three things widen it beyond one window's noise:
windows that depend on each other, a baseline that is itself an estimate, and tags that move together.

- The EWMA (weight λ) of values with lag-one autocorrelation φ has the variance
  λ/(2−λ) · (1+φ(1−λ))/(1−φ(1−λ)) (Schmid 1997, for AR(1)).
- A mean of n windows adds 1/n′ with n′ = n(1−φ)/(1+φ) independent ones.
- The mean square of p tags with the covariance C varies like one of (tr C)²/tr C² independent tags of the
  variance tr C/p (Satterthwaite 1946), and with a spread estimated from n′ windows it follows Fisher's F
  instead of χ². The mean deviation, which is what is judged, is never above the root of the mean square: its
  threshold is on the safe side. Tags that are finer than the smallest spread vary by less than one, and the
  threshold is lower for it.

The budget becomes a probability per window: budget / windows a month, half for the joint and half for the
single threshold. Neighbouring windows are not counted as one look: exceedances of a Gaussian process grow
independent as the level rises (Leadbetter 1983), so that would promise too much.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import msgspec

from cloud.maintenance.health.limits import Limits

FEWEST_FREE = 4.0
"""Degrees of freedom below which a tail says nothing any more."""
FEWEST_ROWS = 3
"""Windows below which nothing is known of how a tag varies, or of how two tags move together."""


class Thresholds(msgspec.Struct, frozen=True):
    """Alarm thresholds in spreads: of the mean over all tags and of one tag alone.

    ``budgeted`` is false where too little was learned to prove the budget, so that a cap decides.
    """

    joint: float
    single: float
    budgeted: bool
    dependence: float
    """Lag-one autocorrelation of the healthy windows."""
    together: float
    """How many independent tags the tags are worth."""


def thresholds(
    residuals: Sequence[Mapping[str, float]], windows_a_month: float, limits: Limits, regimes: int = 1
) -> Thresholds:
    """Thresholds from the standardised deviations of the healthy windows of so many regimes, in their order,
    by tag.
    """
    from scipy.special import fdtri, stdtrit

    names = sorted({name for row in residuals for name in row})
    count, tags = len(residuals), max(1, len(names))
    phi = _dependence(residuals, names)
    weight = limits.smoothing
    kept = phi * (1 - weight)
    independent = max(1.0 + FEWEST_FREE, count * (1 - phi) / (1 + phi))
    variance = weight / (2 - weight) * (1 + kept) / (1 - kept) + 1 / independent
    variance /= 1 - 1 / independent  # the spread of dependent windows comes out too small
    scale, together = _together(residuals, names, regimes)
    rare = min(0.5, limits.false_alarms / max(1.0, windows_a_month) / 2)
    free = independent - 1
    joint = math.sqrt(scale * variance * float(fdtri(together, free, 1 - rare)))
    single = math.sqrt(variance) * float(stdtrit(free, 1 - rare / 2 / tags))
    floor, cap = limits.joint(tags)
    return Thresholds(
        min(max(joint, floor), cap),
        min(max(single, limits.single_floor), limits.single_cap),
        joint <= cap and single <= limits.single_cap,
        round(phi, 3),
        round(together, 2),
    )


def _dependence(residuals: Sequence[Mapping[str, float]], names: Sequence[str]) -> float:
    """Lag-one autocorrelation over all tags, 0…0.95, corrected for its bias of −(1+3φ)/n (Kendall 1954)."""
    product = square = 0.0
    for before, after in itertools.pairwise(residuals):
        for name in names:
            if name in before and name in after:
                product += before[name] * after[name]
                square += (before[name] ** 2 + after[name] ** 2) / 2
    if square <= 0:
        return 0.0
    estimate = product / square
    return min(0.95, max(0.0, estimate + (1 + 3 * estimate) / len(residuals)))


def _together(
    residuals: Sequence[Mapping[str, float]], names: Sequence[str], regimes: int
) -> tuple[float, float]:
    """Mean variance of the tags, at most 1, and how many independent tags they are worth: (tr C)²/tr C², with
    what chance alone adds to a squared covariance (c₁₁c₂₂/n) taken off. A centre for each regime was taken
    from the same windows.
    """
    columns = [[row.get(name) for row in residuals] for name in names]
    columns = [column for column in columns if sum(value is not None for value in column) >= FEWEST_ROWS]
    variances = [_product(column, column)[0] for column in columns]
    trace = math.fsum(variances)
    if trace <= 0:
        return 1.0, 1.0
    square = math.fsum(variance * variance for variance in variances)
    for (first, one), (second, other) in itertools.combinations(zip(columns, variances, strict=True), 2):
        product, count = _product(first, second)
        if count >= FEWEST_ROWS:
            square += 2 * max(0.0, product * product - one * other / count)
    free = max(1, len(residuals) - regimes)
    return min(1.0, trace / len(columns) * len(residuals) / free), trace * trace / square


def _product(one: Sequence[float | None], other: Sequence[float | None]) -> tuple[float, int]:
    """Mean product, over the windows that have both, and how many those are."""
    both = [a * b for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    return (math.fsum(both) / len(both) if both else 0.0), len(both)
