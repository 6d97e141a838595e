"""The plan as a picture: one row a workcell, the *now* line, changeovers hatched, lateness in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from cloud.web.speech import ENGLISH, Speech
from cloud.web.words import clock_words, lateness
from cloud.web.words import span as span_words
from protocols.values import MICROSECONDS

ROW, HEAD, LEFT, WIDTH = 27, 26, 118, 1460
_FILL = {
    "planned": "#dfe5ec",
    "leased": "#c9d5e3",
    "running": "#b7dfbb",
    "paused": "#f2ddae",
}
SEEN = 600
"""Seconds from which a bar counts as moved; a short one does from half of its length."""
MOVED = "#6a1b9a"
LEGEND = (
    ("#b7dfbb", "running"),
    ("#f2ddae", "paused"),
    ("#c9d5e3", "with its edge: not moved unasked"),
    ("#dfe5ec", "planned"),
)
"""Colours of the bars in words."""
LETTER = 7.8
"""Width of a letter, on average."""
_STEPS = (10, 30, 60, 300, 600, 1800, 3600, 7200, 14_400, 28_800, 86_400)


@dataclass(frozen=True, slots=True)
class Shifted:
    """Where the plan before had a bar: at ``workcell``, and so many ``seconds`` earlier (negative: later)."""

    workcell: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One run on one workcell. Times in µs UTC; ``changeover`` seconds lie before ``start``.

    ``late`` is by how many seconds its order will miss the due date (0: on time); ``tip`` says more.
    """

    workcell: str
    start: int
    end: int
    label: str
    state: str = "planned"
    changeover: float = 0.0
    late: float = 0.0
    tip: str = ""
    id: str = ""
    orders: tuple[str, ...] = ()
    shifted: Shifted | None = None

    @property
    def moved(self) -> str:
        """An arrow for where the newest plan moved it, if one would see that; else empty."""
        if self.shifted is None:
            return ""
        if self.shifted.workcell != self.workcell:
            return "⇅"
        length = (self.end - self.start) / MICROSECONDS
        if abs(self.shifted.seconds) < min(SEEN, length / 2):
            return ""
        return "→" if self.shifted.seconds > 0 else "←"


@dataclass(frozen=True, slots=True)
class Window:
    """A maintenance window; µs UTC. It should end before ``bound``; ``fixed``: a person said when."""

    workcell: str
    start: int
    end: int
    label: str
    opens: str = ""
    bound: int | None = None
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """What part of time the picture shows; µs UTC. Before ``frozen`` nothing is moved any more."""

    start: int
    end: int
    now: int
    frozen: int
    zone: ZoneInfo

    def x(self, ts: int) -> float:
        """Horizontal place of a time, inside the picture."""
        share = (ts - self.start) / max(1, self.end - self.start)
        return LEFT + (WIDTH - LEFT) * min(1.0, max(0.0, share))


def span(
    bars: Sequence[Bar], windows: Sequence[Window], now: int, frozen: int, zone: ZoneInfo, seconds: int = 0
) -> Span:
    """From a little before now to the end of the plan, at least a minute and at most ``seconds`` (0: all)."""
    ends = [bar.end for bar in bars] + [window.end for window in windows]
    end = max([*ends, now + 60 * MICROSECONDS])
    if seconds:
        end = min(end, now + seconds * MICROSECONDS)
    length = end - now
    return Span(now - length // 8, end + length // 40, now, frozen, zone)


def draw(
    workcells: Sequence[tuple[str, str]],
    bars: Sequence[Bar],
    windows: Sequence[Window],
    view: Span,
    say: Speech = ENGLISH,
) -> str:
    """The picture as SVG. ``workcells`` are (id, title) in plant order."""
    height = HEAD + ROW * len(workcells) + 4
    rows = {cell: HEAD + ROW * at for at, (cell, _) in enumerate(workcells)}
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" width="100%" role="img" aria-label="{escape(say("Plan"))}" '
        'xmlns="http://www.w3.org/2000/svg" font-family="inherit" font-size="13">',
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="6" height="6" fill="#fff"/>'
        '<line x1="0" y1="0" x2="0" y2="6" stroke="#8a96a3" stroke-width="2"/></pattern></defs>',
        *_frozen(view, height, say),
        *_grid(view, height),
    ]
    for cell, title in workcells:
        y = rows[cell]
        parts.append(
            f'<text x="0" y="{y + 18}" fill="#37414d" data-open="workcell:{escape(cell)}">'
            f"{escape(title)}</text>"
        )
        parts.append(f'<line x1="0" x2="{WIDTH}" y1="{y + ROW}" y2="{y + ROW}" stroke="#edf0f3"/>')
    titles = dict(workcells)
    for bar in bars:
        if bar.workcell in rows:
            parts += _bar(bar, rows[bar.workcell], view, titles, say)
    parts += [
        part for window in windows if window.workcell in rows for part in _window(window, rows, view, say)
    ]
    now = view.x(view.now)
    parts.append(
        f'<line x1="{now:.1f}" x2="{now:.1f}" y1="14" y2="{height}" stroke="#1b2733" stroke-width="2"/>'
    )
    parts.append(
        f'<text x="{now:.1f}" y="11" text-anchor="middle" fill="#1b2733" font-weight="600">'
        f"{escape(say('now'))}</text>"
    )
    return "".join([*parts, "</svg>"])


