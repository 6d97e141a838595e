"""What may be asked of the plan: the changes as the page has them in its form, and each in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from cloud.dispatching.asking.changes import (
    CancelledOrder,
    Change,
    ImpossibleChanges,
    MachineDown,
    NewOrder,
    OrderTerms,
    OtherHeads,
    Overtime,
    PinnedOperation,
)
from cloud.orders.products import Product
from cloud.orders.requests import ImpossibleOrder
from cloud.web.sheet import Teller
from cloud.web.speech import Speech

KINDS: Mapping[str, str] = {
    "new_order": "an order comes in",
    "machine_down": "a machine is down",
    "overtime": "overtime",
    "cancelled_order": "an order is cancelled",
    "order_terms": "an order gets another date or priority",
    "other_heads": "more or fewer people",
}
"""What can be asked from the page, as its choice says it."""
MAX_TITLE = 120
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FormError(ValueError):
    """Something in a form is missing or no time; the text is a phrase of the page."""


def moment(text: str | None, zone: ZoneInfo) -> datetime | None:
    """A local time as a browser's field gives it (``2026-11-27T16:00``); None for an empty field."""
    if not text:
        return None
    try:
        local = datetime.fromisoformat(text)
    except ValueError as error:
        raise FormError("a time is not complete") from error
    return local.replace(tzinfo=zone) if local.tzinfo is None else local


def microseconds(when: datetime) -> int:
    """µs UTC."""
    return (when - _EPOCH) // timedelta(microseconds=1)


def field_time(when: datetime, zone: ZoneInfo) -> str:
    """A time as a browser's field wants it."""
    return when.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


