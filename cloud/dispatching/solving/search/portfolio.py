"""Local search and solver side by side on one shop: one finds plans, the other proves, or improves parts.

The search runs in a thread of its own (compiled code holds no lock); its plans end the solver as soon as the
solver's bound meets them. The solver is started a second time from the best plan, which it cannot be told of
while it runs; where its bound is too far away for a proof, a second search takes its place instead.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from msgspec import structs

from cloud.dispatching.shop.schedule import Schedule, Status
from cloud.dispatching.solving.activities import Shop
from cloud.dispatching.solving.limits import Limits, OnSolution, Stop
from cloud.dispatching.solving.search import cache
from cloud.dispatching.solving.search.arrays import Code, decode, encode, facts, lower_bound

FIRST = 0.4
"""Share of the time after which the solver begins anew from the best plan."""

FAR = 0.01
"""Share of the cost between bound and best plan beyond which no proof is to be expected any more."""

YIELD = 10
"""How much nicer the solver's workers are than the search: there are more of them."""


PARTING = 0.05
"""Seconds that each search has to say its last word."""


class Board:
    """The best plan of both, and the best bound; used from several threads."""

    def __init__(self, start: Schedule, on_solution: OnSolution | None, bound: float, unit: int) -> None:
        self._lock = threading.Lock()
        self._on_solution = on_solution
        self.best = start
        self.bound = bound
        self.note = start.note
        self._closed = False
        self._unit = unit
        """All costs are multiples of it."""

    def offer(self, schedule: Schedule) -> None:
        """Note a plan if it is better than all before."""
        with self._lock:
            if self._closed or schedule.objective.total >= self.best.objective.total:
                return
            self.best = schedule
            if self._on_solution is not None:
                self._on_solution(schedule)

    def take(self, schedule: Schedule) -> None:
        """Note how a search ended."""
        self.offer(schedule)
        if schedule.bound is not None:
            self.prove(schedule.bound)

    def prove(self, bound: float) -> None:
        """Note that no plan costs less than ``bound``."""
        with self._lock:
            self.bound = max(self.bound, bound)

    @property
    def proved(self) -> bool:
        """Whether the best plan is as good as its bound."""
        return self.bound > self.best.objective.total - self._unit

    @property
    def far(self) -> bool:
        """Whether the bound is too far below the best plan to meet it."""
        return self.bound < (1 - FAR) * self.best.objective.total

    def result(self) -> Schedule:
        """The best plan with what is known of it; no other is taken after that."""
        with self._lock:
            self._closed = True
            total = self.best.objective.total
            if self.proved:
                return structs.replace(self.best, bound=float(total), status=Status.OPTIMAL, note=self.note)
            return structs.replace(self.best, bound=self.bound, note=self.note)


OnBound = Callable[[float], None]
Solver = Callable[[Schedule, Limits, OnSolution, OnBound, Stop], Schedule]
"""Searches beside: from a plan, within limits, tells of plans and bounds, returns the best with its bound."""


class Climber(Protocol):
    """A local search on one shop that tells a board of its plans and takes up what others found."""

    @property
    def done(self) -> float:
        """Share of the work that it may do in deterministic mode."""

    def step(self) -> None:
        """A portion of it, some hundredths of a second long."""


Start = Callable[[Board, int], Climber]
"""Makes a local search, given a seed; called in the thread in which it will run."""

MOVES = 12_000_000
"""Activities × moves that stand for a second in deterministic mode."""

SHARE = 0.5
"""Of the work, for the local search in deterministic mode."""

LOOK = 0.05
"""Seconds between two looks at whether both searches still have something to do."""


