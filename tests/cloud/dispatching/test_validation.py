"""Nonsense is refused before anything is planned: all of it, with order, operation and reason."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cloud.dispatching.construct import construct
from cloud.dispatching.problem import (
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
from cloud.dispatching.validation import ImpossibleProblem, validate


def step(name: str, **fields: object) -> Operation:
    values: dict[str, object] = {
        "id": name,
        "order_id": "24-1187",
        "job_id": "24-1187/1",
        "alternatives": (Alternative(machine="SAW", run_seconds=10),),
    }
    return Operation(**(values | fields))  # type: ignore[arg-type]


def shop(*operations: Operation, **fields: object) -> Problem:
    values: dict[str, object] = {
        "origin": 0,
        "now": 0,
        "machines": (Machine(id="SAW"), Machine(id="MILL")),
        "operations": operations,
    }
    return Problem(**(values | fields))  # type: ignore[arg-type]


def run(*operations: str, machine: str = "SAW", seconds: int = 10) -> Run:
    alternatives = (Alternative(machine=machine, run_seconds=seconds),) if machine else ()
    return Run(id="R", operations=operations, alternatives=alternatives)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (shop(step("a"), step("a")), "operation id 'a' is used twice"),
        (shop(machines=(Machine(id="SAW"), Machine(id="SAW"))), "machine id 'SAW' is used twice"),
        (shop(step("a", alternatives=())), "no machine can do it: it has no alternatives"),
        (
            shop(step("a", alternatives=(Alternative(machine="PRESS", run_seconds=1),))),
            "alternative on the unknown machine 'PRESS'",
        ),
        (
            shop(step("a", alternatives=(Alternative(machine="SAW", run_seconds=1),) * 2)),
            "two alternatives on machine 'SAW'",
        ),
        (
            shop(step("a", alternatives=(Alternative(machine="SAW", run_seconds=-1),))),
            "takes less than 0 s on machine 'SAW'",
        ),
        (
            shop(step("a", predecessors=("z",))),
            "waits for the unknown operation 'z'; leave finished ones out",
        ),
        (shop(step("a", lags={"z": 5})), "has a lag after 'z', which is not its predecessor"),
        (
            shop(step("z"), step("a", predecessors=("z",), lags={"z": -5})),
            "has a lag of -5 s after 'z', less than 0",
        ),
        (shop(step("a", weight=-1)), "weight -1 is less than 0"),
        (shop(step("a", size=-1)), "size -1 is less than 0"),
        (
            shop(step("a", state=State.FIXED, machine="SAW", start=0, remaining=-1)),
            "remaining -1 s is less than 0",
        ),
        (shop(step("a", state=State.LEASED)), "is leased on the unknown machine None"),
        (
            shop(step("a", state=State.LEASED, machine="MILL")),
            "is leased on machine 'MILL', which is not one of its alternatives",
        ),
        (shop(step("a", state=State.FIXED, machine="SAW")), "is fixed without a start"),
        (
            shop(step("a", state=State.FIXED, machine="MILL", start=0)),
            "is fixed on machine 'MILL' without a duration there or a remaining time",
        ),
        (shop(step("a", predecessors=("a",))), "waits for itself: a after a"),
        (
            shop(
                step("a", predecessors=("b",)), step("b", predecessors=("c",)), step("c", predecessors=("a",))
            ),
            "waits for itself: a after b after c after a",
        ),
        (
            shop(
                step("a", state=State.LEASED, machine="SAW", start=0, predecessors=("b",)),
                step("b", state=State.LEASED, machine="SAW", start=5),
            ),
            "waits for itself: a after b after a",
        ),
        (
            shop(step("a"), step("b", predecessors=("a",)), runs=(run("a", "b"),)),
            "waits for itself: run R after run R",
        ),
        (shop(step("a"), runs=(run("a", "z"),)), "run 'R' covers the unknown operation 'z'"),
        (shop(step("a"), runs=(run("a", "a"),)), "operation 'a' is in run 'R' and run 'R'"),
        (shop(runs=(run(),)), "run 'R' covers no operation"),
        (
            shop(step("a"), step("b", state=State.LEASED, machine="SAW"), runs=(run("a", "b"),)),
            "is in run 'R' with a, which has another state, machine or start",
        ),
        (
            shop(step("a"), runs=(run("a", machine=""),)),
            "run 'R': no machine can do it: it has no alternatives",
        ),
        (
            shop(step("a"), runs=(run("a", machine="PRESS"),)),
            "run 'R': alternative on the unknown machine 'PRESS'",
        ),
        (shop(step("a"), runs=(run("a", seconds=-1),)), "run 'R' takes less than 0 s"),
        (
            shop(step("a", state=State.LEASED, machine="SAW"), runs=(run("a", machine="MILL"),)),
            "run 'R' is leased on machine 'SAW', not one of its alternatives",
        ),
        (
            shop(machines=(Machine(id="SAW", unavailable=(Window(start=5, end=5),)),)),
            "machine 'SAW': a window from 5 ends at 5",
        ),
        (
            shop(machines=(Machine(id="SAW", changeovers=(Changeover(attribute="colour", seconds=-1),)),)),
            "machine 'SAW': a changeover of 'colour' takes less than 0 s",
        ),
        (
            shop(transports=(Transport(origin="A", destination="B", seconds=-1),)),
            "transport 'A' to 'B' takes -1 s, less than 0",
        ),
        (
            shop(maintenance=(Maintenance(id="oil", machine="PRESS", seconds=5, finish_before=9),)),
            "maintenance 'oil' is for the unknown machine 'PRESS'",
        ),
        (
            shop(maintenance=(Maintenance(id="oil", machine="SAW", seconds=0, finish_before=9),)),
            "maintenance 'oil' takes 0 s, not more than 0",
        ),
    ],
)
def test_nonsense_is_named(problem: Problem, reason: str) -> None:
    assert reason in [error.reason for error in validate(problem)]


def test_all_errors_come_at_once_with_order_and_operation() -> None:
    problem = shop(
        step("a", alternatives=()),
        step("b", predecessors=("c",)),
        step("c", predecessors=("b",)),
        step("d", predecessors=("e",)),
        step("e", predecessors=("d",)),
        step("f", predecessors=("e",)),
    )
    with pytest.raises(ImpossibleProblem) as raised:
        construct(problem)
    assert [(e.order_id, e.operation_id, e.reason) for e in raised.value.errors] == [
        ("24-1187", "a", "no machine can do it: it has no alternatives"),
        ("24-1187", "b", "waits for itself: b after c after b"),
        ("24-1187", "d", "waits for itself: d after e after d"),
    ]
    assert "order 24-1187, operation a: no machine can do it" in str(raised.value)


def test_a_fact_closes_no_cycle() -> None:
    """Work has begun though its predecessor was never reported: planned all the same."""
    begun = step("b", state=State.FIXED, machine="SAW", start=-5, predecessors=("a",))
    assert validate(shop(step("a", predecessors=("b",)), begun)) == []


def test_a_sound_problem_has_no_errors() -> None:
    problem = shop(step("a"), step("b", predecessors=("a",)), step("c"), runs=(run("a", "c"),))
    assert validate(problem) == []
    assert validate(replace(problem, operations=(), runs=())) == []
