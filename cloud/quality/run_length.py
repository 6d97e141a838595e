"""What a set of run rules costs: the mean number of points until a signal, by simulation.

Many charts run side by side in numpy; each rule is counted as :mod:`protocols.spc.rules` decides it, and a
test holds both to the same answer. One simulation serves every set that has rule 1 in it: a chart runs until
that one signals, and the first signal of a set is the earliest of its rules'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from protocols.spc.rules import Rule

Array = np.ndarray[Any, Any]


class Runs:
    """Counters of many charts at once; :meth:`take` gives which charts each rule signals on."""

    def __init__(self, charts: int) -> None:
        self.side = np.zeros(charts, np.int8)
        self.last = np.full(charts, np.nan)
        self.step = np.zeros(charts, np.int8)
        self.counts = {name: np.zeros(charts, np.int32) for name in ("side", "trend", "swing", "in", "out")}
        self.two = np.zeros((2, charts), np.int8)
        self.one = np.zeros((4, charts), np.int8)

    def keep(self, chosen: Array) -> None:
        """Go on with some of the charts only."""
        self.side, self.last, self.step = self.side[chosen], self.last[chosen], self.step[chosen]
        self.counts = {name: count[chosen] for name, count in self.counts.items()}
        self.two, self.one = self.two[:, chosen], self.one[:, chosen]

    def take(self, z: Array) -> dict[Rule, Array]:
        """The next point of every chart."""
        size, side = np.abs(z), np.sign(z).astype(np.int8)
        count = self.counts
        count["side"] = np.where((side == self.side) & (side != 0), count["side"] + 1, np.abs(side))
        step = np.nan_to_num(np.sign(z - self.last)).astype(np.int8)
        count["trend"] = np.where((step == self.step) & (step != 0), count["trend"] + 1, np.abs(step))
        count["swing"] = np.where((step == -self.step) & (step != 0), count["swing"] + 1, np.abs(step))
        count["in"] = np.where(size < 1, count["in"] + 1, 0)
        count["out"] = np.where(size > 1, count["out"] + 1, 0)
        two, one = np.where(size > 2, side, 0), np.where(size > 1, side, 0)
        found = {
            Rule.NELSON_1: size > 3,
            Rule.NELSON_2: count["side"] >= 9,
            Rule.NELSON_3: count["trend"] >= 5,
            Rule.NELSON_4: count["swing"] >= 13,
            Rule.NELSON_5: (two != 0) & ((self.two == two).sum(axis=0) >= 1),
            Rule.NELSON_6: (one != 0) & ((self.one == one).sum(axis=0) >= 3),
            Rule.NELSON_7: count["in"] >= 15,
            Rule.NELSON_8: count["out"] >= 8,
            Rule.WE_4: count["side"] >= 8,
        }
        self.side, self.last, self.step = side, z, step
        self.two = np.vstack([self.two[1:], two]).astype(np.int8)
        self.one = np.vstack([self.one[1:], one]).astype(np.int8)
        return found


def first_signals(charts: int, seed: int, shift: float = 0.0) -> dict[Rule, Array]:
    """The number of the first point that each rule signals at, chart by chart, up to the one where rule 1
    does; where a rule has not, a number beyond that. ``shift`` of the mean, in standard deviations.
    """
    random, runs = np.random.default_rng(seed), Runs(charts)
    never = np.iinfo(np.int64).max
    found = {rule: np.full(charts, never) for rule in Rule}
    alive, number = np.arange(charts), 0
    while len(alive):
        number += 1
        signalled = runs.take(random.standard_normal(len(alive)) + shift)
        for rule, where in signalled.items():
            hit = alive[where]
            found[rule][hit] = np.minimum(found[rule][hit], number)
        going = ~signalled[Rule.NELSON_1]
        if not going.all():
            runs.keep(going)
            alive = alive[going]
    return found


def mean_run_length(found: dict[Rule, Array], rules: Sequence[Rule]) -> float:
    """Mean points until a set of rules signals; raises ValueError for a set without rule 1."""
    if Rule.NELSON_1 not in rules:
        raise ValueError(
            "a set of rules without nelson-1 has no run length here: points beyond 3 sigma count"
        )
    return float(np.minimum.reduce([found[rule] for rule in rules]).mean())
