"""The solver process that waits: taken once, replaced when it died, gone when it is closed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from cloud.dispatching.shop.schedule import Status
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.solve import solve
from cloud.dispatching.solving.solver_process import SolverProcess
from cloud.dispatching.solving.standby import Standby
from tests.cloud.dispatching.random_shop import random_shop


@pytest.fixture
def standby() -> Iterator[Standby]:
    one = Standby()
    yield one
    one.close()


def ended(process: SolverProcess) -> bool:
    """Leaves it, which waits for its end."""
    with process:
        pass
    return not process.runs


def test_the_process_that_waits_is_taken_once_and_plans(standby: Standby) -> None:
    shop = random_shop(random.Random(7), operations=10, load=3.0)
    standby.refill()
    standby.refill()
    taken: list[SolverProcess] = []

    def take() -> SolverProcess:
        taken.append(standby.take())
        return taken[-1]

    plan = solve(shop, 20, workers=1, deterministic=True, start_process=take)
    assert plan.note == ""
    assert plan.status is Status.OPTIMAL
    assert violations(shop, plan) == []
    assert not taken[0].runs
    other = standby.take()
    assert other is not taken[0]
    assert ended(other)


def test_one_that_died_is_replaced(standby: Standby) -> None:
    standby.refill()
    first = standby.take()
    standby.refill()
    assert ended(first)
    waiting = standby.take()
    waiting.kill()
    with waiting:
        assert "ended with code" in waiting.last_words()
    standby.refill()
    died = standby.take()
    died.kill()
    assert ended(died)


def test_closed_it_keeps_nothing_waiting() -> None:
    standby = Standby()
    standby.refill()
    before = {thread.name for thread in threading.enumerate() if thread.name.startswith("solver")}
    assert before
    standby.close()
    standby.refill()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("solver")]


def test_a_request_that_never_comes_is_no_failure(standby: Standby) -> None:
    standby.refill()
    process = standby.take()
    with process:
        process.hang_up()
        assert "ended with code 0" in process.last_words()
