"""The evidence of a case as a picture: where each tag was normal, and where it is now. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cloud.maintenance.health.evidence import Evidence
from cloud.web.speech import Speech

WIDTH, ROW, LEFT, RIGHT = 440, 44, 4, 70
BAND = 3.0
"""Spreads to both sides that count as normal."""
MOST = 20.0
"""Spreads at which the scale ends; what is further off stands at its end."""
_NORMAL, _NOW, _FAR = "#b7dfbb", "#37414d", "#c62828"


def draw(evidence: Sequence[Evidence], say: Speech) -> str:
    """One row a tag on a common scale of spreads; empty where there is no evidence."""
    if not evidence:
        return ""
    reach = min(MOST, max(BAND * 2, *(abs(item.deviation) * 1.1 for item in evidence)))
    height = ROW * len(evidence) + 24
    parts = [
        f'<svg class="evidence" viewBox="0 0 {WIDTH} {height}" width="100%" role="img" '
        f'style="max-width: {WIDTH}px" aria-label="{escape(say("Evidence"))}" '
        'xmlns="http://www.w3.org/2000/svg" font-family="inherit" font-size="13">'
    ]
    for at, item in enumerate(evidence):
        parts += _row(item, ROW * at, reach)
    words = escape(say("green: normal · ●: now, in spreads off normal"))
    parts.append(f'<text x="{LEFT}" y="{height - 7}" fill="#5b6773">{words}</text></svg>')
    return "".join(parts)


def _row(item: Evidence, y: int, reach: float) -> list[str]:
    start, end, now = _x(-BAND, reach), _x(BAND, reach), _x(item.deviation, reach)
    far = abs(item.deviation) > BAND
    colour = _FAR if far else _NOW
    tip = f"{item.tag}: {item.current:.4g}, {item.normal:.4g} ± {item.spread:.2g}"
    middle = _x(0.0, reach)
    return [
        f"<g><title>{escape(tip)}</title>"
        f'<text x="{LEFT}" y="{y + 14}" fill="#37414d">{escape(item.tag)}</text>'
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y + 29}" y2="{y + 29}" stroke="#e3e8ee"/>'
        f'<rect x="{start:.1f}" y="{y + 21}" width="{end - start:.1f}" height="16" fill="{_NORMAL}"/>'
        f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{y + 19}" y2="{y + 39}" stroke="#98a4b0"/>'
        f'<line x1="{middle:.1f}" x2="{now:.1f}" y1="{y + 29}" y2="{y + 29}" stroke="{colour}" '
        'stroke-width="3"/>'
        f'<circle cx="{now:.1f}" cy="{y + 29}" r="6" fill="{colour}"/>'
        f'<text x="{WIDTH - RIGHT + 12}" y="{y + 34}" fill="{colour}" font-weight="600">'
        f"{'▲ ' if far else ''}{item.deviation:+.1f}</text></g>"
    ]


def _x(spreads: float, reach: float) -> float:
    share = (max(-reach, min(reach, spreads)) + reach) / (2 * reach)
    return LEFT + (WIDTH - RIGHT - LEFT) * share
