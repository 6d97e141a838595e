"""The samples of an asset as they lie in the history, in the order in which they were read. Blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloud.history.port import History
from cloud.maintenance.rul.following import Told

AT_ONCE = 100_000
"""Samples that are read at once, about: bounds the memory."""
FEWEST = 1000
"""Of one tag."""


def told(history: History, tags: Mapping[str, int], start: int, end: int) -> Iterator[list[Told]]:
    """Samples with start ≤ time < end, one span of time after the other; ``tags`` are ids by name.

    A span ends where the first tag has more samples than are read at once: up to there all have been read.
    """
    page = max(FEWEST, AT_ONCE // max(1, len(tags)))
    while start < end:
        read = {name: history.read(tag, start, end, page) for name, tag in tags.items()}
        cut = [series.times[-1] + 1 for series in read.values() if len(series) >= page]
        until = min([end, *cut])
        found: list[Told] = []
        for name, series in read.items():
            for place, (ts, value) in enumerate(zip(series.times, series.values, strict=True)):
                if ts >= until:
                    break
                found.append((name, ts, value, int(series.quality(place))))
        found.sort(key=lambda one: one[1])
        yield found
        start = until
