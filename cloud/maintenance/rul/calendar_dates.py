"""When a life in operating hours ends on the calendar: it is used up by planned load and by nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

HOUR = 3_600_000_000
"""µs"""


@dataclass(frozen=True, slots=True)
class Busy:
    """A planned span, ``start`` to ``end`` (µs UTC). ``load`` is how many operating hours an hour of it is:
    1 for work, 0 for a set-up with the spindle still, above 1 where wear goes faster.
    """

    start: int
    end: int
    load: float = 1.0

    def __post_init__(self) -> None:
        if not self.start <= self.end:
            raise ValueError(f"a planned span ends at {self.end}, before its start at {self.start}")
        if not 0.0 <= self.load < float("inf"):
            raise ValueError(f"the load of a planned span is {self.load}: 0 or more is wanted")


@dataclass(frozen=True, slots=True)
class Dates:
    """µs UTC; None where the plan ends before: "> horizon"."""

    lower: int | None
    median: int | None
    upper: int | None


def dates(now: int, lower: float, median: float, upper: float | None, planned: Iterable[Busy]) -> Dates:
    """The dates of three lives (operating hours from ``now``; ``upper`` None for beyond the model's horizon).

    Spans may come in any order and overlap: an overlapped hour counts once, with the larger load.
    """
    for life in (lower, median, upper):
        if life is not None and not life >= 0:
            raise ValueError(f"a life of {life} hours: 0 or more is wanted")
    pieces = _pieces(now, planned)
    return Dates(
        _reached(now, lower, pieces),
        _reached(now, median, pieces),
        None if upper is None else _reached(now, upper, pieces),
    )


def _reached(now: int, life: float, pieces: list[Busy]) -> int | None:
    left = life * HOUR
    if left <= 0:
        return now
    for piece in pieces:
        used = (piece.end - piece.start) * piece.load
        if used >= left:
            return piece.start + round(left / piece.load)
        left -= used
    return None


def _pieces(now: int, planned: Iterable[Busy]) -> list[Busy]:
    """Spans from ``now`` on, in order and without overlap."""
    spans = [
        Busy(max(now, one.start), one.end, one.load) for one in planned if one.end > now and one.load > 0
    ]
    marks = sorted({mark for one in spans for mark in (one.start, one.end)})
    events = sorted(spans, key=lambda one: one.start)
    pieces: list[Busy] = []
    standing: list[Busy] = []
    at = 0
    for begin, end in pairwise(marks):
        while at < len(events) and events[at].start <= begin:
            standing.append(events[at])
            at += 1
        standing = [one for one in standing if one.end > begin]
        if standing:
            pieces.append(Busy(begin, end, max(one.load for one in standing)))
    return pieces
