"""What tags showed before the service heard of them: the newest value of each, from the history.

A value that stands still is not sent again before its ``max_interval``, and what an edge read before its
session opened comes as backlog, which nobody decodes on its way in. Without this a tag that never changes
would be empty for a minute after every start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from cloud.history.port import History
from cloud.hub import EdgeOpened, Hub
from cloud.ledger import reading
from cloud.live import LiveValue, LiveValues
from cloud.store.database import Database
from protocols.clock import Clock
from protocols.values import MICROSECONDS, Quality

_log = structlog.get_logger(__name__)

DAY = 24 * 3600 * MICROSECONDS
PAUSES = (2.0, 4.0, 8.0, 16.0)
"""Seconds before each look after a session has opened: its backlog reaches the history a little later."""


@dataclass(slots=True)
class Recall:
    """Fills ``live`` where it is empty. ``run`` lives in the service's TaskGroup."""

    database: Database
    history: History
    live: LiveValues
    clock: Clock

    async def run(self, hub: Hub) -> None:
        """Look after the start and after each session that opens, until cancelled."""
        async with hub.subscribe({EdgeOpened}) as events:
            while True:
                for pause in (0.0, *PAUSES):
                    await asyncio.sleep(pause)
                    if await self.look() == 0:
                        break
                await events.get_all()

    async def look(self) -> int | None:
        """Fill in what the history knows; how many tags are still without a value, None if nobody can say."""
        try:
            tags = await self.database.query(reading.tags)
            unknown = [tag for tag in tags if self.live.get(tag.id) is None]
            found = await asyncio.to_thread(self._newest, unknown)
        except Exception as error:  # noqa: BLE001 - whatever a server says: it is shown a minute later
            _log.warning("recall.failed", error=str(error).splitlines()[0] if str(error) else repr(error))
            return None
        for tag, value in found:
            self.live.put(tag, value)
        return len(unknown) - len(found)

    def _newest(self, tags: Sequence[reading.Tag]) -> list[tuple[int, LiveValue]]:
        found = []
        end = self.clock.now()
        for tag in tags:
            # A part counter stands still for hours, and is read seldom enough to look that far back.
            counts = tag.role == "part_count"
            back = DAY if counts else int(2 * tag.max_interval * MICROSECONDS)
            series = self.history.read(tag.id, end - back, end)
            rows = range(len(series) - 1, -1, -1)
            row = next((row for row in rows if not (counts and series.qualities.get(row))), None)
            if row is not None:
                quality = Quality(series.qualities.get(row, 0))
                found.append((tag.id, LiveValue(series.times[row], series.values[row], quality)))
        return found
