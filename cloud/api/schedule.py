"""The plan and the questions people ask of it: where work is and why, what was planned anew and why."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query
from sqlalchemy import Connection

from cloud.api.answers import Reply, answers
from cloud.api.security import In, Supervisor, Viewer
from cloud.dispatching.asking.forecast import OutlookAnswer, PromiseAnswer, PromiseRequest
from cloud.dispatching.floor.floor import Planned, current_version, read_plan
from cloud.dispatching.keeping import plans
from cloud.dispatching.keeping.making import SearchProgress
from cloud.dispatching.keeping.plans import Cause, Difference, PlannedService, Shift, StoredPlan
from cloud.dispatching.shop.explanation import Explanation
from cloud.dispatching.shop.schedule import Objective

router = APIRouter(tags=["schedule"], prefix="/schedule")
Id = Annotated[str, Path(max_length=64)]
Version = Annotated[int, Path(ge=1, le=2**62)]

SHIFTS = 20
"""Orders that a line of the history names: those that moved most."""


class PlannedOperation(msgspec.Struct, frozen=True):
    """Where the plan in force has an operation; µs UTC."""

    operation: str
    workcell: str
    start: int
    end: int
    group: str
    setup_seconds: int
    changeover_seconds: int
    fixed: bool


class Schedule(msgspec.Struct, frozen=True):
    """The plan in force: why it was made, what it changed, and where everything is. Version 0: none yet."""

    version: int
    created: int
    status: str
    causes: list[Cause]
    difference: Difference
    down: list[str]
    operations: list[PlannedOperation]
    services: list[PlannedService]


class Replan(msgspec.Struct, frozen=True):
    """A plan that came into force: why, how long planning took, what it costs and what it changed.

    ``moved`` counts operations at another workcell, ``later`` and ``earlier`` those at another time;
    ``orders`` are the ends of orders that moved most, ``more`` how many moved besides.
    """

    version: int
    created: int
    causes: tuple[Cause, ...]
    status: str
    seconds: float
    objective: Objective
    moved: int
    later: int
    earlier: int
    added: int
    dropped: int
    orders: list[Shift]
    more: int
    note: str


class ReplanPage(msgspec.Struct, frozen=True):
    """Plans, newest first. ``next`` is the ``before`` of the page after it; null when this is the last."""

    replans: list[Replan]
    next: int | None


@router.get("", responses=answers(Schedule))
async def schedule(context: In, _: Viewer) -> Reply:
    """The plan in force."""

    def read(tx: Connection) -> Schedule:
        plan = plans.stored(tx)
        if plan is None:
            return Schedule(0, 0, "none", [], Difference(), [], [], [])
        rows = read_plan(tx, current_version(tx))
        return Schedule(
            plan.version,
            plan.created,
            plan.status,
            list(plan.causes),
            plan.difference,
            list(plan.down),
            [_planned(name, row) for name, row in sorted(rows.items(), key=lambda item: item[1].start)],
            plans.services(tx, plan.version),
        )

    return Reply(await context.database.query(read))


@router.get("/progress", responses=answers(SearchProgress))
async def progress(context: In, _: Viewer) -> Reply:
    """How far the search for a plan is: cost, bound, gap and seconds of this one, or else of the last one."""
    return Reply(context.dispatching.progress())


@router.get("/outlook", responses=answers(OutlookAnswer))
async def outlook(context: In, _: Viewer) -> Reply:
    """Will it be on time? When each open order is expected, with a range: the plan in force carried out many
    times with durations that scatter. Computed anew for each plan, and once a minute.
    """
    return Reply(await context.forecasts.outlook())


@router.post("/promise", responses=answers(PromiseAnswer))
async def promise(context: In, session: Supervisor, request: PromiseRequest) -> Reply:
    """What can we promise? The earliest date for an order that hurts nobody, and with ``by`` who is hurt if
    it must be done by then. Takes some seconds; nothing stays of it. 429 while too many are asking.
    """
    return Reply(await context.forecasts.promise(request, session.user))


@router.get("/history", responses=answers(ReplanPage))
async def history(
    context: In,
    _: Viewer,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Reply:
    """Why it was planned anew and what that moved, newest first."""
    found = await context.database.query(lambda tx: plans.history(tx, before=before, limit=limit + 1))
    shown = found[:limit]
    following = shown[-1].version if len(found) > limit else None
    return Reply(ReplanPage([_replan(plan) for plan in shown], following))


@router.get("/history/{version}", responses=answers(StoredPlan))
async def one_replan(context: In, _: Viewer, version: Version) -> Reply:
    """One plan of the past with all that it changed: orders, and the operations that moved most (the plans of
    late keep up to 200 of these, from workcell to workcell).
    """
    found = await context.database.query(lambda tx: plans.stored(tx, version))
    if found is None:
        raise HTTPException(
            404, f"there is no plan {version}: GET /api/v1/schedule/history lists those there are"
        )
    return Reply(found)


@router.get("/{operation}/explanation", responses=answers(Explanation))
async def explanation(context: In, _: Viewer, operation: Id) -> Reply:
    """Why the plan in force has an operation where it is: what it waits for, and what that waits for."""
    found = await context.database.query(lambda tx: plans.explanation(tx, operation))
    if found is None:
        raise HTTPException(404, f'the plan in force does not have operation "{operation}"')
    return Reply(found)


def _planned(name: str, row: Planned) -> PlannedOperation:
    return PlannedOperation(
        name,
        row.workcell,
        row.start,
        row.end,
        row.group,
        row.setup_seconds,
        row.changeover_seconds,
        row.fixed,
    )


def _replan(plan: StoredPlan) -> Replan:
    changed = plan.difference
    orders = sorted(changed.orders, key=lambda shift: (-abs(shift.seconds), shift.order))
    return Replan(
        plan.version,
        plan.created,
        plan.causes,
        plan.status,
        plan.seconds,
        plan.objective,
        len(changed.moved),
        changed.later,
        changed.earlier,
        changed.added,
        changed.dropped,
        orders[:SHIFTS],
        max(0, len(orders) - SHIFTS),
        plan.note,
    )
