"""What every screen has: the top line, the last action, the keys. And the screen between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len

from edge.station.refusals import in_language, sentence
from edge.station.station_view import Shape
from edge.terminal.painting import NARROW, Ink, Line, Span, fit, fitted, rule, sides, width_of, wrap
from edge.terminal.session import Outcome, Session
from edge.terminal.words import SHAPES, age, clock
from protocols.lifecycles import LockState

SHAPE_INKS = {
    Shape.RUNNING: Ink.PLAIN,
    Shape.SETUP: Ink.PLAIN,
    Shape.STOPPED: Ink.ABNORMAL,
    Shape.FAULT: Ink.DANGER,
    Shape.IDLE: Ink.PLAIN,
    Shape.NO_DATA: Ink.ABNORMAL,
}
"""Grey is normal: colour is for what is not."""

EVERYWHERE = {"f8": "key.help", "f11": "key.big", "f12": "key.language"}
ROWS = (("f1", "f2", "f3", "f4", "f5", "f6"), ("f7", "f8", "f9", "f10", "f11", "f12"))
"""A key always stands at the same place, so that a glove finds it."""
NOTICE_LINES = 2
REFUSAL_LINES = 4
"""A refusal ends with what to do next, so it takes the lines it needs."""
TOPICS = 20
"""Cells for the topics of open calls."""


def paint(session: Session, width: int, height: int) -> list[Line]:
    """The whole screen: exactly ``height`` lines of ``width`` cells."""
    big = is_big(session, width)
    top = [_big_top(session, width) if big else _top(session, width), rule(width)]
    bottom = [*_notice(session, width), rule(width), *_keys(session, width, narrow=width < NARROW)]
    room = max(0, height - len(top) - len(bottom))
    body = session.page.paint(session, width, room)[:room]
    lines = [*top, *body, *([[]] * (room - len(body))), *bottom]
    return [fitted(line, width) for line in lines[:height]]


def is_big(session: Session, width: int) -> bool:
    return session.big or width < NARROW


# --- top ------------------------------------------------------------------------------------------------


def state(session: Session) -> Span:
    """The station's state as shape and word; a lock stands before everything else."""
    locks = {machine.lock for machine in session.view.machines} if session.view else set()
    if session.connected and LockState.LOCKED in locks:
        return Span(session.say("top.locked"), Ink.ABNORMAL)
    if session.connected and LockState.RELEASED in locks:
        return Span(session.say("top.released"), Ink.ABNORMAL)
    shape = session.view.shape if session.view else Shape.NO_DATA
    if not session.connected:
        shape = Shape.NO_DATA
    sign, word = SHAPES[shape]
    return Span(f"{sign} {in_language(word, session.language)}", SHAPE_INKS[shape])


def _top(session: Session, width: int) -> Line:
    """Station and state are always whole; what says least gives way first."""
    run = session.run
    job = run.parts[0].view.operation.job if run else ""
    more = f" +{len(run.parts) - 1}" if run and len(run.parts) > 1 else ""
    who, when = Span(f"⛭ {session.actor}   "), Span(f"{clock(session.time)}   ")
    far, near = [link(session), Span("   ")], [link(session, short=True), Span("  ")]
    calls, count = [andon(session), Span(" ")], [andon(session, short=True), Span(" ")]
    head, now = Span(f" {session.station.upper()}   ", Ink.STRONG), state(session)
    wide = Span(fit(now.text, max(12, cell_len(now.text))), now.ink)
    return _first_that_fits(
        [
            ([head, wide, Span(f" {job}{more}")], [who, when, *far, *calls]),
            ([head, wide], [who, when, *far, *calls]),
            ([head, now], [who, when, *far, *count]),
            ([head, now], [when, *far, *count]),
            ([head, now], [*far, *count]),
            ([head, now], [*near, *count]),
        ],
        width,
    )


def _big_top(session: Session, width: int) -> Line:
    head, now = Span(f" {session.station.upper()}  ", Ink.STRONG), state(session)
    near, count = link(session, short=True), andon(session, short=True)
    calls = [Span(" "), count] if session.view and session.view.andons else []
    return _first_that_fits(
        [([head, now], [near, *calls, Span(" ")]), ([Span(" "), now], [near, *calls, Span(" ")])], width
    )


def _first_that_fits(layouts: Sequence[tuple[list[Span], list[Span]]], width: int) -> Line:
    for left, right in layouts:
        if width_of(left) + width_of(right) < width:
            return sides(left, right, width)
    left, right = layouts[-1]
    return fitted([*left, Span(" "), *right], width)


