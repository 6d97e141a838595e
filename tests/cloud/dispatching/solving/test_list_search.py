"""The search over lists: never worse than where it began, always valid, and the same again."""

from __future__ import annotations

import random
import threading
import time

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.compilation import compile_shop
from cloud.dispatching.solving.construct import construct, construct_shop
from cloud.dispatching.solving.exact.whole_shop import improve as improve_whole
from cloud.dispatching.solving.improve import SMALL, improve
from cloud.dispatching.solving.limits import Limits, Stop
from cloud.dispatching.solving.search import climb as compiled_climb
from cloud.dispatching.solving.search import list_columns as k
from cloud.dispatching.solving.search.jit import interpreted
from cloud.dispatching.solving.search.list_search import ListSearch
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop

FEATURES = ALL - {"max_lags"}
"""A construction may miss a longest lag; then there is nothing to begin with."""


def shop_of(seed: int, operations: int = 30, features: frozenset[str] = FEATURES) -> Problem:
    return random_shop(
        random.Random(seed), operations=operations, machines=5, windows=3, decided=0.2, runs=1, maintenance=2,
        load=2.0, features=features,
    )  # fmt: skip


def searched(problem: Problem, start: Schedule, seed: int, portions: int = 20) -> tuple[ListSearch, Schedule]:
    search = ListSearch(compile_shop(problem), start, seed)
    search.heat(50 * portions)
    better = [search.run(50, at / portions) for at in range(portions)]
    return search, search.plan() if any(better) or search.best < start.objective.total else start


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 30), operations=st.integers(1, 40))
def test_what_it_finds_keeps_every_rule_and_costs_what_it_says(seed: int, operations: int) -> None:
    problem = shop_of(seed, operations)
    start = construct(problem)
    search, plan = searched(problem, start, seed)
    assert violations(problem, plan) == []
    assert plan.objective.total == search.best <= start.objective.total


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_moves_keep_lists_valid_and_what_is_in_hand_is_what_is_decoded(seed: int) -> None:
    problem = shop_of(seed, 40, ALL)
    shop = compile_shop(problem)
    search = ListSearch(shop, construct_shop(shop), seed)
    units = search._decoder.units
    for _ in range(20):
        search._step(7, 1e6)
        order = search._order.tolist()
        assert sorted(order) == list(range(len(units.members)))
        position = {unit: at for at, unit in enumerate(order)}
        assert all(position[b] < position[unit] for unit in order for b in units.before[unit])
        assert search._position.tolist() == [position[unit] for unit in range(len(order))]
    cost, rows = search.current, search._list.copy()
    search._load(search.in_hand())
    assert search.current == cost
    assert np.array_equal(search._list[:, : k.C_CAUSE], rows[:, : k.C_CAUSE])


def test_the_same_seed_finds_the_same_plan() -> None:
    problem = shop_of(4)
    start = construct(problem)
    assert searched(problem, start, 3)[1] == searched(problem, start, 3)[1]
    limits = Limits(seconds=0.05, workers=1, deterministic=True, seed=5)
    assert improve(problem, start, limits) == improve(problem, start, limits)


@pytest.mark.parametrize("count", [0, SMALL // 2, 40])
def test_without_a_solver_the_lists_have_all_of_the_work(count: int) -> None:
    """As the simulation plans: in this process, whatever the size, the same plan each time."""
    problem = shop_of(6, count) if count else msgspec.structs.replace(shop_of(6), operations=(), runs=())
    start = construct(problem, tries=2)
    limits = Limits(seconds=0.2, workers=0, deterministic=True)
    found = improve(problem, start, limits)
    assert violations(problem, found) == []
    assert found.objective.total <= start.objective.total
    assert count < SMALL or found.objective.total < start.objective.total
    assert improve(problem, start, limits) == found


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_compiled_and_as_plain_python_it_finds_the_same(seed: int) -> None:
    problem = shop_of(seed, 12)
    shop, start = compile_shop(problem), construct(problem)
    one = ListSearch(shop, start, seed)
    other = ListSearch(shop, start, seed, interpreted(compiled_climb.__name__))
    one.heat(4000)
    other.heat(4000)
    for at in range(4):
        assert one.run(20, at / 4) == other.run(20, at / 4)
        assert np.array_equal(one._list, other._list)
        assert np.array_equal(one._order, other._order)


@pytest.mark.parametrize("seed", range(6))
def test_small_shops_come_near_the_proved_optimum(seed: int) -> None:
    problem = shop_of(seed, 7)
    start = construct(problem)
    best = improve_whole(problem, start, 20.0, workers=1, deterministic=True)
    _, plan = searched(problem, start, seed, 60)
    assert plan.objective.total >= (best.bound or 0)
    # Lists leave no gaps that would serve a cost which falls with time, so not every optimum is one of them.
    assert plan.objective.total <= 1.5 * best.objective.total + 100_000


def test_a_shop_with_every_feature_is_improved_within_its_time() -> None:
    problem = shop_of(8, 60)
    start = construct(problem)
    assert len(compile_shop(problem).activities) > SMALL
    told: list[Schedule] = []
    plan = improve(problem, start, Limits(seconds=2.0, workers=2), told.append)
    assert violations(problem, plan) == []
    assert plan.objective.total < start.objective.total
    assert told
    assert told[-1].objective.total == plan.objective.total


def test_a_search_is_cancelled_at_once() -> None:
    problem = shop_of(9, 60)
    start = construct(problem)
    stop = Stop()
    timer = threading.Timer(0.5, stop.request)
    timer.start()
    began = time.monotonic()
    plan = improve(problem, start, Limits(seconds=60.0, workers=1), stop=stop)
    assert time.monotonic() - began < 20  # a minute was allowed; the rest is for a busy machine
    assert violations(problem, plan) == []
