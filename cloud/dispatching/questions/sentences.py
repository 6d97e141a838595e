"""A comparison in words, the news that matters most first. Everything that speaks of one uses these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from cloud.dispatching.questions.comparison import Comparison, Fate, OrderDifference
from cloud.dispatching.questions.durations import words
from cloud.dispatching.shop.money import Lack, Money, Part

NAMED = 5
"""Orders that a sentence names; the others it counts."""

When = Callable[[int], str]
"""How a time of the problem is told: a clock time, or how far it is from now."""


def sentences(comparison: Comparison, when: When) -> tuple[str, ...]:
    """What a supervisor should know, each in one sentence, the most important first."""
    return tuple(_told(comparison, when))


class _Saying(NamedTuple):
    """How the orders of one fate are told: one with its extent, several with one each, and what that is."""

    one: str
    many: str
    extent: Callable[[OrderDifference], int]


def _later_late(order: OrderDifference) -> int:
    return order.later_late


def _less_late(order: OrderDifference) -> int:
    return -order.later_late


def _later(order: OrderDifference) -> int:
    return order.later


_HURT = {
    Fate.BECOMES_LATE: _Saying("becomes late by {}", "become late", _later_late),
    Fate.LATER_STILL: _Saying("is late and becomes later by {}", "are late and become later", _later_late),
}
_OTHERS = {
    Fate.IN_TIME_AGAIN: _Saying("is in time, and no longer {} late", "are in time again", _less_late),
    Fate.LESS_LATE: _Saying("is less late by {}", "are less late", _less_late),
    Fate.CANCELLED: _Saying("falls away", "fall away", lambda _: 0),
    Fate.ENDS_LATER: _Saying("ends {} later, but not late", "end later, but not late", _later),
}


def _told(comparison: Comparison, when: When) -> Iterator[str]:
    by_fate: dict[Fate, list[OrderDifference]] = {}
    for order in comparison.orders:
        by_fate.setdefault(order.fate, []).append(order)
    for order in (*by_fate.get(Fate.ADDED_LATE, ()), *by_fate.get(Fate.ADDED, ())):
        yield _added(order, when)
    if not comparison.hurt:
        yield "No order becomes late, and none later than it is."
    for fate, saying in (_HURT | _OTHERS).items():
        if found := by_fate.get(fate):
            yield _counted(found, saying)
    yield _moves(comparison)
    yield from _sums(comparison)
    yield from _money(comparison)


def _added(order: OrderDifference, when: When) -> str:
    if order.after is None:
        raise ValueError(f"order {order.order} is added, but has no end")
    end = f"Order {order.order} ends {when(order.after.end)}"
    if order.after.due is None:
        return f"{end}; it has no due date."
    if order.after.late:
        return f"{end}, {words(order.after.late)} late."
    early = order.after.due - order.after.end
    return f"{end}, {words(early)} before its due date." if early else f"{end}, just in time."


def _counted(orders: Sequence[OrderDifference], saying: _Saying) -> str:
    if len(orders) == 1:
        return f"Order {orders[0].order} {saying.one.format(words(saying.extent(orders[0])))}."
    named = [
        f"{order.order} by {words(extent)}" if (extent := saying.extent(order)) else order.order
        for order in orders[:NAMED]
    ]
    more = f" and {len(orders) - NAMED} more" if len(orders) > NAMED else ""
    return f"{len(orders)} orders {saying.many}: {', '.join(named)}{more}."


def _moves(comparison: Comparison) -> str:
    if not comparison.moves:
        return f"None of the {comparison.movable} operations that could move does."
    elsewhere = sum(
        move.before is not None and move.after is not None and move.before.machine != move.after.machine
        for move in comparison.moves
    )
    return (
        f"{len(comparison.moves)} of {comparison.movable} operations that can move do "
        f"({100 * comparison.moved_share:.1f} %), {elsewhere} of them to another machine."
    )


def _sums(comparison: Comparison) -> Iterator[str]:
    before, after = comparison.before.objective, comparison.after.objective
    changeover = after.changeover_seconds - before.changeover_seconds
    if changeover:
        yield f"Changeovers take {words(abs(changeover))} {'more' if changeover > 0 else 'less'}."
    late = comparison.after.late_seconds - comparison.before.late_seconds
    if late:
        yield (
            f"All orders together are {words(abs(late))} {'later' if late > 0 else 'less late'}: "
            f"{comparison.after.late_orders} late instead of {comparison.before.late_orders}."
        )
    end = comparison.after.end - comparison.before.end
    if end:
        yield f"All work ends {words(abs(end))} {'later' if end > 0 else 'earlier'}."
    dearer = comparison.after.cost - comparison.before.cost
    if dearer:
        was = abs(comparison.before.cost)
        share = f" ({100 * abs(dearer) / was:.1f} %)" if was else ""
        yield f"The weighted cost is {abs(dearer)} {'more' if dearer > 0 else 'less'}{share}."


def _money(comparison: Comparison) -> Iterator[str]:
    before, after = comparison.before.money, comparison.after.money
    if before is not None and after is not None:
        yield _dearer(before, after)
    if comparison.lacks:
        rates = ", ".join(map(_rate, comparison.lacks))
        yield (
            f"No cost in money is told before there are rates: fill in {rates}."
            if after is None
            else f"The cost leaves out what has no rate: {rates}."
        )


def _dearer(before: Money, after: Money) -> str:
    change = after.total - before.total
    if not change:
        return f"It costs as much as before: {amount(after.total)} {after.currency}."
    parts = [
        f"{part} {signed_amount(difference)}"
        for part in Part
        if (difference := after.part(part) - before.part(part))
    ]
    more = "more" if change > 0 else "less"
    return f"It costs {amount(abs(change))} {after.currency} {more}: {', '.join(parts)}."


def _rate(lack: Lack) -> str:
    if not lack.names:
        return str(lack.rate)
    more = f" and {len(lack.names) - NAMED} more" if len(lack.names) > NAMED else ""
    return f"{lack.rate} of {', '.join(lack.names[:NAMED])}{more}"


def amount(money: Decimal) -> str:
    """An amount without its currency: ``1,234.50``."""
    return f"{money:,.2f}".replace("-", "−")


def signed_amount(money: Decimal) -> str:
    """A difference with its sign: ``+12.50``, ``−3.00``."""
    return f"{'+' if money > 0 else ''}{amount(money)}" if money else "±0"
