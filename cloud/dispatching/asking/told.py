"""What a scenario answers, as API and page show it: every time in µs UTC, every span in seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from cloud.dispatching.questions.comparison import Comparison, Fate, OrderDifference, Totals
from cloud.dispatching.questions.sentences import sentences
from cloud.dispatching.shop.money import Lack, Money
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Finish, Move

MAX_MOVES = 500
"""Moved operations that an answer names; the others are counted."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OrderNews(msgspec.Struct, frozen=True):
    """An order in both plans: when it ends, and how late that is; null where a plan does not have it.

    ``later`` is by how many seconds it ends later (negative: earlier).
    """

    order: str
    fate: Fate
    due: int | None
    before: int | None
    after: int | None
    late_before: int | None
    late_after: int | None
    later: int


class MoveNews(msgspec.Struct, frozen=True):
    """An operation that would be at another workcell or start at another time, ``later`` seconds later."""

    operation: str
    order: str
    workcell_before: str
    workcell_after: str
    start_before: int
    start_after: int
    later: int


class PlanTotals(msgspec.Struct, frozen=True):
    """A plan in numbers. ``cost`` leaves out what is charged for leaving the published plan; ``tardiness`` is
    weighted by priority, ``late_seconds`` is not; ``end`` is when all work is done. ``money`` is what it
    costs in a currency, part by part, null while the site file has no rates.
    """

    cost: int
    orders: int
    late_orders: int
    late_seconds: int
    tardiness: int
    changeover_seconds: int
    end: int
    money: Money | None = None


class Compared(msgspec.Struct, frozen=True):
    """The plan in force, carried on, beside the plan of the scenario.

    ``orders`` that change, what matters most first; ``hurt`` are those that become late or later still.
    ``moved`` of ``movable`` operations move, ``share`` of them; ``moves`` names the first of these in time.
    ``lacks`` are the rates that the site file lacks for telling all of it in money.
    """

    sentences: list[str]
    orders: list[OrderNews]
    hurt: list[str]
    moves: list[MoveNews]
    moved: int
    movable: int
    share: float
    added: int
    removed: int
    before: PlanTotals
    after: PlanTotals
    lacks: list[Lack] = []


def told(comparison: Comparison, problem: Problem, zone: ZoneInfo) -> Compared:
    """A comparison whose scenario has ``problem``; sentences name times of the site's ``zone``."""
    order_of = {operation.id: operation.order_id for operation in problem.operations}

    def when(seconds: int) -> str:
        return f"{(_EPOCH + timedelta(microseconds=problem.utc(seconds))).astimezone(zone):%Y-%m-%d %H:%M}"

    return Compared(
        sentences=list(sentences(comparison, when)),
        orders=[_order(problem, order) for order in comparison.orders if order.fate is not Fate.SAME],
        hurt=[order.order for order in comparison.hurt],
        moves=[_move(problem, order_of, move) for move in comparison.moves[:MAX_MOVES]],
        moved=len(comparison.moves),
        movable=comparison.movable,
        share=round(comparison.moved_share, 4),
        added=comparison.added,
        removed=comparison.removed,
        before=_totals(problem, comparison.before),
        after=_totals(problem, comparison.after),
        lacks=list(comparison.lacks),
    )


def _order(problem: Problem, order: OrderDifference) -> OrderNews:
    before, after = order.before, order.after
    newest = after or before
    return OrderNews(
        order=order.order,
        fate=order.fate,
        due=problem.utc(newest.due) if newest is not None and newest.due is not None else None,
        before=_end(problem, before),
        after=_end(problem, after),
        late_before=before.late if before is not None else None,
        late_after=after.late if after is not None else None,
        later=order.later,
    )


def _end(problem: Problem, finish: Finish | None) -> int | None:
    return None if finish is None else problem.utc(finish.end)


def _move(problem: Problem, order_of: dict[str, str], move: Move) -> MoveNews:
    before, after = move.before, move.after
    if before is None or after is None:
        raise ValueError(f"{move.operation} is in one plan only: that is no move")
    return MoveNews(
        operation=move.operation,
        order=order_of.get(move.operation, ""),
        workcell_before=before.machine,
        workcell_after=after.machine,
        start_before=problem.utc(before.start),
        start_after=problem.utc(after.start),
        later=move.later,
    )


def _totals(problem: Problem, totals: Totals) -> PlanTotals:
    return PlanTotals(
        cost=totals.cost,
        orders=totals.orders,
        late_orders=totals.late_orders,
        late_seconds=totals.late_seconds,
        tardiness=totals.objective.weighted_tardiness,
        changeover_seconds=totals.objective.changeover_seconds,
        end=problem.utc(totals.end),
        money=totals.money,
    )
