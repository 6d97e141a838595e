"""Models of remaining life: brought in, tried in shadow, used, gone back from; and the lives they tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints
from sqlalchemy import Connection

from cloud.api.answers import Reply, answers
from cloud.api.security import In, Supervisor, Viewer
from cloud.context import Context
from cloud.hub import ModelsChanged
from cloud.maintenance.asset_sheets import NoSuchAssetError
from cloud.maintenance.rul import model_sheets
from cloud.maintenance.rul.desk import MAX_REASON
from cloud.maintenance.rul.model_sheets import LifeSheet, ModelSheet
from cloud.maintenance.rul.registry import ModelVersion
from protocols.prognostics.deployment import MAX_FILE
from protocols.site import Device

router = APIRouter(tags=["maintenance"], prefix="/maintenance")
Id = Annotated[str, Path(max_length=36)]
Reason = Annotated[str, StringConstraints(max_length=MAX_REASON, strip_whitespace=True)]
SomeReason = Annotated[str, StringConstraints(min_length=1, max_length=MAX_REASON, strip_whitespace=True)]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

BODIES = {"/api/v1/maintenance/models": MAX_FILE, "/models": MAX_FILE}
"""Paths whose bodies may be larger than usual, and how large (bytes): a model is brought in by the
API and by the page."""


class Why(BaseModel):
    """Why somebody does it."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = ""


class GivenWhy(BaseModel):
    """Why somebody does it; it must be said."""

    model_config = ConfigDict(extra="forbid")

    reason: SomeReason


class Renewal(GivenWhy):
    """Since when an asset is as new; left out, now."""

    since: AwareDatetime | None = None


@router.get("/models", responses=answers(list[ModelSheet]))
async def all_models(
    context: In, _: Viewer, scope: Annotated[str | None, Query(max_length=64)] = None
) -> Reply:
    """Every model with its hash, training, cross-validation, state, drift and journal, newest first."""
    devices, refused = context.site.devices(), context.lives.refused
    return Reply(await context.database.query(lambda tx: model_sheets.sheets(tx, devices, refused, scope)))


@router.post(
    "/models",
    responses=answers(ModelVersion),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object", "description": "a model file"}}},
        }
    },
)
async def add(
    context: In,
    session: Supervisor,
    request: Request,
    scope: Annotated[str, Query(min_length=1, max_length=64, description="profile or machine it is for")],
) -> Reply:
    """Bring in a model file as `onelot maintenance train` wrote it, byte for byte. Refused unless a trusted
    key signed it, and where a machine lacks a tag that it asks for.
    """
    data, desk = await request.body(), context.models
    admitted = await asyncio.to_thread(desk.admit, data, scope)
    return await _changed(context, lambda tx: desk.register(tx, admitted, session.user))


@router.get("/models/{model}", responses=answers(ModelSheet))
async def one_model(context: In, _: Viewer, model: Id) -> Reply:
    """One model."""
    devices, refused = context.site.devices(), context.lives.refused
    return Reply(await context.database.query(lambda tx: model_sheets.sheet(tx, devices, refused, model)))


@router.post("/models/{model}/shadow", responses=answers(ModelVersion))
async def shadow(context: In, session: Supervisor, model: Id, said: Why) -> Reply:
    """Have it score beside the active one; what was in shadow before is retired."""
    return await _changed(context, lambda tx: context.models.shadow(tx, model, session.user, said.reason))


@router.post("/models/{model}/activate", responses=answers(ModelVersion))
async def activate(context: In, session: Supervisor, model: Id, said: Why) -> Reply:
    """Make it the one that counts. With fewer than 100 scores in shadow a reason is needed."""
    return await _changed(context, lambda tx: context.models.activate(tx, model, session.user, said.reason))


@router.post("/models/{model}/retire", responses=answers(ModelVersion))
async def retire(context: In, session: Supervisor, model: Id, said: GivenWhy) -> Reply:
    """Take it out of use."""
    return await _changed(context, lambda tx: context.models.retire(tx, model, session.user, said.reason))


@router.post("/models/{model}/roll-back", responses=answers(ModelVersion))
async def roll_back(context: In, session: Supervisor, model: Id, said: GivenWhy) -> Reply:
    """Take the active model out of use and the one that was active before it into use again; that is
    answered.
    """
    return await _changed(context, lambda tx: context.models.roll_back(tx, model, session.user, said.reason))


@router.get("/assets/{asset}/life", responses=answers(LifeSheet))
async def life(
    context: In,
    _: Viewer,
    asset: Id,
    model: Annotated[str, Query(max_length=36)] = "",
    rows: Annotated[int, Query(ge=0, le=10_000)] = 100,
) -> Reply:
    """The remaining life of an asset and why, with the newest rows and their scores; those of another model,
    such as one in shadow, where `model` names it.
    """
    device, now, known = _device(context, asset), context.clock.now(), context.lives.prognosers
    return Reply(
        await context.database.query(lambda tx: model_sheets.life_sheet(tx, device, known, now, model, rows))
    )


@router.post("/assets/{asset}/renewed", responses=answers(LifeSheet))
async def renewed(context: In, session: Supervisor, asset: Id, said: Renewal) -> Reply:
    """Say that an asset is as new: its remaining life begins anew. A repair of a case says so by itself."""
    device, now, known = _device(context, asset), context.clock.now(), context.lives.prognosers
    since = None if said.since is None else (said.since - _EPOCH) // timedelta(microseconds=1)
    await context.database.run(lambda tx: context.models.renew(tx, asset, session.user, said.reason, since))
    context.hub.publish(ModelsChanged())
    return Reply(
        await context.database.query(lambda tx: model_sheets.life_sheet(tx, device, known, now, limit=0))
    )


async def _changed(context: Context, work: Callable[[Connection], ModelVersion]) -> Reply:
    changed = await context.database.run(work)
    context.hub.publish(ModelsChanged())
    return Reply(changed)


def _device(context: Context, asset: str) -> Device:
    found = next((one for one in context.site.devices().values() if str(one.asset) == asset), None)
    if found is None:
        raise NoSuchAssetError(asset)
    return found
