"""A whole screen of painted lines, as a Textual widget: composed once when something changed, then shown."""

from __future__ import annotations

from textual.strip import Strip
from textual.widget import Widget

from edge.terminal.colours import BACKGROUND, STYLES, strip
from edge.terminal.painting import Ink, Line


class Canvas(Widget, can_focus=True):
    """Shows what :meth:`painted` returns; what keys do is its heir's."""

    DEFAULT_CSS = f"Canvas {{ width: 100%; height: 100%; background: {BACKGROUND}; }}"

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Line] | None = None

    def painted(self, width: int, height: int) -> list[Line]:
        """The lines of a screen of this size."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Something changed: compose the lines anew at the next paint."""
        self._lines = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One painted line; all are composed together when the first of them is asked for."""
        if self._lines is None or len(self._lines) != self.size.height:
            self._lines = self.painted(self.size.width, self.size.height)
        if y >= len(self._lines):
            return Strip.blank(self.size.width, STYLES[Ink.PLAIN])
        return strip(self._lines[y], self.size.width)

    def on_resize(self) -> None:
        self._lines = None
