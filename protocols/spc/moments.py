"""Mean and spread of values as they come, without losing digits (Welford 1962)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec


class Moments(msgspec.Struct, frozen=True):
    """Count, mean and sum of squared deviations of the values so far."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def with_value(self, value: float) -> Moments:
        """These and one more value."""
        count = self.count + 1
        before = value - self.mean
        mean = self.mean + before / count
        return Moments(count, mean, self.squares + before * (value - mean))

    @property
    def sd(self) -> float:
        """Standard deviation with n - 1; 0 below two values."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0


def moments(values: Iterable[float]) -> Moments:
    """Moments of all ``values``."""
    found = Moments()
    for value in values:
        found = found.with_value(value)
    return found


def autocorrelation(values: Sequence[float]) -> float:
    """Lag-1 autocorrelation (NIST/SEMATECH e-Handbook 1.3.5.12); 0 where the values do not vary.

    Far from 0, consecutive values are not independent and the limits of a chart are too narrow or too wide.
    """
    found = moments(values)
    deviations = [value - found.mean for value in values]
    products = math.fsum(a * b for a, b in pairwise(deviations))
    squares = math.fsum(d * d for d in deviations)
    return products / squares if squares else 0.0
