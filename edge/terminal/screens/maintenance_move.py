"""A maintenance order is given another time: when, then why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge.station import commands as asked
from edge.station.moving import require_within
from edge.station.refusals import Refusal, in_language
from edge.terminal.painting import Ink, Line, Span, wrap
from edge.terminal.screens.ask import AskPage
from edge.terminal.screens.choice import Choice, choosing
from edge.terminal.session import Key, Session
from edge.terminal.typed_time import typed_time
from edge.terminal.words import moment
from protocols.jobs import MaintenanceOrder
from protocols.order_window import MINUTE, latest

Do = Callable[[Session], None]

ROUND = 5 * MINUTE
"""µs. "As early as it can be" is a time that people say, and not past before the reason is typed."""


@dataclass(slots=True)
class MovePage:
    """When ``order`` is to begin: at an end of its window, or at a time that is typed."""

    order: MaintenanceOrder
    choice: Choice = field(default_factory=Choice)

    def keys(self, session: Session) -> Mapping[str, str]:
        return {"f1": "key.back", "f4": "key.ok"}

    def press(self, session: Session, key: Key) -> None:
        if key.name in ("escape", "f1"):
            session.close()
            return
        entries = self._entries(session)
        number = self.choice.press(session, key, len(entries))
        if number is not None:
            entries[number][1](session)

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        title = in_language(self.order.title, session.language)
        words = session.say("order.move-between", title=title, window=_window(session, self.order))
        head = [[Span(f" {line}", Ink.STRONG)] for line in wrap(words, width - 2, 4)]
        entries = [words for words, _ in self._entries(session)]
        return choosing(session, head, self.choice, entries, width, height)

    def _entries(self, session: Session) -> list[tuple[str, Do]]:
        order, now = self.order, session.time
        soonest, last = _soonest(order, now), latest(order.bound, order.seconds)
        found = []
        if not order.bound or soonest <= last:
            found.append(("order.move-early", soonest))
        if soonest < last:
            found.append(("order.move-late", last // MINUTE * MINUTE))
        entries: list[tuple[str, Do]] = [
            (session.say(key, when=moment(session.language, start, now)), _chosen(order, start))
            for key, start in found
        ]
        return [*entries, (session.say("order.move-other"), _type(order))]


def _soonest(order: MaintenanceOrder, now: int) -> int:
    return max(order.earliest, (now // ROUND + 1) * ROUND)


def _window(session: Session, order: MaintenanceOrder) -> str:
    now, soonest, end = session.time, _soonest(order, session.time), latest(order.bound, order.seconds)
    earliest, last = (moment(session.language, ts, now) for ts in (soonest, end))
    if not order.bound:
        return session.say("order.window-open", earliest=earliest)
    if end < soonest:
        return session.say("order.window-over", latest=last)
    return session.say("order.window", earliest=earliest, latest=last)


def _chosen(order: MaintenanceOrder, start: int) -> Do:
    def why(session: Session) -> None:
        session.close()
        session.open(
            AskPage(
                lambda s: s.say("order.move-why", title=order.title, when=moment(s.language, start, s.time)),
                lambda s, reason: s.send(asked.MoveMaintenance, case=order.case, start=start, reason=reason),
            )
        )

    return why


def _type(order: MaintenanceOrder) -> Do:
    def read(session: Session, text: str) -> None:
        try:
            start = typed_time(text, session.time)
            require_within(order, start, session.time)
        except Refusal as refusal:
            session.refuse(refusal)
        else:
            _chosen(order, start)(session)

    def ask(session: Session) -> None:
        day = session.say("weekdays").split()[4]
        session.open(
            AskPage(
                lambda s: s.say("order.move-between", title=order.title, window=_window(s, order)),
                read,
                hint=session.say("order.move-hint", day=day),
            )
        )

    return ask
