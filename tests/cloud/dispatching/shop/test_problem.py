"""What the data means: changeovers, times, fixed work, leases; and what a plan says about jobs and moves."""

from __future__ import annotations

import random

import msgspec
from msgspec.structs import replace

from cloud.dispatching.shop.problem import (
    Alternative,
    Changeover,
    Machine,
    Operation,
    Placement,
    Problem,
    Run,
    State,
    Transport,
    Weights,
    lease_order,
)
from cloud.dispatching.shop.schedule import (
    Assignment,
    Finish,
    Move,
    Schedule,
    difference,
    evaluate,
    jobs,
    orders,
)
from tests.cloud.dispatching.random_shop import random_shop


def step(name: str, job: str = "J", **fields: object) -> Operation:
    values: dict[str, object] = {
        "id": name,
        "order_id": "O",
        "job_id": job,
        "alternatives": (Alternative(machine="M", run_seconds=60, setup_seconds=30),),
    }
    return Operation(**(values | fields))  # type: ignore[arg-type]


def test_changeover_rules_add_up_and_listed_pairs_win() -> None:
    machine = Machine(
        id="BOOTH",
        changeovers=(
            Changeover(
                attribute="colour", seconds=600, pairs={"white": {"black": 300}, "black": {"black": 5}}
            ),
            Changeover(attribute="powder", seconds=60),
        ),
    )
    assert machine.changeover({"colour": "white"}, {"colour": "black"}) == 300
    assert machine.changeover({"colour": "black"}, {"colour": "white"}) == 600
    assert machine.changeover({"colour": "black"}, {"colour": "black"}) == 5
    assert (
        machine.changeover({"colour": "white", "powder": "matt"}, {"colour": "black", "powder": "gloss"})
        == 360
    )
    assert machine.changeover({}, {"colour": "white"}) == 600
    assert machine.changeover({}, {}) == 0


def test_times_are_seconds_after_the_origin() -> None:
    problem = Problem(origin=5_000_000, now=0, machines=(), operations=())
    assert problem.utc(7) == 12_000_000
    assert problem.seconds(12_999_999) == 7


def test_fixed_work_ends_when_it_says_and_never_before_now() -> None:
    problem = Problem(origin=0, now=100, machines=(Machine(id="M"),), operations=())
    fixed = {"state": State.FIXED, "machine": "M"}
    assert problem.end_of_fixed(step("a", start=50, remaining=20, **fixed)) == 120
    assert problem.end_of_fixed(step("a", start=50, **fixed)) == 140
    assert problem.end_of_fixed(step("overdue", start=-500, **fixed)) == 100
    assert problem.end_of_fixed(step("frozen", start=300, **fixed)) == 390


def test_leased_work_keeps_the_published_order_and_runs_stand_together() -> None:
    leased = {"state": State.LEASED, "machine": "M"}
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="M"),),
        operations=(step("a", start=9, **leased), step("b", start=5, **leased), step("c", start=5, **leased)),
        runs=(Run(id="R", operations=("b", "c"), alternatives=(Alternative(machine="M", run_seconds=1),)),),
    )
    assert lease_order(problem) == [("b", "a")]
    published = {"a": Placement(machine="M", start=1)}
    assert lease_order(replace(problem, published=published)) == [("a", "b")]


def test_transport_goes_by_place() -> None:
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="A1", place="A"), Machine(id="A2", place="A"), Machine(id="B")),
        operations=(),
        transports=(Transport(origin="A", destination="B", seconds=40),),
    )
    assert problem.travel() == {("A1", "B"): 40, ("A2", "B"): 40}


def test_a_job_is_late_once_whatever_number_of_operations_name_its_due_date() -> None:
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="M"),),
        operations=(step("a", due=100, weight=3), step("b", due=100, weight=3), step("c", job="K")),
    )
    assignments = {
        name: Assignment(machine="M", start=end - 90, end=end)
        for name, end in (("a", 90), ("b", 180), ("c", 270))
    }
    assert jobs(problem, assignments) == {
        "J": Finish(end=180, due=100, weight=3),
        "K": Finish(end=270, due=None, weight=1),
    }
    assert orders(problem, assignments) == {"O": Finish(end=270, due=100, weight=3)}
    objective = evaluate(problem, assignments)
    assert (objective.weighted_tardiness, objective.makespan) == (240, 270)
    assert objective.total == 240 * 1000 + 270


def test_deviation_counts_machine_and_lease() -> None:
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="M"), Machine(id="N")),
        operations=(step("a"), step("b", state=State.LEASED, machine="M")),
        published={"a": Placement(machine="N", start=10), "b": Placement(machine="M", start=100)},
        weights=Weights(other_machine=1800, leased=10),
    )
    assignments = {
        "a": Assignment(machine="M", start=0, end=90),
        "b": Assignment(machine="M", start=120, end=210),
    }
    assert evaluate(problem, assignments).deviation_seconds == (10 + 1800) + 10 * 20


def test_the_difference_of_two_plans_is_what_moved() -> None:
    stays = Assignment(machine="M", start=0, end=10)
    was, now = Assignment(machine="M", start=10, end=20), Assignment(machine="M", start=15, end=25)
    old = Schedule(assignments={"stays": stays, "moved": was, "gone": was})
    new = Schedule(assignments={"stays": stays, "moved": now, "new": stays})
    moves = difference(old, new)
    assert moves == [
        Move(operation="new", before=None, after=stays),
        Move(operation="gone", before=was, after=None),
        Move(operation="moved", before=was, after=now),
    ]
    assert [move.later for move in moves] == [0, 0, 5]


def test_a_problem_survives_json() -> None:
    problem = random_shop(random.Random(1), operations=20)
    assert msgspec.json.decode(msgspec.json.encode(problem), type=Problem) == problem
