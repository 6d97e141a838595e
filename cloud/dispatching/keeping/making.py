"""A plan being made: from which look at the floor, why, since when, and what came of it so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from cloud.dispatching.floor.building import Wish
from cloud.dispatching.floor.floor import Floor
from cloud.dispatching.keeping.causes import URGENT
from cloud.dispatching.keeping.plans import Cause
from cloud.dispatching.shop.schedule import Schedule


class Look(msgspec.Struct, frozen=True):
    """What one look at the database found; ``news`` when edges should hear something."""

    floor: Floor
    wishes: tuple[Wish, ...]
    causes: tuple[Cause, ...]
    news: bool


class Situation(NamedTuple):
    """What a problem is made from: the floor, and the maintenance that wants doing."""

    floor: Floor
    wishes: tuple[Wish, ...]


class SearchProgress(msgspec.Struct, frozen=True):
    """How far the search for a plan is: the one under way, else the last one.

    ``began`` is µs UTC. ``cost`` is what the best plan so far costs, ``bound`` what no plan can undercut,
    ``gap`` the share of the cost that may still be saved (0…1); null where nothing is known yet.
    """

    searching: bool
    causes: tuple[Cause, ...] = ()
    began: int | None = None
    seconds: float = 0.0
    operations: int = 0
    plans: int = 0
    """Better and better ones that were found, the constructed one included."""
    cost: int | None = None
    bound: float | None = None
    gap: float | None = None
    status: str = "none"


@dataclass(slots=True)
class Making:
    """One attempt. ``began`` and ``ended`` are monotonic seconds, ``began_at`` is µs UTC."""

    look: Look
    causes: tuple[Cause, ...]
    began: float
    began_at: int
    best: Schedule | None = None
    found: int = 0
    in_force: Schedule | None = None
    ended: float | None = None

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for this plan."""
        return any(cause.kind in URGENT for cause in self.causes)

    def is_news(self, cause: Cause) -> bool:
        """Whether an urgent cause came up that this plan does not consider."""
        known = {(one.kind, one.about) for one in self.causes}
        return cause.kind in URGENT and (cause.kind, cause.about) not in known

    def progress(self, monotonic: float) -> SearchProgress:
        """What there is to say of it now."""
        best = self.best
        return SearchProgress(
            searching=self.ended is None,
            causes=self.causes,
            began=self.began_at,
            seconds=round((self.ended if self.ended is not None else monotonic) - self.began, 3),
            operations=len(self.look.floor.operations),
            plans=self.found,
            cost=best.objective.total if best is not None else None,
            bound=best.bound if best is not None else None,
            gap=best.gap if best is not None else None,
            status=str(best.status) if best is not None else "none",
        )
