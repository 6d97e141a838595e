"""Why the machine stopped: now or later, one stop after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.station import commands as asked
from edge.station.refusals import in_language
from edge.station.work import Stop
from edge.terminal import scanning
from edge.terminal.painting import Ink, Line, Span, wrap
from edge.terminal.screens.choice import Choice, choosing
from edge.terminal.session import Key, Session
from edge.terminal.words import age, moment


@dataclass(slots=True)
class StopsPage:
    at: int = 0
    typed: str = ""
    choice: Choice = field(default_factory=Choice)

    def keys(self, session: Session) -> Mapping[str, str]:
        return {"f1": "key.back", "f4": "key.ok"}

    def press(self, session: Session, key: Key) -> None:
        stops, reasons = self._stops(session), self._reasons(session)
        if key.name in ("escape", "f1") or not stops:
            session.close()
            return
        stop = stops[self.at % len(stops)]
        match key.name:
            case "left" | "right":
                self.at = (self.at + (1 if key.name == "right" else -1)) % len(stops)
            case _ if reasons:
                if (number := self.choice.press(session, key, len(reasons))) is not None:
                    self._give(session, stop, list(reasons)[number], len(stops))
            case "enter" | "f4" if self.typed.strip():
                if scanning.badge(session, self.typed.strip()):
                    self.typed = ""
                else:
                    self._give(session, stop, self.typed.strip()[:80], len(stops))
            case "backspace":
                self.typed = self.typed[:-1]
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
        lines: list[Line] = [[Span(" " + session.say("stops.title"), Ink.STRONG)]]
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
            lines += [[Span(f" {line}", Ink.ABNORMAL)] for line in wrap(text, width - 2, 2)]
        reasons = self._reasons(session)
        if reasons:
            return choosing(session, lines, self.choice, list(reasons.values()), width, height)
        lines += [[], [Span("  " + session.say("stops.free"))], [Span(f"  {self.typed}_", Ink.FIELD)]]
        return lines[:height]
