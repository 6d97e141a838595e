"""From samples to the rows that a model is asked with: one a cycle of the machine, or one a span of its work.

What a row is must be the same wherever it is made, or the scores are not: edge and service use this file,
and rows made anew from stored samples are those that were made live. Pure: no clock is asked, only the times
of the samples.

*By a counter*: every new value of a tag (a cycle, a part, a stroke) begins a row. The row holds the values
that stand ``settle`` seconds later, exactly as they were read. Tags that are read together, the counter among
them, have one time and need no ``settle``; where a machine tells them one after the other it must cover the
delay, and be shorter than a cycle. A row is closed by the first sample after that.

*By work*: whenever the machine has executed for ``every`` seconds, a row holds the mean of each tag over
that, weighted by how long each value stood.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import isfinite, nan
from typing import Any, Protocol

import msgspec

from protocols.values import MICROSECONDS, Quality, Value

MAX_MISSED = 10_000
"""Rows that a counter may leap over and that still count as missed; a longer leap is another counter."""
STEP = 60 * MICROSECONDS
"""Longest piece (µs) in which work is added up."""
SILENT = 300 * MICROSECONDS
"""µs after an asset's last sample from which on nobody knows whether it works."""
COVERED = 0.5
"""Part of the work of a row for which a tag must have had a value."""
REMEMBERED = 1000
"""Changes of the machine's state that are kept."""


class RowKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a row of a model is: one for each value of the tag ``counter``, or for each ``every`` s of work.

    ``settle`` is for a counter: s after its change within which the values of the same cycle come.
    """

    counter: str = ""
    every: float = 0.0
    settle: float = 0.0

    def __post_init__(self) -> None:
        if bool(self.counter) == (self.every > 0):
            raise ValueError("a row is made by a counter or by a span of work: one of the two is wanted")
        if self.every and not 1.0 <= self.every <= 604_800.0:
            raise ValueError(f"a row of {self.every:g} s of work: 1 s to a week is possible")
        if not 0.0 <= self.settle <= 3600.0:
            raise ValueError(f"settle is {self.settle:g} s: 0 to an hour is possible")


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One row: ``values`` in the order of the model's tags (conditions, then signals), NaN: missing.

    ``end`` is the time (µs UTC) at which it stood. ``missed`` rows before it were not seen. ``count`` is the
    counter's value; of a row by work it is what was worked beyond it (µs), which the next one begins with.
    """

    end: int
    values: tuple[float, ...]
    missed: int = 0
    count: float = 0.0


class Assembler(Protocol):
    """Makes rows of one asset's samples, which come in the order in which they were read."""

    @property
    def newest(self) -> int:
        """µs UTC of the newest sample; -1 before the first."""

    def take(self, name: str, ts: int, value: Value, quality: int = 0) -> Sequence[Row]:
        """Add a sample (µs UTC); the rows it closes. One not newer than the last of its tag is ignored."""

    def works(self, ts: int, *, executes: bool) -> None:
        """From ``ts`` on the machine executes, or does not."""

    def renew(self, since: int) -> None:
        """The machine is as new since a time: what it worked before belongs to no row any more."""

    def remembered(self) -> bytes:
        """What it has of the row that is not closed yet, for a store."""

    def remember(self, stored: bytes) -> None:
        """Go on from what was stored; raises ValueError where that is not of this kind of row and tags."""


def assembler(kind: RowKind, tags: Sequence[str], after: Row | None = None, since: int = 0) -> Assembler:
    """An assembler for a model that asks for ``tags``; it goes on after a row that was made before, or
    begins at ``since`` (µs UTC; 0: with the first sample). Rows that stand before it are not of that life.
    """
    if kind.counter:
        return ByCounter(kind, tags, after)
    made = ByWork(kind, tags, after)
    if after is None and since:
        made.renew(since)
    return made


def wanted(kind: RowKind, tags: Sequence[str]) -> tuple[str, ...]:
    """The names of all tags whose samples are needed."""
    return tuple(dict.fromkeys((*tags, *((kind.counter,) if kind.counter else ()))))


