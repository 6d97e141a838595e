"""The inks of a painted line as colours, and a line as Textual shows it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from edge.terminal.painting import Ink

BACKGROUND = "#101214"

STYLES: dict[Ink, Style] = {
    Ink.PLAIN: Style.parse(f"#c4c8cc on {BACKGROUND}"),
    Ink.DIM: Style.parse(f"#828990 on {BACKGROUND}"),
    Ink.STRONG: Style.parse(f"bold #ffffff on {BACKGROUND}"),
    Ink.KEY: Style.parse("bold #101214 on #9aa0a6"),
    Ink.OK: Style.parse(f"#5fd38d on {BACKGROUND}"),
    Ink.ABNORMAL: Style.parse(f"bold #ffd23f on {BACKGROUND}"),
    Ink.DANGER: Style.parse("bold #ffffff on #b3261e"),
    Ink.ACTION: Style.parse(f"bold #6cb6ff on {BACKGROUND}"),
    Ink.FIELD: Style.parse("bold #ffffff on #2f3a46"),
    Ink.INVERSE: Style.parse(f"{BACKGROUND} on #c4c8cc"),
}
"""IEC 60073: red danger, yellow abnormal, green normal, blue mandatory action; everything else is grey."""


def strip(line: Sequence[tuple[str, Ink]], width: int) -> Strip:
    """A line in its colours."""
    segments = [Segment(text, STYLES[ink]) for text, ink in line]
    return Strip(segments).adjust_cell_length(width, STYLES[Ink.PLAIN])
