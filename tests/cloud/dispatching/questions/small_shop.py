"""A shop small enough to follow by hand: a saw, two lathes and a paint booth that changes colours."""

from __future__ import annotations

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
    Window,
)

HOUR = 3600
NIGHT = "no shift"


def step(
    name: str, order: str, *machines: str, hours: float = 1.0, after: str = "", **more: object
) -> Operation:
    """One operation of ``order`` that takes ``hours`` on each of ``machines``; its job is the order's."""
    fields = {
        "id": name,
        "order_id": order,
        "job_id": order,
        "alternatives": tuple(Alternative(machine=m, run_seconds=round(hours * HOUR)) for m in machines),
        "predecessors": (after,) if after else (),
        **more,
    }
    return Operation(**fields)  # type: ignore[arg-type]


def small_shop() -> Problem:
    """Orders A (due after 4 h), B (due after 5 h) and C (being sawn, no due date); closed from 8 h to 24 h.

    A and B are sawn, turned and painted; what A's paint needs of B's colour takes half an hour.
    """
    night = (Window(start=8 * HOUR, end=24 * HOUR, reason=NIGHT),)
    return Problem(
        origin=1_767_225_600_000_000,
        now=0,
        machines=(
            Machine(id="SAW", unavailable=night),
            Machine(id="LATHE1", unavailable=night),
            Machine(id="LATHE2", unavailable=night),
            Machine(
                id="BOOTH",
                unavailable=night,
                setup={"colour": "red"},
                changeovers=(Changeover(attribute="colour", seconds=HOUR // 2),),
            ),
        ),
        operations=(
            step("A.saw", "A", "SAW", due=4 * HOUR),
            step("A.turn", "A", "LATHE1", "LATHE2", after="A.saw", due=4 * HOUR),
            step("A.paint", "A", "BOOTH", after="A.turn", due=4 * HOUR, setup={"colour": "red"}),
            step("B.saw", "B", "SAW", due=5 * HOUR, weight=2),
            step("B.turn", "B", "LATHE1", "LATHE2", after="B.saw", due=5 * HOUR, weight=2),
            step("B.paint", "B", "BOOTH", after="B.turn", due=5 * HOUR, weight=2, setup={"colour": "blue"}),
            step("C.saw", "C", "SAW", state=State.FIXED, machine="SAW", start=-HOUR, remaining=HOUR // 2),
        ),
        published={
            "A.saw": Placement(machine="SAW", start=HOUR // 2),
            "A.turn": Placement(machine="LATHE1", start=3 * HOUR // 2),
        },
    )


def with_run(problem: Problem) -> Problem:
    """The same, with both paints in one run."""
    run = Run(
        id="batch",
        operations=("A.paint", "B.paint"),
        alternatives=(Alternative(machine="BOOTH", run_seconds=HOUR),),
    )
    return replace(problem, runs=(run,))
