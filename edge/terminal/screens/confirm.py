"""A question before something that should not happen by one key: yes is F4, everything else is no."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edge.station import commands as asked
from edge.station.refusals import Refusal, sentence
from edge.station.station_view import OperationView, RunView
from edge.terminal.painting import Ink, Line, Span, wrap
from edge.terminal.session import Key, Session


@dataclass(slots=True)
class ConfirmPage:
    """``question`` in the language of the moment; ``hint`` names the keys; ``yes`` acts."""

    question: Callable[[Session], str]
    hint: str
    yes: Callable[[Session], None]

    @classmethod
    def put_back(cls, run: RunView) -> ConfirmPage:
        """Before a run that made nothing yet is given up."""
        return cls(
            lambda session: session.say("confirm.put-back"),
            "confirm.put-back-hint",
            lambda session: session.send(asked.AbortRun, run=run.id),
        )

    def keys(self, session: Session) -> Mapping[str, str]:
        return {"f1": "key.back", "f4": "key.ok"}

    def press(self, session: Session, key: Key) -> None:
        if key.name == "f4":
            session.close()
            self.yes(session)
        elif key.name in ("escape", "f1"):
            session.close()

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        lines: list[Line] = [[], [Span(" " + session.say("confirm.title"), Ink.STRONG)], []]
        lines += [[Span(f" {line}")] for line in wrap(self.question(session), width - 2)]
        return [*lines, [], [Span(" " + session.say(self.hint), Ink.ACTION)]]


def start(session: Session, chosen: Sequence[OperationView], *, setup: bool) -> None:
    """Take operations in hand. Where nobody confirmed a predecessor, a person is asked to vouch for it."""
    operations = tuple(entry.operation.id for entry in chosen)
    if not operations:
        return

    def vouch(refusal: Refusal) -> None:
        if refusal.code != "predecessor-unconfirmed":
            return
        session.open(
            ConfirmPage(
                lambda now: sentence(refusal.code, refusal.parameters, now.language),
                "confirm.hint",
                lambda now: now.send(asked.OpenRun, operations=operations, setup=setup, unconfirmed_ok=True),
            )
        )

    session.send(asked.OpenRun, vouch, operations=operations, setup=setup)
