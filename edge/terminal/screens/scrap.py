"""Scrap now: how many and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.station import commands as asked
from edge.station.refusals import in_language
from edge.terminal.painting import Ink, Line, Span
from edge.terminal.screens.choice import Choice, choosing
from edge.terminal.session import Key, Session

MOST = 9999


@dataclass(slots=True)
class ScrapPage:
    run: str
    operation: str
    count: int = 1
    choice: Choice = field(default_factory=Choice)

    def keys(self, session: Session) -> Mapping[str, str]:
        return {"f1": "key.back", "f4": "key.ok"}

    def press(self, session: Session, key: Key) -> None:
        reasons = self._reasons(session)
        match key.name:
            case "escape" | "f1":
                session.close()
            case "right" | "pageup":
                self.count = min(MOST, self.count + (1 if key.name == "right" else 10))
            case "left" | "pagedown":
                self.count = max(1, self.count - (1 if key.name == "left" else 10))
            case "f4" if not reasons:
                self._book(session, "")
            case _ if (number := self.choice.press(session, key, len(reasons))) is not None:
                self._book(session, list(reasons)[number])

    def _reasons(self, session: Session) -> Mapping[str, str]:
        reasons = session.view.scrap_reasons if session.view else {}
        return {code: in_language(text, session.language) for code, text in reasons.items()}

    def _book(self, session: Session, reason: str) -> None:
        session.close()
        booking = {"operation": self.operation, "scrap": self.count, "reason": reason}
        session.send(asked.Book, run=self.run, booking=booking)

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        head: list[Line] = [
            [Span(" " + session.say("scrap.title"), Ink.STRONG)],
            [Span(f"  {session.say('scrap.count')}  "), Span(f" {self.count} ", Ink.FIELD)],
        ]
        entries = list(self._reasons(session).values())
        return choosing(session, head, self.choice, entries, width, height)
