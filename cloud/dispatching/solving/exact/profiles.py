"""How much of something there is over time, as what a constant capacity is short of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cloud.dispatching.shop.problem import Level


@dataclass(frozen=True, slots=True)
class Profile:
    """There are ``capacity``, of which in each (start, end, amount) of ``missing`` that much is not there."""

    capacity: int
    missing: tuple[tuple[int, int, int], ...]


def profile(
    capacity: int,
    levels: Sequence[Level],
    taken: Iterable[tuple[int, int, int]],
    given: Iterable[tuple[int, int, int]],
    now: int,
    horizon: int,
) -> Profile:
    """What is left from ``now`` to ``horizon`` of ``capacity`` or ``levels``.

    What is ``taken`` is missing from it, but leaves no less than nothing; what is ``given`` back is added.
    Both are (start, end, amount).
    """
    steps: dict[int, list[int]] = {now: [0, 0], horizon: [0, 0]}
    for kind, spans in enumerate((taken, given)):
        for start, end, amount in spans:
            for time, step in ((start, amount), (end, -amount)):
                steps.setdefault(min(max(time, now), horizon), [0, 0])[kind] += step
    for level in levels:
        for time in (level.start, level.end):
            steps.setdefault(min(max(time, now), horizon), [0, 0])
    there: list[tuple[int, int, int]] = []
    used = back = 0
    for start, end in pairwise(sorted(steps)):
        used, back = used + steps[start][0], back + steps[start][1]
        much = next((x.capacity for x in levels if x.start <= start < x.end), capacity)
        there.append((start, end, max(0, much - used) + back))
    most = max((amount for _, _, amount in there), default=capacity)
    return Profile(most, tuple((start, end, most - amount) for start, end, amount in there if amount < most))
