"""What every part of a profile has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """Anything in a profile: unknown keys are errors, nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Seconds = Annotated[float, Field(gt=0, le=86_400)]


def mapping(value: Any) -> Mapping[Any, Any]:
    """A value of plain data where a mapping belongs; an empty one when it is none."""
    return value if isinstance(value, Mapping) else {}
