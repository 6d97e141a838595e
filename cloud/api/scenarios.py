"""What if: ask what a change would do to the plan, look at the answer, accept or discard it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from cloud.api.answers import Reply, answers
from cloud.api.security import In, Supervisor, Viewer
from cloud.dispatching.asking.changes import ScenarioRequest
from cloud.dispatching.asking.scenarios import ScenarioAnswer, ScenarioHead

router = APIRouter(tags=["schedule"], prefix="/schedule/scenarios")
Id = Annotated[str, Path(max_length=64)]


@router.post("", status_code=201, responses=answers(ScenarioAnswer, status=201, description="First answer"))
async def ask(context: In, session: Supervisor, request: ScenarioRequest) -> Reply:
    """What if? The first answer, compared with the plan in force; it gets better: ask for it again.

    Nothing is changed, and nobody hears of it. Changes that nobody could make are refused (422) with every
    reason at once; 429 while too many are asking.
    """
    return Reply(await context.scenarios.ask(request, session.user), status_code=201)


@router.get("", responses=answers(list[ScenarioHead]))
async def scenarios(context: In, _: Viewer) -> Reply:
    """The scenarios there are, newest first. They are kept in memory, for a while."""
    return Reply(await context.scenarios.heads())


@router.get("/{scenario}", responses=answers(ScenarioAnswer))
async def scenario(context: In, _: Viewer, scenario: Id) -> Reply:
    """How far a scenario is, and what it would change as far as is known."""
    return Reply(await context.scenarios.answer(scenario))


@router.delete("/{scenario}", status_code=204, responses=answers(None, status=204))
async def discard(context: In, _: Supervisor, scenario: Id) -> None:
    """Forget a scenario; nothing was changed by it, and what was accepted stays."""
    context.scenarios.discard(scenario)


@router.post("/{scenario}/accept", responses=answers(ScenarioAnswer))
async def accept(context: In, session: Supervisor, scenario: Id) -> Reply:
    """Make the changes for good: orders in, changed or cancelled, decisions in force. It is planned anew from
    the plan of the scenario. Accepting twice is harmless. 409 when the floor has changed so that a change is
    not possible any more: then nothing is changed.
    """
    return Reply(await context.scenarios.accept(scenario, session.user))
