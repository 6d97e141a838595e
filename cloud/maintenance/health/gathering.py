"""Samples to windows: what each tag of one asset did during a fixed span of source time. Pure.

A tag's mean is weighted by time: a value holds until the next one, as long as the edge's deadband may keep
it silent. Only what is told now and then is meant by count. A window closes when the asset's newest sample is
``grace`` beyond its end; what comes later is counted as late and never judged, so that the same samples give
the same windows whenever and in whatever interleaving of tags they are read.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from cloud.maintenance.health.facts import TagFacts
from protocols.values import Quality, Value

LARGEST = sys.float_info.max
REMEMBERED = 200
"""Changes of mode or program kept a device: enough for samples that come minutes late."""

LONGEST_JUMP = 100
"""Windows without any sample that are gone through one by one; what is longer is a break."""


class TagSpan(msgspec.Struct, frozen=True, array_like=True):
    """What one tag did during a window. ``mean``, ``low`` and ``high`` are None without a good value;
    ``covered`` is the part of the span (0…1) for which a value stood.

    ``odd`` counts values that are no finite number, ``bad`` those of another quality than good, ``outside``
    those outside the physical range, ``disordered`` those older than one before them. ``blind`` is true while
    what was told before a hole in the live values is the newest, and for the span in which that ends.
    """

    mean: float | None = None
    low: float | None = None
    high: float | None = None
    covered: float = 0.0
    good: int = 0
    odd: int = 0
    bad: int = 0
    outside: int = 0
    disordered: int = 0
    blind: bool = False

    @property
    def told(self) -> int:
        """Values of any kind: without one, the span knows only what was told before it."""
        return self.good + self.odd + self.bad + self.outside + self.disordered


class Window(msgspec.Struct, frozen=True, array_like=True):
    """What one asset did during a span that ended at ``end`` (µs UTC).

    ``mode`` is "" while the machine did not execute throughout; ``program`` is "" when it changed or none is
    told. ``broken`` is true for the first window after the asset was silent. ``heard`` is false when nothing
    came of the asset at all: its edge may have been slow, so that a silent tag proves nothing.
    """

    end: int
    mode: str
    program: str
    tags: dict[str, TagSpan]
    broken: bool = False
    heard: bool = True


@dataclass(slots=True)
class Timeline:
    """What held when: the modes or the programs of a device; "" before anything is known."""

    times: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def change(self, ts: int, name: str) -> None:
        """From ``ts`` (µs UTC) on it is ``name``; changes out of order take their place."""
        at = bisect_right(self.times, ts)
        self.times.insert(at, ts)
        self.names.insert(at, name)
        del self.times[:-REMEMBERED], self.names[:-REMEMBERED]

    def during(self, start: int, end: int) -> str:
        """What held over the whole span, or "" when it changed within it."""
        at = bisect_right(self.times, start) - 1
        if at < 0:
            return ""
        name = self.names[at]
        until = bisect_right(self.times, end)
        return name if all(self.names[later] == name for later in range(at + 1, until)) else ""


class _Tag:
    """One tag's samples, in order, into spans."""

    __slots__ = (
        *("area", "bad", "ceiling", "covered", "disordered", "done", "end", "facts", "floor", "good", "high"),
        *("hold", "hole", "last", "last_ts"),
        *("born", "late", "low", "odd", "outside", "span", "start"),
    )

    def __init__(self, facts: TagFacts, span: int, start: int, born: int) -> None:
        self.facts = facts
        self.span = span
        self.born = born
        self.hold = facts.hold
        self.floor, self.ceiling = max(facts.low, -LARGEST), min(facts.high, LARGEST)
        self.last: float | None = None
        self.last_ts = -1
        self.hole = 0
        """Where the newest hole ended (µs UTC), while it was not told since and may be silent; 0: no hole."""
        self.late = 0
        self.done: dict[int, TagSpan] = {}
        self._begin(start)

    def _begin(self, start: int) -> None:
        self.start, self.end = start, start + self.span
        self.area = 0.0
        self.covered = self.good = self.odd = self.bad = self.outside = self.disordered = 0
        self.low, self.high = math.inf, -math.inf

    def add(self, ts: int, value: Value, quality: int) -> None:
        """One sample; a time given twice counts once. Everything that is usual is here: it runs for each."""
        before = self.last_ts
        if ts <= before:
            self.disordered += ts < before
            return
        if ts >= self.end:
            self.finish(ts)
        elif ts < self.start:
            self.late += 1
            return
        last, hold = self.last, self.hold
        if last is not None and hold:
            begin = before if before > self.start else self.start
            stood = (ts if ts - before < hold else before + hold) - begin
            if stood > 0:
                self.area += last * stood
                self.covered += stood
        self.last_ts = ts
        if quality == 0 and type(value) is float and self.floor <= value <= self.ceiling:
            self._good(value)
        else:
            self._unusual(value, quality)

    def _good(self, value: float) -> None:
        self.last = value
        self.good += 1
        if not self.hold:
            self.area += value
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value

    def _unusual(self, value: Value, quality: int) -> None:
        self.last = None
        if isinstance(value, bool | str) or (value is not None and not math.isfinite(value)):
            self.odd += 1
        elif quality != Quality.GOOD or value is None:
            self.bad += 1
        elif self.floor <= value <= self.ceiling:
            self._good(float(value))
        else:
            self.outside += 1

    def finish(self, until: int) -> None:
        """Close the spans that end at or before ``until``."""
        if until >= self.start + LONGEST_JUMP * self.span:
            self._close()
            self._begin(until - until % self.span)
        while until >= self.end:
            self._close()
            self._begin(self.end)

    def _close(self) -> None:
        self._extend(self.end)
        told = self.good + self.odd + self.bad + self.outside + self.disordered
        blind = self.hole > 0
        if self.last_ts >= self.hole or self.end >= self.hole + self.facts.hold:
            self.hole = 0
        if not self.covered and not told and not blind:
            return
        held = self.last is not None and not self.good and self.covered > 0
        low = self.last if held else self.low if self.good else None
        high = self.last if held else self.high if self.good else None
        mean = self.area / self.covered if self.covered else None
        covered = self.covered / self.span
        if not self.facts.hold:
            mean, covered = (self.area / self.good, 1.0) if self.good else (None, 0.0)
        self.done[self.end] = TagSpan(
            mean,
            low,
            high,
            covered,
            self.good,
            self.odd,
            self.bad,
            self.outside,
            self.disordered,
            blind,
        )

    def interrupted(self, ts: int) -> None:
        """Nothing holds until it is told again: from ``ts`` on, that may take as long as a value holds."""
        self.last = None
        self.hole = ts

    def _extend(self, to: int) -> None:
        """The last value stands until ``to``, but no longer than it holds."""
        if self.last is None or not self.facts.hold:
            return
        begin = max(self.last_ts, self.start)
        stood = min(to, self.last_ts + self.facts.hold) - begin
        if stood > 0:
            self.area += self.last * stood
            self.covered += stood


