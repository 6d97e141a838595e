"""The live table on a terminal: a Textual app that paints lines and hands on keys; it decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import BindingType

from drivers.driver import Capability, Driver
from edge.commission.live_screen import Heading, View, above, paint
from edge.commission.live_table import LiveTable
from edge.commission.traffic_log import TrafficLog
from edge.commission.traffic_screen import LogView
from edge.commission.traffic_screen import paint as paint_log
from edge.terminal.canvas import Canvas
from edge.terminal.colours import BACKGROUND
from edge.terminal.painting import Line
from protocols.clock import Clock
from protocols.values import Reading

REPAINT_S = 0.25
"""Seconds between two paintings: what comes more often than that, nobody reads."""


class Table(Canvas):
    """Paints the table; every key is the view's."""

    def __init__(
        self, heading: Heading, table: LiveTable, log: TrafficLog, clock: Callable[[], float]
    ) -> None:
        super().__init__()
        self.heading, self.table, self.traffic, self.clock = heading, table, log, clock
        self.view = View()
        self.frames: LogView | None = None
        """The log of frames while it is on the screen."""
        self._frames = LogView()

    def painted(self, width: int, height: int) -> list[Line]:
        now = self.clock()
        if self.frames is None:
            return paint(self.heading, self.table, self.view, now, width, height)
        return paint_log(
            above(self.heading, self.table, now, width), self.traffic, self.frames, width, height
        )

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        character = event.character if event.is_printable else None
        if not self._press(event.key, character):
            self.app.exit()
        self.repaint()

    def _press(self, key: str, character: str | None) -> bool:
        """False ends the watching."""
        if self.frames is not None and self.frames.press(key, character, self.traffic):
            return True
        if key == "t" and not self.view.typing:
            self.frames = self._frames if self.frames is None else None
            return True
        if self.frames is not None:
            return key not in ("q", "escape", "ctrl+c")
        return self.view.press(key, character, self.table, self.clock())


class WatchApp(App[None]):
    """Follows a machine for as long as it runs. ``follow`` takes whoever hears of it, which is the app."""

    BINDINGS: ClassVar[list[BindingType]] = []
    ENABLE_COMMAND_PALETTE = False
    CSS = f"Screen {{ background: {BACKGROUND}; }}"

    def __init__(
        self,
        heading: Heading,
        table: LiveTable,
        follow: Callable[[WatchApp], Coroutine[Any, Any, None]],
        clock: Callable[[], float],
        seconds: float = 0,
        log: TrafficLog | None = None,
    ) -> None:
        super().__init__()
        self.widget = Table(heading, table, log or TrafficLog(Clock().now), clock)
        self._follow, self._clock, self._seconds = follow, clock, seconds

    def compose(self) -> ComposeResult:
        yield self.widget

    def on_mount(self) -> None:
        self.widget.focus()
        self.set_interval(REPAINT_S, self.widget.repaint)
        self.run_worker(self._run(), exit_on_error=True)

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(self._seconds or None):
                await self._follow(self)
        except TimeoutError:
            self.exit()

    # --- what happens at the machine ------------------------------------------------------------------

    def reached(self, driver: Driver[Any]) -> None:
        subscribes = Capability.SUBSCRIBE in driver.capabilities
        self.widget.table.reached(self._clock(), driver.problems, subscribes=subscribes)

    def differs(self, notice: str) -> None:
        self.widget.table.differs = notice

    def deliver(self, readings: Sequence[Reading]) -> None:
        self.widget.table.deliver(readings, self._clock())

    def lost(self, why: str, wait: float) -> None:
        self.widget.table.lost(self._clock(), why, wait)
