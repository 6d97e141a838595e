"""The model says what the problem says: valid plans are solutions at their cost, solutions valid plans."""

from __future__ import annotations

import random
from collections.abc import Collection

import pytest
from msgspec.structs import replace

from cloud.dispatching.shop.problem import (
    Alternative,
    Level,
    Machine,
    Maintenance,
    Operation,
    Problem,
    State,
    Window,
)
from cloud.dispatching.shop.schedule import Schedule, Status
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.activities import Spot
from cloud.dispatching.solving.compilation import compile_shop
from cloud.dispatching.solving.construct import construct
from cloud.dispatching.solving.exact.cp_model import ShopModel, horizon, represents
from cloud.dispatching.solving.exact.hint import Hint
from cloud.dispatching.solving.exact.profiles import profile
from cloud.dispatching.solving.exact.symmetry import arranged, equal_stations, twins
from cloud.dispatching.solving.exact.whole_shop import improve
from tests.cloud.dispatching.exhaustive import Exhaustive, TooMany
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
        start, quick = serial_plan(problem), construct(problem)
        assert violations(problem, start) == violations(problem, quick) == []
        seen = [start]
        best = improve(problem, start, 1.0, workers=1, deterministic=True, on_solution=seen.append)
        assert [violations(problem, plan) for plan in (*seen, best)] == [[] for _ in (*seen, best)]
        assert best.objective.total <= start.objective.total
        for plan in (start, quick, best):
            assert cost_in_the_model(problem, plan) == plan.objective.total


def lots(problem: Problem, count: int) -> Problem:
    """Every job of free work as ``count`` equal lots, none of them published or in a run."""
    free = {o.id for o in problem.operations if o.state is State.FREE}
    operations: list[Operation] = []

    def named(name: str, lot: int) -> str:
        return f"{name}#{lot}" if name in free else name

    for lot in range(count):
        for o in problem.operations:
            if lot and o.id not in free:
                continue
            operations.append(
                replace(
                    o,
                    id=named(o.id, lot),
                    job_id=f"{o.job_id}#{lot}",
                    predecessors=tuple(named(p, lot) for p in o.predecessors),
                    lags={named(p, lot): s for p, s in o.lags.items()},
                    max_lags={named(p, lot): s for p, s in o.max_lags.items()},
                    overlaps={named(p, lot): n for p, n in o.overlaps.items()},
                )
            )
    return replace(problem, operations=tuple(operations), published={}, runs=())


def with_twin_machines(problem: Problem) -> Problem:
    """Every machine twice, at the same place, and all work on either of the two."""
    machines = [replace(m, place=m.place or m.id) for m in problem.machines]
    twins = [replace(m, id=m.id + "'") for m in machines]
    operations = tuple(
        replace(
            o, alternatives=tuple(x for a in o.alternatives for x in (a, replace(a, machine=a.machine + "'")))
        )
        for o in problem.operations
    )
    return replace(problem, machines=(*machines, *twins), operations=operations, maintenance=())


@pytest.mark.parametrize("features", [(), ALL - {"assembly"}], ids=["plain", "all"])
def test_of_equal_lots_and_machines_one_order_is_kept_and_the_optimum_with_it(
    features: Collection[str],
) -> None:
    broken = proved = 0
    for seed in range(16):
        rng = random.Random(seed)
        problem = random_shop(
            rng, operations=2, machines=rng.randint(1, 2), decided=0.2, load=6.0, second=1, features=features
        )
        problem = lots(problem, 2)
        problem = with_twin_machines(problem) if seed % 2 else problem
        start = serial_plan(problem)
        assert violations(problem, start) == []
        broken += bool(twins(compile_shop(problem)) or equal_stations(compile_shop(problem)))
        best = improve(problem, start, 3.0, workers=1, deterministic=True)
        for plan in (start, best):
            assert cost_in_the_model(problem, plan) == plan.objective.total
        try:
            least = Exhaustive(problem, bound=best.objective.total + 1, most_nodes=3_000).run()
        except TooMany:
            continue
        proved += 1
        assert least is not None
        assert least.objective.total == best.objective.total
    assert broken >= 10
    assert proved >= 8


def test_a_plan_is_renamed_so_that_equal_lots_start_in_order() -> None:
    """Lot 1 before lot 0 on the second of two equal machines: the same plan with both the other way round."""
    machines = (Machine(id="M"), Machine(id="N"))
    offered = tuple(Alternative(machine=m.id, run_seconds=5) for m in machines)
    operations = tuple(
        Operation(id=f"lot {n}", order_id="O", job_id=f"lot {n}", alternatives=offered) for n in range(2)
    )
    compiled = compile_shop(Problem(origin=0, now=0, machines=machines, operations=operations))
    spots, _ = arranged(compiled, [Spot(1, 0, 5, 10), Spot(1, 0, 0, 5)], [])
    assert spots == [Spot(0, 0, 0, 5), Spot(0, 0, 5, 10)]


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


def test_a_service_keeps_out_of_windows_behind_the_end_of_all_work() -> None:
    """The work is done within the hour; the machine is shut from three hours on, for as long as the risk
    lasts, and the parts come after that: there is no room for the service before its risk date."""
    machine = Machine(id="m", unavailable=(Window(start=10_800, end=200_000, reason="weekend"),))
    work = Operation(
        id="o", order_id="o", job_id="o", alternatives=(Alternative(machine="m", run_seconds=3600),)
    )
    task = Maintenance(id="c", machine="m", seconds=3600, finish_before=100_000, earliest=70_000)
    problem = Problem(origin=0, now=0, machines=(machine,), operations=(work,), maintenance=(task,))
    plan = improve(problem, construct(problem), 5.0, deterministic=True)
    assert violations(problem, plan) == []
    assert (plan.status, plan.services) == (Status.OPTIMAL, {})


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
    many = replace(few, operations=tuple(lots))
    assert not represents(compile_shop(many))
    plan = serial_plan(many)
    assert improve(many, plan, 60.0) == plan


def test_a_profile_counts_levels_facts_and_what_is_given_back() -> None:
    levels = (Level(start=10, end=20, capacity=1),)
    taken = [(-5, 5, 1), (12, 15, 4)]
    left = profile(3, levels, taken, [(14, 16, 2)], now=0, horizon=30)
    there = [left.capacity] * 30
    for start, end, amount in left.missing:
        for second in range(start, end):
            there[second] -= amount
    assert there == [2] * 5 + [3] * 5 + [1] * 2 + [0] * 2 + [2] + [3] + [1] * 4 + [3] * 10
