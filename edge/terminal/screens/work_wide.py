"""The main screen on 80×24 cells and more."""

from __future__ import annotations

from edge.station.quantities import shown
from edge.station.refusals import in_language
from edge.station.station_view import OperationView, PartView, RunView
from edge.terminal.painting import Ink, Line, Span, box, fit, sides, wrap, wrap_listed
from edge.terminal.screens.machine import abnormal
from edge.terminal.session import Session
from edge.terminal.steps import progress_bar, rows
from edge.terminal.words import age, moment, unit_word
from protocols.jobs import JobOperation, StepKind, Text
from protocols.lifecycles import RunState
from protocols.spc.charts import in_words
from protocols.values import MICROSECONDS

VARIANT_LINES = 3
"""What makes this piece different is the last thing to be cut."""
NOTE_AGE = 12 * 3600 * MICROSECONDS
"""µs for which a word to the next shift is shown to those who did not write it."""


def paint(session: Session, step: int | None, typed: str, width: int, height: int) -> list[Line]:
    """The operation in hand with its steps, or what would be next."""
    if session.view is None:
        text = session.say("now.loading", url=session.url)
        return [[], *[[Span(f"  {line}")] for line in wrap(text, width - 4)]]
    part, run = session.current, session.run
    if part is None or run is None:
        return _next(session, typed, width, height)
    lines = [
        *heading(session, part.view, width),
        sides([Span(f" ► {what_now(session)}", Ink.ACTION)], counter(session, run), width),
        *alerts(session, width),
        _step_line(session, part, step, typed, width),
    ]
    room = height - len(lines) - 1
    inner = rows(session, part, step, typed, width - 6, room - 2)
    lines += [[Span(" "), *line] for line in box(inner, width - 2, room)]
    return [*lines, after_this(session)]


def _step_line(session: Session, part: PartView, at: int | None, typed: str, width: int) -> Line:
    steps = part.view.operation.steps
    if at is not None:
        text = session.say("step", number=str(at + 1), count=str(len(steps)))
        title = in_language(steps[at].title, session.language)
    else:
        text, title = session.say("steps.done" if steps else "steps.none"), ""
    run = session.run
    several = ""
    if run is not None and len(run.parts) > 1:
        several = session.say("part", number=str(run.parts.index(part) + 1), count=str(len(run.parts)))
    in_box = at is not None and steps[at].kind in (StepKind.SCAN, StepKind.MEASURE)
    field = [] if in_box or not typed else [Span(f"{typed}_", Ink.FIELD), Span("  ")]
    right = [*field, Span(several, Ink.STRONG), Span("  "), Span(progress_bar(part)), Span(" ")]
    return sides([Span(f" {text}   "), Span(title, Ink.STRONG)], right, width)


def _next(session: Session, typed: str, width: int, height: int) -> list[Line]:
    """Nothing in hand: what would be next, and how to begin it."""
    upcoming = session.upcoming()
    field = [Span(f" {typed}_", Ink.FIELD)] if typed else []
    if not upcoming:
        return [
            [],
            [Span(" " + session.say("now.empty"), Ink.STRONG)],
            [Span(" " + session.say("now.empty-more"))],
            [],
            *alerts(session, width),
            field,
        ]
    first = upcoming[0]
    lines = [
        *heading(session, first, width),
        [Span(f" ► {what_now(session)}", Ink.ACTION)],
        *alerts(session, width),
    ]
    room = height - len(lines) - 1
    if len(upcoming) > 1:
        inner: list[Line] = [[Span(session.say("now.next-run", count=str(len(upcoming))), Ink.STRONG)]]
        inner += [[Span(short_title(session, entry, width - 8))] for entry in upcoming]
    else:
        inner = [
            [Span(fit(str(number), 3), Ink.DIM), Span(in_language(step.title, session.language))]
            for number, step in enumerate(first.operation.steps, 1)
        ]
    if not inner:
        inner = [[Span(session.say("steps.none"), Ink.DIM)]]
    lines += [[Span(" "), *line] for line in box(inner, width - 2, room)]
    return [*lines, field]


def what_it_waits_for(session: Session, view: OperationView) -> str:
    """What keeps an operation from being begun: a hold, else the first predecessor that it waits for, and
    until when where that is known.
    """
    if view.operation.held:
        held = view.operation.held[0]
        if not held.nonconformance:
            return session.say("now.held-here", why=Text(held.en, held.zh))
        return session.say("now.held", number=held.nonconformance, why=Text(held.en, held.zh))
    first = view.waits_for[0]
    names: dict[str, str | Text] = {"predecessor": first.title, "workcell": first.workcell}
    if first.fit_at and not view.vouchable:
        return session.say("now.fit", time=moment(session.language, first.fit_at, session.time), **names)
    return session.say("now.unknown" if view.vouchable else "now.waits", **names)


def what_now(session: Session) -> str:
    """The one thing to do."""
    run, part = session.run, session.current
    if run is None or part is None:
        upcoming = session.upcoming()
        if upcoming and not upcoming[0].ready:
            return what_it_waits_for(session, upcoming[0])
        return session.say("now.next")
    since = age(session.language, run.since, session.time)
    if run.state is RunState.PAUSED:
        return session.say("now.paused-why" if run.reason else "now.paused", age=since, reason=run.reason)
    if run.state is RunState.RUNNING and all(not each.view.left for each in run.parts):
        return session.say("now.all-booked")
    return session.say(f"now.{run.state}")


