"""A control chart as SVG: points, limits, and every signal marked by a shape, a number and a word. Pure.

A point that signals is a filled diamond in red with the number of its first rule; one out of tolerance a
square. Provisional limits are dashed, frozen ones solid. What is marked is listed in words below the chart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from protocols.spc.charts import SIGNAL_WORDS, TOLERANCE, Kind, Phase, Point

WIDTH = 960
MARGIN, LEFT, RIGHT = 14, 74, 96
UPPER, LOWER, GAP = 260, 130, 34
"""Heights of the two charts and the room between them, in pixels."""
LISTED = 8
"""Signals listed in words below the chart, the newest."""

STYLE = (
    "text{font-family:system-ui,'Segoe UI',Roboto,'Noto Sans','Noto Sans CJK SC',sans-serif;font-size:12px;"
    "fill:#37414d}.head{font-size:14px;font-weight:600}.faint{fill:#5f6b7a}.limit{stroke:#5f6b7a;fill:none}"
    ".frozen{stroke-width:1.4}.trial{stroke-dasharray:5 4}.centre{stroke:#37414d;stroke-width:1}"
    ".line{stroke:#1565c0;stroke-width:1.4;fill:none}.point{fill:#1565c0}.signal{fill:#c1121f}"
    ".low{stroke:#8a5a00;stroke-width:1.4;fill:none}.lowpoint{fill:#8a5a00}"
    ".mark{fill:#fff;font-size:9px;font-weight:700;text-anchor:middle}"
    ".word{fill:#a10f1a}.tolerance{stroke:#8a5a00;stroke-dasharray:2 3;fill:none}"
)


class Words(NamedTuple):
    """What the picture says, in one language."""

    second: dict[Kind, str]
    limit_upper: str
    limit_lower: str
    centre: str
    decision: str
    provisional: str
    learning: str
    nothing: str
    tolerance: str


ENGLISH = Words(
    {Kind.XBAR_R: "range", Kind.XBAR_S: "standard deviation"},
    "UCL",
    "LCL",
    "CL",
    "H",
    "provisional limits",
    "no limits yet",
    "no points yet",
    "tolerance",
)
CHINESE = Words(
    {Kind.XBAR_R: "极差", Kind.XBAR_S: "标准差"},
    "UCL",
    "LCL",
    "CL",
    "H",
    "临时控制限",
    "尚无控制限",
    "尚无数据点",
    "公差",
)
_MOVING = ("moving range", "移动极差")


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn. ``labels`` stand below the points (time, part) where they fit; ``tolerance`` is drawn
    where the plotted values have one.
    """

    kind: Kind
    points: Sequence[Point]
    title: str = ""
    unit: str = ""
    labels: Sequence[str] = ()
    tolerance: tuple[float | None, float | None] = (None, None)
    chinese: bool = False


def svg(picture: Picture, width: int = WIDTH) -> str:
    """The whole document."""
    return "".join(_elements(picture, width)) + "\n"


def stretches_of_signals(points: Sequence[Point]) -> list[tuple[int, int]]:
    """First and last index of neighbours that say the same, in order."""
    found: list[tuple[int, int]] = []
    for at, point in enumerate(points):
        if not point.signals:
            continue
        if found and found[-1][1] == at - 1 and points[at - 1].signals == point.signals:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return found


class _Panel(NamedTuple):
    """One chart of the picture: its place, and where a point and a value lie."""

    top: float
    height: float
    x: Callable[[int], float]
    y: Callable[[float], float]


class _Series(NamedTuple):
    """What one panel shows of each point, in order; None where there is nothing."""

    values: list[float | None]
    lower: list[float | None]
    center: list[float | None]
    upper: list[float | None]


