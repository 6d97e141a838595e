"""The solver process: whatever happens to it, the caller keeps a valid plan."""

from __future__ import annotations

import random
import sys
import threading

import pytest

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Status
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.solve import Progress, solve
from tests.cloud.dispatching.random_shop import random_shop


@pytest.fixture
def shop() -> Problem:
    return random_shop(random.Random(7), operations=10, load=3.0)


def script(text: str) -> tuple[str, ...]:
    """A solver process that does something else."""
    return (sys.executable, "-c", text)


def test_the_child_proves_a_small_shop(shop: Problem) -> None:
    heard: list[Progress] = []
    plan = solve(shop, 5, workers=1, deterministic=True, on_progress=heard.append)
    assert plan.status is Status.OPTIMAL
    assert plan.note == ""
    assert violations(shop, plan) == []
    assert heard[0].schedule.status is Status.CONSTRUCTED
    assert heard[-1].schedule == plan


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("import sys; sys.exit('out of luck')", "ended with code 1: out of luck"),
        ("import os; os._exit(137)", "ended with code 137"),
        ("import sys; sys.stdin.readline(); print('no json')", "unreadable"),
        (
            """import sys; sys.stdin.readline(); print('{"type":"failed","reason":"no memory"}')""",
            "no memory",
        ),
    ],
)
def test_a_child_that_dies_leaves_the_constructed_plan(shop: Problem, text: str, note: str) -> None:
    plan = solve(shop, 5, command=script(text))
    assert plan.status is Status.CONSTRUCTED
    assert note in plan.note
    assert violations(shop, plan) == []


def test_a_child_that_hangs_is_ended(shop: Problem) -> None:
    plan = solve(shop, 0.1, command=script("import time; time.sleep(600)"), grace=0.2)
    assert plan.status is Status.CONSTRUCTED
    assert "did not answer in time" in plan.note


def test_a_search_can_be_cancelled() -> None:
    shop = random_shop(random.Random(5), operations=60, load=5.0)
    cancel = threading.Event()
    heard: list[Progress] = []

    def cancel_after_the_first(progress: Progress) -> None:
        heard.append(progress)
        if len(heard) == 2:
            cancel.set()

    plan = solve(shop, 3600, workers=2, cancel=cancel, on_progress=cancel_after_the_first)
    assert violations(shop, plan) == []
    assert len(heard) >= 2
    assert plan.objective.total <= heard[1].schedule.objective.total


def test_a_search_cancelled_beforehand_starts_no_process(shop: Problem) -> None:
    cancel = threading.Event()
    cancel.set()
    plan = solve(shop, 5, cancel=cancel, command=("/nonexistent",))
    assert plan.status is Status.CONSTRUCTED
    assert plan.note == ""
