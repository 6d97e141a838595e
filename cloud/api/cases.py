"""Maintenance cases: what is suspected and why, what people decide about it, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints
from sqlalchemy import Connection

from cloud.api.accounts import Session
from cloud.api.answers import Reply, answers
from cloud.api.roles import Role
from cloud.api.security import In, Operator, Supervisor, Viewer
from cloud.hub import CaseChanged
from cloud.maintenance import cases, verdicts
from cloud.maintenance.attendance import Shortage
from cloud.maintenance.case import MAX_NOTE, Case, Verdict
from cloud.maintenance.cases import Entry
from cloud.maintenance.desk import CaseDesk
from cloud.maintenance.verdicts import Label, Month
from cloud.maintenance.work_order import Life, WorkOrder
from protocols.lifecycles import CASE, CaseEvent

router = APIRouter(tags=["maintenance"], prefix="/maintenance")
Id = Annotated[str, Path(max_length=36)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Words = Annotated[str, StringConstraints(max_length=MAX_NOTE, strip_whitespace=True)]
Work = Callable[[CaseDesk, Connection, str, Session, Any], Case]
"""What a step does: with the desk, a transaction, the id of the case, who takes it, what they say."""
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
        place = context.desk_of_cases.planned(tx, case)
        possible = [event for event in CASE.allowed(found.state) if event in TAKEN_HERE]
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


class Step(NamedTuple):
    """A step that people take: its path and name, the event of the case, who may, what must be said, what is
    done then, and what it is for.
    """

    name: str
    event: CaseEvent
    may: Any
    said: type[BaseModel]
    work: Work
    doc: str


def _noted(act: Callable[[CaseDesk, Connection, str, str, str], Case]) -> Work:
    """What needs nothing but the words."""
    return lambda desk, tx, case, by, said: act(desk, tx, case, by.user, said.note)


def _snooze(desk: CaseDesk, tx: Connection, case: str, by: Session, said: Snooze) -> Case:
    return desk.snooze(tx, case, by.user, _utc(said.until), said.note)


def _move(desk: CaseDesk, tx: Connection, case: str, by: Session, said: Move) -> Case:
    beyond = by.role is Role.SUPERVISOR
    return desk.move(tx, case, by.user, _utc(said.start), said.note, beyond=beyond)


def _supply(desk: CaseDesk, tx: Connection, case: str, by: Session, said: Supply) -> Case:
    return desk.supply(tx, case, by.user, _utc(said.parts_at), said.note)


def _judge(desk: CaseDesk, tx: Connection, case: str, by: Session, said: Judgement) -> Case:
    return desk.judge(tx, case, by.user, said.verdict, said.cause, said.found)


STEPS = (
    Step(
        *("acknowledge", CaseEvent.ACKNOWLEDGE, Supervisor, Noted, _noted(CaseDesk.acknowledge)),
        "Say that somebody has seen it.",
    ),
    Step(*("snooze", CaseEvent.SNOOZE, Supervisor, Snooze, _snooze), "Remind nobody of it until a time."),
    Step(
        *("plan", CaseEvent.PLAN, Supervisor, Noted, _noted(CaseDesk.plan)),
        "Make a maintenance order of it; the next plan has it in its window.",
    ),
    Step(
        *("move", CaseEvent.MOVE, Operator, Move, _move),
        "Have its order begin at a time, at which every plan keeps it; a supervisor beyond its window, too.",
    ),
    Step(
        *("supply", CaseEvent.SUPPLY, Supervisor, Supply, _supply),
        "Say when its parts are there: the planner has the order not before.",
    ),
    Step(
        *("keep", CaseEvent.KEEP, Operator, Reasoned, _noted(CaseDesk.keep)),
        "Keep its order where the plan in force has it.",
    ),
    Step(
        *("free", CaseEvent.FREE, Operator, Noted, _noted(CaseDesk.free)),
        "Let the planner place its order again.",
    ),
    Step(
        *("refuse", CaseEvent.REFUSE, Operator, Reasoned, _noted(CaseDesk.refuse)),
        "Want no maintenance order, with the reason; the suspicion stays.",
    ),
    Step(
        *("done", CaseEvent.FINISH, Supervisor, Noted, _noted(CaseDesk.done)),
        "Say that it was done. Refused while the machine is locked: that ends at its station.",
    ),
    Step(
        *("verdict", CaseEvent.CLOSE, Supervisor, Judgement, _judge),
        "Say what came of it. The case is closed; its verdict is what later trainings learn from.",
    ),
)
"""The steps of a case that people take here; the others are taken at its machine, or by the service."""

TAKEN_HERE = frozenset(step.event for step in STEPS)


def _route(step: Step) -> None:
    """The route of a step, as if it were written out: its signature is what OpenAPI tells of it."""

    async def take(context: Any, session: Any, case: Any, said: Any) -> Reply:
        desk = context.desk_of_cases
        changed = await context.database.run(lambda tx: step.work(desk, tx, case, session, said))
        context.hub.publish(CaseChanged(changed.id))
        return Reply(changed)

    take.__annotations__ = {"context": In, "session": step.may, "case": Id, "said": step.said}
    take.__name__, take.__doc__ = step.name, step.doc
    router.add_api_route(f"/cases/{{case}}/{step.name}", take, methods=["POST"], responses=answers(Case))


for each in STEPS:
    _route(each)


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


def _utc(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
