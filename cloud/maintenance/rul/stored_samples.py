"""The samples of an asset as they lie in the history, in the order in which they were read. Blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloud.history.port import History
from cloud.maintenance.rul.following import Told
from protocols.values import MICROSECONDS

SLICE = 3600 * MICROSECONDS
"""µs that are read at once: bounds the memory."""
PAGE = 100_000


def told(history: History, tags: Mapping[str, int], start: int, end: int) -> Iterator[list[Told]]:
    """Samples with start ≤ time < end, a slice of time after the other; ``tags`` are ids by name."""
    at = start
    while at < end:
        until = min(at + SLICE, end)
        found: list[Told] = []
        for name, tag in tags.items():
            found += _of_tag(history, name, tag, at, until)
        if found:
            found.sort(key=lambda one: one[1])
        yield found
        at = until


def _of_tag(history: History, name: str, tag: int, start: int, end: int) -> Iterator[Told]:
    while True:
        series = history.read(tag, start, end, PAGE)
        for place, (ts, value) in enumerate(zip(series.times, series.values, strict=True)):
            yield name, ts, value, int(series.quality(place))
        if len(series) < PAGE:
            return
        start = series.times[-1] + 1
