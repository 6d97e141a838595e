"""What can work when, as far as the calendar is looked ahead: machines, crews, tools and vehicles.

From the site file, what people decided, and what is down. Times of the result are seconds after an origin;
nothing is said about the time behind the last day that is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from cloud.dispatching.floor import decisions
from cloud.dispatching.floor.decisions import Decision
from cloud.dispatching.floor.floor import Floor
from cloud.dispatching.shop.problem import Kind, Level, Resource, Vehicles, Window
from protocols.calendar import Span, holidays, longest_stretch, resting, shifts, without
from protocols.site import Crew, Site, Workcell
from protocols.values import MICROSECONDS

DAY = 86_400 * MICROSECONDS


class Availability:
    """Availability of a site from the floor's moment on, for ``days`` days; ``origin`` is µs UTC."""

    def __init__(self, floor: Floor, site: Site, days: int, origin: int) -> None:
        self.floor = floor
        self.site = site
        self.origin = origin
        self.start = floor.now
        self.end = floor.now + days * DAY
        self._shifts = shifts(site.calendar, self.start, self.end)
        self._rests = self._named(resting(site.calendar, self.start, self.end))
        self._overtime = [d for d in floor.decisions if d.kind is decisions.Kind.OVERTIME]

    # --- machines -----------------------------------------------------------------------------------

    def windows(self, cell: Workcell) -> Iterator[Window]:
        """When a workcell cannot work: rests of the calendar less overtime, planned stops, and while down."""
        overtime = self._overtime_at(cell)
        for rest, reason in self._rests:
            for left in without([rest], overtime):
                yield from self._window(left, reason, pause=True)
        for decision in self.floor.decisions:
            if decision.kind is decisions.Kind.CLOSED and decision.workcell == cell.id:
                yield from self._window(_span(decision), decision.reason or "planned stop")
        down = self.floor.down.get(cell.id)
        if down is not None:
            until = max(down.expected, self.start + MICROSECONDS)
            yield from self._window(Span(min(down.since, self.start), until), down.reason)

    def overtime(self, cell: Workcell) -> Iterator[Window]:
        """When a workcell works though the calendar rests."""
        overtime = self._overtime_at(cell)
        for rest, _ in self._rests if overtime else ():
            for worked in without([rest], without([rest], overtime)):
                yield from self._window(worked, "overtime")

    def _overtime_at(self, cell: Workcell) -> list[Span]:
        return [_span(d) for d in self._overtime if d.holds_at(cell.id)]

    def resting_seconds(self, cell: Workcell, seconds: int) -> int:
        """How long work of so many ``seconds`` that begins now rests on its way, if it may."""
        rested = 0
        windows = sorted((w for w in self.windows(cell) if w.pause), key=lambda window: window.start)
        now = self._seconds(self.start)
        for window in windows:
            if window.start - now >= seconds + rested:
                break
            rested += window.end - max(window.start, now)
        return rested

    def _window(self, span: Span, reason: str, *, pause: bool = False) -> Iterator[Window]:
        first, last = self._seconds(span.start), self._seconds(span.end)
        if last > first:
            yield Window(start=first, end=last, reason=reason, pause=pause)

    def _named(self, rests: Sequence[Span]) -> list[tuple[Span, str]]:
        """Rests with what people call them."""
        free = holidays(self.site.calendar, self.start, self.end)
        named: list[tuple[Span, str]] = []
        for rest in rests:
            day = next((day for day, span in free.items() if _meet(rest, span)), None)
            inside = any(span.start <= rest.start and rest.end <= span.end for _, span in self._shifts)
            name = self.site.calendar.holidays[day] if day is not None else ""
            named.append((rest, "break" if inside else name or "no shift"))
        return named

    # --- what they share ----------------------------------------------------------------------------

    def resources(self) -> Iterator[Resource]:
        """Crews and tools of the site."""
        for name, crew in self.site.crew.items():
            levels = tuple(self._levels(name, crew))
            yield Resource(
                id=name,
                label=crew.title,
                kind=Kind.CREW,
                capacity=crew.most,
                levels=levels,
                cost_per_hour=crew.cost_per_hour,
            )
        for name, tool in self.site.tools.items():
            yield Resource(id=name, label=tool.title, kind=Kind.TOOL, capacity=tool.count)

    def _levels(self, name: str, crew: Crew) -> Iterator[Level]:
        """Where a crew has not as many heads as its largest shift. A time nobody works at needs no level."""
        changes = [d for d in self.floor.decisions if d.kind is decisions.Kind.HEADS and d.skill == name]
        if not crew.shifts and not changes:
            return
        spans = [span for _, span in self._shifts]
        cuts = self._cuts([*spans, *map(_span, changes), *map(_span, self._overtime)])
        open_since, heads = self.start, crew.most
        for cut, following in pairwise(cuts):
            there = [
                crew.shifts.get(s.name, crew.heads)
                for s, span in self._shifts
                if _meet(span, (cut, following))
            ]
            at_work = there or any(_meet(_span(d), (cut, following)) for d in self._overtime)
            if self._shifts and not at_work:
                continue
            more = sum(d.heads for d in changes if _meet(_span(d), (cut, following)))
            now = max(0, max(there, default=crew.heads) + more)
            if now != heads:
                yield from self._level(open_since, cut, heads, crew.most)
                open_since, heads = cut, now
        yield from self._level(open_since, self.end, heads, crew.most)

    def vehicles(self) -> Vehicles | None:
        """The vehicles between workcells; those that are stuck come back when they are expected to."""
        fleet, empty = self.site.transport.vehicles, self.site.transport.empty
        if fleet is None:
            return None
        if isinstance(fleet, int):
            return Vehicles(count=fleet, empty=empty)
        stuck = [
            Span(self.start, self.floor.stuck[name].expected) for name in fleet if name in self.floor.stuck
        ]
        levels: list[Level] = []
        for cut, following in pairwise(self._cuts(stuck)):
            left = len(fleet) - sum(_meet(span, (cut, following)) for span in stuck)
            levels += self._level(cut, following, left, len(fleet))
        return Vehicles(count=len(fleet), empty=empty, levels=tuple(levels))

    def _cuts(self, spans: Iterable[Span]) -> list[int]:
        """Moments at which something begins or ends, the first and the last that are looked at included."""
        moments = {moment for span in spans for moment in span if self.start < moment < self.end}
        return [self.start, *sorted(moments), self.end]

    def _level(self, start: int, end: int, capacity: int, usual: int) -> Iterator[Level]:
        first, last = self._seconds(start), self._seconds(end)
        if capacity != usual and last > first:
            yield Level(start=first, end=last, capacity=capacity)

    def _seconds(self, utc: int) -> int:
        return (utc - self.origin) // MICROSECONDS


def longest_work(floor: Floor, site: Site) -> int | None:
    """Seconds of the longest work without a rest, overtime included; None when there is no end to it."""
    usual = longest_stretch(site.calendar)
    if usual is None:
        return None
    longest = usual
    for decision in floor.decisions:
        if decision.kind is decisions.Kind.OVERTIME:
            extra = _span(decision)
            rests = resting(site.calendar, extra.start - DAY, extra.end + DAY)
            left = without(rests, [extra])
            worked = without([Span(extra.start - DAY, extra.end + DAY)], left)
            longest = max([longest, *((span.end - span.start) // MICROSECONDS for span in worked)])
    return longest


def _span(decision: Decision) -> Span:
    return Span(decision.start or 0, decision.end or 0)


def _meet(one: Sequence[int], other: Sequence[int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
