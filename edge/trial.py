"""Whether a changed configuration works: a collector that nobody hears yet, until it reads a good value."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

from edge.collector import Collector
from edge.recorder import Unheard

SHOWN = 3
"""Tags whose trouble is told."""


@dataclass(slots=True)
class Trial:
    """Makes a collector that does not run yet one that is on trial; it runs, and :meth:`failed` watches."""

    collector: Collector
    _unheard: Unheard = field(default_factory=Unheard, init=False)

    def __post_init__(self) -> None:
        self.collector.recorder = self._unheard
        self.collector.on_trial, self.collector.opening = True, ""

    async def failed(self, seconds: float) -> str:
        """Wait for a good reading, so many seconds at most; why there was none, or empty."""
        try:
            async with asyncio.timeout(seconds):
                while not self.collector.reads_well:
                    await self._unheard.something.wait()
                    self._unheard.something.clear()
        except TimeoutError:
            return self._cause()
        return ""

    def _cause(self) -> str:
        if not self.collector.connected:
            return self.collector.detail
        problems = itertools.islice(self.collector.problems.items(), SHOWN)
        shown = "; ".join(f"{tag}: {problem}" for tag, problem in problems)
        return "it answers, but every tag is bad" + (f" — {shown}" if shown else "")
