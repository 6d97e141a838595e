"""What a decision about quality needs beside a click: a disposition and a reason."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from nicegui import ui
from nicegui.elements.mixins.value_element import ValueElement
from sqlalchemy import Connection

from cloud.context import Context
from cloud.hub import OrdersChanged, QualityChanged
from cloud.quality import charts, nonconformances
from cloud.quality.charts import CannotFreeze, UnknownChart
from cloud.quality.nonconformances import CHANGES_COUNTS, TooManyPieces, UnknownNonconformance
from cloud.web.form_dialog import form_dialog
from cloud.web.planning import fields
from cloud.web.planning.asked import FormError
from cloud.web.speech import Speech
from protocols.inspection import Disposition
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import NonconformanceEvent

MAX_REASON = 500


class Decision(NamedTuple):
    """What a person decided: about which chart or nonconformance, and why."""

    target: int
    actor: str
    reason: str
    disposition: str
    now: int
    quantity: Decimal | None = None


class Form(NamedTuple):
    """Its title, its fields in order, what it does, and what is said then."""

    title: str
    fields: tuple[str, ...]
    work: Callable[[Connection, Decision], int]
    done: str


def _freeze(tx: Connection, made: Decision) -> int:
    charts.freeze(tx, made.target, made.actor, made.reason, made.now, f"freeze-{uuid.uuid4().hex}")
    return made.target


def _decide(event: NonconformanceEvent) -> Callable[[Connection, Decision], int]:
    def work(tx: Connection, made: Decision) -> int:
        if event is NonconformanceEvent.DISPOSE and not made.disposition:
            raise FormError("say what is done with the pieces")
        found = nonconformances.advance(
            tx,
            made.target,
            event,
            actor=made.actor,
            now=made.now,
            reason=made.reason,
            command=f"nonconformance-{uuid.uuid4().hex}",
            disposition=Disposition(made.disposition) if made.disposition else None,
            quantity=made.quantity if made.disposition in CHANGES_COUNTS else None,
        )
        return found.chart or 0

    return work


QUALITY_FORMS: dict[str, Form] = {
    "dispose": Form(
        "What is done with the pieces",
        ("disposition", "quantity", "reason"),
        _decide(NonconformanceEvent.DISPOSE),
        "decided: the stations hear of it",
    ),
    "conform": Form(
        "It is done and conforms", ("reason",), _decide(NonconformanceEvent.CLOSE), "closed: work goes on"
    ),
    "hold again": Form(
        "Hold it again", ("reason",), _decide(NonconformanceEvent.REOPEN), "what follows waits again"
    ),
    "withdraw": Form(
        "It was none", ("reason",), _decide(NonconformanceEvent.WITHDRAW), "withdrawn: work goes on"
    ),
    "freeze": Form("Freeze the limits", ("reason",), _freeze, "frozen as a new version"),
}


@dataclass(slots=True, repr=False)
class QualityForm:
    """Made in the current slot, empty until it is asked. ``allowed`` says whether ``user`` may still act."""

    context: Context
    user: str
    allowed: Callable[[], bool]
    say: Speech
    _dialog: ui.dialog = field(init=False)
    _title: ui.label = field(init=False)
    _body: ui.element = field(init=False)
    _wrong: ui.label = field(init=False)
    _fields: dict[str, ValueElement[Any]] = field(default_factory=dict, init=False)
    _form: Form = field(init=False)
    _target: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._dialog, self._title, self._body, self._wrong = form_dialog(self.say, self._submit)

    async def ask(self, act: str, target: str) -> None:
        """Show the form of an act for a chart or a nonconformance, until it is taken or closed."""
        self._form, self._target = QUALITY_FORMS[act], int(target)
        self._title.set_text(self.say(self._form.title))
        self._wrong.set_text("")
        self._body.clear()
        self._fields.clear()
        with self._body, ui.element("div").classes("fields"):
            for name in self._form.fields:
                self._fields[name] = self._field(name)
        await self._dialog

    def _field(self, name: str) -> ValueElement[Any]:
        if name == "disposition":
            options = {each.value: self.say(each.value) for each in Disposition}
            return fields.choice(self.say("Decision"), options)
        if name == "quantity":
            hint = self.say("of rework or scrap; empty: all that are booked as good")
            return fields.number(self.say("Pieces"), None, hint=hint, step=1)
        return fields.text(self.say("Reason"), MAX_REASON)

    async def _submit(self) -> None:
        if not self.allowed():
            return
        values = {name: str(element.value or "").strip() for name, element in self._fields.items()}
        if not values["reason"]:
            self._wrong.set_text(self.say("give a reason: it is kept in the journal"))
            return
        made = Decision(
            self._target,
            self.user,
            values["reason"],
            values.get("disposition", ""),
            self.context.clock.now(),
            Decimal(values["quantity"]) if values.get("quantity") else None,
        )
        try:
            chart = await self.context.database.run(lambda tx: self._form.work(tx, made))
        except (FormError, CannotFreeze, TooManyPieces, IllegalTransitionError) as error:
            self._wrong.set_text(self.say(str(error)))
            return
        except (UnknownChart, UnknownNonconformance):
            self._wrong.set_text(self.say("it is not there any more"))
            return
        self.context.hub.publish(QualityChanged(chart))
        self.context.hub.publish(OrdersChanged())  # pieces may count otherwise now
        ui.notify(self.say(self._form.done))
        self._dialog.submit(None)
