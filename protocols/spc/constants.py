"""Constants of control charts: how ranges and standard deviations of small normal samples relate to sigma.

``d2`` and ``d3`` are mean and standard deviation of the range of n standard normal values, ``c4`` the mean of
their standard deviation (ISO 7870-2:2023, table 2; ASTM E2587). The table was computed by integration to
twelve decimals; its test integrates again, another way.
"""

from __future__ import annotations

import math

_RANGE: dict[int, tuple[float, float]] = {
    2: (1.128379167096, 0.852502466425),
    3: (1.692568750643, 0.888368004043),
    4: (2.058750746008, 0.879808202823),
    5: (2.325928947281, 0.864081941098),
    6: (2.534412721223, 0.848039686116),
    7: (2.704356751214, 0.833205335621),
    8: (2.847200612091, 0.819831489790),
    9: (2.970026324418, 0.807834274552),
    10: (3.077505461670, 0.797050673518),
    11: (3.172872703816, 0.787314620549),
    12: (3.258455279744, 0.778478341202),
    13: (3.335980354098, 0.770416202062),
    14: (3.406763108200, 0.763023095623),
    15: (3.471826889882, 0.756211429727),
    16: (3.531982786110, 0.749908089409),
    17: (3.587883961765, 0.744051783959),
    18: (3.640063757937, 0.738590853377),
    19: (3.688963023208, 0.733481495518),
    20: (3.734950119597, 0.728686345706),
    21: (3.778335829843, 0.724173340716),
    22: (3.819384643363, 0.719914808433),
    23: (3.858323423285, 0.715886735491),
    24: (3.895348148451, 0.712068175147),
    25: (3.930629219507, 0.708440765888),
}
"""n: (d2, d3)."""

LARGEST = max(_RANGE)
"""The largest subgroup with constants; a larger one is charted by its standard deviation."""


class NoConstantError(ValueError):
    """A subgroup size for which there is no constant."""


def d2(n: int) -> float:
    """Mean range of ``n`` standard normal values; raises NoConstantError outside 2 to 25."""
    return _range(n)[0]


def d3(n: int) -> float:
    """Standard deviation of the range of ``n`` standard normal values; raises NoConstantError."""
    return _range(n)[1]


def d2_of_one_sample(n: int) -> float:
    """``d2*`` for a single range of ``n`` values: its root mean square (Duncan 1986, table D3, g = 1)."""
    return math.hypot(*_range(n))


def c4(n: int) -> float:
    """Mean standard deviation of ``n`` standard normal values, exact; raises NoConstantError below 2."""
    if n < 2:
        raise NoConstantError(f"a subgroup of {n} has no standard deviation: it needs at least 2 values")
    return math.sqrt(2 / (n - 1)) * math.exp(math.lgamma(n / 2) - math.lgamma((n - 1) / 2))


def _range(n: int) -> tuple[float, float]:
    try:
        return _RANGE[n]
    except KeyError:
        raise NoConstantError(
            f"there is no range constant for a subgroup of {n}: 2 to {LARGEST} values are possible"
        ) from None
