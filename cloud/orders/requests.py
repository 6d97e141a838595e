"""What the office asks for: an order as it comes in through the API, and why it may be refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from cloud.phrase import Phrase, phrase

OrderId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,20}$")]
Words = Annotated[str, StringConstraints(max_length=500)]

MAX_QUANTITY = Decimal(10_000)
"""Units one order line may ask for: small batches are what this is for."""


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LineRequest(_Request):
    """One article of an order. Parameters that are left out take the product's defaults."""

    product: Annotated[str, StringConstraints(max_length=64)]
    quantity: Annotated[Decimal, Field(allow_inf_nan=False, examples=[4])]
    parameters: Annotated[dict[str, Decimal | Words], Field(max_length=50)] = Field(
        default_factory=dict, examples=[{"width": 612, "colour": "RAL 5010"}]
    )
    material_at: AwareDatetime | None = Field(
        default=None, description="when its material is there; left out: it is there"
    )


class OrderRequest(_Request):
    """A customer's order. ``due`` with its UTC offset; ``id`` is given by OneLot when it is left out."""

    id: OrderId | None = None
    customer: Annotated[str, StringConstraints(max_length=120)] = ""
    due: AwareDatetime = Field(examples=["2026-11-26T16:00:00+08:00"])
    priority: Annotated[int, Field(description="1 is ordinary, 10 the most urgent")] = 1
    note: Words = ""
    shortage: Literal["replace", "reduce"] = Field(
        "replace", description="what follows from scrap: it is made anew, or less is delivered"
    )
    lines: Annotated[tuple[LineRequest, ...], Field(max_length=50)]


class OrderChange(_Request):
    """Another promise for an order that is not done; what is left out stays as it is."""

    due: AwareDatetime | None = Field(default=None, examples=["2026-11-27T12:00:00+08:00"])
    priority: Annotated[int | None, Field(description="1 is ordinary, 10 the most urgent")] = None
    material_at: AwareDatetime | None = Field(
        default=None, description="when the material of all that is not begun is there"
    )


class OrderProblem(msgspec.Struct, frozen=True):
    """One reason why an order is impossible; ``path`` says where, e.g. ``lines.0.parameters.width``."""

    path: str
    reason: Phrase

    @property
    def message(self) -> str:
        """The reason in English."""
        return str(self.reason)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ImpossibleOrder(ValueError):
    """An order that cannot be made as it is asked for; ``problems`` holds every reason at once."""

    def __init__(self, problems: list[OrderProblem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class UnknownOrder(KeyError):
    """There is no order of this id."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.reason = phrase('there is no order "{order}"', order=order)
        super().__init__(str(self.reason))
