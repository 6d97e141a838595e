"""One line on the terminal that says how a search goes; nothing where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from cloud.dispatching.command.asking import bounded
from cloud.dispatching.shop.schedule import Schedule


class LiveLine:
    """Shows time, cost, bound and gap on stderr while its block runs; ``say`` words a plan's cost."""

    def __init__(self, say: Callable[[Schedule], str], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._began = clock()
        self._best: Schedule | None = None
        self._bound: float | None = None
        self._console = Console(stderr=True)
        self._live = Live(
            console=self._console, get_renderable=self._line, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> LiveLine:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, schedule: Schedule) -> None:
        """A better plan, or the same with a better bound."""
        if schedule.bound is not None:
            self._bound = max(schedule.bound, self._bound or schedule.bound)
        self._best = schedule

    def _line(self) -> Text:
        seconds = f"{self._clock() - self._began:5.1f} s"
        if self._best is None:
            return Text(f"{seconds}  first plan …")
        words = (seconds, self._say(self._best), bounded(self._best, self._bound), "Ctrl-C keeps this plan")
        return Text("  ".join(filter(None, words)), no_wrap=True, overflow="ellipsis")
