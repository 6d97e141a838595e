"""Tags and their values: what there is, the newest, and the past with its gaps."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query
from sqlalchemy import Connection

from cloud.api.answers import Reply, answers
from cloud.api.security import In, Viewer
from cloud.history.port import downsample
from cloud.ledger import reading
from protocols.values import Quality, Value

router = APIRouter(tags=["values"])
MAX_SAMPLES = 500_000
"""Samples read for one answer, before downsampling."""


class TagValue(msgspec.Struct, frozen=True):
    """A tag and its newest value; ``ts`` is null when none came since the service started."""

    id: int
    path: str
    type: str
    unit: str
    role: str
    edge: str
    device: str
    ts: int | None
    value: Value
    quality: Quality | None


class Missing(msgspec.Struct, frozen=True):
    """A gap and its reason: samples that an edge had to give up."""

    from_ts: int
    to_ts: int
    samples: int
    reason: str


class History(msgspec.Struct, frozen=True):
    """Values of one tag as columns; ``qualities`` lists only rows that are not good, as [row, quality].

    ``complete`` is false where the range held more than could be read: ask for less at once.
    """

    tag: int
    path: str
    unit: str
    times: list[int]
    values: list[Value]
    qualities: list[tuple[int, int]]
    gaps: list[Missing]
    complete: bool


@router.get("/tags", responses=answers(list[TagValue]))
async def tags(
    context: In,
    _: Viewer,
    edge: Annotated[str, Query(max_length=32)] = "",
    device: Annotated[str, Query(max_length=128)] = "",
) -> Reply:
    """All tags, or those of an edge or a device, each with its newest value."""
    rows = await context.database.query(lambda tx: reading.tags(tx, edge=edge, device=device))
    found = []
    for row in rows:
        live = context.live.get(row.id)
        found.append(
            TagValue(
                row.id,
                row.path,
                row.type,
                row.unit,
                row.role,
                row.edge,
                row.device,
                live.ts if live else None,
                live.value if live else None,
                live.quality if live else None,
            )
        )
    return Reply(found)


@router.get("/history/{tag}", responses=answers(History))
async def history(
    context: In,
    _: Viewer,
    tag: Annotated[int, Path(ge=1, le=2**62)],
    start: Annotated[int, Query(ge=0, le=2**62, description="µs UTC, inclusive")],
    end: Annotated[int, Query(ge=0, le=2**62, description="µs UTC, exclusive")],
    points: Annotated[int, Query(ge=2, le=100_000, description="minimum and maximum survive")] = 2000,
) -> Reply:
    """Values of a tag between two times, thinned to about ``points``, with the gaps of its edge."""
    if end < start:
        raise HTTPException(422, f"end {end} is before start {start}: exchange them")

    def read(tx: Connection) -> tuple[reading.Tag | None, list[reading.Gap]]:
        found = next((row for row in reading.tags(tx, retired=True) if row.id == tag), None)
        return found, reading.gaps(tx, start, end, found.edge) if found is not None else []

    row, gaps = await context.database.query(read)
    if row is None:
        raise HTTPException(404, f"there is no tag {tag}: GET /api/v1/tags lists those there are")
    series = await asyncio.to_thread(context.history.read, tag, start, end, MAX_SAMPLES)
    shown = downsample(series, points)
    return Reply(
        History(
            tag,
            row.path,
            row.unit,
            shown.times,
            shown.values,
            sorted(shown.qualities.items()),
            [Missing(gap.from_ts, gap.to_ts, gap.missing, gap.reason) for gap in gaps if gap.missing],
            len(series) < MAX_SAMPLES,
        )
    )
