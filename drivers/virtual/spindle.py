"""What an accelerometer at a turning shaft feels: its harmonics, a worn bearing's impacts, noise. Pure.

A ball that rolls over a pit in the outer race rings the housing's resonance each time it passes: bursts that
decay within milliseconds and repeat with the ball pass frequency (R. B. Randall, J. Antoni: Rolling element
bearing diagnostics - a tutorial, Mechanical Systems and Signal Processing 25, 2011). They grow with wear; the
harmonics do not, so that crest factor, kurtosis and envelope tell of them before the overall value does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Spindle:
    """A shaft in its bearings. Amplitudes in m/s², frequencies in Hz."""

    turns: float = 24.8
    harmonics: tuple[float, ...] = (1.2, 0.5, 0.25)
    """Amplitudes of once, twice, … the turns: imbalance, misalignment."""
    noise: float = 0.3
    ball_pass: float = 3.58
    """Passes of a ball over one place of the outer race (BPFO), in turns of the shaft."""
    slip: float = 0.01
    """Standard deviation of the time between two passes, as a part of it: the balls slip."""
    resonance: float = 1800.0
    decay: float = 450.0
    """How fast a burst dies away, 1/s."""
    impact: float = 25.0
    """Amplitude of the bursts at wear 1."""


def block(
    spindle: Spindle, wear: float, length: int, rate: float, rng: np.random.Generator, *, turning: bool = True
) -> NDArray[np.float64]:
    """So many samples in m/s²; ``wear`` from 0 (new) to 1 (failed). What stands still only hums."""
    if not turning:
        return rng.normal(0.0, spindle.noise / 10, length)
    times = np.arange(length) / rate
    phase = rng.uniform(0, 2 * np.pi)
    felt = rng.normal(0.0, spindle.noise, length)
    for order, amplitude in enumerate(spindle.harmonics, start=1):
        felt += amplitude * np.sin(2 * np.pi * order * spindle.turns * times + order * phase)
    felt += _bursts(spindle, length, rate, rng) * (spindle.impact * wear**2)
    return felt


def _bursts(spindle: Spindle, length: int, rate: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """The bursts of a block, each of amplitude 1; the first may have begun before it."""
    between = rate / (spindle.turns * spindle.ball_pass)
    count = int(length / between) + 3
    gaps = between * (1 + spindle.slip * rng.standard_normal(count))
    starts = np.cumsum(gaps) - gaps[0] * (1 + rng.uniform())
    ring = np.arange(int(6 * rate / spindle.decay) + 1) / rate
    wave = np.exp(-spindle.decay * ring) * np.sin(2 * np.pi * spindle.resonance * ring)
    there: NDArray[np.float64] = np.zeros(length)
    for start in starts.astype(int):
        first, last = max(0, start), min(length, start + len(wave))
        if first < last:
            there[first:last] += wave[first - start : last - start]
    return there


def raw(values: NDArray[np.float64], kind: str, scale: float, offset: float) -> NDArray[Any]:
    """Samples as a machine holds them: scaling undone; what its type does not hold is cut off, as ADCs do."""
    counts = (values - offset) / scale
    if kind.startswith("float"):
        return counts.astype(kind)
    limits = np.iinfo(kind)
    return np.clip(np.rint(counts), limits.min, limits.max).astype(kind)
