"""Plans of the small shop, written by hand."""

from __future__ import annotations

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Assignment, Schedule, evaluate
from cloud.dispatching.shop.violations import violations
from tests.cloud.dispatching.questions.small_shop import HOUR

HALF = HOUR // 2

BASE = {
    "A_saw": ("SAW", 1, 0),
    "A_turn": ("LATHE1", 3, 0),
    "A_paint": ("BOOTH", 5, 0),
    "B_saw": ("SAW", 3, 0),
    "B_turn": ("LATHE2", 5, 0),
    "B_paint": ("BOOTH", 8, 1),
}
"""A ends after 3 h 30 min (due after 4 h), B after 5 h (due then)."""


def plan(problem: Problem, **places: tuple[str, int, int]) -> Schedule:
    """Machine, start and changeover in half hours of every operation but the frozen one; all take an hour."""
    made = {
        name.replace("_", "."): Assignment(
            machine=machine, start=start * HALF, end=(start + 2) * HALF, changeover_seconds=change * HALF
        )
        for name, (machine, start, change) in places.items()
    }
    made["C.saw"] = Assignment(machine="SAW", start=-HOUR, end=HALF)
    made = {o.id: made[o.id] for o in problem.operations}
    schedule = Schedule(assignments=made, objective=evaluate(problem, made, {}))
    assert violations(problem, schedule) == []
    return schedule
