"""Questions that cost something are answered one at a time, and not too many wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from cloud.phrase import Phrase, phrase

MAX_WAITING = 4
"""Questions that are being answered or wait to be."""


class BusyError(RuntimeError):
    """Too much is asked at once; ``seconds`` until it is worth trying again."""

    def __init__(self, reason: Phrase, seconds: float) -> None:
        self.reason, self.seconds = reason, seconds
        super().__init__(str(reason))


class Turns:
    """One queue of questions; ``seconds`` is what one of them usually takes. Lives on one event loop."""

    def __init__(self, seconds: float, most: int = MAX_WAITING) -> None:
        self._seconds = seconds
        self._most = most
        self._here = 0
        self._turn = asyncio.Semaphore(1)

    @contextlib.asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for one's turn and have it; raises BusyError where too many wait."""
        if self._here >= self._most:
            raise BusyError(
                phrase(
                    "{count} questions are being answered, not more than {most} wait: ask again soon",
                    count=self._here,
                    most=self._most,
                ),
                self._here * self._seconds,
            )
        self._here += 1
        try:
            async with self._turn:
                yield
        finally:
            self._here -= 1
