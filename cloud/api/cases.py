"""Maintenance cases: what is suspected and why, what people decide about it, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints
from sqlalchemy import Connection

from cloud.api.answers import Reply, answers
from cloud.api.roles import Role
from cloud.api.security import In, Operator, Supervisor, Viewer
from cloud.context import Context
from cloud.hub import CaseChanged
from cloud.maintenance import cases, verdicts
from cloud.maintenance.attendance import Shortage
from cloud.maintenance.case import MAX_NOTE, Case, Verdict
from cloud.maintenance.cases import Entry
from cloud.maintenance.verdicts import Label, Month
from cloud.maintenance.work_order import Life, WorkOrder
from protocols.lifecycles import CASE, CaseEvent

router = APIRouter(tags=["maintenance"], prefix="/maintenance")
Id = Annotated[str, Path(max_length=36)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Words = Annotated[str, StringConstraints(max_length=MAX_NOTE, strip_whitespace=True)]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PlannedAt(msgspec.Struct, frozen=True):
    """Where the plan in force has the maintenance order; µs UTC."""

    start: int
    end: int


class CaseSheet(msgspec.Struct, frozen=True):
    """A case with its journal, its place in the plan, what may be done with it now, what is foreseen of the
    remaining life, the order it proposes while it has none, and what is missing for the one it has."""

    case: Case
    planned: PlannedAt | None
    possible: list[str]
    journal: list[Entry]
    life: Life | None
    proposal: WorkOrder | None
    shortages: list[Shortage]


class Noted(BaseModel):
    """A step of which nothing but its reason is to be said."""

    model_config = ConfigDict(extra="forbid")

    note: Words = ""


class Reasoned(BaseModel):
    """A step that is not taken without its reason."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NOTE, strip_whitespace=True)]


class Snooze(Noted):
    """Until when nobody is to be reminded; at most 30 days."""

    until: AwareDatetime


class Move(Reasoned):
    """When the maintenance is to begin, and why then."""

    start: AwareDatetime


class Supply(Noted):
    """When the parts of the maintenance order are there."""

    parts_at: AwareDatetime


class Judgement(BaseModel):
    """What came of a case: whether the suspicion was true, the cause, and what was found."""

    model_config = ConfigDict(extra="forbid")

    verdict: Verdict
    cause: Words = ""
    found: Words = ""


@router.get("/cases", responses=answers(list[Case]))
async def all_cases(context: In, _: Viewer, open_only: bool = False, limit: Limit = 200) -> Reply:
    """Maintenance cases with their evidence, newest first."""
    return Reply(await context.database.query(lambda tx: cases.cases(tx, open_only=open_only, limit=limit)))


@router.get("/cases/{case}", responses=answers(CaseSheet))
async def one_case(context: In, _: Viewer, case: Id) -> Reply:
    """One case with everything that happened to it, where the plan has it, and what is possible now."""

    def read(tx: Connection) -> CaseSheet:
        found = cases.find(tx, case)
        place, possible = context.desk_of_cases.planned(tx, case), CASE.allowed(found.state)
        return CaseSheet(
            found,
            PlannedAt(*place) if place is not None else None,
            possible,
            [*cases.entries(tx, case)],
            context.desk_of_cases.life(tx, found),
            context.desk_of_cases.proposal(tx, found) if CaseEvent.PLAN in possible else None,
            context.desk_of_cases.shortages(found),
        )

    return Reply(await context.database.query(read))


@router.post("/cases/{case}/acknowledge", responses=answers(Case))
async def acknowledge(context: In, session: Supervisor, case: Id, said: Noted) -> Reply:
    """Say that somebody has seen it."""
    desk = context.desk_of_cases
    return await _step(context, lambda tx: desk.acknowledge(tx, case, session.user, said.note))


@router.post("/cases/{case}/snooze", responses=answers(Case))
async def snooze(context: In, session: Supervisor, case: Id, said: Snooze) -> Reply:
    """Remind nobody of it until a time."""
    desk, until = context.desk_of_cases, _utc(said.until)
    return await _step(context, lambda tx: desk.snooze(tx, case, session.user, until, said.note))


