"""What time the samples of a device are from, by the device's own clock or by ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from protocols.values import MICROSECONDS

AHEAD = 86_400 * MICROSECONDS
"""µs that the time of a trusted device may be ahead of ours."""


@dataclass(slots=True)
class DeviceClock:
    """A device's clock is trusted, or its offset is learned, or only the time of receipt counts.

    All times are µs UTC.
    """

    mode: Literal["trust", "offset", "receive"]
    offset: int | None = field(default=None, init=False)
    """By how much the device is behind, delivery included; None while nothing has come."""

    def time(self, source: int | None, now: int) -> int:
        """The time of what the device says is from ``source`` and came ``now``."""
        if source is None or self.mode == "receive":
            return now
        if self.mode == "trust":
            # Times of a tag only rise: one of the year 9999 would be its last, and no batch may hold it.
            return source if source - now < AHEAD else now
        delay = now - source
        if self.offset is None or delay < self.offset:
            self.offset = delay  # the quickest delivery shows the offset best
        else:
            self.offset += (delay - self.offset) // 1000
        return source + self.offset
