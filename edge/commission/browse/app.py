"""A browser on a screen: the one file of this room that knows Textual."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import BindingType

from edge.commission.browse.browser import Browser
from edge.terminal.canvas import Canvas
from edge.terminal.colours import BACKGROUND
from edge.terminal.painting import Line


class BrowserCanvas(Canvas):
    """Paints the browser's lines and hands it every key."""

    def __init__(self, browser: Browser) -> None:
        super().__init__()
        self.browser = browser

    def painted(self, width: int, height: int) -> list[Line]:
        return self.browser.paint(width, height)

    def on_key(self, event: events.Key) -> None:
        if event.key in ("ctrl+c", "ctrl+q"):
            return
        event.stop()
        event.prevent_default()
        self.browser.press(event.key, event.character if event.is_printable else None)

    def on_paste(self, event: events.Paste) -> None:
        """An address or a name, into the prompt."""
        event.stop()
        for character in event.text.splitlines()[0] if event.text else "":
            if self.browser.prompt is not None:
                self.browser.press("paste", character)


class BrowseApp(App[None]):
    """One machine, until somebody leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [("ctrl+c", "quit", "Quit")]
    ENABLE_COMMAND_PALETTE = False
    CSS = f"Screen {{ background: {BACKGROUND}; }}"

    def __init__(self, browser: Browser) -> None:
        super().__init__()
        self.browser = browser
        self.canvas = BrowserCanvas(browser)

    def compose(self) -> ComposeResult:
        yield self.canvas

    def on_mount(self) -> None:
        self.canvas.focus()
        self.browser.changed = self.canvas.repaint
        self.browser.leave = self.exit
        self.browser.run = self._work
        self._work(self.browser.live())

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        self.run_worker(work)


async def show(browser: Browser) -> None:
    """Connect, and be on the screen until somebody leaves.

    Raises:
        ConnectError: the machine cannot be reached; no screen was shown.
    """
    await browser.open()
    try:
        await BrowseApp(browser).run_async()
    finally:
        await browser.close()
