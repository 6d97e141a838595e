"""Operations that belong together become one run."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cloud.dispatching.floor.group import GroupRule, Lasts, group
from cloud.dispatching.shop.problem import Alternative, Machine, Operation, Problem, State
from cloud.dispatching.shop.validation import validate
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct
from tests.cloud.dispatching.random_shop import random_shop

OVEN = GroupRule(machines=("OVEN",), match=("colour",), capacity=3, due_within=100)


def piece(name: str, colour: str = "red", due: int | None = 1000, **fields: object) -> Operation:
    values: dict[str, object] = {
        "id": name,
        "order_id": "O",
        "job_id": name,
        "alternatives": (Alternative(machine="OVEN", run_seconds=10 + len(name), setup_seconds=5),),
        "due": due,
        "setup": {"colour": colour, "piece": name},
    }
    return Operation(**(values | fields))  # type: ignore[arg-type]


def grouped(
    *operations: Operation, rule: GroupRule = OVEN, together: dict[str, str] | None = None
) -> list[tuple[str, ...]]:
    problem = Problem(
        origin=0, now=0, machines=(Machine(id="OVEN"), Machine(id="SAW")), operations=operations
    )
    return [run.operations for run in group(problem, (rule,), together=together).runs]


def test_one_colour_fills_a_batch() -> None:
    assert grouped(piece("a"), piece("b", "blue"), piece("c"), piece("d"), piece("e"), piece("f")) == [
        ("a", "c", "d"),
        ("e", "f"),
    ]


def test_a_rush_order_does_not_shuffle_the_published_runs() -> None:
    published = {name: name for name in "aceg"} | {"b": "a", "d": "c", "f": "e"}
    others = [piece(name, due=1000 + n) for n, name in enumerate("abcdef")]
    rush = piece("rush", due=990)
    assert grouped(rush, *others, rule=replace(OVEN, capacity=2)) == [
        ("rush", "a"),
        ("b", "c"),
        ("d", "e"),
    ]
    assert grouped(rush, *others, rule=replace(OVEN, capacity=2), together=published) == [
        ("a", "b"),
        ("c", "d"),
        ("e", "f"),
    ]
    assert grouped(rush, *others, together=published) == [("a", "b", "rush"), ("c", "d"), ("e", "f")]


def test_a_published_run_that_no_longer_fits_comes_apart() -> None:
    published = dict.fromkeys("abc", "a")
    work = [piece("a"), piece("b", due=1200), piece("c", "blue")]
    assert grouped(*work, together=published) == []
    assert grouped(*work, piece("d", due=1090), together=published) == [("a", "d")]


def test_large_pieces_take_more_of_the_capacity() -> None:
    assert grouped(piece("a", size=2), piece("b", size=2), piece("c")) == [("a", "c")]


def test_due_dates_far_apart_stay_apart() -> None:
    assert grouped(piece("a", due=0), piece("b", due=101), piece("c", due=100), piece("d", due=None)) == [
        ("a", "c")
    ]


def test_what_is_ready_much_later_is_not_waited_for() -> None:
    rule = replace(OVEN, ready_within=50)
    assert grouped(piece("a"), piece("b", earliest=51), piece("c", earliest=50), rule=rule) == [("a", "c")]


def test_what_is_decided_or_can_go_elsewhere_stays_alone() -> None:
    elsewhere = (Alternative(machine="OVEN", run_seconds=10), Alternative(machine="SAW", run_seconds=10))
    assert (
        grouped(
            piece("a"),
            piece("b", state=State.LEASED, machine="OVEN", start=0),
            piece("c", alternatives=elsewhere),
        )
        == []
    )


def test_a_run_lasts_as_long_as_its_rule_says() -> None:
    problem = Problem(origin=0, now=0, machines=(Machine(id="OVEN"),), operations=(piece("a"), piece("bbb")))
    (longest,) = group(problem, (OVEN,)).runs
    (summed,) = group(problem, (replace(OVEN, lasts=Lasts.SUM),)).runs
    assert longest.alternatives == (Alternative(machine="OVEN", run_seconds=13, setup_seconds=5),)
    assert summed.alternatives == (Alternative(machine="OVEN", run_seconds=24, setup_seconds=5),)
    assert longest.setup == {"colour": "red"}


def test_no_run_waits_for_itself() -> None:
    """Two coats of two jobs: neither both coats of one job nor the coats crosswise."""
    coats = (
        piece("a1", due=1000),
        piece("a2", due=1000, predecessors=("a1",), colour="blue"),
        piece("b1", due=1000, colour="blue"),
        piece("b2", due=1000, predecessors=("b1",)),
    )
    problem = Problem(origin=0, now=0, machines=(Machine(id="OVEN"),), operations=coats)
    result = group(problem, (OVEN,))
    assert validate(result) == []
    assert len(result.runs) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 30))
def test_grouped_shops_can_be_planned(seed: int, operations: int) -> None:
    problem = random_shop(random.Random(seed), operations=operations, machines=3)
    rules = tuple(
        GroupRule(machines=(m.id,), match=("colour",), capacity=4, due_within=3600) for m in problem.machines
    )
    result = group(problem, rules)
    assert validate(result) == []
    assert violations(result, construct(result)) == []
