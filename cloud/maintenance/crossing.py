"""When a growing sign reaches its limit: what may be, weighed by how well it explains what was seen. Pure.

What is damaged grows by a constant amount and by a share of what is there: from a straight line to an
exponential (N. Gebraeel, M. Lawley, R. Li, J. Ryan: Residual-life distributions from component degradation
signals, IIE Transactions 37, 2005). When it began, how bent its course is, when it ends and how unevenly it
goes is not known. All of that is laid out on a grid, the ends evenly on a scale of logarithms; every point is
weighed by the likelihood of the observations (a Kalman filter follows how far they leave the course: a random
walk beside noise). What is left of the unevenness until the end is added, and that limits are round numbers.

The interval is one of belief: with few observations it is wide, and it holds as far as courses of this family
go. No failure of the machine has to have been seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cloud.maintenance.prognosis import FEW_POINTS, Prognosis

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Grid = NDArray[np.float64]

TAIL = 0.05
"""Probability beyond each end of the interval."""
BENDS = (0.0, 1.5, 3.0, 4.5)
"""Exponents over the whole growth; 0 is a straight line."""
BEGINNINGS = 20
ENDS = 40
NEAREST, FARTHEST = 0.003, 30.0
"""Ends that are looked at, in times of what was seen."""
UNEVEN = (0.004, 0.02)
"""Variances of the growth that the course does not explain, as a part of the square of the limit."""
DOUBT = 0.3
"""Spread of what is normal itself, in spreads of one observation about it."""
TOLERANCE = 0.05
"""Spread of the value at which it really ends, as a part of the limit, where nothing more is known of it."""
STEPS = 120
"""Places at which the distribution of the end is reckoned."""
NEGLIGIBLE = 1e-5
"""Weight, as a part of the largest, below which a point of the grid is left out."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A sign at ``hours`` of work: by how much it is above normal, as a part of what is normal there.

    ``spread`` is that of such an observation while the machine was well, likewise.
    """

    hours: float
    growth: float
    spread: float


def reached(seen: Sequence[Seen], limit: float, now: float, tolerance: float = TOLERANCE) -> Prognosis | None:
    """How many hours after ``now`` the growth reaches ``limit`` (as a part of what is normal), which is
    uncertain by ``tolerance`` (a standard deviation, as a part of it).

    ``seen`` is in the order of its hours, from when all was well. Beyond the lower and the upper end of the
    prognosis there are 5 % each; what is farther than can be foreseen is None. None for few observations.
    """
    import numpy as np

    began_at = seen[0].hours if seen else now
    if len(seen) < FEW_POINTS or limit <= 0 or now <= began_at:
        return None
    if seen[-1].growth >= limit * (1 + tolerance):
        return Prognosis(0.0, 0.0, 0.0)
    span = now - began_at
    parts = _grid()
    began, bend, walk = began_at + span * parts.began, parts.bend, parts.uneven * limit * limit
    ends = now + span * parts.ends
    lasts = ends - began
    fall = np.zeros(began.shape)
    away, before = np.zeros(began.shape), np.zeros(began.shape)
    doubt = np.full(began.shape, (DOUBT * seen[0].spread) ** 2)
    for each in seen:
        course = limit * _bent((each.hours - began) / lasts, bend)
        doubt = doubt + walk * (course - before) / limit
        total = doubt + (each.spread * (1 + max(0.0, each.growth))) ** 2
        off = each.growth - course - away
        fall -= 0.5 * (np.log(total) + off * off / total)
        gain = doubt / total
        away, doubt, before = away + gain * off, doubt * (1 - gain), course
    weight = np.exp(fall - fall.max())
    kept = weight > NEGLIGIBLE
    slope = (limit * _slope(bend) / lasts)[kept]
    middle = (ends - now)[kept] - away[kept] / slope
    left = np.clip(1 - before / limit, 0.0, 1.0)
    spread = np.sqrt((doubt + walk * left)[kept] + (tolerance * limit) ** 2) / slope
    return _prognosis(middle, spread, weight[kept], span)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The grid, flat: beginnings and ends as parts of what was seen, bends, unevenness."""

    began: Grid
    bend: Grid
    ends: Grid
    uneven: Grid


@lru_cache(maxsize=1)
def _grid() -> _Parts:
    import numpy as np

    began = (np.arange(BEGINNINGS) + 0.5) / BEGINNINGS
    ends = np.geomspace(NEAREST, FARTHEST, ENDS)
    axes = np.meshgrid(began, BENDS, ends, UNEVEN, indexing="ij")
    return _Parts(*(axis.ravel() for axis in axes))


def _bent(part: Grid, bend: Grid) -> Grid:
    """The growth, as a part of the limit, when so much of the way to the end has passed."""
    import numpy as np

    passed = np.clip(part, 0.0, 1.0)
    whole = np.where(bend > 0, np.expm1(bend), 1.0)
    return np.where(bend > 0, np.expm1(bend * passed) / whole, passed)


def _slope(bend: Grid) -> Grid:
    """How fast it grows at the end, in limits for the whole way."""
    import numpy as np

    return np.where(bend > 0, bend / -np.expm1(-np.maximum(bend, 1e-9)), 1.0)


def _prognosis(middle: Grid, spread: Grid, weight: Grid, span: float) -> Prognosis:
    """Quantiles of what may be, given that it has not ended yet."""
    import numpy as np
    from scipy.special import ndtr

    places = span * np.geomspace(NEAREST / 3, FARTHEST, STEPS)
    over = ndtr(-middle / spread)
    total = float(np.sum(weight * (1 - over)))
    if not math.isfinite(total) or total <= 0:
        return Prognosis(0.0, 0.0, 0.0)
    below = np.array([float(np.sum(weight * (ndtr((at - middle) / spread) - over))) for at in places]) / total

    def quantile(share: float) -> float | None:
        if share > below[-1]:
            return None
        return float(np.interp(share, np.concatenate([[0.0], below]), np.concatenate([[0.0], places])))

    return Prognosis(quantile(TAIL), quantile(0.5), quantile(1 - TAIL))
