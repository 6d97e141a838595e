"""The numbers of a block against what algebra says they are."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.waveforms.features import Recipe, Signal, envelope, features, spectrum

RATE, LENGTH = 8000.0, 8000
TIME = np.arange(LENGTH) / RATE


def sine(hertz: float, amplitude: float = 1.0, *, length: int = LENGTH, rate: float = RATE) -> Signal:
    made: Signal = amplitude * np.sin(2 * np.pi * hertz * np.arange(length) / rate)
    return made


def made(signal: Signal, **recipe: object) -> dict[str, float | None]:
    return features(signal, Recipe(RATE, **recipe))  # type: ignore[arg-type]


def test_a_sine_has_the_crest_factor_and_the_kurtosis_of_a_sine() -> None:
    found = made(sine(100, 3.0))
    assert found["rms"] == pytest.approx(3 / math.sqrt(2), rel=1e-9)
    assert found["peak"] == pytest.approx(3, rel=1e-9)
    assert found["crest"] == pytest.approx(math.sqrt(2), rel=1e-9)
    assert found["kurtosis"] == pytest.approx(1.5, rel=1e-9)


def test_a_square_wave_has_a_crest_factor_and_a_kurtosis_of_one() -> None:
    square = np.where(np.arange(LENGTH) % 80 < 40, 2.0, -2.0)
    found = made(square)
    assert [found[name] for name in ("rms", "crest", "kurtosis")] == pytest.approx([2.0, 1.0, 1.0])


def test_gaussian_noise_has_a_kurtosis_of_three() -> None:
    noise = np.random.default_rng(4).normal(0, 2.5, 131_072)
    found = made(noise)
    assert found["rms"] == pytest.approx(2.5, rel=0.01)
    assert found["kurtosis"] == pytest.approx(3.0, abs=0.05)  # standard error √(24/n) = 0.014


def test_a_train_of_impulses_has_the_kurtosis_that_its_duty_gives() -> None:
    """One sample of ``every`` is 1: a Bernoulli variable, whose kurtosis is 1/(p(1-p)) - 3."""
    every = 100
    train = np.zeros(LENGTH)
    train[::every] = 1.0
    p = 1 / every
    found = made(train)
    assert found["rms"] == pytest.approx(math.sqrt(p * (1 - p)))
    assert found["kurtosis"] == pytest.approx(1 / (p * (1 - p)) - 3)
    assert found["crest"] == pytest.approx((1 - p) / math.sqrt(p * (1 - p)))


def test_an_offset_changes_nothing() -> None:
    plain, lifted = made(sine(50)), made(sine(50) + 1000.0)
    assert lifted == pytest.approx(plain, rel=1e-6)


def test_bands_hold_what_lies_in_them() -> None:
    signal = sine(100, 1.0) + sine(900, 2.0) + sine(2500, 0.5)
    found = made(signal, bands=((0, 500), (500, 2000), (2000, 4000)))
    assert found["band_1"] == pytest.approx(1 / math.sqrt(2), rel=1e-9)
    assert found["band_2"] == pytest.approx(2 / math.sqrt(2), rel=1e-9)
    assert found["band_3"] == pytest.approx(0.5 / math.sqrt(2), rel=1e-9)


@given(
    length=st.integers(64, 700),
    edges=st.lists(st.floats(1, 3999), max_size=6, unique=True),
    seed=st.integers(0, 999),
)
def test_bands_that_leave_nothing_out_sum_to_the_whole(length: int, edges: list[float], seed: int) -> None:
    """Parseval, whatever the length (odd and even) and wherever the edges lie: nothing is counted twice."""
    signal = np.random.default_rng(seed).normal(0, 1, length)
    cut = [0.0, *sorted(edges), RATE / 2]
    found = made(signal, bands=tuple(itertools.pairwise(cut)))
    shares = [value for name, value in found.items() if name.startswith("band_") and value is not None]
    assert sum(value**2 for value in shares) == pytest.approx((found["rms"] or 0.0) ** 2, rel=1e-9)


def test_the_line_at_half_the_rate_is_counted_once() -> None:
    nyquist = np.where(np.arange(LENGTH) % 2, 1.0, -1.0)
    found = made(nyquist, bands=((0, 2000), (2000, 4000)))
    assert [found["band_1"], found["band_2"]] == pytest.approx([0.0, 1.0], abs=1e-9)


def test_the_envelope_of_a_modulated_carrier_is_its_modulation() -> None:
    """A (1 + m cos ωt) cos Ωt: the envelope swings by A·m at ω, whatever else is in the signal."""
    carrier, tone, depth = 2000.0, 87.0, 0.4
    signal = 5 * (1 + depth * np.cos(2 * np.pi * tone * TIME)) * sine(carrier) + sine(30, 20.0)
    found = made(signal, envelope=(1500, 2500), turns=29.0, defects={"bpfo": 3.0, "bpfi": 5.0})
    assert found["envelope_bpfo"] == pytest.approx(5 * depth, rel=1e-3)
    assert found["envelope_bpfi"] == pytest.approx(0, abs=1e-3)
    assert found["envelope"] == pytest.approx(5 * depth / math.sqrt(2), rel=1e-3)


def test_the_envelope_of_a_pure_tone_does_not_swing() -> None:
    swing = envelope(sine(2000, 3.0), RATE, (1500, 2500))
    assert np.abs(swing).max() < 1e-9


def test_bursts_at_a_defect_frequency_show_in_the_envelope_and_not_in_the_spectrum() -> None:
    """A resonance at 2 kHz rung 80 times a second: the spectrum has no line at 80 Hz, the envelope has."""
    train = np.zeros(LENGTH)
    train[::100] = 1.0
    ring = np.exp(-500 * TIME) * np.sin(2 * np.pi * 2000 * TIME)
    signal = np.fft.irfft(np.fft.rfft(train) * np.fft.rfft(ring), LENGTH)
    found = made(signal, envelope=(1500, 2500), turns=20.0, has_shaft=True, defects={"bpfo": 4.0, "bsf": 2.7})
    outer, other = found["envelope_bpfo"], found["envelope_bsf"]
    assert outer is not None and other is not None and outer > 1000 * other
    frequencies, amplitudes = spectrum(signal, RATE)
    assert amplitudes[frequencies == 80.0] < outer / 20
    assert (found["kurtosis"] or 0) > 6


@pytest.mark.parametrize("hertz", [50.0, 50.25, 50.5, 50.9, 133.333])
def test_the_amplitude_at_the_shaft_holds_between_the_lines_too(hertz: float) -> None:
    found = made(sine(hertz, 2.0) + sine(400, 5.0), has_shaft=True, turns=hertz)
    assert found["shaft"] == pytest.approx(2.0, rel=2e-3)


@pytest.mark.parametrize("turns", [0.0, 1.5, 3999.0, 90_000.0])
def test_what_does_not_show_in_a_block_is_none(turns: float) -> None:
    found = made(sine(50), has_shaft=True, turns=turns, envelope=(1000, 2000), defects={"bpfo": 1.0})
    assert (found["shaft"], found["envelope_bpfo"]) == (None, None)


@pytest.mark.parametrize("level", [0.0, 7.0, -1e9])
def test_a_flat_signal_has_no_ratios(level: float) -> None:
    found = made(np.full(1000, level), bands=((0, 4000),))
    assert (found["crest"], found["kurtosis"]) == (None, None)
    assert found["rms"] == pytest.approx(0, abs=1e-6) and found["band_1"] == pytest.approx(0, abs=1e-6)


def test_the_spectrum_shows_a_sine_with_its_amplitude() -> None:
    frequencies, amplitudes = spectrum(sine(440, 2.0) + 9.0, RATE)
    assert frequencies[np.argmax(amplitudes)] == 440
    assert amplitudes.max() == pytest.approx(2.0, rel=1e-6)
    assert frequencies[-1] == RATE / 2 and len(frequencies) == len(amplitudes)


@pytest.mark.parametrize("length", [64, 65, 1000, 1001])
def test_any_length_will_do(length: int) -> None:
    signal = sine(700, length=length)
    found = features(signal, Recipe(RATE, ((0, 4000),), (500, 1500)))
    assert all(value is not None and math.isfinite(value) for value in found.values())
