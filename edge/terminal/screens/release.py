"""A lot on hold that somebody who may decides about at the station: what is done with it, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.station import commands as asked
from edge.station.station_view import OperationView
from edge.terminal.painting import Ink, Line, Span, wrap
from edge.terminal.screens.ask import AskPage
from edge.terminal.screens.choice import Choice, choosing
from edge.terminal.screens.work_wide import what_it_waits_for
from edge.terminal.session import Key, Session

DISPOSITIONS = ("use as is", "scrap")
"""What may be decided at a station, in the order of the list; the rest is decided in the office."""


def may_be_asked(session: Session, row: OperationView) -> bool:
    """Whether the site lets anybody decide here about what holds an operation."""
    held = row.operation.held
    return bool(held and held[0].source and session.view is not None and session.view.releasers)


@dataclass(slots=True)
class ReleasePage:
    """One operation, by its id: the screen follows what becomes of its hold."""

    operation: str
    choice: Choice = field(default_factory=Choice)

    def keys(self, session: Session) -> Mapping[str, str]:
        return {"f1": "key.back", "f4": "key.ok"}

    def press(self, session: Session, key: Key) -> None:
        row = self._found(session)
        if row is None or key.name in ("escape", "f1"):
            session.close()
            return
        number = self.choice.press(session, key, len(DISPOSITIONS))
        if number is not None:
            source, disposition = row.operation.held[0].source, DISPOSITIONS[number]
            session.close()
            session.open(
                AskPage(
                    lambda s: s.say("release.why", what=s.say(f"release.{disposition}")),
                    lambda s, reason: s.send(
                        asked.ReleaseHold,
                        operation=self.operation,
                        source=source,
                        disposition=disposition,
                        reason=reason,
                    ),
                )
            )

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        row = self._found(session)
        if row is None:
            return choosing(session, [], self.choice, [], width, height)
        head: list[Line] = [
            [Span(f" {line}", Ink.DANGER)] for line in wrap(self._why(session, row), width - 2, 4)
        ]
        may = ", ".join(session.view.releasers) if session.view is not None else ""
        question = session.say("release.question", actor=session.actor, allowed=may)
        head += [[Span(f" {line}", Ink.STRONG)] for line in wrap(question, width - 2, 3)]
        entries = [session.say(f"release.{each}") for each in DISPOSITIONS]
        return choosing(session, head, self.choice, entries, width, height)

    def _why(self, session: Session, row: OperationView) -> str:
        return f"■ {what_it_waits_for(session, row)}"

    def _found(self, session: Session) -> OperationView | None:
        """The operation, while it is on hold."""
        queue = session.view.queue if session.view is not None else ()
        return next((row for row in queue if row.operation.id == self.operation and row.operation.held), None)
