"""A driver that streams, and what it has delivered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from drivers.contract import Received
from drivers.driver import Driver


@asynccontextmanager
async def streaming(made: Driver[Any]) -> AsyncIterator[tuple[Received, asyncio.Task[None]]]:
    """Connected and streaming until the block is left; the task ends before when the device is lost."""
    received = Received()
    async with made:
        task = asyncio.create_task(made.stream(received))
        try:
            yield received, task
        finally:
            task.cancel()
            await asyncio.wait([task])
