"""Orders and what becomes of them: products, jobs, runs, andon, the exceptions inbox."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from cloud.api.answers import Reply, answers
from cloud.api.security import In, Supervisor, Viewer
from cloud.dispatching.keeping import outlook, plans
from cloud.hub import OrdersChanged
from cloud.maintenance import cases
from cloud.orders import exceptions
from cloud.orders.requests import OrderChange, OrderRequest, Words

router = APIRouter(tags=["office"])
Limit = Annotated[int, Query(ge=1, le=1000)]
Id = Annotated[str, Path(max_length=64)]


class ParameterInfo(msgspec.Struct, frozen=True):
    """What a customer may choose, and the allowed values in words."""

    name: str
    title: str
    title_zh: str
    type: str
    unit: str
    allowed: str
    default: str | None


class ProductInfo(msgspec.Struct, frozen=True):
    id: str
    title: str
    title_zh: str
    unit: str
    parameters: list[ParameterInfo]


class Created(msgspec.Struct, frozen=True):
    """The id of an order that is taken in, on disk."""

    id: str


class Cases(msgspec.Struct, frozen=True):
    opened: int
    devices: list[str]


class Summary(msgspec.Struct, frozen=True):
    """The few figures that say how the factory does."""

    orders: outlook.OrderCount
    operations: outlook.OperationCount
    replans: int
    cases: Cases
    andon: int
    exceptions: int


class Reason(BaseModel):
    """Why something is cancelled."""

    model_config = ConfigDict(extra="forbid")

    reason: Words = ""


@router.get("/summary", responses=answers(Summary))
async def summary(context: In, _: Viewer) -> Reply:
    """Orders, operations, replans, cases, andon and exceptions, counted."""
    now = context.clock.now()

    def read(tx: Connection) -> Summary:
        found = cases.cases(tx)
        return Summary(
            outlook.count_orders(tx, now),
            outlook.count_operations(tx),
            max(0, plans.count(tx) - 1),
            Cases(len(found), sorted({case.device for case in found})),
            len(outlook.andons(tx, open_only=True)),
            len(outlook.inbox(tx)),
        )

    return Reply(await context.database.query(read))


@router.get("/products", responses=answers(list[ProductInfo]))
async def products(context: In, _: Viewer) -> Reply:
    """What can be ordered and with which parameters."""
    return Reply(
        [
            ProductInfo(
                product.id,
                product.title,
                product.title_zh,
                product.unit,
                [
                    ParameterInfo(
                        name,
                        parameter.title,
                        parameter.title_zh,
                        parameter.type,
                        parameter.unit,
                        str(parameter.allowed()),
                        None if parameter.default is None else str(parameter.default),
                    )
                    for name, parameter in product.parameters.items()
                ],
            )
            for product in context.products
        ]
    )


@router.get("/orders", responses=answers(list[outlook.Order]))
async def orders(context: In, _: Viewer, open_only: bool = False, limit: Limit = 200) -> Reply:
    """Orders with what was promised and what the plan expects; open ones first, by due date."""
    return Reply(
        await context.database.query(lambda tx: outlook.orders(tx, open_only=open_only, limit=limit))
    )


@router.post("/orders", status_code=201, responses=answers(Created, status=201, description="Taken in"))
async def create_order(context: In, session: Supervisor, request: OrderRequest) -> Reply:
    """Take in an order. An impossible one is refused (422) with every reason at once."""
    made = await context.database.run(lambda tx: context.desk.create(tx, request, session.user))
    context.hub.publish(OrdersChanged())
    return Reply(Created(made), status_code=201)


@router.patch("/orders/{order}", status_code=204, responses=answers(None, status=204))
async def change_order(context: In, session: Supervisor, order: Id, wanted: OrderChange) -> None:
    """Give an order that is not done another due date or priority; its work is planned anew."""
    await context.database.run(lambda tx: context.desk.change(tx, order, wanted, session.user))
    context.hub.publish(OrdersChanged())


@router.post("/orders/{order}/cancel", status_code=204, responses=answers(None, status=204))
async def cancel_order(context: In, session: Supervisor, order: Id, why: Reason) -> None:
    """Cancel an order and all its work that is not finished."""
    await context.database.run(lambda tx: context.desk.cancel(tx, order, why.reason, session.user))
    context.hub.publish(OrdersChanged())


@router.get("/jobs", responses=answers(list[outlook.Job]))
async def jobs(
    context: In,
    _: Viewer,
    order: Annotated[str, Query(max_length=64)] = "",
    open_only: bool = False,
    limit: Limit = 200,
) -> Reply:
    """Jobs with their operations, newest first."""

    def read(tx: Connection) -> list[outlook.Job]:
        return outlook.jobs(tx, order=order, open_only=open_only, limit=limit)

    return Reply(await context.database.query(read))


@router.get("/runs", responses=answers(list[outlook.Run]))
async def runs(context: In, _: Viewer, open_only: bool = False, limit: Limit = 200) -> Reply:
    """Runs at the workcells, newest first."""
    return Reply(await context.database.query(lambda tx: outlook.runs(tx, open_only=open_only, limit=limit)))


@router.get("/runs/unassigned", responses=answers(list[outlook.UnassignedRun]))
async def unassigned_runs(context: In, _: Viewer, open_only: bool = False, limit: Limit = 100) -> Reply:
    """Machine activity that nobody booked."""

    def read(tx: Connection) -> list[outlook.UnassignedRun]:
        return outlook.unassigned(tx, open_only=open_only, limit=limit)

    return Reply(await context.database.query(read))


@router.get("/andon", responses=answers(list[outlook.Andon]))
async def andon(context: In, _: Viewer, open_only: bool = False, limit: Limit = 100) -> Reply:
    """Calls for help from the workcells, newest first."""
    return Reply(
        await context.database.query(lambda tx: outlook.andons(tx, open_only=open_only, limit=limit))
    )


@router.get("/exceptions", responses=answers(list[outlook.InboxEntry]))
async def inbox(context: In, _: Viewer, open_only: bool = True, limit: Limit = 200) -> Reply:
    """Facts without effect, and whatever else a person must decide."""
    return Reply(await context.database.query(lambda tx: outlook.inbox(tx, open_only=open_only, limit=limit)))


@router.post("/exceptions/{entry}/settle", status_code=204, responses=answers(None, status=204))
async def settle(context: In, session: Supervisor, entry: Annotated[int, Path(ge=1, le=2**62)]) -> None:
    """Say that an entry of the inbox is dealt with."""
    now = context.clock.now()

    def write(tx: Connection) -> bool:
        return exceptions.settle_by_person(tx, entry, ts=now, actor=session.user)

    if not await context.database.run(write):
        raise HTTPException(404, f"there is no open entry {entry} in the inbox")
    context.hub.publish(OrdersChanged())


@router.post("/operations/{operation}/override", status_code=204, responses=answers(None, status=204))
async def override(context: In, session: Supervisor, operation: Id) -> None:
    """Take an operation away from the edge that holds it, which may work on it all the same: ask there first.
    It is planned anew; 409 when no edge holds it.
    """
    if await context.dispatching.override_lease(operation, session.user):
        return
    if not await context.database.query(lambda tx: outlook.has_operation(tx, operation)):
        raise HTTPException(404, f'there is no operation "{operation}"')
    raise HTTPException(409, f'no edge holds operation "{operation}": it is planned anew as it is')
