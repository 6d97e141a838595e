"""A numbered list: one digit chooses."""

from __future__ import annotations

from collections.abc import Sequence

from edge.terminal.painting import Ink, Line, Span, fit
from edge.terminal.session import Key

DIGITS = "123456789"


def chosen(key: Key, count: int) -> int | None:
    """The entry a key chooses, counting from 0."""
    if key.character and key.character in DIGITS[:count]:
        return DIGITS.index(key.character)
    return None


def listed(entries: Sequence[str], width: int) -> list[Line]:
    """The entries with their digits."""
    return [
        [Span(f"  {digit} ", Ink.KEY), Span(" "), Span(fit(entry, width - 6))]
        for digit, entry in zip(DIGITS, entries, strict=False)
    ]
