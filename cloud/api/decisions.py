"""What supervisors decide about planning: overtime, planned stops, heads, pins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Connection

from cloud.api.answers import Reply, answers
from cloud.api.security import In, Supervisor, Viewer
from cloud.dispatching.floor import decisions
from cloud.dispatching.floor.decisions import MAX_HEADS, MAX_REASON, Decision, Kind
from cloud.hub import OrdersChanged

router = APIRouter(tags=["schedule"], prefix="/schedule/decisions")
Id = Annotated[int, Path(ge=1, le=2**62)]
Name = Annotated[str, StringConstraints(max_length=64)]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DecisionRequest(BaseModel):
    """What is decided. ``overtime`` needs start and end, ``closed`` a workcell too, ``heads`` a skill and how
    many more or fewer, ``pin`` an operation and a workcell, a start, or both.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    workcell: Name = ""
    skill: Name = ""
    heads: Annotated[int, Field(ge=-MAX_HEADS, le=MAX_HEADS)] = 0
    operation: Name = ""
    start: AwareDatetime | None = Field(default=None, examples=["2026-11-27T18:00:00+08:00"])
    end: AwareDatetime | None = Field(default=None, examples=["2026-11-27T22:00:00+08:00"])
    reason: Annotated[str, StringConstraints(max_length=MAX_REASON)] = ""

    def decision(self) -> Decision:
        """The same with times in µs UTC."""
        fields = self.model_dump() | {"start": _utc(self.start), "end": _utc(self.end)}
        return Decision(**fields)


class Decided(msgspec.Struct, frozen=True):
    """The id of a decision that is in force, on disk."""

    id: int


@router.get("", responses=answers(list[Decision]))
async def in_force(context: In, _: Viewer) -> Reply:
    """Decisions that are in force or will be, oldest first; times in µs UTC."""
    now = context.clock.now()
    return Reply(await context.database.query(lambda tx: decisions.current(tx, now)))


@router.post("", status_code=201, responses=answers(Decided, status=201, description="In force"))
async def decide(context: In, session: Supervisor, request: DecisionRequest) -> Reply:
    """Decide something about planning; it is planned anew. Refused (422) with every reason at once."""
    now = context.clock.now()

    def write(tx: Connection) -> int:
        return decisions.add(tx, request.decision(), session.user, now, context.site)

    made = await context.database.run(write)
    context.hub.publish(OrdersChanged())
    return Reply(Decided(made), status_code=201)


@router.delete("/{decision}", status_code=204, responses=answers(None, status=204))
async def revoke(context: In, session: Supervisor, decision: Id) -> None:
    """Take a decision back; it is planned anew. Doing so twice is harmless."""
    now = context.clock.now()
    await context.database.run(lambda tx: decisions.revoke(tx, decision, session.user, now))
    context.hub.publish(OrdersChanged())


def _utc(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)
