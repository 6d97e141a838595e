"""What a history must do, whichever server keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from protocols.values import Quality, Value


@dataclass(slots=True)
class Series:
    """Values of one tag in order of arrival: µs UTC, value, and quality only where it is not good.

    ``qualities`` maps a row index to a :class:`Quality`.
    """

    times: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    qualities: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times)

    def quality(self, index: int) -> Quality:
        """Quality of one row."""
        return Quality(self.qualities.get(index, Quality.GOOD))


class History(Protocol):
    """A store of samples. All methods block; none is called on the event loop.

    Writing the same (tag, time) again with the same value changes nothing, so the projection may repeat
    what it is not sure about. SQLite keeps the first of two different values, InfluxDB the last.
    """

    def write(self, gathered: Mapping[int, Series]) -> None:
        """Store what was gathered; durable on return (as far as a server's answer goes)."""

    def read(self, tag: int, start: int, end: int, limit: int = 100_000) -> Series:
        """Samples of a tag with start ≤ time < end, ascending, at most ``limit`` (the earliest)."""

    def prune(self, before: int) -> int:
        """Delete whole periods that ended before ``before`` (µs UTC); returns how many went."""

    def compact_closed(self, now: int) -> int:
        """Tidy up periods that are over at ``now`` (µs UTC), if that is ours to do; returns the chunks saved.

        It may run beside reading and writing, and costs little where nothing was written since the last time.
        """

    def close(self) -> None:
        """Release files and connections."""


def downsample(series: Series, points: int) -> Series:
    """At most about ``points`` rows that keep every bucket's minimum and maximum, so a spike stays visible.

    Numbers only: a series with other values is thinned to every n-th row. Rows that are not good survive
    as gaps where their bucket has no good one.
    """
    if points < 2 or len(series) <= points:
        return series
    size = -(-2 * len(series) // points)
    kept: list[int] = []
    for begin in range(0, len(series), size):
        rows = range(begin, min(begin + size, len(series)))
        numbers = [row for row in rows if isinstance(series.values[row], int | float)]
        if not numbers:
            kept.append(begin)
            continue
        low = min(numbers, key=lambda row: float(series.values[row] or 0))
        high = max(numbers, key=lambda row: float(series.values[row] or 0))
        kept.extend(sorted({low, high}))
    return take(series, kept)


def take(series: Series, rows: Iterable[int]) -> Series:
    """The given rows of a series, in the order given."""
    chosen = Series()
    for row in rows:
        if row in series.qualities:
            chosen.qualities[len(chosen.times)] = series.qualities[row]
        chosen.times.append(series.times[row])
        chosen.values.append(series.values[row])
    return chosen
