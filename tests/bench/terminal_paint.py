"""Key → paint at the operator's terminal: from the key event to the rendered update, through Textual's pilot.

Run: ``python -m tests.bench.terminal_paint``. Target (DESIGN §8 beside §4): p95 ≤ 50 ms.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any

from textual import events
from textual._compositor import CompositorUpdate
from textual.screen import Screen

from edge.terminal.app import TerminalApp
from tests.edge.terminal.terminals import Terminal
from tests.edge.workcells import STEPS, T0, operation

KEYS = ("2", "5", ".", "1", "backspace", "down", "up", "f12", "f1", "down", "escape", "f12")
"""Typing, moving, a whole new screen, another language: from a few cells to all of them."""


class TimedApp(TerminalApp):
    """Renders every update to terminal sequences, as it would for a real terminal, and notes when."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(terminal.session)
        self.painted = asyncio.Event()
        self.painted_at = 0.0
        self.bytes = 0

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        super()._display(screen, renderable)
        if isinstance(renderable, CompositorUpdate):
            self.bytes += len(renderable.render_segments(self.console))
            self.painted_at = time.perf_counter()
            self.painted.set()


async def measure(presses: int = 600, size: tuple[int, int] = (80, 24)) -> dict[str, float]:
    """Milliseconds from key to paint: p50, p95, p99 and the worst."""
    terminal = Terminal(*(operation(f"op-{n}", steps=STEPS, planned_start=T0 + n) for n in range(30)))
    terminal.press("f5")
    app = TimedApp(terminal)
    found: list[float] = []
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        for number in range(presses + 24):
            key = KEYS[number % len(KEYS)]
            app.painted.clear()
            event = events.Key(key, key if len(key) == 1 else None)
            began = time.perf_counter()
            app.post_message(event)
            async with asyncio.timeout(5):
                await app.painted.wait()
            if number >= 24:  # the first ones load fonts' widths and caches
                found.append((app.painted_at - began) * 1000)
            await pilot.pause(0.005)
    cuts = statistics.quantiles(found, n=100)
    return {
        "presses": float(presses),
        "p50_ms": round(cuts[49], 2),
        "p95_ms": round(cuts[94], 2),
        "p99_ms": round(cuts[98], 2),
        "worst_ms": round(max(found), 2),
        "bytes_per_paint": round(app.bytes / (presses + 24), 0),
    }


if __name__ == "__main__":
    print(json.dumps({"terminal_key_to_paint": asyncio.run(measure())}))