def link(session: Session, *, short: bool = False) -> Span:
    """How far the network carries: synchronised and how long ago, or what waits since when."""
    now = session.time
    if session.view is None:
        return Span(session.say("link.connecting"), Ink.ABNORMAL)
    if not session.connected:
        key = "link.edge-short" if short else "link.edge"
        return Span(session.say(key, age=age(session.language, session.lost_since, now)), Ink.DANGER)
    found = session.view.link
    since = age(session.language, found.last_ack, now) if found.last_ack else "–"
    waiting = str(found.queued_batches)
    if found.online and found.cloud:
        if not found.last_ack:
            return Span(session.say("link.online"), Ink.PLAIN)
        return Span(f"↑ {since}" if short else session.say("link.synced", age=since), Ink.PLAIN)
    if short:
        sign = "◌" if found.online else "✕"
        return Span(f"{sign} {since} · {waiting}" if found.last_ack else f"{sign} {waiting}", Ink.ABNORMAL)
    if not found.last_ack:
        return Span(session.say("link.never", count=waiting), Ink.ABNORMAL)
    key = "link.cloud" if found.online else "link.offline"
    return Span(session.say(key, age=since, count=waiting), Ink.ABNORMAL)


def andon(session: Session, *, short: bool = False) -> Span:
    """Open calls for help, by their topics or by their number."""
    calls = session.view.andons if session.view else ()
    if not calls or session.view is None:
        return Span("⚑ 0" if short else session.say("andon.none"), Ink.PLAIN)
    if short:
        return Span(f"⚑ {len(calls)}!", Ink.DANGER)
    topics = session.view.andon_topics
    names = " ".join(in_language(topics.get(call.topic, call.topic), session.language) for call in calls)
    words = fit(names, TOPICS) if cell_len(names) > TOPICS else names
    return Span(session.say("andon.open", topics=words), Ink.DANGER)


# --- the last action ------------------------------------------------------------------------------------


def _notice(session: Session, width: int) -> list[Line]:
    """What became of the last action: pending, accepted with its undo, refused with the reason."""
    lines = _notice_lines(session, width)
    return [*lines, *([[]] * (NOTICE_LINES - len(lines)))]


def _notice_lines(session: Session, width: int) -> list[Line]:
    notice = session.notice
    if notice is None:
        return _last_seen(session, width)
    if notice.outcome is Outcome.REFUSED and notice.refusal is not None:
        why = sentence(notice.refusal.code, notice.refusal.parameters, session.language)
        text = session.say("last.refused", why=why)
        return [[Span(f" {line}", Ink.DANGER)] for line in wrap(text, width - 2, REFUSAL_LINES)]
    what = session.say(notice.key, **notice.parameters)
    if notice.outcome is Outcome.PENDING:
        return [[Span(" " + session.say("last.pending", what=what), Ink.ABNORMAL)]]
    if notice.outcome is Outcome.SAID:
        return [[Span(f" {what}")]]
    ink = Ink.ABNORMAL if notice.key == "step.failed" else Ink.OK
    last = session.view.last if session.view else None
    undoable = last is not None and last.command == notice.command
    return _accepted(
        session, Span(" " + session.say("last.accepted", what=what), ink), width, undoable=undoable
    )


def _last_seen(session: Session, width: int) -> list[Line]:
    """Before this terminal did anything: what was done here last, if it can still be taken back."""
    last = session.view.last if session.view else None
    if last is None or not session.undo_seconds():
        return [[Span(" " + session.say("last.none"), Ink.DIM)]]
    key = last.what
    if key == "step.done" and not last.parameters.get("value"):
        key = "step.confirmed"
    elif key == "step.done" and last.parameters.get("ok") == "not-ok":
        key = "step.failed"
    what = session.say(key, **last.parameters)
    ink = Ink.ABNORMAL if key == "step.failed" else Ink.PLAIN
    return _accepted(session, Span(" " + session.say("last.accepted", what=what), ink), width, undoable=True)


def _accepted(session: Session, what: Span, width: int, *, undoable: bool) -> list[Line]:
    """What was done, and how to take it back: below, where it does not fit beside."""
    if not undoable or not session.undo_seconds():
        return [[what]]
    undo = Span(" " + session.say("last.undo", seconds=str(session.undo_seconds())))
    return [[what, undo]] if width_of([what, undo]) <= width else [[what], [undo]]


# --- keys -----------------------------------------------------------------------------------------------


def _keys(session: Session, width: int, *, narrow: bool) -> list[Line]:
    usable = {**EVERYWHERE, **session.page.keys(session)}
    if narrow:
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
