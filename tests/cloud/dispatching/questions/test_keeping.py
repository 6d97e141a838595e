"""The published plan stays where it can: by hand, and on random shops against the validator."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from cloud.dispatching.questions.changes import CancelledOrder, Change, LikeOrder, MachineDown, NewOrder
from cloud.dispatching.questions.keeping import keep, staying
from cloud.dispatching.questions.pushing import push
from cloud.dispatching.questions.refused import ImpossibleScenario
from cloud.dispatching.questions.scenario import Scenario, apply, under
from cloud.dispatching.shop.problem import Problem, State, Window
from cloud.dispatching.shop.schedule import Schedule, orders
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct
from tests.cloud.dispatching.questions.plans import BASE, plan
from tests.cloud.dispatching.questions.small_shop import HOUR, small_shop, step
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop
from tests.cloud.dispatching.serial_plan import serial_plan


def kept(change: Change) -> tuple[Problem, Schedule, Schedule]:
    """The problem after ``change``, the plan before, and what was kept of it."""
    shop = small_shop()
    base = plan(shop, **BASE)
    asked = apply(under(shop, base), Scenario(changes=(change,)))
    after = keep(asked, base)
    assert after is not None
    assert violations(asked, after) == []
    return asked, base, after


def moved(before: Schedule, after: Schedule) -> set[str]:
    return {
        name
        for name, a in after.assignments.items()
        if name in before.assignments
        and (a.machine, a.start) != (before.assignments[name].machine, before.assignments[name].start)
    }


def test_a_new_order_goes_into_the_gaps_and_moves_nobody() -> None:
    _, before, after = kept(LikeOrder(order="R", like="A", due=HOUR, weight=50))
    assert moved(before, after) == set()
    assert after.assignments["R/A.saw"].start == 5 * HOUR // 2  # when the saw has done A and B


def test_only_what_a_machine_failure_hits_moves_and_what_waits_for_it() -> None:
    _, before, after = kept(MachineDown(machine="LATHE1", start=HOUR, end=2 * HOUR))
    assert moved(before, after) <= {"A.turn", "A.paint"}
    assert "A.turn" in moved(before, after)


def test_what_falls_away_moves_nobody() -> None:
    _, before, after = kept(CancelledOrder(order="A"))
    assert moved(before, after) == set()


def test_no_gap_is_used_from_which_the_machine_cannot_be_changed_back() -> None:
    # Half an hour is free before B's blue paint: enough for a red part, not for the way back to blue.
    part = step("R.paint", "R", "BOOTH", hours=0.5, setup={"colour": "red"}, earliest=7 * HOUR // 2)
    _, before, after = kept(NewOrder(order="R", operations=(part,)))
    assert moved(before, after) == set()
    assert after.assignments["R.paint"].start >= after.assignments["B.paint"].end


def test_what_has_no_time_left_to_change_over_does_not_stay() -> None:
    shop = small_shop()
    base = plan(shop, **BASE)
    closed = Window(start=7 * HOUR // 2, end=4 * HOUR)  # when B's colour would have to be changed to
    booth = replace(shop.machines[3], unavailable=(closed, *shop.machines[3].unavailable))
    assert staying(under(replace(shop, machines=(*shop.machines[:3], booth)), base), base, {}).keys() == {
        "A.saw", "A.turn", "A.paint", "B.saw", "B.turn"
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_any_shop_keeps_its_plan_but_for_the_change(seed: int) -> None:
    rng = random.Random(seed)
    shop = random_shop(rng, operations=40, machines=6, maintenance=2)
    before = construct(shop)
    base = under(shop, before)
    same = keep(base, before)
    assert same is not None
    assert moved(before, same) == set()
    orders = sorted({o.order_id for o in shop.operations})
    change: Change = rng.choice(
        (
            LikeOrder(order="R", like=rng.choice(orders), due=600),
            MachineDown(machine="M1", start=600, end=2400),
            CancelledOrder(order=orders[0], keep_frozen=True),
        )
    )
    try:
        asked = apply(base, Scenario(changes=(change,)))
    except ImpossibleScenario:
        return  # all of the order is frozen
    after = keep(asked, before)
    assert after is not None
    assert violations(asked, after) == []
    if isinstance(change, LikeOrder):
        assert moved(before, after) == set()
    if isinstance(change, MachineDown):
        at_risk = {n for n, a in before.assignments.items() if a.machine == "M1" and a.end > 600}
        assert moved(before, after) <= _behind(asked, at_risk)


@pytest.mark.parametrize("features", [*({name} for name in sorted(ALL)), ALL], ids=lambda f: min(f))
def test_a_plan_that_nothing_changes_stays_whatever_the_shop_has(features: set[str]) -> None:
    for seed in range(8):
        rng = random.Random(seed)
        shop = random_shop(rng, operations=20, machines=4, windows=2, maintenance=1, features=features)
        before = serial_plan(shop)
        after = keep(under(shop, before), before)
        assert after is not None
        assert after.assignments == before.assignments


@pytest.mark.parametrize("features", [*({name} for name in sorted(ALL)), ALL], ids=lambda f: min(f))
def test_a_new_order_finds_gaps_whatever_the_shop_has(features: set[str]) -> None:
    found = 0
    for seed in range(8):
        rng = random.Random(seed)
        shop = random_shop(rng, operations=20, machines=4, windows=2, maintenance=1, features=features)
        before = construct(shop)
        like = rng.choice(sorted({o.order_id for o in shop.operations}))
        asked = apply(under(shop, before), Scenario(changes=(LikeOrder(order="R", like=like, due=600),)))
        after = keep(asked, before)
        if after is not None:  # it passed the validator
            found += 1
            assert moved(before, after) == set()
        pushed = push(asked, before)
        assert pushed is None or violations(asked, pushed) == []
    assert found >= 6


@pytest.mark.parametrize("seed", range(20))
def test_what_comes_first_pushes_the_others_back_in_their_order(seed: int) -> None:
    rng = random.Random(seed)
    shop = random_shop(rng, operations=40, machines=6, maintenance=1)
    before = construct(shop)
    like = rng.choice(sorted({o.order_id for o in shop.operations}))
    asked = apply(under(shop, before), Scenario(changes=(LikeOrder(order="R", like=like, due=600),)))
    after = push(asked, before)
    if after is None:  # what keeps its order may run into frozen work, a lease or a service
        assert keep(asked, before) is not None
        return
    assert violations(asked, after) == []
    for name, a in before.assignments.items():
        assert after.assignments[name].machine == a.machine
        assert after.assignments[name].start >= a.start
    gaps = keep(asked, before)
    assert gaps is not None
    assert orders(asked, after.assignments)["R"].end <= orders(asked, gaps.assignments)["R"].end


def _behind(problem: Problem, names: set[str]) -> set[str]:
    """``names`` and everything that waits for one of them, over runs too."""
    found = set(names)
    while True:
        more = {o.id for o in problem.operations if found & set(o.predecessors)}
        more |= {name for run in problem.runs if found & set(run.operations) for name in run.operations}
        if more <= found:
            return found
        found |= more


def test_frozen_work_is_never_moved() -> None:
    asked, _, after = kept(MachineDown(machine="SAW", start=0, end=2 * HOUR))
    for operation in asked.operations:
        if operation.state is State.FIXED:
            a = after.assignments[operation.id]
            assert (a.machine, a.start) == (operation.machine, operation.start)
