"""What can we promise? The earliest date that costs nobody else anything, and who pays for an earlier one.

Capable-to-promise on the plan itself: the new order goes into the gaps of the published plan, machine by
machine, with everything else exactly where it is.
"""

from __future__ import annotations

import threading
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from cloud.dispatching.questions.assumptions import Assumptions
from cloud.dispatching.questions.changes import LikeOrder, NewOrder
from cloud.dispatching.questions.comparison import Comparison, OrderDifference, compare
from cloud.dispatching.questions.gaps import insert
from cloud.dispatching.questions.pushing import repaired
from cloud.dispatching.questions.risk import risk
from cloud.dispatching.questions.scenario import Scenario, apply, under
from cloud.dispatching.shop.problem import Problem, State, Weights
from cloud.dispatching.shop.schedule import Schedule, evaluate, orders
from cloud.dispatching.solving.solve import solve

SECONDS = 2.0
"""For placing the order in the gaps; few operations, so mostly proved before."""

EARLY = Weights(tardiness=1000, changeover=1, deviation=0, makespan=0)
"""What counts while the order looks for its gaps: its end, then changeovers."""

MUST = 100
"""How much heavier than the heaviest other order one weighs that must be done by a date."""


class Plan(Struct, frozen=True, kw_only=True):
    """The order ends at ``end`` in ``schedule`` of ``problem``, compared with the plan in force."""

    end: int
    problem: Problem
    schedule: Schedule
    comparison: Comparison


class Promise(Struct, frozen=True, kw_only=True):
    """What can be promised for ``order``; times in seconds of the problem.

    ``undisturbed`` is the plan in which everything else keeps its times; ``None`` where the order fits into
    no gaps. ``allowance`` is the date by which it ends there in nine of ten samples, where that was asked.
    ``free`` is the plan in which everything may move for it as its ``weight`` earns.
    """

    order: str
    weight: int
    undisturbed: Plan | None
    allowance: int | None
    free: Plan | None

    @property
    def earliest(self) -> int | None:
        """The earliest date that hurts nobody."""
        return self.undisturbed.end if self.undisturbed else None


class IfBy(Struct, frozen=True, kw_only=True):
    """The order must be done ``by`` a date: the plan for that, and who is hurt by it."""

    by: int
    plan: Plan

    @property
    def kept(self) -> bool:
        """Whether it can be done by then at all, as far as the search could tell."""
        return self.plan.end <= self.by

    @property
    def hurt(self) -> tuple[OrderDifference, ...]:
        """Orders that become late or later, the worst first."""
        return self.plan.comparison.hurt


def promise(
    problem: Problem,
    plan: Schedule,
    order: NewOrder | LikeOrder,
    *,
    weight: int = 1,
    seconds: float = 5.0,
    assumptions: Assumptions | None = None,
    workers: int = 8,
    deterministic: bool = False,
    seed: int = 0,
    cancel: threading.Event | None = None,
) -> Promise:
    """What can be promised for a new order when ``plan`` (valid for ``problem``) is in force.

    Blocks for about ``seconds``, which go to the plan with full freedom; none leaves that out. With
    ``assumptions`` a range is drawn for the allowance.

    Raises:
        ImpossibleScenario: when the order makes no sense.
        ImpossibleProblem: when ``problem`` makes none.
    """
    search = partial(solve, workers=workers, deterministic=deterministic, seed=seed, cancel=cancel)
    asked = _Asked(problem, plan, order)
    wanted = asked.problem(due=problem.now, weight=1, weights=EARLY)
    own = {o.id for o in problem.operations if o.state is not State.FIXED}
    stays = {name: a for name, a in plan.assignments.items() if name in own}
    # The rules see most gaps at once; the solver sees them all.
    found = insert(wanted, stays, plan.services, plan.trips)
    if found is not None and seconds > 0:
        better = insert(wanted, stays, plan.services, plan.trips, lambda frozen: search(frozen, SECONDS))
        found = better if better is not None and asked.end(better) <= asked.end(found) else found
    undisturbed = asked.plan(found) if found is not None else None
    allowance = None
    if assumptions is not None and undisturbed is not None:
        outlook = risk(undisturbed.problem, undisturbed.schedule, assumptions)
        allowance = next(one.p90 for one in outlook.orders if one.order == order.order)
    free = None
    if seconds > 0:
        wished = asked.problem(due=problem.now, weight=weight)
        starts = [_revalued(wished, made) for made in (found, repaired(wished, plan)) if made is not None]
        start = min(starts, key=lambda schedule: schedule.objective.total, default=None)
        free = asked.plan(search(wished, seconds, start=start))
    return Promise(order=order.order, weight=weight, undisturbed=undisturbed, allowance=allowance, free=free)


def if_by(
    problem: Problem,
    plan: Schedule,
    order: NewOrder | LikeOrder,
    by: int,
    *,
    seconds: float = 5.0,
    workers: int = 8,
    deterministic: bool = False,
    seed: int = 0,
    cancel: threading.Event | None = None,
) -> IfBy:
    """Who is hurt if the order must be done ``by`` a time of the problem.

    Blocks and raises as :func:`promise`.

    The order weighs more than all that could
    stand against it; among the plans that keep the date the search looks for the one that costs the others
    least.
    """
    asked = _Asked(problem, plan, order)
    heaviest = max((operation.weight for operation in problem.operations), default=1)
    wanted = asked.problem(due=by, weight=MUST * max(1, heaviest))
    found = solve(
        wanted,
        seconds,
        start=repaired(wanted, plan),
        workers=workers,
        deterministic=deterministic,
        seed=seed,
        cancel=cancel,
    )
    return IfBy(by=by, plan=asked.plan(found, due=by))


class _Asked:
    """A new order and the plan it comes into."""

    def __init__(self, problem: Problem, plan: Schedule, order: NewOrder | LikeOrder) -> None:
        self.base = under(problem, plan)
        self.in_force = plan
        self.order = order

    def problem(self, due: int | None, weight: int, weights: Weights | None = None) -> Problem:
        """The shop with the order in it, which is due and weighs as said here and not as it says itself."""
        first = self.order
        if isinstance(first, LikeOrder):
            first = replace(first, due=self.base.now if due is None else due, weight=weight)
        else:
            first = replace(first, due=None, weight=weight)
        asked = apply(self.base, Scenario(title=f"order {first.order}", changes=(first,)))
        operations = (replace(o, due=due) if o.order_id == first.order else o for o in asked.operations)
        return replace(asked, operations=tuple(operations), weights=weights or asked.weights)

    def end(self, schedule: Schedule) -> int:
        """When the order ends."""
        there = {o.id for o in self.base.operations}
        return max(a.end for name, a in schedule.assignments.items() if name not in there)

    def plan(self, schedule: Schedule, due: int | None = None) -> Plan:
        """``schedule`` told with the order due as it was asked for, not as it was searched for."""
        problem = self.problem(due=due, weight=1)
        told = _revalued(problem, schedule)
        return Plan(
            end=orders(problem, schedule.assignments)[self.order.order].end,
            problem=problem,
            schedule=told,
            comparison=compare(self.base, self.in_force, problem, told, f"order {self.order.order}"),
        )


def _revalued(problem: Problem, schedule: Schedule) -> Schedule:
    """The same plan, worth what it is worth in ``problem``."""
    objective = evaluate(problem, schedule.assignments, schedule.services)
    return replace(schedule, objective=objective, bound=None)
