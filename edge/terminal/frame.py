"""What every screen has: the top line, the last action, the keys. And the screen between them."""

from __future__ import annotations

from collections.abc import Mapping

from edge.refusals import in_language, sentence
from edge.station_view import Shape
from edge.terminal.painting import Ink, Line, Span, fit, fitted, rule, sides, width_of, wrap
from edge.terminal.session import Outcome, Session
from edge.terminal.words import SHAPES, age, clock

BIG_WIDTH = 60
"""A screen narrower than this is painted in the big layout whatever was chosen."""

SHAPE_INKS = {
    Shape.RUNNING: Ink.PLAIN,
    Shape.SETUP: Ink.PLAIN,
    Shape.STOPPED: Ink.ABNORMAL,
    Shape.FAULT: Ink.DANGER,
    Shape.IDLE: Ink.PLAIN,
    Shape.NO_DATA: Ink.ABNORMAL,
}
"""Grey is normal: colour is for what is not."""

EVERYWHERE = {"f11": "key.big", "f12": "key.language"}
ROWS = (("f1", "f2", "f3", "f4", "f5", "f6"), ("f7", "f8", "f9", "f10", "f11", "f12"))
"""A key always stands at the same place, so that a glove finds it."""
NOTICE_LINES = 2


def paint(session: Session, width: int, height: int) -> list[Line]:
    """The whole screen: exactly ``height`` lines of ``width`` cells."""
    big = is_big(session, width)
    top = [_big_top(session, width) if big else _top(session, width), rule(width)]
    bottom = [*_notice(session, width), rule(width), *_keys(session, width, big)]
    room = max(0, height - len(top) - len(bottom))
    body = session.page.paint(session, width, room)[:room]
    lines = [*top, *body, *([[]] * (room - len(body))), *bottom]
    return [fitted(line, width) for line in lines[:height]]


def is_big(session: Session, width: int) -> bool:
    return session.big or width < BIG_WIDTH


# --- top ------------------------------------------------------------------------------------------------


def state(session: Session) -> Span:
    """The station's state as shape and word."""
    shape = session.view.shape if session.view else Shape.NO_DATA
    if not session.connected:
        shape = Shape.NO_DATA
    sign, word = SHAPES[shape]
    return Span(f"{sign} {in_language(word, session.language)}", SHAPE_INKS[shape])


def _top(session: Session, width: int) -> Line:
    run = session.run
    job = run.parts[0].view.operation.job if run else ""
    more = f" +{len(run.parts) - 1}" if run and len(run.parts) > 1 else ""
    left = [
        Span(f" {session.station.upper()}", Ink.STRONG),
        Span("   "),
        Span(fit(state(session).text, 12), state(session).ink),
    ]
    right = [
        Span(f"⛭ {session.actor}   {clock(session.time)}   "),
        link(session),
        Span("   "),
        andon(session),
        Span(" "),
    ]
    named = [*left, Span(f" {job}{more}")]
    return sides(named if width_of(named) + width_of(right) < width else left, right, width)


def _big_top(session: Session, width: int) -> Line:
    short = link(session, short=True)
    calls = len(session.view.andons) if session.view else 0
    right = [short, Span(f" ⚑{calls} " if calls else " ", Ink.ABNORMAL if calls else Ink.PLAIN)]
    left = [Span(f" {session.station.upper()}  ", Ink.STRONG), state(session)]
    return sides(left, right, width)


def link(session: Session, *, short: bool = False) -> Span:
    """How far the network carries: synchronised and how long ago, or what waits since when."""
    now = session.time
    if session.view is None:
        return Span(session.say("link.connecting"), Ink.ABNORMAL)
    if not session.connected:
        return Span(session.say("link.edge", age=age(session.language, session.lost_since, now)), Ink.DANGER)
    found = session.view.link
    since = age(session.language, found.last_ack, now) if found.last_ack else "–"
    waiting = str(found.queued_batches)
    if found.online and found.cloud:
        if not found.last_ack:
            return Span(session.say("link.online"), Ink.PLAIN)
        return Span(f"↑ {since}" if short else session.say("link.synced", age=since), Ink.PLAIN)
    if short:
        return Span(f"✕ {since} · {waiting}" if found.last_ack else f"✕ {waiting}", Ink.ABNORMAL)
    if not found.last_ack:
        return Span(session.say("link.never", count=waiting), Ink.ABNORMAL)
    key = "link.cloud" if found.online else "link.offline"
    return Span(session.say(key, age=since, count=waiting), Ink.ABNORMAL)


