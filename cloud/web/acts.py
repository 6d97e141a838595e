"""What the page's buttons do, each through the same functions as the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sqlalchemy import Connection

from cloud.context import Context
from cloud.hub import CaseChanged, OrdersChanged
from cloud.maintenance import cases
from cloud.orders import exceptions
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import CaseEvent


def _case(event: CaseEvent, done: str) -> Callable[[Context, str, str], Awaitable[str]]:
    async def act(context: Context, case: str, actor: str) -> str:
        now = context.clock.now()
        try:
            await context.database.run(lambda tx: cases.advance(tx, case, event, now, actor))
        except cases.NoSuchCaseError:
            return "this case is not there any more"
        except IllegalTransitionError as error:
            return str(error)
        context.hub.publish(CaseChanged(case))
        return done

    return act


async def settle(context: Context, entry: str, actor: str) -> str:
    """Settle an entry of the exceptions inbox; what to tell the person."""
    now = context.clock.now()

    def write(tx: Connection) -> bool:
        return exceptions.settle_by_person(tx, int(entry), ts=now, actor=actor)

    done = await context.database.run(write)
    context.hub.publish(OrdersChanged())
    return "settled" if done else "somebody settled it already"


ACTS: dict[str, Callable[[Context, str, str], Awaitable[str]]] = {
    "acknowledge": _case(CaseEvent.ACKNOWLEDGE, "acknowledged"),
    "plan": _case(CaseEvent.PLAN, "the next plan has a maintenance window for it"),
    "finish": _case(CaseEvent.FINISH, "finished"),
    "close": _case(CaseEvent.CLOSE, "closed"),
    "settle": settle,
}
"""By name: what is done to a thing by a person (the name of the account); each says what came of it."""
