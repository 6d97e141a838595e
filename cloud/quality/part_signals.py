"""Which samples belong to one piece: from one step of a machine's part counter to the next. Pure.

A piece counts only if all of it was heard: the machine executed the whole time, its counter went on by one,
its program did not change, no samples are missing between. Signals are told when they change, so that the
last value before the piece holds at its begin, and the last one in it at its end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from protocols.values import MICROSECONDS, Value

SIGNALS = frozenset({"force", "current", "torque", "spindle_load", "pressure"})
"""Roles of tags that say how a piece was made."""
COUNT, PROGRAM = "part_count", "program"
FEWEST = 8
"""Values of a signal in one piece, without which its course says nothing."""
MOST = 20_000
"""Values of one signal in one piece that are kept; of a longer piece nothing is judged."""


class Piece(msgspec.Struct, frozen=True):
    """One piece: from when to when (µs UTC), its program, and its signals by tag as (seconds, values)."""

    device: str
    program: str
    start: int
    end: int
    signals: dict[int, tuple[list[float], list[float]]]


@dataclass(slots=True)
class Recorder:
    """What is heard of one machine. ``signals`` are ids of its signal tags."""

    device: str
    count_tag: int
    program_tag: int | None
    signals: frozenset[int]
    executing: bool = True
    _program: str | None = field(default=None, init=False)
    """None while it is not known: a machine tells it when it changes, and now and then again."""
    _count: int | None = field(default=None, init=False)
    _start: int | None = field(default=None, init=False)
    _before: dict[int, float] = field(default_factory=dict, init=False)
    """By signal, the newest value."""
    _at_start: dict[int, float] = field(default_factory=dict, init=False)
    _heard: dict[int, list[tuple[int, float]]] = field(default_factory=dict, init=False)
    _spoilt: set[int] = field(default_factory=set, init=False)

    def sample(self, tag: int, ts: int, value: Value, *, good: bool) -> Piece | None:
        """Hear a value; the piece that it ends."""
        if tag == self.count_tag:
            return self._counted(ts, value, good=good)
        if tag == self.program_tag:
            program = str(value) if good else None
            if program != self._program:
                self._program = program
                self.lost()
        elif tag in self.signals:
            self._signal(tag, ts, value, good=good)
        return None

    def state(self, ts: int, *, executing: bool) -> None:
        """The machine begins or ceases to execute: what it was at is no whole piece, what follows may be."""
        if executing and not self.executing and self._count is not None:
            self._begin(ts)
        elif not executing:
            self.lost()
        self.executing = executing

    def lost(self) -> None:
        """Something is missing: the piece in hand is not judged."""
        self._start = None

    def _counted(self, ts: int, value: Value, *, good: bool) -> Piece | None:
        if not good or isinstance(value, bool) or not isinstance(value, int | float):
            self._count = None
            self.lost()
            return None
        before, self._count = self._count, int(value)
        if before == self._count:
            return None  # told again
        made = None
        if before is not None and self._count == before + 1 and self._start is not None:
            made = self._made(self._start, ts)
        if before is not None and self.executing:
            self._begin(ts)
        return made

    def _begin(self, ts: int) -> None:
        self._start = ts
        self._at_start = dict(self._before)
        self._heard = {}
        self._spoilt = set()

    def _signal(self, tag: int, ts: int, value: Value, *, good: bool) -> None:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not good or not number or not isinstance(value, int | float):
            self._before.pop(tag, None)
            self._spoilt.add(tag)
            return
        self._before[tag] = float(value)
        if self._start is not None and ts > self._start:
            heard = self._heard.setdefault(tag, [])
            heard.append((ts, float(value)))
            if len(heard) > MOST:
                self._spoilt.add(tag)
                heard.clear()

    def _made(self, start: int, end: int) -> Piece | None:
        signals: dict[int, tuple[list[float], list[float]]] = {}
        for tag, heard in self._heard.items():
            course = self._course(tag, heard, start, end)
            if course is not None:
                signals[tag] = course
        program = "" if self.program_tag is None else self._program
        if not signals or program is None:
            return None
        return Piece(self.device, program, start, end, signals)

    def _course(
        self, tag: int, heard: list[tuple[int, float]], start: int, end: int
    ) -> tuple[list[float], list[float]] | None:
        inside = sorted({ts: value for ts, value in heard if start < ts < end}.items())
        if tag in self._spoilt or len(inside) < FEWEST:
            return None
        first = self._at_start.get(tag, inside[0][1])
        points = [(start, first), *inside, (end, inside[-1][1])]
        return [(ts - start) / MICROSECONDS for ts, _ in points], [value for _, value in points]


def recorders(tags: Mapping[int, tuple[str, str]]) -> list[Recorder]:
    """One for each machine that counts its pieces and tells a signal. ``tags``: (device, role) by id."""
    of_device: dict[str, dict[str, list[int]]] = {}
    for tag, (device, role) in tags.items():
        of_device.setdefault(device, {}).setdefault(role, []).append(tag)
    found = []
    for device, roles in of_device.items():
        signals = frozenset(tag for role in SIGNALS for tag in roles.get(role, ()))
        if roles.get(COUNT) and signals:
            program = next(iter(roles.get(PROGRAM, ())), None)
            found.append(Recorder(device, roles[COUNT][0], program, signals))
    return found
