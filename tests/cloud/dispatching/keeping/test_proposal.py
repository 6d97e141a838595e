"""A plan that was accepted is a start for the next search, though the floor has moved on since."""

from __future__ import annotations

import random

from msgspec.structs import replace

from cloud.dispatching.keeping.proposal import Proposal
from cloud.dispatching.shop.problem import MICROSECONDS, Problem
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct, repair
from tests.cloud.dispatching.random_shop import random_shop


def shop(seed: int = 5) -> Problem:
    made = random_shop(random.Random(seed), operations=40, machines=5, decided=0.0, runs=2, maintenance=1)
    return replace(made, published={})


def later(problem: Problem, seconds: int) -> Problem:
    """The same work, looked at later and counted from a later origin."""
    operations = tuple(
        replace(o, earliest=max(0, o.earliest - seconds), due=None if o.due is None else o.due - seconds)
        for o in problem.operations
    )
    return replace(
        problem, origin=problem.origin + seconds * MICROSECONDS, operations=operations, maintenance=()
    )


def test_what_was_accepted_is_kept_where_it_can_be() -> None:
    problem = shop()
    accepted = construct(problem, seed=3)
    start = Proposal(problem.origin, accepted).start(problem)
    assert start is not None
    assert violations(problem, start) == []
    assert {n: a.machine for n, a in start.assignments.items()} == {
        n: a.machine for n, a in accepted.assignments.items()
    }


def test_times_of_another_origin_and_work_that_is_gone_or_new() -> None:
    problem = shop()
    accepted = construct(problem)
    after = later(problem, 600)
    gone = {o.id for o in after.operations if o.order_id == after.operations[0].order_id}
    left = tuple(o for o in after.operations if o.id not in gone)
    runs = tuple(run for run in after.runs if not gone & set(run.operations))
    new = replace(left[-1], id="new", order_id="N", job_id="N", predecessors=(), lags={})
    covered = {name for run in after.runs for name in run.operations}
    if gone & covered or left[-1].id in covered:
        runs = ()
    after = replace(after, operations=(*left, new), runs=runs)
    start = Proposal(problem.origin, accepted).start(after)
    assert start is not None
    assert violations(after, start) == []
    assert "new" in start.assignments
    kept = [
        n for n, a in start.assignments.items() if n != "new" and a.machine == accepted.assignments[n].machine
    ]
    assert len(kept) == len(left)


def test_leaving_the_published_plan_costs_what_it_costs_others() -> None:
    problem = shop()
    published = replace(problem, published=construct(problem).placements())
    other = construct(problem, seed=9)
    shifted = {n: replace(p, start=p.start + 500) for n, p in published.published.items()}
    start = Proposal(problem.origin, other).start(replace(published, published=shifted))
    assert start is not None
    assert start.objective.deviation_seconds > 0


def test_repair_moves_nothing_that_need_not_move() -> None:
    problem = shop()
    plan = construct(replace(problem, maintenance=()))
    again = repair(replace(problem, maintenance=(), published=plan.placements()))
    assert again.objective.deviation_seconds == 0
