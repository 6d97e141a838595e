"""A comparison in words, the news that matters most first. Everything that speaks of one uses these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cloud.dispatching.questions.comparison import Comparison, Fate, OrderDifference
from cloud.dispatching.questions.durations import words

NAMED = 5
"""Orders that a sentence names; the others it counts."""

When = Callable[[int], str]
"""How a time of the problem is told: a clock time, or how far it is from now."""


def sentences(comparison: Comparison, when: When) -> tuple[str, ...]:
    """What a supervisor should know, each in one sentence, the most important first."""
    return tuple(_told(comparison, when))


def _told(comparison: Comparison, when: When) -> Iterator[str]:
    by_fate: dict[Fate, list[OrderDifference]] = {}
    for order in comparison.orders:
        by_fate.setdefault(order.fate, []).append(order)
    for order in (*by_fate.get(Fate.ADDED_LATE, ()), *by_fate.get(Fate.ADDED, ())):
        yield _added(order, when)
    for fate, one, many in (
        (Fate.BECOMES_LATE, "becomes late", "become late"),
        (Fate.LATER_STILL, "is later still", "are later still"),
    ):
        if found := by_fate.get(fate):
            yield _counted(found, one, many, lambda o: f"by {words(o.later_late)}")
    if not comparison.hurt:
        yield "No order becomes late, and none later than it is."
    for fate, one, many in (
        (Fate.IN_TIME_AGAIN, "is in time again", "are in time again"),
        (Fate.LESS_LATE, "is less late", "are less late"),
    ):
        if found := by_fate.get(fate):
            yield _counted(found, one, many, lambda o: f"by {words(-o.later_late)}")
    if found := by_fate.get(Fate.CANCELLED):
        yield _counted(found, "falls away", "fall away", lambda _: "")
    if found := by_fate.get(Fate.ENDS_LATER):
        yield _counted(found, "ends later, not late", "end later, not late", lambda o: f"by {words(o.later)}")
    yield _moves(comparison)
    yield from _sums(comparison)


def _added(order: OrderDifference, when: When) -> str:
    if order.after is None:
        raise ValueError(f"order {order.order} is added, but has no end")
    end = f"Order {order.order} ends {when(order.after.end)}"
    if order.after.due is None:
        return f"{end}; it has no due date."
    if order.after.late:
        return f"{end}, {words(order.after.late)} late."
    return f"{end}, {words(order.after.due - order.after.end)} before its due date."


def _counted(
    orders: Sequence[OrderDifference], one: str, many: str, extent: Callable[[OrderDifference], str]
) -> str:
    named = [f"{order.order} {extent(order)}".strip() for order in orders[:NAMED]]
    if len(orders) == 1:
        return f"Order {orders[0].order} {one} {extent(orders[0])}".strip() + "."
    more = f" and {len(orders) - NAMED} more" if len(orders) > NAMED else ""
    return f"{len(orders)} orders {many}: {', '.join(named)}{more}."


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
        yield f"The plan costs {abs(dearer)} {'more' if dearer > 0 else 'less'}{share}."
