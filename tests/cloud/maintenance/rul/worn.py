"""A small fleet that wears, for the tests: a signal shows it well, one a little, one not, one is constant."""

from __future__ import annotations

import numpy as np

from cloud.maintenance.rul.runs import Fleet, Run

SIGNALS = ("vibration", "temperature", "current", "offset")


def run(name: str, seed: int, *, failed: bool = True, missing: float = 0.0) -> Run:
    """40 to 90 samples; wear grows with the cube of the age; ``offset`` is constant."""
    rng = np.random.default_rng(seed)
    life = int(rng.integers(40, 90))
    end = life if failed else int(rng.integers(25, life - 5))
    fast = rng.random(end) < 0.5
    wear = (np.arange(1, end + 1) / life) ** 3
    speed = np.where(fast, 3000.0, 1000.0) + rng.normal(0, 3, end)
    values = np.column_stack(
        [
            np.where(fast, 3.0, 1.0) + 1.5 * wear + rng.normal(0, 0.15, end),
            np.where(fast, 60.0, 40.0) + 6.0 * wear + rng.normal(0, 1.5, end),
            rng.normal(5, 0.4, end),
            np.full(end, 7.0),
        ]
    )
    values[rng.random(values.shape) < missing] = np.nan
    return Run(name, speed[:, None], values, failed)


def fleet(runs: int = 14, *, missing: float = 0.0) -> Fleet:
    """Run-to-failures, hours."""
    made = tuple(run(f"press-{n}", n, missing=missing) for n in range(runs))
    return Fleet("presses", "h", ("speed",), SIGNALS, made)
