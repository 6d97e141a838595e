"""A block as a picture: the signal, its spectrum, and the envelope's with the bearing's frequencies. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from protocols.waveforms.block import Block
from protocols.waveforms.coding import values_of
from protocols.waveforms.features import Signal, envelope, spectrum

WIDTH, PANEL, GAP, LEFT, RIGHT, TOP = 720, 120, 34, 58, 10, 18
COLUMNS = WIDTH - LEFT - RIGHT
"""A signal is drawn with the lowest and the highest sample of each column."""
FRAME, GRID, TEXT, LINE, MARK = "#c9d0d8", "#edf0f3", "#5f6b7a", "#1565c0", "#b3261e"
ENVELOPE_TURNS = 12.0
"""How far the envelope's spectrum is drawn: what a bearing does lies within so many turns of the shaft."""

Words = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one line (ascending in ``x``) with what to write at it; ``marks`` are places on the x
    axis."""

    title: str
    x: Sequence[float]
    y: Sequence[float]
    x_unit: str
    marks: Mapping[str, float]


def curves(block: Block) -> list[Curve]:
    """What there is to draw of a block; raises UndecodableError.

    The signal against the seconds before its end, its amplitude spectrum, and that of the envelope where the
    profile names a band for it.
    """
    signal = values_of(block)
    times = (np.arange(block.length) + 1 - block.length) / block.rate
    hertz, amplitudes = spectrum(signal, block.rate)
    turns = {"1×": block.turns} if block.turns else {}
    found = [
        Curve("signal", *_extremes(times, signal), "s", {}),
        Curve("spectrum", *_peaks(hertz, amplitudes), "Hz", turns),
    ]
    if block.band[1] > 0:
        hertz, amplitudes = spectrum(envelope(signal - signal.mean(), block.rate, block.band), block.rate)
        top = block.band[1] - block.band[0]
        if block.turns:
            top = min(top, ENVELOPE_TURNS * block.turns)
        shown = hertz <= top
        found.append(
            Curve("envelope", *_peaks(hertz[shown], amplitudes[shown]), "Hz", {**turns, **block.marks})
        )
    return found


def draw(block: Block, words: Words = str) -> str:
    """SVG of a block, one panel below the other; ``words`` translates what is written on it.

    Raises:
        UndecodableError: its samples are damaged.
    """
    panels = curves(block)
    height = TOP + len(panels) * (PANEL + GAP)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" width="100%" role="img" aria-label="{escape(block.path)}" '
        'xmlns="http://www.w3.org/2000/svg" font-family="inherit" font-size="11">'
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, TOP + number * (PANEL + GAP), block.unit, words)
    parts.append("</svg>")
    return "".join(parts)


def _panel(curve: Curve, top: float, unit: str, words: Words) -> list[str]:
    low, high = min(curve.y), max(curve.y)
    low = min(low, 0.0)
    if high - low < 1e-12 * max(1.0, abs(high)):
        low, high = low - 1.0, high + 1.0
    first, last = curve.x[0], curve.x[-1]

    def across(value: float) -> float:
        return LEFT + COLUMNS * (value - first) / ((last - first) or 1.0)

    def down(value: float) -> float:
        return top + PANEL * (1 - (value - low) / (high - low))

    parts = [
        f'<rect x="{LEFT}" y="{top}" width="{COLUMNS}" height="{PANEL}" fill="none" stroke="{FRAME}"/>',
        f'<text x="{LEFT}" y="{top - 5}" fill="{TEXT}">{escape(words(curve.title))}'
        f"{f', {escape(unit)}' if unit else ''}</text>",
    ]
    for tick in ticks(low, high, 4):
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(tick):.1f}" y2="{down(tick):.1f}" '
            f'stroke="{GRID}"/><text x="{LEFT - 5}" y="{down(tick) + 4:.1f}" text-anchor="end" '
            f'fill="{TEXT}">{tick:g}</text>'
        )
    for tick in ticks(first, last, 6):
        parts.append(
            f'<text x="{across(tick):.1f}" y="{top + PANEL + 13}" text-anchor="middle" '
            f'fill="{TEXT}">{tick:g}</text>'
        )
    parts.append(
        f'<text x="{WIDTH - RIGHT}" y="{top - 5}" text-anchor="end" fill="{TEXT}">{curve.x_unit}</text>'
    )
    for at, (name, place) in enumerate(sorted(curve.marks.items(), key=lambda mark: mark[1])):
        if first <= place <= last:
            # Names of neighbours stand one below the other, so that they can be read.
            parts.append(
                f'<line x1="{across(place):.1f}" x2="{across(place):.1f}" y1="{top}" y2="{top + PANEL}" '
                f'stroke="{MARK}" stroke-dasharray="3 3"><title>{escape(name)} {place:.4g} Hz</title></line>'
                f'<text x="{across(place) + 3:.1f}" y="{top + 11 + 12 * (at % 3)}" fill="{MARK}">'
                f"{escape(name)}</text>"
            )
    points = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in zip(curve.x, curve.y, strict=True))
    parts.append(f'<polyline points="{points}" fill="none" stroke="{LINE}" stroke-width="1"/>')
    return parts


def ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers from ``low`` to ``high``, about so many: 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [
        round(step * n, 12) for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def _extremes(x: Signal, y: Signal) -> tuple[list[float], list[float]]:
    """The lowest and the highest of each column of the picture, in the order in which they came."""
    if len(y) <= 2 * COLUMNS:
        return x.tolist(), y.tolist()
    kept: list[int] = []
    for part in np.array_split(np.arange(len(y)), COLUMNS):
        ends = {int(part[y[part].argmin()]), int(part[y[part].argmax()])}
        kept += sorted(ends)
    return x[kept].tolist(), y[kept].tolist()


def _peaks(x: Signal, y: Signal) -> tuple[list[float], list[float]]:
    """The highest of each column of the picture, where it stands."""
    if len(y) <= COLUMNS:
        return x.tolist(), y.tolist()
    kept = [int(part[y[part].argmax()]) for part in np.array_split(np.arange(len(y)), COLUMNS)]
    return x[kept].tolist(), y[kept].tolist()
