"""The compiled search with Python types: one plan, one memory, moves in portions."""

from __future__ import annotations

import numpy as np

from cloud.dispatching.solving.search import kernel as k
from cloud.dispatching.solving.search.arrays import Code, Facts, Ints

MASK = (1 << 64) - 1


class Tabu:
    """A tabu search on the plan it has in hand; the same seed and calls give the same plans."""

    def __init__(self, given: Facts, seed: int = 0) -> None:
        n, m = len(given.activities), len(given.stations)
        # Its own room for the plan; the facts in it are never written.
        self._activities = given.activities.copy()
        self._stations = given.stations.copy()
        self._given = given
        self._order = np.zeros(n, dtype=np.int64)
        self._dirty = np.zeros(n, dtype=np.uint8)
        self._scratch = np.zeros((3, n), dtype=np.int64)
        self._best = np.zeros((4, n), dtype=np.int64)
        self._left = np.zeros((n, m), dtype=np.int64)
        self._forbidden = np.zeros(k.TABU_SIZE, dtype=np.int64)
        self._numbers = np.zeros(4, dtype=np.int64)
        self._random = np.array([((2 * seed + 1) * 0x9E3779B97F4A7C15 & MASK) | 1], dtype=np.uint64)

    @property
    def makespan(self) -> int:
        """Of the best plan since :meth:`load`, in seconds after the problem's origin."""
        return int(self._numbers[k.BEST])

    @property
    def moves(self) -> int:
        """Made in all."""
        return int(self._numbers[k.ITERATION])

    def load(self, code: Code) -> int:
        """Take up a plan, forgetting the best one and what is tabu; returns its makespan."""
        self._left[:] = 0
        self._forbidden[:] = 0
        most = int(
            k.load(
                self._activities, self._given.options, self._given.arcs, self._stations, self._given.table,
                self._order, self._numbers, code.option, code.order,
            )
        )  # fmt: skip
        self._numbers[k.BEST] = most + 1  # the plan itself is the first that is better
        self._numbers[k.IMPROVED] = self._numbers[k.ITERATION]
        return most

    def run(self, moves: int, patience: int, target: int, tenure: int, reach: int) -> int:
        """As :func:`~cloud.dispatching.solving.search.kernel.search`."""
        return int(
            k.search(
                self._activities, self._given.options, self._given.arcs, self._stations, self._given.table,
                self._order, self._dirty, self._scratch, self._best, self._left, self._forbidden,
                self._numbers, self._random, moves, patience, target, tenure, reach,
            )
        )  # fmt: skip

    @property
    def best(self) -> Code:
        """The best plan since :meth:`load`; valid after the first :meth:`run`."""
        return Code(self._best[k.B_OPTION].copy(), self._best[k.B_ORDER].copy())

    @property
    def best_heads(self) -> Ints:
        """(n): when each activity starts in it."""
        heads: Ints = self._best[k.B_HEAD].copy()
        return heads

    @property
    def best_tails(self) -> Ints:
        """(n): how long after its end it lasts."""
        tails: Ints = self._best[k.B_TAIL].copy()
        return tails