def _frozen(view: Span, height: int, say: Speech) -> list[str]:
    start, end = view.x(view.now), view.x(view.frozen)
    if end <= start:
        return []
    return [
        f'<rect x="{start:.1f}" y="{HEAD}" width="{end - start:.1f}" height="{height - HEAD}" fill="#f3f6fa">'
        f"<title>{escape(say('frozen: not moved any more'))}</title></rect>"
    ]


def _grid(view: Span, height: int) -> list[str]:
    seconds = (view.end - view.start) / MICROSECONDS
    step = next((step for step in _STEPS if seconds / step <= 12), _STEPS[-1])
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86_400 else "%a %d"
    found = []
    first = -(-view.start // (step * MICROSECONDS)) * step * MICROSECONDS
    for ts in range(first, view.end, step * MICROSECONDS):
        x = view.x(ts)
        if x < LEFT + 2:
            continue
        found.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEAD - 6}" y2="{height}" stroke="#e3e8ee"/>')
        if abs(x - view.x(view.now)) > 48 and x < WIDTH - 30:
            text = datetime.fromtimestamp(ts / MICROSECONDS, view.zone).strftime(form)
            found.append(f'<text x="{x:.1f}" y="14" text-anchor="middle" fill="#7b8794">{text}</text>')
    return found


def _bar(bar: Bar, y: int, view: Span, titles: Mapping[str, str], say: Speech) -> list[str]:
    if bar.end <= view.start or bar.start >= view.end:
        return []
    start, end = view.x(bar.start), view.x(bar.end)
    width = max(2.0, end - start)
    found = []
    if bar.changeover:
        before = view.x(bar.start - int(bar.changeover * MICROSECONDS))
        if start - before > 0.5:
            found.append(
                f'<rect x="{before:.1f}" y="{y + 5}" width="{start - before:.1f}" height="{ROW - 10}" '
                f'fill="url(#hatch)"><title>{escape(say("changeover"))} {bar.changeover:.0f} s</title></rect>'
            )
    edge = "#c62828" if bar.late else "#98a4b0"
    thick = 2 if bar.late else 1
    tip = escape(bar.tip or bar.label)
    if bar.late:
        tip += "\n" + escape(say("late by {time}", time=lateness(bar.late)))
    arrow = bar.moved
    if arrow:
        tip += "\n" + escape(f"{arrow} {_before(bar, view, titles, say)}")
    found.append(
        f'<g data-open="operation:{escape(bar.id)}"><rect x="{start:.1f}" y="{y + 4}" width="{width:.1f}" '
        f'height="{ROW - 8}" rx="3" fill="{_FILL.get(bar.state, _FILL["planned"])}" stroke="{edge}" '
        f'stroke-width="{thick}"><title>{tip}</title></rect>'
    )
    if arrow:
        found.append(
            f'<line class="moved" x1="{start:.1f}" x2="{start + width:.1f}" y1="{y + ROW - 4}" '
            f'y2="{y + ROW - 4}" stroke="{MOVED}" stroke-width="3" stroke-dasharray="5 3" '
            'pointer-events="none"/>'
        )
    text = f"{say('late')} · {bar.label}" if bar.late else bar.label
    if arrow:
        text = f"{arrow} {text}"
    room = int((width - 6) / LETTER)
    shown = text if len(text) <= room else text[: room - 1] + "…" if room >= 4 else ""
    if not shown and room >= 1:
        shown = "▲" if bar.late else arrow
    if shown:
        found.append(
            f'<text x="{start + 4:.1f}" y="{y + 18}" fill="#1b2733" pointer-events="none">'
            f"{escape(shown)}</text>"
        )
    found.append("</g>")
    return found


