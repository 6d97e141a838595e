"""A decision between two classes, counted: what every bench of a classifier shows, false alarms beside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.maintenance.rul.runs import Floats

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Decided:
    """Counts of decisions against the truth."""

    hits: int
    missed: int
    false_alarms: int
    quiet: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 without a hit."""
        return 2 * self.hits / max(1, 2 * self.hits + self.missed + self.false_alarms)

    @property
    def precision(self) -> float:
        return self.hits / max(1, self.hits + self.false_alarms)

    @property
    def recall(self) -> float:
        return self.hits / max(1, self.hits + self.missed)

    @property
    def accuracy(self) -> float:
        total = self.hits + self.missed + self.false_alarms + self.quiet
        return (self.hits + self.quiet) / max(1, total)


def count(decided: Flags, truth: Flags) -> Decided:
    """Both are one flag a case."""
    return Decided(
        hits=int((decided & truth).sum()),
        missed=int((~decided & truth).sum()),
        false_alarms=int((decided & ~truth).sum()),
        quiet=int((~decided & ~truth).sum()),
    )


def best_cut(score: Floats, truth: Flags) -> float:
    """The threshold with the best F1 on cases that the scores were not fitted to."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, cuts = precision_recall_curve(truth, score)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(cuts[int(f1[:-1].argmax())])
