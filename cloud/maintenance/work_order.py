"""The maintenance order that a case proposes: what it takes, and the window in which it should be done. Pure.

The window begins when the parts are there and ends at the bound: where the lower bound of the remaining life
is on the calendar less a margin, else where a growing sign or the trend of the health leads, else after the
span that the site file gives for this failure.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from cloud.maintenance.prognosis import HOUR, PlannedLoad, Prognosis, date
from protocols.order_window import Declined, check
from protocols.site_maintenance import Upkeep
from protocols.values import MICROSECONDS


class BoundFrom(StrEnum):
    """Where the bound of an order comes from."""

    RUL = "rul"
    """The lower bound of the remaining useful life."""
    LIMIT = "limit"
    """How a sign of wear grows towards the limit that the site file gives for it."""
    TREND = "trend"
    """The trend of the health."""
    SPAN = "span"
    """Nothing foretells it: the span of the site file."""


Done = Callable[[int, int], int]
"""When (µs UTC) work of so many µs that is begun at a time (µs UTC) or later is done."""


def by_the_clock(begin: int, work: int) -> int:
    """Somebody is always there."""
    return begin + work


class WorkOrder(msgspec.Struct, frozen=True):
    """What is to be done to a machine. Times in µs UTC.

    ``fixed`` is when it begins because a person said so; None: the planner decides. ``late_parts``: they come
    too late for the bound, which was put off until the repair is possible. ``revision`` grows with every
    change, so that planner and terminal know the newest. ``declined`` is a move that a station asked for and
    that was not possible. ``workcell`` is empty for a machine that stands at
    none: nothing in the plan waits for it.
    """

    workcell: str
    seconds: int
    earliest: int
    bound: int
    bound_from: BoundFrom
    skills: dict[str, int] = {}
    parts: tuple[str, ...] = ()
    weight: int = 1
    fixed: int | None = None
    late_parts: bool = False
    revision: int = 0
    declined: Declined | None = None

    @property
    def duration(self) -> int:
        """µs."""
        return self.seconds * MICROSECONDS

    def against(self, start: int, now: int) -> Declined | None:
        """Why it cannot begin at ``start`` within its window; None where it can. Times in µs UTC."""
        return check(start, now=now, earliest=self.earliest, bound=self.bound, seconds=self.seconds)

    def changed(self, **fields: Any) -> WorkOrder:
        """The next revision; what a station was told about an earlier one is over."""
        return replace(self, **{"declined": None, "revision": self.revision + 1, **fields})

    def kept_at(self, start: int) -> WorkOrder:
        """The order at a time (µs UTC) that a person gave it."""
        return self.changed(fixed=start)

    def supplied_at(self, moment: int, done: Done = by_the_clock) -> WorkOrder:
        """The order with parts that come at ``moment`` (µs UTC): not before, and if that is too late for its
        bound, as soon as it can be. A time that a person gave it stays.
        """
        possible = done(moment, self.duration)
        late = self.bound < possible
        bound = done(possible, self.duration) if late else self.bound
        return self.changed(earliest=moment, bound=bound, late_parts=late)

    def freed(self) -> WorkOrder:
        """The order without a time: the planner places it."""
        return self.changed(fixed=None)


class Foreseen(msgspec.Struct, frozen=True):
    """What is known about the remaining life, and from where."""

    prognosis: Prognosis
    source: BoundFrom


class Life(msgspec.Struct, frozen=True):
    """A prognosis in operating hours, and the dates (µs UTC) at which they are worked off; None is beyond
    what can be foreseen, or behind what is looked ahead.
    """

    prognosis: Prognosis
    source: BoundFrom
    lower_at: int | None
    median_at: int | None
    upper_at: int | None


def life(foreseen: Foreseen, now: int, load: PlannedLoad) -> Life:
    """What is foreseen, on the calendar."""
    known = foreseen.prognosis
    dates = [
        date(load, now, hours) if hours is not None else None
        for hours in (known.lower, known.median, known.upper)
    ]
    return Life(known, foreseen.source, *dates)


def propose(
    upkeep: Upkeep,
    workcell: str,
    now: int,
    load: PlannedLoad,
    foreseen: Foreseen | None = None,
    done: Done = by_the_clock,
) -> WorkOrder:
    """The order for a failure that is kept up by ``upkeep``; ``now`` in µs UTC.

    A bound before which it cannot be ``done`` is put off: to when there is time for it twice.
    """
    earliest = now + round(upkeep.lead_hours * HOUR)
    bound, source = now + round(upkeep.within_hours * HOUR), BoundFrom.SPAN
    if foreseen is not None and foreseen.prognosis.lower is not None:
        fails = date(load, now, foreseen.prognosis.lower)
        if fails is not None:
            bound, source = now + round((fails - now) * (1 - upkeep.margin)), foreseen.source
    order = WorkOrder(
        workcell=workcell,
        seconds=upkeep.seconds,
        earliest=earliest,
        bound=bound,
        bound_from=source,
        skills=dict(upkeep.needs),
        parts=upkeep.parts,
        weight=upkeep.weight,
    )
    possible = done(earliest, order.duration)
    if bound < possible:
        return replace(order, bound=done(possible, order.duration), late_parts=True)
    return order


def foresee_again(before: WorkOrder, now: WorkOrder, done: Done = by_the_clock) -> WorkOrder | None:
    """``before`` with the window of a newer proposal; None where that changes nothing worth planning anew.

    Parts that were ordered come when they come: the begin of the window stays. What a person fixed stays.
    """
    bound = max(now.bound, done(before.earliest, before.duration))
    slack = max(before.duration // 4, abs(before.bound - before.earliest) // 10)
    if abs(bound - before.bound) <= slack:
        return None
    return before.changed(bound=bound, bound_from=now.bound_from, late_parts=bound > now.bound)
