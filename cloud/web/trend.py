"""A trend as a picture: the line breaks where there is no good value, gaps carry their reason."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from cloud.context import Context
from cloud.history.port import History, Series, downsample
from cloud.ledger import reading
from protocols.values import MICROSECONDS, Value

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1460, 220, 70, 22, 10
POINTS = 1500
AT_ONCE = 100_000
"""Samples read before they are thinned; a range that holds more is read in several goes."""
MAX_NAMES = 10
"""Different texts that get a line of their own; the newest win."""
MAX_PICTURES = 200
EVERY = 2.0
"""Seconds a picture serves all browsers that ask for it; longer where a pixel lasts longer."""


NOTHING = "no good values in this range"
"""What a picture without a line says; the only words of it that are the page's own."""


@dataclass(slots=True)
class _Made:
    """A picture and when it was drawn (monotonic); whoever finds it too old draws it anew, one at a time."""

    at: float = float("-inf")
    svg: str = ""
    drawing: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Trends:
    """Trend pictures for all browsers, each drawn once however many look at it. Lives on the event loop."""

    context: Context
    _made: dict[tuple[int, int], _Made] = field(default_factory=dict, init=False)

    async def picture(self, tag: reading.Tag, seconds: int) -> str:
        """The trend of the last ``seconds`` of a tag."""
        made = self._made.setdefault((tag.id, seconds), _Made())
        async with made.drawing:
            if time.monotonic() - made.at > max(EVERY, seconds / 600):
                end, begun = self.context.clock.now(), time.monotonic()
                zone = ZoneInfo(self.context.site.calendar.timezone)
                start = end - seconds * MICROSECONDS
                made.svg = await asyncio.to_thread(read_and_draw, self.context, tag, start, end, zone)
                made.at = begun
        if len(self._made) > MAX_PICTURES:
            self._made.pop(next(iter(self._made)))
        return made.svg


def read_and_draw(context: Context, tag: reading.Tag, start: int, end: int, zone: ZoneInfo) -> str:
    """The trend of a tag from the history, with the gaps of its edge. Blocks: call it in a thread."""
    series = _thinned(context.history, tag.id, start, end)
    with context.database.read() as tx:
        gaps = [
            (gap.from_ts, gap.to_ts, gap.reason)
            for gap in reading.gaps(tx, start, end, tag.edge)
            if gap.missing
        ]
    return draw(series, tag.unit, start, end, zone, gaps)


def _thinned(history: History, tag: int, start: int, end: int) -> Series:
    """Everything between two times with few enough points to draw, however much there is."""
    whole = Series()
    while start < end:
        part = history.read(tag, start, end, AT_ONCE)
        thin = downsample(part, POINTS)
        for row, at in thin.qualities.items():
            whole.qualities[len(whole) + row] = at
        whole.times += thin.times
        whole.values += thin.values
        if len(part) < AT_ONCE:
            break
        start = part.times[-1] + 1
    return downsample(whole, POINTS)


def draw(
    series: Series,
    unit: str,
    start: int,
    end: int,
    zone: ZoneInfo,
    gaps: Sequence[tuple[int, int, str]] = (),
) -> str:
    """SVG of the numbers of a series between two times (µs UTC). ``gaps`` are (from, to, reason)."""
    names = _names(series)
    numbers = [
        (ts, None if series.qualities.get(row) else _number(value, names))
        for row, (ts, value) in enumerate(zip(series.times, series.values, strict=True))
    ]
    values = [value for _, value in numbers if value is not None]
    head = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img" aria-label="Trend" '
        'xmlns="http://www.w3.org/2000/svg" font-family="inherit" font-size="13">'
    )
    if not values:
        return (
            f'{head}<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle" fill="#7b8794">'
            f"{NOTHING}</text></svg>"
        )
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    low, high = low - margin, high + margin

    def x(ts: int) -> float:
        return LEFT + (WIDTH - LEFT - 8) * (ts - start) / max(1, end - start)

    def y(value: float) -> float:
        return (HEIGHT - BOTTOM - TOP) * (1 - (value - low) / (high - low)) + TOP

    parts = [head]
    scale = [(low + (high - low) * step / 4, "") for step in range(5)]
    for value, name in [(float(at), text) for text, at in names.items()] or scale:
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#edf0f3"/>'
        )
        place = (
            f'x="{LEFT + 4}" y="{y(value) - 4:.1f}"' if names else f'x="{LEFT - 6}" y="{y(value) + 4:.1f}"'
        )
        anchor, text = ("start", name or "(empty)") if names else ("end", f"{value:.4g}")
        parts.append(f'<text {place} text-anchor="{anchor}" fill="#5f6b7a">{escape(text)}</text>')
    for at in range(6):
        ts = start + (end - start) * at // 5
        text = datetime.fromtimestamp(ts / MICROSECONDS, zone).strftime("%H:%M:%S")
        anchor = "end" if at == 5 else "middle" if at else "start"
        parts.append(
            f'<text x="{x(ts):.1f}" y="{HEIGHT - 4}" text-anchor="{anchor}" fill="#7b8794">{text}</text>'
        )
    for begin, until, reason in gaps:
        left, right = x(max(begin, start)), x(min(until, end))
        parts.append(
            f'<rect x="{left:.1f}" y="4" width="{max(2.0, right - left):.1f}" height="{HEIGHT - BOTTOM}" '
            f'fill="#f2ddae" opacity="0.6"><title>gap: {escape(reason)}</title></rect>'
        )
    for line in _lines(numbers):
        if names:
            line = _steps(line, end)
        points = " ".join(f"{x(ts):.1f},{y(value):.1f}" for ts, value in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke="#1565c0" stroke-width="1.6"/>')
        if len(line) == 1:
            ts, value = line[0]
            parts.append(f'<circle cx="{x(ts):.1f}" cy="{y(value):.1f}" r="2" fill="#1565c0"/>')
    parts.append(f'<text x="{LEFT}" y="14" fill="#37414d">{escape(unit)}</text></svg>')
    return "".join(parts)


def _names(series: Series) -> dict[str, int]:
    """A height for every text of a series, oldest lowest; empty for a series of numbers."""
    texts = [value for value in series.values if isinstance(value, str)]
    newest = list(dict.fromkeys(reversed(texts)))[:MAX_NAMES]
    return {text: at for at, text in enumerate(reversed(newest))}


def _number(value: Value, names: dict[str, int]) -> float | None:
    if isinstance(value, str):
        return names.get(value)
    return float(value) if isinstance(value, int | float) else None


def _steps(line: list[tuple[int, float]], end: int) -> list[tuple[int, float]]:
    """A text holds until the next one."""
    found: list[tuple[int, float]] = []
    for ts, value in line:
        if found:
            found.append((ts, found[-1][1]))
        found.append((ts, value))
    return [*found, (end, found[-1][1])] if found else []


def _lines(numbers: Sequence[tuple[int, float | None]]) -> list[list[tuple[int, float]]]:
    lines: list[list[tuple[int, float]]] = [[]]
    for ts, value in numbers:
        if value is None:
            if lines[-1]:
                lines.append([])
        else:
            lines[-1].append((ts, value))
    return [line for line in lines if line]
