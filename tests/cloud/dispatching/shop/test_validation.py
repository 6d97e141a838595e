"""Nonsense is refused before anything is planned: all of it, with order, operation and reason."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from cloud.dispatching.shop.problem import (
    Alternative,
    Changeover,
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
    Window,
)
from cloud.dispatching.shop.validation import ImpossibleProblem, validate
from cloud.dispatching.solving.construct import construct
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop


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


def jig(*levels: Level) -> Resource:
    return Resource(id="jig", capacity=1, kind=Kind.TOOL, levels=levels)


def needing(**needs: int) -> Alternative:
    return Alternative(machine="SAW", run_seconds=10, needs=needs)


def broken_up(*, pause: bool) -> Machine:
    """Works 9 s, rests from 9 to 10 and 17 to 18, and is open from then on."""
    rests = ((9, 10), (17, 18))
    return Machine(id="SAW", unavailable=tuple(Window(start=s, end=e, pause=pause) for s, e in rests))


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
        (
            shop(
                maintenance=(Maintenance(id="oil", machine="SAW", seconds=1, finish_before=9, delay_cost=-1),)
            ),
            "maintenance 'oil': a delay cost of -1 is below 0",
        ),
        (shop(step("a"), step("b", predecessors=("a", "a"))), "names a predecessor twice"),
        (shop(step("a", quantity=0)), "quantity 0 is less than 1"),
        # -- waits
        (shop(step("a", max_lags={"z": 5})), "has a longest lag after 'z', which is not its predecessor"),
        (
            shop(step("z"), step("a", predecessors=("z",), max_lags={"z": -1})),
            "has a longest lag of -1 s after 'z', less than 0",
        ),
        (
            shop(step("z"), step("a", predecessors=("z",), lags={"z": 7}, max_lags={"z": 5})),
            "starts 5 s after 'z' at most, but not before 7 s after it",
        ),
        (shop(step("a", overlaps={"z": 1})), "has an overlap after 'z', which is not its predecessor"),
        (
            shop(step("z"), step("a", predecessors=("z",), overlaps={"z": 0})),
            "has an overlap of 0 pieces after 'z', less than 1",
        ),
        (
            shop(step("z", quantity=4), step("a", predecessors=("z",), overlaps={"z": 5})),
            "starts after 5 pieces of 'z', which has 4",
        ),
        (
            shop(step("z", interruptible=True), step("a", predecessors=("z",), overlaps={"z": 1})),
            "overlaps 'z': neither of them may be interruptible",
        ),
        (
            shop(step("z"), step("a", interruptible=True, predecessors=("z",), overlaps={"z": 1})),
            "overlaps 'z': neither of them may be interruptible",
        ),
        (
            shop(
                step("z"),
                step("m", predecessors=("z",), lags={"z": 2}),
                step("a", predecessors=("z", "m"), max_lags={"z": 11}),
            ),
            "starts 11 s after 'z' at most, but lag, way and what lies between take 12 s",
        ),
        (
            shop(
                step("z"),
                step(
                    "a",
                    alternatives=(Alternative(machine="MILL", run_seconds=1),),
                    predecessors=("z",),
                    max_lags={"z": 29},
                ),
                transports=(Transport(origin="SAW", destination="MILL", seconds=30),),
            ),
            "starts 29 s after 'z' at most, but lag, way and what lies between take 30 s",
        ),
        (
            shop(
                step("z", state=State.LEASED, machine="SAW", start=0),
                step("m", state=State.LEASED, machine="SAW", start=1),
                step("a", state=State.LEASED, machine="SAW", start=2, predecessors=("z",), max_lags={"z": 9}),
            ),
            "starts 9 s after 'z' at most, but lag, way and what lies between take 10 s",
        ),
        (
            shop(
                step("z"),
                step("m", predecessors=("z",)),
                step("n"),
                step("a", predecessors=("z", "n"), max_lags={"z": 99}),
                runs=(run("m", "n", seconds=100),),
            ),
            "starts 99 s after 'z' at most, but lag, way and what lies between take 100 s",
        ),
        # -- pins
        (
            shop(step("a", pin=Pin(machine="MILL"))),
            "is pinned to machine 'MILL', which is not one of its alternatives",
        ),
        (
            shop(step("a", pin=Pin(machine="SAW")), runs=(run("a", machine="MILL"),)),
            "is pinned to machine 'SAW', which is not of run 'R'",
        ),
        (
            shop(
                step("a", pin=Pin(machine="SAW")),
                step("b", pin=Pin(machine="MILL")),
                runs=(
                    Run(
                        id="R",
                        operations=("a", "b"),
                        alternatives=(
                            Alternative(machine="SAW", run_seconds=1),
                            Alternative(machine="MILL", run_seconds=1),
                        ),
                    ),
                ),
            ),
            "is pinned to machine 'MILL', but a of the same run to 'SAW'",
        ),
        # -- shared resources and vehicles
        (
            shop(resources=(Resource(id="jig", capacity=1), Resource(id="jig", capacity=2))),
            "resource id 'jig' is used twice",
        ),
        (
            shop(resources=(Resource(id="jig", capacity=-1),)),
            "resource 'jig': a capacity of -1 is less than 0",
        ),
        (
            shop(resources=(jig(Level(start=5, end=5, capacity=1)),)),
            "resource 'jig': a level from 5 ends at 5",
        ),
        (
            shop(resources=(jig(Level(start=5, end=6, capacity=-1)),)),
            "resource 'jig': a capacity of -1 is less than 0",
        ),
        (
            shop(resources=(jig(Level(start=5, end=9, capacity=1), Level(start=2, end=6, capacity=1)),)),
            "resource 'jig': the levels from 2 and from 5 overlap",
        ),
        (
            shop(step("a", alternatives=(needing(drill=1),))),
            "needs the unknown resource 'drill' on machine 'SAW'",
        ),
        (
            shop(step("a", alternatives=(needing(jig=-1),)), resources=(jig(),)),
            "needs -1 of 'jig' on machine 'SAW', less than 0",
        ),
        (
            shop(
                step("a", alternatives=(needing(jig=2),)),
                resources=(jig(Level(start=0, end=1000, capacity=2)),),
            ),
            "needs 2 of 'jig' on machine 'SAW', of which there are 1",
        ),
        (
            shop(
                step("a"),
                runs=(Run(id="R", operations=("a",), alternatives=(needing(jig=2),)),),
                resources=(jig(),),
            ),
            "run 'R' needs 2 of 'jig' on machine 'SAW', of which there are 1",
        ),
        (
            shop(vehicles=Vehicles(count=0)),
            "vehicles are limited to none: leave them out where nobody needs one",
        ),
        (shop(vehicles=Vehicles(count=1, empty=-1)), "vehicles come empty in -1 s, less than 0"),
        (
            shop(vehicles=Vehicles(count=1, levels=(Level(start=3, end=1, capacity=1),))),
            "vehicles: a level from 3 ends at 1",
        ),
        # -- calendars that are never long enough
        (
            shop(step("a"), machines=(broken_up(pause=True),), known_until=27),
            "takes 10 s, but SAW never works longer than 9 s without a rest: split it, or say that it may be "
            "interrupted",
        ),
        (
            shop(step("a", interruptible=True), machines=(broken_up(pause=False),), known_until=27),
            "takes 10 s, but SAW never works longer than 9 s without a rest: split it",
        ),
        (
            shop(step("a"), runs=(run("a", seconds=12),), machines=(broken_up(pause=True),), known_until=29),
            "run 'R' takes 12 s, but SAW never works longer than 11 s without a rest: split it, or say that "
            "it may be interrupted",
        ),
        (
            shop(
                step(
                    "a",
                    alternatives=(
                        Alternative(machine="MILL", run_seconds=1),
                        Alternative(machine="SAW", run_seconds=10),
                    ),
                    pin=Pin(machine="SAW"),
                ),
                machines=(broken_up(pause=True), Machine(id="MILL")),
                known_until=27,
            ),
            "takes 10 s, but SAW never works longer than 9 s without a rest: split it, or say that it may be "
            "interrupted",
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


@pytest.mark.parametrize(
    "problem",
    [
        shop(step("a", interruptible=True), machines=(broken_up(pause=True),), known_until=27),
        shop(step("a"), machines=(broken_up(pause=False),), known_until=28),
        shop(step("a"), machines=(broken_up(pause=False),)),
        shop(step("a"), machines=(Machine(id="SAW"),), known_until=10),
    ],
    ids=["rests over its pauses", "fits after the last window", "known for ever", "fits just so"],
)
def test_what_fits_is_not_refused(problem: Problem) -> None:
    assert validate(problem) == []


def test_what_is_held_or_done_is_not_held_against_its_pin_or_its_longest_lag() -> None:
    pin = Pin(machine="MILL")
    facts = (
        step("leased", state=State.LEASED, machine="SAW", pin=pin),
        step("begun", state=State.FIXED, machine="SAW", start=-5, pin=pin),
        step("soon after a fact", predecessors=("begun",), max_lags={"begun": 0}),
        # The way from a to c leads over what has begun already, and so is none.
        step("a"),
        step("b", predecessors=("a",), state=State.FIXED, machine="SAW", start=-50),
        step("c", predecessors=("a", "b"), max_lags={"a": 0}),
    )
    assert validate(shop(*facts)) == []


def test_what_overlaps_does_not_lie_between() -> None:
    chain = (
        step("a", quantity=5),
        step("b", predecessors=("a",), overlaps={"a": 1}),
        step("c", predecessors=("a", "b"), max_lags={"a": 3}),
    )
    assert validate(shop(*chain)) == []


def test_a_need_of_nothing_and_a_fact_that_took_too_much_are_sound() -> None:
    begun = step("begun", alternatives=(needing(jig=3),), state=State.FIXED, machine="SAW", start=-5)
    problem = shop(begun, step("a", alternatives=(needing(jig=0),)), resources=(jig(),))
    assert validate(problem) == []


@pytest.mark.parametrize(
    "features", [*({name} for name in sorted(ALL)), ALL], ids=lambda f: "+".join(sorted(f))[:12]
)
def test_random_shops_make_sense_and_keep_what_they_have_without_features(features: set[str]) -> None:
    for seed in range(60):
        rng, twin = random.Random(seed), random.Random(seed)
        size = {"operations": 2 + seed % 25, "windows": 2, "decided": 0.3, "runs": 2, "maintenance": 2}
        problem = random_shop(rng, **size, features=features)  # type: ignore[arg-type]
        plain = random_shop(twin, **size)  # type: ignore[arg-type]
        assert validate(problem) == []
        assert [o.id for o in problem.operations] == [o.id for o in plain.operations]
        assert [o.start for o in problem.operations] == [o.start for o in plain.operations]
        assert problem.published == plain.published
