"""What is normal for one asset: centre and spread of its tags in each regime, from its own healthy time."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from cloud.maintenance.health.regimes import Point

FEWEST = 3
"""Windows of a regime below which nothing is known of it."""
FREE = 4
"""Degrees of freedom, over all regimes, below which a spread is a guess and the tag is left out."""
SELDOM = 4
"""A tag that is told in less than one of so many windows is left out: too little of it was learned."""
POOLED = 10
"""Windows' worth of belief in the spread that a tag has over all regimes."""
WINSOR = 3.0
"""Robust spreads from the median beyond which a healthy window is drawn in: one spike shall not blind."""
STILL = 1 / 3
"""Part of the smallest spread below which a tag counts as constant: its noise says nothing of its wear."""
STEADY_TREND = 0.5
"""Part of a tag's variance that a straight line explains from which on it is still settling."""


class Learned(msgspec.Struct, frozen=True, array_like=True):
    """One healthy window: its end (µs UTC), what tells its regime, the means of the signs."""

    end: int
    point: Point
    means: dict[str, float]


class Normal(msgspec.Struct, frozen=True, array_like=True):
    """One tag in one regime, from ``count`` windows. ``constant``: it hardly varied while it was learned."""

    centre: float
    spread: float
    count: int
    constant: bool = False


Normals = dict[str, dict[str, Normal]]
"""regime → tag → what is normal"""


def normals(windows: Sequence[tuple[str, Learned]], smallest_spread: float) -> Normals:
    """What is normal, from healthy windows with the names of their regimes.

    The spread within a regime of few windows is drawn towards that of all regimes (as an inverse-χ² prior
    worth ``POOLED`` windows), since a sensor's noise seldom depends on the program alone. No spread is below
    ``smallest_spread`` of the centre: what is significant in a very quiet tag need not matter to anybody.
    """
    by_regime: dict[str, list[Learned]] = {}
    for regime, window in windows:
        by_regime.setdefault(regime, []).append(window)
    kept = {regime: rows for regime, rows in sorted(by_regime.items()) if len(rows) >= FEWEST}
    raw = {
        (regime, tag): _winsorised([row.means[tag] for row in rows if tag in row.means])
        for regime, rows in kept.items()
        for tag in sorted({tag for row in rows for tag in row.means})
    }
    raw = {key: each for key, each in raw.items() if each[2] >= max(FEWEST, len(kept[key[0]]) / SELDOM)}
    places = {tag: _last_place(_values(windows, tag)) for tag in sorted({tag for _, tag in raw})}
    pooled: dict[str, tuple[float, int]] = {}
    for (_, tag), (_, variance, count) in raw.items():
        total, free = pooled.get(tag, (0.0, 0))
        pooled[tag] = total + variance * (count - 1), free + count - 1
    found: Normals = {}
    for (regime, tag), (centre, variance, count) in raw.items():
        total, free = pooled[tag]
        if free < FREE:
            continue
        alone = free == count - 1
        belief = 0 if alone else POOLED
        spread = math.sqrt(((count - 1) * variance + belief * total / free) / (count - 1 + belief))
        smallest = smallest_spread * abs(centre)
        least = max(smallest, places[tag] / 2, 1e-9)
        constant = spread <= max(STILL * smallest, 1e-9)
        values = [row.means[tag] for row in kept[regime] if tag in row.means]
        finest = max(least if constant else smallest, _step(values) / 2)
        found.setdefault(regime, {})[tag] = Normal(centre, max(spread, finest), count, constant)
    return found


def deviations(normal: Mapping[str, Normal], means: Mapping[str, float]) -> dict[str, float]:
    """How many spreads each tag lies from its centre."""
    return {
        tag: (mean - each.centre) / each.spread
        for tag, mean in means.items()
        if (each := normal.get(tag)) is not None
    }


def settling(windows: Sequence[Learned], tags: Iterable[str]) -> str:
    """A tag that a straight line over the windows explains better than not: it is not steady yet; or ""."""
    for tag in tags:
        values = [row.means[tag] for row in windows if tag in row.means]
        if len(values) < FEWEST or min(values) == max(values):
            continue
        line = statistics.linear_regression(range(len(values)), values)
        rise = line.slope * (len(values) - 1)
        rest = [value - line.slope * at for at, value in enumerate(values)]
        explained = 1 - statistics.pvariance(rest) / statistics.pvariance(values)
        if explained > STEADY_TREND and abs(rise) > 3 * statistics.pstdev(rest):
            return tag
    return ""


def _winsorised(values: Sequence[float]) -> tuple[float, float, int]:
    """Mean, variance and count, with what is far from the median drawn in."""
    if len(values) < FEWEST:
        return 0.0, 0.0, len(values)
    median = statistics.median(values)
    far = WINSOR * 1.4826 * statistics.median(abs(value - median) for value in values)
    if far > 0:
        values = [min(max(value, median - far), median + far) for value in values]
    return statistics.fmean(values), statistics.variance(values), len(values)


def _values(windows: Iterable[tuple[str, Learned]], tag: str) -> list[float]:
    return [row.means[tag] for _, row in windows if tag in row.means]


def _last_place(values: Iterable[float]) -> float:
    """The last decimal place, of seven digits, in which any of the values has a digit; 0 where none has a
    fraction. Where a tag stands still, a change by it is the least that its display can tell.
    """
    decimals = max((-exponent for value in values if (exponent := _exponent(value)) < 0), default=0)
    return 10.0**-decimals if decimals else 0.0


def _exponent(value: float) -> int:
    """Power of ten of the last digit other than 0 among the first seven."""
    exponent = Decimal(f"{value:.7g}").normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _step(values: Sequence[float]) -> float:
    """The resolution that the values show, where there are few of them: else 0."""
    distinct = sorted(set(values))
    if not 1 < len(distinct) <= 5:
        return 0.0
    return min(after - before for before, after in itertools.pairwise(distinct))
