"""From healthy windows and a false-alarm budget to alarm thresholds. Pure.

The judged value is an EWMA of standardised deviations, so three things widen it beyond one window's noise:
windows that depend on each other, a baseline that is itself an estimate, and tags that move together.

- The EWMA (weight λ) of values with lag-one autocorrelation φ has the variance
  λ/(2−λ) · (1+φ(1−λ))/(1−φ(1−λ)) (Schmid 1997, for AR(1)).
- A mean of n windows adds 1/n′ with n′ = n(1−φ)/(1+φ) independent ones.
- The mean square of tags that move together varies like one of p²/Σρ² independent tags (Satterthwaite 1946),
  and with a spread estimated from n′ windows it follows Fisher's F instead of χ². The mean deviation, which
  is what is judged, is never above the root of the mean square: its threshold is on the safe side.

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
    residuals: Sequence[Mapping[str, float]], windows_a_month: float, limits: Limits
) -> Thresholds:
    """Thresholds from the standardised deviations of the healthy windows, in their order, by tag."""
    from scipy.special import fdtri, stdtrit

    names = sorted({name for row in residuals for name in row})
    count, tags = len(residuals), max(1, len(names))
    phi = _dependence(residuals, names)
    weight = limits.smoothing
    kept = phi * (1 - weight)
    independent = max(1.0 + FEWEST_FREE, count * (1 - phi) / (1 + phi))
    variance = weight / (2 - weight) * (1 + kept) / (1 - kept) + 1 / independent
    variance /= 1 - 1 / independent  # the spread of dependent windows comes out too small
    together = _together(residuals, names)
    rare = min(0.5, limits.false_alarms / max(1.0, windows_a_month) / 2)
    free = independent - 1
    joint = math.sqrt(variance * float(fdtri(together, free, 1 - rare)))
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


def _together(residuals: Sequence[Mapping[str, float]], names: Sequence[str]) -> float:
    """p²/Σρ², with what chance alone adds to a squared correlation (1/n) taken off."""
    names = [name for name in names if sum(name in row for row in residuals) > len(residuals) / 2]
    rows = [row for row in residuals if all(name in row for name in names)]
    count, tags = len(rows), len(names)
    if count < 3 or tags < 2:
        return 1.0
    columns = [[row[name] for row in rows] for name in names]
    total = float(tags)
    norms = [math.sqrt(sum(value * value for value in column)) for column in columns]
    for first in range(tags):
        for second in range(first):
            norm = norms[first] * norms[second]
            if norm > 0:
                rho = sum(a * b for a, b in zip(columns[first], columns[second], strict=True)) / norm
                total += 2 * max(0.0, rho * rho - 1 / count)
    return tags * tags / total