@router.post("/cases/{case}/plan", responses=answers(Case))
async def plan(context: In, session: Supervisor, case: Id, said: Noted) -> Reply:
    """Make a maintenance order of it; the next plan has it in its window."""
    desk = context.desk_of_cases
    return await _step(context, lambda tx: desk.plan(tx, case, session.user, said.note))


@router.post("/cases/{case}/move", responses=answers(Case))
async def move(context: In, session: Operator, case: Id, said: Move) -> Reply:
    """Have its order begin at a time, at which every plan keeps it; a supervisor beyond its window, too."""
    desk, start = context.desk_of_cases, _utc(said.start)
    beyond = session.role is Role.SUPERVISOR
    return await _step(context, lambda tx: desk.move(tx, case, session.user, start, said.note, beyond=beyond))


@router.post("/cases/{case}/supply", responses=answers(Case))
async def supply(context: In, session: Supervisor, case: Id, said: Supply) -> Reply:
    """Say when its parts are there: the planner has the order not before."""
    desk, parts_at = context.desk_of_cases, _utc(said.parts_at)
    return await _step(context, lambda tx: desk.supply(tx, case, session.user, parts_at, said.note))


@router.post("/cases/{case}/keep", responses=answers(Case))
async def keep(context: In, session: Operator, case: Id, said: Reasoned) -> Reply:
    """Keep its order where the plan in force has it."""
    desk = context.desk_of_cases
    return await _step(context, lambda tx: desk.keep(tx, case, session.user, said.note))


@router.post("/cases/{case}/free", responses=answers(Case))
async def free(context: In, session: Operator, case: Id, said: Noted) -> Reply:
    """Let the planner place its order again."""
    desk = context.desk_of_cases
    return await _step(context, lambda tx: desk.free(tx, case, session.user, said.note))


@router.post("/cases/{case}/refuse", responses=answers(Case))
async def refuse(context: In, session: Operator, case: Id, said: Reasoned) -> Reply:
    """Want no maintenance order, with the reason; the suspicion stays."""
    desk = context.desk_of_cases
    return await _step(context, lambda tx: desk.refuse(tx, case, session.user, said.note))


@router.post("/cases/{case}/done", responses=answers(Case))
async def done(context: In, session: Supervisor, case: Id, said: Noted) -> Reply:
    """Say that it was done. Refused while the machine is locked: that ends at its station."""
    desk = context.desk_of_cases
    return await _step(context, lambda tx: desk.done(tx, case, session.user, said.note))


@router.post("/cases/{case}/verdict", responses=answers(Case))
async def verdict(context: In, session: Supervisor, case: Id, said: Judgement) -> Reply:
    """Say what came of it. The case is closed; its verdict is what later trainings learn from."""
    desk = context.desk_of_cases
    return await _step(
        context, lambda tx: desk.judge(tx, case, session.user, said.verdict, said.cause, said.found)
    )


@router.get("/precision", responses=answers(list[Month]))
async def precision(context: In, _: Viewer) -> Reply:
    """How often the cases of each month were true, newest month first."""
    zone = ZoneInfo(context.site.calendar.timezone)
    found = await context.database.query(lambda tx: cases.cases(tx, limit=verdicts.MOST_CASES))
    return Reply(verdicts.by_month(found, zone))


@router.get("/labels", responses=answers(list[Label]))
async def labels(
    context: In, _: Viewer, asset: Annotated[str, Query(max_length=36)] = "", limit: Limit = 1000
) -> Reply:
    """Verdicts with the span of data that led to them, oldest first; the newest ``limit``."""
    found = await context.database.query(lambda tx: verdicts.labels(tx, asset))
    return Reply(found[-limit:])


async def _step(context: Context, work: Callable[[Connection], Case]) -> Reply:
    changed = await context.database.run(work)
    context.hub.publish(CaseChanged(changed.id))
    return Reply(changed)


def _utc(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
