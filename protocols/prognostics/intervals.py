"""Intervals around a predicted life: conformal, by bin of the predicted life (Mondrian).

Source: Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005, §4.5. Each bin holds how far
below and above the prediction the truth lay for assets the model had not seen, at the wanted level.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec


class Intervals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``edges`` (ascending) part predictions into ``len(edges) + 1`` bins; an edge belongs to the bin above.

    ``below`` and ``above`` are added to a prediction for the bounds: ``below`` ≤ ``above``, mostly of
    opposite signs. ``level`` is the wanted coverage, such as 0.9.
    """

    level: float
    edges: tuple[float, ...]
    below: tuple[float, ...]
    above: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise ValueError(f"intervals: the level is {self.level}, between 0 and 1 is wanted")
        if not len(self.edges) + 1 == len(self.below) == len(self.above):
            raise ValueError(f"intervals: {len(self.edges)} edges want {len(self.edges) + 1} bins")
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError("intervals: the edges do not ascend")
        if any(below > above for below, above in zip(self.below, self.above, strict=True)):
            raise ValueError("intervals: a bin's lower offset lies above its upper one")

    def around(self, life: float, horizon: float) -> tuple[float, float]:
        """Lower and upper bound, within 0 … ``horizon``; a bound never lies on the wrong side of ``life``."""
        at = bisect_right(self.edges, life)
        lower = max(0.0, min(life, life + self.below[at]))
        return lower, min(horizon, max(life, life + self.above[at]))
