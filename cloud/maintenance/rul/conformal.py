"""Conformal offsets from out-of-fold residuals, by bin of the predicted life, and what they cover.

In each bin the offsets are the shortest span of residuals (truth less prediction) that holds the wanted share
of them, with the finite-sample correction ⌈(n + 1) · level⌉. The shortest rather than equal tails: where the
truth is capped at the horizon nothing can lie above, and the whole miss may fall below.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from cloud.maintenance.rul.runs import Floats
from protocols.prognostics.intervals import Intervals

BINS = 12
FEWEST = 100
"""Residuals a bin must hold; with fewer altogether there is one bin."""


def calibrate(predicted: Floats, truth: Floats, level: float) -> Intervals:
    """Offsets for bins of equal count; ``predicted`` and ``truth`` are one value a row, both capped."""
    bins = max(1, min(BINS, len(predicted) // FEWEST))
    edges = np.unique(np.quantile(predicted, np.arange(1, bins) / bins))
    at = np.searchsorted(edges, predicted, side="right")
    residuals = truth - predicted
    spans = [_shortest(residuals[at == number], residuals, level) for number in range(len(edges) + 1)]
    return Intervals(
        level, tuple(edges.tolist()), tuple(low for low, _ in spans), tuple(high for _, high in spans)
    )


def bounds(intervals: Intervals, predicted: Floats, horizon: float) -> tuple[Floats, Floats]:
    """Lower and upper bounds of many predictions, as :meth:`Intervals.around` gives them."""
    pairs = [intervals.around(life, horizon) for life in predicted.tolist()]
    return np.array([low for low, _ in pairs]), np.array([high for _, high in pairs])


def covered(lower: Floats, upper: Floats, truth: Floats) -> tuple[float, float]:
    """Share of the truths within their bounds, and the mean width."""
    inside = (lower <= truth) & (truth <= upper)
    return float(inside.mean()), float((upper - lower).mean())


def cross_coverage(
    predicted: Floats, truth: Floats, fold: NDArray[np.intp], level: float, horizon: float
) -> tuple[float, float]:
    """Coverage and mean width where each fold's offsets come from the other folds alone."""
    lower, upper = np.empty_like(truth), np.empty_like(truth)
    for number in np.unique(fold):
        held = fold == number
        intervals = calibrate(predicted[~held], truth[~held], level)
        lower[held], upper[held] = bounds(intervals, predicted[held], horizon)
    return covered(lower, upper, truth)


def _shortest(residuals: Floats, all_residuals: Floats, level: float) -> tuple[float, float]:
    if len(residuals) == 0:  # a bin between two edges that no prediction fell into
        residuals = all_residuals
    ordered = np.sort(residuals)
    wanted = min(len(ordered), ceil((len(ordered) + 1) * level))
    widths = ordered[wanted - 1 :] - ordered[: len(ordered) - wanted + 1]
    first = int(widths.argmin())
    return float(ordered[first]), float(ordered[first + wanted - 1])