def andon(session: Session) -> Span:
    calls = session.view.andons if session.view else ()
    if not calls or session.view is None:
        return Span(session.say("andon.none"), Ink.PLAIN)
    topics = session.view.andon_topics
    names = [in_language(topics.get(call.topic, call.topic), session.language) for call in calls]
    return Span(session.say("andon.open", topics=" ".join(names)[:20]), Ink.DANGER)


# --- the last action ------------------------------------------------------------------------------------


def _notice(session: Session, width: int) -> list[Line]:
    """What became of the last action: pending, accepted with its undo, refused with the reason."""
    lines = _notice_lines(session, width)
    return [*lines[:NOTICE_LINES], *([[]] * (NOTICE_LINES - len(lines)))]


def _notice_lines(session: Session, width: int) -> list[Line]:
    notice = session.notice
    if notice is None:
        return _last_seen(session)
    if notice.outcome is Outcome.REFUSED and notice.refusal is not None:
        why = sentence(notice.refusal.code, notice.refusal.parameters, session.language)
        text = session.say("last.refused", why=why)
        return [[Span(f" {line}", Ink.DANGER)] for line in wrap(text, width - 2, NOTICE_LINES)]
    what = session.say(notice.key, **notice.parameters)
    if notice.outcome is Outcome.PENDING:
        return [[Span(" " + session.say("last.pending", what=what), Ink.ABNORMAL)]]
    if notice.outcome is Outcome.SAID:
        return [[Span(f" {what}")]]
    line = [Span(" " + session.say("last.accepted", what=what), Ink.OK)]
    last = session.view.last if session.view else None
    if last is not None and last.command == notice.command and session.undo_seconds():
        line.append(Span(" " + session.say("last.undo", seconds=str(session.undo_seconds()))))
    return [line]


def _last_seen(session: Session) -> list[Line]:
    """Before this terminal did anything: what was done here last, if it can still be taken back."""
    last = session.view.last if session.view else None
    if last is None or not session.undo_seconds():
        return [[Span(" " + session.say("last.none"), Ink.DIM)]]
    confirmed = last.what == "step.done" and not last.parameters.get("value")
    what = session.say("step.confirmed" if confirmed else last.what, **last.parameters)
    seconds = str(session.undo_seconds())
    return [
        [
            Span(" " + session.say("last.accepted", what=what)),
            Span(" " + session.say("last.undo", seconds=seconds)),
        ]
    ]


# --- keys -----------------------------------------------------------------------------------------------


def _keys(session: Session, width: int, big: bool) -> list[Line]:
    usable = {**session.page.keys(session), **EVERYWHERE}
    if big:
        return _big_keys(session, usable, width)
    cell = (width - 1) // len(ROWS[0])
    return [[Span(" "), *[span for key in row for span in _slot(session, key, usable, cell)]] for row in ROWS]


def _slot(session: Session, key: str, usable: Mapping[str, str], cell: int) -> list[Span]:
    if key not in usable:
        return [Span(fit(key.upper(), cell), Ink.DIM)]
    label = session.say(usable[key])
    if key == "f9" and session.undo_seconds():
        label = f"{label} {session.undo_seconds()} s"
    name = f"{key.upper()} "
    return [Span(name, Ink.KEY), Span(fit(label, cell - len(name)))]


def _big_keys(session: Session, usable: Mapping[str, str], width: int) -> list[Line]:
    """The keys that matter, as many as two lines take."""
    order = ("f4", "f7", "f2", "f3", "f5", "f8", "f6", "f9", "f1", "f12")
    shown = [key for key in order if key in usable]
    columns = 3
    cell = (width - 1) // columns
    rows = [shown[start : start + columns] for start in (0, columns)]
    return [[Span(" "), *[span for key in row for span in _slot(session, key, usable, cell)]] for row in rows]
