"""The list decoder: whatever the list, its plans keep every rule and cost what they say they cost."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cloud.dispatching.shop.problem import (
    Alternative,
    Changeover,
    Kind,
    Level,
    Machine,
    Operation,
    Placement,
    Problem,
    Resource,
    Transport,
    Vehicles,
    Window,
)
from cloud.dispatching.shop.schedule import Schedule, Status
from cloud.dispatching.shop.validation import ImpossibleProblem
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.activities import Shop
from cloud.dispatching.solving.compilation import compile_shop
from cloud.dispatching.solving.construct import construct, construct_shop, repair
from cloud.dispatching.solving.search import decode as compiled_decode
from cloud.dispatching.solving.search.jit import interpreted
from cloud.dispatching.solving.search.listing import DECODE, Decoder, List
from cloud.dispatching.solving.search.numbered import NEVER
from cloud.dispatching.solving.search.units import units_of
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop

PLAIN_PYTHON = interpreted(DECODE)


def shop_of(seed: int, operations: int = 14, features: frozenset[str] = ALL) -> Problem:
    rng = random.Random(seed)
    return random_shop(
        rng, operations=operations, machines=rng.randint(2, 6), windows=3, decided=0.3, runs=2, maintenance=3,
        load=2.0, features=features,
    )  # fmt: skip


def random_list(shop: Shop, rng: random.Random) -> List:
    """Any order that routings allow, any machines, some work held where it is wished."""
    decoder = Decoder(shop, PLAIN_PYTHON)
    count = len(shop.activities) + len(shop.tasks)
    order = units_of(shop).in_order([rng.random() for _ in range(count)])
    option = [rng.randrange(len(a.options)) for a in shop.activities] + [
        rng.randint(0, 1) for _ in shop.tasks
    ]
    held = [a.wishes[0].start if a.wishes and rng.random() < 0.5 else NEVER for a in shop.activities]
    return List(
        np.array(order, dtype=np.int64),
        np.array(option, dtype=np.int64),
        np.array(held + [NEVER] * len(shop.tasks), dtype=np.int64),
        decoder.given.members.copy(),
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 30), operations=st.integers(1, 30))
def test_every_list_becomes_a_plan_that_keeps_the_rules_and_costs_what_it_says(
    seed: int, operations: int
) -> None:
    problem = shop_of(seed, operations)
    shop = compile_shop(problem)
    decoder = Decoder(shop, PLAIN_PYTHON)
    rng = random.Random(seed)
    for _ in range(3):
        decoded = decoder.decode(random_list(shop, rng))
        plan = decoder.schedule(decoded, Status.CONSTRUCTED)
        broken = violations(problem, plan)
        if decoded.broken:  # a longest lag that these machines cannot keep is counted and is all there is
            assert broken
            assert all("more than" in words for words in broken)
        else:
            assert broken == []
            assert decoded.cost == plan.objective.total


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_compiled_and_as_plain_python_it_makes_the_same_plans(seed: int) -> None:
    shop = compile_shop(shop_of(seed))
    made = random_list(shop, random.Random(seed))
    assert Decoder(shop, compiled_decode).decode(made) == Decoder(shop, PLAIN_PYTHON).decode(made)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_what_is_taken_back_leaves_no_trace(seed: int) -> None:
    shop = compile_shop(shop_of(seed))
    decoder = Decoder(shop, compiled_decode)
    arrays = decoder.given
    untouched = [arrays.stations.copy(), arrays.jobs.copy(), arrays.numbers.copy(), arrays.pools.copy()]
    made = random_list(shop, random.Random(seed))
    first = decoder.decode(made)
    for position in (len(made.order) // 2, len(made.order)):
        compiled_decode.undo(*arrays, made.order, position)
        compiled_decode.decode(*arrays, made.order, 1 << 62)
        assert decoder.plan() == first
    compiled_decode.undo(*arrays, made.order, 0)
    for before, after in zip(
        untouched, (arrays.stations, arrays.jobs, arrays.numbers, arrays.pools), strict=True
    ):
        assert np.array_equal(before, after)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_the_list_of_a_plan_without_shared_things_is_that_plan(seed: int) -> None:
    """Where nothing is shared, a plan follows from machines and order alone."""
    features = frozenset({"assembly", "pauses", "calendar", "overlaps", "pins"})
    shop = compile_shop(shop_of(seed, features=features))
    decoder = Decoder(shop, compiled_decode)
    first = decoder.decode(random_list(shop, random.Random(seed)))
    again = decoder.decode(decoder.list_of(first.spots, first.services, omit=True))
    assert again.cost <= first.cost or any(a.wishes for a in shop.activities)
    twice = decoder.decode(decoder.list_of(again.spots, again.services, omit=True))
    assert (twice.spots, twice.services) == (again.spots, again.services)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 30), operations=st.integers(1, 30))
def test_dispatch_rules_and_repair_plan_a_shop_with_every_feature(seed: int, operations: int) -> None:
    problem = shop_of(seed, operations, ALL - {"max_lags"})
    plan = construct(problem)
    assert violations(problem, plan) == []
    assert violations(problem, repair(problem)) == []
    published = replace(problem, published=plan.placements())
    assert violations(published, repair(published)) == []


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 30), operations=st.integers(1, 30))
def test_a_repair_leaves_a_plan_that_keeps_the_rules_as_it_is(seed: int, operations: int) -> None:
    features = frozenset({"assembly", "pauses", "calendar", "overlaps", "pins"})
    problem = replace(shop_of(seed, operations, features), maintenance=())
    plan = construct(problem)
    near = repair(replace(problem, published=plan.placements()))
    assert near.placements() == plan.placements()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_units_wait_for_each_other_in_no_cycle(seed: int) -> None:
    shop = compile_shop(shop_of(seed, 40, frozenset({"assembly", "max_lags"})))
    units = units_of(shop)
    unit_of = {member: unit for unit, members in enumerate(units.members) for member in members}
    assert sorted(unit_of) == list(range(len(shop.activities) + len(shop.tasks)))
    position = {unit: at for at, unit in enumerate(units.in_order([0.0] * len(unit_of)))}
    assert len(position) == len(units.members)
    for activity in shop.activities:
        assert all(unit_of[other] == unit_of[activity.index] for other in activity.most)
        for other, _ in activity.before:
            one, two = unit_of[other], unit_of[activity.index]
            assert one == two or position[one] < position[two]


# -- one feature at a time, with the times a person would work out ----------------------------------------


def operation(name: str, machine: str, seconds: int, *before: str, **more: object) -> Operation:
    needs = more.pop("needs", {})
    return Operation(
        id=name,
        order_id=name,
        job_id=name,
        alternatives=(Alternative(machine=machine, run_seconds=seconds, needs=needs),),  # type: ignore[arg-type]
        predecessors=before,
        **more,  # type: ignore[arg-type]
    )


def planned(*operations: Operation, **more: object) -> Schedule:
    """The plan of a list in the order given."""
    machines = tuple(Machine(id=name) for name in ("A", "B"))
    problem = Problem(origin=0, now=0, operations=operations, **{"machines": machines, **more})  # type: ignore[arg-type]
    shop = compile_shop(problem)
    decoder = Decoder(shop, PLAIN_PYTHON)
    units = Decoder(shop, PLAIN_PYTHON).units
    count = len(shop.activities) + len(shop.tasks)
    plan = decoder.schedule(
        decoder.decode(
            List(
                np.array(units.in_order(list(range(count))), dtype=np.int64),
                np.zeros(count, dtype=np.int64),
                np.full(count, NEVER),
                decoder.given.members.copy(),
            )
        ),
        Status.CONSTRUCTED,
    )
    assert violations(problem, plan) == []
    return plan


def starts(plan: Schedule) -> list[tuple[int, int]]:
    return [(a.start, a.end) for a in plan.assignments.values()]


def test_work_rests_over_a_break_and_its_crew_is_free_meanwhile() -> None:
    lunch = Machine(id="A", unavailable=(Window(start=10, end=20, pause=True),))
    plan = planned(
        operation("one", "A", 12, interruptible=True, needs={"crew": 1}),
        operation("two", "B", 8, needs={"crew": 1}),
        machines=(lunch, Machine(id="B")),
        resources=(Resource(id="crew", capacity=1),),
    )
    assert starts(plan) == [(0, 22), (10, 18)]


def test_a_tool_stays_with_work_that_rests() -> None:
    lunch = Machine(id="A", unavailable=(Window(start=10, end=20, pause=True),))
    plan = planned(
        operation("one", "A", 12, interruptible=True, needs={"jig": 1}),
        operation("two", "B", 8, needs={"jig": 1}),
        machines=(lunch, Machine(id="B")),
        resources=(Resource(id="jig", capacity=1, kind=Kind.TOOL),),
    )
    assert starts(plan) == [(0, 22), (22, 30)]


def test_a_crew_is_taken_while_its_machine_is_changed_over() -> None:
    painted = Machine(id="B", changeovers=(Changeover(attribute="colour", seconds=5),))
    plan = planned(
        operation("one", "A", 10, needs={"crew": 1}),
        operation("two", "B", 8, needs={"crew": 1}, setup={"colour": "red"}),
        machines=(Machine(id="A"), painted),
        resources=(Resource(id="crew", capacity=1, levels=(Level(start=12, end=14, capacity=0),)),),
    )
    assert starts(plan) == [(0, 10), (19, 27)]


def test_one_vehicle_makes_two_trips_after_each_other() -> None:
    machines = (Machine(id="A"), Machine(id="B"), Machine(id="C"))
    plan = planned(
        operation("one", "A", 10),
        operation("two", "B", 10),
        operation("three", "C", 5, "one", "two"),
        machines=machines,
        transports=(
            Transport(origin="A", destination="C", seconds=4),
            Transport(origin="B", destination="C", seconds=4),
        ),
        vehicles=Vehicles(count=1, empty=2),
    )
    assert [(t.predecessor, t.start, t.end) for t in plan.trips] == [("one", 10, 14), ("two", 16, 20)]
    assert starts(plan)[2] == (20, 25)


def test_overlapping_work_waits_for_first_pieces_and_for_the_last() -> None:
    slow = operation("slow", "A", 100, quantity=10)
    fast = operation("fast", "B", 20, "slow", quantity=10, overlaps={"slow": 1})
    assert starts(planned(slow, fast)) == [(0, 100), (82, 102)]
    quick = operation("quick", "A", 20, quantity=10)
    long = operation("long", "B", 100, "quick", quantity=10, overlaps={"quick": 1})
    assert starts(planned(quick, long)) == [(0, 20), (2, 102)]


def test_what_must_follow_soon_is_started_late_enough() -> None:
    plan = planned(
        operation("other", "B", 50),
        operation("dip", "A", 10),
        operation("weld", "B", 5, "dip", max_lags={"dip": 15}),
    )
    assert starts(plan) == [(0, 50), (25, 35), (50, 55)]


def test_a_chain_of_hurries_is_pushed_as_a_whole() -> None:
    closed = Machine(id="B", unavailable=(Window(start=0, end=100),))
    plan = planned(
        operation("one", "A", 10),
        operation("two", "A", 10, "one", max_lags={"one": 5}),
        operation("three", "B", 10, "two", max_lags={"two": 20}),
        machines=(Machine(id="A"), closed),
    )
    assert starts(plan) == [(55, 65), (70, 80), (100, 110)]


def test_published_work_is_not_pulled_forward_by_a_repair() -> None:
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="A"),),
        operations=(
            operation("one", "A", 10, needs={"crew": 1}),
            operation("two", "A", 10, needs={"crew": 1}),
        ),
        resources=(Resource(id="crew", capacity=1),),
        published={"one": Placement(machine="A", start=40), "two": Placement(machine="A", start=20)},
    )
    assert starts(repair(problem)) == [(40, 50), (20, 30)]


@pytest.mark.parametrize("operations", [300])
def test_a_larger_shop_is_planned_at_once(operations: int) -> None:
    problem = shop_of(5, operations)
    plan = construct_shop(compile_shop(problem))
    assert violations(problem, plan) == []


def test_a_longest_lag_that_nothing_can_keep_is_told() -> None:
    """The jig is on the first machine until the end, and the second cannot be changed over without it."""
    jig = Resource(id="jig", capacity=1, kind=Kind.TOOL)
    painted = Machine(id="B", changeovers=(Changeover(attribute="colour", seconds=50),))
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="A"), painted),
        operations=(
            operation("dip", "A", 10, needs={"jig": 1}),
            operation(
                "paint", "B", 10, "dip", needs={"jig": 1}, setup={"colour": "red"}, max_lags={"dip": 20}
            ),
        ),
        resources=(jig,),
    )
    with pytest.raises(ImpossibleProblem, match=r"paint.* 20 s after dip at most.* 30 s later"):
        construct(problem)