def _elements(picture: Picture, width: int) -> Iterator[str]:
    points = picture.points
    cusum = picture.kind is Kind.CUSUM
    has_second = any(point.second is not None for point in points) and not cusum
    signals = stretches_of_signals(points)
    lines = min(LISTED, len(signals))
    bottom = 46 + UPPER + (GAP + LOWER if has_second else 0)
    height = bottom + 26 + 17 * lines + MARGIN
    words = CHINESE if picture.chinese else ENGLISH
    name = escape(picture.title or str(picture.kind))
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="100%" role="img" '
        f'aria-label="{escape(name, quote=True)}"><style>{STYLE}</style>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
    )
    unit = f" · {escape(picture.unit)}" if picture.unit else ""
    yield f'<text class="head" x="{MARGIN}" y="26">{name}{unit}</text>'
    yield f'<text class="faint" x="{width - MARGIN}" y="26" text-anchor="end">{_basis(points, words)}</text>'
    shown = [point for point in points if point.plotted is not None and math.isfinite(point.plotted)]
    if not shown:
        yield f'<text x="{width / 2}" y="{46 + UPPER / 2}" text-anchor="middle">{words.nothing}</text></svg>'
        return
    yield from _main_panel(picture, width, words)
    if has_second:
        yield from _second_panel(picture, width, words)
    yield from _labels(picture, width, bottom)
    for row, (first, last) in enumerate(signals[-lines:] if lines else []):
        said = "; ".join(SIGNAL_WORDS[name][int(picture.chinese)] for name in points[first].signals)
        shape = "■" if TOLERANCE & set(points[first].signals) else "◆"
        numbers = str(points[first].number) + (f"–{points[last].number}" if last > first else "")
        label = f" ({picture.labels[first]})" if first < len(picture.labels) and picture.labels[first] else ""
        yield (
            f'<text class="word" x="{LEFT}" y="{bottom + 38 + 17 * row}">{shape} {numbers}'
            f"{escape(label)}: {escape(said)}</text>"
        )
    yield "</svg>"


def _basis(points: Sequence[Point], words: Words) -> str:
    phase = points[-1].phase if points else Phase.LEARNING
    return {Phase.FROZEN: "", Phase.PROVISIONAL: words.provisional, Phase.LEARNING: words.learning}[phase]


def _panel(top: float, height: float, count: int, width: int, values: Sequence[float]) -> _Panel:
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    low, high = low - margin, high + margin
    step = (width - LEFT - RIGHT) / max(1, count - 1)
    return _Panel(
        top,
        height,
        lambda index: LEFT + (index * step if count > 1 else (width - LEFT - RIGHT) / 2),
        lambda value: top + height * (1 - (value - low) / (high - low)),
    )


def _main_panel(picture: Picture, width: int, words: Words) -> Iterator[str]:
    points, cusum = picture.points, picture.kind is Kind.CUSUM
    series = _Series(
        [_finite(p.plotted) for p in points],
        [None if cusum else p.lower for p in points],
        [p.center for p in points],
        [p.upper for p in points],
    )
    tolerance = [v for v in picture.tolerance if v is not None] if _in_its_unit(picture.kind) else []
    below = [_finite(p.second) for p in points] if cusum else []
    panel = _panel(
        46, UPPER, len(points), width, [*_known(series), *tolerance, *(v for v in below if v is not None)]
    )
    yield from _scale(panel, width, _known(series) + tolerance)
    for value in tolerance:
        y = panel.y(value)
        yield f'<line class="tolerance" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        beside = y + 13 if value == picture.tolerance[1] else y - 5
        yield f'<text class="faint" x="{LEFT + 4}" y="{beside:.1f}">{words.tolerance} {value:.6g}</text>'
    upper = words.decision if cusum else words.limit_upper
    yield from _limits(panel, points, series, width, (words.limit_lower, words.centre, upper))
    if cusum:
        yield from _line(panel, below, "low")
        yield from _dots(panel, below, "lowpoint")
    yield from _line(panel, series.values, "line")
    yield from _marks(panel, points, series.values, second=False)


def _second_panel(picture: Picture, width: int, words: Words) -> Iterator[str]:
    points = picture.points
    series = _Series(
        [_finite(p.second) for p in points],
        [p.second_lower for p in points],
        [None for _ in points],
        [p.second_upper for p in points],
    )
    top = 46 + UPPER + GAP
    panel = _panel(top, LOWER, len(points), width, [0.0, *_known(series)])
    name = words.second.get(picture.kind, _MOVING[int(picture.chinese)])
    yield f'<text class="faint" x="{MARGIN}" y="{top - 8}">{name}</text>'
    yield from _scale(panel, width, [0.0, *_known(series)])
    yield from _limits(panel, points, series, width, (words.limit_lower, words.centre, words.limit_upper))
    yield from _line(panel, series.values, "line")
    yield from _marks(panel, points, series.values, second=True)


def _in_its_unit(kind: Kind) -> bool:
    """Whether points are in the unit of the tolerance."""
    return kind in (Kind.I_MR, Kind.EWMA, Kind.PRE_CONTROL)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _known(series: _Series) -> list[float]:
    return [value for row in series for value in row if value is not None]


def _scale(panel: _Panel, width: int, values: Sequence[float]) -> Iterator[str]:
    low, high = min(values), max(values)
    for step in range(5):
        value = low + (high - low) * step / 4
        y = panel.y(value)
        yield f'<line x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#edf0f3"/>'
        yield f'<text class="faint" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.5g}</text>'
        if low == high:
            break


