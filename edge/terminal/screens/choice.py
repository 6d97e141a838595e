"""A numbered list: a number or the arrows choose, Enter takes.

A scanner types digits too, so no digit does anything by itself: a code scanned here is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.station.refusals import Refusal
from edge.terminal import scanning
from edge.terminal.painting import Ink, Line, Span, fit
from edge.terminal.session import Key, Session

MAX_TYPED = 120


@dataclass(slots=True)
class Choice:
    """Which entry is chosen, counting from 0; nothing is before a person chose."""

    at: int | None = None
    typed: str = ""

    def press(self, session: Session, key: Key, count: int) -> int | None:
        """The entry that is taken by this key, of ``count``."""
        match key.name:
            case "enter" | "f4":
                return self._taken(session, count)
            case "up" | "down" if count:
                down = key.name == "down"
                start = self.at if self.at is not None else -1 if down else 0
                self.at, self.typed = (start + (1 if down else -1)) % count, ""
            case "backspace":
                self._type(self.typed[:-1], count)
            case _ if key.character and key.character.isprintable() and len(self.typed) < MAX_TYPED:
                self._type(self.typed + key.character, count)
        return None

    def _type(self, text: str, count: int) -> None:
        self.typed = text
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
        self.at = number - 1 if 0 < number <= count else None

    def _taken(self, session: Session, count: int) -> int | None:
        typed, at = self.typed.strip(), self.at
        self.typed, self.at = "", None
        if at is not None and at < count:
            return at
        if typed and not scanning.badge(session, typed):
            session.refuse(Refusal("not-a-choice", value=typed, count=str(count)))
        return None

    def paint(self, entries: Sequence[str], width: int, height: int) -> list[Line]:
        """The entries with their numbers, as many as fit around the chosen one."""
        first = max(0, min((self.at or 0) - height // 2, len(entries) - height))
        lines: list[Line] = []
        for number, entry in list(enumerate(entries))[first : first + max(0, height)]:
            now = number == self.at
            lines.append(
                [
                    Span(" ► " if now else "   ", Ink.ACTION),
                    Span(f"{number + 1:>2} ", Ink.KEY),
                    Span(" "),
                    Span(fit(entry, width - 8), Ink.STRONG if now else Ink.PLAIN),
                ]
            )
        return lines


def choosing(
    session: Session, head: list[Line], choice: Choice, entries: Sequence[str], width: int, height: int
) -> list[Line]:
    """A screen that asks for one of ``entries``: its head, the list, the keys."""
    if len(head) + len(entries) + 2 <= height:
        head = [*head, []]
    lines = [*head, *choice.paint(entries, width, height - len(head) - 1)]
    lines += [[]] * (height - 1 - len(lines))
    hint = [Span(f"{choice.typed}_", Ink.FIELD), Span("  ")] if choice.typed else []
    return [*lines[: height - 1], [Span(" "), *hint, Span(session.say("choice.hint"), Ink.DIM)]]
