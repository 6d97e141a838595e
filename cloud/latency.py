"""How old live samples are when they are committed: the newest few thousand, in memory."""

from __future__ import annotations

import threading
from collections import deque

import msgspec

KEPT = 10_000
_PER_BATCH = 8


class Percentiles(msgspec.Struct, frozen=True):
    """Milliseconds; all zero while nothing was measured. ``count`` is how many measurements stand behind."""

    count: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0


class Latency:
    """A bounded window of measurements. Any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._window: deque[int] = deque(maxlen=KEPT)

    def measure(self, times: list[int], now: int) -> None:
        """Take a few of the times (µs UTC) of a batch that was committed at ``now``."""
        step = max(1, len(times) // _PER_BATCH)
        with self._guard:
            self._window.extend(now - ts for ts in times[::step])

    def percentiles(self) -> Percentiles:
        """Of what is in the window now."""
        with self._guard:
            ordered = sorted(self._window)
        if not ordered:
            return Percentiles()
        at = [ordered[min(len(ordered) - 1, len(ordered) * part // 100)] / 1000 for part in (50, 95, 99)]
        return Percentiles(len(ordered), *at)
