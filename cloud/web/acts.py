"""What the page's buttons do, each through the same functions as the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sqlalchemy import Connection

from cloud.context import Context
from cloud.dispatching.floor import decisions
from cloud.dispatching.floor.decisions import Decision, ImpossibleDecision, Kind, UnknownDecision
from cloud.dispatching.floor.floor import current_version, read_plan
from cloud.hub import CaseChanged, OrdersChanged
from cloud.maintenance import cases
from cloud.maintenance.case import Case, ImpossibleStep
from cloud.maintenance.desk import CaseDesk
from cloud.orders import exceptions
from cloud.phrase import Phrase, joined
from cloud.web.maintenance import waveform_sheet
from cloud.web.speech import ENGLISH, Speech
from protocols.lifecycle import IllegalTransitionError

Act = Callable[[Context, str, str], Awaitable[str | Phrase]]
"""What is done to a thing by a person (the name of the account); says what came of it, by a phrase."""
CaseWork = Callable[[CaseDesk, Connection, str, str], Case]
"""A step of a case: the desk, a transaction, the id of the case, who takes it."""


async def step(context: Context, case: str, actor: str, work: CaseWork, say: Speech = ENGLISH) -> str:
    """Take a step of a maintenance case; what is against it, empty when it was taken."""
    desk = context.desk_of_cases
    try:
        await context.database.run(lambda tx: work(desk, tx, case, actor))
    except cases.NoSuchCaseError:
        return "this case is not there any more"
    except ImpossibleStep as error:
        return "; ".join(say(problem.phrase, **problem.values) for problem in error.problems)
    except IllegalTransitionError as error:
        return str(error)
    context.hub.publish(CaseChanged(case))
    return ""


def _case(work: CaseWork, done: str) -> Act:
    async def act(context: Context, case: str, actor: str) -> str:
        return await step(context, case, actor, work) or done

    return act


async def settle(context: Context, entry: str, actor: str) -> str:
    """Settle an entry of the exceptions inbox; what to tell the person."""
    now = context.clock.now()

    def write(tx: Connection) -> bool:
        return exceptions.settle_by_person(tx, int(entry), ts=now, actor=actor)

    done = await context.database.run(write)
    context.hub.publish(OrdersChanged())
    return "settled" if done else "somebody settled it already"


def _pin(*, time: bool) -> Act:
    async def pin(context: Context, operation: str, actor: str) -> str | Phrase:
        now = context.clock.now()

        def write(tx: Connection) -> bool:
            planned = read_plan(tx, current_version(tx)).get(operation)
            if planned is None:
                return False
            start = planned.start if time else None
            decision = Decision(kind=Kind.PIN, operation=operation, workcell=planned.workcell, start=start)
            decisions.add(tx, decision, actor, now, context.site)
            return True

        try:
            done = await context.database.run(write)
        except ImpossibleDecision as error:
            return joined(problem.reason for problem in error.problems)
        context.hub.publish(OrdersChanged())
        return "pinned: every plan keeps it there" if done else "the plan in force does not have it any more"

    return pin


async def revoke(context: Context, decision: str, actor: str) -> str:
    """Take a decision about planning back; it is planned anew."""
    now = context.clock.now()
    try:
        await context.database.run(lambda tx: decisions.revoke(tx, int(decision), actor, now))
    except UnknownDecision as error:
        return str(error)
    context.hub.publish(OrdersChanged())
    return "revoked: it is planned anew"


ACTS: dict[str, Act] = {
    "acknowledge": _case(CaseDesk.acknowledge, "acknowledged"),
    "plan": _case(CaseDesk.plan, "the next plan has a maintenance window for it"),
    "free": _case(CaseDesk.free, "the planner places it again"),
    "finish": _case(CaseDesk.done, "finished"),
    "fetch": waveform_sheet.fetch,
    "settle": settle,
    "revoke": revoke,
    "pin": _pin(time=False),
    "pin time": _pin(time=True),
}
"""By name."""


OF_OPERATORS = frozenset({"keep", "move", "free", "refuse"})
"""What whoever works at the machines may do, too."""

LABELS = {
    "acknowledge": "acknowledge case",
    "plan": "plan case",
    "finish": "it is done",
    "keep": "keep it at this time",
    "free": "let the planner place it",
    "snooze": "remind me later",
    "move": "move it to a time",
    "refuse": "refuse the order",
    "supply": "say when the parts come",
    "verdict": "say what came of it",
    "fetch": "fetch the block from its edge",
    "dispose": "decide about the pieces",
    "conform": "it is done and conforms",
    "hold again": "hold it again",
    "withdraw": "it was none",
    "freeze": "freeze the limits",
    "bring in": "bring in a model",
    "shadow": "try it in shadow",
    "activate": "use it",
    "roll back": "go back to the one before",
    "retire": "take it out of use",
    "pin": "pin to this workcell",
    "pin time": "pin to workcell and time",
}
"""What stands on the button of a sheet where the name alone would say too little."""
