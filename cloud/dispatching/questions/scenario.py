"""What if: a scenario is a title and changes, and makes of a problem the problem it would be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from cloud.dispatching.questions import capacity, lots, orders
from cloud.dispatching.questions.changes import (
    CancelledOrder,
    Change,
    LikeOrder,
    MachineDown,
    NewOrder,
    OrderTerms,
    OtherHeads,
    Overtime,
    PinnedOperation,
    SplitLot,
)
from cloud.dispatching.questions.refused import ImpossibleScenario, Reason, Refused
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.validation import check, validate


class Scenario(Struct, frozen=True, kw_only=True):
    """A question: what would become of the plan if these things changed, all of them together?"""

    title: str = ""
    changes: tuple[Change, ...] = ()


EFFECTS: dict[type, Callable[[Problem, Any], Problem]] = {
    NewOrder: orders.add,
    LikeOrder: orders.copy,
    OrderTerms: orders.promise_anew,
    CancelledOrder: orders.cancel,
    MachineDown: capacity.take_down,
    Overtime: capacity.open_up,
    OtherHeads: capacity.staff,
    SplitLot: lots.split,
    PinnedOperation: capacity.pin,
}
"""What each change does; raises :class:`Refused` where it makes no sense."""


def under(problem: Problem, plan: Schedule) -> Problem:
    """``problem`` with ``plan`` as its published plan, from which every move counts as deviation."""
    known = {operation.id for operation in problem.operations}
    published = {name: at for name, at in plan.placements().items() if name in known}
    return replace(problem, published=published)


def apply(problem: Problem, scenario: Scenario) -> Problem:
    """``problem`` as ``scenario`` would have it; its published plan stays the one to deviate from.

    Changes are made in the order given, overtime first: a machine that fails is down whoever stays longer.

    Raises:
        ImpossibleScenario: with every reason at once, near names suggested.
        ImpossibleProblem: when ``problem`` made no sense before.
    """
    check(problem)
    reasons: list[Reason] = []
    result = problem
    numbered = list(enumerate(scenario.changes))
    for position, change in sorted(numbered, key=lambda one: not isinstance(one[1], Overtime)):
        try:
            result = EFFECTS[type(change)](result, change)
        except Refused as refused:
            reasons += [Reason(change=position, text=text) for text in refused.reasons]
    if not numbered:
        reasons.append(Reason(change=-1, text="it changes nothing: name one change at least"))
    reasons += [Reason(change=-1, text=text) for text in orders.orphans(result, problem)]
    if not reasons:
        reasons += [Reason(change=-1, text=str(error)) for error in validate(result)]
    if reasons:
        reasons.sort(key=lambda reason: (reason.change < 0, reason.change))
        raise ImpossibleScenario(scenario.title, reasons)
    return result
