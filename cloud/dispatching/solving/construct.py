"""Dispatch rules: a plan that keeps every rule of the problem, at once and without a solver.

Several rules (and, in small shops, randomised restarts) are tried, among them the order of the published
plan; the plan that costs least is returned. The number of tries depends on the problem's size, not on the
clock, so the same problem always gives the same plan.

The rules know machines, routings, windows and changeovers. In a shop where there is more to it they say which
machines are taken and what comes first; the list decoder
(:mod:`~cloud.dispatching.solving.search.listing`) then makes a plan of that.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from msgspec import structs

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule, Service, Status
from cloud.dispatching.shop.shared_validation import ProblemError
from cloud.dispatching.shop.validation import ImpossibleProblem, check
from cloud.dispatching.solving.activities import Shop, Spot
from cloud.dispatching.solving.compilation import compile_shop
from cloud.dispatching.solving.dispatch_rules import rules, urgency
from cloud.dispatching.solving.dispatcher import Dispatcher
from cloud.dispatching.solving.timeline import Timeline, retime

if TYPE_CHECKING:
    from cloud.dispatching.solving.search.listing import List

EFFORT = 12_000
"""Activities dispatched over all tries: two tries of 6,000, forty of 300."""

SEARCHED = 10_000
"""Activities × lists in a hundredth of the search for a plan that keeps all longest lags."""


def construct(problem: Problem, seed: int = 0, tries: int | None = None) -> Schedule:
    """A feasible plan by dispatch rules, in well under a second for 6,000 operations.

    ``tries`` is how many rules are tried at most, if not as many as are worth their time.

    Raises :class:`~cloud.dispatching.shop.validation.ImpossibleProblem` when the problem makes no sense.
    """
    check(problem)
    return construct_shop(compile_shop(problem), seed, tries)


def repair(problem: Problem) -> Schedule:
    """The published plan, moved only where it must; new work where its latest start puts it.

    Raises :class:`~cloud.dispatching.shop.validation.ImpossibleProblem` when the problem makes no sense.
    """
    check(problem)
    shop = compile_shop(problem)
    if not shop.is_plain:
        return _listed(shop, [], _wished(shop), random.Random(0))
    return shop.schedule(*_repaired(shop), Status.CONSTRUCTED)


def construct_shop(shop: Shop, seed: int = 0, most: int | None = None) -> Schedule:
    """As :func:`construct`, for a compiled problem."""
    rng = random.Random(seed)
    # Whatever is decided already costs time as well: every plan is valued as a whole.
    size = max(1, len(shop.activities), len(shop.problem.operations) // 3)
    tries = max(1, min(most or 40, EFFORT // size))
    near_published = 2 * sum(bool(activity.wishes) for activity in shop.activities) >= len(shop.activities)
    if not shop.is_plain:
        simple = _simplified(shop)
        drafts = [Dispatcher(simple, rule).run() for rule in rules(simple, tries, rng)]
        return _listed(shop, drafts, _wished(shop) if near_published else None, rng)
    plans = [Dispatcher(shop, rule).run() for rule in rules(shop, tries, rng)]
    if near_published:
        plans.append(_repaired(shop))
    schedules = [shop.schedule(spots, services, Status.CONSTRUCTED) for spots, services in plans]
    return min(schedules, key=lambda schedule: schedule.objective.total)


def _simplified(shop: Shop) -> Shop:
    """``shop`` without the pauses of machines whose work may rest: rules see closed doors there."""
    resting = {o.station for a in shop.activities if a.interruptible for o in a.options}
    return replace(
        shop,
        stations=tuple(
            replace(station, blocks=tuple(b for b in station.blocks if not b.pause))
            if station.index in resting
            else station
            for station in shop.stations
        ),
    )


def _listed(
    shop: Shop,
    drafts: Sequence[tuple[list[Spot], dict[str, Service]]],
    wished: list[Spot] | None,
    rng: random.Random,
) -> Schedule:
    """The best plan that the list decoder makes of ``drafts``, which need not keep every rule.

    ``wished`` is where the published plan has everything; what is in it comes no earlier.
    """
    from cloud.dispatching.solving.search.listing import Decoder  # numpy, and what is compiled, take a while

    decoder = Decoder(shop)
    lists = [decoder.list_of(spots, services) for spots, services in drafts]
    if wished is not None:
        held = [s.start if a.wishes else None for s, a in zip(wished, shop.activities, strict=True)]
        lists.append(decoder.list_of(wished, {}, held=held))

    def worth(given: List) -> tuple[int, int]:
        decoded = decoder.decode(given)
        return decoded.broken, decoded.cost

    best = decoder.mend(min(lists, key=worth), rng)
    if best.broken and (found := _kept_lags(shop, decoder.placed())) is not None:
        return found
    plan = decoder.schedule(best, Status.CONSTRUCTED)
    if best.broken:
        raise ImpossibleProblem(list(_too_late(shop, best.spots)))
    return plan


def _kept_lags(shop: Shop, given: List) -> Schedule | None:
    """A plan in which no longest lag is exceeded, by a short search from a list in which one is."""
    from cloud.dispatching.solving.search.listing import is_compiled

    if not is_compiled():  # compiling takes longer than anyone waits for a first plan
        return None
    from cloud.dispatching.solving.search.list_search import ListSearch

    search = ListSearch(shop, given)
    lists = max(1, SEARCHED // max(1, len(shop.activities)))
    search.heat(100 * lists)
    for part in range(100):
        if search.run(lists, part / 100):
            return structs.replace(search.plan(), status=Status.CONSTRUCTED)
    return None


def _too_late(shop: Shop, spots: Sequence[Spot]) -> Iterator[ProblemError]:
    """What starts too long after something else in a plan."""
    orders = {operation.id: operation.order_id for operation in shop.problem.operations}
    for activity, spot in zip(shop.activities, spots, strict=True):
        for other, most in activity.most.items():
            over = spot.start - spots[other].end - most
            if over > 0:
                name = activity.operations[0]
                yield ProblemError(
                    reason=f"no plan was found that starts it {most} s after {shop.activities[other].id} at "
                    f"most; the best starts it {over} s later: allow that, or another machine",
                    order_id=orders[name],
                    operation_id=name,
                )


def _wished(shop: Shop) -> list[Spot]:
    """Everything where it is published; new work at its latest start, on its quickest machine."""
    shortest = [min(o.seconds for o in a.options) for a in shop.activities]
    latest, _, _ = urgency(shop, shortest)
    spots: list[Spot] = []
    for activity in shop.activities:
        wish = activity.wishes[0] if activity.wishes else None
        choices = range(len(activity.options))
        option = min(choices, key=lambda at: activity.options[at].seconds)
        start = int(latest[activity.index])
        if wish is not None:
            option = next((at for at in choices if activity.options[at].station == wish.station), option)
            start = wish.start
        spots.append(Spot(option, 0, start, start + activity.options[option].seconds))
    return spots


def _repaired(shop: Shop) -> tuple[list[Spot], dict[str, Service]]:
    """The published plan, moved only where it must; new work where its latest start puts it."""
    spots = _wished(shop)
    services: dict[str, Service] = {}
    lines = [Timeline(station, shop.problem.now) for station in shop.stations]
    for task in sorted(shop.tasks, key=lambda t: (t.finish_before, t.id)):
        line = lines[task.station]
        start = line.gap(max(task.earliest, line.free), task.seconds)
        if start + task.seconds <= task.finish_before:
            services[task.id] = Service(
                machine=shop.stations[task.station].id, start=start, end=start + task.seconds
            )
            line.free = start + task.seconds
    return retime(shop, spots, services, _in_order(shop, [spot.start for spot in spots])), services


def _in_order(shop: Shop, keys: list[int]) -> list[int]:
    """Activities by key, but none before what it waits for."""
    waits = [len(activity.before) for activity in shop.activities]
    ready = [(keys[i], i) for i, count in enumerate(waits) if not count]
    heapify(ready)
    order: list[int] = []
    while ready:
        _, index = heappop(ready)
        order.append(index)
        for follower, _ in shop.activities[index].after:
            waits[follower] -= 1
            if not waits[follower]:
                heappush(ready, (keys[follower], follower))
    return order