def _limits(
    panel: _Panel, points: Sequence[Point], series: _Series, width: int, names: tuple[str, str, str]
) -> Iterator[str]:
    """Limits as steps, since they may change from point to point; their newest values on the right."""
    for values, name, kind in zip(series[1:], names, ("limit", "centre", "limit"), strict=True):
        for start, end in _stretches(values, points):
            dashes = "frozen" if points[start].phase is Phase.FROZEN else "trial"
            path = _steps(panel, values, start, end, width)
            yield f'<polyline class="limit {kind} {dashes}" points="{path}"/>'
        last = next((v for v in reversed(values) if v is not None), None)
        if last is not None:
            y = panel.y(last) + 4
            yield f'<text class="faint" x="{width - RIGHT + 6}" y="{y:.1f}">{name} {last:.5g}</text>'


def _stretches(values: Sequence[float | None], points: Sequence[Point]) -> Iterator[tuple[int, int]]:
    """Index ranges in which there is a limit of one kind."""
    start: int | None = None
    for at in range(len(values) + 1):
        same = (
            start is not None
            and at < len(values)
            and values[at] is not None
            and points[at].phase is points[start].phase
        )
        if start is not None and not same:
            yield start, at
            start = None
        if start is None and at < len(values) and values[at] is not None:
            start = at


def _steps(panel: _Panel, values: Sequence[float | None], start: int, end: int, width: int) -> str:
    half = (panel.x(1) - panel.x(0)) / 2 if len(values) > 1 else 40.0
    found = []
    for at in range(start, end):
        value = values[at]
        if value is not None:
            left = max(LEFT, panel.x(at) - half)
            right = min(width - RIGHT, panel.x(at) + half)
            found += [f"{left:.1f},{panel.y(value):.1f}", f"{right:.1f},{panel.y(value):.1f}"]
    return " ".join(found)


def _line(panel: _Panel, values: Sequence[float | None], style: str) -> Iterator[str]:
    part: list[str] = []
    for at, value in enumerate([*values, None]):
        if value is not None:
            part.append(f"{panel.x(at):.1f},{panel.y(value):.1f}")
            continue
        if len(part) > 1:
            yield f'<polyline class="{style}" points="{" ".join(part)}"/>'
        part = []


def _dots(panel: _Panel, values: Sequence[float | None], style: str) -> Iterator[str]:
    size = 3 if len(values) <= 120 else 1.5
    for at, value in enumerate(values):
        if value is not None:
            yield f'<circle class="{style}" cx="{panel.x(at):.1f}" cy="{panel.y(value):.1f}" r="{size}"/>'


def _marks(
    panel: _Panel, points: Sequence[Point], values: Sequence[float | None], *, second: bool
) -> Iterator[str]:
    """The points; those that signal by their shape, with the number of the rule, and all with a tooltip."""
    size = 3 if len(points) <= 120 else 1.5
    for at, (point, value) in enumerate(zip(points, values, strict=True)):
        if value is None:
            continue
        x, y = panel.x(at), panel.y(value)
        mine = [name for name in point.signals if (name == "spread") is second]
        tip = f"<title>{point.number}: {value:.6g}</title>"
        if not mine:
            yield f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="{size}">{tip}</circle>'
        elif TOLERANCE & set(mine):
            yield f'<rect class="signal" x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12">{tip}</rect>'
            yield f'<text class="mark" x="{x:.1f}" y="{y + 3.5:.1f}">T</text>'
        else:
            yield f'<path class="signal" d="M{x:.1f} {y - 8:.1f}l8 8l-8 8l-8-8z">{tip}</path>'
            yield f'<text class="mark" x="{x:.1f}" y="{y + 3.5:.1f}">{_short(mine[0])}</text>'


def _short(signal: str) -> str:
    """The number of a rule, or a letter for what is no rule."""
    tail = signal.rpartition("-")[2]
    return tail if tail.isdigit() else signal[0].upper()


def _labels(picture: Picture, width: int, bottom: float) -> Iterator[str]:
    count = len(picture.points)
    room = max(1, math.ceil(count / 12))
    panel = _panel(0, 1, count, width, [0.0, 1.0])
    for at in range(0, count, room):
        text = (picture.labels[at] if at < len(picture.labels) else "") or str(picture.points[at].number)
        yield (
            f'<text class="faint" x="{panel.x(at):.1f}" y="{bottom + 16}" text-anchor="middle">'
            f"{escape(text)}</text>"
        )
