"""The dialog that a click opens: one sheet at a time, with a way back to the one it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nicegui import events, ui

from cloud.context import Context
from cloud.dispatching.asking.forecast import OrderForecast
from cloud.web import acts, lists, sheets
from cloud.web.maintenance import waveform_sheet
from cloud.web.speech import ENGLISH, Speech

OPEN = "(e) => { const at = e.target.closest('[data-open]'); if (at) emit(at.dataset.open); }"
"""Tells the service what was clicked, if it opens anything."""
MAX_ADDRESS = 200

Buttons = list[tuple[str, Callable[[], Any]]]


@dataclass(slots=True)
class SheetDialog:
    """Made in the current NiceGUI slot. ``buttons`` gives what this browser's person may do on a sheet,
    ``forecasts`` when orders are likely to end.
    """

    context: Context
    buttons: Callable[[tuple[tuple[str, str], ...]], Buttons]
    forecasts: Callable[[], Mapping[str, OrderForecast]]
    say: Speech = ENGLISH
    _path: list[str] = field(default_factory=list, init=False)
    _dialog: ui.dialog = field(init=False)
    _title: ui.label = field(init=False)
    _back: ui.button = field(init=False)
    _content: ui.html = field(init=False)
    _actions: ui.element = field(init=False)

    def __post_init__(self) -> None:
        with ui.dialog() as self._dialog, ui.card().classes("sheet"):
            with ui.element("div").classes("choose"):
                self._back = ui.button(self.say("← back"), on_click=self._go_back).props("flat dense no-caps")
                self._title = ui.label("").classes("title fill")
                self._actions = ui.element("div").classes("acts")
                ui.button("✕", on_click=self._dialog.close).props(
                    f'flat dense aria-label="{self.say("close this")}"'
                )
            self._content = ui.html("", sanitize=False).classes("content")
            for event in ("click", "keydown.enter"):
                self._content.on(event, self._follow, js_handler=OPEN)

    async def open(self, address: str) -> None:
        """Show the sheet at an address, as the first of its path."""
        self._path = []
        await self._show(address)
        self._dialog.open()

    async def _follow(self, event: events.GenericEventArguments) -> None:
        await self._show(str(event.args))

    async def _go_back(self) -> None:
        self._path.pop()
        await self._show(self._path.pop())

    async def _show(self, address: str) -> None:
        address = address[:MAX_ADDRESS]
        self._path.append(address)
        site, now = self.context.site, self.context.clock.now()
        known, desk = self.forecasts(), self.context.desk_of_cases
        if address.startswith(waveform_sheet.KIND):  # blocks do not lie in the database
            sheet = await waveform_sheet.read(self.context, address, self.say)
        else:
            sheet = await self.context.database.query(
                lambda tx: sheets.read(tx, site, now, address, self.say, known, desk)
            )
        self._title.set_text(sheet.title)
        self._content.set_content(lists.sheet(sheet, self.say))
        self._back.set_visibility(len(self._path) > 1)
        self._actions.clear()
        with self._actions:
            for name, act in self.buttons(sheet.acts):
                ui.button(self.say(acts.LABELS.get(name, name)), on_click=self._then_again(act)).props(
                    "outline dense no-caps"
                )

    def _then_again(self, act: Callable[[], Any]) -> Callable[[], Any]:
        async def handler() -> None:
            await act()
            await self._show(self._path.pop())

        return handler
