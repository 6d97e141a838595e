"""A chart as a file of the kind that its ending names: SVG, or PNG made of it (decision 0025)."""

from __future__ import annotations

from collections.abc import Callable

from cloud.dispatching.gantt.chart import Chart
from cloud.dispatching.gantt.svg import WIDTH, svg

SHARP = 2
"""Pixels of a PNG for each of the SVG, so that it can be enlarged."""

LARGEST = 16_000
"""Pixels of a PNG's side at most; what would be larger is drawn less sharp."""


class CannotDraw(RuntimeError):
    """There is no picture, and the message says why and what to do."""


def picture(chart: Chart, ending: str, width: int = WIDTH) -> bytes:
    """The chart, ``width`` wide in pixels of the SVG; ``ending`` is one of :data:`ENDINGS`.

    Raises:
        CannotDraw: a PNG is wanted and this computer lacks what it needs.
    """
    return _KINDS[ending](svg(chart, width))


def _svg(text: str) -> bytes:
    return text.encode()


def _png(text: str) -> bytes:
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise CannotDraw("PNG needs the library resvg_py: install onelot[cloud], or write .svg") from None
    family = next((name for name in FAMILIES if _writes(svg_to_bytes, name)), None)
    if family is None:
        raise CannotDraw("no font on this computer: install one (Debian: fonts-dejavu-core), or write .svg")
    size = max(int(side) for side in text.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split())
    return bytes(svg_to_bytes(svg_string=text, zoom=min(SHARP, LARGEST / size), sans_serif_family=family))


FAMILIES = (
    "Segoe UI",
    "Arial",
    "Helvetica",
    "Noto Sans",
    "DejaVu Sans",
    "Liberation Sans",
    "Roboto",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
)
"""Fonts without serifs, one of which most computers have; other scripts are found by themselves."""


def _writes(draw: Callable[..., bytes], family: str) -> bool:
    """Whether text leaves a mark: without a font it is left out without a word."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20" font-family="{family}">'
    blank, written = (
        bytes(draw(svg_string=f'{head}<text y="16">{word}</text></svg>')) for word in (" ", "M")
    )
    return blank != written


_KINDS: dict[str, Callable[[str], bytes]] = {".svg": _svg, ".png": _png}
ENDINGS = tuple(_KINDS)
"""Of picture files."""
