"""The main screen in the big layout, 40×15 cells: state, what to do now, the number, the one key."""

from __future__ import annotations

from rich.cells import cell_len

from edge.station.quantities import shown
from edge.station.refusals import in_language
from edge.station.station_view import OperationView
from edge.terminal.painting import Ink, Line, Span, sides, width_of, wrap, wrap_listed
from edge.terminal.screens.work_wide import alerts, variant, what_now
from edge.terminal.session import Session
from edge.terminal.steps import field, spec
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


PIXELS = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
BLOCKS = {pixels: block for block, pixels in PIXELS.items()}
NUMBER_LINES = 3
MAX_SCALE = 3
TEXT_LINES, PRODUCT_LINES = 6, 3
SHORT_VALUE = 8


def paint(session: Session, step: int | None, typed: str, width: int, height: int) -> list[Line]:
    """At most ``height`` lines. What to do now and the number are never cut; the instruction takes what is
    left. Where that is too little, the product gives way, then all remarks but the first.
    """
    if session.view is None:
        text = session.say("now.loading", url=session.url)
        return [[], *[[Span(f" {line}")] for line in wrap(text, width - 2)]]
    part, upcoming = session.current, session.upcoming()
    if part is None and not upcoming:
        lines: list[Line] = [[], [Span(f" {session.say('now.empty')}", Ink.STRONG)], *alerts(session, width)]
        return [*lines, *_typed(typed)]
    view = part.view if part is not None else upcoming[0]
    numbered = NUMBER_LINES if part is not None else 0
    title, product = _what(session, view, width)
    remarks = alerts(session, width)[: max(1, height - 7)]
    room = height - 1 - numbered - len(remarks)
    instruction = _instruction(session, step, typed, width, max(1, min(TEXT_LINES, room)))
    product = product[: max(0, room - len(instruction))]
    room -= len(product)
    lines = [title, *product, *instruction[:room]]
    if part is not None:
        number = f"{shown(view.good)}/{shown(view.operation.quantity)}"
        scrap = session.say("scrap", count=shown(view.scrap)) if view.scrap else ""
        lines += _number(number, scrap, width, NUMBER_LINES + room - len(instruction))
    return [*lines, *remarks][:height]


def _what(session: Session, view: OperationView, width: int) -> tuple[Line, list[Line]]:
    """The title with its order; the product, on lines as they fit."""
    operation = view.operation
    order = f"{operation.order}/{operation.line} "
    title = in_language(operation.title, session.language)
    product = in_language(operation.product, session.language)
    if made_to := variant(operation, product):
        product = f"{product} · {made_to}"
    return (
        sides([Span(f" {title}", Ink.STRONG)], [Span(order)], width),
        [[Span(f" {line}")] for line in wrap_listed(product, width - 2, PRODUCT_LINES)],
    )


def _instruction(session: Session, step: int | None, typed: str, width: int, height: int) -> list[Line]:
    """The current step with its field; without an open step, what the run needs next."""
    part, run = session.current, session.run
    if part is None or run is None or step is None:
        lines = [[Span(f" {line}", Ink.ACTION)] for line in wrap(f"► {what_now(session)}", width - 2, 3)]
        return [*lines, *_typed(typed)]
    steps = part.view.operation.steps
    now = steps[step]
    title = f"► {step + 1}/{len(steps)} {in_language(now.title, session.language)}"
    words = spec(now, session)
    if now.kind not in (StepKind.SCAN, StepKind.MEASURE):
        heads = wrap(title, width - 2, 2)[: max(1, height - 1)]
        texts = wrap(words, width - 2, max(1, height - len(heads))) if words else []
        return [
            *[[Span(f" {line}", Ink.ACTION)] for line in heads],
            *[[Span(f" {line}")] for line in texts],
            *_typed(typed),
        ]
    result = part.steps.get(step)
    failed = result is not None and not result.ok
    value = result.value if result is not None else ""
    short = value if len(value) <= SHORT_VALUE else value[: SHORT_VALUE - 1] + "…"
    left = [Span(f" {words} ")]
    right = [*([Span(f"✗ {short}", Ink.DANGER), Span(" ")] if failed else []), field(typed), Span(" ")]
    fits = width_of(left) + width_of(right) < width
    answer = [sides(left, right, width)] if fits else [left, sides([], right, width)]
    heads = wrap(title, width - 2, 2)[: max(1, height - len(answer))]
    return [*[[Span(f" {line}", Ink.ACTION)] for line in heads], *answer]


def _typed(typed: str) -> list[Line]:
    """What is typed or scanned where no field waits for it."""
    return [[Span(" "), Span(f"{typed}_", Ink.FIELD)]] if typed else []


def _number(number: str, beside: str, width: int, height: int) -> list[Line]:
    """The number in blocks, as large as there is room."""
    drawn = ["  ".join(DIGITS.get(character, ("   ",) * 3)[row] for character in number) for row in range(3)]
    room = width - 5 - cell_len(beside)
    scale = max(1, min(MAX_SCALE, height // NUMBER_LINES, room // max(1, len(drawn[0]))))
    rows = _scaled(drawn, scale)
    if len(rows[0]) > room:
        rows = [number]
    lines: list[Line] = [[Span(f"  {row}", Ink.STRONG)] for row in rows]
    if beside:
        lines[-1] = [*lines[-1], Span("   "), Span(beside, Ink.ABNORMAL)]
    return lines


def _scaled(drawn: list[str], scale: int) -> list[str]:
    """Rows of half blocks, so many times as wide and as high."""
    pixels = [[PIXELS[block][half] for block in row] for row in drawn for half in (0, 1)]
    tall = [[pixel for pixel in row for _ in range(scale)] for row in pixels for _ in range(scale)]
    return [
        "".join(BLOCKS[above, below] for above, below in zip(*pair, strict=True))
        for pair in zip(tall[::2], tall[1::2], strict=True)
    ]
