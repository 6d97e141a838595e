"""Whether a model still fits: its signals against those of its training, its intervals against real ends."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, log

import msgspec

SHIFTED = 0.25
"""Population stability index from which a signal counts as shifted (Siddiqi, 2006)."""
FEWEST_SAMPLES = 200
SURPRISING = 0.01
"""Chance below which so many ends outside the interval are no accident."""
_EMPTY = 0.5
"""Count that stands for an empty bin: the index would be infinite."""


class Seen(msgspec.Struct):
    """Counts of one signal's values, by the bins of the training's quantiles. Missing values count apart."""

    bins: list[int]
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Drift:
    """The signal that shifted most; ``alarm`` where it is too far."""

    signal: str
    index: float
    samples: int
    fewest: int = FEWEST_SAMPLES

    @property
    def alarm(self) -> bool:
        return self.samples >= self.fewest and self.index >= SHIFTED


class DriftWatch:
    """Counts normalised samples of one model and compares them with its training; ``seen`` can be stored.

    Fewer than ``fewest`` samples say nothing.
    """

    def __init__(
        self,
        signals: Sequence[str],
        expected: Sequence[Sequence[float]],
        seen: list[Seen] | None = None,
        fewest: int = FEWEST_SAMPLES,
    ) -> None:
        if len(signals) != len(expected):
            raise ValueError(f"{len(signals)} signals, but expected values of {len(expected)}")
        self._signals = signals
        self._fewest = fewest
        self._edges = [sorted(set(quantiles[1:-1])) for quantiles in expected]
        self._expected = [
            _shares(quantiles, edges) for quantiles, edges in zip(expected, self._edges, strict=True)
        ]
        self.seen = seen or [Seen([0] * (len(edges) + 1)) for edges in self._edges]

    def take(self, sample: Sequence[float]) -> None:
        """Count one sample of normalised values; those of an unseen regime are not given here."""
        for value, edges, seen in zip(sample, self._edges, self.seen, strict=True):
            if value != value:
                seen.missing += 1
            else:
                seen.bins[bisect_right(edges, value)] += 1

    def drift(self) -> Drift | None:
        """The signal that shifted most; None without signals."""
        found = [
            Drift(name, stability_index(expected, seen.bins), sum(seen.bins), self._fewest)
            for name, expected, seen in zip(self._signals, self._expected, self.seen, strict=True)
        ]
        return max(found, key=lambda one: one.index, default=None)


def stability_index(expected: Sequence[float], counted: Sequence[int]) -> float:
    """Population stability index: Σ (actual − expected) · ln(actual / expected) over the bins' shares."""
    total = sum(counted)
    if total == 0:
        return 0.0
    index = 0.0
    for share, count in zip(expected, counted, strict=True):
        actual = max(count, _EMPTY) / total
        index += (actual - share) * log(actual / share)
    return index


@dataclass(frozen=True, slots=True)
class Ended:
    """What the model said of an asset, and the life it then still had; None: beyond the horizon."""

    lower: float
    upper: float | None
    life: float


def surprised(ended: Sequence[Ended], level: float) -> tuple[int, float, bool]:
    """How many ends lay outside, the chance of so many or more were the model right, and whether to alarm."""
    outside = sum(
        not (one.lower <= one.life and (one.upper is None or one.life <= one.upper)) for one in ended
    )
    count, miss = len(ended), 1.0 - level
    chance = sum(comb(count, n) * miss**n * (1.0 - miss) ** (count - n) for n in range(outside, count + 1))
    return outside, min(1.0, chance), bool(ended) and chance < SURPRISING


def _shares(quantiles: Sequence[float], edges: Sequence[float]) -> list[float]:
    """The training's share in each bin: equal parts between quantiles, more where quantiles coincide."""
    part = 1.0 / (len(quantiles) - 1)
    counts = [0.0] * (len(edges) + 1)
    for low in quantiles[:-1]:
        counts[bisect_right(edges, low)] += part
    return [max(share, part * 0.01) for share in counts]
