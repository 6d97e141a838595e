"""The model says what the problem says: valid plans are solutions at their cost, solutions valid plans."""

from __future__ import annotations

import random
from collections.abc import Collection

import pytest
from msgspec.structs import replace

from cloud.dispatching.compilation import compile_shop
from cloud.dispatching.constraints.profiles import profile
from cloud.dispatching.cp_model import ShopModel, horizon, represents
from cloud.dispatching.hint import Hint
from cloud.dispatching.problem import Alternative, Level, Machine, Operation, Problem, Window
from cloud.dispatching.schedule import Schedule, Status
from cloud.dispatching.violations import violations
from cloud.dispatching.whole_shop import improve
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop
from tests.cloud.dispatching.serial_plan import serial_plan

FEATURES = [*({name} for name in sorted(ALL)), ALL]


def shop(seed: int, features: Collection[str], most: int = 9) -> Problem:
    rng = random.Random(seed)
    return random_shop(
        rng,
        operations=rng.randint(2, most),
        machines=rng.randint(1, 4),
        windows=2,
        decided=0.3,
        maintenance=rng.randint(0, 2),
        load=rng.choice((1.0, 6.0)),
        second=1,
        features=features,
    )


def cost_in_the_model(problem: Problem, plan: Schedule) -> float | None:
    """What the model says that ``plan`` costs, every variable held at its hint; ``None``: not a solution."""
    compiled = compile_shop(problem)
    spots = compiled.spots(plan)
    model = ShopModel(compiled, horizon(compiled, spots))
    Hint(model, spots, plan.services, plan.trips).give()
    hinted = set(model.model.proto.solution_hint.vars)
    assert hinted == set(range(len(model.model.proto.variables)))
    solver = model.cp.CpSolver()
    solver.parameters.fix_variables_to_their_hinted_value = True
    solver.parameters.num_workers = 1
    status = solver.solve(model.model)
    return solver.objective_value if status == model.cp.OPTIMAL else None


@pytest.mark.parametrize("features", FEATURES, ids=lambda f: "+".join(sorted(f))[:12])
def test_valid_plans_are_solutions_and_solutions_valid_plans(features: set[str]) -> None:
    for seed in range(6):
        problem = shop(seed, features)
        start = serial_plan(problem)
        assert violations(problem, start) == []
        seen = [start]
        best = improve(problem, start, 1.0, workers=1, deterministic=True, on_solution=seen.append)
        assert [violations(problem, plan) for plan in (*seen, best)] == [[] for _ in (*seen, best)]
        assert best.objective.total <= start.objective.total
        for plan in (start, best):
            assert cost_in_the_model(problem, plan) == plan.objective.total


def test_a_work_limit_makes_the_search_repeatable() -> None:
    problem = shop(3, ALL, most=14)
    plans = [improve(problem, serial_plan(problem), 0.2, workers=1, deterministic=True) for _ in range(2)]
    assert plans[0] == plans[1]


def test_breaks_are_rested_over_where_that_is_best() -> None:
    """3 s of work, a break from 2 to 10, due at once: before it there is time for 2 s only."""
    machine = Machine(id="M", unavailable=(Window(start=2, end=10, pause=True),))
    work = Operation(
        id="work",
        order_id="O",
        job_id="J",
        due=0,
        interruptible=True,
        alternatives=(Alternative(machine="M", run_seconds=3),),
    )
    problem = Problem(origin=0, now=0, machines=(machine,), operations=(work,))
    ends = {}
    for rests in (False, True):
        asked = replace(problem, operations=(replace(work, interruptible=rests),))
        best = improve(asked, serial_plan(asked), 1.0, workers=1, deterministic=True)
        assert best.status is Status.OPTIMAL
        ends[rests] = best.assignments["work"].end
    assert ends == {False: 13, True: 11}


def test_a_shop_with_too_many_rests_is_not_for_the_model() -> None:
    breaks = tuple(Window(start=s * 100, end=s * 100 + 10, pause=True) for s in range(1, 500))
    machines = (Machine(id="M", unavailable=breaks),)
    lots = [
        Operation(
            id=f"{n}",
            order_id="O",
            job_id=f"{n}",
            interruptible=True,
            alternatives=(Alternative(machine="M", run_seconds=300),),
        )
        for n in range(200)
    ]
    few = Problem(origin=0, now=0, machines=machines, operations=tuple(lots[:5]))
    assert represents(compile_shop(few))
    assert not represents(compile_shop(replace(few, operations=tuple(lots))))


def test_a_profile_counts_levels_facts_and_what_is_given_back() -> None:
    levels = (Level(start=10, end=20, capacity=1),)
    taken = [(-5, 5, 1), (12, 15, 4)]
    left = profile(3, levels, taken, [(14, 16, 2)], now=0, horizon=30)
    there = [left.capacity] * 30
    for start, end, amount in left.missing:
        for second in range(start, end):
            there[second] -= amount
    assert there == [2] * 5 + [3] * 5 + [1] * 2 + [0] * 2 + [2] + [3] + [1] * 4 + [3] * 10
