"""The validator on breaks, crews, tools, vehicles, longest lags, overlaps, pins: a plan, broken each way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from cloud.dispatching.shop.problem import (
    Alternative,
    Kind,
    Level,
    Machine,
    Maintenance,
    Operation,
    Pin,
    Problem,
    Resource,
    Run,
    State,
    Transport,
    Vehicles,
    Weights,
    Window,
)
from cloud.dispatching.shop.schedule import Assignment, Schedule, Service, Trip, evaluate
from cloud.dispatching.shop.violations import violations

Change = Callable[[Problem, Schedule], tuple[Problem, Schedule]]


def on(machine: str, seconds: int, setup: int = 0, **needs: int) -> Alternative:
    return Alternative(machine=machine, run_seconds=seconds, setup_seconds=setup, needs=needs)


def operation(name: str, alternative: Alternative, **more: object) -> Operation:
    values: dict[str, object] = {
        "id": name,
        "order_id": "O1",
        "job_id": "J1",
        "alternatives": (alternative,),
    }
    return Operation(**(values | more))  # type: ignore[arg-type]


@pytest.fixture
def problem() -> Problem:
    """Saw rests 20..30 and 30..35 (one break after the other); two fitters, one of them until 40; one jig."""
    return Problem(
        origin=0,
        now=0,
        machines=(
            Machine(
                id="SAW",
                unavailable=(
                    Window(start=20, end=30, pause=True),
                    Window(start=30, end=35, pause=True),
                    Window(start=60, end=70, reason="night"),
                ),
            ),
            Machine(id="WELD", place="hall B"),
            Machine(id="PRESS"),
            Machine(id="OVEN", unavailable=(Window(start=20, end=25, pause=True),)),
        ),
        operations=(
            operation("begun", on("PRESS", 20, 10), state=State.FIXED, machine="PRESS", start=-5, quantity=2),
            operation("cut", on("SAW", 18, 2, fitter=1, jig=1), interruptible=True, pin=Pin(start=5)),
            operation("weld", on("WELD", 10), predecessors=("cut",), lags={"cut": 2}, max_lags={"cut": 9}),
            operation("fit", on("PRESS", 8, fitter=1), predecessors=("begun",), pin=Pin(machine="PRESS")),
            operation("drill", on("PRESS", 30, 4), quantity=3),
            operation("ream", on("WELD", 30), quantity=3, predecessors=("drill",), overlaps={"drill": 1}),
            operation("dry 1", on("OVEN", 9, jig=1), interruptible=True),
            operation("dry 2", on("OVEN", 9), interruptible=True),
        ),
        runs=(
            Run(
                id="dry",
                operations=("dry 1", "dry 2"),
                alternatives=(on("OVEN", 12, fitter=1),),
            ),
        ),
        maintenance=(
            Maintenance(id="oil", machine="SAW", seconds=5, earliest=50, finish_before=90, delay_cost=3),
        ),
        transports=(
            Transport(origin="SAW", destination="hall B", seconds=4),
            Transport(origin="PRESS", destination="hall B", seconds=1),
        ),
        resources=(
            Resource(id="fitter", capacity=2, levels=(Level(start=30, end=40, capacity=1),)),
            Resource(id="jig", capacity=1, kind=Kind.TOOL),
        ),
        vehicles=Vehicles(count=1, empty=3, levels=(Level(start=80, end=90, capacity=0),)),
        weights=Weights(makespan=0),
    )


ASSIGNMENTS = {
    "begun": Assignment(machine="PRESS", start=-5, end=25, setup_seconds=10),
    "cut": Assignment(machine="SAW", start=6, end=41, setup_seconds=2),
    "weld": Assignment(machine="WELD", start=48, end=58),
    "fit": Assignment(machine="PRESS", start=25, end=33),
    "drill": Assignment(machine="PRESS", start=40, end=74, setup_seconds=4),
    "ream": Assignment(machine="WELD", start=58, end=88),
    "dry 1": Assignment(machine="OVEN", start=8, end=20, run="dry"),
    "dry 2": Assignment(machine="OVEN", start=8, end=20, run="dry"),
}


@pytest.fixture
def plan(problem: Problem) -> Schedule:
    return made(
        problem,
        ASSIGNMENTS,
        services={"oil": Service(machine="SAW", start=50, end=55)},
        trips=(Trip(operation="weld", predecessor="cut", start=43, end=47),),
    )


def made(
    problem: Problem,
    assignments: dict[str, Assignment],
    services: dict[str, Service],
    trips: tuple[Trip, ...],
) -> Schedule:
    return Schedule(
        assignments=assignments,
        services=services,
        trips=trips,
        objective=evaluate(problem, assignments, services),
    )


def move(*names: str, **fields: object) -> Change:
    def change(problem: Problem, plan: Schedule) -> tuple[Problem, Schedule]:
        moved = {name: replace(plan.assignments[name], **fields) for name in names}
        return problem, made(problem, {**plan.assignments, **moved}, plan.services, plan.trips)

    return change


def trips(*trips: Trip) -> Change:
    def change(problem: Problem, plan: Schedule) -> tuple[Problem, Schedule]:
        return problem, made(problem, plan.assignments, plan.services, trips)

    return change


def trip(start: int, end: int, operation: str = "weld", predecessor: str = "cut") -> Trip:
    return Trip(operation=operation, predecessor=predecessor, start=start, end=end)


def serve(start: int, end: int) -> Change:
    def change(problem: Problem, plan: Schedule) -> tuple[Problem, Schedule]:
        return problem, made(
            problem, plan.assignments, {"oil": Service(machine="SAW", start=start, end=end)}, plan.trips
        )

    return change


def both(*changes: Change) -> Change:
    def change(problem: Problem, plan: Schedule) -> tuple[Problem, Schedule]:
        for one in changes:
            problem, plan = one(problem, plan)
        return problem, plan

    return change


def with_operation(name: str, **fields: object) -> Change:
    def change(problem: Problem, plan: Schedule) -> tuple[Problem, Schedule]:
        operations = tuple(replace(o, **fields) if o.id == name else o for o in problem.operations)
        problem = replace(problem, operations=operations)
        return problem, made(problem, plan.assignments, plan.services, plan.trips)

    return change


def with_problem(**fields: object) -> Change:
    def change(problem: Problem, plan: Schedule) -> tuple[Problem, Schedule]:
        problem = replace(problem, **fields)
        return problem, made(problem, plan.assignments, plan.services, plan.trips)

    return change


def test_the_plan_is_valid(problem: Problem, plan: Schedule) -> None:
    assert violations(problem, plan) == []
    assert plan.objective.deviation_seconds == 100, "cut starts a second after its pin"
    assert plan.objective.maintenance_delay == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        # breaks
        (move("cut", end=26), "cut takes 20 s on SAW, planned 14 s"),
        (move("cut", end=40), "cut takes 20 s on SAW, planned 19 s"),
        (move("cut", start=22, end=55), "cut is on SAW while it is unavailable (20..30)"),
        (with_operation("cut", interruptible=False), "cut takes 20 s on SAW, planned 35 s"),
        (with_operation("cut", interruptible=False), "cut is on SAW while it is unavailable (20..30)"),
        (move("cut", start=45, end=75), "cut is on SAW while it is unavailable (60..70)"),
        (move("dry 1", "dry 2", start=20, end=37), "run dry is on OVEN while it is unavailable (20..25)"),
        (move("dry 1", "dry 2", end=25), "run dry is on OVEN while it is unavailable (20..25)"),
        (
            both(move("dry 1", "dry 2", start=9, end=26), with_operation("dry 2", interruptible=False)),
            "run dry is on OVEN while it is unavailable (20..25)",
        ),
        (serve(28, 33), "maintenance oil is on SAW while it is unavailable (20..30)"),
        # crews and tools
        (move("fit", start=28, end=36), "2 of fitter are taken at 35, there are 1: cut, fit"),
        (
            both(move("fit", start=5, end=13), with_operation("begun", start=-30)),
            "3 of fitter are taken at 8, there are 2: cut, fit, run dry",
        ),
        (
            with_operation("fit", alternatives=(on("PRESS", 8, jig=1),)),
            "2 of jig are taken at 25, there are 1: cut, fit",
        ),
        (
            with_operation("begun", alternatives=(on("PRESS", 20, 10, fitter=2),)),
            "3 of fitter are taken at 6, there are 2: cut",
        ),
        # vehicles
        (trips(), "no trip brings weld what cut made"),
        (trips(trip(42, 46)), "the trip from cut to weld sets out at 42, before 43"),
        (trips(trip(43, 48)), "the trip from cut to weld takes 4 s"),
        (trips(trip(45, 49)), "weld starts at 48, before its trip arrives at 49"),
        (trips(trip(43, 47), trip(44, 48)), "two trips bring weld what cut made"),
        (trips(trip(43, 47), trip(74, 75, "ream", "drill")), "ream needs no trip from drill"),
        (trips(trip(43, 47), trip(30, 30, "fit", "begun")), "fit needs no trip from begun"),
        (trips(trip(43, 47), trip(30, 31, "drill", "cut")), "the trip from cut to drill is for nobody"),
        (with_problem(vehicles=None), "weld has a trip, but vehicles are not limited"),
        (
            with_problem(vehicles=Vehicles(count=1, empty=44)),
            "the trip from cut to weld sets out at 43, before 44",
        ),
        (
            with_problem(vehicles=Vehicles(count=1, empty=3, levels=(Level(start=39, end=41, capacity=0),))),
            "1 of vehicles are taken at 40, there are 0: the trip to weld",
        ),
        (
            with_problem(vehicles=Vehicles(count=1, levels=(Level(start=46, end=99, capacity=0),))),
            "1 of vehicles are taken at 46, there are 0: the trip to weld",
        ),
        # longest lags, overlaps, pins
        (
            both(move("weld", start=51, end=61), move("ream", start=61, end=91)),
            "weld starts at 51, more than 9 s after its predecessor cut, which ends at 41",
        ),
        (
            move("ream", start=53, end=83),
            "ream starts at 53, but 1 pieces of drill are done at 54 and 1 s must pass",
        ),
        (
            both(move("drill", start=48, end=82), move("ream", start=60, end=90)),
            "ream starts at 60, but 1 pieces of drill are done at 62 and 1 s must pass",
        ),
        (
            both(
                move("ream", end=78),
                with_operation("ream", alternatives=(on("WELD", 20),)),
            ),
            "ream ends at 78, but its last pieces come from drill at 75 and take 7 s",
        ),
        (move("begun", setup_seconds=0), "begun was set up for 10 s, planned 0 s"),
        (move("cut", start=4, end=39), "cut is pinned to 5, planned earlier at 4"),
        (with_operation("fit", pin=Pin(machine="OVEN")), "fit is pinned to OVEN, planned on PRESS"),
    ],
)
def test_a_broken_rule_is_named(problem: Problem, plan: Schedule, change: Change, said: str) -> None:
    assert [line for line in violations(*change(problem, plan)) if said in line]


@pytest.mark.parametrize(
    "change",
    [
        # A crew at rest is free for others.
        move("fit", start=27, end=35),
        trips(trip(44, 48)),
        both(move("weld", start=50, end=60), move("ream", start=60, end=90)),
        move("dry 1", "dry 2", start=9, end=26),
        both(move("dry 1", "dry 2", start=8, end=20), with_operation("dry 1", quantity=5)),
        serve(70, 75),
        serve(55, 60),
        with_operation("begun", pin=Pin(machine="SAW", start=90)),
    ],
)
def test_what_just_keeps_the_rules_passes(problem: Problem, plan: Schedule, change: Change) -> None:
    assert violations(*change(problem, plan)) == []
