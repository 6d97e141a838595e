"""The machines of an edge that are read: a collector each, started and stopped one by one.

Each runs in a task of its own, so that whatever happens to one leaves the others their schedule.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from drivers.driver import Driver
from edge.collector import Collector
from edge.recorder import Takes

HEARTBEAT = 10.0
"""Seconds between two heartbeats of every device."""
SWEEP = 1.0
CANCEL_AGAIN = 1.0
"""Seconds after which a task that has not ended is cancelled once more."""


@dataclass(slots=True)
class Devices:
    """All devices of one edge. :meth:`run` until cancelled; what is shown belongs to it before that, too."""

    recorder: Takes
    _shown: dict[str, Collector] = field(default_factory=dict, init=False)
    _tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _group: asyncio.TaskGroup | None = field(default=None, init=False)

    def __iter__(self) -> Iterator[Collector]:
        return iter(list(self._shown.values()))

    def __len__(self) -> int:
        return len(self._shown)

    def get(self, device: str) -> Collector | None:
        """The collector of a device."""
        return self._shown.get(device)

    def driver(self, device: str) -> Driver[Any] | None:
        """The connected driver of a device; None while it is not connected, or unknown."""
        found = self._shown.get(device)
        return None if found is None else found.driver

    def show(self, collector: Collector) -> None:
        """This is the collector of its device from now on: it is swept, and stands in health and metrics."""
        self._shown[collector.device.id] = collector

    def forget(self, device: str) -> None:
        """The device is none of this edge any more."""
        self._shown.pop(device, None)

    async def run(self, on_start: Callable[[], None] = lambda: None) -> None:
        """Read all of them until cancelled; ``on_start`` is told once all have been started."""
        try:
            async with asyncio.TaskGroup() as self._group:
                for collector in self:
                    self.start(collector)
                on_start()
                try:
                    await self._sweep()
                finally:
                    await _ended(self._tasks.values())
        finally:
            self._group = None
            self._tasks.clear()

    def start(self, collector: Collector) -> None:
        """Let a collector run; before :meth:`run` that happens with all others."""
        if self._group is not None:
            task = self._group.create_task(collector.run(), name=f"device-{collector.device.id}")
            self._tasks[id(collector)] = task
            task.add_done_callback(lambda _: self._tasks.pop(id(collector), None))

    async def stop(self, collectors: Iterable[Collector]) -> None:
        """End collectors and wait until their connections are closed."""
        await _ended([task for each in collectors if (task := self._tasks.get(id(each))) is not None])

    async def _sweep(self) -> None:
        """Sweep every device each second, and send all heartbeats together every ten."""
        loop = asyncio.get_running_loop()
        due = loop.time() + HEARTBEAT
        while True:
            await asyncio.sleep(SWEEP)
            for collector in self:
                collector.sweep()
            if loop.time() >= due:
                due = loop.time() + HEARTBEAT
                self.recorder.report([collector.heartbeat() for collector in self])


async def _ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended. Once is not always enough: ``wait_for`` of Python 3.11 loses a
    cancellation that comes in the same moment as a refused connection (cpython issue 86296).
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN)
