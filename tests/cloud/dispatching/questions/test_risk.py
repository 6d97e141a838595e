"""The plan carried out many times: exactly as planned without spread, and by what is known with it."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from cloud.dispatching.questions.assumptions import Assumptions, Breakdowns, Shape
from cloud.dispatching.questions.risk import Outlook, chain, risk
from cloud.dispatching.questions.rollout import Rollout
from cloud.dispatching.shop.problem import (
    Alternative,
    Machine,
    Operation,
    Problem,
    Resource,
    State,
    Transport,
    Vehicles,
    Window,
)
from cloud.dispatching.shop.schedule import Assignment, Schedule, Status, Trip, evaluate, orders
from cloud.dispatching.shop.violations import violations
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


def carried_shop(count: int) -> tuple[Problem, Schedule]:
    """Two parts that are ready after an hour, 20 min from the machines that need them; 10 min empty."""
    minute = HOUR // 60
    problem = Problem(
        origin=0,
        now=0,
        machines=tuple(Machine(id=name) for name in ("M1", "M2", "N1", "N2")),
        operations=tuple(
            replace(each, due=2 * HOUR)
            for n in (1, 2)
            for each in (
                step(f"cut{n}", f"O{n}", f"M{n}"),
                step(f"fit{n}", f"O{n}", f"N{n}", hours=0.5, after=f"cut{n}"),
            )
        ),
        transports=tuple(Transport(origin=f"M{n}", destination=f"N{n}", seconds=20 * minute) for n in (1, 2)),
        vehicles=Vehicles(count=count, empty=10 * minute),
    )
    wait = 30 * minute if count == 1 else 0
    made = {
        "cut1": Assignment(machine="M1", start=0, end=HOUR),
        "fit1": Assignment(machine="N1", start=80 * minute, end=110 * minute),
        "cut2": Assignment(machine="M2", start=0, end=HOUR),
        "fit2": Assignment(machine="N2", start=80 * minute + wait, end=110 * minute + wait),
    }
    trips = (
        Trip(operation="fit1", predecessor="cut1", start=HOUR, end=80 * minute),
        Trip(operation="fit2", predecessor="cut2", start=HOUR + wait, end=80 * minute + wait),
    )
    schedule = Schedule(assignments=made, trips=trips, objective=evaluate(problem, made, {}))
    assert violations(problem, schedule) == []
    return problem, schedule


def test_a_single_vehicle_carries_one_thing_after_the_other() -> None:
    one, two = (by_order(risk(*carried_shop(count), Assumptions(spread=0, samples=2))) for count in (1, 2))
    assert (one["O1"][1], one["O2"][1]) == (110 * 60, 140 * 60)
    assert (two["O1"][1], two["O2"][1]) == (110 * 60, 110 * 60)
    # When the first part is late, the second waits for the vehicle with it.
    late, free = (
        risk(*carried_shop(count), Assumptions(spread=0.5, shape=Shape.TRIANGULAR, samples=4000))
        for count in (1, 2)
    )
    assert by_order(late)["O2"][2] > by_order(free)["O2"][2] + 1500
    assert (by_order(late)["O2"][3] or 0.0) < (by_order(free)["O2"][3] or 0.0) - 0.2


@pytest.mark.parametrize("seed", range(12))
def test_no_sample_uses_more_vehicles_than_there_ever_are(seed: int) -> None:
    shop = random_shop(random.Random(seed), operations=30, machines=5, features=ALL)
    assert shop.vehicles is not None
    schedule = serial_plan(shop)
    rollout = Rollout(shop, schedule, Assumptions(spread=0.6, samples=5))
    ends = rollout.ends()
    assert set(rollout.brought) == {(trip.operation, trip.predecessor) for trip in schedule.trips}
    most = max([shop.vehicles.count, *(level.capacity for level in shop.vehicles.levels)])
    for sample in range(5):
        taken: list[tuple[float, int]] = []
        for trip in schedule.trips:
            lag = next(o for o in shop.operations if o.id == trip.operation).lags.get(trip.predecessor, 0)
            arrives = rollout.brought[trip.operation, trip.predecessor][sample]
            out = arrives - (trip.end - trip.start)
            assert out >= ends[trip.predecessor][sample] + lag - 1e-6
            assert rollout.start[trip.operation][sample] >= arrives - 1e-6
            taken += [(round(out - shop.vehicles.empty, 3), 1), (round(arrives, 3), -1)]
        busy = 0
        for _, change in sorted(taken):  # what comes back comes before what leaves
            busy += change
            assert busy <= most


@pytest.mark.parametrize("seed", range(12))
def test_without_spread_the_longest_lags_are_kept_as_planned(seed: int) -> None:
    shop = random_shop(random.Random(seed), operations=30, machines=4, features=ALL)
    fixed = {o.id for o in shop.operations if o.state is State.FIXED}
    found = risk(shop, serial_plan(shop), Assumptions(spread=0, samples=1)).lags
    assert {(lag.operation, lag.predecessor) for lag in found} == {
        (o.id, name) for o in shop.operations if o.id not in fixed for name in o.max_lags
    }
    assert [lag for lag in found if lag.broken and lag.predecessor not in fixed] == []
    assert all(lag.p90 <= lag.planned for lag in found)


def hasty_shop() -> tuple[Problem, Schedule]:
    """B is welded at most half an hour after it is bent; before, the welder has A for two hours."""
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="BRAKE"), Machine(id="WELD")),
        operations=(
            step("A.weld", "A", "WELD", hours=2),
            step("B.bend", "B", "BRAKE", hours=1),
            replace(step("B.weld", "B", "WELD", after="B.bend"), max_lags={"B.bend": HOUR // 2}),
        ),
    )
    made = {
        "A.weld": Assignment(machine="WELD", start=0, end=2 * HOUR),
        "B.bend": Assignment(machine="BRAKE", start=HOUR, end=2 * HOUR),
        "B.weld": Assignment(machine="WELD", start=2 * HOUR, end=3 * HOUR),
    }
    schedule = Schedule(assignments=made, objective=evaluate(problem, made, {}))
    assert violations(problem, schedule) == []
    return problem, schedule


def test_how_often_a_longest_lag_is_broken() -> None:
    assert risk(*hasty_shop(), Assumptions(spread=0, samples=3)).lags[0].broken == 0.0
    said = Assumptions(spread=0.5, shape=Shape.TRIANGULAR, samples=40_000)
    (lag,) = risk(*hasty_shop(), said).lags
    assert (lag.operation, lag.predecessor, lag.order) == ("B.weld", "B.bend", "B")
    assert (lag.most, lag.planned) == (HOUR // 2, 0)
    # It is when A's weld takes more than half an hour longer than B's bend: drawn by another generator.
    draw = random.Random(1).triangular
    wanted = 0
    for _ in range(40_000):
        weld, bend = draw(1, 3, 2), draw(0.5, 1.5, 1)
        wanted += weld - bend - 1 > 0.5
    assert lag.broken == pytest.approx(wanted / 40_000, abs=0.01)
    assert lag.p90 > HOUR // 2
