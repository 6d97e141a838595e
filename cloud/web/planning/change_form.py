"""The form of one change: what kind, and the fields of that kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from nicegui import events, ui
from nicegui.elements.mixins.value_element import ValueElement

from cloud.context import Context
from cloud.web.planning import asked, fields
from cloud.web.planning.order_form import OrderForm
from cloud.web.speech import Speech


@dataclass(slots=True)
class ChangeForm:
    """Made in the current slot. ``orders`` are the ids of open orders; ``beside`` adds to an order's form."""

    context: Context
    say: Speech
    orders: list[str]
    now: datetime
    zone: ZoneInfo
    beside: Callable[[OrderForm], None] | None = None
    _kind: ui.select = field(init=False)
    _body: ui.element = field(init=False)
    _order: OrderForm | None = field(default=None, init=False)
    _fields: dict[str, ValueElement[Any]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        kinds = {kind: self.say(words) for kind, words in asked.KINDS.items()}
        if not self.context.site.crew:
            del kinds["other_heads"]
        first = next(iter(kinds))
        self._kind = fields.choice(self.say("What if …"), kinds, first, self._chosen).classes("kind")
        self._body = ui.element("div").classes("change-body")
        self._build(first)

    def change(self) -> dict[str, Any]:
        """The change that stands in the form; raises FormError."""
        kind = str(self._kind.value)
        values = self._order.values if self._order is not None else self._values()
        return asked.change(kind, values, datetime.now(self.zone), self.zone)

    def _values(self) -> dict[str, Any]:
        return {name: field.value for name, field in self._fields.items()}

    def _chosen(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._build(str(event.value))

    def _build(self, kind: str) -> None:
        self._body.clear()
        self._fields.clear()
        self._order = None
        with self._body:
            if kind == "new_order":
                self._order = OrderForm(self.context.products, self.say, self.now, self.zone)
                if self.beside is not None:
                    self.beside(self._order)
                return
            with ui.element("div").classes("fields"):
                for name in _FIELDS[kind]:
                    self._fields[name] = self._field(name, kind)

    def _field(self, name: str, kind: str) -> ValueElement[Any]:
        say = self.say
        if name == "workcell":
            cells = {cell.id: say.title(cell) for cell in self.context.site.workcells().values()}
            if kind == "overtime":
                return fields.choice(say("Workcell"), {"": say("all workcells"), **cells}, "")
            return fields.choice(say("Workcell"), cells, next(iter(cells), None))
        if name == "order":
            return fields.choice(say("Order"), {order: order for order in self.orders})
        if name == "skill":
            skills = {skill: skill for skill in self.context.site.crew}
            return fields.choice(say("Skill"), skills, next(iter(skills), None))
        if name == "heads":
            return fields.number(say("How many more (−: fewer)"), 1, step=1)
        if name == "hours":
            return fields.number(say("For how many hours"), 4, step=0.25)
        if name == "priority":
            return fields.choice(say("Priority"), {n: str(n) for n in range(1, 11)})
        if name == "due":
            return fields.time(say("Wanted by"))
        if name == "end":
            return fields.time(say("Until"), asked.field_time(self.now + timedelta(hours=4), self.zone))
        return fields.time(say("From (empty: now)"))


_FIELDS: Mapping[str, tuple[str, ...]] = {
    "machine_down": ("workcell", "start", "hours"),
    "overtime": ("workcell", "start", "end"),
    "cancelled_order": ("order",),
    "order_terms": ("order", "due", "priority"),
    "other_heads": ("skill", "heads", "start", "end"),
}
"""Fields of each kind of change; an order that comes in has a form of its own."""
