"""Improve a plan with one model of the whole shop, warm-started from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule, Status
from cloud.dispatching.solving.activities import Shop
from cloud.dispatching.solving.compilation import compile_shop
from cloud.dispatching.solving.exact.cp_model import Found, ShopModel, horizon, represents
from cloud.dispatching.solving.exact.hint import Hint
from cloud.dispatching.solving.limits import Limits, OnSolution, Stop
from cloud.dispatching.solving.timeline import retime


def improve(
    problem: Problem,
    start: Schedule,
    seconds: float,
    workers: int = 8,
    deterministic: bool = False,
    on_solution: OnSolution | None = None,
    *,
    seed: int = 0,
    stop: Stop | None = None,
) -> Schedule:
    """The best plan found within ``seconds``, never worse than ``start``, which must be valid.

    ``deterministic`` makes the search repeatable: ``seconds`` is then an amount of work, not of time.
    """
    shop = compile_shop(problem)
    return improve_shop(shop, start, Limits(seconds, workers, deterministic, seed), on_solution, stop)


def improve_shop(
    shop: Shop,
    start: Schedule,
    limits: Limits,
    on_solution: OnSolution | None = None,
    stop: Stop | None = None,
    on_bound: Callable[[float], None] | None = None,
) -> Schedule:
    """As :func:`improve`, for a compiled problem; ``on_bound`` hears of every better bound of the cost.

    A shop that is too large for one model keeps its plan.
    """
    began = time.monotonic()
    stop = stop or Stop()
    if not shop.activities and not shop.tasks:
        return _with(start, Status.OPTIMAL, float(start.objective.total))
    spots = shop.spots(start)
    if not represents(shop, spots):
        return start
    model = ShopModel(shop, horizon(shop, spots))
    Hint(model, spots, start.services, start.trips).give()
    best = start

    def found(it: Found) -> None:
        nonlocal best
        # Solutions may leave gaps; with more than machines and routings they keep rules that gaps serve.
        early = retime(shop, it.spots, it.services) if shop.is_plain else it.spots
        schedule = shop.schedule(early, it.services, Status.FEASIBLE, trips=it.trips)
        if schedule.objective.total < best.objective.total:
            best = schedule
            if on_solution is not None:
                on_solution(schedule)

    if not limits.deterministic:  # loading the solver and building the model take their time as well
        limits = replace(limits, seconds=limits.seconds - (time.monotonic() - began))
    result = model.solve(limits, found, stop, on_bound)
    if result.proved and limits.gap == 0.0:
        return _with(best, Status.OPTIMAL, float(best.objective.total))
    return _with(best, best.status, max(result.bound, best.bound or 0.0))


def _with(schedule: Schedule, status: Status, bound: float) -> Schedule:
    return Schedule(
        assignments=schedule.assignments,
        services=schedule.services,
        trips=schedule.trips,
        objective=schedule.objective,
        bound=bound,
        status=status,
        note=schedule.note,
    )
