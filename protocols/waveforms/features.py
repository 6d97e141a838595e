"""The numbers that a block comes down to. Pure; all of the signal about its mean.

========  ================================================================================================
rms       root of the mean square (ISO 20816-1 for velocities)
peak      largest deviation
crest     peak / rms: 1 for a square wave, √2 for a sine, more for impacts
kurtosis  fourth moment / square of the second: 1 square wave, 1.5 sine, 3 Gaussian noise, more for impacts
band_n    rms of what lies in the band; over bands that leave nothing out, the squares sum to rms² (Parseval)
envelope  rms of the envelope's swing in the envelope's band: how much the signal there is modulated
shaft     amplitude at the turns of the shaft: imbalance
envelope_<defect>  amplitude of the envelope at a bearing's defect frequency
========  ================================================================================================

The envelope is the magnitude of the analytic signal of the band, both by one Fourier transform (R. B.
Randall, J. Antoni: Rolling element bearing diagnostics - a tutorial, MSSP 25, 2011).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]

LOBE = 2
"""Bins on either side of a frequency that hold a Hann window's main lobe."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is to be made of blocks. Frequencies in Hz; ``turns`` of the shaft a second, 0 where nobody knows.

    ``defects`` are in turns of the shaft.
    """

    rate: float
    bands: Sequence[tuple[float, float]] = ()
    envelope: tuple[float, float] | None = None
    has_shaft: bool = False
    turns: float = 0.0
    defects: Mapping[str, float] = field(default_factory=dict)


def features(values: Signal, recipe: Recipe) -> dict[str, float | None]:
    """The features of a block in its unit, one dimension, all finite.

    None is what it has none of: ratios of a signal that is flat, and what turns with a shaft that stands
    still or whose speed nobody knows, or turns so fast or slow that it does not show.
    """
    signal = np.asarray(values, dtype=np.float64)
    signal = signal - signal.mean()
    square = signal * signal
    mean_square = float(square.mean())
    rms, peak = mean_square**0.5, float(np.abs(signal).max())
    is_flat = rms <= 1e-12 * max(1.0, float(np.abs(values).max()))
    made: dict[str, float | None] = {
        "rms": rms,
        "peak": peak,
        "crest": None if is_flat else peak / rms,
        "kurtosis": None if is_flat else float((square * square).mean()) / mean_square**2,
    }
    lines = np.fft.rfft(signal)
    power = _powers(lines, len(signal))
    for number, band in enumerate(recipe.bands, start=1):
        made[f"band_{number}"] = float(power[_within(len(signal), recipe.rate, band)].sum()) ** 0.5
    if recipe.envelope is not None:
        swing = envelope(signal, recipe.rate, recipe.envelope, lines)
        made["envelope"] = float((swing * swing).mean()) ** 0.5
        swing_power = _windowed(swing) if recipe.defects else power
        for name, order in recipe.defects.items():
            at = order * recipe.turns
            made[f"envelope_{name}"] = _amplitude_at(swing_power, at, recipe.rate, len(signal))
    if recipe.has_shaft:
        made["shaft"] = _amplitude_at(_windowed(signal), recipe.turns, recipe.rate, len(signal))
    return made


def envelope(
    signal: Signal, rate: float, band: tuple[float, float], lines: NDArray[Any] | None = None
) -> Signal:
    """How the envelope of a band swings about its mean: as many samples as the signal has.

    ``lines`` are the signal's Fourier transform (``rfft``), where it is known already.
    """
    lines = np.fft.rfft(signal) if lines is None else lines
    whole = np.zeros(len(signal), dtype=np.complex128)
    inside = _within(len(signal), rate, band)
    # Twice the positive frequencies and nothing of the negative ones: the analytic signal of the band.
    whole[: len(lines)][inside] = 2 * lines[inside]
    magnitude: Signal = np.abs(np.fft.ifft(whole))
    swing: Signal = magnitude - magnitude.mean()
    return swing


def spectrum(signal: Signal, rate: float) -> tuple[Signal, Signal]:
    """Frequencies (Hz, from 0 to half the rate) and amplitudes of a signal about its mean, by a Hann window.

    A sine of amplitude A shows a line of A where its frequency is one of the lines, at least 0.85 A
    elsewhere.
    """
    about = signal - signal.mean()
    window = _hann(len(about))
    amplitudes: Signal = np.abs(np.fft.rfft(about * window)) * (2 / window.sum())
    frequencies: Signal = np.fft.rfftfreq(len(about), 1 / rate).astype(np.float64)
    return frequencies, amplitudes


def _powers(lines: NDArray[Any], length: int) -> Signal:
    """Mean square that each line of a transform stands for: they sum to that of the signal (Parseval)."""
    power: Signal = (lines.real**2 + lines.imag**2) * (2.0 / length**2)
    power[0] /= 2
    if length % 2 == 0:
        power[-1] /= 2
    return power


def _within(length: int, rate: float, band: tuple[float, float]) -> slice:
    """The lines of a band: from its low end, up to but not with its high end unless that is half the rate."""
    step = rate / length
    first = int(np.ceil(band[0] / step - 1e-9))
    last = length // 2 + 1 if band[1] >= rate / 2 else int(np.ceil(band[1] / step - 1e-9))
    return slice(first, last)


def _hann(length: int) -> Signal:
    """The periodic Hann window."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def _windowed(signal: Signal) -> Signal:
    """Powers of the lines of a signal under a Hann window, which are those of the signal on average."""
    window = _hann(len(signal))
    return _powers(np.fft.rfft(signal * window), len(signal)) / float((window * window).mean())


def _amplitude_at(power: Signal, hertz: float, rate: float, length: int) -> float | None:
    """Amplitude of a sine at a frequency, wherever between two lines it lies; None where it does not show."""
    line = hertz * length / rate
    centre = round(line)
    if centre <= LOBE or centre + LOBE >= len(power):
        return None
    return math.sqrt(2 * float(power[centre - LOBE : centre + LOBE + 1].sum()))
