"""What the page's buttons do, each through the same functions as the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sqlalchemy import Connection

from cloud.context import Context
from cloud.dispatching import plans
from cloud.hub import CaseChanged, OrdersChanged
from cloud.maintenance import cases
from cloud.orders import exceptions
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import CaseEvent


async def acknowledge(context: Context, case: str, actor: str) -> str:
    """Acknowledge a maintenance case; what to tell the person."""
    now = context.clock.now()
    try:
        await context.database.run(lambda tx: cases.advance(tx, case, CaseEvent.ACKNOWLEDGE, now, actor))
    except (IllegalTransitionError, cases.NoSuchCaseError) as error:
        return str(error)
    context.hub.publish(CaseChanged(case))
    return "acknowledged"


async def settle(context: Context, entry: str, actor: str) -> str:
    """Settle an entry of the exceptions inbox; what to tell the person."""
    now = context.clock.now()

    def write(tx: Connection) -> bool:
        return exceptions.settle_by_person(tx, int(entry), ts=now, actor=actor)

    done = await context.database.run(write)
    context.hub.publish(OrdersChanged())
    return "settled" if done else "somebody settled it already"


ACTS: dict[str, Callable[[Context, str, str], Awaitable[str]]] = {
    "acknowledge": acknowledge,
    "settle": settle,
}
"""By name: what is done to a thing by a person (the name of the account)."""


async def explanation(context: Context, operation: str) -> list[str]:
    """Why the plan has an operation where it is, a line a reason."""
    found = await context.database.query(lambda tx: plans.explanation(tx, operation))
    if found is None:
        return ["the plan in force does not have this operation any more"]
    return [link.text for link in found.links]
