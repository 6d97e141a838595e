"""What to do next on a machine that comes free: the rules, and how they are set for a shop.

Apparent tardiness cost with setups (ATCS, Lee, Bhaskaran & Pinedo 1997) for several look-aheads, earliest due
date, most work remaining, first come first served.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from cloud.dispatching.solving.activities import Shop

FAR = 1 << 50
"""Seconds later than any due date."""


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


def rules(shop: Shop, tries: int, rng: random.Random) -> Iterator[Rule]:
    """One rule at least, ``tries`` at most; the published order first, then the most promising."""
    count = len(shop.activities)
    shortest = [min(o.seconds for o in a.options) for a in shop.activities]
    latest, weight, tail = urgency(shop, shortest)
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
        pressing = pressure / look_ahead
        return Rule(ratio, latest, pressing, per_changeover * setup, pressing)

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


def urgency(shop: Shop, shortest: list[int]) -> tuple[list[float], list[float], list[int]]:
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
