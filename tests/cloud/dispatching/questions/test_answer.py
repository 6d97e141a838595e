"""A scenario answered at once and then better, and whether a promise can be given."""

from __future__ import annotations

import threading

import pytest
from msgspec.structs import replace

from cloud.dispatching.questions.answer import Answer, answer
from cloud.dispatching.questions.assumptions import Assumptions
from cloud.dispatching.questions.changes import LikeOrder, MachineDown, NewOrder
from cloud.dispatching.questions.comparison import Fate
from cloud.dispatching.questions.promise import if_by, promise
from cloud.dispatching.questions.refused import ImpossibleScenario
from cloud.dispatching.questions.scenario import Scenario
from cloud.dispatching.shop.problem import State
from cloud.dispatching.shop.violations import violations
from tests.cloud.dispatching.questions.plans import BASE, plan
from tests.cloud.dispatching.questions.small_shop import HOUR, small_shop, step

RUSH = LikeOrder(order="R", like="A", due=4 * HOUR, weight=20)


def test_every_answer_is_valid_and_better_than_the_one_before() -> None:
    shop = small_shop()
    base = plan(shop, **BASE)
    heard: list[Answer] = []
    scenario = Scenario(title="rush", changes=(RUSH,))
    last = answer(shop, base, scenario, 5, deterministic=True, on_answer=heard.append)
    assert heard[-1] is last
    assert last.final
    assert not any(one.final for one in heard[:-1])
    totals = [one.schedule.objective.total for one in heard]
    assert totals == sorted(totals, reverse=True)
    for one in heard:
        assert violations(one.problem, one.schedule) == []
        assert one.comparison.title == "rush"
    # The last one keeps the rush order's date, and others pay.
    added = next(o for o in last.comparison.orders if o.order == "R")
    assert added.fate is Fate.ADDED
    assert [o.order for o in last.comparison.hurt]


def test_frozen_work_is_where_it_was_in_every_answer() -> None:
    shop = small_shop()
    heard: list[Answer] = []
    down = Scenario(changes=(MachineDown(machine="SAW", start=0, end=2 * HOUR),))
    answer(shop, plan(shop, **BASE), down, 3, deterministic=True, on_answer=heard.append)
    frozen = [o for o in shop.operations if o.state is State.FIXED]
    assert frozen
    for one in heard:
        for operation in frozen:
            a = one.schedule.assignments[operation.id]
            assert (a.machine, a.start) == (operation.machine, operation.start)


def test_no_time_still_gives_the_first_answer() -> None:
    shop = small_shop()
    heard: list[Answer] = []
    last = answer(shop, plan(shop, **BASE), Scenario(changes=(RUSH,)), 0, on_answer=heard.append)
    assert last.final
    assert violations(last.problem, last.schedule) == []
    assert last.schedule.objective.total <= heard[0].schedule.objective.total


def test_a_cancelled_question_ends_with_what_is_known() -> None:
    shop = small_shop()
    cancel = threading.Event()
    cancel.set()
    last = answer(shop, plan(shop, **BASE), Scenario(changes=(RUSH,)), 60, cancel=cancel)
    assert last.final
    assert last.seconds < 20


def test_a_promise_hurts_nobody_and_says_what_haste_would_cost() -> None:
    shop = small_shop()
    base = plan(shop, **BASE)
    found = promise(shop, base, RUSH, weight=100, seconds=3, deterministic=True, assumptions=Assumptions())
    assert found.undisturbed is not None
    assert found.undisturbed.comparison.moves == ()
    assert found.undisturbed.comparison.hurt == ()
    assert violations(found.undisturbed.problem, found.undisturbed.schedule) == []
    # Sawn behind A and B and turned by 4 h 30 min; blue until 5 h, and half an hour of changeover.
    assert found.earliest == 13 * HOUR // 2
    assert found.allowance is not None
    assert found.allowance > found.earliest
    assert found.free is not None
    assert found.free.end < found.earliest
    assert found.free.comparison.hurt


def test_an_earlier_date_names_who_is_hurt_and_by_how_much() -> None:
    shop = small_shop()
    base = plan(shop, **BASE)
    early = if_by(shop, base, RUSH, 4 * HOUR, seconds=3, deterministic=True)
    assert early.kept
    assert early.plan.end <= 4 * HOUR
    assert {o.order for o in early.hurt} <= {"A", "B"}
    assert all(o.later_late > 0 for o in early.hurt)
    late = if_by(shop, base, RUSH, 7 * HOUR, seconds=3, deterministic=True)
    assert (late.kept, late.hurt) == (True, ())
    never = if_by(shop, base, RUSH, HOUR, seconds=1, deterministic=True)
    assert not never.kept


def test_a_new_order_is_promised_by_what_the_gaps_hold() -> None:
    shop = small_shop()
    base = plan(shop, **BASE)
    order = NewOrder(order="N", operations=(step("N.turn", "N", "LATHE2", due=0, weight=9),))
    found = promise(shop, base, order, seconds=0)
    assert found.earliest == HOUR  # the second lathe is idle until 2 h 30 min
    assert found.free is None
    with pytest.raises(ImpossibleScenario, match="already"):
        promise(shop, base, replace(order, order="A"), seconds=0)
