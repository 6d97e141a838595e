"""What a plan costs in money, by hand and second by second."""

from __future__ import annotations

import random
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cloud.dispatching.questions.changes import Overtime
from cloud.dispatching.questions.scenario import Scenario, apply
from cloud.dispatching.shop.money import Lack, Part, Rate, lacking, money
from cloud.dispatching.shop.problem import (
    Alternative,
    Costs,
    Machine,
    Maintenance,
    Operation,
    Problem,
    Resource,
    Window,
)
from cloud.dispatching.shop.schedule import Assignment, Schedule, Service, orders
from cloud.dispatching.shop.validation import validate
from cloud.dispatching.solving.construct import construct
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop

HOUR = 3600


def shop(**costs: Decimal | str) -> Problem:
    """One saw, two welders, one order; after an hour it rests over a break of half an hour."""
    needs = (Alternative(machine="SAW", run_seconds=HOUR, setup_seconds=HOUR // 2, needs={"welding": 2}),)
    return Problem(
        origin=0,
        now=0,
        machines=(
            Machine(
                id="SAW",
                cost_per_hour=Decimal("60.10"),
                unavailable=(Window(start=HOUR, end=3 * HOUR // 2, reason="break", pause=True),),
                overtime=(Window(start=3 * HOUR // 2, end=10 * HOUR),),
            ),
        ),
        resources=(Resource(id="welding", capacity=2, cost_per_hour=Decimal("30.05")),),
        operations=(
            Operation(
                id="A",
                order_id="A",
                job_id="A",
                alternatives=needs,
                due=HOUR,
                weight=3,
                interruptible=True,
            ),
        ),
        maintenance=(
            Maintenance(id="oil", machine="SAW", seconds=HOUR, finish_before=9 * HOUR, needs={"welding": 1}),
        ),
        costs=Costs(currency="EUR", **costs),  # type: ignore[arg-type]
    )


PLAN = Schedule(
    assignments={"A": Assignment(machine="SAW", start=HOUR // 4, end=9 * HOUR // 4, setup_seconds=HOUR // 2)},
    services={"oil": Service(machine="SAW", start=3 * HOUR, end=4 * HOUR)},
)


def test_hours_at_their_rates() -> None:
    said = shop(overtime_percent=Decimal(25), late_per_hour=Decimal("7.3"))
    found = money(said, PLAN)
    assert found is not None
    # The saw and two welders are 120.20 an hour: an hour of work, half of set-up, and 45 min in overtime.
    assert {part: found.part(part) for part in Part} == {
        Part.WORKING: Decimal("120.20"),
        Part.SETUP: Decimal("60.10"),
        Part.OVERTIME: Decimal("22.54"),  # 22.5375
        Part.SERVICE: Decimal("30.05"),
        Part.LATENESS: Decimal("27.38"),  # 1.25 h × 3 × 7.3 = 27.375
    }
    assert (found.currency, found.total) == ("EUR", Decimal("260.27"))
    assert lacking(said) == ()


def test_without_rates_there_is_no_money_and_what_is_missing_is_named() -> None:
    bare = replace(
        shop(),
        machines=tuple(replace(m, cost_per_hour=None) for m in shop().machines),
        resources=tuple(replace(r, cost_per_hour=None) for r in shop().resources),
    )
    assert money(bare, PLAN) is None
    lacks = (Lack(Rate.PER_HOUR, ("SAW",)), Lack(Rate.OVERTIME), Lack(Rate.LATE))
    assert lacking(bare) == lacks
    assert lacking(replace(bare, costs=None)) == (Lack(Rate.CURRENCY), *lacks)
    assert money(replace(shop(), costs=None), PLAN) is None  # rates of no currency


def test_a_crew_that_is_paid_is_enough_for_a_machine() -> None:
    crew = replace(shop(), machines=tuple(replace(m, cost_per_hour=None) for m in shop().machines))
    assert Rate.PER_HOUR not in {lack.rate for lack in lacking(crew)}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 20))
def test_a_plan_costs_what_its_seconds_cost(seed: int, operations: int) -> None:
    rng = random.Random(seed)

    def rate() -> Decimal | None:
        return None if rng.random() < 0.2 else Decimal(rng.randint(0, 2_000_000)).scaleb(-4)

    problem = random_shop(rng, operations=operations, runs=2, second=3, features=ALL)
    problem = replace(
        problem,
        machines=tuple(
            replace(
                m,
                cost_per_hour=rate(),
                overtime=tuple(
                    Window(start=(s := rng.randint(0, 150)), end=s + rng.randint(1, 90))
                    for _ in range(rng.randint(0, 3))
                ),
            )
            for m in problem.machines
        ),
        resources=tuple(replace(r, cost_per_hour=rate()) for r in problem.resources),
        costs=Costs(currency="CNY", overtime_percent=rate(), late_per_hour=rate()),
    )
    assert validate(problem) == []
    plan = construct(problem)
    found, expected = money(problem, plan), by_seconds(problem, plan)
    if found is None:
        assert not any(expected.values())
        return
    assert {part: found.part(part) for part in Part} == expected


def by_seconds(problem: Problem, plan: Schedule) -> dict[Part, Decimal]:
    """Each second of each thing on a machine looked at by itself; shares no code with what is tested."""
    sums = dict.fromkeys(Part, Fraction(0))
    costs = problem.costs
    assert costs is not None
    machine = {m.id: m for m in problem.machines}
    each = {r.id: Fraction(r.cost_per_hour or 0) for r in problem.resources}
    members = {run.id: run for run in problem.runs}
    named = {o.id: o for o in problem.operations}
    done: set[str] = set()
    for name, a in plan.assignments.items():
        if a.run in done:
            continue
        if a.run is not None:
            done.add(a.run)
        run = members[a.run] if a.run is not None else None
        offered = run.alternatives if run else named[name].alternatives
        rests = all(named[one].interruptible for one in (run.operations if run else (name,)))
        needs = next((x.needs for x in offered if x.machine == a.machine), {})
        at = machine[a.machine]
        rate = Fraction(at.cost_per_hour or 0) + sum(each[n] * count for n, count in needs.items())
        worked = 0
        for second in range(a.start - a.changeover_seconds, a.end):
            inside = second >= a.start
            if inside and rests and any(w.pause and w.start <= second < w.end for w in at.unavailable):
                continue
            worked += inside
            sums[Part.SETUP if not inside or worked <= a.setup_seconds else Part.WORKING] += rate
            if any(w.start <= second < w.end for w in at.overtime):
                sums[Part.OVERTIME] += rate * Fraction(costs.overtime_percent or 0) / 100
    for task in problem.maintenance:
        if task.id in plan.services:
            service = plan.services[task.id]
            hourly = sum(each[name] * count for name, count in task.needs.items())
            sums[Part.SERVICE] += hourly * (service.end - service.start)
    for finish in orders(problem, plan.assignments).values():
        sums[Part.LATENESS] += finish.late * finish.weight * Fraction(costs.late_per_hour or 0)
    return {part: rounded(amount / HOUR) for part, amount in sums.items()}


def rounded(amount: Fraction) -> Decimal:
    cents = (amount * 100 + Fraction(1, 2)).__floor__()
    return (Decimal(cents) / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"currency": "euro"}, "costs: currency 'euro' is not a code of ISO 4217, such as EUR"),
        ({"late_per_hour": Decimal(-1)}, "costs: late_per_hour -1 is not between 0 and 1000000"),
        ({"late_per_hour": Decimal("NaN")}, "costs: late_per_hour NaN is not between 0 and 1000000"),
        ({"overtime_percent": Decimal("0.00001")}, "costs: overtime_percent 0.00001 has more than 4 decimal"),
    ],
)
def test_rates_that_are_none(changed: dict[str, object], reason: str) -> None:
    said = shop()
    assert said.costs is not None
    wrong = replace(said, costs=replace(said.costs, **changed))
    assert [str(error).startswith(reason) for error in validate(wrong)] == [True]


def test_overtime_that_a_scenario_asks_for_costs_more() -> None:
    said = shop(overtime_percent=Decimal(50))
    night = (Window(start=5 * HOUR, end=20 * HOUR), Window(start=12 * HOUR, end=16 * HOUR, reason="night"))
    machine = replace(said.machines[0], unavailable=night, overtime=())
    closed = replace(said, machines=(machine,))
    change = Overtime(start=4 * HOUR, end=18 * HOUR)
    opened = apply(closed, Scenario(changes=(change,)))
    assert [(w.start, w.end) for w in opened.machines[0].overtime] == [
        (5 * HOUR, 12 * HOUR),
        (12 * HOUR, 16 * HOUR),
        (16 * HOUR, 18 * HOUR),
    ]
    # What stays closed for another reason is no overtime.
    part = apply(closed, Scenario(changes=(replace(change, reasons=("night",)),)))
    assert part.machines[0].overtime == ()
    late = Schedule(assignments={"A": Assignment(machine="SAW", start=5 * HOUR, end=13 * HOUR // 2)})
    found = money(opened, late)
    assert found is not None
    assert found.overtime == Decimal("90.15")
