"""A trend as a picture: the line breaks where there is no good value, gaps carry their reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from cloud.context import Context
from cloud.history.port import Series, downsample
from cloud.ledger import reading
from protocols.values import MICROSECONDS

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1180, 220, 64, 22, 10
MAX_SAMPLES = 200_000


def read_and_draw(context: Context, tag: reading.Tag, start: int, end: int, zone: ZoneInfo) -> str:
    """The trend of a tag from the history, with the gaps of its edge. Blocks: call it in a thread."""
    series = context.history.read(tag.id, start, end, MAX_SAMPLES)
    with context.database.read() as tx:
        gaps = [
            (gap.from_ts, gap.to_ts, gap.reason)
            for gap in reading.gaps(tx, start, end, tag.edge)
            if gap.missing
        ]
    return draw(downsample(series, 1500), tag.unit, start, end, zone, gaps)


def draw(
    series: Series,
    unit: str,
    start: int,
    end: int,
    zone: ZoneInfo,
    gaps: Sequence[tuple[int, int, str]] = (),
) -> str:
    """SVG of the numbers of a series between two times (µs UTC). ``gaps`` are (from, to, reason)."""
    numbers = [
        (ts, float(value)) if isinstance(value, int | float) and not series.qualities.get(row) else (ts, None)
        for row, (ts, value) in enumerate(zip(series.times, series.values, strict=True))
    ]
    values = [value for _, value in numbers if value is not None]
    head = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img" aria-label="Trend" '
        'xmlns="http://www.w3.org/2000/svg" font-family="inherit" font-size="12">'
    )
    if not values:
        return (
            f'{head}<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle" fill="#7b8794">'
            "no good values in this range</text></svg>"
        )
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    low, high = low - margin, high + margin

    def x(ts: int) -> float:
        return LEFT + (WIDTH - LEFT - 8) * (ts - start) / max(1, end - start)

    def y(value: float) -> float:
        return (HEIGHT - BOTTOM - TOP) * (1 - (value - low) / (high - low)) + TOP

    parts = [head]
    for step in range(5):
        value = low + (high - low) * step / 4
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#edf0f3"/>'
        )
        parts.append(
            f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#7b8794">{value:.4g}</text>'
        )
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
        points = " ".join(f"{x(ts):.1f},{y(value):.1f}" for ts, value in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke="#1565c0" stroke-width="1.6"/>')
        if len(line) == 1:
            ts, value = line[0]
            parts.append(f'<circle cx="{x(ts):.1f}" cy="{y(value):.1f}" r="2" fill="#1565c0"/>')
    parts.append(f'<text x="{LEFT}" y="14" fill="#37414d">{escape(unit)}</text></svg>')
    return "".join(parts)


def _lines(numbers: Sequence[tuple[int, float | None]]) -> list[list[tuple[int, float]]]:
    lines: list[list[tuple[int, float]]] = [[]]
    for ts, value in numbers:
        if value is None:
            if lines[-1]:
                lines.append([])
        else:
            lines[-1].append((ts, value))
    return [line for line in lines if line]
