"""The tags by which an edge tells the lives that it worked out, like any other sample."""

from __future__ import annotations

from collections.abc import Mapping

from edge.life.model_files import EdgeModel
from protocols.catalogue import TagDefinition
from protocols.values import DataType

LIFE, LOWER, UPPER = "remaining_life", "remaining_life.lower", "remaining_life.upper"
NAMES = (LIFE, LOWER, UPPER)


def definitions(models: Mapping[str, EdgeModel]) -> list[TagDefinition]:
    """Catalogue entries, not numbered yet: in the model's unit, told once for each row and never repeated."""
    return [
        TagDefinition(0, f"{device}/{name}", DataType.FLOAT64, one.prognoser.model.unit, "", device)
        for device, one in models.items()
        for name in NAMES
    ]