def improve(
    shop: Shop,
    start: Schedule,
    limits: Limits,
    solver: Solver,
    on_solution: OnSolution | None = None,
    stop: Stop | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Schedule:
    """The best plan found within ``limits``, never worse than ``start``, which must be valid.

    ``shop`` must be one that :func:`~cloud.dispatching.solving.search.arrays.represents`.
    """
    until = clock() + limits.seconds
    stop = stop or Stop()
    unit = shop.problem.weights.makespan
    least = unit * (lower_bound(shop) - shop.problem.now)
    board = Board(start, on_solution, float(least), unit)
    most = int(limits.seconds * SHARE * MOVES / len(shop.activities))
    return side_by_side(
        board,
        replace(limits, seconds=until - clock()) if not limits.deterministic else limits,
        lambda board, seed: Climb(shop, board, seed, most),
        solver,
        stop,
        clock,
        SHARE,
        twice=True,
    )


def side_by_side(
    board: Board,
    limits: Limits,
    start: Start,
    solver: Solver | None,
    stop: Stop,
    clock: Callable[[], float],
    share: float,
    *,
    twice: bool,
) -> Schedule:
    """A local search, and beside it the ``solver`` if there is one; the best plan of both.

    In deterministic mode they take turns: ``share`` of the work is the search's. Where there is no solver, or
    with ``twice`` where no proof is in sight, a second search takes its place.
    """
    until = clock() + limits.seconds
    if board.proved or stop.requested:
        return board.result()
    if limits.deterministic:
        _in_turns(board, limits, start, solver, stop, share)
    else:
        _beside(board, limits, start, solver, stop, until, clock, twice)
    return board.result()


def _in_turns(
    board: Board, limits: Limits, start: Start, solver: Solver | None, stop: Stop, share: float
) -> None:
    """A fixed number of moves, then the solver with what work is left."""
    climb = start(board, limits.seed)
    while climb.done < 1.0 and not stop.requested and not board.proved:
        climb.step()
    if solver is not None and not stop.requested and not board.proved:
        left = replace(limits, seconds=limits.seconds * (1 - share))
        board.take(solver(board.best, left, board.offer, board.prove, stop))


def _beside(
    board: Board,
    limits: Limits,
    start: Start,
    solver: Solver | None,
    stop: Stop,
    until: float,
    clock: Callable[[], float],
    twice: bool,
) -> None:
    inner = Stop()
    failures: list[str] = []

    def search(seed: int = limits.seed) -> None:
        if not _compiled(inner):
            return
        climb = start(board, seed)
        while not inner.requested and not board.proved:
            climb.step()

    def prove() -> None:
        if solver is None:
            search(limits.seed + 1)
            return
        _yield_to_the_search()
        for share in (FIRST, 1.0):
            left = (until - clock()) * share
            if inner.requested or board.proved or left <= 0:
                return
            board.take(solver(board.best, replace(limits, seconds=left), board.offer, board.prove, inner))
            if twice and board.far:
                search(limits.seed + 1)

    def told(work: Callable[[], None]) -> None:
        try:
            work()
        except (RuntimeError, ValueError, ImportError, MemoryError) as error:
            failures.append(f"{type(error).__name__}: {error}")

    stop.attach(inner.request)
    threads = [
        threading.Thread(target=told, args=(work,), name=name, daemon=True)
        for work, name in ((prove, "solver"), (search, "search"))
    ]
    for thread in threads:
        thread.start()
    while clock() < until and not stop.requested and not board.proved:
        if not any(thread.is_alive() for thread in threads):
            break
        threads[0].join(LOOK)
        if not threads[0].is_alive():
            threads[1].join(LOOK)
    inner.request()
    # Whoever waits gets the best plan now; the solver's workers may take a second to notice on a busy
    # machine. What they still find is not listened to.
    for thread in threads:
        thread.join(PARTING)
    if len(failures) == len(threads):
        raise RuntimeError("; ".join(failures))
    if failures:
        board.note = failures[0]


def _compiled(stop: Stop) -> bool:
    """Wait until the search is compiled; ``False`` if it was stopped first."""
    path = cache.folder() if cache.available() else None
    if path is None:
        return True  # nowhere to keep it: this process compiles it for itself
    while not cache.complete(path):
        if stop.requested:
            return False
        cache.begin(path)
        time.sleep(LOOK)
    return True


class Climb:
    """The local search on one shop, telling the board of what it finds and taking up what others found."""

    def __init__(self, shop: Shop, board: Board, seed: int, most: int) -> None:
        from cloud.dispatching.solving.search.pool import Pool  # compiles, and only where numba is installed

        self.most = most
        self.shop = shop
        self.board = board
        self.facts = facts(shop)
        self.pool = Pool(self.facts, self._code(board.best), self._target(), seed)
        self.known = board.best

    @property
    def done(self) -> float:
        """Share of the moves that it may make in deterministic mode."""
        return self.pool.moves / self.most if self.most else 1.0

    def step(self) -> None:
        """A portion of moves."""
        self.pool.target = self._target()
        if self.pool.step() and self.pool.best is not None:
            best = self.pool.best
            spots = decode(self.facts, best.code, best.head)
            self.board.offer(self.shop.schedule(spots, {}, Status.FEASIBLE))
        if self.board.best is not self.known:
            self.known = self.board.best
            if self.known.objective.makespan + self.shop.problem.now < self.pool.makespan:
                self.pool.adopt(self._code(self.known))

    def _code(self, schedule: Schedule) -> Code:
        return encode(self.facts, self.shop, self.shop.spots(schedule))

    def _target(self) -> int:
        return self.shop.problem.now + math.ceil(self.board.bound / self.shop.problem.weights.makespan)


def _yield_to_the_search() -> None:
    """On Linux each thread has its own priority, which the solver's workers inherit from this one."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.nice(0) + YIELD)
