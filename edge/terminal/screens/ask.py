"""One question with one line as its answer: a reason, a value, a second person's badge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge.terminal import scanning
from edge.terminal.painting import Ink, Line, Span, wrap
from edge.terminal.session import Key, Session
from protocols.actions import MAX_TEXT


@dataclass(slots=True)
class AskPage:
    """``then`` gets what was typed, once the page is closed. ``people``: the answer is a person, and a badge
    that is scanned here names the second one instead of changing who works here."""

    question: Callable[[Session], str]
    then: Callable[[Session, str], None]
    remark: str = ""
    hint: str = ""
    people: bool = False
    typed: str = ""

    def keys(self, session: Session) -> Mapping[str, str]:
        return {"f1": "key.back", "f4": "key.ok"}

    def press(self, session: Session, key: Key) -> None:
        match key.name:
            case "escape" | "f1":
                session.close()
            case "backspace":
                self.typed = self.typed[:-1]
            case "enter" | "f4":
                self._answered(session)
            case _ if key.character and key.character.isprintable() and len(self.typed) < MAX_TEXT:
                self.typed += key.character

    def _answered(self, session: Session) -> None:
        text, self.typed = self.typed.strip(), ""
        if self.people:
            text = scanning.pseudonym(text)
        elif scanning.badge(session, text):
            return
        if text:
            session.close()
            self.then(session, text)

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        lines: list[Line] = [[]]
        lines += [[Span(f" {line}", Ink.STRONG)] for line in wrap(self.question(session), width - 2, 4)]
        if self.hint:
            lines.append([Span(f" {self.hint}")])
        lines += [[], [Span("  "), Span(f"{self.typed[-(width - 6) :]}_", Ink.FIELD)], []]
        if self.remark:
            lines += [
                [Span(f" {line}", Ink.ABNORMAL)] for line in wrap(session.say(self.remark), width - 2, 3)
            ]
        lines += [[]] * (height - 1 - len(lines))
        return [*lines[: height - 1], [Span(" " + session.say("note.hint"), Ink.DIM)]]
