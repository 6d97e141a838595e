"""What is left of something that is shared where some of it is taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from cloud.dispatching.shop.problem import Level

Taken = tuple[int, int, int]
"""From when until when, how many."""


def left(count: int, levels: Iterable[Level], taken: Sequence[Taken]) -> tuple[Level, ...]:
    """Levels of what is left: one for each stretch in which it is not simply ``count``."""
    known = sorted(levels, key=lambda level: level.start)
    times = sorted(
        {time for start, end, _ in taken for time in (start, end)}
        | {time for level in known for time in (level.start, level.end)}
    )
    used = dict.fromkeys(times, 0)
    for start, end, amount in taken:
        used[start] += amount
        used[end] -= amount
    result: list[Level] = []
    busy = at = 0
    for time, until in pairwise(times):
        busy += used[time]
        while at < len(known) and known[at].end <= time:
            at += 1
        level = known[at] if at < len(known) and known[at].start <= time else None
        there = count if level is None else level.capacity
        if there - busy != count:
            result.append(Level(start=time, end=until, capacity=max(0, there - busy)))
    return tuple(result)
