"""Loads what a search needs, by searching once: OR-Tools and the compiled search are loaded at first use."""

from __future__ import annotations

from cloud.dispatching.shop.problem import Alternative, Changeover, Machine, Operation, Problem
from cloud.dispatching.solving.construct import construct
from cloud.dispatching.solving.improve import SMALL, improve
from cloud.dispatching.solving.limits import Limits

SECONDS = 0.3
"""Of search; loading comes on top."""


def rehearse() -> None:
    """Plan a made-up shop that is just large enough to be searched by lists and by parts."""
    problem = _shop(SMALL + 4)
    improve(problem, construct(problem), Limits(seconds=SECONDS, workers=1))


def _shop(count: int) -> Problem:
    machines = tuple(
        Machine(id=name, changeovers=(Changeover(attribute="colour", seconds=60),)) for name in ("m1", "m2")
    )
    operations = tuple(
        Operation(
            id=f"o{number}",
            order_id=f"o{number}",
            job_id=f"o{number}",
            alternatives=tuple(Alternative(machine=m.id, run_seconds=60 + number) for m in machines),
            setup={"colour": ("red", "blue", "green")[number % 3]},
            due=600 + 40 * number,
        )
        for number in range(count)
    )
    return Problem(origin=0, now=0, machines=machines, operations=operations)
