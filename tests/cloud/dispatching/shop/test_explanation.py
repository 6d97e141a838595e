"""The chain of what an operation waits for."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cloud.dispatching.shop.explanation import Cause, explain
from cloud.dispatching.shop.problem import (
    Alternative,
    Changeover,
    Level,
    Machine,
    Maintenance,
    Operation,
    Pin,
    Problem,
    Resource,
    State,
    Transport,
    Vehicles,
    Window,
)
from cloud.dispatching.shop.schedule import Assignment, Schedule, Service, Trip, evaluate
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop


def step(name: str, at: str, **fields: object) -> Operation:
    values: dict[str, object] = {
        "id": name,
        "order_id": "O",
        "job_id": name,
        "alternatives": (Alternative(machine=at, run_seconds=10),),
    }
    return Operation(**(values | fields))  # type: ignore[arg-type]


@pytest.fixture
def problem() -> Problem:
    return Problem(
        origin=0,
        now=0,
        machines=(
            Machine(id="BRAKE", unavailable=(Window(start=100, end=150, reason="night"),)),
            Machine(id="BOOTH", changeovers=(Changeover(attribute="colour", seconds=7),)),
        ),
        operations=(
            step("running", "BRAKE", state=State.FIXED, machine="BRAKE", start=-5, remaining=20),
            step("bend", "BRAKE"),
            step("paint", "BOOTH", predecessors=("bend",), lags={"bend": 2}, setup={"colour": "red"}),
            step("tomorrow", "BRAKE"),
            step("later", "BRAKE", earliest=400),
            step("held", "BRAKE", state=State.LEASED, machine="BRAKE", start=500),
            step("serviced", "BOOTH", setup={"colour": "red"}),
            step("lazy", "BRAKE"),
        ),
        maintenance=(Maintenance(id="filter", machine="BOOTH", seconds=30, finish_before=900),),
        transports=(Transport(origin="BRAKE", destination="BOOTH", seconds=3),),
    )


@pytest.fixture
def plan() -> Schedule:
    return Schedule(
        assignments={
            "running": Assignment(machine="BRAKE", start=-5, end=20),
            "bend": Assignment(machine="BRAKE", start=20, end=30),
            "paint": Assignment(machine="BOOTH", start=35, end=45, changeover_seconds=7),
            "tomorrow": Assignment(machine="BRAKE", start=150, end=160),
            "later": Assignment(machine="BRAKE", start=400, end=410),
            "held": Assignment(machine="BRAKE", start=500, end=510),
            "serviced": Assignment(machine="BOOTH", start=130, end=140),
            "lazy": Assignment(machine="BRAKE", start=600, end=610),
        },
        services={"filter": Service(machine="BOOTH", start=100, end=130)},
    )


def test_the_chain_leads_back_to_work_in_progress(problem: Problem, plan: Schedule) -> None:
    explanation = explain(problem, plan, "paint")
    assert [(link.operation, link.cause, link.other, link.until) for link in explanation.links] == [
        ("paint", Cause.PREDECESSOR, "bend", 35),
        ("bend", Cause.MACHINE, "running", 20),
        ("running", Cause.FIXED, "", -5),
    ]
    assert explanation.text == (
        "paint waits for bend and 5 s of transport or waiting time after it; "
        "bend waits for BRAKE, because running runs there; running is fixed on BRAKE"
    )


@pytest.mark.parametrize(
    ("operation", "cause", "text"),
    [
        ("tomorrow", Cause.UNAVAILABLE, "tomorrow waits for BRAKE, because it is unavailable: night"),
        ("later", Cause.EARLIEST, "later may not start earlier"),
        ("held", Cause.LEASE, "held is held by its workstation from then on"),
        ("serviced", Cause.MAINTENANCE, "serviced waits for BOOTH, because of maintenance filter"),
        ("lazy", Cause.KEPT, "lazy could start earlier (by 90 s); the plan leaves it where it is"),
    ],
)
def test_what_holds_it_back(
    problem: Problem, plan: Schedule, operation: str, cause: Cause, text: str
) -> None:
    first = explain(problem, plan, operation).links[0]
    assert first.cause is cause
    assert first.text == text


def needy(name: str, at: str, seconds: int = 10, **fields: object) -> Operation:
    """A step that takes one welder and its fixture."""
    offered = (Alternative(machine=at, run_seconds=seconds, needs={"welding": 1}),)
    return step(name, at, alternatives=offered, **fields)


@pytest.fixture
def shared() -> tuple[Problem, Schedule]:
    """One welder (none from 60 to 70) for two machines, one AGV, overlap, a longest lag, a pin."""
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="W1"), Machine(id="W2"), Machine(id="A"), Machine(id="B")),
        resources=(
            Resource(
                id="welding",
                label="Welders",
                capacity=1,
                levels=(Level(start=60, end=70, capacity=0),),
            ),
        ),
        vehicles=Vehicles(count=1, empty=5),
        transports=(
            Transport(origin="W1", destination="A", seconds=20),
            Transport(origin="W2", destination="B", seconds=20),
        ),
        operations=(
            needy("first", "W1"),
            needy("second", "W2"),
            needy("third", "W2", earliest=55),
            step("fit-1", "A", predecessors=("first",)),
            step("fit-2", "B", predecessors=("second",)),
            step("pinned", "A", pin=Pin(start=100, by="sup-1")),
            step("heat", "B", quantity=10, alternatives=(Alternative(machine="B", run_seconds=20),)),
            step("forge", "W1", predecessors=("heat",), max_lags={"heat": 5}, earliest=185),
            step("cut", "A", quantity=10),
            step("sew", "B", predecessors=("cut",), overlaps={"cut": 2}, quantity=10),
        ),
    )
    plan = Schedule(
        assignments={
            "first": Assignment(machine="W1", start=0, end=10),
            "second": Assignment(machine="W2", start=10, end=20),
            "third": Assignment(machine="W2", start=70, end=80),
            "fit-1": Assignment(machine="A", start=30, end=40),
            "fit-2": Assignment(machine="B", start=55, end=65),
            "pinned": Assignment(machine="A", start=100, end=110),
            "heat": Assignment(machine="B", start=160, end=180),
            "forge": Assignment(machine="W1", start=185, end=195),
            "cut": Assignment(machine="A", start=110, end=120),
            "sew": Assignment(machine="B", start=112, end=122),
        },
        trips=(
            Trip(operation="fit-1", predecessor="first", start=10, end=30),
            Trip(operation="fit-2", predecessor="second", start=35, end=55),
        ),
    )
    assert violations(problem, replace(plan, objective=evaluate(problem, plan.assignments, {}))) == []
    return problem, plan


@pytest.mark.parametrize(
    ("operation", "cause", "text", "behind"),
    [
        ("second", Cause.RESOURCE, "second waits for Welders, because first needs it until then", "first"),
        ("third", Cause.RESOURCE, "third waits until there is more of Welders", ""),
        ("fit-2", Cause.VEHICLE, "fit-2 waits for a vehicle that brings what second made", "second"),
        (
            "fit-1",
            Cause.PREDECESSOR,
            "fit-1 waits for first and 20 s of transport or waiting time after it",
            "first",
        ),
        ("pinned", Cause.PIN, "pinned is not to start earlier: sup-1 decided so", ""),
        (
            "heat",
            Cause.FOLLOWER,
            "heat could start earlier, but forge must follow it in time and cannot",
            "forge",
        ),
        ("sew", Cause.PIECES, "sew waits for the first 2 pieces of cut", "cut"),
    ],
)
def test_what_machines_share_and_people_decide(
    shared: tuple[Problem, Schedule], operation: str, cause: Cause, text: str, behind: str
) -> None:
    links = explain(*shared, operation).links
    assert (links[0].cause, links[0].text) == (cause, text)
    assert links[0].until == shared[1].assignments[operation].start
    assert [link.operation for link in links[1:2]] == ([behind] if behind else [])


def test_an_unknown_operation_is_not_explained(problem: Problem, plan: Schedule) -> None:
    with pytest.raises(KeyError, match="polish"):
        explain(problem, plan, "polish")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 25))
def test_with_every_feature_each_start_is_explained_to_the_second(seed: int, operations: int) -> None:
    problem = random_shop(random.Random(seed), operations=operations, runs=2, features=ALL)
    plan = construct(problem)
    for name, assignment in plan.assignments.items():
        links = explain(problem, plan, name).links
        rests = [link for link in links[:1] if link.cause is Cause.REST]
        assert links[len(rests)].until == assignment.start
        for link in links:
            assert link.text.startswith(link.operation)
            assert not {"{", "}"} & set(link.text)
            if link.cause is Cause.REST:
                assert link.until == plan.assignments[link.operation].end
        if problem_state(problem, name) is not State.FIXED:  # a fact may end while it rests
            assert sum(link.seconds for link in rests) == rested(problem, assignment, name)


def problem_state(problem: Problem, name: str) -> State:
    return next(operation.state for operation in problem.operations if operation.id == name)


def rested(problem: Problem, planned: Assignment, name: str) -> int:
    """By how much it takes longer than it works, as the data say."""
    run = next((run for run in problem.runs if name in run.operations), None)
    operation = next(operation for operation in problem.operations if operation.id == name)
    offered = run.alternatives if run is not None else operation.alternatives
    return planned.end - planned.start - next(a for a in offered if a.machine == planned.machine).seconds


def test_what_rests_on_its_way_says_so_and_what_waits_for_it_too() -> None:
    night = Window(start=100, end=150, reason="no shift", pause=True)
    breaks = (Window(start=20, end=25, reason="break", pause=True), night)
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="W1", unavailable=breaks), Machine(id="A")),
        operations=(
            step(
                "weld",
                "W1",
                interruptible=True,
                alternatives=(Alternative(machine="W1", run_seconds=100),),
            ),
            step("fit", "A", predecessors=("weld",)),
        ),
    )
    plan = Schedule(
        assignments={
            "weld": Assignment(machine="W1", start=0, end=155),
            "fit": Assignment(machine="A", start=155, end=165),
        }
    )
    assert violations(problem, replace(plan, objective=evaluate(problem, plan.assignments, {}))) == []
    assert explain(problem, plan, "fit").text == (
        "fit waits for weld; weld rests over break, no shift for 55 s before it ends; "
        "weld starts on W1 at once"
    )
    assert [link.cause for link in explain(problem, plan, "weld").links] == [Cause.REST, Cause.NOW]


def test_a_crew_that_a_rest_sets_free_is_known_by_who_rests() -> None:
    """The welder goes from the one that rests to the other, and comes back for it afterwards."""
    pause = (Window(start=10, end=30, reason="lunch", pause=True),)
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="W1", unavailable=pause), Machine(id="W2")),
        resources=(Resource(id="welding", label="Welders", capacity=1),),
        operations=(needy("one", "W1", 20, interruptible=True), needy("two", "W2")),
    )
    plan = Schedule(
        assignments={
            "one": Assignment(machine="W1", start=0, end=40),
            "two": Assignment(machine="W2", start=10, end=20),
        }
    )
    assert violations(problem, replace(plan, objective=evaluate(problem, plan.assignments, {}))) == []
    assert explain(problem, plan, "two").text.startswith(
        "two waits for Welders, because one needs it until then; one rests over lunch for 20 s"
    )


def test_overlapping_work_that_would_be_done_too_soon_waits_for_the_last_pieces() -> None:
    problem = Problem(
        origin=0,
        now=0,
        machines=(Machine(id="A"), Machine(id="B")),
        operations=(
            step("cut", "A", quantity=10, alternatives=(Alternative(machine="A", run_seconds=100),)),
            step("sew", "B", predecessors=("cut",), overlaps={"cut": 1}, quantity=10),
        ),
    )
    plan = Schedule(
        assignments={
            "cut": Assignment(machine="A", start=0, end=100),
            "sew": Assignment(machine="B", start=91, end=101),
        }
    )
    assert violations(problem, replace(plan, objective=evaluate(problem, plan.assignments, {}))) == []
    link = explain(problem, plan, "sew").links[0]
    assert (link.cause, link.until) == (Cause.LAST_PIECES, 91)
    assert link.text == "sew starts so that its last piece can follow the end of cut"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 25))
def test_every_operation_of_a_constructed_plan_has_an_explanation(seed: int, operations: int) -> None:
    problem = random_shop(random.Random(seed), operations=operations)
    plan = construct(problem)
    for name, assignment in plan.assignments.items():
        links = explain(problem, plan, name).links
        assert links[0].until == assignment.start
        # Only the last link has nothing behind it.
        assert all(link.cause in (Cause.PREDECESSOR, Cause.MACHINE) for link in links[:-1])
