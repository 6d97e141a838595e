"""A maintenance order: why, when, what to do. It is begun here, and ends with the lock of its machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from edge.station import commands as asked
from edge.station.refusals import Parameter, in_language
from edge.station.station_view import ControlView, OrderView
from edge.terminal.painting import Ink, Line, Span, wrap
from edge.terminal.screens.ask import AskPage
from edge.terminal.screens.choice import Choice, choosing
from edge.terminal.screens.confirm import ConfirmPage
from edge.terminal.screens.maintenance_move import MovePage
from edge.terminal.session import Key, Session
from edge.terminal.words import moment
from protocols.order_window import Declined
from protocols.values import MICROSECONDS

Do = Callable[[Session], None]

SOON = 8 * 3600 * MICROSECONDS
"""µs before its planned begin from which an order is spoken of on the work screen, and after a move that
could not be done."""


@dataclass(slots=True)
class OrderPage:
    """One order, by its case: the screen follows what becomes of it."""

    device: str
    case: str
    choice: Choice = field(default_factory=Choice)

    def keys(self, session: Session) -> Mapping[str, str]:
        return {"f1": "key.back", "f4": "key.ok"}

    def press(self, session: Session, key: Key) -> None:
        found = self._found(session)
        if found is None or key.name in ("escape", "f1", "f10"):
            session.close()
            return
        entries = _entries(session, *found)
        number = self.choice.press(session, key, len(entries))
        if number is not None:
            entries[number][1](session)

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        found = self._found(session)
        if found is None:
            return choosing(session, [], self.choice, [], width, height)
        entries = [words for words, _ in _entries(session, *found)]
        head = [
            [Span(f" {line}", ink)]
            for text, ink in _told(session, *found)
            for line in wrap(text, width - 2, 3)
        ]
        room = max(2, height - len(entries) - 2)
        return choosing(session, head[:room], self.choice, entries, width, height)

    def _found(self, session: Session) -> tuple[ControlView, OrderView] | None:
        for machine in session.view.machines if session.view else ():
            for view in machine.orders:
                if machine.device == self.device and view.order.case == self.case:
                    return machine, view
        return None


def entries(session: Session, machine: ControlView) -> list[tuple[str, Do]]:
    """The orders of a machine in the list of what can be done with it."""
    found: list[tuple[str, Do]] = []
    for view in machine.orders:
        title = in_language(view.order.title, session.language)
        key = "order.entry-begun" if view.since else "order.entry"
        words = session.say(key, title=title, when=_when(session, view))
        found.append((words, _opening(machine.device, view.order.case)))
    return found


def alert(session: Session, machine: ControlView) -> str:
    """What the work screen says of the next order of a machine; empty while none is near."""
    if not machine.orders:
        return ""
    view = machine.orders[0]
    order, now = view.order, session.time
    words: dict[str, Parameter] = {"machine": machine.title or machine.device, "title": order.title}
    if view.since:
        since = moment(session.language, view.since, now)
        return session.say("order.in-work", actor=view.by, since=since, **words)
    if order.declined is not None and order.declined.at > now - SOON:
        return session.say("order.declined", **words)
    if not order.start or order.start > now + SOON:
        return ""
    if order.start <= now:
        return session.say("order.due", **words)
    return session.say("order.soon", when=moment(session.language, order.start, now), **words)


def _opening(device: str, case: str) -> Do:
    return lambda session: session.open(OrderPage(device, case))


def _when(session: Session, view: OrderView) -> str:
    order = view.order
    if not order.start:
        return session.say("order.no-room")
    start, end = (moment(session.language, ts, session.time) for ts in (order.start, order.end))
    return session.say("order.fixed" if order.fixed else "order.planned", start=start, end=end)


def _told(session: Session, machine: ControlView, view: OrderView) -> Iterator[tuple[str, Ink]]:
    order = view.order
    title = in_language(order.title, session.language)
    name = machine.title or machine.device
    yield f"◇ {name} · {title}", Ink.STRONG
    yield session.say("machine.no-loto"), Ink.ABNORMAL
    if view.since:
        since = moment(session.language, view.since, session.time)
        yield (
            session.say("order.in-work", machine=name, actor=view.by, since=since, title=title),
            Ink.ACTION,
        )
    else:
        when = _when(session, view)
        if order.bound:
            bound = moment(session.language, order.bound, session.time)
            when += " · " + session.say("order.bound", bound=bound)
        yield when, Ink.PLAIN
        if order.declined is not None:
            yield _declined(session, order.declined), Ink.ABNORMAL
        if order.why:
            yield session.say("order.why", why=order.why), Ink.PLAIN
    if order.skills:
        skills = ", ".join(in_language(skill, session.language) for skill in order.skills)
        yield session.say("order.skills", skills=skills), Ink.PLAIN
    if order.parts:
        yield session.say("order.parts", parts=", ".join(order.parts)), Ink.PLAIN
    for number, step in enumerate(order.steps, 1):
        yield f"{number}. {in_language(step, session.language)}", Ink.PLAIN
    if not order.steps:
        yield session.say("order.no-steps"), Ink.DIM
    if view.found:
        yield session.say("order.found", found=view.found), Ink.STRONG
    if view.since:
        yield session.say("order.release-hint", machine=name), Ink.PLAIN


def _declined(session: Session, declined: Declined) -> str:
    """What became of a move from here that the service could not do."""
    start, limit = (moment(session.language, ts, session.time) for ts in (declined.start, declined.limit))
    return session.say(f"order.declined-{declined.why}", start=start, limit=limit)


def _entries(session: Session, machine: ControlView, view: OrderView) -> list[tuple[str, Do]]:
    order, name = view.order, machine.title or machine.device
    if view.since:
        return [
            (session.say("order.report"), _report(name, order.case)),
            (session.say("order.break-off"), _break_off(order.case)),
        ]
    found: list[tuple[str, Do]] = [
        (session.say("order.start", machine=name, actor=session.actor), _start(name, order.case))
    ]
    if order.start and not order.fixed:
        start = moment(session.language, order.start, session.time)
        keep: Do = lambda s: s.send(asked.KeepMaintenance, case=order.case)  # noqa: E731 - one line says it
        found.append((session.say("order.keep", start=start), keep))
    found.append((session.say("order.move"), lambda s: s.open(MovePage(order))))
    found.append((session.say("order.refuse"), _refuse(view)))
    return found


def _start(name: str, case: str) -> Do:
    def ask(session: Session) -> None:
        session.open(
            ConfirmPage(
                lambda s: s.say("order.start-question", machine=name, actor=s.actor),
                "confirm.yes-hint",
                lambda s: s.send(asked.StartMaintenance, case=case),
            )
        )

    return ask


def _report(name: str, case: str) -> Do:
    def ask(session: Session) -> None:
        session.open(
            AskPage(
                lambda s: s.say("order.report-what", machine=name),
                lambda s, found: s.send(asked.ReportFinding, case=case, found=found),
            )
        )

    return ask


def _break_off(case: str) -> Do:
    def ask(session: Session) -> None:
        session.open(
            AskPage(
                lambda s: s.say("order.break-off-why"),
                lambda s, reason: s.send(asked.BreakOffMaintenance, case=case, reason=reason),
                remark="machine.no-loto",
            )
        )

    return ask


def _refuse(view: OrderView) -> Do:
    def ask(session: Session) -> None:
        session.open(
            AskPage(
                lambda s: s.say("order.refuse-why", title=view.order.title),
                lambda s, reason: s.send(asked.RefuseMaintenance, case=view.order.case, reason=reason),
            )
        )

    return ask