def change(kind: str, values: Mapping[str, Any], now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """One change as :class:`~cloud.dispatching.asking.changes.ScenarioRequest` reads it, from a form.

    Raises FormError where the form lacks what the change cannot do without.
    """
    return {"change": kind, **_MADE[kind](values, now, zone)}


def _needed(value: Any, phrase: str) -> Any:
    if value in (None, ""):
        raise FormError(phrase)
    return value


def _span(values: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    end = _needed(moment(values.get("end"), zone), "say until when")
    return {"start": moment(values.get("start"), zone), "end": end}


def _down(values: Mapping[str, Any], now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    hours = float(_needed(values.get("hours"), "say for how many hours"))
    start = moment(values.get("start"), zone)
    return {
        "workcell": _needed(values.get("workcell"), "choose a workcell"),
        "start": start,
        "end": (start or now) + timedelta(hours=hours),
    }


def _terms(values: Mapping[str, Any], _: datetime, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "order": _needed(values.get("order"), "choose an order"),
        "due": moment(values.get("due"), zone),
        "priority": values.get("priority"),
    }


_MADE: Mapping[str, Callable[[Mapping[str, Any], datetime, ZoneInfo], dict[str, Any]]] = {
    "new_order": lambda values, _, zone: {"order": order(values, zone)},
    "machine_down": _down,
    "overtime": lambda values, _, zone: {"workcell": values.get("workcell") or "", **_span(values, zone)},
    "cancelled_order": lambda values, _now, _zone: {"order": _needed(values.get("order"), "choose an order")},
    "order_terms": _terms,
    "other_heads": lambda values, _, zone: {
        "skill": _needed(values.get("skill"), "choose a skill"),
        "heads": int(_needed(values.get("heads"), "say how many heads more or fewer")),
        **_span(values, zone),
    },
}


def lines(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The one line of an order form."""
    return [
        {
            "product": _needed(values.get("product"), "choose a product"),
            "quantity": _needed(values.get("quantity"), "say how many"),
            "parameters": {
                name: value for name, value in values.get("parameters", {}).items() if value not in (None, "")
            },
        }
    ]


def order(values: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """An order as :class:`~cloud.orders.requests.OrderRequest` reads it."""
    return {
        "customer": values.get("customer") or "",
        "due": _needed(moment(values.get("due"), zone), "say by when it is wanted"),
        "priority": values.get("priority") or 1,
        "lines": lines(values),
    }


# --- in words -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shop:
    """Words for what a change is about."""

    teller: Teller
    products: Sequence[Product]

    def product(self, name: str) -> str:
        found = next((product for product in self.products if product.id == name), None)
        return name if found is None else self.teller.say.either(found.title, found.title_zh)

    def span(self, change: MachineDown | Overtime | OtherHeads) -> dict[str, str]:
        start = self.teller.say("now") if change.start is None else self.teller.moment(change.start)
        return {"start": start, "end": self.teller.moment(change.end)}


def change_words(change: Change, shop: Shop) -> str:
    """What a change does, as a sentence without its full stop."""
    return _WORDS[type(change)](change, shop)


def title(changes: Sequence[Change], shop: Shop) -> str:
    """All changes of a question as one title."""
    words = "; ".join(change_words(change, shop) for change in changes)
    return words if len(words) <= MAX_TITLE else f"{words[: MAX_TITLE - 1]}…"


def _new_order(change: NewOrder, shop: Shop) -> str:
    wanted, say = change.order, shop.teller.say
    what = ", ".join(f"{line.quantity} × {shop.product(line.product)}" for line in wanted.lines)
    return say(
        "order comes in: {what}, wanted {due}, priority {priority}",
        what=what,
        due=shop.teller.moment(wanted.due),
        priority=wanted.priority,
    )


def _terms_words(change: OrderTerms, shop: Shop) -> str:
    say, parts = shop.teller.say, []
    if change.due is not None:
        parts.append(say("wanted {due}", due=shop.teller.moment(change.due)))
    if change.priority is not None:
        parts.append(say("priority {priority}", priority=change.priority))
    return say("order {order}: {what}", order=change.order, what=", ".join(parts))


def _overtime_words(change: Overtime, shop: Shop) -> str:
    say = shop.teller.say
    place = shop.teller.title(change.workcell) if change.workcell else say("the whole site")
    return say("{place} works overtime from {start} until {end}", place=place, **shop.span(change))


def _down_words(change: MachineDown, shop: Shop) -> str:
    place = shop.teller.title(change.workcell)
    return shop.teller.say("{place} is down from {start} until {end}", place=place, **shop.span(change))


def _heads_words(change: OtherHeads, shop: Shop) -> str:
    return shop.teller.say(
        "{count} more for {skill} from {start} until {end}"
        if change.heads > 0
        else "{count} fewer for {skill} from {start} until {end}",
        count=abs(change.heads),
        skill=change.skill,
        **shop.span(change),
    )


def _pin_words(change: PinnedOperation, shop: Shop) -> str:
    say, parts = shop.teller.say, [change.operation]
    if change.workcell:
        parts.append(shop.teller.title(change.workcell))
    if change.start is not None:
        parts.append(shop.teller.moment(change.start))
    return say("pinned: {what}", what=" · ".join(parts))


_WORDS: Mapping[type, Callable[[Any, Shop], str]] = {
    NewOrder: _new_order,
    OrderTerms: _terms_words,
    CancelledOrder: lambda change, shop: shop.teller.say("order {order} is cancelled", order=change.order),
    MachineDown: _down_words,
    Overtime: _overtime_words,
    OtherHeads: _heads_words,
    PinnedOperation: _pin_words,
}


FIELDS: Mapping[str, str] = {
    "product": "Product",
    "quantity": "Quantity",
    "due": "Wanted by",
    "by": "Wanted by",
    "priority": "Priority",
    "customer": "Customer",
    "workcell": "Workcell",
    "skill": "Skill",
    "order": "Order",
    "operation": "Operation",
    "start": "Begins",
    "end": "Ends",
    "heads": "How many more (−: fewer)",
}
"""What fields are called on the page; parameters of products have names of their own."""
VALUES: Mapping[str, str] = {
    "missing": "is missing",
    "greater_than": "is not more than {gt}",
    "greater_than_equal": "is less than {ge}",
    "less_than_equal": "is more than {le}",
    "string_too_long": "has more than {max_length} characters",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "decimal_parsing": "is not a number",
    "decimal_type": "is not a number",
}
"""What is wrong with a single value, by the kind of mistake that pydantic finds."""


def refusals(error: ValidationError, say: Speech) -> str:
    """What is wrong with the values of a form, each with its field."""
    # What holds a wrong value is too short without it, says pydantic.
    found = [one for one in error.errors() if one["type"] != "too_short"] or error.errors()
    return "\n".join(
        f"{_field(str(one['loc'][-1]), say)}: {_wrong(one['type'], one['msg'], one.get('ctx', {}), say)}"
        for one in found
    )


def _wrong(kind: str, message: str, limits: Mapping[str, Any], say: Speech) -> str:
    return say(VALUES[kind], **limits) if kind in VALUES else message


def objections(error: ImpossibleChanges | ImpossibleOrder, say: Speech) -> str:
    """Why nobody could make this, each reason with the field that it is about."""
    return "\n".join(
        f"{_field(problem.path.rsplit('.', 1)[-1], say)}: {problem.reason.told(say)}"
        for problem in error.problems
    )


def _field(name: str, say: Speech) -> str:
    return say(FIELDS.get(name, name))
