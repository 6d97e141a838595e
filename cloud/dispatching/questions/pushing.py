"""What is new comes first, and the rest of the published plan is pushed back as far as it must.

Work that cannot stay where it was goes where it would go in an empty shop. All other work keeps its machine
and its order, and starts when it was to start, or later where it is pushed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from cloud.dispatching.questions.gaps import facts, rest
from cloud.dispatching.questions.keeping import keep, kept_services, staying
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Assignment, Schedule, Service, Status, jobs
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.activities import Shop, Spot
from cloud.dispatching.solving.compilation import compile_shop
from cloud.dispatching.solving.construct import construct
from cloud.dispatching.solving.timeline import retime

EASE = (0.0, 0.5, 1.0)
"""How far new work is put towards the time at which its job is just not late: not at all, half way, there."""


def push(problem: Problem, plan: Schedule) -> Schedule | None:
    """A plan of ``problem`` in which what cannot stay comes first; ``None`` where all can, or a rule breaks.

    Of several, in which it comes more or less early, the one that costs least. ``plan`` is the published plan
    (``problem.published``) with its ends; ``problem`` must make sense.
    """
    services = kept_services(problem, plan)
    stays = staying(problem, plan, services)
    frozen = facts(problem)
    homeless = {o.id for o in problem.operations if o.id not in stays and o.id not in frozen}
    if not homeless:
        return None  # there is nothing to push for
    first = _alone(problem, stays, frozen, homeless)
    slack = _slack(problem, {**stays, **frozen, **first})
    shop = compile_shop(problem)
    made: list[Schedule] = []
    for ease in EASE if any(slack[name] for name in first) else EASE[:1]:
        later = {name: round(ease * slack[name]) for name in first}
        spots, order = _spots(shop, {**stays, **first}, later)
        if shop.is_plain:
            made.append(shop.schedule(retime(shop, spots, services, order), services, Status.CONSTRUCTED))
        else:
            made.append(_listed(shop, spots, services, later))
    made.sort(key=lambda schedule: schedule.objective.total)
    return next((schedule for schedule in made if not violations(problem, schedule)), None)


def _listed(
    shop: Shop, spots: Sequence[Spot], services: dict[str, Service], later: Mapping[str, int]
) -> Schedule:
    """As :func:`retime`, for shops with crews, tools, vehicles and the like."""
    from cloud.dispatching.solving.search.listing import Decoder  # numpy, and what is compiled, take a while

    decoder = Decoder(shop)
    held = [
        None if activity.operations[0] in later else spot.start
        for activity, spot in zip(shop.activities, spots, strict=True)
    ]
    given = decoder.list_of(spots, services, held=held)
    return decoder.schedule(decoder.mend(given, random.Random(0)), Status.CONSTRUCTED)


def _slack(problem: Problem, assignments: Mapping[str, Assignment]) -> dict[str, int]:
    """By operation, how much later its job could end without being late."""
    finishes = jobs(problem, assignments)
    found: dict[str, int] = {}
    for operation in problem.operations:
        finish = finishes[operation.job_id]
        found[operation.id] = 0 if finish.due is None else max(0, finish.due - finish.end)
    return found


def _spots(
    shop: Shop, assignments: Mapping[str, Assignment], later: Mapping[str, int]
) -> tuple[list[Spot], list[int]]:
    """Where the activities are, and who goes before whom; new work goes first where two begin at once."""
    number = {station.id: station.index for station in shop.stations}
    rank = {index: position for position, index in enumerate(shop.order)}
    spots: list[Spot] = []
    keys: list[tuple[int, bool, int, int]] = []
    for activity in shop.activities:
        name = activity.operations[0]
        a, shift = assignments[name], later.get(name, 0)
        options = [option.station for option in activity.options]
        spots.append(Spot(options.index(number[a.machine]), 0, a.start + shift, a.end + shift))
        keys.append((a.start + shift, name not in later, a.end, rank[activity.index]))
    return spots, sorted(range(len(spots)), key=keys.__getitem__)


def _alone(
    problem: Problem,
    stays: Mapping[str, Assignment],
    frozen: Mapping[str, Assignment],
    homeless: set[str],
) -> dict[str, Assignment]:
    """Where the homeless work would go if nothing but frozen work were planned on the machines.

    It still waits for predecessors that stay, wherever it goes.
    """
    travel = problem.travel()
    operations = []
    for operation in problem.operations:
        if operation.id in homeless:
            earliest = operation.earliest
            for name in operation.predecessors:
                if (before := stays.get(name)) is not None:
                    ways = (travel.get((before.machine, a.machine), 0) for a in operation.alternatives)
                    earliest = max(earliest, before.end + operation.lags.get(name, 0) + max(ways, default=0))
            operation = replace(
                operation,
                earliest=earliest,
                predecessors=tuple(name for name in operation.predecessors if name not in stays),
                lags={name: lag for name, lag in operation.lags.items() if name not in stays},
                max_lags={name: lag for name, lag in operation.max_lags.items() if name not in stays},
                overlaps={name: lag for name, lag in operation.overlaps.items() if name not in stays},
            )
        elif operation.id in stays:
            continue
        operations.append(operation)
    runs = tuple(run for run in problem.runs if not stays.keys() & set(run.operations))
    empty = replace(problem, operations=tuple(operations), runs=runs, maintenance=(), published={})
    made = construct(rest(empty, frozen, {}, {}))
    return {name: made.assignments[name] for name in homeless}


def repaired(problem: Problem, plan: Schedule) -> Schedule | None:
    """The cheaper of two repairs of the published plan: into its gaps, or first and the rest pushed back."""
    kept = keep(problem, plan)
    if kept is not None and not kept.objective.weighted_tardiness:
        return kept  # nobody moves and nobody is late
    made = [schedule for schedule in (kept, push(problem, plan)) if schedule is not None]
    return min(made, key=lambda schedule: schedule.objective.total, default=None)
