"""What a step of a case needs beside a click: a time, a reason, a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from nicegui import ui
from nicegui.elements.mixins.value_element import ValueElement

from cloud.api.roles import Role
from cloud.context import Context
from cloud.maintenance import cases
from cloud.maintenance.case import MAX_NOTE, Case, Verdict
from cloud.web import acts
from cloud.web.acts import CaseWork
from cloud.web.form_dialog import form_dialog
from cloud.web.maintenance.case_sheet import VERDICTS
from cloud.web.planning import asked, fields
from cloud.web.planning.asked import FormError
from cloud.web.speech import Speech
from protocols.calendar import zone
from protocols.values import MICROSECONDS

Values = Mapping[str, Any]


class Form(NamedTuple):
    """Its title, its fields in order, what it does, and what is said then."""

    title: str
    fields: tuple[str, ...]
    work: Callable[[Values, Any], CaseWork]
    done: str


def _snooze(values: Values, place: Any) -> CaseWork:
    until = _time(values.get("until"), place, "say until when")
    return lambda desk, tx, case, actor: desk.snooze(tx, case, actor, until, values["note"] or "")


def _move(values: Values, place: Any, *, beyond: bool = False) -> CaseWork:
    start = _time(values.get("start"), place, "say when it is to begin")
    note = values["note"] or ""
    return lambda desk, tx, case, actor: desk.move(tx, case, actor, start, note, beyond=beyond)


def _keep(values: Values, _: Any) -> CaseWork:
    return lambda desk, tx, case, actor: desk.keep(tx, case, actor, values["note"] or "")


def _supply(values: Values, place: Any) -> CaseWork:
    parts_at = _time(values.get("parts_at"), place, "say when the parts are there")
    return lambda desk, tx, case, actor: desk.supply(tx, case, actor, parts_at, values["note"] or "")


def _refuse(values: Values, _: Any) -> CaseWork:
    return lambda desk, tx, case, actor: desk.refuse(tx, case, actor, values["note"] or "")


def _judge(values: Values, _: Any) -> CaseWork:
    if not values.get("verdict"):
        raise FormError("say whether the suspicion was true")
    verdict = Verdict(values["verdict"])
    return lambda desk, tx, case, actor: desk.judge(
        tx, case, actor, verdict, values["cause"] or "", values["found"] or ""
    )


def _time(text: str | None, place: Any, missing: str) -> int:
    when = asked.moment(text, place)
    if when is None:
        raise FormError(missing)
    return asked.microseconds(when)


FORMS: dict[str, Form] = {
    "snooze": Form("Remind me later", ("until", "note"), _snooze, "nobody is reminded until then"),
    "keep": Form("Keep it at this time", ("note",), _keep, "every plan keeps it at this time"),
    "move": Form("Move the maintenance", ("start", "note"), _move, "every plan keeps it at this time"),
    "supply": Form("When the parts come", ("parts_at", "note"), _supply, "it is planned from then on"),
    "refuse": Form("Refuse the maintenance order", ("note",), _refuse, "refused: the suspicion stays"),
    "verdict": Form("What came of it", ("verdict", "cause", "found"), _judge, "closed, with its verdict"),
}


FORMS_OF_SUPERVISORS = {**FORMS, "move": FORMS["move"]._replace(work=partial(_move, beyond=True))}


@dataclass(slots=True, repr=False)
class CaseForm:
    """Made in the current slot, empty until it is asked. ``allowed`` says whether ``user`` may still act."""

    context: Context
    user: str
    role: Role
    allowed: Callable[[], bool]
    say: Speech
    _dialog: ui.dialog = field(init=False)
    _title: ui.label = field(init=False)
    _body: ui.element = field(init=False)
    _wrong: ui.label = field(init=False)
    _fields: dict[str, ValueElement[Any]] = field(default_factory=dict, init=False)
    _form: Form = field(init=False)
    _case: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._dialog, self._title, self._body, self._wrong = form_dialog(self.say, self._submit)

    async def ask(self, act: str, case: str) -> None:
        """Show the form of an act for a case, until it is taken or closed."""
        forms = FORMS_OF_SUPERVISORS if self.role is Role.SUPERVISOR else FORMS
        self._form, self._case = forms[act], case
        try:
            found = await self.context.database.query(lambda tx: cases.find(tx, case))
        except cases.NoSuchCaseError:
            ui.notify(self.say("this case is not there any more"))
            return
        self._title.set_text(f"{found.device} · {self.say(self._form.title)}")
        self._wrong.set_text("")
        self._body.clear()
        self._fields.clear()
        with self._body, ui.element("div").classes("fields"):
            for name in self._form.fields:
                self._fields[name] = self._field(name, found)
        await self._dialog

    def _field(self, name: str, case: Case) -> ValueElement[Any]:
        say, place = self.say, zone(self.context.site.calendar)
        now = datetime.fromtimestamp(self.context.clock.now() / MICROSECONDS, place)
        if name == "until":
            later = (now + timedelta(days=1)).replace(minute=0)
            return fields.time(say("Until"), asked.field_time(later, place))
        if name == "start":
            earliest = case.order.fixed or case.order.earliest if case.order is not None else 0
            at = max(earliest / MICROSECONDS, (now + timedelta(hours=1)).timestamp())
            return fields.time(say("Begins"), asked.field_time(datetime.fromtimestamp(at, place), place))
        if name == "parts_at":
            known = case.order.earliest if case.order is not None else 0
            moment = datetime.fromtimestamp(max(known / MICROSECONDS, now.timestamp()), place)
            return fields.time(say("Parts are there"), asked.field_time(moment, place))
        if name == "verdict":
            return fields.choice(say("Verdict"), {v.value: say(words) for v, words in VERDICTS.items()})
        labels = {"note": say("Reason"), "cause": say("Cause"), "found": say("As found")}
        made = fields.text(labels[name], MAX_NOTE)
        made.set_value({"cause": case.cause, "found": case.found}.get(name, ""))
        return made

    async def _submit(self) -> None:
        if not self.allowed():
            return
        values = {name: element.value for name, element in self._fields.items()}
        try:
            work = self._form.work(values, zone(self.context.site.calendar))
        except FormError as error:
            self._wrong.set_text(self.say(str(error)))
            return
        against = await acts.step(self.context, self._case, self.user, work, self.say)
        if against:
            self._wrong.set_text(against)
            return
        ui.notify(self.say(self._form.done))
        self._dialog.submit(None)
