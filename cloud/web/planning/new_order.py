"""The sheet in which an order is taken in, with what can be promised for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from nicegui import ui
from pydantic import ValidationError

from cloud.context import Context
from cloud.hub import OrdersChanged
from cloud.orders.requests import ImpossibleOrder, OrderRequest
from cloud.web.planning import asked
from cloud.web.planning.asked import FormError
from cloud.web.planning.order_form import OrderForm
from cloud.web.planning.promise_button import PromiseButton
from cloud.web.speech import Speech
from protocols.calendar import zone
from protocols.values import MICROSECONDS


@dataclass(slots=True, repr=False)
class NewOrderSheet:
    """Made in the current slot, empty until it is opened. ``allowed`` says whether ``user`` may still act."""

    context: Context
    user: str
    allowed: Callable[[], bool]
    say: Speech
    _dialog: ui.dialog = field(init=False)
    _body: ui.element = field(init=False)
    _form: OrderForm | None = field(default=None, init=False)
    _wrong: ui.label | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        with ui.dialog() as self._dialog, ui.card().classes("sheet whatif"):
            with ui.element("div").classes("choose"):
                ui.label(self.say("New order")).classes("title fill")
                ui.button("✕", on_click=self._dialog.close).props(
                    f'flat dense aria-label="{self.say("close this")}"'
                )
            self._body = ui.element("div").classes("content")

    def open(self) -> None:
        """Show an empty form."""
        place = zone(self.context.site.calendar)
        now = datetime.fromtimestamp(self.context.clock.now() / MICROSECONDS, place)
        self._body.clear()
        with self._body:
            self._form = OrderForm(self.context.products, self.say, now, place, priority=1)
            PromiseButton(self.context, self._form, self.user, self.allowed, self.say)
            self._wrong = ui.label("").classes("wrong").props('role="alert"')
            with ui.element("div").classes("acts"):
                ui.button(self.say("take it in"), on_click=self._take).props("unelevated no-caps")
        self._dialog.open()

    async def _take(self) -> None:
        if self._form is None or self._wrong is None or not self.allowed():
            return
        try:
            place = zone(self.context.site.calendar)
            request = OrderRequest.model_validate(asked.order(self._form.values, place))
            create = partial(self.context.desk.create, request=request, actor=self.user)
            made = await self.context.database.run(create)
        except FormError as error:
            self._wrong.set_text(self.say(str(error)))
        except ValidationError as error:
            self._wrong.set_text(asked.refusals(error, self.say))
        except ImpossibleOrder as error:
            self._wrong.set_text(asked.objections(error, self.say))
        else:
            self.context.hub.publish(OrdersChanged())
            self._dialog.close()
            ui.notify(self.say("order {order} is taken in: it is planned anew", order=made))
