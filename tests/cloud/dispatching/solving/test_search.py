"""The local search: its times are the validator's, its plans keep every rule, and they are the best ones."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cloud.dispatching.shop.problem import Operation, Problem, State, Weights
from cloud.dispatching.shop.schedule import Schedule, Status
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.activities import Shop
from cloud.dispatching.solving.compilation import compile_shop
from cloud.dispatching.solving.construct import construct, construct_shop
from cloud.dispatching.solving.improve import improve
from cloud.dispatching.solving.limits import Limits, Stop
from cloud.dispatching.solving.search import cache
from cloud.dispatching.solving.search import columns as k
from cloud.dispatching.solving.search.arrays import Code, decode, encode, facts, lower_bound, represents
from cloud.dispatching.solving.search.pool import Pool
from cloud.dispatching.solving.search.portfolio import Board
from tests.cloud.dispatching.random_shop import random_shop
from tests.cloud.dispatching.solving.test_brute_force import Enumeration

MAKESPAN = Weights(tardiness=0, changeover=0, deviation=0, makespan=1)


def shop_of(seed: int, operations: int = 20, machines: int = 5) -> Problem:
    """Choice of machines, changeovers, transport, lags, branching routings, runs, leases; no calendar."""
    rng = random.Random(seed)
    problem = random_shop(
        rng, operations=operations, machines=machines, steps=6, flexible=0.7, windows=0, decided=0.3, runs=1,
        maintenance=0, second=rng.choice((1, 60)),
    )  # fmt: skip
    free = tuple(_unfrozen(operation) for operation in problem.operations)
    return replace(problem, operations=free, weights=MAKESPAN, published={})


def _unfrozen(operation: Operation) -> Operation:
    """Work that is frozen ahead is none of the search's; what has begun is."""
    ahead = operation.state is State.FIXED and (operation.start or 0) > 0
    return replace(operation, state=State.FREE, machine=None, start=None) if ahead else operation


def searched(shop: Shop, seed: int, steps: int) -> tuple[Pool, Schedule]:
    arrays = facts(shop)
    start = encode(arrays, shop, shop.spots(construct_shop(shop)))
    pool = Pool(arrays, start, lower_bound(shop), seed)
    for _ in range(steps):
        pool.step()
    assert pool.best is not None
    return pool, shop.schedule(decode(arrays, pool.best.code, pool.best.head), {}, Status.FEASIBLE)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 30), operations=st.integers(2, 40), machines=st.integers(1, 8))
@example(seed=130, operations=7, machines=1)
def test_every_plan_keeps_the_rules_and_its_makespan_is_the_validators(
    seed: int, operations: int, machines: int
) -> None:
    problem = shop_of(seed, operations, machines)
    shop = compile_shop(problem)
    if reasons := represents(shop):
        assert reasons == ["nothing is left to decide"]
        return
    pool, plan = searched(shop, seed, 4)
    assert violations(problem, plan) == []
    assert plan.objective.makespan == max(pool.makespan, shop.settled_end)
    assert lower_bound(shop) <= plan.objective.makespan <= construct(problem).objective.makespan


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_times_kept_move_by_move_are_those_counted_from_the_start(seed: int) -> None:
    shop = compile_shop(shop_of(seed, 30, 4))
    pool, _ = searched(shop, seed, 2)
    tabu = pool.tabu
    pool.tabu.run(7, 1 << 40, 0, 5, 100)
    kept = tabu._activities.copy()
    order = tabu._order.copy()
    tabu.load(Code(kept[:, k.OPTION].copy(), order))
    for column in (k.HEAD, k.TAIL, k.READY, k.REST, k.PREVIOUS, k.NEXT, k.POSITION):
        assert np.array_equal(kept[:, column], tabu._activities[:, column])


@pytest.mark.parametrize("seed", range(12))
def test_tiny_shops_reach_the_optimum_of_all_plans(seed: int) -> None:
    rng = random.Random(seed)
    problem = shop_of(seed, rng.randint(2, 5), rng.randint(1, 3))
    shop = compile_shop(problem)
    if represents(shop):
        pytest.skip("everything in this shop is decided")
    _, plan = searched(shop, seed, 30)
    assert plan.objective.total == Enumeration(problem).best()