def _before(bar: Bar, view: Span, titles: Mapping[str, str], say: Speech) -> str:
    """Where the plan before had it."""
    assert bar.shifted is not None  # noqa: S101 - only asked of bars that moved
    at = bar.start - bar.shifted.seconds * MICROSECONDS
    time, by = clock_words(at, view.now, view.zone), span_words(bar.shifted.seconds)
    if bar.shifted.workcell != bar.workcell:
        place = titles.get(bar.shifted.workcell, bar.shifted.workcell)
        return say("moved by the newest plan: was at {place}, {time}", place=place, time=time)
    return say(
        "{by} later by the newest plan: was at {time}"
        if bar.shifted.seconds > 0
        else "{by} earlier by the newest plan: was at {time}",
        by=by,
        time=time,
    )


def _window(window: Window, rows: dict[str, int], view: Span, say: Speech) -> list[str]:
    """The window, outlined, and its bound as a flag in the same row."""
    y, start, end = rows[window.workcell], view.x(window.start), view.x(window.end)
    opens, found = escape(window.opens), []
    late = window.bound is not None and window.end > window.bound
    colour = "#c62828" if late else "#1565c0"
    tip = [window.label]
    if window.fixed:
        tip.append(say("⚲ a person said when"))
    if window.bound is not None:
        tip.append(say("to be done before {time}", time=clock_words(window.bound, view.now, view.zone)))
    if window.end > view.start and window.start < view.end:
        dash = "" if window.fixed else ' stroke-dasharray="5 3"'
        text = ("▲ " if late else "") + ("⚲" if window.fixed else "◇")
        found.append(
            f'<g data-open="{opens}"><rect x="{start:.1f}" '
            f'y="{y + 3}" width="{max(4.0, end - start):.1f}" height="{ROW - 6}" '
            f'fill="{colour}" fill-opacity="0.05" stroke="{colour}" stroke-width="2"{dash}>'
            f"<title>{escape(chr(10).join(tip))}</title></rect>"
        )
        words = f"{text} {say('maintenance')}"
        shown = words if len(words) * LETTER < end - start - 8 else text
        if end - start > 14:
            found.append(
                f'<text x="{start + 4:.1f}" y="{y + 18}" fill="{colour}" pointer-events="none">'
                f"{escape(shown)}</text>"
            )
        found.append("</g>")
    elif window.start >= view.end:
        found += _later(window, y, view, colour, tip)
    if window.bound is not None and view.now <= window.bound < view.end:
        x = view.x(window.bound)
        words = say("bound {time}", time=_near(window.bound, view))
        found.append(
            f'<g data-open="{opens}"><title>{escape(tip[-1])}</title>'
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y + 2}" y2="{y + ROW - 2}" stroke="{colour}" '
            f'stroke-width="2"/><path d="M {x:.1f} {y + 2} l -8 4 l 8 4 z" fill="{colour}"/>'
            f"{_beside(words, x + 4, x - 12, y + 18, colour)}</g>"
        )
    return found


def _later(window: Window, y: int, view: Span, colour: str, tip: Sequence[str]) -> list[str]:
    """A window behind the end of the picture: said at its edge, or one would think that there is none."""
    words = f"◇ {_near(window.start, view)} ▸"
    return [
        f'<g data-open="{escape(window.opens)}"><title>{escape(chr(10).join(tip))}</title>'
        f"{_beside(words, WIDTH, WIDTH - 4, y + 18, colour)}</g>"
    ]


def _near(ts: int, view: Span) -> str:
    """A time without its seconds, and today without its day: there is little room."""
    when, now = (datetime.fromtimestamp(each / MICROSECONDS, view.zone) for each in (ts, view.now))
    return when.strftime("%H:%M" if when.date() == now.date() else "%m-%d %H:%M")


def _beside(words: str, right: float, left: float, y: int, colour: str) -> str:
    """Words to the right of a place, or where the picture ends too soon, to the left; readable on bars."""
    fits = right + len(words) * LETTER < WIDTH
    x, anchor = (right, "start") if fits else (left, "end")
    return (
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="{colour}" stroke="#fff" stroke-width="4" '
        f'paint-order="stroke" stroke-linejoin="round">{escape(words)}</text>'
    )
