"""What a scenario would do to the plan: order by order, move by move, and in sum."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from cloud.dispatching.shop.money import Lack, Money, lacking, money
from cloud.dispatching.shop.problem import Problem, State
from cloud.dispatching.shop.schedule import Finish, Move, Objective, Schedule, difference, evaluate, orders


class Fate(StrEnum):
    """What becomes of an order, the news that matters most first."""

    BECOMES_LATE = "becomes_late"
    LATER_STILL = "later_still"
    """Late before, and later now."""
    LESS_LATE = "less_late"
    IN_TIME_AGAIN = "in_time_again"
    ADDED_LATE = "added_late"
    ADDED = "added"
    CANCELLED = "cancelled"
    ENDS_LATER = "ends_later"
    """It ends later, and nobody waits for it: in time still, or without a due date."""
    ENDS_EARLIER = "ends_earlier"
    SAME = "same"


HURT = (Fate.BECOMES_LATE, Fate.LATER_STILL)
"""What somebody has to answer for."""

_RANK = {fate: rank for rank, fate in enumerate(Fate)}


class OrderDifference(Struct, frozen=True, kw_only=True):
    """An order in both plans; ``None`` where one of them does not have it. Times as in the problem."""

    order: str
    fate: Fate
    before: Finish | None
    after: Finish | None

    @property
    def later(self) -> int:
        """Seconds by which it ends later (negative: earlier); 0 when it is not in both plans."""
        return self.after.end - self.before.end if self.before and self.after else 0

    @property
    def later_late(self) -> int:
        """Seconds by which it is later against its due date (negative: less late)."""
        return (self.after.late if self.after else 0) - (self.before.late if self.before else 0)


class Totals(Struct, frozen=True, kw_only=True):
    """A plan in numbers. ``late_seconds`` adds up all orders, unweighted; ``end`` is when all work is done.

    ``cost`` is ``objective.total`` without what is charged for leaving the published plan. ``money`` is what
    the plan costs in a currency, where there are rates.
    """

    objective: Objective
    cost: int
    end: int
    orders: int
    late_orders: int
    late_seconds: int
    money: Money | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """Two plans side by side. ``orders`` begins with what matters most, ``moves`` is in order of time.

    ``moves`` are operations of both plans that are on another machine or start at another time, of the
    ``movable`` ones that are not frozen. ``added`` and ``removed`` count operations that only one plan has.
    ``lacks`` are the rates that are not filled in.
    """

    title: str
    now: int
    orders: tuple[OrderDifference, ...]
    moves: tuple[Move, ...]
    movable: int
    added: int
    removed: int
    before: Totals
    after: Totals
    lacks: tuple[Lack, ...] = ()

    @property
    def moved_share(self) -> float:
        """Share of the movable operations that move, 0…1."""
        return len(self.moves) / self.movable if self.movable else 0.0

    @property
    def hurt(self) -> tuple[OrderDifference, ...]:
        """Orders that become late or later than they are late already, the worst first."""
        found = [order for order in self.orders if order.fate in HURT]
        return tuple(sorted(found, key=lambda order: -order.later_late))


def compare(
    problem: Problem, schedule: Schedule, other_problem: Problem, other_schedule: Schedule, title: str = ""
) -> Comparison:
    """What changes from ``schedule`` of ``problem`` to ``other_schedule`` of ``other_problem``.

    Both plans must be valid for their problem. Raises ValueError when the two do not count from one origin.
    """
    if problem.origin != other_problem.origin:
        raise ValueError(
            f"plans of different origins cannot be compared: {problem.origin} and {other_problem.origin}"
        )
    free = {o.id for o in problem.operations if o.state is not State.FIXED}
    movable = {o.id for o in other_problem.operations if o.id in free and o.state is not State.FIXED}
    before, after = orders(problem, schedule.assignments), orders(other_problem, other_schedule.assignments)
    return Comparison(
        title=title,
        now=other_problem.now,
        orders=_orders(before, after),
        moves=tuple(m for m in difference(schedule, other_schedule) if m.operation in movable),
        movable=len(movable),
        added=sum(name not in schedule.assignments for name in other_schedule.assignments),
        removed=sum(name not in other_schedule.assignments for name in schedule.assignments),
        before=_totals(problem, schedule, before),
        after=_totals(other_problem, other_schedule, after),
        lacks=lacking(other_problem),
    )


def _orders(before: dict[str, Finish], after: dict[str, Finish]) -> tuple[OrderDifference, ...]:
    found = [
        OrderDifference(order=order, fate=_fate(old, new), before=old, after=new)
        for order in {**before, **after}
        for old, new in ((before.get(order), after.get(order)),)
    ]
    return tuple(sorted(found, key=lambda one: (_RANK[one.fate], -abs(one.later_late or one.later))))


def _fate(before: Finish | None, after: Finish | None) -> Fate:
    if after is None:
        return Fate.CANCELLED
    if before is None:
        return Fate.ADDED_LATE if after.late else Fate.ADDED
    if after.late > before.late:
        return Fate.LATER_STILL if before.late else Fate.BECOMES_LATE
    if after.late < before.late:
        return Fate.LESS_LATE if after.late else Fate.IN_TIME_AGAIN
    if after.end != before.end:
        return Fate.ENDS_LATER if after.end > before.end else Fate.ENDS_EARLIER
    return Fate.SAME


def _totals(problem: Problem, schedule: Schedule, finishes: dict[str, Finish]) -> Totals:
    # Not the plan's own word: it may have been made when another plan was the published one.
    objective = evaluate(problem, schedule.assignments, schedule.services)
    return Totals(
        objective=objective,
        cost=objective.total - problem.weights.deviation * objective.deviation_seconds,
        end=problem.now + objective.makespan,
        orders=len(finishes),
        late_orders=sum(finish.late > 0 for finish in finishes.values()),
        late_seconds=sum(finish.late for finish in finishes.values()),
        money=money(problem, schedule),
    )
