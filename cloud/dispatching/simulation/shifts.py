"""When a simulated shop works: the same hours on the first days of every week. Seconds from Monday 00:00."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

DAY = 86_400
WEEK = 7 * DAY


@dataclass(frozen=True, slots=True)
class Shifts:
    """Open from ``opens`` to ``closes`` (seconds of the day) on the first ``days`` days of a week."""

    opens: int
    closes: int
    days: int

    @property
    def length(self) -> int:
        """Working seconds of a day."""
        return self.closes - self.opens

    def is_open(self, time: int) -> bool:
        return time % WEEK // DAY < self.days and self.opens <= time % DAY < self.closes

    def opening(self, time: int) -> int:
        """``time`` itself while the shop is open, else when it opens next."""
        if self.is_open(time):
            return time
        day = time - time % DAY
        if time % DAY >= self.opens:
            day += DAY
        while day % WEEK // DAY >= self.days:
            day += DAY
        return day + self.opens

    def closing(self, time: int) -> int:
        """When the shift ends that runs at ``time``, or the next one."""
        opening = self.opening(time)
        return opening - opening % DAY + self.closes

    def worked(self, time: int) -> int:
        """Working seconds from the beginning until ``time``."""
        week, rest = divmod(time, WEEK)
        day, second = divmod(rest, DAY)
        full = week * self.days + min(day, self.days)
        today = max(0, min(second, self.closes) - self.opens) if day < self.days else 0
        return full * self.length + today

    def after(self, time: int, seconds: int) -> int:
        """When ``seconds`` of working time after ``time`` are over; never before ``time``."""
        if seconds <= 0:
            return time
        days, rest = divmod(self.worked(time) + seconds, self.length)
        if rest == 0:
            days, rest = days - 1, self.length
        week, day = divmod(days, self.days)
        return week * WEEK + day * DAY + self.opens + rest

    def closed(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """The times between ``begin`` and ``end`` at which nobody works, the first and last one in full."""
        time = begin
        while time < end:
            closes = time
            if self.is_open(time):
                closes = self.closing(time)
                if closes >= end:
                    return
            time = self.opening(closes)
            if closes < time:  # else one shift follows the other at midnight
                yield closes, time