def number(value: Value, quality: int) -> float:
    """A sample as a model takes it: NaN unless it is a good number; a bool is 0 or 1."""
    if quality != Quality.GOOD or not isinstance(value, int | float) or not isfinite(value):
        return nan
    return float(value)


class ByCounter:
    """A row for every new value of the counter."""

    def __init__(self, kind: RowKind, tags: Sequence[str], after: Row | None = None) -> None:
        self._counter = kind.counter
        self._settle = int(kind.settle * MICROSECONDS)
        self._tags = tuple(tags)
        self._values = dict.fromkeys(wanted(kind, tags), nan)
        self._times = dict.fromkeys(self._values, -1)
        self._count: float | None = None
        self.newest = -1
        self._cut = -1
        """When the row that is being made stands; -1: none is."""
        self._missed = 0
        if after is not None:
            self._values.update(zip(self._tags, after.values, strict=True))
            self._count = self._values[self._counter] = after.count
            self._times = dict.fromkeys(self._values, after.end)

    def take(self, name: str, ts: int, value: Value, quality: int = 0) -> Sequence[Row]:
        if ts <= self._times[name]:
            return ()
        if ts > self.newest:
            self.newest = ts
        closed: Sequence[Row] = ()
        if 0 <= self._cut < ts:
            closed = (self._close(),)
        self._times[name] = ts
        taken = self._values[name] = number(value, quality)
        if name == self._counter and taken == taken and taken != self._count:
            if self._cut >= 0:  # the next cycle came before the values of this one had settled
                closed = (*closed, self._close())
            self._begin(ts, taken)
        return closed

    def works(self, ts: int, *, executes: bool) -> None:
        """A counter tells by itself when there was work."""

    def renew(self, since: int) -> None:
        """A row is of one cycle alone: none of it was before."""

    def remembered(self) -> bytes:
        return _stored(self, _COUNTED)

    def remember(self, stored: bytes) -> None:
        _restore(self, _COUNTED, stored)

    def _begin(self, ts: int, count: float) -> None:
        leap = 0.0 if self._count is None else count - self._count
        self._missed = round(leap) - 1 if 1.0 < leap <= MAX_MISSED else 0
        self._count, self._cut = count, ts + self._settle

    def _close(self) -> Row:
        row = Row(self._cut, tuple(self._values[tag] for tag in self._tags), self._missed, self._count or 0.0)
        self._cut = -1
        return row


