"""Mixes of signals: the directions in which the smoothed signals of a fleet vary most (principal components).

Noise is each sensor's own, wear moves many sensors together. After smoothing, the first directions are those
of wear and of what sets assets apart; trees, which ask one signal at a time, cannot find them by themselves.
On C-MAPSS FD001 two mixes take the cross-validated error from 8.0 to 7.6 cycles (decision 0034).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cloud.maintenance.rul.runs import Floats, Run
from protocols.prognostics.regimes import Regimes

SPAN = 30
"""Samples of the trailing mean."""


def directions(regimes: Regimes, runs: Sequence[Run], count: int) -> tuple[tuple[float, ...], ...]:
    """The first ``count`` directions, one weight a signal, of length 1; the largest weight is positive.

    The labels (when an asset failed) are not looked at.
    """
    if count < 1:
        return ()
    smoothed = np.vstack([_smoothed(_normalised(regimes, run)) for run in runs])
    _, _, found = np.linalg.svd(smoothed - smoothed.mean(axis=0), full_matrices=False)
    chosen = found[:count]
    largest = chosen[np.arange(len(chosen)), np.abs(chosen).argmax(axis=1)]
    return tuple(map(tuple, (chosen * np.sign(largest)[:, None]).tolist()))


def _normalised(regimes: Regimes, run: Run) -> Floats:
    """Normalised values, the usual one (0) where one is missing or the regime unknown."""
    table = np.zeros(run.values.shape)
    for at, (conditions, values) in enumerate(zip(run.conditions.tolist(), run.values.tolist(), strict=True)):
        regime = regimes.regime(conditions)
        if regime is not None:
            table[at] = regimes.normalised(regime, values)
    return np.nan_to_num(table)


def _smoothed(table: Floats) -> Floats:
    sums = np.vstack([np.zeros(table.shape[1]), np.cumsum(table, axis=0)])
    ends = np.arange(1, len(table) + 1)
    starts = np.maximum(0, ends - SPAN)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts)[:, None])
