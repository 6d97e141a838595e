"""Capability and performance of a process, never without an interval. Pure.

Indices after ISO 22514-2 and Montgomery, Introduction to Statistical Quality Control, 8: ``within`` is the
standard deviation from moving ranges or subgroups (Cp, Cpk), ``overall`` that of all values (Pp, Ppk).
Intervals: chi-square for Cp and Pp, Bissell (1990) for Cpk and Ppk, Boyles (1991) for Cpm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from protocols.spc import constants
from protocols.spc.distributions import NORMAL, chi2_quantile
from protocols.spc.moments import moments

POINT_FROM = 25
"""Values below which an index without its interval is refused: with 25 Cp is known to ± 28 %."""


class TooFewValuesError(ValueError):
    """Too few values for what was asked."""


class NoToleranceError(ValueError):
    """Capability needs at least one limit of tolerance."""


class Index(msgspec.Struct, frozen=True):
    """An index with its two-sided confidence interval, from ``count`` values."""

    value: float
    low: float
    high: float
    count: int

    def alone(self) -> float:
        """The value without its interval; raises TooFewValuesError below :data:`POINT_FROM` values."""
        if self.count < POINT_FROM:
            raise TooFewValuesError(
                f"an index from {self.count} values says nothing without its interval "
                f"({self.low:.2f} to {self.high:.2f}): measure {POINT_FROM} at least, or show the interval"
            )
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


class Capability(msgspec.Struct, frozen=True):
    """All indices that tolerance and target allow; ``cp`` and ``pp`` need both limits, ``cpm`` a target.

    ``outside`` is the expected fraction outside the tolerance of a normal process (overall).
    """

    count: int
    mean: float
    within: float
    overall: float
    confidence: float
    cp: Index | None
    cpk: Index
    pp: Index | None
    ppk: Index
    cpm: Index | None
    outside: float


def capability(
    values: Sequence[float],
    *,
    lower: float | None,
    upper: float | None,
    target: float | None = None,
    size: int = 1,
    confidence: float = 0.95,
) -> Capability:
    """Capability of values in the order they were made; ``size`` consecutive ones are a subgroup.

    Raises:
        TooFewValuesError: fewer than 3 values, or less than two whole subgroups.
        NoToleranceError: neither limit is given, or lower is not below upper.
        ValueError: the values do not vary.
    """
    _check(values, lower, upper, size)
    whole = moments(values)
    within, freedom = _within(values, size)
    if not whole.sd or not within:
        raise ValueError(f"{len(values)} values that are all {values[0]:g} have no capability")
    n = whole.count
    cpk = _worst(whole.mean, within, lower, upper)
    ppk = _worst(whole.mean, whole.sd, lower, upper)
    both = lower is not None and upper is not None
    width = upper - lower if lower is not None and upper is not None else 0.0
    return Capability(
        count=n,
        mean=whole.mean,
        within=within,
        overall=whole.sd,
        confidence=confidence,
        cp=_wide(width / (6 * within), freedom, n, confidence) if both else None,
        cpk=_near(cpk, freedom, n, confidence),
        pp=_wide(width / (6 * whole.sd), n - 1, n, confidence) if both else None,
        ppk=_near(ppk, n - 1, n, confidence),
        cpm=_targeted(width, whole.mean, whole.sd, target, n, confidence)
        if both and target is not None
        else None,
        outside=fallout(whole.mean, whole.sd, lower, upper),
    )


def _check(values: Sequence[float], lower: float | None, upper: float | None, size: int) -> None:
    if lower is None and upper is None:
        raise NoToleranceError("capability needs a tolerance: give lower, upper or both")
    if lower is not None and upper is not None and lower >= upper:
        raise NoToleranceError(f"the lower limit {lower:g} is not below the upper one {upper:g}")
    if len(values) < max(3, 2 * size):
        needed = f"two subgroups of {size}" if size > 1 else "3 values"
        raise TooFewValuesError(f"capability needs at least {needed}, there are {len(values)} values")


def indices(
    mean: float, sigma: float, lower: float | None, upper: float | None, target: float | None = None
) -> dict[str, float]:
    """The bare definitions for a known process (NIST/SEMATECH e-Handbook 6.1.6), without intervals."""
    found: dict[str, float] = {}
    if upper is not None:
        found["cpu"] = (upper - mean) / (3 * sigma)
    if lower is not None:
        found["cpl"] = (mean - lower) / (3 * sigma)
    found["cpk"] = min(found.values())
    if upper is not None and lower is not None:
        found["cp"] = (upper - lower) / (6 * sigma)
        if target is not None:
            found["cpm"] = (upper - lower) / (6 * math.hypot(sigma, mean - target))
    return found


def fallout(mean: float, sigma: float, lower: float | None, upper: float | None) -> float:
    """Expected fraction outside the tolerance of a normal process."""
    low = NORMAL.cdf((lower - mean) / sigma) if lower is not None else 0.0
    high = NORMAL.cdf((mean - upper) / sigma) if upper is not None else 0.0
    return low + high


def _worst(mean: float, sigma: float, lower: float | None, upper: float | None) -> float:
    return indices(mean, sigma, lower, upper)["cpk"]


def _within(values: Sequence[float], size: int) -> tuple[float, float]:
    """Standard deviation within, and its degrees of freedom: by the moving range of consecutive values, or
    pooled from whole subgroups."""
    if size > 1:
        groups = [values[at : at + size] for at in range(0, len(values) - size + 1, size)]
        freedom = len(groups) * (size - 1)
        return math.sqrt(math.fsum(moments(group).squares for group in groups) / freedom), freedom
    ranges = [abs(b - a) for a, b in pairwise(values)]
    m, d2 = len(ranges), constants.d2(2)
    # Moving ranges share values, so their mean is worth less than as many independent ones: its variance is
    # exact for normal values, the degrees of freedom are those of a chi-square with the same.
    overlap = 4 / math.pi * (math.sqrt(0.75) + math.pi / 12) - d2 * d2
    variance = (m * (2 - d2 * d2) + 2 * (m - 1) * overlap) / (m * m)
    return math.fsum(ranges) / m / d2, d2 * d2 / (2 * variance)


def interval_factors(freedom: float, confidence: float = 0.95) -> tuple[float, float]:
    """What an index of sigma alone (Cp, Pp) is multiplied with for its interval."""
    tail = (1 - confidence) / 2
    return (
        math.sqrt(chi2_quantile(tail, freedom) / freedom),
        math.sqrt(chi2_quantile(1 - tail, freedom) / freedom),
    )


def _wide(value: float, freedom: float, n: int, confidence: float) -> Index:
    low, high = interval_factors(freedom, confidence)
    return Index(value, value * low, value * high, n)


def _near(value: float, freedom: float, n: int, confidence: float) -> Index:
    reach = NORMAL.inv_cdf((1 + confidence) / 2)
    spread = reach * math.sqrt(1 / (9 * n) + value * value / (2 * freedom))
    return Index(value, value - spread, value + spread, n)


def bissell(value: float, n: int, confidence: float = 0.95) -> Index:
    """Cpk of a standard deviation from all ``n`` values, with its interval."""
    return _near(value, n - 1, n, confidence)


def _targeted(width: float, mean: float, sigma: float, target: float, n: int, confidence: float) -> Index:
    off = ((mean - target) / sigma) ** 2
    freedom = n * (1 + off) ** 2 / (1 + 2 * off)
    return _wide(width / (6 * math.hypot(sigma, mean - target)), freedom, n, confidence)
