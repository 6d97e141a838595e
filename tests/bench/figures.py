"""What a bench gives: figures beside their targets, and how large a bench is to run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

import msgspec


class Size(StrEnum):
    """``quick`` shows that a bench works; ``normal`` gives figures; ``full`` is as long as DESIGN §8 says."""

    QUICK = "quick"
    NORMAL = "normal"
    FULL = "full"

    def of(self, quick: int, normal: int, full: int | None = None) -> int:
        """One of three amounts."""
        return {Size.QUICK: quick, Size.NORMAL: normal, Size.FULL: normal if full is None else full}[self]


class Figure(msgspec.Struct, frozen=True):
    """One line of the table. ``reached`` is None where it could not be measured: ``note`` says why.

    ``runs`` are the single measurements of which ``reached`` is the median. ``target`` is that of DESIGN §8
    where there is one.
    """

    what: str
    reached: float | None
    unit: str
    target: float | None = None
    better: Literal["less", "more"] = "less"
    note: str = ""
    runs: tuple[float, ...] = ()

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None or self.reached is None:
            return None
        return self.reached <= self.target if self.better == "less" else self.reached >= self.target


def median(
    what: str,
    runs: Sequence[float],
    unit: str,
    target: float | None = None,
    better: Literal["less", "more"] = "less",
    note: str = "",
) -> Figure:
    """A figure from several measurements of the same run."""
    return Figure(what, statistics.median(runs), unit, target, better, note, tuple(runs))


def missing(what: str, unit: str, note: str, target: float | None = None) -> Figure:
    """A figure that this machine cannot give."""
    return Figure(what, None, unit, target, note=note)


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which ``part`` (0…1) of the values lie; of one value, that one."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


PROGRESS = "… "
"""How a line begins that is shown at once, while a bench works."""


def progress(text: str) -> None:
    """Say how far a bench is."""
    print(f"{PROGRESS}{text}", flush=True)
