"""Samples to windows: the mean of a tag over a fixed span of its own time, in one regime. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from cloud.maintenance.baseline import Window
from protocols.values import Quality, Value

REMEMBERED = 200
"""Changes of regime kept a device: enough for samples that come minutes late."""


@dataclass(slots=True)
class Regimes:
    """What a device was doing when; "" before anything is known or while it does not produce."""

    times: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def change(self, ts: int, name: str) -> None:
        """From ``ts`` (µs UTC) on the regime is ``name``; changes out of order take their place."""
        at = bisect_right(self.times, ts)
        self.times.insert(at, ts)
        self.names.insert(at, name)
        del self.times[:-REMEMBERED], self.names[:-REMEMBERED]

    def during(self, start: int, end: int) -> str:
        """The regime over the whole span, or "" when it changed within it."""
        at = bisect_right(self.times, start) - 1
        if at < 0 or bisect_right(self.times, end) - 1 != at:
            return ""
        return self.names[at]


@dataclass(slots=True)
class _Open:
    start: int
    total: float = 0.0
    count: int = 0


@dataclass(slots=True)
class Windows:
    """Gathers one asset's samples; ``span`` in µs. Bad values, texts and repeated times are left out."""

    span: int
    regimes: Regimes = field(default_factory=Regimes)
    _open: dict[str, _Open] = field(default_factory=dict)

    def take(self, tag: str, ts: int, value: Value, quality: int) -> Window | None:
        """Add a sample; the window it closes, if the machine kept one regime throughout."""
        if quality != Quality.GOOD or isinstance(value, bool | str) or value is None:
            return None
        window = self._open.get(tag)
        closed: Window | None = None
        if window is not None and ts < window.start:
            return None
        if window is None or ts >= window.start + self.span:
            if window is not None and window.count:
                end = window.start + self.span
                regime = self.regimes.during(window.start, end)
                if regime:
                    closed = Window(tag, end, regime, window.total / window.count)
            window = self._open[tag] = _Open(ts - ts % self.span)
        window.total += value
        window.count += 1
        return closed
