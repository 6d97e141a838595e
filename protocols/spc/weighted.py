"""EWMA and CUSUM: charts that see a small lasting shift sooner than a Shewhart chart does."""

from __future__ import annotations

from collections.abc import Iterable


def ewma_step(before: float, value: float, weight: float) -> float:
    """The weighted mean after ``value`` (Roberts 1959; NIST/SEMATECH e-Handbook 6.3.2.4)."""
    return weight * value + (1 - weight) * before


def cusum_step(high: float, low: float, deviation: float, slack: float) -> tuple[float, float]:
    """Both sums after a value that lies ``deviation`` from the target (Page 1954; ISO 7870-4; Montgomery,
    Introduction to Statistical Quality Control, 9.1). They do not start again by themselves after a signal.
    """
    return max(0.0, high + deviation - slack), max(0.0, low - deviation - slack)


def ewma(values: Iterable[float], weight: float, start: float) -> list[float]:
    """The weighted mean after each value, beginning at ``start``."""
    found = []
    for value in values:
        start = ewma_step(start, value, weight)
        found.append(start)
    return found


def cusum(values: Iterable[float], target: float, slack: float) -> list[tuple[float, float]]:
    """Upper and lower sum after each value; ``slack`` in the unit of the values."""
    found, sums = [], (0.0, 0.0)
    for value in values:
        sums = cusum_step(*sums, value - target, slack)
        found.append(sums)
    return found
