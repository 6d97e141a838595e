"""Why a maintenance is where it is: each cause, on a machine with two operations and a closed time."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cloud.dispatching.shop.problem import (
    Alternative,
    Machine,
    Maintenance,
    Operation,
    Problem,
    Resource,
    Window,
)
from cloud.dispatching.shop.schedule import Schedule, Service
from cloud.dispatching.shop.service_explanation import ServiceCause, explain_service
from cloud.dispatching.solving.construct import construct

TASK = Maintenance(id="m", machine="a", seconds=60, finish_before=5000)
PROBLEM = Problem(
    origin=0,
    now=100,
    machines=(
        Machine(id="a", unavailable=(Window(start=1000, end=1100, reason="inspection"),)),
        Machine(id="b"),
    ),
    operations=tuple(
        Operation(
            id=name,
            order_id=name,
            job_id=name,
            due=9000,
            alternatives=(Alternative(machine=machine, run_seconds=200),),
        )
        for name, machine in (("one", "a"), ("two", "a"), ("elsewhere", "b"))
    ),
    maintenance=(TASK,),
)


def with_service(start: int, problem: Problem = PROBLEM) -> Schedule:
    """A plan whose work stands where the rules put it (machine a: from 100 to 500), and the service there."""
    plan = construct(replace(problem, maintenance=()))
    return replace(plan, services={"m": Service(machine="a", start=start, end=start + 60)})


@pytest.mark.parametrize(
    ("start", "earliest", "cause", "earlier"),
    [
        (100, 0, ServiceCause.NOW, 0),
        (700, 700, ServiceCause.EARLIEST, 0),
        (500, 300, ServiceCause.WORK, 0),
        (1100, 0, ServiceCause.UNAVAILABLE, 0),
        (640, 0, ServiceCause.KEPT, 140),
    ],
)
def test_what_ends_just_before_it(start: int, earliest: int, cause: ServiceCause, earlier: int) -> None:
    problem = replace(PROBLEM, maintenance=(replace(TASK, earliest=earliest),))
    plan = with_service(start)
    assert max(work.end for name, work in plan.assignments.items() if name != "elsewhere") == 500
    reason = explain_service(problem, plan, "m")
    assert (reason.cause, reason.earlier) == (cause, earlier)
    assert reason.spare == 5000 - start - 60
    if cause is ServiceCause.WORK:
        assert reason.other in ("one", "two")
    if cause is ServiceCause.UNAVAILABLE:
        assert reason.other == "inspection"


def test_another_service_of_the_machine_stands_before_it() -> None:
    plan = with_service(600)
    both = {**plan.services, "n": Service(machine="a", start=500, end=600)}
    problem = replace(PROBLEM, maintenance=(TASK, replace(TASK, id="n", seconds=100)))
    reason = explain_service(problem, replace(plan, services=both), "m")
    assert (reason.cause, reason.other) == (ServiceCause.MAINTENANCE, "n")


def test_it_waits_for_the_head_that_another_service_has_until_then() -> None:
    problem = replace(
        PROBLEM,
        maintenance=(
            replace(TASK, needs={"fitter": 1}),
            replace(TASK, id="n", machine="b", seconds=500, needs={"fitter": 1}),
        ),
        resources=(Resource(id="fitter", label="Fitter", capacity=1),),
    )
    plan = with_service(600)
    plan = replace(plan, services={**plan.services, "n": Service(machine="b", start=100, end=600)})
    reason = explain_service(problem, plan, "m")
    assert (reason.cause, reason.other) == (ServiceCause.RESOURCE, "Fitter")
    assert explain_service(problem, plan, "n").cause is ServiceCause.NOW


def test_work_of_a_machine_that_shares_the_device_stands_before_it() -> None:
    problem = replace(PROBLEM, maintenance=(replace(TASK, machine="b", also=("a",)),))
    plan = with_service(500, problem)
    plan = replace(plan, services={"m": Service(machine="b", start=500, end=560)})
    reason = explain_service(problem, plan, "m")
    assert reason.cause is ServiceCause.WORK
    assert reason.other in ("one", "two")


def test_one_that_is_left_out_has_no_reason() -> None:
    with pytest.raises(KeyError):
        explain_service(PROBLEM, replace(with_service(600), services={}), "m")
