"""Random shops with every feature of the problem, for property tests and benchmarks."""

from __future__ import annotations

import random
from collections.abc import Collection

from cloud.dispatching.shop.problem import (
    Alternative,
    Changeover,
    Machine,
    Maintenance,
    Operation,
    Placement,
    Problem,
    Run,
    State,
    Transport,
    Window,
)
from tests.cloud.dispatching.random_features import with_features

COLOURS = ("RAL5010", "RAL7035", "RAL9005", "RAL3020")


def random_shop(
    rng: random.Random,
    *,
    operations: int = 12,
    machines: int = 4,
    steps: int = 4,
    flexible: float = 0.4,
    windows: int = 1,
    decided: float = 0.2,
    runs: int = 1,
    maintenance: int = 1,
    load: float = 1.0,
    second: int = 60,
    features: Collection[str] = (),
) -> Problem:
    """``operations`` operations in jobs of up to ``steps``, on ``machines`` of which a third change colours.

    ``flexible`` is the share of operations with a choice, ``windows`` the most a machine has, ``decided`` the
    share of first operations that are fixed or leased. ``load`` scales the due dates: above 1 the shop cannot
    keep them. All times are multiples of ``second``, so small shops stay small for a brute force.
    ``features`` are names of :data:`~tests.cloud.dispatching.random_features.ALL`; they are added to the same
    shop that there would be without them.
    """
    colours = COLOURS[: rng.randint(2, len(COLOURS))]
    shop = tuple(_machine(rng, index, machines, colours, windows, second) for index in range(machines))
    planned: list[Operation] = []
    job = 0
    while len(planned) < operations:
        count = min(rng.randint(1, steps), operations - len(planned))
        due = int(second * rng.randint(5, 15) * max(4, operations / machines) / load)
        planned += _job(rng, job, count, due, shop, colours, flexible, second)
        job += 1
    if decided:
        planned = _decide(rng, planned, shop, decided, second)
    plain = Problem(
        origin=1_767_225_600_000_000,
        now=0,
        machines=shop,
        operations=tuple(planned),
        runs=_runs(rng, planned, runs),
        maintenance=tuple(
            Maintenance(
                id=f"service {index}",
                machine=rng.choice(shop).id,
                seconds=second * rng.randint(1, 5),
                earliest=second * rng.randint(0, 5),
                finish_before=second * rng.randint(5, 60),
                omit_cost=second * rng.randint(10, 200),
            )
            for index in range(maintenance)
        ),
        transports=tuple(
            Transport(origin=one, destination=other, seconds=second * rng.randint(0, 2))
            for one in ("hall A", "hall B")
            for other in ("hall A", "hall B")
            if one != other
        ),
        published={
            o.id: Placement(machine=rng.choice(o.alternatives).machine, start=second * rng.randint(0, 40))
            for o in planned
            if rng.random() < decided
        },
    )
    return with_features(rng, plain, features, second)


def _machine(
    rng: random.Random, index: int, machines: int, colours: tuple[str, ...], windows: int, second: int
) -> Machine:
    starts = sorted(rng.sample(range(60), rng.randint(0, windows)))
    paints = index % 3 == 2
    return Machine(
        id=f"M{index}",
        label=f"machine {index}",
        place="hall A" if index * 2 < machines else "hall B",
        setup={"colour": rng.choice(colours)} if paints else {},
        changeovers=(
            Changeover(
                attribute="colour",
                seconds=second * rng.randint(1, 4),
                pairs={colours[0]: {colours[1]: second * rng.randint(0, 8)}},
            ),
        )
        if paints
        else (),
        unavailable=tuple(
            Window(start=s * second, end=(s + rng.randint(1, 8)) * second, reason="down") for s in starts
        ),
    )


def _job(
    rng: random.Random,
    job: int,
    count: int,
    due: int,
    shop: tuple[Machine, ...],
    colours: tuple[str, ...],
    flexible: float,
    second: int,
) -> list[Operation]:
    weight = rng.choice((1, 1, 2, 5))
    colour = rng.choice(colours)
    earliest = second * rng.choice((0, 0, 0, rng.randint(0, 20)))
    steps: list[Operation] = []
    for step in range(count):
        choices = rng.sample(shop, min(len(shop), rng.randint(2, 3)) if rng.random() < flexible else 1)
        after = rng.choices((steps[-1], steps[0]), (85, 15))[0] if steps else None
        lagging = rng.random() < 0.2
        steps.append(
            Operation(
                id=f"J{job}.{step}",
                order_id=f"O{job // 2}",
                job_id=f"J{job}",
                alternatives=tuple(
                    Alternative(
                        machine=machine.id,
                        run_seconds=second * rng.randint(1, 9),
                        setup_seconds=second * rng.randint(0, 2),
                    )
                    for machine in choices
                ),
                predecessors=(after.id,) if after else (),
                lags={after.id: second * rng.randint(1, 4)} if after and lagging else {},
                due=due,
                weight=weight,
                earliest=earliest,
                setup={"colour": colour},
            )
        )
    return steps


def _decide(
    rng: random.Random, planned: list[Operation], shop: tuple[Machine, ...], decided: float, second: int
) -> list[Operation]:
    """Some first operations are in progress, frozen or leased."""
    result: list[Operation] = []
    for operation in planned:
        if operation.predecessors or rng.random() >= decided:
            result.append(operation)
            continue
        fixed = rng.random() < 0.5
        start = second * rng.randint(-3 if fixed else 0, 12)
        result.append(
            Operation(
                id=operation.id,
                order_id=operation.order_id,
                job_id=operation.job_id,
                alternatives=operation.alternatives,
                due=operation.due,
                weight=operation.weight,
                setup=operation.setup,
                state=State.FIXED if fixed else State.LEASED,
                machine=rng.choice(operation.alternatives).machine,
                start=start,
                remaining=second * rng.randint(0, 6) if fixed and start <= 0 and rng.random() < 0.5 else None,
            )
        )
    return result


def _runs(rng: random.Random, planned: list[Operation], runs: int) -> tuple[Run, ...]:
    """Free first operations of different jobs with a machine in common, executed as one."""
    free = [o for o in planned if not o.predecessors and o.state is State.FREE]
    made: list[Run] = []
    for number in range(runs):
        if len(free) < 2:
            break
        first = free.pop(rng.randrange(len(free)))
        machine = first.alternatives[0]
        partners = [o for o in free if o.alternative(machine.machine) and o.job_id != first.job_id][:2]
        if partners:
            free = [o for o in free if o not in partners]
            made.append(
                Run(
                    id=f"R{number}",
                    operations=(first.id, *(o.id for o in partners)),
                    alternatives=(machine,),
                    setup=first.setup,
                )
            )
    return tuple(made)
