"""What is new comes first, and the rest of the published plan is pushed back as far as it must.

Work that cannot stay where it was goes where it would go in an empty shop. All other work keeps its machine
and its order, and starts when it was to start, or later where it is pushed.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from cloud.dispatching.activities import Spot
from cloud.dispatching.compilation import compile_shop
from cloud.dispatching.construct import construct
from cloud.dispatching.problem import Problem
from cloud.dispatching.questions.gaps import facts, rest
from cloud.dispatching.questions.keeping import kept_services, staying
from cloud.dispatching.schedule import Assignment, Schedule, Status
from cloud.dispatching.timeline import retime
from cloud.dispatching.violations import violations


def push(problem: Problem, plan: Schedule) -> Schedule | None:
    """A plan of ``problem`` in which what cannot stay comes first; ``None`` where that breaks a rule.

    ``plan`` is the published plan (``problem.published``) with its ends; ``problem`` must make sense.
    """
    services = kept_services(problem, plan)
    stays = staying(problem, plan, services)
    frozen = facts(problem)
    homeless = {o.id for o in problem.operations if o.id not in stays and o.id not in frozen}
    first = _alone(problem, stays, frozen, homeless) if homeless else {}
    shop = compile_shop(problem)
    number = {station.id: station.index for station in shop.stations}
    spots: list[Spot] = []
    for activity in shop.activities:
        a = stays.get(activity.operations[0]) or first[activity.operations[0]]
        options = [option.station for option in activity.options]
        spots.append(Spot(options.index(number[a.machine]), 0, a.start, a.end))
    rank = {index: position for position, index in enumerate(shop.order)}
    order = sorted(
        range(len(spots)),
        key=lambda i: (spots[i].start, shop.activities[i].operations[0] in stays, spots[i].end, rank[i]),
    )
    schedule = shop.schedule(retime(shop, spots, services, order), services, Status.CONSTRUCTED)
    return None if violations(problem, schedule) else schedule


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
