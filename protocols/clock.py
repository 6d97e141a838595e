"""Live time: a UTC anchor plus monotonic elapsed time, so that it never runs backwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

STEP_TOLERANCE = 1_000_000
"""Difference in µs between wall clock and live time from which on the wall clock counts as stepped."""

LONGEST_STEP = 86_400_000_000
"""µs up to which a step back across a restart is bridged: a day."""


@dataclass(slots=True)
class Clock:
    """UTC in µs that only moves forwards.

    The wall clock is re-anchored forwards only. When it steps back, live time goes on from the old
    anchor and :attr:`uncertain` is true until the wall clock has caught up.

    ``wall_ns`` gives UTC nanoseconds, ``elapsed_ns`` monotonic nanoseconds; tests inject their own.
    """

    wall_ns: Callable[[], int] = time.time_ns
    elapsed_ns: Callable[[], int] = time.monotonic_ns
    uncertain: bool = field(default=False, init=False)
    _anchor: tuple[int, int] = field(default=(0, 0), init=False)
    """UTC and elapsed time of one moment in µs; one attribute, because several threads ask for the time."""

    def __post_init__(self) -> None:
        self._anchor = self.wall_ns() // 1000, self.elapsed_ns() // 1000

    def resume(self, last: int) -> None:
        """Go on after ``last`` (µs UTC), the newest time used before a restart.

        The wall clock may have been set back meanwhile. From :data:`LONGEST_STEP` on it is believed all the
        same: then the earlier time was the wrong one.
        """
        if 0 <= last - self.now() < LONGEST_STEP:
            self._anchor = last + 1, self.elapsed_ns() // 1000

    def now(self) -> int:
        """UTC now in µs; never smaller than any earlier answer."""
        elapsed = self.elapsed_ns() // 1000
        utc, then = self._anchor
        live = utc + elapsed - then
        wall = self.wall_ns() // 1000
        if wall > live:
            self._anchor = wall, elapsed
            self.uncertain = False
            return wall
        self.uncertain = live - wall > STEP_TOLERANCE
        return live

    def monotonic(self) -> float:
        """Seconds of monotonic time, for timeouts and rates."""
        return self.elapsed_ns() / 1e9