class ByWork:
    """A row for every ``every`` seconds in which the machine executed.

    Work is added up in pieces of a minute at most, each a minute later, when the samples and the states of
    it have come. Where no state of the machine is ever told it works as long as samples come.
    """

    def __init__(self, kind: RowKind, tags: Sequence[str], after: Row | None = None) -> None:
        self._every = int(kind.every * MICROSECONDS)
        self._step = min(self._every, STEP)
        self._tags = tuple(tags)
        self._values = dict.fromkeys(self._tags, nan)
        self._times = dict.fromkeys(self._tags, -1)
        self._waiting: dict[str, list[tuple[int, float]]] = {tag: [] for tag in self._tags}
        self._states: list[tuple[int, bool]] = []
        self.newest = -1
        self._heard = -1
        """Of the newest sample in a piece that is added up."""
        self._start = -1
        self._worked = int(after.count) if after is not None else 0
        self._reset()
        self._after = after.end if after is not None else -1
        self._renewed = -1
        """Where the first piece of a new life begins; -1: it has begun."""

    def take(self, name: str, ts: int, value: Value, quality: int = 0) -> Sequence[Row]:
        if ts <= self._times[name]:
            return ()
        self._times[name] = ts
        if ts > self.newest:
            self.newest = ts
        if self._start < 0:
            self._start = max(ts - ts % self._step, self._after)
        closed = self._advance(ts) if ts >= self._start + 2 * self._step else ()
        # Most samples are good floats: the rest is for `number`.
        taken = (
            value
            if quality == 0 and type(value) is float and value - value == 0.0
            else number(value, quality)
        )
        if ts < self._start:  # it stood before the row that is gone on from, or came too late
            self._values[name] = taken
            self._heard = max(self._heard, ts)
        else:
            self._waiting[name].append((ts, taken))
        return closed

    def works(self, ts: int, *, executes: bool) -> None:
        at = bisect_right(self._states, ts, key=lambda state: state[0])
        self._states.insert(at, (ts, executes))
        del self._states[:-REMEMBERED]

    def renew(self, since: int) -> None:
        self._renewed = since + -since % self._step

    def remembered(self) -> bytes:
        return _stored(self, _WORKED)

    def remember(self, stored: bytes) -> None:
        _restore(self, _WORKED, stored)

    def _advance(self, ts: int) -> Sequence[Row]:
        rows = []
        while self._start + 2 * self._step <= ts:
            if 0 <= self._renewed <= self._start:
                self._worked, self._renewed = 0, -1
                self._reset()
            if not any(self._waiting.values()) and self._start >= self._heard + SILENT:
                self._start = max(self._start, ts - ts % self._step - self._step)  # nobody knows what it did
                continue
            end = self._start + self._step
            self._add(self._start, end)
            self._start = end
            if self._worked >= self._every:
                rows.append(self._row(end))
        return rows

    def _add(self, start: int, end: int) -> None:
        """Add up one piece of time."""
        told = {tag: [one for one in each if one[0] < end] for tag, each in self._waiting.items()}
        self._heard = max([self._heard, *(each[-1][0] for each in told.values() if each)])
        spans = [*self._spans(start, min(end, self._heard + SILENT))]
        self._worked += sum(b - a for a, b in spans)
        for tag, here in told.items():
            last = here[-1][1] if here else self._values[tag]
            for begin, ends in spans:
                self._stood(tag, here, begin, ends)
            self._values[tag] = last
            del self._waiting[tag][: len(here)]

    def _stood(self, tag: str, here: Sequence[tuple[int, float]], begin: int, end: int) -> None:
        """Add up what a tag's values stood for while the machine executed."""
        at, value, area, seen = begin, self._values[tag], 0.0, 0
        for then, after in here:
            if then > begin:
                if then >= end:
                    break
                if value == value:
                    area += value * (then - at)
                    seen += then - at
                at = then
            value = after
        if value == value:
            area += value * (end - at)
            seen += end - at
        self._area[tag] += area
        self._seen[tag] += seen

    def _spans(self, start: int, end: int) -> Iterable[tuple[int, int]]:
        """When the machine executed between two times."""
        if not self._states:
            if start < end:
                yield start, end
            return
        first = max(0, bisect_right(self._states, start, key=lambda state: state[0]) - 1)
        for place in range(first, len(self._states)):
            ts, executes = self._states[place]
            until = self._states[place + 1][0] if place + 1 < len(self._states) else end
            begins, ends = max(ts, start), min(until, end)
            if executes and begins < ends:
                yield begins, ends
            if ts >= end:
                return

    def _reset(self) -> None:
        self._area = dict.fromkeys(self._tags, 0.0)
        self._seen = dict.fromkeys(self._tags, 0)

    def _row(self, end: int) -> Row:
        enough = COVERED * self._every
        means = tuple(
            self._area[tag] / self._seen[tag] if self._seen[tag] and self._seen[tag] >= enough else nan
            for tag in self._tags
        )
        self._worked -= self._every
        self._reset()
        return Row(end, means, 0, float(self._worked))


_COUNTED = ("_values", "_times", "_count", "newest", "_cut", "_missed")
_WORKED = (
    *("_values", "_times", "_waiting", "_states", "newest", "_heard", "_start"),
    *("_worked", "_area", "_seen", "_after", "_renewed"),
)
"""What an assembler remembers, by attribute; all of it is plain data."""


def _stored(made: object, names: Sequence[str]) -> bytes:
    return msgspec.msgpack.encode({name: getattr(made, name) for name in names})


def _restore(made: object, names: Sequence[str], stored: bytes) -> None:
    found = msgspec.msgpack.decode(stored, type=dict[str, Any])
    if found.keys() != set(names) or found["_values"].keys() != getattr(made, "_values").keys():  # noqa: B009
        raise ValueError("what was stored of a row is of another kind of row, or of other tags")
    for name in names:
        setattr(made, name, found[name])
