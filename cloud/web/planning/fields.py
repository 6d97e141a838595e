"""The fields of the planning forms, one look for all: dense, outlined, with their label as their name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui

_LOOK = "dense outlined options-dense"


def choice(
    label: str, options: Mapping[Any, str], value: Any = None, then: Callable[..., Any] | None = None
) -> ui.select:
    """One of several."""
    chosen = ui.select(dict(options), label=label, value=value, on_change=then)
    return chosen.props(_LOOK).classes("field")


def number(label: str, value: float | None, *, step: float | None = None, hint: str = "") -> ui.number:
    """A number. Without limits: the field would silently put another number in, not say what is allowed."""
    field = ui.number(label, value=value, step=step)
    return field.props(f'{_LOOK} hint="{hint}"' if hint else _LOOK).classes("field")


def time(label: str, value: str = "") -> ui.input:
    """A local time of the site; the browser brings its own way to choose one."""
    return ui.input(label, value=value).props(f"{_LOOK} type=datetime-local stack-label").classes("field")


def text(label: str, most: int) -> ui.input:
    """A line of text of at most so many characters."""
    return ui.input(label).props(f"{_LOOK} maxlength={most}").classes("field")
