"""What people ask of a plan of 2,000 operations: how long the first answer takes, and what it is worth.

A shop with due dates, nights, colour changeovers, transport and maintenance. The plan in force is one that
the solver had time for; then somebody asks. Time to the first answer is from the question to its comparison.
"""

from __future__ import annotations

import random
import statistics
import time

from msgspec.structs import replace

from cloud.dispatching.questions.answer import Answer, answer
from cloud.dispatching.questions.assumptions import Assumptions, Breakdowns
from cloud.dispatching.questions.changes import (
    CancelledOrder,
    Change,
    LikeOrder,
    MachineDown,
    Overtime,
    SplitLot,
)
from cloud.dispatching.questions.promise import promise
from cloud.dispatching.questions.risk import risk
from cloud.dispatching.questions.scenario import Scenario
from cloud.dispatching.shop.problem import Problem, Window
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.solve import solve
from tests.bench.figures import Figure, Size, median, progress
from tests.cloud.dispatching.random_shop import random_shop

HOUR = 3600
DAY = 24 * HOUR
FIRST = 2.0
"""Seconds until the first answer at most (issue 4)."""
NIGHT = "no shift"


def plant(operations: int, seed: int = 1) -> Problem:
    """A shop in two shifts with 50 operations on each machine."""
    rng = random.Random(seed)
    shop = random_shop(
        rng,
        operations=operations,
        machines=max(4, operations // 50),
        steps=6,
        windows=0,
        decided=0.0,
        runs=operations // 200,
        maintenance=operations // 400,
        load=1.6,
        second=600,
    )
    nights = tuple(Window(start=d * DAY + 16 * HOUR, end=(d + 1) * DAY, reason=NIGHT) for d in range(60))
    return replace(
        shop, machines=tuple(replace(machine, unavailable=nights) for machine in shop.machines), published={}
    )


def questions(problem: Problem) -> dict[str, Change]:
    """One of each kind, in the words of the table."""
    some = problem.operations[len(problem.operations) // 4]
    return {
        "rush order": LikeOrder(order="RUSH", like=some.order_id, due=20 * HOUR, weight=10),
        "machine down for 4 h": MachineDown(machine="M1", start=HOUR, end=5 * HOUR),
        "overtime shift": Overtime(start=16 * HOUR, end=20 * HOUR, reasons=(NIGHT,)),
        "cancelled order": CancelledOrder(order=some.order_id),
        "lot in three": SplitLot(job=some.job_id, into=3),
    }


async def run(size: Size) -> list[Figure]:
    """See the module. Nothing else runs in this loop, so the search may block it."""
    count, seconds = size.of(200, 2000), size.of(1, 20)
    problem = plant(count)
    progress(f"a plan of {count} operations, {seconds} s")
    plan = solve(problem, seconds)
    figures: list[Figure] = []
    waits: list[float] = []
    work: list[float] = []
    for name, change in questions(problem).items():
        progress(name)
        heard: list[Answer] = []
        used: list[float] = []

        def hear(step: Answer, heard: list[Answer] = heard, used: list[float] = used) -> None:
            heard.append(step)
            used.append(time.process_time())

        before = time.process_time()
        last = answer(problem, plan, Scenario(title=name, changes=(change,)), seconds, on_answer=hear)
        work.append(used[0] - before)
        broken = [words for one in heard for words in violations(one.problem, one.schedule)]
        if broken:
            raise RuntimeError(f"{name}: an answer breaks a rule: {broken[0]}")
        first = heard[0]
        waits.append(first.seconds)
        was, now = first.schedule.objective.total, last.schedule.objective.total
        figures.append(
            Figure(
                f"what if, {name}: operations moved after {seconds} s",
                100 * last.comparison.moved_share,
                "% of movable",
                note=f"first answer after {first.seconds:.2f} s moved {first.comparison.moved_share:.1%}; "
                f"cost {100 * (now / was - 1) if was else 0.0:+.1f} % since",
            )
        )
    like = next(iter(questions(problem).values()))
    began = time.perf_counter()
    promised = promise(problem, plan, like, seconds=0) if isinstance(like, LikeOrder) else None
    wait = time.perf_counter() - began
    began = time.perf_counter()
    fails = {machine.id: Breakdowns(mean_between=40 * HOUR, mean_repair=HOUR) for machine in problem.machines}
    risk(problem, plan, Assumptions(breakdowns=fails))
    samples = time.perf_counter() - began
    earliest = promised.earliest if promised is not None else None
    return [
        median(
            f"what if: first answer, {count} operations",
            waits,
            "s",
            FIRST,
            note=f"worst {max(waits):.2f} s; {statistics.median(work):.2f} s of processor time",
        ),
        *figures,
        Figure(
            "promise: earliest date that moves nobody",
            wait,
            "s",
            FIRST,
            note="it fits into no gap" if earliest is None else f"in {earliest / HOUR:.0f} h",
        ),
        Figure("risk: the plan carried out 1,000 times", samples, "s", FIRST),
    ]
