"""Health of the assets: how they are, why, and the thresholds that a person confirms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.answers import Reply, answers
from cloud.api.security import In, Supervisor, Viewer
from cloud.context import Context
from cloud.maintenance import asset_sheets
from cloud.maintenance.asset_sheets import AssetBrief, AssetSheet

router = APIRouter(tags=["maintenance"], prefix="/maintenance")
Id = Annotated[str, Path(max_length=36)]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Factor(BaseModel):
    """A multiple of the learned threshold, as proposed or as the supervisor thinks right."""

    model_config = ConfigDict(extra="forbid")

    factor: float = Field(ge=0.5, le=10)


@router.get("/assets", responses=answers(list[AssetBrief]))
async def every_asset(context: In, _: Viewer) -> Reply:
    """Every scored asset: health, what it is doing, how far learning is, or why it is not judged."""
    limits, devices = context.maintenance.settings.limits, context.site.devices()
    return Reply(await context.database.query(lambda tx: asset_sheets.briefs(tx, devices, limits)))


@router.get("/assets/{asset}", responses=answers(AssetSheet))
async def one_asset(context: In, _: Viewer, asset: Id) -> Reply:
    """One asset: sensors, regime, evidence with signed shares, thresholds and the false-alarm budget."""
    return await _sheet(context, asset)


@router.get(
    "/assets/{asset}/trend.svg",
    response_class=Response,
    responses={**answers(AssetSheet), 200: {"content": {"image/svg+xml": {}}, "description": "OK"}},
)
async def trend(context: In, _: Viewer, asset: Id) -> Response:
    """The course of the three tags that deviate most, each against its normal band."""
    zone = ZoneInfo(context.site.calendar.timezone)

    def clock(ts: int) -> str:
        return f"{(_EPOCH + timedelta(microseconds=ts)).astimezone(zone):%Y-%m-%d %H:%M}"

    settings, devices = context.maintenance.settings, context.site.devices()
    drawn = await context.database.query(lambda tx: asset_sheets.picture(tx, devices, asset, settings, clock))
    return Response(drawn, media_type="image/svg+xml")


@router.post("/assets/{asset}/threshold", responses=answers(AssetSheet))
async def confirm(context: In, session: Supervisor, asset: Id, said: Factor) -> Reply:
    """Take over another threshold; who did it and when is kept with it."""
    if asset not in {str(device.asset) for device in context.site.devices().values()}:
        raise asset_sheets.NoSuchAssetError(asset)
    try:
        await context.maintenance.confirm(asset, said.factor, session.user)
    except KeyError:
        raise asset_sheets.NoSuchAssetError(asset) from None
    return await _sheet(context, asset)


async def _sheet(context: Context, asset: str) -> Reply:
    settings, devices, now = context.maintenance.settings, context.site.devices(), context.clock.now()
    return Reply(
        await context.database.query(lambda tx: asset_sheets.sheet(tx, devices, asset, settings, now))
    )
