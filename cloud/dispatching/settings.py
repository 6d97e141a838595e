"""How dispatching is set up: the ``dispatch`` section of ``cloud.yaml``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cloud.dispatching.shop.problem import Weights

Seconds = Annotated[float, Field(ge=0, le=86_400)]


class DispatchSettings(BaseModel):
    """Times in seconds. What depends on how long work takes is given as a share of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    solve_seconds: Seconds = Field(4.0, description="search per plan; 0 plans by dispatch rules alone")
    hurry_seconds: Seconds = Field(1.0, description="how long a search goes on after urgent news")
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    standby: bool = Field(
        True, description="keep a solver process loaded: plans begin two seconds sooner, for 250 MB of memory"
    )
    scenario_seconds: Annotated[float, Field(ge=0, le=600)] = Field(
        30.0, description="how long a what-if is improved after its first answer"
    )
    scenario_workers: Annotated[int, Field(ge=1, le=64)] = 4
    stability: Annotated[int, Field(ge=0, le=10_000)] = Field(
        Weights().deviation,
        description="what each second costs by which work leaves the published plan (tardiness costs 1000)",
    )
    debounce_seconds: Seconds = Field(1.0, description="how long causes are gathered before planning anew")
    look_seconds: Annotated[float, Field(gt=0, le=600)] = Field(
        2.0, description="how often plan and floor are compared when nothing is heard"
    )
    late_seconds: Seconds = Field(10.0, description="between two plans whose only cause is lateness")
    late_share: Annotated[float, Field(gt=0, le=10)] = Field(
        0.25, description="share of an operation's duration by which it may differ from the plan"
    )
    ahead: Annotated[int, Field(ge=1, le=1000)] = Field(
        6, description="operations per workcell that go out to the edge ahead of time"
    )
    repair_seconds: Annotated[int, Field(ge=1, le=864_000)] = Field(
        900, description="how long a machine is expected to be down where its past says nothing"
    )
    hold_seconds: Annotated[int, Field(ge=1, le=864_000)] = Field(
        14_400, description="how long it usually takes until somebody decides about a lot on hold"
    )
    ask_again_seconds: Seconds = Field(60.0, description="after an edge kept an operation it was asked for")
    service_seconds: Annotated[int, Field(ge=1, le=864_000)] = Field(
        3600, description="how long the service of a planned maintenance case takes"
    )
    service_within_seconds: Annotated[int, Field(ge=60, le=8_640_000)] = Field(
        86_400, description="when it should be done at the latest, after the case was planned"
    )
    service_delay_cost: Annotated[int, Field(ge=0, le=10_000)] = Field(
        20, description="what each second costs by which it ends later than it could (tardiness costs 1000)"
    )
    calendar_days: Annotated[int, Field(ge=1, le=366)] = 30
    keep_plans: Annotated[int, Field(ge=2, le=10_000)] = 100
