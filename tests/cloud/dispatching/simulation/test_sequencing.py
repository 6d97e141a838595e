"""The short search: valid plans, never worse than the first one, the same each time."""

from __future__ import annotations

import random

import pytest

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.simulation.sequencing import sequence
from cloud.dispatching.solving.compilation import compile_shop
from cloud.dispatching.solving.construct import construct
from tests.cloud.dispatching.random_shop import random_shop


def shop(seed: int) -> Problem:
    """A random shop with frozen and leased work, windows, runs and a published plan, without maintenance."""
    return random_shop(random.Random(seed), operations=40, machines=5, windows=3, maintenance=0, load=2.0)


def searched(problem: Problem, start: Schedule, seed: int = 0) -> Schedule:
    return sequence(compile_shop(problem), start, 2000, 100, seed)


@pytest.mark.parametrize("seed", range(20))
def test_its_plans_are_valid_and_never_worse(seed: int) -> None:
    problem = shop(seed)
    start = construct(problem)
    found = searched(problem, start)
    assert violations(problem, found) == []
    assert found.objective.total <= start.objective.total
    assert searched(problem, start) == found


def test_it_finds_better_plans() -> None:
    gains = 0
    for seed in range(20):
        problem = shop(seed)
        start = construct(problem)
        gains += searched(problem, start).objective.total < start.objective.total
    assert gains > 5