_NOTHING = TagSpan()


class Gatherer:
    """Gathers one asset's samples. ``span`` and ``grace`` (a span when left out) in µs."""

    def __init__(self, span: int, facts: Iterable[TagFacts] = (), grace: int | None = None) -> None:
        self.span = span
        self.grace = span if grace is None else grace
        self.modes = Timeline()
        self.programs = Timeline()
        self._facts: dict[str, TagFacts] = {}
        self._tags: dict[str, _Tag] = {}
        self._mark = -1
        self._next = 0
        """End of the window that closes next; 0 before the first sample."""
        self._due = 0
        """When the next window may close."""
        self._alive = 0
        self._broken = True
        self.know(facts)

    def know(self, facts: Iterable[TagFacts]) -> None:
        """The tags of the asset as they are now; one that changed its type or unit begins anew."""
        self._facts = {each.name: each for each in facts}
        self._tags = {name: tag for name, tag in self._tags.items() if self._facts.get(name) == tag.facts}

    @property
    def facts(self) -> Mapping[str, TagFacts]:
        """The tags by name."""
        return self._facts

    @property
    def late(self) -> int:
        """Samples that came after their window was closed."""
        return sum(tag.late for tag in self._tags.values())

    def take(self, name: str, ts: int, value: Value, quality: int = 0) -> Iterable[Window]:
        """Add a sample (``ts`` in µs UTC); the windows it closes. Raises KeyError for an unknown tag."""
        tag = self._tags.get(name)
        if tag is None:
            tag = self._first(name, ts, value, quality)
            if tag is None:
                return ()
        tag.add(ts, value, quality)
        if ts <= self._mark:
            return ()
        return self._advance(ts)

    def _first(self, name: str, ts: int, value: Value, quality: int) -> _Tag | None:
        """The tag of a first sample; None for a program, which is no number."""
        facts = self._facts[name]
        if facts.role == "program":
            if isinstance(value, str) and quality == Quality.GOOD:
                self.programs.change(ts, value)
            return None
        begin = max(ts - ts % self.span, self._next - self.span)
        tag = self._tags[name] = _Tag(facts, self.span, begin, ts)
        return tag

    def interrupted(self, ts: int) -> None:
        """Live values are missing before ``ts`` (µs UTC): what was told last may have changed since, so that
        nothing holds until it is told again. What comes late of that time is a backlog, which is not judged.
        """
        for tag in self._tags.values():
            tag.interrupted(ts)

    def heard(self, ts: int) -> Iterable[Window]:
        """The device was connected at ``ts``, though no tag may have told anything."""
        self._alive = max(self._alive, ts)
        return self._advance(ts) if self._next else ()

    def _advance(self, ts: int) -> Iterable[Window]:
        self._mark = max(self._mark, ts)
        if ts < self._due:
            return ()
        if not self._next:
            self._next = ts - ts % self.span + self.span
        closed = list(self._close()) if ts >= self._next + self.grace else ()
        self._due = self._next + self.grace
        return closed

    def _close(self) -> Iterator[Window]:
        due = self._mark - self.grace
        while self._next <= due:
            window = self._window(self._next)
            if window is None:
                self._broken = True
                if due - self._next > LONGEST_JUMP * self.span:
                    self._next = due - due % self.span
            else:
                yield window
            self._next += self.span

    def _window(self, end: int) -> Window | None:
        spans: dict[str, TagSpan] = {}
        for name, tag in sorted(self._tags.items()):
            if tag.born >= end:
                continue
            tag.finish(end)
            spans[name] = tag.done.pop(end, _NOTHING)
            for older in [each for each in tag.done if each < end]:
                del tag.done[older]
        heard = end <= self._alive or any(span.told for span in spans.values())
        if not heard and not any(span.covered for span in spans.values()):
            return None
        broken, self._broken = self._broken, False
        mode = self.modes.during(end - self.span, end)
        program = self.programs.during(end - self.span, end)
        return Window(end, mode, program, spans, broken, heard)
