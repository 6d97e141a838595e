"""Operating regimes found in the conditions of a fleet, and what is normal in each.

k-means for 2 to ``MOST`` regimes; the largest number whose silhouette (Rousseeuw 1987) is as good as the
best one's counts, if that is clearly a set of clumps (``CLUMPED``). Otherwise there is one regime: conditions
that only scatter, or run over a continuum, are not cut into pieces.
"""

from __future__ import annotations

import numpy as np

from cloud.maintenance.rul.cores import one_thread_each
from cloud.maintenance.rul.runs import Floats
from protocols.prognostics.regimes import Regimes

MOST = 12
CLUMPED = 0.8
SAMPLED = 1_000
"""Samples the silhouette is taken of: it grows with their square."""
REACH = 1.5
"""A regime reaches this much farther than its farthest sample of the training …"""
LEAST_REACH = 0.1
"""… and at least this part of the way to the next centre: settings that are kept exactly still vary a bit."""
CONSTANT = 1e-6
"""Spread of a signal, relative to its mean, below which it is called constant."""


def find(conditions: Floats, values: Floats, seed: int) -> tuple[Regimes, list[int]]:
    """The regimes, and the signals (by index) that are not constant within them; ``values`` may hold NaN."""
    usable = np.isfinite(conditions).all(axis=1)
    scale = _scale(conditions[usable])
    centres, label, reach = _centres(conditions[usable] / scale, seed)
    inside = values[usable]
    means = np.zeros((len(centres), values.shape[1]))
    spreads = np.zeros_like(means)
    for number in range(len(centres)):
        group = inside[label == number]
        present = np.isfinite(group)
        counts = np.maximum(present.sum(axis=0), 1)
        filled = np.where(present, group, 0.0)
        means[number] = filled.sum(axis=0) / counts
        spreads[number] = np.sqrt((np.where(present, group - means[number], 0.0) ** 2).sum(axis=0) / counts)
    constant = spreads <= CONSTANT * np.abs(means) + 1e-12
    varying = [int(at) for at in np.flatnonzero(~constant.all(axis=0))]
    # Constant in this regime only: it must not speak there, whatever little it moves by.
    spreads[constant] = np.maximum(np.abs(means[constant]), 1.0)
    return (
        Regimes(
            scale=tuple(scale.tolist()),
            reach=float(reach),
            centres=tuple(map(tuple, (centres * scale).tolist())),
            means=tuple(map(tuple, means[:, varying].tolist())),
            spreads=tuple(map(tuple, spreads[:, varying].tolist())),
        ),
        varying,
    )


def _scale(conditions: Floats) -> Floats:
    spread = conditions.std(axis=0)
    still = spread <= CONSTANT * np.abs(conditions.mean(axis=0)) + 1e-12
    return np.asarray(np.where(still, np.maximum(np.abs(conditions.mean(axis=0)), 1.0), spread))


def _centres(scaled: Floats, seed: int) -> tuple[Floats, np.ndarray, float]:
    if scaled.shape[1] == 0:
        return np.zeros((1, 0)), np.zeros(len(scaled), int), 1.0
    best = (scaled.mean(axis=0, keepdims=True), np.zeros(len(scaled), int))
    best_silhouette = CLUMPED
    picked = scaled[np.random.default_rng(seed).permutation(len(scaled))[: 5 * SAMPLED]]
    for wanted in range(2, MOST + 1):
        if len(np.unique(picked, axis=0)) < wanted:
            break
        centres, silhouette = _clumps(picked, wanted, seed)
        if silhouette >= best_silhouette:
            best_silhouette = silhouette
            squares = ((scaled[:, None, :] - centres[None]) ** 2).sum(axis=2)
            best = (centres, squares.argmin(axis=1))
    centres, label = best
    farthest = float(np.sqrt(((scaled - centres[label]) ** 2).sum(axis=1)).max())
    return centres, label, max(REACH * farthest, LEAST_REACH * _nearest_pair(centres))


def _nearest_pair(centres: Floats) -> float:
    if len(centres) == 1:
        return 1.0
    apart = np.sqrt(((centres[:, None, :] - centres[None]) ** 2).sum(axis=2))
    return float(apart[~np.eye(len(centres), dtype=bool)].min())


def _clumps(picked: Floats, wanted: int, seed: int) -> tuple[Floats, float]:
    one_thread_each()
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    found = KMeans(wanted, n_init=4, random_state=seed).fit(picked)
    few = slice(0, SAMPLED)
    if len(np.unique(found.labels_[few])) < 2:
        return found.cluster_centers_, -1.0
    return found.cluster_centers_, float(silhouette_score(picked[few], found.labels_[few]))
