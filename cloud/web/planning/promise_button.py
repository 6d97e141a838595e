"""The button *earliest date* beside an order's form, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

from nicegui import ui
from pydantic import ValidationError

from cloud.context import Context
from cloud.dispatching.asking.changes import ImpossibleChanges
from cloud.dispatching.asking.forecast import PromiseRequest
from cloud.dispatching.asking.turns import BusyError
from cloud.dispatching.shop.validation import ImpossibleProblem
from cloud.web.planning import asked, promised
from cloud.web.planning.asked import FormError
from cloud.web.planning.order_form import OrderForm
from cloud.web.sheet import Teller
from cloud.web.speech import Speech
from protocols.calendar import zone

_SHORT = 10
"""Seconds that an answer usually takes, for who waits."""


@dataclass(slots=True, repr=False)
class PromiseButton:
    """Made in the current slot, beside ``form``. ``allowed`` says whether ``user`` may still ask."""

    context: Context
    form: OrderForm
    user: str
    allowed: Callable[[], bool]
    say: Speech
    _button: ui.button = field(init=False)
    _found: ui.html = field(init=False)
    _take: ui.element = field(init=False)

    def __post_init__(self) -> None:
        with ui.element("div").classes("acts"):
            self._button = ui.button(self.say("earliest date"), on_click=self._ask).props(
                "outline no-caps dense"
            )
            self._take = ui.element("div")
        self._found = ui.html("", sanitize=False).props('aria-live="polite"')

    async def _ask(self) -> None:
        if not self.allowed():
            return
        self._take.clear()
        try:
            wanted = asked.moment(self.form.values.get("due"), zone(self.context.site.calendar))
            request = PromiseRequest.model_validate(
                {
                    "lines": asked.lines(self.form.values),
                    "priority": self.form.values.get("priority") or 1,
                    "by": wanted,
                }
            )
        except FormError as error:
            self._say(self.say(str(error)), wrong=True)
            return
        except ValidationError as error:
            self._say(asked.refusals(error, self.say), wrong=True)
            return
        self._say(self.say("looking for gaps in the plan: about {seconds} s …", seconds=_SHORT))
        self._button.disable()
        try:
            answer = await self.context.forecasts.promise(request, self.user)
        except ImpossibleChanges as error:
            self._say(asked.objections(error, self.say), wrong=True)
            return
        except BusyError as error:
            self._say(error.reason.told(self.say), wrong=True)
            return
        except ImpossibleProblem as error:
            self._say(str(error), wrong=True)
            return
        finally:
            self._button.enable()
        if self._found.is_deleted:
            return  # somebody went on to another form meanwhile
        teller = Teller(self.context.site, self.context.clock.now(), self.say)
        by = None if wanted is None else asked.microseconds(wanted)
        first, *more = promised.sentences(answer, by, teller)
        news = "".join(f"<li>{escape(line)}</li>" for line in more)
        self._found.set_content(f'<p class="headline">{escape(first)}</p><ul class="news">{news}</ul>')
        date = answer.allowance or answer.earliest
        if date is not None:
            with self._take:
                words = self.say("take {time} as its date", time=teller.time(date))
                ui.button(words, on_click=lambda: self.form.promise(date)).props("outline no-caps dense")

    def _say(self, text: str, *, wrong: bool = False) -> None:
        kind = "wrong" if wrong else "ok"
        self._found.set_content(f'<p class="{kind}">{escape(text)}</p>')
