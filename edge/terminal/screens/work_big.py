"""The main screen in the big layout, 40×15 cells: state, what to do now, the number, the one key."""

from __future__ import annotations

from edge.quantities import shown
from edge.refusals import in_language
from edge.station_view import OperationView
from edge.terminal.painting import Ink, Line, Span, fit, sides, width_of, wrap
from edge.terminal.screens.work_wide import alerts, variant, what_now
from edge.terminal.session import Session
from edge.terminal.steps import field, spec, unit_of
from protocols.jobs import StepKind

DIGITS = {
    "0": ("█▀█", "█ █", "▀▀▀"),
    "1": ("▀█ ", " █ ", "▀▀▀"),
    "2": ("▀▀█", "█▀▀", "▀▀▀"),
    "3": ("▀▀█", " ▀█", "▀▀▀"),
    "4": ("█ █", "▀▀█", "  ▀"),
    "5": ("█▀▀", "▀▀█", "▀▀▀"),
    "6": ("█▀▀", "█▀█", "▀▀▀"),
    "7": ("▀▀█", "  █", "  ▀"),
    "8": ("█▀█", "█▀█", "▀▀▀"),
    "9": ("█▀█", "▀▀█", "▀▀▀"),
    "/": ("  █", " █ ", "█  "),
    ".": ("   ", "   ", " ▄ "),
}
"""Three rows of half blocks a character: readable at three metres, drawable in any terminal."""


def paint(session: Session, step: int | None, typed: str, width: int, height: int) -> list[Line]:
    """At most ``height`` lines; what matters most comes first and is never cut."""
    if session.view is None:
        text = session.say("now.loading", url=session.url)
        return [[], *[[Span(f" {line}")] for line in wrap(text, width - 2)]]
    part = session.current
    if part is None:
        upcoming = session.upcoming()
        if not upcoming:
            return [[], [Span(f" {session.say('now.empty')}", Ink.STRONG)], *alerts(session, width)]
        return [
            *_what(session, upcoming[0], width),
            *_instruction(session, None, "", width),
            *alerts(session, width),
        ]
    lines = [*_what(session, part.view, width), *_instruction(session, step, typed, width)]
    number = f"{shown(part.view.good)}/{shown(part.view.operation.quantity)}"
    scrap = session.say("scrap", count=shown(part.view.scrap)) if part.view.scrap else ""
    lines += _number(number, scrap, width)
    return [*lines, *alerts(session, width)][:height]


def _what(session: Session, view: OperationView, width: int) -> list[Line]:
    operation = view.operation
    order = f"{operation.order}/{operation.line} "
    title = in_language(operation.title, session.language)
    product = in_language(operation.product, session.language)
    if made_to := variant(operation, product):
        product = f"{product} · {made_to}"
    return [
        sides([Span(f" {title}", Ink.STRONG)], [Span(order)], width),
        [Span(f" {fit(product, width - 2)}")],
    ]


def _instruction(session: Session, step: int | None, typed: str, width: int) -> list[Line]:
    """The current step with its field; without an open step, what the run needs next."""
    part = session.current
    if part is None or step is None:
        return [[Span(f" {line}", Ink.ACTION)] for line in wrap(f"► {what_now(session)}", width - 2, 2)]
    steps = part.view.operation.steps
    now = steps[step]
    title = f"► {step + 1}/{len(steps)} {in_language(now.title, session.language)}"
    lines: list[Line] = [[Span(f" {line}", Ink.ACTION)] for line in wrap(title, width - 2, 2)]
    if now.kind in (StepKind.SCAN, StepKind.MEASURE):
        unit = unit_of(now, session)
        result = part.steps.get(step)
        failed = [Span(f"✗ {result.value} ", Ink.DANGER)] if result is not None and not result.ok else []
        lines.append(
            sides([Span(f" {spec(now, session)}")], [*failed, field(typed), Span(f"{unit} ")], width)
        )
    else:
        lines += [[Span(f" {line}")] for line in wrap(spec(now, session), width - 2, 1)]
    return lines


def _number(number: str, beside: str, width: int) -> list[Line]:
    drawn = ["  ".join(DIGITS.get(character, ("   ",) * 3)[row] for character in number) for row in range(3)]
    lines: list[Line] = [[Span(f"  {row}", Ink.STRONG)] for row in drawn]
    if beside:
        lines[2] = [*lines[2], Span("   "), Span(beside, Ink.ABNORMAL)]
    return [line for line in lines if width_of(line) <= width] or [[Span(f"  {number}", Ink.STRONG)]]
