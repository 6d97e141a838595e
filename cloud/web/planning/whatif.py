"""*What if?* The sheet in which changes are chosen and asked; its answer gets better while one looks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from html import escape

from nicegui import ui
from pydantic import ValidationError

from cloud.api.roles import Role
from cloud.context import Context
from cloud.dispatching.asking.changes import Change, ImpossibleChanges, ScenarioRequest
from cloud.dispatching.asking.scenarios import (
    OPEN,
    NoLongerPossible,
    ScenarioAnswer,
    ScenarioHead,
    ScenarioState,
    UnknownScenario,
)
from cloud.dispatching.asking.turns import BusyError
from cloud.dispatching.keeping import outlook
from cloud.dispatching.shop.validation import ImpossibleProblem
from cloud.web.planning import asked, compared
from cloud.web.planning.asked import FormError, Shop
from cloud.web.planning.change_form import ChangeForm
from cloud.web.planning.order_form import OrderForm
from cloud.web.planning.promise_button import PromiseButton
from cloud.web.sheet import Teller
from cloud.web.speech import Speech
from cloud.web.words import ago
from protocols.calendar import zone
from protocols.values import MICROSECONDS

EVERY = 1.0
"""Seconds between two looks at an answer that is being improved."""
SELDOM = 10
"""Looks of which one is taken once nothing gets better any more: the plan may still change."""
BUTTON = "outline no-caps dense"


@dataclass(slots=True, repr=False)
class WhatIf:
    """Made in the current slot, empty until it is opened. Who is no supervisor may look at what was asked.

    ``allowed`` says whether the person may still do what the role allows.
    """

    context: Context
    role: Role
    user: str
    allowed: Callable[[], bool]
    say: Speech
    _dialog: ui.dialog = field(init=False)
    _title: ui.label = field(init=False)
    _body: ui.element = field(init=False)
    _timer: ui.timer = field(init=False)
    _form: ChangeForm | None = field(default=None, init=False)
    _added: list[Change] = field(default_factory=list, init=False)
    _list: ui.element | None = field(default=None, init=False)
    _wrong: ui.label | None = field(default=None, init=False)
    _shown: str = field(default="", init=False)
    """The scenario that is looked at."""
    _sent: str = field(default="", init=False)
    _comparison: ui.html | None = field(default=None, init=False)
    _progress: ui.label | None = field(default=None, init=False)
    _bar: ui.element | None = field(default=None, init=False)
    _acts: ui.element | None = field(default=None, init=False)
    _looks: int = field(default=0, init=False)
    _state: ScenarioState | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        with ui.dialog() as self._dialog, ui.card().classes("sheet whatif"):
            with ui.element("div").classes("choose"):
                self._title = ui.label(self.say("What if?")).classes("title fill")
                ui.button("✕", on_click=self._dialog.close).props(
                    f'flat dense aria-label="{self.say("close this")}"'
                )
            self._body = ui.element("div").classes("content")
            self._timer = ui.timer(EVERY, self._again, active=False)
        self._dialog.on_value_change(self._opened)

    @property
    def _shop(self) -> Shop:
        return Shop(Teller(self.context.site, self.context.clock.now(), self.say), self.context.products)

    def _opened(self) -> None:
        self._timer.active = bool(self._dialog.value) and bool(self._shown)

    async def open(self) -> None:
        """Show the sheet: what was asked last, else the form."""
        self._dialog.open()
        if not await self._look(self._shown):
            await self._ask_for_changes()

    # --- choosing ---------------------------------------------------------------------------------------

    async def _ask_for_changes(self) -> None:
        self._shown, self._timer.active = "", False
        self._body.clear()
        orders = await self.context.database.query(lambda tx: outlook.orders(tx, open_only=True))
        known = await self.context.scenarios.heads()
        place = zone(self.context.site.calendar)
        now = datetime.fromtimestamp(self.context.clock.now() / MICROSECONDS, place)
        with self._body:
            if self.role is Role.SUPERVISOR:
                names = [order.id for order in orders]
                self._form = ChangeForm(self.context, self.say, names, now, place, self._promise)
                self._list = ui.element("ul").classes("news")
                self._wrong = ui.label("").classes("wrong").props('role="alert"')
                with ui.element("div").classes("acts"):
                    ui.button(self.say("ask"), on_click=self._ask).props("unelevated no-caps")
                    ui.button(self.say("and also …"), on_click=self._add).props(BUTTON)
                self._show_added()
            self._build_known(known)

    def _build_known(self, known: list[ScenarioHead]) -> None:
        ui.html(f"<h3>{escape(self.say('Asked lately'))}</h3>", sanitize=False)
        if not known:
            ui.label(self.say("nobody has asked lately")).classes("ok")
        for head in known:
            with ui.element("div").classes("need"):
                with ui.element("div").classes("fill"):
                    ui.label(head.title)
                    age = ago((self.context.clock.now() - head.asked) / MICROSECONDS)
                    over = head.state is ScenarioState.FINISHED
                    state = self.say("answered") if over else self.say(str(head.state))
                    words = self.say("{actor}, {age} ago, {state}", actor=head.actor, age=age, state=state)
                    ui.label(words).classes("detail")
                ui.button(self.say("look"), on_click=lambda name=head.id: self._look(name)).props(
                    "flat dense no-caps"
                )

    def _read_form(self) -> Change | None:
        """The change in the form; None where it says what is wrong with it."""
        assert self._form is not None  # noqa: S101 - only there for who may ask
        try:
            request = ScenarioRequest.model_validate({"changes": [self._form.change()]})
        except FormError as error:
            self._say_wrong(self.say(str(error)))
            return None
        except ValidationError as error:
            self._say_wrong(asked.refusals(error, self.say))
            return None
        self._say_wrong("")
        return request.changes[0]

    def _promise(self, form: OrderForm) -> None:
        PromiseButton(self.context, form, self.user, self.allowed, self.say)

    def _say_wrong(self, text: str) -> None:
        if self._wrong is not None:
            self._wrong.set_text(text)

    def _add(self) -> None:
        change = self._read_form()
        if change is not None:
            self._added.append(change)
            self._show_added()

    def _drop(self, number: int) -> None:
        del self._added[number]
        self._show_added()

    def _show_added(self) -> None:
        assert self._list is not None  # noqa: S101 - built with the form
        self._list.clear()
        with self._list:
            for number, change in enumerate(self._added):
                with ui.element("li"):
                    ui.label(asked.change_words(change, self._shop)).classes("inline")
                    ui.button("✕", on_click=lambda at=number: self._drop(at)).props(
                        f'flat dense size=sm aria-label="{self.say("leave this out")}"'
                    )

    async def _ask(self) -> None:
        change = self._read_form()
        if change is None or not self.allowed():
            return
        changes = (*self._added, change)
        request = ScenarioRequest(title=asked.title(changes, self._shop), changes=changes)
        try:
            answer = await self.context.scenarios.ask(request, self.user)
        except ImpossibleChanges as error:
            self._say_wrong(asked.objections(error, self.say))
        except BusyError as error:
            self._say_wrong(error.reason.told(self.say))
        except ImpossibleProblem as error:
            self._say_wrong(str(error))
        else:
            self._added = []
            self._show(answer)

    # --- the answer -------------------------------------------------------------------------------------

    async def _look(self, scenario: str) -> bool:
        if not scenario:
            return False
        try:
            answer = await self.context.scenarios.answer(scenario)
        except UnknownScenario:
            return False
        self._show(answer)
        return True

    def _show(self, answer: ScenarioAnswer) -> None:
        """Build the view of an answer; what changes in it later is only set."""
        self._shown, self._sent, self._state = answer.id, "", None
        self._body.clear()
        with self._body:
            ui.label(self.say("What if: {title}", title=answer.title)).classes("asked")
            self._comparison = ui.html("", sanitize=False).props('aria-live="polite"')
            with ui.element("div").classes("search"):
                self._progress = ui.label("").classes("ok")
                with ui.element("div").classes("bar"):
                    self._bar = ui.element("div")
            self._acts = ui.element("div").classes("acts")
        self._refresh(answer)
        self._timer.active = True

    def _refresh(self, answer: ScenarioAnswer) -> None:
        if self._comparison is None or self._progress is None or self._bar is None:
            return
        most = self.context.config.dispatch.scenario_seconds
        drawn = compared.html(answer, self._shop.teller)
        if drawn != self._sent:
            self._sent = drawn
            self._comparison.set_content(drawn)
        self._progress.set_text(compared.progress(answer, most, self.say))
        self._bar.style(f"width: {100 * compared.share(answer, most):.0f}%")
        before, self._state = self._state, answer.state
        accepted = answer.state is ScenarioState.ACCEPTED
        if before is None or accepted != (before is ScenarioState.ACCEPTED):
            self._build_acts(accepted)

    async def _again(self) -> None:
        """Look again: each second while it gets better, now and then afterwards."""
        self._looks += 1
        if self._state not in OPEN and self._looks % SELDOM:
            return
        try:
            answer = await self.context.scenarios.answer(self._shown)
        except UnknownScenario:
            await self._ask_for_changes()
            return
        if answer.id == self._shown:
            self._refresh(answer)

    def _build_acts(self, accepted: bool) -> None:
        assert self._acts is not None  # noqa: S101 - built with the answer
        self._acts.clear()
        with self._acts:
            if self.role is Role.SUPERVISOR and not accepted:
                ui.button(self.say("accept …"), on_click=self._confirm).props("unelevated no-caps")
                ui.button(self.say("discard"), on_click=self._discard).props(BUTTON)
            ui.button(self.say("ask something else"), on_click=self._ask_for_changes).props(BUTTON)

    # --- deciding ---------------------------------------------------------------------------------------

    async def _confirm(self) -> None:
        """Say what accepting will do, and ask once more."""
        assert self._acts is not None  # noqa: S101 - built with the answer
        try:
            request = self.context.scenarios.request(self._shown)
        except UnknownScenario:
            await self._ask_for_changes()
            return
        changes = [asked.change_words(change, self._shop) for change in request.changes]
        self._acts.clear()
        listed = "".join(f"<li>{escape(words)}</li>" for words in changes)
        first = self.say("This will be done for good:")
        after = self.say(
            "Then it is planned anew from this plan. Work that runs stays, and what stations hold moves only "
            "after they gave it back."
        )
        with self._acts, ui.element("div").classes("confirm").props('role="alertdialog"'):
            ui.html(
                f"<p>{escape(first)}</p><ul>{listed}</ul><p>{escape(after)}</p>",
                sanitize=False,
            )
            ui.button(self.say("do it"), on_click=self._accept).props("unelevated no-caps autofocus")
            ui.button(self.say("not now"), on_click=lambda: self._look(self._shown)).props(BUTTON)

    async def _accept(self) -> None:
        if not self.allowed():
            return
        try:
            answer = await self.context.scenarios.accept(self._shown, self.user)
        except (NoLongerPossible, UnknownScenario) as error:
            ui.notify(error.reason.told(self.say), type="negative", close_button=True, timeout=0)
            return
        self._refresh(answer)

    async def _discard(self) -> None:
        if not self.allowed():
            return
        with contextlib.suppress(UnknownScenario):
            self.context.scenarios.discard(self._shown)
        await self._ask_for_changes()
