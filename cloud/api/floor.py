"""The factory floor: places, edges, machines with their state, stops, gaps, health."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query
from sqlalchemy import Connection

from cloud.api.answers import Reply, answers
from cloud.api.security import In, Viewer
from cloud.ledger import reading
from cloud.maintenance import cases
from cloud.maintenance.cases import HealthRow

router = APIRouter(tags=["floor"])
Limit = Annotated[int, Query(ge=1, le=1000)]


class Workcell(msgspec.Struct, frozen=True):
    """A place where runs happen."""

    id: str
    uuid: str
    title: str
    title_zh: str
    kind: str
    run: str
    area: str
    line: str
    edge: str | None
    devices: list[str]


class Equipment(msgspec.Struct, frozen=True):
    """The site's tree, flattened to its workcells in plant order."""

    site: str
    uuid: str
    title: str
    timezone: str
    workcells: list[Workcell]


class EdgeState(msgspec.Struct, frozen=True):
    """An edge of the site; ``last_seen`` is 0 for one that never said hello."""

    id: str
    workcells: list[str]
    devices: list[str]
    last_seen: int
    jobs_version: int
    samples: int
    actions: int
    dropped: int
    quarantined: int


@router.get("/equipment", responses=answers(Equipment))
async def equipment(context: In, _: Viewer) -> Reply:
    """Areas, lines and workcells of the site."""
    site, edge_of = context.site, context.site.edge_of()
    devices = site.devices().values()
    return Reply(
        Equipment(
            site.id,
            str(site.uuid),
            site.title,
            site.calendar.timezone,
            [
                Workcell(
                    cell.id,
                    str(cell.uuid),
                    cell.title,
                    cell.title_zh,
                    cell.kind,
                    cell.run,
                    area.id,
                    line.id,
                    edge_of.get(cell.id),
                    [device.id for device in devices if cell.id in device.workcells],
                )
                for area in site.areas
                for line in area.lines
                for cell in line.workcells
            ],
        )
    )


@router.get("/edges", responses=answers(list[EdgeState]))
async def edges(context: In, _: Viewer) -> Reply:
    """Every edge of the site and what arrived from it."""
    known = {row.id: row for row in await context.database.query(reading.edges)}
    found = []
    for edge in context.site.edges:
        row = known.get(edge.id)
        counters = row.counters if row is not None else reading.Counters()
        found.append(
            EdgeState(
                edge.id,
                list(edge.workcells),
                [device.id for device in edge.devices],
                max(row.last_seen if row is not None else 0, context.ingest.heard.get(edge.id, 0)),
                row.jobs_version if row is not None else 0,
                counters.samples,
                counters.actions,
                counters.dropped,
                counters.quarantined,
            )
        )
    return Reply(found)


@router.get("/machines", responses=answers(list[reading.Machine]))
async def machines(context: In, _: Viewer) -> Reply:
    """Every machine with its state, since when, and when it was last read."""
    return Reply(await context.database.query(reading.machines))


@router.get("/machines/{device}/states", responses=answers(list[reading.MachineStateRow]))
async def machine_states(
    context: In,
    _: Viewer,
    device: Annotated[str, Path(max_length=128)],
    start: Annotated[int, Query(ge=0, le=2**62)] = 0,
    end: Annotated[int, Query(ge=0, le=2**62)] = 2**62,
    limit: Limit = 500,
) -> Reply:
    """States of a machine between two times (µs UTC), ascending; the earliest ``limit``."""

    def read(tx: Connection) -> list[reading.MachineStateRow]:
        return reading.machine_states(tx, device, start, end, limit)

    return Reply(await context.database.query(read))


@router.get("/stops", responses=answers(list[reading.Stop]))
async def stops(
    context: In,
    _: Viewer,
    since: Annotated[int, Query(ge=0, le=2**62)] = 0,
    open_only: bool = False,
    limit: Limit = 200,
) -> Reply:
    """Machine stops, newest first."""

    def read(tx: Connection) -> list[reading.Stop]:
        return reading.stops(tx, since, open_only=open_only, limit=limit)

    return Reply(await context.database.query(read))


@router.get("/notices", responses=answers(list[reading.NoticeRow]))
async def notices(context: In, _: Viewer, limit: Limit = 100) -> Reply:
    """What edges want people to know, newest first."""
    return Reply(await context.database.query(lambda tx: reading.notices(tx, limit)))


@router.get("/quarantine", responses=answers(list[reading.Quarantined]))
async def quarantine(context: In, _: Viewer, limit: Limit = 100) -> Reply:
    """What arrived and could not be read, newest first."""
    return Reply(await context.database.query(lambda tx: reading.quarantine(tx, limit)))


@router.get("/health/assets", responses=answers(list[HealthRow]))
async def assets(context: In, _: Viewer) -> Reply:
    """Health of every watched asset, 0 to 100; null while it is learning what is normal."""
    return Reply(await context.database.query(cases.healths))
