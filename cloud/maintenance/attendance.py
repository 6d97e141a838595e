"""When a maintenance can be done: while the site works and everybody it needs is there. Pure.

By the calendar and the crews of the site file, as the planner has them: a maintenance rests over no pause.
What somebody decided for a day (overtime, fewer heads) and what other work takes is the planner's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from cloud.maintenance.prognosis import DAY, HORIZON_DAYS
from cloud.maintenance.work_order import Done, WorkOrder
from protocols.calendar import Span, shifts, without, working
from protocols.site import Site


def attended(site: Site, needs: Mapping[str, int], start: int, end: int) -> list[Span]:
    """The spans within [start, end) µs UTC in which the site works with as many heads as ``needs`` says."""
    spans = working(site.calendar, start, end)
    for name, number in needs.items():
        if name in site.tools and site.tools[name].count < number:
            return []
        crew = site.crew.get(name)
        if crew is None:
            continue
        there = [(crew.shifts.get(s.name, crew.heads), span) for s, span in shifts(site.calendar, start, end)]
        if not there and crew.heads < number:
            return []
        enough = [span for heads, span in there if heads >= number]
        for lacking in (span for heads, span in there if heads < number):
            spans = without(spans, without([lacking], enough))
    return spans


def first_done(spans: Sequence[Span], begin: int, work: int) -> int | None:
    """When ``work`` (µs) without a rest, begun at ``begin`` or later, is done; None where it never fits."""
    for span in spans:
        at = max(span.start, begin)
        if at + work <= span.end:
            return at + work
    return None


def done_by(site: Site, needs: Mapping[str, int]) -> Done:
    """By the calendar of the site. Where it has no stretch that is long enough, the clock alone counts."""

    def done(begin: int, work: int) -> int:
        for days in (7, HORIZON_DAYS):
            found = first_done(attended(site, needs, begin, begin + days * DAY), begin, work)
            if found is not None:
                return found
        return begin + work

    return done


class Lack(StrEnum):
    """What is missing for a maintenance order."""

    PARTS = "parts"
    """They are on their way until ``since``."""
    NUMBER = "number"
    """The site has too few heads or tools altogether."""
    TIME = "time"
    """There are not so many, long enough, before the bound; ``since`` is when there are first, or 0."""


class Shortage(msgspec.Struct, frozen=True):
    """One thing that is missing: of ``name`` (a crew, a tool; the parts) ``there`` are so many, ``needed`` so
    many; ``since`` (µs UTC) is from when it is not missing any more.
    """

    lack: Lack
    name: str
    needed: int
    there: int = 0
    since: int = 0


def shortages(site: Site, order: WorkOrder, now: int) -> list[Shortage]:
    """What is missing at ``now`` (µs UTC) for an order, parts first."""
    found: list[Shortage] = []
    begin = max(order.earliest, now)
    if order.parts and order.earliest > now:
        found.append(Shortage(Lack.PARTS, ", ".join(order.parts), len(order.parts), 0, order.earliest))
    for name, needed in order.skills.items():
        crew, tool = site.crew.get(name), site.tools.get(name)
        if crew is None and tool is None:  # the order may be older than the site file
            continue
        most = crew.most if crew is not None else tool.count if tool is not None else 0
        if most < needed:
            found.append(Shortage(Lack.NUMBER, name, needed, most))
            continue
        spans = attended(site, {name: needed}, begin, max(order.bound, begin) + HORIZON_DAYS * DAY)
        done = first_done(spans, begin, order.duration)
        if done is None or done > order.bound:
            since = 0 if done is None else done - order.duration
            found.append(Shortage(Lack.TIME, name, needed, most, since))
    return found
