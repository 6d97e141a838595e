"""Improve a plan: which searches do it depends on the shop.

A small one is one constraint model, which may prove the plan best. A shop of machines, routings and
changeovers only, whose plan shall end early, has a tabu search of its own (decision 0024). All others are
planned by a search over lists of work (decision 0031); beside it goes a model of the whole shop, or where
machines share nothing, part after part of it.

Large-neighbourhood search after Shaw (1998): some two dozen activities are decided anew by the solver while
the rest keeps its order. How many follows from how fast the solver proves them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace

from msgspec import structs

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule, Service, Status
from cloud.dispatching.solving.activities import Shop, Spot
from cloud.dispatching.solving.compilation import compile_shop
from cloud.dispatching.solving.exact.cp_model import MAX_ARCS, Found, ShopModel, arcs, horizon
from cloud.dispatching.solving.exact.cp_model import represents as represented
from cloud.dispatching.solving.exact.hint import Hint
from cloud.dispatching.solving.exact.neighbourhood import cut
from cloud.dispatching.solving.exact.picker import Picker
from cloud.dispatching.solving.exact.plan_graph import PlanGraph
from cloud.dispatching.solving.exact.whole_shop import improve_shop
from cloud.dispatching.solving.limits import Limits, OnSolution, Stop
from cloud.dispatching.solving.search import lists, portfolio
from cloud.dispatching.solving.search.arrays import represents
from cloud.dispatching.solving.search.cache import available
from cloud.dispatching.solving.timeline import retime

SMALL = 20
"""Activities up to which the whole shop is one model for all of the time."""

MEDIUM = 300
"""Activities up to which a model of the whole shop is tried first."""

SHARE_WHOLE = 0.2
"""Of the time, for that model."""

SHARE_LISTS = 0.5
"""Of the work, for the search over lists in deterministic mode; the rest is for parts of the shop."""

ROUND = 0.02
"""Deterministic time for one part: tenths of a second. Several short looks find more than a long one."""

NEAR = 1e-4
"""Share of the plan's cost that a part may miss; the last seconds are dear to find."""

LEAST_WORK = 0.005
"""Counted for a part at least in deterministic mode, so that the search ends."""

SIZES = (6.0, 18.0, 120.0)
"""Activities decided anew at a time: least, at first, most."""


def improve(
    problem: Problem,
    start: Schedule,
    limits: Limits,
    on_solution: OnSolution | None = None,
    stop: Stop | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Schedule:
    """The best plan found within ``limits``, never worse than ``start``, which must be valid."""
    until = clock() + limits.seconds
    shop = compile_shop(problem)
    stop = stop or Stop()
    count = len(shop.activities)
    fits = shop.is_plain or (count <= MEDIUM and represented(shop, shop.spots(start)))
    if not limits.deterministic:
        limits = replace(limits, seconds=max(0.0, until - clock()))
    if not limits.workers:
        return lists.improve(shop, start, limits, None, on_solution, stop, clock)
    if count <= SMALL and fits:
        return improve_shop(shop, start, limits, on_solution, stop)
    if available() and not represents(shop):
        return portfolio.improve(shop, start, limits, _solver(shop), on_solution, stop, clock)
    if not shop.is_plain:  # parts of a shop know nothing of what is shared
        beside = _whole(shop) if fits and not limits.deterministic else None
        return lists.improve(shop, start, limits, beside, on_solution, stop, clock)
    if available():
        return lists.improve(shop, start, limits, _parts(shop), on_solution, stop, clock, SHARE_LISTS)
    best, left = start, limits.seconds
    if count <= MEDIUM and arcs(shop) <= MAX_ARCS:
        first = replace(limits, seconds=limits.seconds * SHARE_WHOLE)
        best = improve_shop(shop, start, first, on_solution, stop)
        if best.status is Status.OPTIMAL:
            return best
        left -= first.seconds
    if not limits.deterministic:
        left = until - clock()
    return Search(shop, best, replace(limits, seconds=left), on_solution, stop, clock).run()


def _whole(shop: Shop) -> portfolio.Solver:
    return lambda start, limits, found, on_bound, stop: improve_shop(
        shop, start, limits, found, stop, on_bound
    )


def _solver(shop: Shop) -> portfolio.Solver:
    """What goes beside the local search: the whole shop in one model, or if it is too large, its parts."""
    if arcs(shop) <= MAX_ARCS:
        return _whole(shop)
    return lambda start, limits, found, on_bound, stop: Search(shop, start, limits, found, stop).run()


def _parts(shop: Shop) -> portfolio.Solver:
    """The whole shop in one model at first, if it is not too large for that, and then its parts."""
    whole = len(shop.activities) <= MEDIUM and arcs(shop) <= MAX_ARCS

    def solve(
        start: Schedule, limits: Limits, found: OnSolution, on_bound: portfolio.OnBound, stop: Stop
    ) -> Schedule:
        nonlocal whole
        if whole and not limits.deterministic:
            whole = False
            return improve_shop(shop, start, limits, found, stop, on_bound)
        return Search(shop, start, limits, found, stop).run()

    return solve


class Search:
    """One large-neighbourhood search over a shop."""

    def __init__(
        self,
        shop: Shop,
        start: Schedule,
        limits: Limits,
        on_solution: OnSolution | None,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.shop = shop
        self.limits = limits
        self.on_solution = on_solution
        self.stop = stop
        self.clock = clock
        self.best = start
        self.plan = PlanGraph(shop, shop.spots(start), start.services)
        self.rng = random.Random(limits.seed)
        self.size = SIZES[1]
        self.work = 0.0
        self.rounds = 0
        self.gains = 0

    def run(self) -> Schedule:
        """The best plan when the limits are reached or the search is stopped."""
        began = self.clock()
        if self.shop.activities:
            self._accept(list(self.plan.spots), self.plan.services, self.plan.by_start)
            picker = Picker(self.shop, self.rng)
            while not self.stop.requested and (left := self._left(began)) > 0.0:
                self._decide_anew(picker.pick(self.plan, int(self.size)), left)
        return self.best

    def _left(self, began: float) -> float:
        used = self.work if self.limits.deterministic else self.clock() - began
        return self.limits.seconds - used

    def _decide_anew(self, free: set[int], left: float) -> None:
        part = cut(self.plan, free)
        model = ShopModel(part.shop, horizon(part.shop, part.spots))
        Hint(model, part.spots, part.services).give()
        found: list[Found] = []
        limits = Limits(
            seconds=left,
            workers=1,
            deterministic=self.limits.deterministic,
            seed=self.rng.randrange(1 << 30),
            gap=NEAR * self.best.objective.total,
            work=ROUND,
            quick=True,
        )
        result = model.solve(limits, found.append, self.stop)
        self.work += max(result.work, LEAST_WORK)
        self.rounds += 1
        self.size *= 1.03 if result.proved else 0.95
        self.size = min(max(self.size, SIZES[0]), SIZES[2])
        if found:
            self._accept(*part.merge(self.plan, found[-1].spots, found[-1].services))

    def _accept(self, spots: list[Spot], services: dict[str, Service], order: list[int]) -> None:
        """Take over a plan that costs no more, drawn to the left."""
        early = retime(self.shop, spots, services, order)
        schedule = self.shop.schedule(early, services, Status.FEASIBLE)
        if schedule.objective.total > self.best.objective.total:
            return
        self.plan = PlanGraph(self.shop, early, services)
        if schedule.objective.total < self.best.objective.total:
            self.gains += 1
            self.best = structs.replace(schedule, bound=self.best.bound)
            if self.on_solution is not None:
                self.on_solution(self.best)
