"""What can we promise? The answer as a person would say it: the date that hurts nobody first. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from cloud.dispatching.asking.forecast import PromiseAnswer, PromisedEnd
from cloud.dispatching.asking.told import OrderNews
from cloud.web.planning.compared import NAMED, later_late
from cloud.web.sheet import Teller
from cloud.web.words import span


def sentences(answer: PromiseAnswer, wanted: int | None, t: Teller) -> list[str]:
    """What can be promised for an order that is ``wanted`` by then (µs UTC), the date to promise first."""
    return list(_told(answer, wanted, t))


def _told(answer: PromiseAnswer, wanted: int | None, t: Teller) -> Iterator[str]:
    if answer.earliest is None:
        yield t.say("no gap was found for it: others must move")
    else:
        yield t.say("earliest without hurting anybody: {time}", time=t.time(answer.earliest))
        if answer.allowance is not None:
            yield t.say(
                "it ends by {time} nine times out of ten: a date to promise", time=t.time(answer.allowance)
            )
    if wanted is not None:
        yield from _wanted(answer, wanted, t)
    if answer.moving is not None and (answer.earliest is None or answer.moving.end < answer.earliest):
        yield t.say(
            "{time} if others may move as its priority earns it: {hurt}",
            time=t.time(answer.moving.end),
            hurt=_hurt(answer.moving, t),
        )


def _wanted(answer: PromiseAnswer, wanted: int, t: Teller) -> Iterator[str]:
    safe = answer.allowance if answer.allowance is not None else answer.earliest
    if safe is not None and wanted >= safe:
        yield t.say("✓ the wanted date {time} can be promised, and nobody is hurt", time=t.time(wanted))
        return
    if answer.earliest is not None and wanted >= answer.earliest:
        yield t.say("△ the wanted date {time} is possible, but without reserve", time=t.time(wanted))
        return
    if answer.by is None:
        return
    yield t.say(
        "▲ the wanted date {time} can be kept: {hurt}"
        if answer.kept
        else "✕ the wanted date {time} cannot be kept, it would end {end}: {hurt}",
        time=t.time(wanted),
        end=t.time(answer.by.end),
        hurt=_hurt(answer.by, t),
    )


def _hurt(plan: PromisedEnd, t: Teller) -> str:
    """Who is later because of it, and by how much."""
    orders = {order.order: order for order in plan.comparison.orders}
    hurt = [orders[name] for name in plan.hurt if name in orders]
    if not hurt:
        return t.say("nobody is hurt")
    named = ", ".join(_by(order, t) for order in hurt[:NAMED])
    more = t.say(" and {more} more", more=len(hurt) - NAMED) if len(hurt) > NAMED else ""
    return t.say("later than promised become {orders}", orders=named + more)


def _by(order: OrderNews, t: Teller) -> str:
    return t.say("{order} by {time}", order=order.order, time=span(later_late(order)))
