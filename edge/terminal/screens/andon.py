"""Calling for help, and saying that it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.station import commands as asked
from edge.station.refusals import in_language
from edge.terminal.painting import Ink, Line, Span, wrap
from edge.terminal.screens.choice import Choice, choosing
from edge.terminal.session import Key, Session
from edge.terminal.words import age

REASONS = 3
"""Calls whose reason is shown, newest first."""
ANY_TOPIC = {"help": "help"}
"""Where the site names no topics there is one."""


@dataclass(slots=True)
class AndonPage:
    choice: Choice = field(default_factory=Choice)

    def keys(self, session: Session) -> Mapping[str, str]:
        return {"f1": "key.back", "f4": "key.ok", "f8": "key.back"}

    def press(self, session: Session, key: Key) -> None:
        if key.name in ("escape", "f1", "f8"):
            session.close()
            return
        entries = self._entries(session)
        number = self.choice.press(session, key, len(entries))
        if number is None:
            return
        _, kind, value = entries[number]
        session.close()
        if kind == "clear":
            session.send(asked.ClearAndon, andon=value)
        else:
            session.send(asked.RaiseAndon, topic=value)

    def _entries(self, session: Session) -> list[tuple[str, str, str]]:
        """Words, whether to clear or to call, and what: open calls first."""
        view = session.view
        if view is None:
            return []
        topics = view.andon_topics
        found = [
            (
                session.say(
                    "andon.clear",
                    topic=topics.get(call.topic, call.topic),
                    age=age(session.language, call.raised, session.time),
                ),
                "clear",
                call.id,
            )
            for call in view.andons
        ]
        called = {call.topic for call in view.andons}
        for code, text in (topics or ANY_TOPIC).items():
            if code not in called:
                words = in_language(text, session.language)
                found.append((session.say("andon.call", topic=words), "call", code))
        return found

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        title = Span(" " + session.say("andon.title"), Ink.STRONG)
        entries = [words for words, _, _ in self._entries(session)]
        return choosing(session, [[title], *_reasons(session, width)], self.choice, entries, width, height)


def _reasons(session: Session, width: int) -> list[Line]:
    """Why help was called, where that was said: a vehicle that waits, a load that is not sensed."""
    calls = session.view.andons if session.view is not None else ()
    said = [call.note for call in reversed(calls) if call.note][:REASONS]
    return [[Span(f" {line}", Ink.DANGER)] for note in said for line in wrap(f"▲ {note}", width - 2, 2)]
