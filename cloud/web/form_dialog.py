"""The frame of every form that asks for the reason of an act: title, fields, what is wrong, ok and cancel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from cloud.web.speech import Speech

Frame = tuple[ui.dialog, ui.label, ui.element, ui.label]
"""The dialog, its title, the element that the fields go into, and where it says what is wrong."""


def form_dialog(say: Speech, submit: Callable[[], Awaitable[None]]) -> Frame:
    """A closed dialog; ``submit`` is called by ok, and the dialog's answer is None when it is closed."""
    with ui.dialog() as dialog, ui.card().classes("sheet case-form"):
        with ui.element("div").classes("choose"):
            title = ui.label("").classes("title fill")
            ui.button("✕", on_click=lambda: dialog.submit(None)).props(
                f'flat dense aria-label="{say("close this")}"'
            )
        body = ui.element("div").classes("content")
        wrong = ui.label("").classes("wrong").props('role="alert"')
        with ui.element("div").classes("acts"):
            ui.button(say("ok"), on_click=submit).props("unelevated no-caps")
            ui.button(say("cancel"), on_click=lambda: dialog.submit(None)).props("flat no-caps")
    return dialog, title, body, wrong
