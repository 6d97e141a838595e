"""Why the machine stopped: now or later, one stop after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge import commands as asked
from edge.refusals import in_language
from edge.terminal.painting import Ink, Line, Span
from edge.terminal.screens.choice import chosen, listed
from edge.terminal.session import Key, Session
from edge.terminal.words import age, moment
from edge.work import Stop


@dataclass(slots=True)
class StopsPage:
    at: int = 0
    typed: str = ""

    def keys(self, session: Session) -> Mapping[str, str]:
        return {"f1": "key.back"}

    def press(self, session: Session, key: Key) -> None:
        stops, reasons = self._stops(session), self._reasons(session)
        if key.name in ("escape", "f1") or not stops:
            session.close()
            return
        stop = stops[self.at % len(stops)]
        match key.name:
            case "left" | "right" | "up" | "down":
                self.at = (self.at + (1 if key.name in ("right", "down") else -1)) % len(stops)
            case "enter" if not reasons and self.typed.strip():
                self._give(session, stop, self.typed.strip()[:80], len(stops))
            case "backspace":
                self.typed = self.typed[:-1]
            case _ if reasons:
                if (number := chosen(key, len(reasons))) is not None:
                    self._give(session, stop, list(reasons)[number], len(stops))
            case _ if key.character and key.character.isprintable():
                self.typed += key.character

    def _give(self, session: Session, stop: Stop, reason: str, open_stops: int) -> None:
        self.typed = ""
        if open_stops == 1:
            session.close()
        session.send(asked.GiveStopReason, stop=stop.id, reason=reason)

    def _stops(self, session: Session) -> list[Stop]:
        """Stops without a reason, and the one that lasts, newest first."""
        stops = session.view.stops if session.view else ()
        return sorted(stops, key=lambda stop: -stop.began)

    def _reasons(self, session: Session) -> Mapping[str, str]:
        reasons = session.view.stop_reasons if session.view else {}
        return {code: in_language(text, session.language) for code, text in reasons.items()}

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        stops = self._stops(session)
        lines: list[Line] = [[Span(" " + session.say("stops.title"), Ink.STRONG)], []]
        if stops:
            at = self.at % len(stops)
            stop = stops[at]
            text = session.say(
                "stops.of",
                when=moment(session.language, stop.began, session.time),
                age=age(session.language, stop.began, stop.ended or session.time),
                hint=stop.hint or stop.device,
                number=str(at + 1),
                count=str(len(stops)),
            )
            lines += [[Span(f"  {text}", Ink.ABNORMAL)], []]
        reasons = self._reasons(session)
        if reasons:
            lines += listed(list(reasons.values()), width)
        else:
            lines += [[Span("  " + session.say("stops.free"))], [Span(f"  {self.typed}_", Ink.FIELD)]]
        lines += [[]] * (height - 1 - len(lines))
        return [*lines[: height - 1], [Span(" " + session.say("choice.hint"), Ink.DIM)]]
