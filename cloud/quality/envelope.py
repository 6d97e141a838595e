"""The golden envelope of a program: where a signal runs while good parts are made. Pure, numpy.

Signals of one part (force over travel, current over time) are brought onto a grid of equal shares of the
part, so that a part that took a little longer compares. At each place of the grid the envelope is the median
of good parts and a band around it: ``width`` robust standard deviations (1.4826 times the median absolute
deviation, Rousseeuw and Croux 1993), and never narrower than ``floor`` of the whole signal's span, because a
few parts that happen to agree somewhere say nothing about the next one. One bad part among the good ones
moves neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

Array = np.ndarray[Any, Any]

GRID = 200
"""Places of the grid."""
FEWEST = 5
"""Good parts that an envelope needs."""
MOST_SAMPLES = 1_000_000
"""Samples of one signal at most."""
_MAD = 1.4826


class Envelope(msgspec.Struct, frozen=True):
    """What is learned from good parts of one program: lower, middle and upper at each place of the grid, how
    long a part takes, and from how many it was learned. ``version`` counts up when it is learned anew.
    """

    program: str
    signal: str
    lower: tuple[float, ...]
    middle: tuple[float, ...]
    upper: tuple[float, ...]
    shortest: float
    longest: float
    parts: int
    version: int = 1


class Left(msgspec.Struct, frozen=True):
    """A stretch in which a part left the envelope: from and to as shares of the part (0 to 1), whether
    above or below, and by how much at most, in half widths of the band.
    """

    start: float
    end: float
    above: bool
    worst: float


class Judgement(msgspec.Struct, frozen=True):
    """Whether a part stayed inside, and where it did not; ``outside`` is the share of the part outside.

    ``duration`` is set when the part took longer or shorter than good ones: then its shape says less.
    """

    inside: bool
    outside: float
    stretches: tuple[Left, ...]
    duration: str = ""


class SignalError(ValueError):
    """A signal that cannot be compared."""


def learn(
    program: str,
    signal: str,
    parts: Sequence[tuple[Sequence[float], Sequence[float]]],
    *,
    width: float = 4.0,
    floor: float = 0.02,
    version: int = 1,
) -> Envelope:
    """The envelope of good ``parts``, each (times, values) with times rising.

    Raises:
        SignalError: fewer than :data:`FEWEST` parts, or a signal that is none.
    """
    if len(parts) < FEWEST:
        raise SignalError(f"{len(parts)} good parts are too few for an envelope: {FEWEST} at least")
    curves = np.vstack([on_grid(times, values) for times, values in parts])
    middle = np.median(curves, axis=0)
    spread = _MAD * np.median(np.abs(curves - middle), axis=0)
    span = float(middle.max() - middle.min()) or abs(float(middle[0])) or 1.0
    half = np.maximum(width * _smoothed(spread), floor * span)
    lengths = sorted(float(times[-1] - times[0]) for times, _ in parts)
    slack = 0.2 * lengths[len(lengths) // 2]
    return Envelope(
        program=program,
        signal=signal,
        lower=tuple(float(v) for v in middle - half),
        middle=tuple(float(v) for v in middle),
        upper=tuple(float(v) for v in middle + half),
        shortest=max(0.0, lengths[0] - slack),
        longest=lengths[-1] + slack,
        parts=len(parts),
        version=version,
    )


def _smoothed(spread: Array) -> Array:
    """The largest spread of near neighbours: a part that is a moment early is no other part."""
    reach = max(1, len(spread) // 50)
    padded = np.pad(spread, reach, mode="edge")
    windows: Array = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    largest: Array = windows.max(axis=1)
    return largest


def on_grid(times: Sequence[float], values: Sequence[float], places: int = GRID) -> Array:
    """A signal at equal shares of its part, by linear interpolation.

    Raises:
        SignalError: too few or too many samples, not finite, or times that do not rise.
    """
    if len(times) != len(values) or not 2 <= len(times) <= MOST_SAMPLES:
        there = f"{len(values)} values and {len(times)} times"
        raise SignalError(f"a signal needs 2 to {MOST_SAMPLES} samples with a time each, there are {there}")
    at, what = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    if not (np.isfinite(at).all() and np.isfinite(what).all()):
        raise SignalError(
            "a signal has a value or a time that is not a finite number: leave such samples out"
        )
    if (np.diff(at) <= 0).any():
        place = int(np.argmax(np.diff(at) <= 0)) + 1
        raise SignalError(f"times of a signal must rise: sample {place + 1} is not after the one before it")
    curve: Array = np.interp(np.linspace(at[0], at[-1], places), at, what)
    return curve


def judge(
    envelope: Envelope,
    times: Sequence[float],
    values: Sequence[float],
    *,
    tolerated: float = 0.01,
) -> Judgement:
    """Whether a part stayed in the envelope of its program. Up to ``tolerated`` of it may lie outside, which
    a spike of noise does.

    Raises:
        SignalError: the signal cannot be compared.
    """
    curve = on_grid(times, values, len(envelope.middle))
    lower, upper = np.asarray(envelope.lower), np.asarray(envelope.upper)
    half = (upper - lower) / 2
    side = np.where(curve > upper, 1, np.where(curve < lower, -1, 0))
    off = np.abs(curve - np.asarray(envelope.middle)) / half
    stretches = tuple(_stretches(side, off))
    outside = float((side != 0).mean())
    duration = _duration(envelope, float(times[-1] - times[0]))
    return Judgement(outside <= tolerated and not duration, outside, stretches, duration)


def _duration(envelope: Envelope, length: float) -> str:
    if length > envelope.longest:
        return f"took {length:.4g}, good parts up to {envelope.longest:.4g}"
    if length < envelope.shortest:
        return f"took {length:.4g}, good parts at least {envelope.shortest:.4g}"
    return ""


def _stretches(side: Array, off: Array) -> list[Left]:
    last = max(1, len(side) - 1)
    edges = [0, *(np.flatnonzero(np.diff(side)) + 1).tolist(), len(side)]
    return [
        Left(start / last, (end - 1) / last, bool(side[start] > 0), float(off[start:end].max()))
        for start, end in pairwise(edges)
        if side[start]
    ]


def in_words(judgement: Judgement) -> str:
    """The verdict in a line: where the part left the envelope, worst first."""
    if judgement.inside:
        return "inside the envelope"
    worst = sorted(judgement.stretches, key=lambda left: -left.worst)[:3]
    where = [
        f"{'above' if left.above else 'below'} from {left.start:.0%} to {left.end:.0%} of the part "
        f"({left.worst:.1f} times the half width)"
        for left in worst
    ]
    return "; ".join(filter(None, (judgement.duration, *where)))
