"""The validator finds every kind of broken plan: one valid plan, broken in one way at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from cloud.dispatching.shop.problem import (
    Alternative,
    Changeover,
    Machine,
    Maintenance,
    Operation,
    Problem,
    Run,
    State,
    Transport,
    Window,
)
from cloud.dispatching.shop.schedule import Assignment, Objective, Schedule, Service, evaluate
from cloud.dispatching.shop.violations import violations

Break = Callable[[dict[str, Assignment], dict[str, Service]], None]


def on(machine: str, seconds: int, setup: int = 0) -> Alternative:
    return Alternative(machine=machine, run_seconds=seconds, setup_seconds=setup)


def operation(name: str, *alternatives: Alternative, **more: object) -> Operation:
    values: dict[str, object] = {"id": name, "order_id": "O1", "job_id": "J1", "alternatives": alternatives}
    return Operation(**(values | more))  # type: ignore[arg-type]


@pytest.fixture
def problem() -> Problem:
    """Cut on LASER, paint on BOOTH (10 s between colours, closed 100..200), pack on BENCH."""
    return Problem(
        origin=0,
        now=0,
        machines=(
            Machine(id="LASER"),
            Machine(
                id="BOOTH",
                setup={"colour": "red"},
                changeovers=(Changeover(attribute="colour", seconds=10),),
                unavailable=(Window(start=100, end=200, reason="night"),),
            ),
            Machine(id="BENCH"),
        ),
        operations=(
            operation("cutting", on("LASER", 10), state=State.FIXED, machine="LASER", start=-5, remaining=5),
            operation("cut 1", on("LASER", 15, setup=5), state=State.LEASED, machine="LASER", start=5),
            operation("cut 2", on("LASER", 20), state=State.LEASED, machine="LASER", start=5),
            operation(
                "paint 1",
                on("BOOTH", 30),
                predecessors=("cut 1",),
                lags={"cut 1": 3},
                setup={"colour": "blue"},
            ),
            operation(
                "paint 2", on("BOOTH", 20), predecessors=("cut 2",), setup={"colour": "red"}, job_id="J2"
            ),
            operation("paint 3", on("BOOTH", 20), setup={"colour": "red"}, job_id="J3"),
            operation("pack", on("BENCH", 10), predecessors=("paint 1",), earliest=70, due=90),
            operation("frozen", on("BENCH", 10), state=State.FIXED, machine="BENCH", start=300, job_id="J4"),
        ),
        runs=(
            Run(
                id="batch",
                operations=("paint 2", "paint 3"),
                alternatives=(on("BOOTH", 25),),
                setup={"colour": "red"},
            ),
        ),
        maintenance=(Maintenance(id="filter", machine="BENCH", seconds=20, earliest=10, finish_before=60),),
        transports=(Transport(origin="BOOTH", destination="BENCH", seconds=4),),
    )


@pytest.fixture
def plan(problem: Problem) -> Schedule:
    assignments = {
        "cutting": Assignment(machine="LASER", start=-5, end=5),
        "cut 1": Assignment(machine="LASER", start=5, end=25, setup_seconds=5),
        "cut 2": Assignment(machine="LASER", start=25, end=45),
        "paint 1": Assignment(machine="BOOTH", start=28, end=58, changeover_seconds=10),
        "paint 2": Assignment(machine="BOOTH", start=68, end=93, changeover_seconds=10, run="batch"),
        "paint 3": Assignment(machine="BOOTH", start=68, end=93, changeover_seconds=10, run="batch"),
        "pack": Assignment(machine="BENCH", start=70, end=80),
        "frozen": Assignment(machine="BENCH", start=300, end=310),
    }
    services = {"filter": Service(machine="BENCH", start=10, end=30)}
    return Schedule(
        assignments=assignments, services=services, objective=evaluate(problem, assignments, services)
    )


def broken(problem: Problem, plan: Schedule, change: Break) -> list[str]:
    """What the validator says of ``plan`` after ``change``, its objective computed anew."""
    assignments, services = dict(plan.assignments), dict(plan.services)
    change(assignments, services)
    try:
        objective = evaluate(problem, assignments, services)
    except KeyError:  # an operation is missing: the validator says so before it looks at the cost
        objective = plan.objective
    return violations(problem, Schedule(assignments=assignments, services=services, objective=objective))


def move(name: str, **fields: object) -> Break:
    def change(assignments: dict[str, Assignment], _: dict[str, Service]) -> None:
        assignments[name] = replace(assignments[name], **fields)

    return change


def serve(**fields: object) -> Break:
    def change(_: dict[str, Assignment], services: dict[str, Service]) -> None:
        services["filter"] = replace(services["filter"], **fields)

    return change


def forget(assignments: dict[str, Assignment], _: dict[str, Service]) -> None:
    del assignments["pack"]


def invent(assignments: dict[str, Assignment], _: dict[str, Service]) -> None:
    assignments["polish"] = Assignment(machine="BENCH", start=500, end=510)


def invent_service(_: dict[str, Assignment], services: dict[str, Service]) -> None:
    services["oil"] = Service(machine="BENCH", start=500, end=510)


def after_the_batch(assignments: dict[str, Assignment], _: dict[str, Service]) -> None:
    for name in ("paint 2", "paint 3"):
        assignments[name] = replace(assignments[name], start=58, end=83, changeover_seconds=0)


def swap_leases(assignments: dict[str, Assignment], _: dict[str, Service]) -> None:
    assignments["cut 2"] = replace(assignments["cut 2"], start=5, end=25)
    assignments["cut 1"] = replace(assignments["cut 1"], start=25, end=45)
    assignments["paint 1"] = replace(assignments["paint 1"], start=48, end=78)
    for name in ("paint 2", "paint 3"):
        assignments[name] = replace(assignments[name], start=210, end=235)
    assignments["pack"] = replace(assignments["pack"], start=82, end=92)


def test_the_plan_is_valid(problem: Problem, plan: Schedule) -> None:
    assert violations(problem, plan) == []
    assert plan.objective == Objective(
        weighted_tardiness=0,
        omitted_maintenance=0,
        changeover_seconds=20,
        deviation_seconds=0,
        makespan=310,
        total=20 * 100 + 310,
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (forget, "pack is not planned"),
        (invent, "polish is planned but not in the problem"),
        (move("pack", machine="LASER", start=200, end=210), "pack cannot run on LASER"),
        (move("pack", end=85), "pack takes 10 s on BENCH, planned 15 s"),
        (move("cut 1", setup_seconds=0), "cut 1 is set up for 5 s, planned 0 s"),
        (move("pack", start=65, end=75), "pack starts at 65, before its earliest start 70"),
        (move("paint 1", start=5, end=35), "paint 1 takes its machine before now (0)"),
        (move("paint 1", start=26, end=56), "its predecessor cut 1 ends at 25 and 3 s must pass"),
        (move("paint 1", start=37, end=67), "its predecessor paint 1 ends at 67 and 4 s must pass"),
        (move("cut 1", machine="BENCH", start=35, end=55), "cut 1 is leased on LASER, planned on BENCH"),
        (move("cut 2", start=4, end=24), "cut 2 is leased from 5, planned earlier at 4"),
        (swap_leases, "leased cut 2 does not come after leased cut 1"),
        (move("frozen", start=290, end=300), "frozen is fixed on BENCH 300..310"),
        (move("cutting", end=10), "cutting is fixed on LASER -5..5"),
        (move("paint 2", start=69, end=94), "run batch is torn apart"),
        (move("paint 2", run=None), "paint 2 is planned in run None"),
        (move("cut 2", start=20, end=40), "cut 1 and cut 2 overlap on LASER"),
        (move("cut 1", start=4, end=24), "cutting and cut 1 overlap on LASER"),
        (move("pack", start=295, end=305), "pack and frozen overlap on BENCH"),
        (move("paint 1", start=95, end=125), "paint 1 is on BOOTH while it is unavailable (100..200)"),
        (move("paint 1", start=205, end=235), "paint 1 is on BOOTH while it is unavailable (100..200)"),
        (move("paint 1", changeover_seconds=0), "paint 1 needs 10 s of changeover on BOOTH, planned 0 s"),
        (after_the_batch, "run batch needs 10 s of changeover on BOOTH, planned 0 s"),
        (serve(start=60, end=80), "maintenance filter ends at 80, after its risk date 60"),
        (serve(start=5, end=25), "maintenance filter starts at 5, before 10"),
        (serve(end=20), "maintenance filter needs 20 s on BENCH"),
        (serve(start=65, end=85), "maintenance filter and pack overlap on BENCH"),
        (invent_service, "maintenance oil is planned but not in the problem"),
    ],
)
def test_a_broken_plan_is_found(problem: Problem, plan: Schedule, change: Break, said: str) -> None:
    assert [line for line in broken(problem, plan, change) if said in line]


def test_a_wrong_objective_is_found(problem: Problem, plan: Schedule) -> None:
    flattered = replace(plan, objective=replace(plan.objective, total=1))
    assert "the objective says" in violations(problem, flattered)[0]


def test_frozen_work_needs_its_changeover_after_free_work(problem: Problem, plan: Schedule) -> None:
    blue = operation(
        "blue",
        on("BOOTH", 10),
        setup={"colour": "blue"},
        state=State.FIXED,
        machine="BOOTH",
        start=97,
        remaining=2,
        job_id="J5",
    )
    more = replace(problem, operations=(*problem.operations, blue))
    late = {**plan.assignments, "blue": Assignment(machine="BOOTH", start=97, end=99, changeover_seconds=10)}
    schedule = Schedule(
        assignments=late, services=plan.services, objective=evaluate(more, late, plan.services)
    )
    assert violations(more, schedule) == ["no time to change over from run batch to blue on BOOTH"]
