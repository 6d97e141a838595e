"""Which requests read a list of tags: as few as possible, within limits, around what is illegal. Pure.

Tags that lie near each other share a request. What a device refuses is found by halving the request and
remembered: an *illegal range* is not read again, and a *cut* is a gap that no request may span
(both sides can be read, the unused registers between them cannot). What answers *device failure* is read by
itself until it answers well.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from drivers.modbus.profile import Table


class Span(NamedTuple):
    """The registers (or bits) of one tag: ``size`` from ``start``."""

    name: str
    table: Table
    start: int
    size: int

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.start + self.size


class Request(NamedTuple):
    """One read of ``size`` registers (or bits) that covers ``spans``."""

    table: Table
    start: int
    size: int
    spans: tuple[Span, ...]

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device takes in one request."""

    max_gap: int = 16
    max_registers: int = 125
    max_bits: int = 2000

    def most(self, table: Table) -> int:
        """The largest request to a table."""
        return self.max_bits if table.bits else self.max_registers

    def gap(self, table: Table) -> int:
        """The widest gap worth reading: a register is as long as 16 bits."""
        return self.max_gap * 16 if table.bits else self.max_gap


@dataclass(slots=True)
class Knowledge:
    """What a device has refused so far."""

    illegal: set[tuple[Table, int, int]] = field(default_factory=set)
    """Table, first and end address of tags that cannot be read even alone."""
    cuts: set[tuple[Table, int, int]] = field(default_factory=set)
    """Table, first and end address of gaps that no request may read over as a whole. One without a width is a
    border between two neighbours."""
    failing: set[tuple[Table, int, int]] = field(default_factory=set)
    """Table, first and end address of what fails for now: read by itself, so that it spoils nothing else."""

    def refuses(self, span: Span) -> bool:
        """Whether a span holds a whole illegal range."""
        return any(
            table is span.table and span.start <= start and end <= span.end
            for table, start, end in self.illegal
        )

    def forbids(self, table: Table, start: int, end: int) -> bool:
        """Whether a request of several spans may not cover ``start`` to ``end``."""
        ranges = (*self.illegal, *self.failing)
        return any(t is table and first < end and start < last for t, first, last in ranges) or any(
            t is table and start <= first and last <= end and start < last and first < end
            for t, first, last in self.cuts
        )


def plan(spans: Iterable[Span], limits: Limits, knowledge: Knowledge) -> list[Request]:
    """The fewest requests that read every span which is not known to be illegal, each exactly once.

    Raises:
        ValueError: a span alone is larger than a request may be.
    """
    ordered = sorted(
        (span for span in spans if not knowledge.refuses(span)),
        key=lambda span: (span.table, span.start, -span.size, span.name),
    )
    requests: list[Request] = []
    members: list[Span] = []
    end = 0
    for span in ordered:
        if span.size > limits.most(span.table):
            raise ValueError(f"{span.name}: {span.size} is more than a request may read")
        if members and _joins(members[0], end, span, limits, knowledge):
            members.append(span)
            end = max(end, span.end)
            continue
        if members:
            requests.append(_request(members))
        members, end = [span], span.end
    if members:
        requests.append(_request(members))
    return requests


def _joins(first: Span, end: int, span: Span, limits: Limits, knowledge: Knowledge) -> bool:
    if (span.start, span.size) == (first.start, end - first.start) and span.table is first.table:
        return True
    new_end = max(end, span.end)
    return (
        span.table is first.table
        and span.start - end <= limits.gap(span.table)
        and new_end - first.start <= limits.most(span.table)
        and not knowledge.forbids(span.table, first.start, new_end)
    )


def _request(members: Sequence[Span]) -> Request:
    start, end = members[0].start, max(span.end for span in members)
    return Request(members[0].table, start, end - start, tuple(members))


def locate(request: Request, knowledge: Knowledge) -> Generator[Request, bool, None]:
    """Find what is illegal in a refused request by halving it; what is learnt goes into ``knowledge``.

    Yields requests to try; send back True when the device answered, False when it refused. A request
    that was refused has either an illegal tag or an illegal gap, and afterwards ``plan`` avoids it.
    """
    halves = _halves(request)
    if not halves:
        span = request.spans[0]
        knowledge.illegal.add((span.table, span.start, span.end))
        return
    answered = True
    for half in halves:
        if not (yield half):
            answered = False
            yield from locate(half, knowledge)
    if answered:
        border = halves[1].start
        knowledge.cuts.add((request.table, min(halves[0].end, border), border))


ISOLATE = 16
"""Requests that finding a failing sensor may cost."""


def isolate(request: Request, knowledge: Knowledge) -> Generator[Request, bool, None]:
    """Find what fails in a request that answered *device failure*, so that its neighbours can be read.

    Yields requests to try; send back True when the device answered. Nothing is learnt when it takes more than
    ``ISOLATE`` tries or when most fail: then it is the device that fails, and not a sensor.
    """
    waiting, found, places = _halves(request), [], len({(span.start, span.size) for span in request.spans})
    for _ in range(ISOLATE):
        if not waiting:
            break
        half = waiting.pop()
        if (yield half):
            continue
        parts = _halves(half)
        if parts:
            waiting += parts
        else:
            found.append((half.table, half.start, half.end))
    if not waiting and 2 * len(found) <= places:
        knowledge.failing.update(found)


def _halves(request: Request) -> list[Request]:
    """A request as two, none when it reads only one place."""
    places = [
        tuple(spans)
        for _, spans in groupby(
            sorted(request.spans, key=lambda s: (s.start, s.size)), key=lambda s: (s.start, s.size)
        )
    ]
    if len(places) == 1:
        return []
    middle = len(places) // 2
    return [
        _request([span for place in half for span in place]) for half in (places[:middle], places[middle:])
    ]
