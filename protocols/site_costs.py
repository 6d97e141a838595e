"""What hours cost at a site: rates in one currency, for comparing plans in money."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Rate = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=4, allow_inf_nan=False)]
"""An amount of the site's currency for an hour."""


class Costs(BaseModel):
    """What beside the rates of workcells and crews is needed to tell what a plan costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = Field(
        description="of all rates, by its code of ISO 4217: EUR, CNY"
    )
    overtime_percent: (
        Annotated[Decimal, Field(ge=0, le=1_000, decimal_places=4, allow_inf_nan=False)] | None
    ) = Field(default=None, description="what an hour of overtime costs more, in percent")
    late_per_hour: Rate | None = Field(
        default=None,
        description="what an hour costs that an order is late by the clock, times its priority",
    )
