"""The search over lists with Python types: portions of changed lists, cooler and cooler."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from cloud.dispatching.shop.schedule import Schedule, Status
from cloud.dispatching.solving.activities import Shop
from cloud.dispatching.solving.search import climb as compiled_climb
from cloud.dispatching.solving.search import decode as compiled_decode
from cloud.dispatching.solving.search import list_columns as k
from cloud.dispatching.solving.search.listing import NO_LIMIT, Decoder, List

MASK = (1 << 64) - 1

HOT = 1.0
"""First temperature, in mean rises of the cost by a changed list, where there is time for it."""

TIME = 100
"""Lists by activity in a cycle of cooling that are time for it; with half as many it begins at a quarter."""

WARM = 0.002
"""First temperature at least, so measured."""

COLD = 0.003
"""Last temperature as a share of the first."""

ANY = 1e30
"""A temperature at which every list is taken."""

SAMPLE = 10, 100
"""Changed lists from which that mean is learned: at least, and at most; a tenth of the cycle between that."""

AGAIN = 0.5
"""Each cycle after the first begins at this share of the temperature of the one before."""


class ListSearch:
    """Simulated annealing from a plan of a shop, or from a list, whose plan may exceed longest lags.

    The same seed and calls give the same plans.
    """

    def __init__(
        self,
        shop: Shop,
        start: Schedule | List,
        seed: int = 0,
        functions: ModuleType = compiled_climb,
    ) -> None:
        self.shop = shop
        self._climb = functions
        self._decoder = decoder = Decoder(shop, compiled_decode)
        arrays = decoder.given
        rows, units = len(arrays.activities), len(arrays.units)
        self._list = np.zeros((rows, k.C_COLUMNS), dtype=np.int64)
        self._ends = np.zeros(len(arrays.jobs), dtype=np.int64)
        self._sums = np.zeros(k.SUMS, dtype=np.int64)
        self._altered = np.zeros((8, 3), dtype=np.int64)
        self._order, self._position, self._placed, self._trial, self._spare = np.zeros(
            (5, units), dtype=np.int64
        )
        self._mark = np.zeros(units, dtype=np.uint8)
        self._best = np.zeros((4, max(rows, units, len(arrays.members))), dtype=np.int64)
        self._random = np.array([((2 * seed + 1) * 0x9E3779B97F4A7C15 & MASK) | 1], dtype=np.uint64)
        self._sums[k.BEST] = NO_LIMIT
        self._teller: Decoder | None = None
        self.stuck = False
        """Whether there is nothing in a list of this shop that can be changed."""
        self._hottest = self._rise = 0.0
        self._cycles = 0
        self._lists = 0.0
        self._kept = False
        """Whether a list that was taken up is a best one."""
        if isinstance(start, List):
            self._load(start)
        else:
            self.take_up(start)

    @property
    def evaluated(self) -> int:
        """Lists looked at."""
        return int(self._sums[k.EVALUATED])

    @property
    def current(self) -> int:
        """Cost of the list in hand."""
        return int(self._sums[k.CURRENT])

    @property
    def best(self) -> int:
        """Cost of the best plan so far."""
        return int(self._sums[k.BEST])

    def take_up(self, schedule: Schedule) -> None:
        """Go on from a plan found elsewhere."""
        held = [
            min(wish.start for wish in activity.wishes) if activity.wishes else None
            for activity in self.shop.activities
        ]
        spots = self.shop.spots(schedule)
        # What is planned before its wish was let go; what is later is held at its wish, not behind it.
        kept = [
            at if at is not None and spot.start >= at else None for at, spot in zip(held, spots, strict=True)
        ]
        self._load(self._decoder.list_of(spots, schedule.services, held=kept, omit=True))
        self._sums[k.BEST] = min(self.best, schedule.objective.total)

    def return_to_best(self) -> None:
        """Go on from the best list so far, if there is one that is better than the plan it began with."""
        if self._kept or self._sums[k.IMPROVED]:
            self._load(self._best_list())

    def in_hand(self) -> List:
        """The list in hand."""
        arrays = self._decoder.given
        return List(
            self._order.copy(),
            self._list[:, k.C_OPTION] - arrays.activities[:, k.OPTION_AT],
            self._list[:, k.C_HELD].copy(),
            arrays.members.copy(),
        )

    def _best_list(self) -> List:
        order, option, held, members = self._best.copy()
        arrays = self._decoder.given
        rows = len(arrays.activities)
        return List(
            order[: len(self._order)],
            option[:rows] - arrays.activities[:, k.OPTION_AT],
            held[:rows],
            members[: len(arrays.members)],
        )

    def run(self, lists: int, share: float) -> bool:
        """Look at ``lists`` changed lists; whether one was better than all before.

        ``share`` is how much of the cycle has passed, 0…1: it cools from one to the other.
        """
        return self._step(lists, self._hottest * COLD**share)

    def heat(self, lists: float) -> None:
        """Begin a cycle of some ``lists`` from the best list, less hot than one as long before it."""
        if not self._rise:
            least, most = SAMPLE
            self._rise = self._learned(int(min(most, max(least, lists / 10))))
        elif lists <= self._lists:
            self._cycles += 1
        self._lists = lists
        time = lists / max(1, len(self.shop.activities)) / TIME
        share = min(HOT, max(WARM, time * time)) * AGAIN**self._cycles
        self._hottest = max(1.0, self._rise * share)
        self.return_to_best()

    def plan(self) -> Schedule:
        """The best plan; call it only after :meth:`run` said that there is a better one."""
        if self._teller is None:
            self._teller = Decoder(self.shop, compiled_decode)
        return self._teller.schedule(self._teller.decode(self._best_list()), Status.FEASIBLE)

    def _learned(self, lists: int) -> float:
        """How much a changed list costs more than the one in hand, on average over some ``lists``."""
        rises: list[int] = []
        for _ in range(lists):
            before = self.current
            accepted = int(self._sums[k.ACCEPTED])
            self._step(1, ANY)
            if self._sums[k.ACCEPTED] > accepted and self.current > before:
                rises.append(self.current - before)
        rises.sort()
        return float(rises[len(rises) // 2]) if rises else self.current * 0.001

    def _step(self, lists: int, temperature: float) -> bool:
        before = self.evaluated
        better = bool(
            self._climb.climb(
                *self._decoder.given, self._list, self._ends, self._sums, self._altered, self._order,
                self._position, self._placed, self._best, self._trial, self._mark, self._spare, self._random,
                lists, temperature,
            )
        )  # fmt: skip
        self.stuck = self.evaluated < before + lists
        return better

    def _load(self, given: List) -> None:
        arrays = self._decoder.given
        compiled_decode.undo(*arrays, self._placed, 0)
        self._list[:, k.C_OPTION] = arrays.activities[:, k.OPTION_AT] + given.option
        self._list[:, k.C_HELD] = given.held
        arrays.members[:] = given.members
        self._order[:] = given.order
        self._climb.take_up(
            *arrays, self._list, self._ends, self._sums, self._altered, self._order, self._position,
            self._placed, self._best,
        )  # fmt: skip
        self._kept |= self.current == self.best and not arrays.numbers[k.BROKEN]
