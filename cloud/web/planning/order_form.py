"""The order form: product, parameters, quantity, wanted date, priority. Used wherever an order comes in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from nicegui import events, ui
from nicegui.elements.mixins.value_element import ValueElement

from cloud.orders.products import Parameter, Product
from cloud.orders.routing import SYMBOLS
from cloud.web.planning import fields
from cloud.web.planning.asked import field_time
from cloud.web.speech import Speech
from protocols.values import MICROSECONDS

PRIORITIES = 10
RUSH = 10
"""Priority of an order that somebody asks about: it is in a hurry, or they would not ask."""


@dataclass(slots=True)
class OrderForm:
    """Made in the current slot. ``values`` are what :mod:`cloud.web.planning.asked` reads."""

    products: Sequence[Product]
    say: Speech
    now: datetime
    zone: ZoneInfo
    priority: int = RUSH
    _fields: dict[str, ValueElement[Any]] = field(default_factory=dict, init=False)
    _parameters: dict[str, ValueElement[Any]] = field(default_factory=dict, init=False)
    _grid: ui.element = field(init=False)

    def __post_init__(self) -> None:
        say = self.say
        titles = {product.id: say.either(product.title, product.title_zh) for product in self.products}
        first = next(iter(titles), None)
        wanted = (self.now + timedelta(days=1)).replace(minute=0)
        with ui.element("div").classes("fields"):
            self._fields["product"] = fields.choice(say("Product"), titles, first, self._chosen)
            self._fields["quantity"] = fields.number(say("Quantity"), 1, step=1)
            self._fields["due"] = fields.time(say("Wanted by"), field_time(wanted, self.zone))
            steps = {number: str(number) for number in range(1, PRIORITIES + 1)}
            steps[1], steps[PRIORITIES] = say("1 ordinary"), say("10 most urgent")
            self._fields["priority"] = fields.choice(say("Priority"), steps, self.priority)
            self._fields["customer"] = fields.text(say("Customer"), 120)
        self._grid = ui.element("div").classes("fields")
        self._build_parameters(first)

    @property
    def values(self) -> dict[str, Any]:
        """What stands in the form."""
        found = {name: field.value for name, field in self._fields.items()}
        return {**found, "parameters": {name: field.value for name, field in self._parameters.items()}}

    def promise(self, at: int) -> None:
        """Put a date (µs UTC) into the form, not before it: the field knows minutes only."""
        minutes = -(-at // (60 * MICROSECONDS)) * 60
        self._fields["due"].set_value(field_time(datetime.fromtimestamp(minutes, self.zone), self.zone))

    def _chosen(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._build_parameters(event.value)

    def _build_parameters(self, product: str | None) -> None:
        self._grid.clear()
        self._parameters.clear()
        found = next((one for one in self.products if one.id == product), None)
        if found is None:
            return
        with self._grid:
            for name, parameter in found.parameters.items():
                self._parameters[name] = self._field(name, parameter)

    def _field(self, name: str, parameter: Parameter) -> ValueElement[Any]:
        say = self.say
        label = say.either(parameter.title, parameter.title_zh) or name
        if parameter.type == "choice":
            options = {choice: say.code(parameter.labels, choice) for choice in parameter.choices}
            return fields.choice(label, options, parameter.default)
        unit = SYMBOLS.get(parameter.unit, parameter.unit)
        return fields.number(
            f"{label} ({unit})" if unit else label,
            None if parameter.default is None else float(parameter.default),
            hint=" – ".join(f"{limit}" for limit in (parameter.min, parameter.max) if limit is not None),
            step=None if parameter.step is None else float(parameter.step),
        )
