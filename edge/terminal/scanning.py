"""What a scan means: a step's code, a measurement, an order of the queue, a badge. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edge.station.commands import is_pseudonym
from edge.station.quantities import measured
from edge.station.refusals import Refusal
from edge.station.station_view import OperationView, PartView
from edge.terminal.session import Session
from protocols.jobs import StepKind

BADGE = re.compile(r"(?:actor:|@)([A-Za-z0-9-]{1,16})", re.IGNORECASE)
"""A badge gives a pseudonym, never a name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The code answers a step of the operation in hand."""

    step: int
    value: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The code names an operation that waits in the queue."""

    operation: str


@dataclass(frozen=True, slots=True)
class Turned:
    """The code names another operation of the run in hand."""

    part: int


@dataclass(frozen=True, slots=True)
class Badge:
    """Somebody else works here from now on."""

    actor: str


Meaning = Answer | Chosen | Turned | Badge


def meaning(session: Session, code: str, step: int | None) -> Meaning:
    """What ``code`` means while ``step`` of the operation in hand is current.

    Raises:
        Refusal: nothing here is called so, or it is no number where one is measured.
    """
    if badge := BADGE.fullmatch(code):
        return Badge(badge.group(1))
    part = session.current
    if part is not None and (found := _expected(part, code, step)) is not None:
        return Answer(found, code)
    if (queued := _queued(session, code)) is not None:
        return Chosen(queued)
    if session.run is not None:
        for number, other in enumerate(session.run.parts):
            if code.casefold() in names(other.view):
                return Turned(number)
    if part is not None and step is not None:
        kind = part.view.operation.steps[step].kind
        if kind is StepKind.SCAN:
            return Answer(step, code)  # the edge says what would have been right
        if kind is StepKind.MEASURE:
            measured(code)
            return Answer(step, code)
    raise Refusal("unknown-code", value=code)


def pseudonym(code: str) -> str:
    """The pseudonym of a badge, or one that was typed; "" for what is none."""
    found = BADGE.fullmatch(code)
    text = found.group(1) if found is not None else code
    return text if is_pseudonym(text) else ""


def badge(session: Session, code: str) -> bool:
    """Whether the code is a badge; then its owner works here from now on. Every screen knows badges."""
    found = BADGE.fullmatch(code)
    if found is not None:
        session.work_as(found.group(1))
    return found is not None


def _expected(part: PartView, code: str, step: int | None) -> int | None:
    """The scan step that waits for this very code, the current one first."""
    steps = part.view.operation.steps
    numbers: Iterator[int] = iter(range(len(steps)))
    for number in ([step] if step is not None else []) + list(numbers):
        expected = steps[number].expected
        if steps[number].kind is StepKind.SCAN and expected and expected.casefold() == code.casefold():
            return number
    return None


def _queued(session: Session, code: str) -> str | None:
    for entry in session.view.queue if session.view else ():
        if code.casefold() in names(entry):
            return entry.operation.id
    return None


def names(entry: OperationView) -> set[str]:
    """Codes that may stand on the papers of an operation."""
    operation = entry.operation
    forms = (
        operation.id,
        operation.job,
        operation.order,
        f"{operation.order}/{operation.line}",
        f"{operation.order}-{operation.line}",
    )
    return {form.casefold() for form in forms}
