"""What a decision about a model of remaining life needs beside a click: a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from nicegui import ui
from sqlalchemy import Connection

from cloud.context import Context
from cloud.hub import ModelsChanged
from cloud.maintenance.rul.desk import MAX_REASON, ModelDesk
from cloud.maintenance.rul.registry import ModelVersion, NoSuchModelError, NotReadyError
from cloud.web.form_dialog import form_dialog
from cloud.web.planning import fields
from cloud.web.speech import Speech
from protocols.lifecycle import IllegalTransitionError

Work = Callable[[ModelDesk, Connection, str, str, str], ModelVersion]
"""The desk, a transaction, the id of the model, who decides it, why."""


class Form(NamedTuple):
    """Its title, what it does, what is said then, and whether a reason must be given."""

    title: str
    work: Work
    done: str
    reasoned: bool


MODEL_FORMS: dict[str, Form] = {
    "shadow": Form("Try it in shadow", ModelDesk.shadow, "it scores beside the model in use", False),
    "activate": Form("Use this model", ModelDesk.activate, "its lives are those that count", False),
    "roll back": Form(
        "Go back to the model before", ModelDesk.roll_back, "the model before is in use again", True
    ),
    "retire": Form("Take this model out of use", ModelDesk.retire, "it is out of use", True),
}


@dataclass(slots=True, repr=False)
class ModelForm:
    """Made in the current slot, empty until it is asked. ``allowed`` says whether ``user`` may still act."""

    context: Context
    user: str
    allowed: Callable[[], bool]
    say: Speech
    _dialog: ui.dialog = field(init=False)
    _title: ui.label = field(init=False)
    _body: ui.element = field(init=False)
    _wrong: ui.label = field(init=False)
    _reason: ui.input | None = field(default=None, init=False)
    _form: Form = field(init=False)
    _model: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._dialog, self._title, self._body, self._wrong = form_dialog(self.say, self._submit)

    async def ask(self, act: str, model: str) -> None:
        """Show the form of an act for a model, until it is taken or closed."""
        self._form, self._model = MODEL_FORMS[act], model
        self._title.set_text(self.say(self._form.title))
        self._wrong.set_text("")
        self._body.clear()
        with self._body, ui.element("div").classes("fields"):
            self._reason = fields.text(self.say("Reason"), MAX_REASON)
        await self._dialog

    async def _submit(self) -> None:
        if not self.allowed():
            return
        reason = ((self._reason.value if self._reason is not None else "") or "").strip()
        if self._form.reasoned and not reason:
            self._wrong.set_text(self.say("give a reason: it is kept in the journal"))
            return
        desk, model, user, work = self.context.models, self._model, self.user, self._form.work
        try:
            await self.context.database.run(lambda tx: work(desk, tx, model, user, reason))
        except (NoSuchModelError, NotReadyError, IllegalTransitionError) as error:
            self._wrong.set_text(str(error))
            return
        self.context.hub.publish(ModelsChanged())
        ui.notify(self.say(self._form.done))
        self._dialog.submit(None)
