"""Measurements at the station: what its charts say at once, with or without the cloud. Pure.

The edge judges what its own people measure, with the plan and the frozen limits of the job list and the rules
that the cloud uses too. Its charts go on from what it measured itself; the cloud's are the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec.structs import replace

from edge.station.quantities import shown
from edge.station.refusals import Refusal
from edge.station.work import Charted, Part, StepResult, Work, apply
from protocols import actions as did
from protocols.inspection import Characteristic, Verdict, needed, said
from protocols.jobs import JobOperation
from protocols.spc.chart import acts, advance, begun_anew
from protocols.spc.charts import SampleError

KEPT_CHARTS = 50
"""Charts that a station remembers, those last measured."""


def measured_by(operation: JobOperation, step: int) -> Characteristic | None:
    """The line of the inspection plan that a step measures; None where it is not in the plan."""
    return next((each for each in operation.inspection if step in each.steps), None)


def holding(
    work: Work, operations: Mapping[str, JobOperation], actions: Sequence[did.Action]
) -> list[did.Event]:
    """What a measurement adds to its own action where its plan holds: that the lot is held.

    A drift that goes on is one matter: while a hold of the same operation and characteristic stands, there is
    no second one.
    """
    first = actions[0]
    measured = first.event
    if not isinstance(measured, did.StepDone):
        return []
    operation = operations.get(measured.operation)
    planned = measured_by(operation, measured.step) if operation is not None else None
    if planned is None or planned.on_violation is not Verdict.HOLD:
        return []
    after = charted(apply(work, first), operations, [first])
    part = after.runs[measured.run].part(measured.operation)
    result = part.steps.get(measured.step) if part is not None else None
    if result is None or not result.holds:
        return []
    en, zh = said(planned, result.signals, float(measured.value))
    matter = measured.operation, planned.name
    if any((hold.operation, hold.characteristic) == matter for hold in work.holds.values()):
        return []
    return [did.LotHeld(measured.operation, planned.name, first.id, en, zh)]


def charted(work: Work, operations: Mapping[str, JobOperation], actions: Iterable[did.Action]) -> Work:
    """The work after its charts have heard of ``actions``: measurements are judged, undone ones go."""
    for action in actions:
        if isinstance(action.event, did.StepDone):
            work = _judged(work, operations, action, action.event)
        elif isinstance(action.event, did.Undone):
            work = _taken_back(work, action.event.action)
    return work


def _judged(
    work: Work, operations: Mapping[str, JobOperation], action: did.Action, event: did.StepDone
) -> Work:
    operation = operations.get(event.operation)
    planned = measured_by(operation, event.step) if operation is not None else None
    if planned is None:
        return work
    kept = work.charts.get(planned.chart, Charted())
    version = planned.limits.version if planned.limits is not None else 0
    before = kept.state if kept.version == version else begun_anew(kept.state)
    try:
        sample = planned.sample(float(event.value))
        state, point = advance(planned.spec, planned.limits, before, sample)
    except (SampleError, ValueError):
        return work  # the cloud says what is wrong with it, and the person goes on
    others = {key: other for key, other in work.charts.items() if key != planned.chart}
    for oldest in list(others)[: max(0, len(others) + 1 - KEPT_CHARTS)]:
        del others[oldest]
    mine = Charted(state, before, action.id, version)
    work = replace(work, charts={**others, planned.chart: mine})
    if point is None or not point.signals:
        return work
    holds = planned.on_violation is Verdict.HOLD and acts(point)
    return _with_signals(work, event, point.signals, holds=holds)


def _with_signals(work: Work, event: did.StepDone, signals: tuple[str, ...], *, holds: bool) -> Work:
    run = work.runs[event.run]
    parts = tuple(
        replace(
            part,
            steps={
                **part.steps,
                event.step: replace(part.steps[event.step], signals=signals, holds=holds),
            },
        )
        if part.operation == event.operation
        else part
        for part in run.parts
    )
    return replace(work, runs={**work.runs, run.id: replace(run, parts=parts)})


def _taken_back(work: Work, action: str) -> Work:
    for key, kept in work.charts.items():
        if kept.action == action:
            earlier = Charted(kept.before, version=kept.version)
            return replace(work, charts={**work.charts, key: earlier})
    return work


def require_measured(operation: JobOperation, part: Part, good: Decimal) -> None:
    """As many measurements as the plan wants of the pieces of a run; raises Refusal naming the first missing.

    ``good`` are the good pieces of the run, what is being booked included.
    """
    for planned in operation.inspection:
        wanted = needed(planned.frequency, good)
        for step in planned.steps:
            taken = part.steps.get(step, StepResult("", ok=True, action="", count=0)).count
            if taken < wanted:
                raise Refusal(
                    "measure-more",
                    step=operation.steps[step].title,
                    count=str(taken),
                    wanted=str(wanted),
                    quantity=shown(good),
                )
