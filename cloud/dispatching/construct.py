"""Dispatch rules: a plan that keeps every rule of the problem, at once and without a solver.

Machines are simulated in order of time; whenever one comes free, a rule picks from what waits there. Several
rules (and, in small shops, randomised restarts) are tried, among them the order of the published plan; the
plan that costs least is returned. The number of tries depends on the problem's size, not on the clock, so the
same problem always gives the same plan.

Rules: apparent tardiness cost with setups (ATCS, Lee, Bhaskaran & Pinedo 1997) for several look-aheads,
earliest due date, most work remaining, first come first served.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

from cloud.dispatching.activities import Shop, Spot, Task
from cloud.dispatching.compilation import compile_shop
from cloud.dispatching.problem import Problem
from cloud.dispatching.schedule import Schedule, Service, Status
from cloud.dispatching.timeline import Timeline, retime
from cloud.dispatching.validation import check

FAR = 1 << 50
"""Seconds later than any due date."""

LEASED = 1e12
"""Worth of work that an edge holds: it comes before all other work that waits for its machine."""

EFFORT = 12_000
"""Activities dispatched over all tries: two tries of 6,000, forty of 300."""


Waiting = tuple[int, int, int, int, bool]
"""Release, activity, option, set-up state, and whether there is a choice of machines."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do next: the waiting activity with the largest
    ``worth − urgency × seconds left until its latest start − changeover × seconds of changeover``."""

    worth: list[float]
    latest: list[float]
    urgency: float = 0.0
    changeover: float = 0.0
    delay: float = 0.0
    """Cost of a second that the machine waits (for a window to pass)."""
    station: list[int] | None = None
    """Where each activity must go, if the rule says so."""


def construct(problem: Problem, seed: int = 0) -> Schedule:
    """A feasible plan by dispatch rules, in well under a second for 6,000 operations.

    Raises :class:`~cloud.dispatching.validation.ImpossibleProblem` when the problem makes no sense.
    """
    check(problem)
    return construct_shop(compile_shop(problem), seed)


def repair(problem: Problem) -> Schedule:
    """The published plan, moved only where it must; new work where its latest start puts it.

    Raises :class:`~cloud.dispatching.validation.ImpossibleProblem` when the problem makes no sense.
    """
    check(problem)
    shop = compile_shop(problem)
    return shop.schedule(*_repaired(shop), Status.CONSTRUCTED)


def construct_shop(shop: Shop, seed: int = 0) -> Schedule:
    """As :func:`construct`, for a compiled problem."""
    # Whatever is decided already costs time as well: every plan is valued as a whole.
    size = max(1, len(shop.activities), len(shop.problem.operations) // 3)
    tries = max(1, min(40, EFFORT // size))
    plans = [Dispatcher(shop, rule).run() for rule in _rules(shop, tries, random.Random(seed))]
    if 2 * sum(bool(activity.wishes) for activity in shop.activities) >= len(shop.activities):
        plans.append(_repaired(shop))
    schedules = [shop.schedule(spots, services, Status.CONSTRUCTED) for spots, services in plans]
    return min(schedules, key=lambda schedule: schedule.objective.total)


def _repaired(shop: Shop) -> tuple[list[Spot], dict[str, Service]]:
    """The published plan, moved only where it must; new work where its latest start puts it."""
    shortest = [min(o.seconds for o in a.options) for a in shop.activities]
    latest, _, _ = _urgency(shop, shortest)
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


def _rules(shop: Shop, tries: int, rng: random.Random) -> Iterator[Rule]:
    """One rule at least, ``tries`` at most; the published order first, then the most promising."""
    count = len(shop.activities)
    shortest = [min(o.seconds for o in a.options) for a in shop.activities]
    latest, weight, tail = _urgency(shop, shortest)
    mean = sum(shortest) / count if count else 1.0
    pressure = 1.0 / max(mean, 1.0)
    setups = [s for st in shop.stations if st.has_changeovers for row in st.changeover for s in row if s]
    per_changeover = 1.0 / max(1.0, sum(setups) / len(setups)) if setups else 0.0
    ratio = [math.log((weight[i] + 1e-9) / max(1, shortest[i])) for i in range(count)]
    far = [float(FAR)] * count
    produced = 0
    if any(activity.wishes for activity in shop.activities):
        yield _published(shop, latest)
        tries = max(1, tries - 1)
    has_due = any(job.due is not None for job in shop.jobs)

    def atcs(look_ahead: float, setup: float) -> Rule:
        urgency = pressure / look_ahead
        return Rule(ratio, latest, urgency, per_changeover * setup, urgency)

    longest_first = Rule([float(t) for t in tail], far, 0.0, per_changeover * mean, 1.0)
    menu: list[Rule] = [atcs(2.0, 2.0)] if has_due else [longest_first]
    menu += [
        longest_first,
        atcs(0.7, 2.0),
        atcs(6.0, 2.0),
        atcs(2.0, 8.0),
        Rule([-value for value in latest], far, 0.0, 0.5, 1.0),
        Rule([-float(i) for i in range(count)], far),
    ]
    for rule in menu[:tries]:
        produced += 1
        yield rule
    while produced < tries:
        produced += 1
        rule = rng.choice(menu[:5])
        spread = max(1.0, (max(rule.worth, default=0.0) - min(rule.worth, default=0.0)) * 0.1)
        worth = [value + rng.uniform(0.0, spread) for value in rule.worth]
        yield Rule(worth, rule.latest, rule.urgency, rule.changeover * rng.uniform(0.3, 3.0), rule.delay)


def _published(shop: Shop, latest: list[float]) -> Rule:
    """The order and machines of the published plan; what is new goes where its latest start puts it."""
    worth = [-float(min((w.start for w in a.wishes), default=latest[a.index])) for a in shop.activities]
    station = [a.wishes[0].station if a.wishes else -1 for a in shop.activities]
    return Rule(worth, [float(FAR)] * len(worth), 0.0, 0.0, 1.0, station)


def _urgency(shop: Shop, shortest: list[int]) -> tuple[list[float], list[float], list[int]]:
    """By activity: latest start for its job to be in time, weight, and the work that follows it at least."""
    count = len(shop.activities)
    dues = [job.due for job in shop.jobs if job.due is not None]
    # Without a due date: after all others, yet near enough for floats to keep the differences.
    finish = [float(max([shop.problem.now, *dues]) + sum(shortest))] * count
    weight = [0.0] * count
    tail = [0] * count
    for job in shop.jobs:
        for index in job.activities:
            weight[index] = max(weight[index], float(job.weight))
            if job.due is not None:
                finish[index] = min(finish[index], float(job.due))
    for index in reversed(shop.order):
        for follower, lag in shop.activities[index].after:
            tail[index] = max(tail[index], tail[follower] + shortest[follower] + lag)
            start = finish[follower] - shortest[follower] - lag
            if start < finish[index]:
                finish[index] = start
                weight[index] = max(weight[index], weight[follower])
    return (
        [finish[i] - shortest[i] for i in range(count)],
        weight,
        [tail[i] + shortest[i] for i in range(count)],
    )


class Dispatcher:
    """One simulation of the shop under one rule; :meth:`run` may be called once."""

    def __init__(self, shop: Shop, rule: Rule) -> None:
        self.shop = shop
        worth = [w + LEASED if a.leased else w for w, a in zip(rule.worth, shop.activities, strict=True)]
        self.rule = replace(rule, worth=worth)
        self.lines = [Timeline(station, shop.problem.now) for station in shop.stations]
        self.queue: list[list[Waiting]] = [[] for _ in shop.stations]
        """By station, what is released and waits."""
        self.coming: list[list[Waiting]] = [[] for _ in shop.stations]
        """By station, a heap of what will be released."""
        self.spots: list[Spot | None] = [None] * len(shop.activities)
        self.waits = [len(activity.before) for activity in shop.activities]
        self.release: dict[tuple[int, int], int] = {}
        self.events: list[tuple[int, int, int]] = []
        self.services: dict[str, Service] = {}
        self.tasks: dict[int, list[Task]] = {}
        for task in sorted(shop.tasks, key=lambda t: (t.finish_before, t.id), reverse=True):
            self.tasks.setdefault(task.station, []).append(task)
        self.leases: list[list[int]] = [[] for _ in shop.stations]
        for index in reversed(shop.order):
            activity = shop.activities[index]
            if activity.leased:
                self.leases[activity.options[0].station].append(index)

    def run(self) -> tuple[list[Spot], dict[str, Service]]:
        """Where everything went: spots by activity, services by maintenance id."""
        for activity in self.shop.activities:
            if not activity.before:
                self._announce(activity.index)
        while self.events:
            time, second_look, station = heappop(self.events)
            self._look(time, bool(second_look), station)
        for station in self.tasks:
            self._serve(station, FAR)
        spots = [spot for spot in self.spots if spot is not None]
        if len(spots) != len(self.spots):
            raise RuntimeError("the dispatch left operations out; the routing has a cycle")
        return spots, self.services

    def _announce(self, index: int) -> None:
        """All predecessors are placed: tell every machine that can do it from when on."""
        activity = self.shop.activities[index]
        wanted = self.rule.station[index] if self.rule.station else -1
        on_wanted = any(option.station == wanted for option in activity.options)
        for position, option in enumerate(activity.options):
            if on_wanted and option.station != wanted:
                continue
            release = option.release
            for before, lag in activity.before:
                spot = self.spots[before]
                if spot is not None:
                    from_station = self.shop.activities[before].options[spot.option].station
                    release = max(release, spot.end + self.shop.wait(lag, from_station, option.station))
            waiting = (release, index, position, option.state, len(activity.options) > 1)
            heappush(self.coming[option.station], waiting)
            heappush(self.events, (max(release, self.lines[option.station].free), 0, option.station))
            self.release[index, position] = release

    def _look(self, time: int, second_look: bool, station: int) -> None:
        """The machine may be free at ``time``: start the best of what waits, or look again later."""
        line = self.lines[station]
        if line.free > time:
            return  # an event waits at that time
        coming, queue = self.coming[station], self.queue[station]
        while coming and coming[0][0] <= time:
            queue.append(heappop(coming))
        if not queue:
            return
        if line.has_blocks:
            line.advance(time)
            until = line.closed_until(time)
            if until is not None:
                heappush(self.events, (until, 0, station))
                return
        chosen = self._choose(time, second_look, station)
        if chosen is None:
            return
        release, index, position, _, _ = chosen
        option = self.shop.activities[index].options[position]
        if station in self.tasks and self._serve(station, line.place(option, release)[2]):
            heappush(self.events, (max(time, line.free), 0, station))
            return
        self.queue[station].remove(chosen)
        self._start(station, index, position, release)

    def _choose(self, time: int, second_look: bool, station: int) -> Waiting | None:
        """What the rule would start now; ``None`` if it would rather wait, which it then sees to itself.

        The inner loop of the whole construction: names are local, and what is dear comes last.
        """
        rule = self.rule
        worth, latest, urgency, per_changeover = rule.worth, rule.latest, rule.urgency, rule.changeover
        line = self.lines[station]
        row = line.changeovers()
        in_gaps = line.has_blocks
        lease = self._reserved(station, time) if self.leases[station] else None
        spots = self.spots
        best: Waiting | None = None
        best_score = -math.inf
        again = FAR
        gone = False
        for waiting in self.queue[station]:
            release, index, position, state, choice = waiting
            if choice and spots[index] is not None:
                gone = True
                continue
            score = worth[index] - per_changeover * row[state]
            left = latest[index] - time
            if left > 0.0:
                score -= urgency * left
            if score <= best_score:
                continue
            if lease is not None and lease[2] != index and not self._fits_before(station, waiting, lease):
                continue
            if in_gaps:
                option = self.shop.activities[index].options[position]
                score -= rule.delay * max(0, line.place(option, release)[1] - time)
                if score <= best_score:
                    continue
            if choice:
                better = self._better_elsewhere(time, station, waiting)
                if better is not None and (better > time or not second_look):
                    again = min(again, better)
                    continue
            best, best_score = waiting, score
        if gone:
            self.queue[station] = [w for w in self.queue[station] if spots[w[1]] is None]
        if best is None and self.queue[station]:
            if again < FAR:
                heappush(self.events, (max(again, time), 1, station))
            elif lease is not None:
                heappush(self.events, (lease[0], 0, station))
        return best

    def _reserved(self, station: int, time: int) -> tuple[int, int, int] | None:
        """(expected start, set-up state, activity) of the next leased work here, if it is still to come."""
        leases = self.leases[station]
        while leases and self.spots[leases[-1]] is not None:
            leases.pop()
        if not leases:
            return None
        option = self.shop.activities[leases[-1]].options[0]
        expected = self.release.get((leases[-1], 0), option.release)
        return (expected, option.state, leases[-1]) if expected > time else None

    def _fits_before(self, station: int, waiting: Waiting, lease: tuple[int, int, int]) -> bool:
        release, index, position, state, _ = waiting
        line = self.lines[station]
        end = line.place(self.shop.activities[index].options[position], release)[2]
        return end + line.changeover(state, lease[1]) <= lease[0]

    def _better_elsewhere(self, time: int, station: int, waiting: Waiting) -> int | None:
        """When another machine could begin it so that it ends earlier than here; ``None`` if none could."""
        release, index, position, _, _ = waiting
        options = self.shop.activities[index].options
        end = self.lines[station].place(options[position], release)[2]
        soonest: int | None = None
        for other, option in enumerate(options):
            there = self.release.get((index, other))
            if other == position or there is None:
                continue
            line = self.lines[option.station]
            if max(line.free, there) + option.seconds >= end:
                continue
            if line.place(option, there)[2] < end:
                begin = max(line.free, there, time)
                soonest = begin if soonest is None else min(soonest, begin)
        return soonest

    def _start(self, station: int, index: int, position: int, release: int) -> None:
        option = self.shop.activities[index].options[position]
        changeover, start, end = self.lines[station].take(option, release)
        self.spots[index] = Spot(position, changeover, start, end)
        heappush(self.events, (end, 0, station))
        for follower, _ in self.shop.activities[index].after:
            self.waits[follower] -= 1
            if not self.waits[follower]:
                self._announce(follower)

    def _serve(self, station: int, until: int) -> bool:
        """Do maintenance now that could not be done in time after ``until``; says whether any was done."""
        tasks, line = self.tasks[station], self.lines[station]
        done = False
        while tasks:
            task = tasks[-1]
            later = line.gap(max(task.earliest, until), task.seconds)
            if until < FAR and later + task.seconds <= task.finish_before:
                break
            tasks.pop()
            start = line.gap(max(task.earliest, line.free), task.seconds)
            if start + task.seconds <= task.finish_before:
                machine = self.shop.stations[station].id
                self.services[task.id] = Service(machine=machine, start=start, end=start + task.seconds)
                line.advance(start)
                line.free = start + task.seconds
                done = True
        return done
