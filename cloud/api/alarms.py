"""Alarms of the machines: what stands now, and what was."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Annotated

import msgspec
from fastapi import APIRouter, HTTPException, Query
from sqlalchemy import Connection

from cloud.api.answers import Reply, answers
from cloud.api.security import In, Viewer
from cloud.context import Context
from cloud.ledger import alarms, reading
from cloud.ledger.alarms import Alarm

router = APIRouter(tags=["floor"])
Device = Annotated[str, Query(max_length=128, description="only this device")]
Workcell = Annotated[str, Query(max_length=128, description="only the devices of this workcell")]
Limit = Annotated[int, Query(ge=1, le=1000)]


class StandingAlarms(msgspec.Struct, frozen=True):
    """Alarms that stand now, the most severe first and of these the oldest. ``more`` stand besides; so many
    changes were ``untold``, because they came in a flood.
    """

    alarms: list[Alarm]
    more: int
    untold: int


class AlarmPage(msgspec.Struct, frozen=True):
    """Alarms as they became known, newest first. ``next`` is the ``before`` of the page after this one; null
    when this is the last.
    """

    alarms: list[Alarm]
    next: int | None


def _devices(context: Context, device: str, workcell: str) -> Collection[str] | None:
    """The devices that are asked for; None for all.

    Raises:
        HTTPException: the site has no such workcell.
    """
    if not workcell:
        return [device] if device else None
    cells = context.site.workcells()
    if workcell not in cells:
        near = get_close_matches(workcell, cells, 1)
        hint = f": did you mean {near[0]}?" if near else ": GET /api/v1/equipment lists those there are"
        raise HTTPException(404, f'the site has no workcell "{workcell}"{hint}')
    found = [each.id for each in context.site.devices().values() if workcell in each.workcells]
    return [each for each in found if each == device] if device else found


@router.get("/alarms", responses=answers(StandingAlarms))
async def standing(
    context: In, _: Viewer, device: Device = "", workcell: Workcell = "", limit: Limit = 200
) -> Reply:
    """Alarms that stand now."""
    wanted = _devices(context, device, workcell)

    def read(tx: Connection) -> StandingAlarms:
        found = [alarm for those in alarms.standing(tx, wanted).values() for alarm in those]
        found.sort(key=lambda alarm: (-alarm.severity, alarm.raised, alarm.id))
        machines = [each for each in reading.machines(tx) if wanted is None or each.id in wanted]
        there = sum(each.alarms_standing for each in machines)
        shown = found[:limit]
        return StandingAlarms(shown, there - len(shown), sum(each.alarms_untold for each in machines))

    return Reply(await context.database.query(read))


@router.get("/alarms/history", responses=answers(AlarmPage))
async def history(
    context: In,
    _: Viewer,
    device: Device = "",
    workcell: Workcell = "",
    since: Annotated[int, Query(ge=0, le=2**62, description="µs UTC: those that stood then or later")] = 0,
    before: Annotated[int | None, Query(ge=0, le=2**62, description="`next` of the page before")] = None,
    limit: Limit = 200,
) -> Reply:
    """All alarms, page by page; the newest 5,000 of each device are kept."""
    wanted = _devices(context, device, workcell)

    def read(tx: Connection) -> AlarmPage:
        found = alarms.history(tx, wanted, before=before, since=since, limit=limit + 1)
        shown = found[:limit]
        return AlarmPage(shown, shown[-1].id if len(found) > limit else None)

    return Reply(await context.database.query(read))
