"""Reading in turns, where a server's subscriptions are of no use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from drivers.driver import Deliver
from protocols.values import Reading

Read = Callable[[Sequence[str]], Awaitable[list[Reading]]]


@dataclass(slots=True)
class Polling:
    """Tags by their interval in seconds, read until cancelled. Tags may be added while it runs."""

    read: Read
    deliver: Deliver
    _turns: dict[float, list[str]] = field(default_factory=dict)
    _due: dict[float, float] = field(default_factory=dict)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, interval: float, names: Sequence[str]) -> None:
        """Read these from now on."""
        self._turns.setdefault(interval, []).extend(names)
        self._due[interval] = 0.0
        self._more.set()

    def __len__(self) -> int:
        return sum(map(len, self._turns.values()))

    async def run(self) -> None:
        """Read what is due; a turn that was missed because the server is slow is left out."""
        clock = asyncio.get_running_loop().time
        while True:
            due = min(self._due.values(), default=None)
            wait = None if due is None else due - clock()
            if wait is None or wait > 0:
                try:
                    async with asyncio.timeout(wait):
                        await self._more.wait()
                except TimeoutError:
                    pass  # it is due
                self._more.clear()
                continue
            now = clock()
            for interval in sorted(each for each, at in self._due.items() if at <= now):
                self.deliver(await self.read(list(self._turns[interval])))
                due = self._due[interval] + interval
                self._due[interval] = due if due > clock() else now + interval
