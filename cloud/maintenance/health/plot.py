"""The course of an asset's tags against what is normal for them, as SVG that needs nothing else. Pure.

Each tag has a row with a scale of its own. The band is the normal one of the regime at each moment, so it has
steps where the machine did something else; what lies outside is drawn in red and larger, so that it is seen
without colour too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape

from cloud.maintenance.health.baseline import Normal, Normals
from cloud.maintenance.health.trend import Point, Trend

WIDTH = 720
"""Pixels of the whole picture."""
ROW = 110
MARGIN = 12
LEFT, RIGHT = 64, 12
HEAD = 22
BAND = 3.0
"""Spreads to both sides that count as normal."""

STYLE = """
text{font-family:system-ui,'Segoe UI',Roboto,'Noto Sans','Noto Sans CJK SC',sans-serif;fill:#1b1f24}
.axis{fill:#57606a}
.frame{fill:none;stroke:#d5d9de}
.band{fill:#b7dfbb;fill-opacity:.55}
.centre{stroke:#57606a;stroke-width:.8;stroke-dasharray:3 3;fill:none}
.line{stroke:#37414d;stroke-width:1.2;fill:none}
.in{fill:#37414d}
.out{fill:#c1121f}
"""

_Seen = tuple[Point, float, Normal]


def plot(
    trend: Trend,
    normals: Normals,
    tags: Sequence[str],
    units: Callable[[str], str],
    clock: Callable[[int], str],
    title: str,
    nothing: str = "nothing was judged yet",
) -> str:
    """The SVG of some tags. ``units`` gives a tag's unit, ``clock`` a time (µs UTC) in words."""
    rows = [(tag, seen) for tag in tags if (seen := _seen(trend, normals, tag))]
    height = 2 * MARGIN + HEAD + ROW * max(1, len(rows)) + 18
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(_clean(title))}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{MARGIN}" y="{MARGIN + 13}" font-size="14" font-weight="600">'
        f"{escape(_clean(title))}</text>",
    ]
    if not rows:
        parts.append(f'<text class="axis" x="{MARGIN}" y="{MARGIN + HEAD + 30}" font-size="13">')
        parts.append(f"{escape(nothing)}</text></svg>\n")
        return "\n".join(parts)
    start = min(seen[0][0].end for _, seen in rows)
    end = max(max(seen[-1][0].end for _, seen in rows), start + 1)
    for number, (tag, seen) in enumerate(rows):
        top = MARGIN + HEAD + number * ROW
        parts += _row(tag, units(tag), seen, top, start, end)
    foot = MARGIN + HEAD + ROW * len(rows) + 12
    parts.append(f'<text class="axis" x="{LEFT}" y="{foot}" font-size="11">{escape(clock(start))}</text>')
    parts.append(
        f'<text class="axis" x="{WIDTH - RIGHT}" y="{foot}" font-size="11" text-anchor="end">'
        f"{escape(clock(end))}</text></svg>\n"
    )
    return "\n".join(parts)


def _seen(trend: Trend, normals: Normals, tag: str) -> list[_Seen]:
    """The points at which the tag was told in a regime that is known for it."""
    return [
        (point, point.means[tag], normal)
        for point in trend.points
        if tag in point.means
        and (normal := normals.get(point.regime, {}).get(tag)) is not None
        and math.isfinite(point.means[tag])
    ]


def _row(tag: str, unit: str, seen: Sequence[_Seen], top: int, start: int, end: int) -> Iterator[str]:
    values = [value for _, value, _ in seen]
    lows = [normal.centre - BAND * normal.spread for _, _, normal in seen]
    highs = [normal.centre + BAND * normal.spread for _, _, normal in seen]
    low, high = min(*values, *lows), max(*values, *highs)
    room = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
    low, high = low - room, high + room
    inner = ROW - 26

    def x(ts: int) -> float:
        return LEFT + (ts - start) / (end - start) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return top + 18 + (high - value) / (high - low) * inner

    label = f"{tag} [{unit}]" if unit else tag
    yield f'<text x="{LEFT}" y="{top + 12}" font-size="12">{escape(_clean(label))}</text>'
    yield f'<rect class="frame" x="{LEFT}" y="{top + 18}" width="{WIDTH - LEFT - RIGHT}" height="{inner}"/>'
    for value in (low + room, high - room):
        yield (
            f'<text class="axis" x="{LEFT - 6}" y="{y(value) + 4:.1f}" font-size="10" text-anchor="end">'
            f"{value:.3g}</text>"
        )
    at = [x(point.end) for point, _, _ in seen]
    borders = [float(LEFT), *((a + b) / 2 for a, b in itertools.pairwise(at)), float(WIDTH - RIGHT)]
    for number, (_, _, normal) in enumerate(seen):
        left, right = borders[number], borders[number + 1]
        above, below = y(normal.centre + BAND * normal.spread), y(normal.centre - BAND * normal.spread)
        yield (
            f'<rect class="band" x="{left:.1f}" y="{above:.1f}" width="{max(0.0, right - left):.1f}" '
            f'height="{max(0.5, below - above):.1f}"/>'
        )
        centre = y(normal.centre)
        yield f'<path class="centre" d="M{left:.1f} {centre:.1f}H{right:.1f}"/>'
    path = " ".join(
        f"{'L' if number else 'M'}{x(point.end):.1f} {y(value):.1f}"
        for number, (point, value, _) in enumerate(seen)
    )
    yield f'<path class="line" d="{path}"/>'
    for point, value, normal in seen:
        outside = abs(value - normal.centre) > BAND * normal.spread
        yield (
            f'<circle class="{"out" if outside else "in"}" cx="{x(point.end):.1f}" cy="{y(value):.1f}" '
            f'r="{3 if outside else 1.6}"><title>{value:.4g}, {normal.centre:.4g} ± {normal.spread:.2g}'
            "</title></circle>"
        )


def _clean(text: str) -> str:
    """Without what XML does not allow."""
    return "".join(
        c if c == "\t" or 0x20 <= ord(c) < 0xD800 or 0xE000 <= ord(c) < 0xFFFE else "\ufffd" for c in text
    )
