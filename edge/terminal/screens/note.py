"""A word to the next shift, and the words of the last one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge.station import commands as asked
from edge.terminal import scanning
from edge.terminal.painting import Ink, Line, Span, wrap
from edge.terminal.session import Key, Session
from edge.terminal.words import moment
from protocols.actions import MAX_TEXT


@dataclass(slots=True)
class NotePage:
    typed: str = ""

    def keys(self, session: Session) -> Mapping[str, str]:
        return {"f1": "key.back"}

    def press(self, session: Session, key: Key) -> None:
        match key.name:
            case "escape" | "f1":
                session.close()
            case "backspace":
                self.typed = self.typed[:-1]
            case "enter" if scanning.badge(session, self.typed.strip()):
                self.typed = ""
            case "enter" if self.typed.strip():
                session.close()
                session.send(
                    asked.WriteShiftNote, lambda refusal: session.open(self), note=self.typed.strip()
                )
            case _ if key.character and key.character.isprintable() and len(self.typed) < MAX_TEXT:
                self.typed += key.character

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        lines: list[Line] = [[Span(" " + session.say("note.title"), Ink.STRONG)], []]
        notes = session.view.notes if session.view else ()
        for note in notes:
            head = f"{moment(session.language, note.ts, session.time)}  {note.actor}:  "
            lines += [[Span(f"  {line}")] for line in wrap(head + note.note, width - 4, 3)]
        if not notes:
            lines.append([Span("  " + session.say("note.none"), Ink.DIM)])
        lines.append([])
        lines += [[Span("  "), Span(line, Ink.FIELD)] for line in wrap(self.typed + "_", width - 4)]
        lines += [[]] * (height - 1 - len(lines))
        return [*lines[: height - 1], [Span(" " + session.say("note.hint"), Ink.DIM)]]
