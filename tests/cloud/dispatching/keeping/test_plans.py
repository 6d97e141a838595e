"""Every plan of every shop is re-checked by the independent validator."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cloud.dispatching.shop.problem import Alternative, Operation, Problem, State
from cloud.dispatching.shop.schedule import Status, evaluate
from cloud.dispatching.shop.validation import validate
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.compilation import compile_shop
from cloud.dispatching.solving.construct import construct
from cloud.dispatching.solving.exact.whole_shop import improve
from cloud.dispatching.solving.improve import Search
from cloud.dispatching.solving.limits import Limits, Stop
from cloud.dispatching.solving.timeline import retime
from tests.cloud.dispatching.random_shop import random_shop


@st.composite
def shops(draw: st.DrawFn, most: int) -> Problem:
    return random_shop(
        random.Random(draw(st.integers(0, 2**32))),
        operations=draw(st.integers(1, most)),
        machines=draw(st.integers(1, 6)),
        steps=draw(st.integers(1, 6)),
        flexible=draw(st.sampled_from((0.0, 0.5, 1.0))),
        windows=draw(st.integers(0, 3)),
        decided=draw(st.sampled_from((0.0, 0.3, 0.8))),
        runs=draw(st.integers(0, 3)),
        maintenance=draw(st.integers(0, 2)),
        load=draw(st.sampled_from((0.5, 1.0, 3.0))),
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shops(most=30))
def test_a_constructed_plan_keeps_every_rule(problem: Problem) -> None:
    assert validate(problem) == []
    assert violations(problem, construct(problem)) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shops(most=10))
def test_an_improved_plan_keeps_every_rule_and_costs_no_more(problem: Problem) -> None:
    start = construct(problem)
    best = improve(problem, start, 0.5, workers=1, deterministic=True)
    assert violations(problem, best) == []
    assert best.objective.total <= start.objective.total
    assert best.bound is not None
    assert best.bound <= best.objective.total + 0.5


@pytest.mark.parametrize("seed", range(3))
def test_construction_is_repeatable(seed: int) -> None:
    problem = random_shop(random.Random(seed), operations=40)
    assert construct(problem, seed=1) == construct(problem, seed=1)


def test_the_deterministic_search_is_repeatable() -> None:
    problem = random_shop(random.Random(3), operations=14, load=3.0)
    start = construct(problem)
    first = improve(problem, start, 0.5, workers=2, deterministic=True)
    assert first == improve(problem, start, 0.5, workers=2, deterministic=True)
    assert first.status in (Status.OPTIMAL, Status.FEASIBLE)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shops(most=30), st.integers(0, 2**20))
def test_a_neighbourhood_search_keeps_every_rule_and_costs_no_more(problem: Problem, seed: int) -> None:
    start = construct(problem)
    shop = compile_shop(problem)
    assume(shop.activities)
    limits = Limits(0.04, workers=1, deterministic=True, seed=seed)
    best = Search(shop, start, limits, None, Stop()).run()
    assert violations(problem, best) == []
    assert best.objective.total <= start.objective.total


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shops(most=30))
def test_drawing_a_plan_to_the_left_keeps_it_valid_and_costs_no_more(problem: Problem) -> None:
    start = construct(problem)
    shop = compile_shop(problem)
    early = shop.schedule(retime(shop, shop.spots(start), start.services), start.services, Status.CONSTRUCTED)
    assert violations(problem, early) == []
    assert early.objective.total <= start.objective.total


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shops(most=30))
def test_a_published_plan_that_still_holds_is_kept(problem: Problem) -> None:
    """Nothing has happened since it was published: nobody is told to do anything else."""
    published = construct(replace(problem, maintenance=(), published={}))
    again = construct(replace(problem, maintenance=(), published=published.placements()))
    assert again.objective.deviation_seconds == 0 or again.objective.total < (
        evaluate(problem, published.assignments).total
    )


def test_a_rush_order_leaves_frozen_work_alone_and_moves_little() -> None:
    calm = random_shop(random.Random(11), operations=60, machines=6, decided=0.0, runs=0, maintenance=0)
    published = construct(calm).placements()
    frozen = {name for name, placement in published.items() if placement.start < 1200}
    operations = tuple(
        replace(o, state=State.FIXED, machine=published[o.id].machine, start=published[o.id].start)
        if o.id in frozen
        else o
        for o in calm.operations
    )
    rush = Operation(
        id="rush",
        order_id="R",
        job_id="R",
        alternatives=(Alternative(machine="M0", run_seconds=600),),
        due=1800,
        weight=10,
    )
    problem = replace(calm, operations=(*operations, rush), published=published)
    plan = construct(problem)
    assert violations(problem, plan) == []
    assert {name: plan.placements()[name] for name in frozen} == {name: published[name] for name in frozen}
    moved = [name for name in published if plan.placements()[name] != published[name]]
    assert len(moved) < len(published) // 2
