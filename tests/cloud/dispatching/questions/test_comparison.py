"""Two plans side by side, by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from cloud.dispatching.questions.changes import CancelledOrder, LikeOrder, MachineDown, OrderTerms
from cloud.dispatching.questions.comparison import Comparison, Fate, compare
from cloud.dispatching.questions.durations import parse, words
from cloud.dispatching.questions.scenario import Scenario, apply
from cloud.dispatching.questions.sentences import sentences
from cloud.dispatching.shop.problem import Costs, Problem
from cloud.dispatching.shop.schedule import Assignment, Schedule, evaluate
from tests.cloud.dispatching.questions.plans import BASE, HALF, plan
from tests.cloud.dispatching.questions.small_shop import HOUR, small_shop


def fates(comparison: Comparison) -> dict[str, Fate]:
    return {order.order: order.fate for order in comparison.orders}


def told(comparison: Comparison) -> list[str]:
    return list(sentences(comparison, lambda time: f"after {words(time)}"))


def test_an_order_that_must_wait_becomes_late() -> None:
    shop = small_shop()
    base = plan(shop, **BASE)
    other = apply(shop, Scenario(changes=(MachineDown(machine="LATHE1", start=0, end=6 * HOUR),)))
    # A is turned after B on the other lathe, two hours later, and B keeps its times.
    after = plan(other, **{**BASE, "A_turn": ("LATHE2", 7, 0), "A_paint": ("BOOTH", 11, 1)})
    found = compare(shop, base, other, after, "lathe 1 down")
    assert fates(found) == {"A": Fate.BECOMES_LATE, "B": Fate.SAME, "C": Fate.SAME}
    assert [(o.order, o.later, o.later_late) for o in found.hurt] == [("A", 3 * HOUR, 5 * HALF)]
    assert [(m.operation, m.later) for m in found.moves] == [("A.turn", 2 * HOUR), ("A.paint", 3 * HOUR)]
    assert (found.movable, found.moved_share) == (6, 2 / 6)
    assert found.after.late_orders == 1
    assert found.after.cost > found.before.cost
    assert told(found)[:2] == [
        "Order A becomes late by 2 h 30 min.",
        "2 of 6 operations that can move do (33.3 %), 1 of them to another machine.",
    ]
    assert "Changeovers take 30 min more." in told(found)
    assert "All work ends 1 h 30 min later." in told(found)


def test_a_rush_order_comes_first_in_words() -> None:
    shop = small_shop()
    other = apply(shop, Scenario(changes=(LikeOrder(order="R", like="C", due=HOUR),)))
    base = plan(shop, **BASE)
    extra = Assignment(machine="SAW", start=5 * HALF, end=7 * HALF)
    made = {**base.assignments, "R/C.saw": extra}
    after = Schedule(assignments=made, objective=evaluate(other, made, {}))
    found = compare(shop, base, other, after)
    assert found.orders[0].fate is Fate.ADDED_LATE
    assert (found.added, found.removed, found.moves) == (1, 0, ())
    assert told(found)[:3] == [
        "Order R ends after 3 h 30 min, 2 h 30 min late.",
        "No order becomes late, and none later than it is.",
        "None of the 6 operations that could move does.",
    ]


def test_an_order_that_falls_away_helps_the_other() -> None:
    shop = apply(small_shop(), Scenario(changes=(OrderTerms(order="B", due=4 * HOUR),)))
    base = plan(shop, **BASE)
    other = apply(shop, Scenario(changes=(CancelledOrder(order="A"),)))
    after = plan(other, B_saw=("SAW", 1, 0), B_turn=("LATHE2", 3, 0), B_paint=("BOOTH", 5, 1))
    found = compare(shop, base, other, after)
    assert fates(found) == {"A": Fate.CANCELLED, "B": Fate.IN_TIME_AGAIN, "C": Fate.SAME}
    assert (found.removed, found.hurt) == (3, ())
    assert told(found)[:3] == [
        "No order becomes late, and none later than it is.",
        "Order B is in time, and no longer 1 h late.",
        "Order A falls away.",
    ]


def test_several_orders_are_counted_and_the_first_ones_named() -> None:
    shop = small_shop()
    base = plan(shop, **BASE)
    other = apply(shop, Scenario(changes=(OrderTerms(order="A", due=0), OrderTerms(order="B", due=HOUR))))
    assert "2 orders become late: B by 4 h, A by 3 h 30 min." in told(compare(shop, base, other, base))
    found = compare(other, base, shop, base)
    assert "2 orders are in time again: B by 4 h, A by 3 h 30 min." in told(found)


def test_nothing_changes_between_a_plan_and_itself() -> None:
    shop = small_shop()
    base = plan(shop, **BASE)
    found = compare(shop, base, shop, base)
    assert set(fates(found).values()) == {Fate.SAME}
    assert (found.moves, found.moved_share, found.before) == ((), 0.0, found.after)
    assert len(told(found)) == 3  # with what to fill in for money


def test_plans_that_count_from_different_origins_are_not_compared() -> None:
    shop = small_shop()
    base = plan(shop, **BASE)
    with pytest.raises(ValueError, match="different origins"):
        compare(shop, base, replace(shop, origin=0), base)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (3599 * 10, "10 h"),
        (86_400 * 3 + 3 * 3600 + 1860, "3 d 4 h"),
        (86_399, "1 d"),
        (-90, "−1 min 30 s"),
    ],
)
def test_spans_in_words(seconds: int, said: str) -> None:
    assert words(seconds) == said


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("1h30min", 5400), ("1d 6h", 108_000), ("1.5 h", 5400), ("45s", 45), ("10m", 600)],
)
def test_spans_from_words(text: str, seconds: int) -> None:
    assert parse(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 weeks", "2h and", "-2h"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration"):
        parse(text)


def priced(problem: Problem, **costs: str) -> Problem:
    """The saw costs 60 an hour, the lathes 40, the booth nothing that anybody has filled in."""
    hourly = {"SAW": Decimal(60), "LATHE1": Decimal(40), "LATHE2": Decimal(40)}
    machines = tuple(replace(m, cost_per_hour=hourly.get(m.id)) for m in problem.machines)
    rates = {name: Decimal(rate) for name, rate in costs.items()}
    return replace(problem, machines=machines, costs=Costs(currency="EUR", **rates))


def test_what_a_scenario_costs_in_money() -> None:
    shop = priced(small_shop(), late_per_hour="9.50")
    base = plan(shop, **BASE)
    change = MachineDown(machine="LATHE1", start=0, end=6 * HOUR)
    other = apply(shop, Scenario(changes=(change,)))
    after = plan(other, **{**BASE, "A_turn": ("LATHE2", 7, 0), "A_paint": ("BOOTH", 11, 1)})
    found = compare(shop, base, other, after)
    assert found.before.money is not None
    assert found.after.money is not None
    assert (found.before.money.lateness, found.after.money.lateness) == (Decimal(0), Decimal("23.75"))
    assert told(found)[-2:] == [
        "It costs 23.75 EUR more: lateness +23.75.",
        "The cost leaves out what has no rate: cost_per_hour of BOOTH.",
    ]
    same = compare(shop, base, shop, base)
    assert told(same)[-2] == f"It costs as much as before: {same.after.money and same.after.money.total} EUR."


def test_without_rates_it_says_what_to_fill_in() -> None:
    shop = small_shop()
    base = plan(shop, **BASE)
    found = compare(shop, base, shop, base)
    assert (found.before.money, found.after.money) == (None, None)
    assert told(found)[-1] == (
        "No cost in money is told before there are rates: fill in costs.currency, "
        "cost_per_hour of SAW, LATHE1, LATHE2, BOOTH, costs.late_per_hour."
    )
