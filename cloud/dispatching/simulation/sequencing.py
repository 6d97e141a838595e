"""A short, deterministic search for a better plan of a simulated shop, in some ten milliseconds.

It knows what the simulated shops have: machines, windows, frozen and leased work, routings with transport,
changeovers, due dates, the published plan. It is compiled on first use and kept where the engine's searches
are.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cloud.dispatching.shop.schedule import Schedule, Status
from cloud.dispatching.simulation.sequencing_kernel import Facts, Ints, Plan, search
from cloud.dispatching.solving.activities import Shop, Spot

NEVER = 1 << 60
"""Seconds later than anything ends."""


def sequence(shop: Shop, start: Schedule, moves: int, memory: int, seed: int = 0) -> Schedule:
    """The best plan found with so many moves, never worse than ``start``, which must be valid.

    ``shop`` may have no tasks, vehicles, crews, rests or overlaps.
    """
    if not shop.activities:
        return start
    facts = _facts(shop)
    spots = shop.spots(start)
    rank = {index: position for position, index in enumerate(shop.order)}
    order = _ints(sorted(rank, key=lambda i: (spots[i].start, spots[i].end, rank[i])))
    option = _ints(int(at) + spot.option for at, spot in zip(facts.options_at, spots, strict=False))
    count, stations, jobs = len(shop.activities), len(shop.stations), len(shop.jobs)
    sizes = (count, count, count, stations, stations, stations, jobs)
    plan = Plan(*(np.zeros(size, np.int64) for size in sizes))
    held = np.array([activity.leased for activity in shop.activities], np.bool_)
    search(facts, order, option, plan, held, moves, memory, seed)
    found = [
        Spot(
            int(option[i] - facts.options_at[i]),
            int(plan.changeover[i]),
            int(plan.start[i]),
            int(plan.end[i]),
        )
        for i in range(count)
    ]
    schedule = shop.schedule(found, {}, Status.FEASIBLE)
    return schedule if schedule.objective.total < start.objective.total else start


def _facts(shop: Shop) -> Facts:
    activities, stations, jobs = shop.activities, shop.stations, shop.jobs
    options = [option for activity in activities for option in activity.options]
    wishes = [activity.wishes[0] if activity.wishes else None for activity in activities]
    blocks = [block for station in stations for block in station.blocks]
    job_of = {index: number for number, job in enumerate(jobs) for index in job.activities}
    weights = shop.problem.weights
    begun = [[b for b in station.blocks if b.is_work and b.begun] for station in stations]
    now = shop.problem.now
    tables = [[seconds for row in station.changeover for seconds in row] for station in stations]
    return Facts(
        now=now,
        options_at=_starts(len(activity.options) for activity in activities),
        station=_ints(option.station for option in options),
        seconds=_ints(option.seconds for option in options),
        release=_ints(option.release for option in options),
        state=_ints(option.state for option in options),
        before_at=_starts(len(activity.before) for activity in activities),
        before=_ints(other for activity in activities for other, _ in activity.before),
        lag=_ints(lag for activity in activities for _, lag in activity.before),
        after_at=_starts(len(activity.after) for activity in activities),
        after=_ints(other for activity in activities for other, _ in activity.after),
        travel=np.array(
            [[shop.wait(0, one.index, other.index) for other in stations] for one in stations], np.int64
        ),
        free=_ints(max([now, *(block.end for block in works)]) for works in begun),
        setup=_ints(
            works[-1].leave if works else station.state
            for works, station in zip(begun, stations, strict=True)
        ),
        blocks_at=_starts(len(station.blocks) for station in stations),
        block_start=_ints(block.start for block in blocks),
        block_end=_ints(block.end for block in blocks),
        # Work in hand is changed over for already: to what comes after it, it is a window.
        enter=_ints(-1 if block.begun else block.enter for block in blocks),
        leave=_ints(block.leave for block in blocks),
        changeover_at=_starts(len(table) for table in tables),
        states=_ints(len(station.changeover) for station in stations),
        changeover=_ints(seconds for table in tables for seconds in table),
        job=_ints(job_of[activity.index] for activity in activities),
        due=_ints(job.due if job.due is not None else NEVER for job in jobs),
        weight=_ints(job.weight for job in jobs),
        settled=_ints(job.end for job in jobs),
        wished_station=_ints(wish.station if wish else -1 for wish in wishes),
        wished_start=_ints(wish.start if wish else 0 for wish in wishes),
        wish=_ints(wish.count if wish else 0 for wish in wishes),
        costs=_ints(
            (
                weights.tardiness,
                weights.changeover,
                weights.deviation,
                weights.makespan,
                weights.other_machine,
            )
        ),
    )


def _ints(values: Iterable[int]) -> Ints:
    return np.array(list(values), np.int64)


def _starts(sizes: Iterable[int]) -> Ints:
    return np.concatenate(([0], np.cumsum(_ints(sizes)))).astype(np.int64)
