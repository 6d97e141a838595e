"""Instruction steps of the operation in hand: which is the current one, how each reads."""

from __future__ import annotations

from decimal import Decimal

from rich.cells import cell_len

from edge.station.inspection import measured_by
from edge.station.instructions import CHECKED
from edge.station.quantities import shown
from edge.station.refusals import in_language
from edge.station.station_view import PartView
from edge.terminal.painting import Ink, Line, Span, fit, wrap
from edge.terminal.session import Session
from edge.terminal.words import unit_word
from protocols.inspection import due
from protocols.jobs import Step, StepKind

TITLE, SPEC = 24, 22
"""Cells of the first two columns in the wide layout."""


def open_steps(part: PartView) -> list[int]:
    """Numbers of checked steps that are not done within limits yet, and measurements that are due again."""
    return [
        number
        for number, step in enumerate(part.view.operation.steps)
        if step.kind in CHECKED
        and (number not in part.steps or not part.steps[number].ok or due_again(part, number))
    ]


def due_again(part: PartView, number: int) -> bool:
    """Whether the inspection plan wants a measurement, taken before in this run, of the piece in hand."""
    planned = measured_by(part.view.operation, number)
    if planned is None or number not in part.steps:
        return False
    made = part.good + part.scrap + part.rework
    return due(planned.frequency, made, part.quantity, part.steps[number].count)


def current_step(part: PartView, chosen: int | None) -> int | None:
    """The step that keys and scans are for: the one chosen, else the first that is open."""
    if chosen is not None and chosen < len(part.view.operation.steps):
        return chosen
    left = open_steps(part)
    return left[0] if left else None


def progress_bar(part: PartView) -> str:
    """``▮▮▯``: checked steps done and open."""
    total = sum(step.kind in CHECKED for step in part.view.operation.steps)
    left = len(open_steps(part))
    return "▮" * (total - left) + "▯" * left


def unit_of(step: Step, session: Session) -> str:
    """The unit of a measurement with a space before it, or nothing."""
    if step.kind is not StepKind.MEASURE or not step.unit:
        return ""
    return f" {unit_word(session.language, step.unit)}"


def limits(step: Step, unit: str) -> str:
    """``25.0 ± 0.3 mm`` where the limits are symmetric, else ``24.9 … 25.4 mm``."""
    if step.lower is None and step.upper is None:
        return f"{step.nominal}{unit}" if step.nominal is not None else ""
    if step.nominal is not None and step.lower is not None and step.upper is not None:
        above, below = step.upper - step.nominal, step.nominal - step.lower
        if above == below:
            return f"{step.nominal} ± {shown(above)}{unit}"
    if step.lower is None:
        return f"≤ {step.upper}{unit}"
    if step.upper is None:
        return f"≥ {step.lower}{unit}"
    return f"{step.lower} … {step.upper}{unit}"


def spec(step: Step, session: Session) -> str:
    """What the step is about, short: limits, the code to scan, or its text."""
    match step.kind:
        case StepKind.MEASURE:
            return limits(step, unit_of(step, session))
        case StepKind.SCAN:
            key = "step.scan-code" if step.expected else "step.scan"
            return session.say(key, expected=step.expected)
        case _:
            return in_language(step.text, session.language)


def rows(session: Session, part: PartView, at: int | None, typed: str, width: int, height: int) -> list[Line]:
    """The steps as lines, the current one with its text below it, as many as fit around it."""
    lines: list[Line] = []
    focus = 0
    for number, step in enumerate(part.view.operation.steps):
        now = number == at
        if now:
            focus = len(lines)
        lines += _row(session, part, number, step, typed if now else None, width)
        result = part.steps.get(number)
        if result is not None and not result.ok:
            why = session.say(_direction(step, result.value))
            lines.append([Span("    "), Span(f"✗ {why}", Ink.DANGER)])
        elif due_again(part, number):
            piece = shown(part.good + part.scrap + part.rework + 1)
            lines.append([Span("    "), Span(f"► {session.say('step.due', piece=piece)}", Ink.ACTION)])
        if now and step.kind is not StepKind.INFO and step.kind is not StepKind.CONFIRM:
            text = in_language(step.text, session.language)
            lines += [[Span(f"    {line}")] for line in wrap(text, width - 4, 3) if line]
    start = max(0, min(focus - height // 3, len(lines) - height))
    return lines[start : start + height]


def _row(
    session: Session, part: PartView, number: int, step: Step, typed: str | None, width: int
) -> list[Line]:
    """One step, on one line in the wide layout; information longer than its column goes on below."""
    sign, ink = _sign(part, number, step, now=typed is not None)
    title = in_language(step.title, session.language)
    words = spec(step, session)
    if step.kind in (StepKind.INFO, StepKind.CONFIRM):
        tail = session.say("step.confirm") if step.kind is StepKind.CONFIRM and typed is not None else ""
        if number in part.steps or not tail:
            tail = ""
        room = width - 2 - TITLE - cell_len(tail) - 2
        texts = wrap(words, max(room, 10), 3)
        first = [Span(f"{sign} ", ink), Span(fit(title, TITLE), _title_ink(typed)), Span(fit(texts[0], room))]
        if tail:
            first += [Span("  "), Span(tail, Ink.ACTION)]
        return [first, *[[Span(" " * (2 + TITLE) + text)] for text in texts[1:]]]
    line: Line = [
        Span(f"{sign} ", ink),
        Span(fit(title, TITLE), _title_ink(typed)),
        Span(fit(words, SPEC)),
        *_answer(session, part, number, step, typed),
    ]
    return [line]


def _title_ink(typed: str | None) -> Ink:
    return Ink.PLAIN if typed is None else Ink.STRONG


def _sign(part: PartView, number: int, step: Step, *, now: bool) -> tuple[str, Ink]:
    result = part.steps.get(number)
    if now:
        return "►", Ink.ACTION
    if result is not None:
        return ("✓", Ink.OK) if result.ok else ("✗", Ink.DANGER)
    return " " if step.kind is StepKind.INFO else "·", Ink.DIM


def _answer(session: Session, part: PartView, number: int, step: Step, typed: str | None) -> list[Span]:
    """What was measured or scanned, or the field that waits for it."""
    result = part.steps.get(number)
    unit = unit_of(step, session)
    spans: list[Span] = []
    if result is not None:
        sign, ink = ("✓", Ink.OK) if result.ok else ("✗", Ink.DANGER)
        spans.append(Span(f"{sign} {result.value}{unit}", ink))
        spans.append(Span("  "))
    if typed is not None and (result is None or not result.ok or typed or due_again(part, number)):
        spans += [field(typed), Span(unit)]
    return spans


def field(typed: str, width: int = 8) -> Span:
    """What is typed, on a line that waits for more."""
    return Span(typed + "_" * max(1, width - len(typed)), Ink.FIELD)


def _direction(step: Step, value: str) -> str:
    try:
        number = Decimal(value)
    except ArithmeticError:
        return "step.outside"
    if step.upper is not None and number > step.upper:
        return "step.above"
    if step.lower is not None and number < step.lower:
        return "step.below"
    return "step.outside"
