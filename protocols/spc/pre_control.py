"""Pre-control: five greens in a row qualify a set-up, then pairs of pieces watch it. Pure.

Green is the middle half of the tolerance, yellow its outer quarters, red outside (Satterthwaite 1954; Bhote).
A yellow piece asks for a second one at once: green or none, go on; yellow on the same side, adjust; yellow on
the other side, stop; red, stop. After either, the set-up has to qualify again.
"""

from __future__ import annotations

from enum import IntEnum
from statistics import NormalDist
from typing import NamedTuple

QUALIFY = 5
"""Greens in a row that a set-up needs."""


class Zone(IntEnum):
    """Where a piece lies in its tolerance."""

    RED_LOW = -2
    YELLOW_LOW = -1
    GREEN = 0
    YELLOW_HIGH = 1
    RED_HIGH = 2


class Verdict(NamedTuple):
    """What follows from a piece, and what to remember for the next one."""

    stop: bool
    adjust: bool
    greens: int
    pending: int


def zone(value: float, lower: float, upper: float) -> Zone:
    """The zone of a value; limits of tolerance and of zones belong to the inner one."""
    quarter = (upper - lower) / 4
    if value < lower:
        return Zone.RED_LOW
    if value > upper:
        return Zone.RED_HIGH
    if value < lower + quarter:
        return Zone.YELLOW_LOW
    return Zone.YELLOW_HIGH if value > upper - quarter else Zone.GREEN


def judge(at: Zone, greens: int, pending: int) -> Verdict:
    """The verdict on a piece in zone ``at``. ``greens``: so many in a row in this set-up; ``pending``: the
    side (-1, 1) of a yellow piece that waits for its second, else 0.
    """
    if abs(at) == 2:
        return Verdict(stop=True, adjust=False, greens=0, pending=0)
    if at is Zone.GREEN:
        return Verdict(stop=False, adjust=False, greens=min(greens + 1, QUALIFY), pending=0)
    if pending:
        return Verdict(stop=pending != at, adjust=pending == at, greens=0, pending=0)
    # During set-up a yellow piece only starts the count again.
    return Verdict(stop=False, adjust=False, greens=QUALIFY if greens >= QUALIFY else 0, pending=int(at))


class Chances(NamedTuple):
    """Probabilities for a normal, centred process: one piece green, yellow on one side, red on either side;
    a pair that asks to adjust (or, as likely, to stop for opposite yellows); a set-up that qualifies with its
    first five pieces.
    """

    green: float
    yellow: float
    red: float
    adjust: float
    qualify: float


def chances(cp: float) -> Chances:
    """What pre-control says about a centred process of capability ``cp``: the sort of errors it makes."""
    normal = NormalDist()
    inner, outer = normal.cdf(1.5 * cp), normal.cdf(3 * cp)
    green, yellow, red = 2 * inner - 1, outer - inner, 2 * (1 - outer)
    return Chances(green, yellow, red, 2 * yellow * yellow, green**QUALIFY)
