"""Quality: charts with their points, limits and capability, and what does not conform."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Annotated

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Connection

from cloud.api.answers import Reply, answers
from cloud.api.security import In, Supervisor, Viewer
from cloud.hub import OrdersChanged, QualityChanged
from cloud.quality import charts, nonconformances, part_courses
from cloud.quality.capability import Capability, NoToleranceError, TooFewValuesError
from cloud.quality.charts import Chart, FrozenLimits, PlottedPoint
from cloud.quality.nonconformances import Decided, Nonconformance
from cloud.quality.part_courses import Course, Deviation
from cloud.quality.picture import capability_of, picture_of
from protocols.inspection import Disposition
from protocols.lifecycles import NONCONFORMANCE, NonconformanceEvent
from protocols.spc.rules import Rule
from protocols.spc.run_lengths import run_length

router = APIRouter(tags=["quality"], prefix="/quality")
Id = Annotated[int, Path(ge=1, le=2**62)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class ChartSheet(msgspec.Struct, frozen=True):
    """A chart with its newest points, every version of its limits, and what its rules cost: mean points
    between false alarms, and until a shift of one sigma is found; None where that was not computed.
    """

    chart: Chart
    points: list[PlottedPoint]
    limits: list[FrozenLimits]
    false_alarm_every: float | None
    shift_found_after: float | None


class NonconformanceSheet(msgspec.Struct, frozen=True):
    """A nonconformance, what was decided about it, and what is possible now."""

    nonconformance: Nonconformance
    history: list[Decided]
    possible: list[str]


class Freeze(BaseModel):
    """Why the limits may be frozen: the points were looked at, what was found. ``without`` are numbers of
    points whose cause was found and removed.
    """

    model_config = ConfigDict(extra="forbid")

    reason: Reason
    without: Annotated[list[int], Field(max_length=200)] = []


class Report(BaseModel):
    """What a person saw that does not conform, and at which operation."""

    model_config = ConfigDict(extra="forbid")

    operation: Name
    text: Reason
    text_zh: Annotated[str, StringConstraints(max_length=500)] = ""


class Decision(BaseModel):
    """A decision about a nonconformance, with its reason; ``dispose`` needs a disposition.

    ``quantity`` are the pieces that become rework or scrap; left out: all that are booked as good.
    """

    model_config = ConfigDict(extra="forbid")

    event: NonconformanceEvent
    disposition: Disposition | None = None
    quantity: Annotated[Decimal | None, Field(gt=0, le=10**9, allow_inf_nan=False)] = None
    reason: Reason


@router.get("/charts", responses=answers(list[Chart]))
async def all_charts(context: In, _: Viewer, limit: Limit = 200) -> Reply:
    """Charts, the one last measured first."""
    return Reply(await context.database.query(lambda tx: charts.charts(tx, limit)))


@router.get("/charts/{chart}", responses=answers(ChartSheet))
async def one_chart(context: In, _: Viewer, chart: Id, limit: Limit = charts.SHOWN) -> Reply:
    """A chart with its newest points and its limits."""

    def read(tx: Connection) -> ChartSheet:
        found = charts.chart(tx, chart)
        length = run_length(Rule(rule) for rule in found.spec.rules)
        points, limits = charts.points(tx, chart, limit), charts.versions(tx, chart)
        if length is None:
            return ChartSheet(found, points, limits, None, None)
        return ChartSheet(found, points, limits, length.in_control, length.shifted)

    return Reply(await context.database.query(read))


@router.get("/charts/{chart}/picture", response_class=Response)
async def chart_picture(context: In, _: Viewer, chart: Id, chinese: bool = False) -> Response:
    """The chart as SVG."""
    svg = await context.database.query(lambda tx: picture_of(tx, chart, context.site, chinese=chinese))
    return Response(svg, media_type="image/svg+xml")


@router.get("/charts/{chart}/capability", responses=answers(Capability))
async def chart_capability(context: In, _: Viewer, chart: Id) -> Reply:
    """Capability of what was charted, always with its intervals; refused (422) where there is none."""
    try:
        return Reply(await context.database.query(lambda tx: capability_of(tx, chart)))
    except (TooFewValuesError, NoToleranceError, ValueError) as error:
        raise HTTPException(422, str(error)) from None


@router.post("/charts/{chart}/limits", status_code=201, responses=answers(FrozenLimits, status=201))
async def freeze_limits(context: In, session: Supervisor, chart: Id, body: Freeze) -> Reply:
    """Freeze the limits that the points so far give, as the next version; provisional below 20 points."""
    now, command = context.clock.now(), f"freeze-{uuid.uuid4().hex}"

    def write(tx: Connection) -> FrozenLimits:
        return charts.freeze(tx, chart, session.user, body.reason, now, command, body.without)

    made = await context.database.run(write)
    context.hub.publish(QualityChanged(chart))
    return Reply(made, status_code=201)


@router.get("/nonconformances", responses=answers(list[Nonconformance]))
async def all_nonconformances(context: In, _: Viewer, open_only: bool = False, limit: Limit = 200) -> Reply:
    """Nonconformances, newest first; ``open_only`` those to be decided about or closed."""

    def read(tx: Connection) -> list[Nonconformance]:
        return nonconformances.nonconformances(tx, open_only=open_only, limit=limit)

    return Reply(await context.database.query(read))


@router.get("/nonconformances/{nonconformance}", responses=answers(NonconformanceSheet))
async def one_nonconformance(context: In, _: Viewer, nonconformance: Id) -> Reply:
    """A nonconformance with its history and what is possible now."""

    def read(tx: Connection) -> NonconformanceSheet:
        found = nonconformances.nonconformance(tx, nonconformance)
        possible = NONCONFORMANCE.allowed(found.state)
        return NonconformanceSheet(found, nonconformances.history(tx, nonconformance), possible)

    return Reply(await context.database.query(read))


@router.post("/nonconformances", status_code=201, responses=answers(Nonconformance, status=201))
async def report(context: In, session: Supervisor, body: Report) -> Reply:
    """Report what does not conform: what follows in its job waits until it is released."""
    now, source = context.clock.now(), f"report-{uuid.uuid4().hex}"

    def write(tx: Connection) -> Nonconformance:
        made = nonconformances.open_one(
            tx,
            source=source,
            operation_id=body.operation,
            workcell="",
            text=(body.text, body.text_zh or body.text),
            actor=session.user,
            now=now,
        )
        return nonconformances.nonconformance(tx, made or 0)

    made = await context.database.run(write)
    context.hub.publish(QualityChanged(0))
    return Reply(made, status_code=201)


@router.post("/nonconformances/{nonconformance}/decisions", responses=answers(Nonconformance))
async def decide(context: In, session: Supervisor, nonconformance: Id, body: Decision) -> Reply:
    """Dispose of a nonconformance, close, withdraw or reopen it; refused (409) where that is impossible."""
    now, command = context.clock.now(), f"nonconformance-{uuid.uuid4().hex}"

    def write(tx: Connection) -> Nonconformance:
        return nonconformances.advance(
            tx,
            nonconformance,
            body.event,
            actor=session.user,
            now=now,
            reason=body.reason,
            command=command,
            disposition=body.disposition,
            quantity=body.quantity,
        )

    made = await context.database.run(write)
    context.hub.publish(QualityChanged(made.chart or 0))
    if made.quantity:
        context.hub.publish(OrdersChanged())
    return Reply(made)


@router.get("/envelopes", responses=answers(list[Course]))
async def all_envelopes(context: In, _: Viewer, limit: Limit = 200) -> Reply:
    """Golden envelopes of the signals of pieces, those that pieces left first."""
    return Reply(await context.database.query(lambda tx: part_courses.courses(tx, limit)))


@router.get("/envelopes/{envelope}/deviations", responses=answers(list[Deviation]))
async def deviations_of(context: In, _: Viewer, envelope: Id, limit: Limit = 50) -> Reply:
    """Pieces that left an envelope, newest first, and where they did."""
    return Reply(await context.database.query(lambda tx: part_courses.newest(tx, limit, envelope=envelope)))


@router.post("/envelopes/{envelope}/learn", responses=answers(Course))
async def learn_anew(context: In, _: Supervisor, envelope: Id) -> Reply:
    """Have an envelope learned anew from the next pieces: after another tool or another material."""
    made = await context.database.run(lambda tx: part_courses.learn_anew(tx, envelope))
    context.hub.publish(QualityChanged(0))
    return Reply(made)
