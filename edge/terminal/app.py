"""The terminal as a Textual app: it takes keys, paints lines, and leaves the rest to the session."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.message import Message

from edge.client import EdgeClient, EdgeRefusedError
from edge.terminal.canvas import Canvas
from edge.terminal.colours import BACKGROUND
from edge.terminal.frame import paint
from edge.terminal.painting import Line
from edge.terminal.sender import Sender
from edge.terminal.session import Key, Session


class SessionCanvas(Canvas):
    """Paints the session's lines and hands it every key. A scanner is a keyboard: it needs no focus."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def painted(self, width: int, height: int) -> list[Line]:
        return paint(self.session, width, height)

    def on_key(self, event: events.Key) -> None:
        """Every key is the session's: Textual's own bindings (focus, copy) have no meaning here."""
        if event.key == "ctrl+q":
            return
        event.stop()
        event.prevent_default()
        self.session.press(Key(event.key, event.character if event.is_printable else None))
        self.repaint()

    def on_paste(self, event: events.Paste) -> None:
        """Some scanners paste. Line ends are Enter."""
        event.stop()
        for character in event.text.replace("\r\n", "\n").replace("\r", "\n"):
            self.session.press(Key("enter") if character == "\n" else Key("paste", character))
        self.repaint()


class TerminalApp(App[str]):
    """One terminal at one station. Its result is the reason why it ended, or nothing."""

    BINDINGS: ClassVar[list[BindingType]] = []
    ENABLE_COMMAND_PALETTE = False
    CSS = f"Screen {{ background: {BACKGROUND}; }}"

    class Changed(Message):
        """The session has something new to show."""

    def __init__(self, session: Session, client: EdgeClient | None = None) -> None:
        super().__init__()
        self.session = session
        self.client = client
        self.canvas = SessionCanvas(session)
        self._ticked = ""

    def compose(self) -> ComposeResult:
        yield self.canvas

    def on_mount(self) -> None:
        self.canvas.focus()
        self.set_interval(1.0, self.canvas.repaint)
        if self.client is not None:
            self.run_worker(self._connected(self.client), exit_on_error=False)

    async def _connected(self, client: EdgeClient) -> None:
        """Talk to the edge for as long as the app runs; workers only change the session."""
        async with client:
            sender = Sender(self.session, client, self._tell)
            self.run_worker(sender.deliver(), exit_on_error=True)
            try:
                await sender.watch()
            except EdgeRefusedError as error:
                self.exit(str(error))

    def _tell(self) -> None:
        self.post_message(self.Changed())

    def on_terminal_app_changed(self) -> None:
        self.canvas.repaint()
