"""A scenario answered at once, and better for as long as somebody waits.

The first answer is the better of two repairs of the published plan: what changed goes into its gaps, or
comes first and pushes the rest back. The rules and the solver follow, each better plan with its comparison.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from msgspec import Struct

from cloud.dispatching.questions.comparison import Comparison, compare
from cloud.dispatching.questions.pushing import repaired
from cloud.dispatching.questions.scenario import Scenario, apply, under
from cloud.dispatching.shop.problem import Problem, State
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.solving.solve import Progress, solve

PAUSE = 0.5
"""Seconds between two answers at least: a person reads them, and each costs a comparison."""


class Answer(Struct, frozen=True, kw_only=True):
    """What the scenario would do, as known ``seconds`` after the question; ``final`` for the last word.

    ``problem`` is the shop as the scenario would have it, ``schedule`` a valid plan of it.
    """

    problem: Problem
    schedule: Schedule
    comparison: Comparison
    seconds: float
    final: bool


def answer(
    problem: Problem,
    plan: Schedule,
    scenario: Scenario,
    seconds: float,
    *,
    workers: int = 8,
    deterministic: bool = False,
    seed: int = 0,
    cancel: threading.Event | None = None,
    on_answer: Callable[[Answer], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """The last answer, after ``seconds`` or when ``cancel`` is set. Blocks: call it in a thread.

    ``plan`` is a valid plan of ``problem``, the one in force; leaving it costs deviation. ``on_answer`` hears
    of each better answer from the calling thread, of the first one within two seconds for a shop of 2,000
    operations. Work that is frozen is where it was in every answer.

    Raises:
        ImpossibleScenario: with all reasons.
        ImpossibleProblem: when ``problem`` makes no sense.
    """
    began = clock()
    base = under(problem, plan)
    asked = apply(base, scenario)
    told: list[Answer] = []

    def tell(schedule: Schedule, final: bool) -> Answer:
        _assert_frozen(asked, schedule)
        made = Answer(
            problem=asked,
            schedule=schedule,
            comparison=compare(base, plan, asked, schedule, scenario.title),
            seconds=clock() - began,
            final=final,
        )
        told.append(made)
        if on_answer is not None:
            on_answer(made)
        return made

    first = repaired(asked, plan)
    if first is not None:
        tell(first, final=False)

    def better(step: Progress) -> None:
        if told and step.schedule.objective.total >= told[-1].schedule.objective.total:
            return
        if len(told) < 2 or clock() - began - told[-1].seconds >= PAUSE:
            tell(step.schedule, final=False)

    best = solve(
        asked,
        seconds if deterministic else max(0.0, seconds - (clock() - began)),
        start=first,
        workers=workers,
        deterministic=deterministic,
        seed=seed,
        cancel=cancel,
        on_progress=better,
    )
    return tell(best, final=True)


def _assert_frozen(problem: Problem, schedule: Schedule) -> None:
    """Frozen work is a fact: an answer that moves it is a fault of the planner and not an answer."""
    for operation in problem.operations:
        a = schedule.assignments[operation.id]
        if operation.state is State.FIXED and (a.machine, a.start) != (operation.machine, operation.start):
            raise RuntimeError(
                f"the plan moves {operation.id}, frozen on {operation.machine} at {operation.start}, "
                f"to {a.machine} at {a.start}"
            )
