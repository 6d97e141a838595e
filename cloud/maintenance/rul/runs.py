"""What a model of remaining life is trained on: the samples of assets from new to their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_FAILURES = 10
FEWEST_SAMPLES = 20
"""Of one run. Shorter ones say nothing about wear and are left out."""

Floats = NDArray[np.float64]


class TrainingRefusedError(ValueError):
    """The data cannot make a model; says what is there, what is wanted and what to do."""


@dataclass(frozen=True, slots=True)
class Run:
    """One asset from new (or repaired) to its failure or, where ``failed`` is False, to the end of the data.

    ``conditions`` is (samples, conditions) and ``values`` (samples, signals), oldest first; NaN: missing.
    """

    asset: str
    conditions: Floats
    values: Floats
    failed: bool = True

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Runs of assets of one type. One sample stands for one ``unit`` of life."""

    source: str
    unit: str
    conditions: tuple[str, ...]
    signals: tuple[str, ...]
    runs: tuple[Run, ...]

    def failures(self) -> Fleet:
        """The runs to failure alone; raises TrainingRefusedError where they are too few to learn from."""
        failed = [run for run in self.runs if run.failed]
        if self.runs and not failed:
            raise TrainingRefusedError(
                f"{self.source}: none of {len(self.runs)} runs ended in a failure: there is only one class. "
                f"A remaining life needs {FEWEST_FAILURES} run-to-failures; until then the health of the "
                "machine's own baseline watches it"
            )
        usable = tuple(run for run in failed if len(run) >= FEWEST_SAMPLES)
        if len(usable) < FEWEST_FAILURES:
            short = len(failed) - len(usable)
            raise TrainingRefusedError(
                f"{self.source}: {len(usable)} run-to-failures"
                + (f" ({short} more have fewer than {FEWEST_SAMPLES} samples)" if short else "")
                + f", {FEWEST_FAILURES} are wanted: pool the machines of this type, or let the health of the "
                "machine's own baseline watch it"
            )
        if not self.signals:
            raise TrainingRefusedError(f"{self.source}: no column of signals")
        return Fleet(self.source, self.unit, self.conditions, self.signals, usable)

    def stacked(self) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """All samples under one another: conditions, values, and the number of the run of each."""
        lengths = [len(run) for run in self.runs]
        return (
            np.vstack([run.conditions for run in self.runs]),
            np.vstack([run.values for run in self.runs]),
            np.repeat(np.arange(len(self.runs)), lengths),
        )

    def choose(self, signals: Sequence[int]) -> Fleet:
        """The same with some of the signals, by index."""
        runs = tuple(Run(r.asset, r.conditions, r.values[:, list(signals)], r.failed) for r in self.runs)
        names = tuple(self.signals[at] for at in signals)
        return Fleet(self.source, self.unit, self.conditions, names, runs)
