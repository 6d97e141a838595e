"""The search over lists as one of the searches side by side: for every shop, whatever its costs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from msgspec import structs

from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.solving.activities import Shop
from cloud.dispatching.solving.limits import Limits, OnSolution, Stop
from cloud.dispatching.solving.search.portfolio import Board, Solver, side_by_side

PLACED = 600_000
"""Activities × lists that stand for a second in deterministic mode."""

CYCLE = 1500
"""Lists looked at in one cycle of cooling at most, by activity."""

SOON, GROWTH = 0.3, 6
"""Seconds of the first cycle, and how much longer each is than the one before."""

FIRST = 30
"""Lists from which is learned how many there is time for."""

PORTION = 0.02
"""Seconds of search between two looks at the clock."""

TELL = 0.25
"""Seconds at least between two plans that are told while the search goes on."""


def improve(
    shop: Shop,
    start: Schedule,
    limits: Limits,
    solver: Solver | None,
    on_solution: OnSolution | None = None,
    stop: Stop | None = None,
    clock: Callable[[], float] = time.monotonic,
    share: float = 1.0,
) -> Schedule:
    """The best plan found within ``limits``, never worse than ``start``, which must be valid.

    In deterministic mode ``share`` of the work is the search's, the rest the ``solver``'s, if there is one.
    """
    if not shop.activities and not shop.tasks:
        return start  # compiled code would look for something to move all the same
    until = clock() + limits.seconds
    most = limits.seconds * share * PLACED / max(1, len(shop.activities))
    board = Board(start, on_solution, start.bound or 0.0, 1)

    def begin(board: Board, seed: int) -> ListClimb:
        left = None if limits.deterministic else lambda: until - clock()
        return ListClimb(shop, board, seed, left, most)

    if limits.deterministic and solver is None:
        share = 1.0
    best = side_by_side(board, limits, begin, solver, stop or Stop(), clock, share, twice=False)
    return best if best.bound else structs.replace(best, bound=start.bound)


class ListClimb:
    """A search over lists in cycles of cooling, telling the board of what it finds.

    Time is seconds left by ``left``, or where there is none the lists looked at, ``most`` of them.
    """

    def __init__(
        self, shop: Shop, board: Board, seed: int, left: Callable[[], float] | None, most: float
    ) -> None:
        from cloud.dispatching.solving.search.list_search import ListSearch  # loads what is compiled

        self._size = max(1, len(shop.activities))
        self._board = board
        self._left = left
        self._most = most
        self._search = ListSearch(shop, board.best, seed)
        self._untold = self._search.best < board.best.objective.total
        self._told = math.inf
        self._telling = 0.0
        self._rate = PLACED / self._size
        self._known = board.best
        self._search.run(1, 0.0)  # loads what is compiled
        if left is not None:
            began = time.perf_counter()
            self._search.run(FIRST, 0.0)
            self._rate = FIRST / max(1e-6, time.perf_counter() - began)
        self._began = self._length = self._lists = 0.0
        self._begin()

    @property
    def done(self) -> float:
        """Share of the work that it may do in deterministic mode."""
        return 1.0 if self._search.stuck else self._search.evaluated / max(1.0, self._most)

    def step(self) -> None:
        """Some hundredths of a second of search."""
        if self._search.stuck:
            time.sleep(PORTION)  # nothing to change: the other search may have something to do
            return
        now = self._now()
        passed = (now - self._began) / self._length if self._length else 1.0
        if passed >= 1.0:
            self._tell()
            self._take_up()
            self._begin()
            passed = 0.0
        lists = max(1, int(self._rate * PORTION))
        began = time.perf_counter()
        self._untold |= self._search.run(lists, passed)
        seconds = max(1e-6, time.perf_counter() - began)
        if self._left is None:
            if self._untold and self.done >= 1.0:
                self._tell()
            return
        self._rate = 0.5 * self._rate + 0.5 * lists / seconds
        left = self._left()
        ending = left < 3 * PORTION + 2 * self._telling
        if self._untold and (ending or self._told - left > max(TELL, 10 * self._telling)):
            self._tell()

    def _now(self) -> float:
        """Time, in lists or seconds."""
        return -self._left() if self._left is not None else float(self._search.evaluated)

    def _begin(self) -> None:
        """Begin a cycle: a short one at first, which finds something soon, then longer and hotter ones."""
        left = self._left() if self._left is not None else self._most - self._search.evaluated
        rate = self._rate if self._left is not None else 1.0
        lists = max(1.0, left * rate)
        wanted = min(CYCLE * self._size, GROWTH * self._lists or SOON * self._rate)
        self._lists = lists if lists < 2 * wanted else wanted
        self._search.heat(self._lists)
        self._began, self._length = self._now(), self._lists / rate

    def _tell(self) -> None:
        if not self._untold:
            return
        began = time.perf_counter()
        self._board.offer(self._search.plan())
        self._untold = False
        self._telling = time.perf_counter() - began
        self._told = self._left() if self._left is not None else 0.0

    def _take_up(self) -> None:
        """Go on from what another search found, if that is better."""
        best = self._board.best
        if best is not self._known:
            self._known = best
            if best.objective.total < self._search.best:
                self._search.take_up(best)
