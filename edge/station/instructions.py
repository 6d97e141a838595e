"""Instruction steps: which answers are right, and when an operation may be finished. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from edge.station.quantities import measured, shown
from edge.station.refusals import Refusal
from edge.station.work import StepResult, Work
from protocols.jobs import JobOperation, Step, StepKind

CHECKED = frozenset((StepKind.CONFIRM, StepKind.MEASURE, StepKind.SCAN))
"""Steps that must be done before pieces of the operation are finished."""


def judged(step: Step, value: str) -> tuple[str, bool]:
    """The value as it is kept and whether it is within limits; raises Refusal for what is no answer."""
    if step.kind is StepKind.SCAN:
        if step.expected and value.casefold() != step.expected.casefold():
            raise Refusal("wrong-code", value=value or "-", step=step.title, expected=step.expected)
        return value, True
    if step.kind is StepKind.MEASURE:
        number = measured(value)
        within = (step.lower is None or number >= step.lower) and (step.upper is None or number <= step.upper)
        return shown(number), within
    return value, True


def require_done(operation: JobOperation, results: Mapping[int, StepResult]) -> None:
    """Every checked step is done and within limits; raises Refusal naming the first that is not."""
    checked = [(n, step) for n, step in enumerate(operation.steps) if step.kind in CHECKED]
    missing = [step for n, step in checked if n not in results]
    if missing:
        raise Refusal("steps-open", count=str(len(missing)), title=operation.title, step=missing[0].title)
    for n, step in checked:
        if not results[n].ok:
            raise Refusal(
                "step-failed",
                step=step.title,
                value=results[n].value,
                lower="" if step.lower is None else shown(step.lower),
                upper="" if step.upper is None else shown(step.upper),
            )


def results_of(work: Work, operation: str) -> dict[int, StepResult]:
    """Results of an operation's steps over all its runs that are remembered, the latest of each."""
    found: dict[int, StepResult] = {}
    for run in sorted(work.runs.values(), key=lambda run: run.opened):
        part = run.part(operation)
        if part is not None:
            found |= part.steps
    return found
