"""A chart as SVG: one file that needs nothing else, for browsers, documents and printers.

Rows shrink as machines become many, so that ten and a hundred of them are readable; what is too narrow for
its name still has it as a tooltip. Orders are told apart by hue, everything else by pattern or grey, so
that changeovers, closed times and maintenance stay visible in print.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from cloud.dispatching.gantt.chart import Bar, Chart, Kind

WIDTH = 1600
"""Pixels of the whole picture."""

MARGIN = 16
LEGEND = 24
"""Orders that the legend names; the tooltips name all."""

GOLDEN_ANGLE = 137.508
"""Degrees between the hues of neighbours: any number of orders, none near the one before."""

STYLE = """
text{font-family:system-ui,'Segoe UI',Roboto,'Noto Sans','Noto Sans CJK SC',sans-serif;fill:#1b1f24}
.grid{stroke:#d5d9de;stroke-width:1}
.band{fill:#f6f7f9}
.axis{fill:#57606a}
.work{stroke:#0007;stroke-width:.5}
.late{stroke:#c1121f;stroke-width:2}
.unavailable{fill:#b9c0c8}
.rest{fill:#fff;fill-opacity:.65;stroke:#57606a;stroke-width:.5;stroke-dasharray:2 2}
.trip{fill:#8fa3b8;stroke:#57606a;stroke-width:.5}
.changeover{fill:url(#hatch);stroke:#57606a;stroke-width:.5}
.service{fill:url(#dots);stroke:#57606a;stroke-width:.8}
.bar{pointer-events:none}
"""

DEFINITIONS = (
    '<pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="5" height="5" fill="#fff"/><rect width="1.6" height="5" fill="#57606a"/></pattern>'
    '<pattern id="dots" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<rect width="5" height="5" fill="#fff"/><circle cx="2.5" cy="2.5" r="1.1" fill="#57606a"/></pattern>'
)


def svg(chart: Chart, width: int = WIDTH) -> str:
    """The SVG of a chart, ``width`` pixels wide and as high as its rows need."""
    return "\n".join(_Picture(chart, width).elements()) + "\n"


def colour(order: int) -> str:
    """The fill of an order's work: light enough for black text."""
    return f"hsl({order * GOLDEN_ANGLE % 360:.0f} {(58, 46)[order % 2]}% {(72, 80, 66)[order % 3]}%)"


class _Picture:
    """One chart at one width; x and y are in pixels."""

    def __init__(self, chart: Chart, width: int) -> None:
        self.chart = chart
        self.width = width
        count = len(chart.rows)
        self.row = 30 if count <= 20 else 20 if count <= 50 else 14
        self.font = 12 if self.row >= 30 else 11 if self.row >= 20 else 9
        longest = max((_wide(name) for name in chart.rows), default=0)
        self.left = MARGIN + min(220.0, longest * self.font * 0.62 + 10)
        self.top = MARGIN + 44
        self._lines = 0
        """Of the legend, beyond its first."""
        self.scale = (width - MARGIN - self.left) / (chart.end - chart.start)
        self.bottom = self.top + count * self.row

    def elements(self) -> Iterator[str]:
        """The document, element by element."""
        legend = list(self._legend(self.bottom + 28))
        height = self.bottom + 28 + 22 * (1 + self._lines) + MARGIN
        title = escape(_clean(self.chart.title or "Plan"))
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{height}" '
            f'viewBox="0 0 {self.width} {height}" role="img">'
        )
        yield f"<title>{title}</title><style>{STYLE}</style><defs>{DEFINITIONS}</defs>"
        yield f'<rect width="{self.width}" height="{height}" fill="#fff"/>'
        yield f'<text x="{MARGIN}" y="{MARGIN + 14}" font-size="16" font-weight="600">{title}</text>'
        yield from self._rows()
        yield from self._axis()
        for bar in self.chart.bars:
            yield from self._bar(bar)
        yield from legend
        yield "</svg>"

    def _x(self, at: int) -> float:
        return self.left + (at - self.chart.start) * self.scale

    def _rows(self) -> Iterator[str]:
        right = self.width - MARGIN
        for number, name in enumerate(self.chart.rows):
            y = self.top + number * self.row
            if number % 2 == 0:
                yield (
                    f'<rect class="band" x="{self.left:.1f}" y="{y}" width="{right - self.left:.1f}" '
                    f'height="{self.row}"/>'
                )
            text = _fitted(name, self.left - MARGIN - 8, self.font)
            yield (
                f'<text x="{self.left - 8:.1f}" y="{y + self.row / 2 + self.font * 0.35:.1f}" '
                f'font-size="{self.font}" text-anchor="end">{escape(text)}'
                f"<title>{escape(_clean(name))}</title></text>"
            )

    def _axis(self) -> Iterator[str]:
        for tick in self.chart.ticks:
            x = self._x(tick.at)
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{self.top - 6}" y2="{self.bottom}"/>'
            yield (
                f'<text class="axis" x="{x:.1f}" y="{self.top - 10}" font-size="11" '
                f'text-anchor="middle">{escape(tick.label)}</text>'
            )

    def _bar(self, bar: Bar) -> Iterator[str]:
        x, y = self._x(bar.start), self.top + bar.row * self.row
        wide = max(0.6, (bar.end - bar.start) * self.scale)
        inset = 0 if bar.kind is Kind.UNAVAILABLE else 2
        fill = f' fill="{colour(bar.order)}"' if bar.kind is Kind.WORK else ""
        name = f"{bar.kind} late" if bar.late else str(bar.kind)
        yield (
            f'<rect class="{name}" x="{x:.2f}" y="{y + inset}" width="{wide:.2f}" '
            f'height="{self.row - 2 * inset}"{fill}><title>{escape(_clean(bar.note))}</title></rect>'
        )
        text = _fitted(bar.label, wide - 6, self.font - 1)
        if text and bar.kind is Kind.WORK:
            yield (
                f'<text class="bar" x="{x + wide / 2:.2f}" y="{y + self.row / 2 + self.font * 0.33:.1f}" '
                f'font-size="{self.font - 1}" text-anchor="middle">{escape(text)}</text>'
            )

    def _legend(self, y: int) -> Iterator[str]:
        """What colours and patterns mean; counts its lines."""
        kinds = {bar.kind for bar in self.chart.bars}
        entries: list[tuple[str, str]] = [
            ('class="work" fill=' + quoteattr(colour(number)), name)
            for number, name in enumerate(self.chart.orders[:LEGEND])
        ]
        more = len(self.chart.orders) - LEGEND
        if more > 0:
            entries.append(("", f"and {more} more orders"))
        entries += [
            (f'class="{kind}"', words)
            for kind, words in (
                (Kind.CHANGEOVER, "changeover"),
                (Kind.SERVICE, "maintenance"),
                (Kind.UNAVAILABLE, "unavailable"),
                (Kind.REST, "rests over a pause"),
                (Kind.TRIP, "vehicle on its way"),
            )
            if kind in kinds
        ]
        if any(bar.late for bar in self.chart.bars):
            entries.append(('class="late" fill="#fff"', "ends late"))
        self._lines = 0
        x = self.left
        for swatch, words in entries:
            text = _fitted(words, 180, 12)
            needed = 22 + _wide(text) * 7.5 + 18
            if x + needed > self.width - MARGIN and x > self.left:
                x, self._lines = self.left, self._lines + 1
            at = y + 22 * self._lines
            if swatch:
                yield f'<rect {swatch} x="{x:.1f}" y="{at - 11}" width="16" height="13"/>'
            yield f'<text x="{x + 22:.1f}" y="{at}" font-size="12">{escape(text)}</text>'
            x += needed


def _wide(text: str) -> int:
    """Width in letters; Chinese characters count as two."""
    return sum(2 if ord(letter) >= 0x2E80 else 1 for letter in text)


def _fitted(text: str, pixels: float, font: float) -> str:
    """The text if it fits, else its beginning with an ellipsis, else nothing."""
    text = " ".join(_clean(text).split())
    room = int(pixels / (font * 0.62))
    if _wide(text) <= room:
        return text
    while text and _wide(text) > room - 1:
        text = text[:-1]
    return text + "…" if len(text) >= 2 else ""


def _clean(text: str) -> str:
    """Without what XML does not allow: control characters, halves of surrogates, non-characters."""
    return "".join(
        c if c in "\t\n" or 0x20 <= (n := ord(c)) < 0xD800 or 0xE000 <= n < 0xFFFE or n > 0xFFFF else "\ufffd"
        for c in text
    )
