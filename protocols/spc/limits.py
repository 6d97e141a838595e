"""Control limits: what is estimated from the points of the first phase, and the band it gives a point.

Three standard deviations of what is plotted (ISO 7870-2:2023, 6 and 7), with exact constants: handbooks that
round d2 to 1.128 or 3/d2 to 2.66 differ in the fifth digit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from protocols.spc import constants
from protocols.spc.charts import COUNTED, WITHOUT_LIMITS, Kind, Spec

PROVISIONAL_BELOW = 20
"""Limits from fewer points are provisional: with 10 the false alarms are nine times what they should be."""
TRIAL_FROM = 5
"""Points from which on limits are estimated at all."""


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the band of each point follows from; does not change once it is frozen as a ``version``.

    ``center`` is the mean of the values, of their deviations or of the proportion; ``sigma`` the standard
    deviation of single values, 0 on charts of counts; ``spread`` the mean moving range, range or standard
    deviation; ``points`` how many points they were estimated from, 0 where they were given.
    """

    center: float
    sigma: float = 0.0
    spread: float = 0.0
    points: int = 0
    version: int = 0

    @property
    def provisional(self) -> bool:
        """Whether they stand on too few points to be trusted, or nobody has frozen them."""
        return self.version == 0 or 0 < self.points < PROVISIONAL_BELOW


class Band(NamedTuple):
    """Limits of one point; ``sd`` is the standard deviation of what is plotted."""

    lower: float
    center: float
    upper: float
    sd: float


def given(spec: Spec) -> Limits | None:
    """Limits that a chart has from the beginning: by its kind, or by a known target and sigma."""
    if spec.kind in WITHOUT_LIMITS:
        return Limits(0.0, 1.0, constants.d2(2), version=1)
    if spec.target is None or (spec.sigma is None and spec.kind not in COUNTED):
        return None
    sigma = spec.sigma or 0.0
    return Limits(spec.target, sigma, sigma * _spread_of_sigma(spec), version=1)


def _spread_of_sigma(spec: Spec) -> float:
    """The mean of the lower chart in units of sigma."""
    if spec.kind is Kind.XBAR_S:
        return constants.c4(spec.size)
    return constants.d2(spec.size if spec.kind is Kind.XBAR_R else 2) if spec.kind not in COUNTED else 0.0


def sigma_of_spread(spec: Spec, spread: float) -> float:
    """Standard deviation of single values from the mean moving range, range or standard deviation."""
    unit = _spread_of_sigma(spec)
    return spread / unit if unit else 0.0


def band(spec: Spec, limits: Limits, size: float, number: int) -> Band:
    """The limits of point ``number`` (from 1) of ``size`` values or units inspected."""
    return _BANDS.get(spec.kind, _individuals)(spec, limits, size, number)


def second_band(spec: Spec, limits: Limits) -> tuple[float, float] | None:
    """Limits of the lower chart: moving range, range or standard deviation; None where there is none."""
    if spec.kind in COUNTED or spec.kind in (Kind.Q, Kind.PRE_CONTROL, Kind.EWMA, Kind.CUSUM):
        return None
    if spec.kind is Kind.XBAR_S:
        c4 = constants.c4(spec.size)
        reach = 3 * math.sqrt(1 - c4 * c4) / c4
    else:
        n = spec.size if spec.kind is Kind.XBAR_R else 2
        reach = 3 * constants.d3(n) / constants.d2(n)
    return max(0.0, 1 - reach) * limits.spread, (1 + reach) * limits.spread


def _around(center: float, sd: float, reach: float = 3.0) -> Band:
    return Band(center - reach * sd, center, center + reach * sd, sd)


def _individuals(spec: Spec, limits: Limits, size: float, number: int) -> Band:
    return _around(limits.center, limits.sigma)


def _means(spec: Spec, limits: Limits, size: float, number: int) -> Band:
    return _around(limits.center, limits.sigma / math.sqrt(spec.size))


def _counts(sd: float, center: float) -> Band:
    return Band(max(0.0, center - 3 * sd), center, center + 3 * sd, sd)


def _p(spec: Spec, limits: Limits, size: float, number: int) -> Band:
    p = limits.center
    found = _counts(math.sqrt(p * (1 - p) / size), p)
    return found._replace(upper=min(1.0, found.upper))


def _np(spec: Spec, limits: Limits, size: float, number: int) -> Band:
    p = limits.center
    found = _counts(math.sqrt(size * p * (1 - p)), size * p)
    return found._replace(upper=min(size, found.upper))


def _c(spec: Spec, limits: Limits, size: float, number: int) -> Band:
    return _counts(math.sqrt(limits.center), limits.center)


def _u(spec: Spec, limits: Limits, size: float, number: int) -> Band:
    return _counts(math.sqrt(limits.center / size), limits.center)


def _ewma(spec: Spec, limits: Limits, size: float, number: int) -> Band:
    share = spec.weight / (2 - spec.weight)
    if not spec.steady:
        share *= 1 - (1 - spec.weight) ** (2 * number)
    return _around(limits.center, limits.sigma * math.sqrt(share), spec.width)


def _cusum(spec: Spec, limits: Limits, size: float, number: int) -> Band:
    decision = spec.decision * limits.sigma
    return Band(0.0, 0.0, decision, limits.sigma)


_BANDS = {
    Kind.XBAR_R: _means,
    Kind.XBAR_S: _means,
    Kind.P: _p,
    Kind.NP: _np,
    Kind.C: _c,
    Kind.U: _u,
    Kind.EWMA: _ewma,
    Kind.CUSUM: _cusum,
}