def heading(session: Session, view: OperationView, width: int) -> list[Line]:
    """Which variant, which order, how many, how far."""
    operation = view.operation
    product = in_language(operation.product, session.language)
    order = session.say("order", order=operation.order, line=str(operation.line))
    due = session.say("due", when=moment(session.language, operation.due, session.time))
    late = operation.due < session.time
    unit = unit_word(session.language, operation.unit, operation.quantity)
    quantity = session.say("pieces", quantity=shown(operation.quantity), unit=unit)
    counts = [f"{quantity}   ", session.say("done", count=shown(view.good))]
    title = in_language(operation.title, session.language)
    remake = f"{session.say('remake', order=operation.remake_of)} " if operation.remake_of else ""
    scrap = Span(
        "   " + session.say("scrap", count=shown(view.scrap)), Ink.ABNORMAL if view.scrap else Ink.PLAIN
    )
    made_to = variant(operation, product)
    return [
        sides(
            [Span(f" {product}", Ink.STRONG)],
            [Span(f"{order}   "), Span(f"{'▲ ' if late else ''}{due} ", Ink.ABNORMAL if late else Ink.PLAIN)],
            width,
        ),
        *([[Span(f" {line}")] for line in wrap_listed(made_to, width - 2, VARIANT_LINES)] if made_to else []),
        sides(
            [Span(f" {remake}", Ink.ABNORMAL if remake else Ink.PLAIN), Span(title, Ink.STRONG)],
            [Span("".join(counts)), scrap, Span(" ")],
            width,
        ),
    ]


def variant(operation: JobOperation, product: str) -> str:
    """What makes this piece different from others, unless the product's own words say it.

    A number says little without its name; ``RAL 5010`` or ``cam lock`` say enough.
    """
    values = operation.variant
    if not values or any(value in product for value in values.values() if len(value) > 1):
        return ""
    numbers = [f"{name} {value}" for name, value in values.items() if value.replace(".", "").isdigit()]
    words = [value for value in values.values() if not value.replace(".", "").isdigit()]
    return " · ".join(numbers + words)


def counter(session: Session, run: RunView) -> list[Span]:
    """What the machine counted beside what is booked."""
    if run.machine_parts is None:
        return [Span(" ")]
    difference = run.machine_parts - run.booked
    count = str(run.machine_parts)
    if not difference:
        return [Span(session.say("counter", count=count) + " ")]
    key = "counter.more" if difference > 0 else "counter.less"
    return [Span(session.say(key, count=count, difference=shown(abs(difference))) + " ", Ink.ABNORMAL)]


def alerts(session: Session, width: int) -> list[Line]:
    """What is not as it should be at this station."""
    view, language, now = session.view, session.language, session.time
    if view is None:
        return []
    found: list[str] = abnormal(session)
    if view.unassigned is not None:
        since = age(language, view.unassigned.since, now)
        found.append(session.say("unassigned", age=since, parts=str(view.unassigned.parts)))
    if session.run is not None and session.run.unconfirmed:
        found.append(session.say("unconfirmed"))
    if open_stop := next((stop for stop in view.stops if not stop.ended), None):
        since = age(language, open_stop.began, now)
        found.append(session.say("stops.open", age=since, hint=open_stop.hint))
    elif view.stops:
        found.append(session.say("stops.past", count=str(len(view.stops))))
    lines: list[Line] = [
        *chart_alerts(session, width),
        *[[Span(f" {fit(text, width - 2)}", Ink.ABNORMAL)] for text in found],
    ]
    note = view.notes[-1] if view.notes else None
    if note is not None and note.actor != session.actor and now - note.ts < NOTE_AGE:
        when = moment(language, note.ts, now)
        text = session.say("note.left", when=when, actor=note.actor, note=note.note)
        lines.append([Span(f" {fit(text, width - 2)}")])
    return lines


def chart_alerts(session: Session, width: int) -> list[Line]:
    """What control charts say about the operation in hand: first what was measured here, then the rest."""
    part = session.current
    if part is None:
        return []
    operation = part.view.operation
    lines: list[Line] = []
    for number, result in part.steps.items():
        if result.signals:
            key = "chart.hold" if result.holds else "chart.note"
            title, why = operation.steps[number].title, Text(*in_words(result.signals))
            text = session.say(key, title=title, value=result.value, why=why)
            ink = Ink.DANGER if result.holds else Ink.ABNORMAL
            lines += [[Span(f" {line}", ink)] for line in wrap(text, width - 2, 2)]
    by_person = {each.name for each in operation.inspection if each.steps}
    for notice in operation.notices:
        if notice.characteristic not in by_person:
            text = session.say("chart.notice", what=Text(notice.en, notice.zh))
            lines += [[Span(f" {line}", Ink.ABNORMAL)] for line in wrap(text, width - 2, 2)]
    return lines


def after_this(session: Session) -> Line:
    """What comes next and whether the setup changes for it."""
    upcoming, part = session.upcoming(), session.current
    if not upcoming or part is None:
        return [Span(" " + session.say("next.none"))]
    operation = upcoming[0].operation
    product = in_language(operation.product, session.language).split(" · ")[0]
    text = session.say("next", order=operation.order, product=product)
    now, then = part.view.operation.setup, operation.setup
    changed = sorted(key for key in {*now, *then} if now.get(key) != then.get(key))
    if changed:
        what = ", ".join(f"{now.get(key, '–')} → {then.get(key, '–')}" for key in changed)
        return [Span(f" {text} · "), Span(session.say("next.change", what=what), Ink.STRONG)]
    return [Span(f" {text} · {session.say('next.same')}")]


def short_title(session: Session, entry: OperationView, width: int) -> str:
    """Order, product, title on one line."""
    operation = entry.operation
    product = in_language(operation.product, session.language)
    made_to = variant(operation, product)
    words = f"{product} · {made_to}" if made_to else product
    return fit(f"{operation.order}/{operation.line}  {shown(entry.left)}×  {words}", width)
