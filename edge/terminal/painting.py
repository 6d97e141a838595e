"""Lines of styled text on a grid of cells, where a Chinese character is two cells wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

NARROW = 60
"""Fewer cells than this are the big layout, whatever was chosen."""


class Ink(StrEnum):
    """What a piece of text means; the colours stand in one table of the app, and no ink means anything
    that a word or a shape beside it does not say too.
    """

    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    KEY = "key"
    OK = "ok"
    ABNORMAL = "abnormal"
    DANGER = "danger"
    ACTION = "action"
    FIELD = "field"
    INVERSE = "inverse"


class Span(NamedTuple):
    text: str
    ink: Ink = Ink.PLAIN


Line = list[Span]


def width_of(line: Iterable[Span]) -> int:
    """Cells a line takes."""
    return sum(cell_len(span.text) for span in line)


def text_of(line: Iterable[Span]) -> str:
    """The line without its inks."""
    return "".join(span.text for span in line)


def fit(text: str, width: int) -> str:
    """Text cut with … or padded with spaces to exactly ``width`` cells."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(set_cell_size(text, width - 1).rstrip(" ") + "…", width)


def fitted(line: Sequence[Span], width: int) -> Line:
    """A line of exactly ``width`` cells."""
    found: Line = []
    left = width
    for span in line:
        taken = cell_len(span.text)
        if taken > left:
            found.append(Span(fit(span.text, left), span.ink))
            return found
        found.append(span)
        left -= taken
    if left:
        found.append(Span(" " * left))
    return found


def sides(left: Sequence[Span], right: Sequence[Span], width: int) -> Line:
    """One thing at the left edge, one at the right; the left one gives way."""
    room = max(0, width - width_of(right) - 1)
    return [*fitted(left, room), Span(" "), *fitted(right, min(width_of(right), width - room - 1))]


def wrap(text: str, width: int, limit: int = 99) -> list[str]:
    """Text on lines of at most ``width`` cells: between words, or between characters in Chinese.

    At most ``limit`` lines; the last one then ends in ….
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in _words(paragraph):
            if cell_len(line + word.rstrip(" ")) <= width:
                line += word
                continue
            if line:
                lines.append(line.rstrip(" "))
            while cell_len(word) > width:  # a word longer than the line
                head = _head(word, width)
                lines.append(head)
                word = word[len(head) :]
            line = word
        lines.append(line.rstrip(" "))
    if len(lines) > limit:
        last = lines[limit - 1]
        while cell_len(last) > width - 1:
            last = last[:-1]
        lines = [*lines[: limit - 1], last.rstrip(" ") + "…"]
    return lines


def wrap_listed(text: str, width: int, limit: int = 99) -> list[str]:
    """As :func:`wrap`, for things with `` · `` between them, which are kept whole."""
    bound = " · ".join(thing.replace(" ", "\u00a0") for thing in text.split(" · "))
    return [line.replace("\u00a0", " ") for line in wrap(bound, width, limit)]


_NEVER_FIRST = "，。；：、？！）” "


def _words(text: str) -> list[str]:
    words: list[str] = []
    for character in text:
        joins = bool(words) and (
            character in _NEVER_FIRST
            or (cell_len(character) == 1 and not words[-1].endswith(" ") and cell_len(words[-1][-1]) == 1)
        )
        if joins:
            words[-1] += character
        else:
            words.append(character)
    return words


def _head(word: str, width: int) -> str:
    head = ""
    for character in word:
        if cell_len(head + character) > width:
            break
        head += character
    return head or word[:1]


def rule(width: int) -> Line:
    return [Span("─" * width, Ink.DIM)]


def box(lines: Sequence[Sequence[Span]], width: int, height: int) -> list[Line]:
    """Lines in a frame of the given outer size."""
    inner = width - 4
    shown = [fitted(line, inner) for line in lines[: height - 2]]
    shown += [fitted([], inner)] * (height - 2 - len(shown))
    return [
        [Span("┌" + "─" * (width - 2) + "┐", Ink.DIM)],
        *[[Span("│ ", Ink.DIM), *line, Span(" │", Ink.DIM)] for line in shown],
        [Span("└" + "─" * (width - 2) + "┘", Ink.DIM)],
    ]