def test_the_same_seed_gives_the_same_plans() -> None:
    shop = compile_shop(shop_of(3, 60, 6))
    one, first = searched(shop, 11, 30)
    other, second = searched(shop, 11, 30)
    assert first == second
    assert [m.makespan for m in one.members] == [m.makespan for m in other.members]


def test_deterministic_planning_is_repeatable_and_uses_the_search() -> None:
    problem = shop_of(5, 40, 5)
    assert represents(compile_shop(problem)) == []
    limits = Limits(seconds=0.5, workers=1, deterministic=True, seed=2)
    plans = [improve(problem, construct(problem), limits) for _ in range(2)]
    assert plans[0] == plans[1]
    assert violations(problem, plans[0]) == []


def test_both_searches_together_prove_a_plan_best() -> None:
    problem = shop_of(1, 24, 4)
    plan = improve(problem, construct(problem), Limits(seconds=3600.0, workers=2))
    assert plan.status is Status.OPTIMAL
    assert plan.bound == plan.objective.total
    assert plan.note == ""
    assert violations(problem, plan) == []


def test_a_request_to_stop_ends_both_searches() -> None:
    problem = shop_of(8, 150, 6)
    stop = Stop()
    threading.Timer(0.5, stop.request).start()
    plan = improve(problem, construct(problem), Limits(seconds=3600.0, workers=2), None, stop)
    assert violations(problem, plan) == []


def test_what_the_search_does_not_represent_is_told() -> None:
    rng = random.Random(4)
    problem = random_shop(rng, operations=30, windows=3, maintenance=1)
    reasons = represents(compile_shop(problem))
    assert "maintenance may be placed or left out" in reasons
    assert "jobs are due" in reasons
    assert "seconds of changeover cost" in reasons
    assert "leaving the published plan costs" in reasons
    assert any("windows or frozen work ahead" in reason for reason in reasons)
    assert "the end of the plan costs nothing" in represents(
        compile_shop(replace(problem, weights=replace(MAKESPAN, makespan=0)))
    )


def test_a_plan_is_proved_when_the_bound_leaves_no_better_multiple() -> None:
    problem = shop_of(2, 8, 3)
    start = construct(problem)
    total = start.objective.total
    assert not Board(start, None, total - 2, unit=1).proved
    board = Board(start, None, total - 2, unit=1)
    board.prove(total - 0.5)
    assert board.proved
    assert board.result().status is Status.OPTIMAL
    assert Board(start, None, total - 2, unit=3).proved


def test_what_is_found_after_the_end_is_not_told() -> None:
    problem = shop_of(2, 8, 3)
    start = construct(problem)
    told: list[Schedule] = []
    board = Board(start, told.append, 0.0, unit=1)
    better = replace(start, objective=replace(start.objective, total=start.objective.total - 1))
    worst = board.result()
    board.offer(better)
    assert told == []
    assert board.result() == worst


def test_the_compiled_search_has_a_folder_for_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    path = cache.folder()
    assert path is not None
    assert path.parent == tmp_path / "cache"
    assert not cache.complete(path)
    cache.mark(path)
    assert cache.complete(path)


def test_without_a_folder_to_write_to_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    assert cache.folder() is None


def test_one_process_compiles_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "COMMAND", ("false",))
    (tmp_path / cache.BUSY).touch()
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a second one was started"))
    cache.begin(tmp_path)


def test_a_compilation_that_takes_long_is_not_thought_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a second one was started"))
    busy = tmp_path / cache.BUSY
    busy.touch()
    long_ago = time.time() - 2 * cache.STALE
    with cache.going_on(tmp_path, beat=0.01):
        os.utime(busy, (long_ago, long_ago))
        while busy.stat().st_mtime == long_ago:
            time.sleep(0.005)
        cache.begin(tmp_path)


def test_one_that_died_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = tmp_path / "began"
    monkeypatch.setattr(cache, "COMMAND", (sys.executable, "-c", f"open({str(began)!r}, 'w').close()"))
    busy = tmp_path / cache.BUSY
    busy.touch()
    os.utime(busy, (0, 0))
    cache.begin(tmp_path)
    while not began.exists():
        time.sleep(0.01)
