"""Student's t and chi-square, exact to about twelve digits and without a library: the edge has none.

By the incomplete beta and gamma functions (NIST DLMF 8.11, 8.17); quantiles by bisection.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

NORMAL = NormalDist()
_TINY, _EPS = 1e-300, 1e-16


def t_cdf(x: float, freedom: float) -> float:
    """P(T ≤ x) of Student's t with ``freedom`` > 0 degrees."""
    tail = 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + x * x))
    return 1 - tail if x > 0 else tail


def normal_of_t(x: float, freedom: float) -> float:
    """The standard normal value with the same probability below it as ``x`` has under Student's t.

    Worked out in the tail that ``x`` lies in, so that a value far out stays far out.
    """
    tail = 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + x * x))
    z = -NORMAL.inv_cdf(min(max(tail, 1e-300), 0.5)) if tail < 0.5 else 0.0
    return math.copysign(z, x)


def chi2_cdf(x: float, freedom: float) -> float:
    """P(X ≤ x) of chi-square with ``freedom`` > 0 degrees."""
    return _incomplete_gamma(freedom / 2, x / 2) if x > 0 else 0.0


def chi2_quantile(p: float, freedom: float) -> float:
    """The value that a chi-square variable stays below with probability ``p`` (0 < p < 1)."""
    high = freedom + 10
    while chi2_cdf(high, freedom) < p:
        high *= 2
    return _bisect(lambda x: chi2_cdf(x, freedom) - p, 0.0, high)


def _bisect(f: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if f(middle) < 0 else (low, middle)
    return (low + high) / 2


def _incomplete_gamma(a: float, x: float) -> float:
    """Regularised lower incomplete gamma: its series where it converges fast, else the continued fraction."""
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        n = a
        while abs(term) > abs(total) * _EPS:
            n += 1
            term *= x / n
            total += term
        return total * scale
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    h, i = d, 0
    while True:
        i += 1
        step = -i * (i - a)
        b += 2
        d = 1 / _away_from_zero(step * d + b)
        c = _away_from_zero(b + step / c)
        h *= d * c
        if abs(d * c - 1) < 1e-15 or i > 10_000:
            return 1 - scale * h


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta by its continued fraction, evaluated on the side where it converges."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    log_scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1) / (a + b + 2):
        return math.exp(log_scale) * _beta_fraction(a, b, x) / a
    return 1 - math.exp(log_scale) * _beta_fraction(b, a, 1 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    h = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / _away_from_zero(1 + step * d)
            c = _away_from_zero(1 + step / c)
            h *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return h


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
