"""The plan carried out many times: exactly as planned without spread, and by what is known with it."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from cloud.dispatching.questions.assumptions import Assumptions, Breakdowns, Shape
from cloud.dispatching.questions.risk import Outlook, chain, risk
from cloud.dispatching.questions.rollout import Rollout
from cloud.dispatching.shop.problem import Alternative, Machine, Operation, Problem, Resource, Window
from cloud.dispatching.shop.schedule import Assignment, Schedule, Status, evaluate, orders
from cloud.dispatching.solving.construct import construct
from tests.cloud.dispatching.questions.plans import BASE, plan
from tests.cloud.dispatching.questions.small_shop import HOUR, small_shop, step
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop
from tests.cloud.dispatching.serial_plan import serial_plan


def by_order(outlook: Outlook) -> dict[str, tuple[int, int, int, float | None]]:
    return {o.order: (o.p10, o.p50, o.p90, o.on_time) for o in outlook.orders}


def shop_of(*operations: Operation, windows: tuple[Window, ...] = ()) -> tuple[Problem, Schedule]:
    """Machine M with ``operations`` one after the other, as the dispatch rules plan them."""
    problem = Problem(
        origin=0, now=0, machines=(Machine(id="M", unavailable=windows),), operations=operations
    )
    return problem, construct(problem)


@pytest.mark.parametrize("seed", range(25))
def test_without_spread_all_ends_as_planned(seed: int) -> None:
    shop = replace(random_shop(random.Random(seed), operations=40, machines=5, maintenance=2), published={})
    schedule = construct(shop)
    found = risk(shop, schedule, Assumptions(spread=0, samples=3))
    planned = orders(shop, schedule.assignments)
    for order in found.orders:
        assert order.p10 == order.p90 == order.expected
        assert order.expected == planned[order.order].end
        assert order.on_time in (None, float(planned[order.order].late == 0))


@pytest.mark.parametrize("features", [*({name} for name in sorted(ALL)), ALL], ids=lambda f: min(f))
def test_without_spread_nothing_is_later_than_planned_whatever_the_shop_has(features: set[str]) -> None:
    for seed in range(8):
        shop = random_shop(
            random.Random(seed), operations=20, machines=4, windows=2, maintenance=1, features=features
        )
        schedule = serial_plan(shop)
        ends = Rollout(shop, schedule, Assumptions(spread=0, samples=1)).ends()
        assert {n for n, end in ends.items() if end[0] > schedule.assignments[n].end + 0.5} == set()


def test_the_same_seed_draws_the_same() -> None:
    shop = small_shop()
    base = plan(shop, **BASE)
    one, same, other = (risk(shop, base, Assumptions(seed=seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_one_operation_scatters_as_it_is_said() -> None:
    problem, schedule = shop_of(step("A", "A", "M", hours=1, due=HOUR))
    triangular = Assumptions(spread=0.5, shape=Shape.TRIANGULAR, samples=20_000)
    p10, p50, p90, on_time = by_order(risk(problem, schedule, triangular))["A"]
    # Quantile q ≤ 1/2 of a symmetric triangle on [1/2, 3/2] is 1/2 + sqrt(q / 2).
    assert (p10 / HOUR, p50 / HOUR, p90 / HOUR) == pytest.approx((0.7236, 1.0, 1.2764), abs=0.02)
    assert on_time == pytest.approx(0.5, abs=0.02)
    lognormal = risk(problem, schedule, Assumptions(spread=0.3, samples=20_000)).orders[0]
    assert lognormal.expected == pytest.approx(HOUR, rel=0.02)
    assert lognormal.p90 - lognormal.p50 > lognormal.p50 - lognormal.p10


def test_breakdowns_take_their_share_of_the_working_time() -> None:
    problem, schedule = shop_of(step("A", "A", "M", hours=10))
    said = Assumptions(
        spread=0, samples=20_000, breakdowns={"M": Breakdowns(mean_between=2 * HOUR, mean_repair=HOUR / 2)}
    )
    # Five failures on average, half an hour each.
    assert risk(problem, schedule, said).orders[0].expected == pytest.approx(12.5 * HOUR, rel=0.02)


def test_work_that_runs_over_rests_until_the_machine_opens() -> None:
    night = Window(start=2 * HOUR, end=10 * HOUR, reason="night")
    problem, schedule = shop_of(step("A", "A", "M", hours=1.9), windows=(night,))
    found = risk(problem, schedule, Assumptions(spread=0.5, shape=Shape.TRIANGULAR, samples=5000)).orders[0]
    assert found.p10 < 2 * HOUR
    assert found.p90 > 10 * HOUR


def test_what_no_longer_fits_before_the_night_waits_for_the_morning() -> None:
    night = Window(start=2 * HOUR, end=10 * HOUR, reason="night")
    problem, schedule = shop_of(step("A", "A", "M", hours=1), step("B", "B", "M", hours=1), windows=(night,))
    found = by_order(risk(problem, schedule, Assumptions(spread=0.2, shape=Shape.TRIANGULAR, samples=5000)))
    # Whenever A takes longer than planned B no longer fits: half of the samples.
    assert found["B"][0] < 2.5 * HOUR
    assert found["B"][2] > 10.5 * HOUR


def test_who_waits_for_several_waits_for_the_last() -> None:
    machines = tuple(Machine(id=f"M{n}") for n in range(5))
    parts = tuple(step(f"P{n}", "A", f"M{n}") for n in range(4))
    end = replace(step("end", "A", "M4", hours=0), predecessors=tuple(p.id for p in parts))
    problem = Problem(origin=0, now=0, machines=machines, operations=(*parts, end))
    found = risk(problem, construct(problem), Assumptions(spread=0.5, shape=Shape.TRIANGULAR, samples=5000))
    # The median of the largest of four is the quantile 0.5 ** (1/4) = 0.84 of one.
    assert found.orders[0].p50 / HOUR == pytest.approx(1.5 - (0.159 / 2) ** 0.5, abs=0.02)


def test_a_crew_of_one_does_one_thing_at_a_time() -> None:
    alternatives = [(Alternative(machine=f"M{n}", run_seconds=HOUR, needs={"welder": 1}),) for n in range(2)]
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="M0"), Machine(id="M1")),
        operations=tuple(
            Operation(id=f"W{n}", order_id=f"W{n}", job_id=f"W{n}", alternatives=alternatives[n])
            for n in range(2)
        ),
        resources=(Resource(id="welder", capacity=1),),
    )
    made = {f"W{n}": Assignment(machine=f"M{n}", start=n * HOUR, end=(n + 1) * HOUR) for n in range(2)}
    schedule = Schedule(assignments=made, objective=evaluate(problem, made, {}), status=Status.FEASIBLE)
    found = by_order(risk(problem, schedule, Assumptions(spread=0, samples=2)))
    assert (found["W0"][1], found["W1"][1]) == (HOUR, 2 * HOUR)
    two = replace(problem, resources=(Resource(id="welder", capacity=2),))
    assert by_order(risk(two, schedule, Assumptions(spread=0, samples=2)))["W1"][1] == HOUR


def test_overlapping_work_follows_its_predecessor() -> None:
    first = replace(step("A", "A", "M", hours=1), quantity=4)
    second = replace(step("B", "A", "N", hours=1, after="A"), quantity=4, overlaps={"A": 1})
    problem = Problem(
        origin=0, now=0, machines=(Machine(id="M"), Machine(id="N")), operations=(first, second)
    )
    made = {
        "A": Assignment(machine="M", start=0, end=HOUR),
        "B": Assignment(machine="N", start=HOUR // 4, end=5 * HOUR // 4),
    }
    schedule = Schedule(assignments=made, objective=evaluate(problem, made, {}))
    assert risk(problem, schedule, Assumptions(spread=0, samples=2)).orders[0].p50 == 5 * HOUR // 4
    later = risk(problem, schedule, Assumptions(spread=0.5, shape=Shape.TRIANGULAR, samples=5000)).orders[0]
    assert later.p90 > 5 * HOUR // 4  # the last quarter still comes after the predecessor's end


def test_the_least_certain_order_comes_first_and_has_a_chain() -> None:
    shop = small_shop()
    base = plan(shop, **BASE)
    found = risk(shop, base)
    assert [o.order for o in found.orders] == ["B", "A", "C"]
    assert found.on_time is not None
    assert 0 < found.on_time < 1
    assert chain(shop, base, found.orders[0]).links[0].operation == "B.paint"


def test_assumptions_that_make_no_sense_are_refused_together() -> None:
    shop = small_shop()
    said = Assumptions(
        spread=float("nan"),
        samples=0,
        breakdowns={
            "SAWW": Breakdowns(mean_between=HOUR, mean_repair=1),
            "SAW": Breakdowns(mean_between=0, mean_repair=1),
        },
    )
    with pytest.raises(ValueError) as caught:
        risk(shop, plan(shop, **BASE), said)
    for words in ("spread nan", "0 samples", "unknown machine SAWW", "machine SAW fails every 0 s"):
        assert words in str(caught.value)
