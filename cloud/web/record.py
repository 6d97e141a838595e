"""The five figures over the last hours, for the small trend beside each. Begins when the service starts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from cloud.web.board import Board, Figures
from protocols.values import MICROSECONDS

EVERY = 10 * MICROSECONDS
"""µs between two points that are kept."""
KEPT = 12 * 360
"""Points kept: twelve hours."""
WIDTH, HEIGHT, POINTS = 120, 34, 60

FIGURES: tuple[tuple[str, Callable[[Figures], float]], ...] = (
    ("orders", lambda f: f.on_time / f.open_orders if f.open_orders else 1.0),
    ("late", lambda f: float(f.worst_late)),
    ("running", lambda f: f.running or 0.0),
    ("andons", lambda f: float(f.andon)),
    ("risk", lambda f: float(f.at_risk)),
)
"""Sheet behind each figure, and the number that its trend is drawn of."""


@dataclass(slots=True)
class Record:
    """Figures by time, oldest first."""

    _points: deque[tuple[int, Figures]] = field(default_factory=lambda: deque(maxlen=KEPT), init=False)

    def take(self, board: Board) -> None:
        """Keep a board's figures, unless the last ones are nearly as new."""
        if not self._points or board.now - self._points[-1][0] >= EVERY:
            self._points.append((board.now, board.figures))

    def sparks(self, zone: ZoneInfo) -> dict[str, str]:
        """A small picture of every figure, by the sheet behind it."""
        points = list(self._points)
        if not points:
            return dict.fromkeys((name for name, _ in FIGURES), "")
        begin = datetime.fromtimestamp(points[0][0] / MICROSECONDS, zone).strftime("%H:%M")
        return {
            name: spark([number(figures) for _, figures in points], f"since {begin}")
            for name, number in FIGURES
        }


def spark(numbers: list[float], title: str) -> str:
    """SVG of a line without axes; a spike stays visible however long the line is."""
    size = -(-len(numbers) // POINTS)
    shown = [max(numbers[at : at + size]) for at in range(0, len(numbers), size)]
    top = max(shown) or 1.0
    step = WIDTH / max(1, len(shown) - 1)
    line = " ".join(
        f"{at * step:.1f},{HEIGHT - 2 - (HEIGHT - 4) * n / top:.1f}" for at, n in enumerate(shown)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Trend {title}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{title}</title>'
        f'<line x1="0" x2="{WIDTH}" y1="{HEIGHT - 1}" y2="{HEIGHT - 1}" stroke="#dfe5ec"/>'
        f'<polyline points="{line}" fill="none" stroke="#7d93ab" stroke-width="1.6"/></svg>'
    )
