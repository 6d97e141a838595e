"""Works the board out for all browsers at once: when something changed, at most so often."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import structlog

from cloud.context import Context
from cloud.hub import (
    ActionsLedgered,
    CaseChanged,
    EdgeChanged,
    Event,
    Lagged,
    OrdersChanged,
    PlanPublished,
    StatesLedgered,
)
from cloud.ledger import reading
from cloud.web.board import Board, read_board

log = structlog.get_logger(__name__)

EVERY = 0.5
"""Seconds between two boards while things change."""
AT_LEAST = 2.0
"""Seconds after which a board is renewed though nothing was heard: ages and lateness move by themselves."""
UNWATCHED = 10.0
"""Seconds without a viewer after which no board is worked out any more."""

KINDS: frozenset[type[Event]] = frozenset(
    {ActionsLedgered, StatesLedgered, OrdersChanged, PlanPublished, CaseChanged, EdgeChanged}
)


@dataclass(slots=True)
class Feed:
    """The newest board. ``run`` lives in the app's lifespan; ``latest`` is what a browser asks for."""

    context: Context
    board: Board | None = None
    tags: list[reading.Tag] = field(default_factory=list)
    """All tags; another list whenever they have changed."""
    version: int = 0
    _asked: float = field(default=0.0, init=False)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def latest(self) -> Board | None:
        """The newest board; asking keeps it coming."""
        self._asked = time.monotonic()
        self._wanted.set()
        return self.board

    async def known_tags(self) -> list[reading.Tag]:
        """The tags now; the same list as long as nothing changed."""
        tags = await self.context.database.query(reading.tags)
        if tags != self.tags:
            self.tags = tags
        return self.tags

    async def run(self) -> None:
        """Until cancelled."""
        stale_tags = True
        async with self.context.hub.subscribe(KINDS) as events:
            while True:
                if time.monotonic() - self._asked > UNWATCHED:
                    self._wanted.clear()
                    await self._wanted.wait()
                try:
                    if stale_tags:
                        await self.known_tags()
                        stale_tags = False
                    self.board = await read_board(self.context)
                    self.version += 1
                except Exception:
                    # a mistake in what is shown must not stop the service that keeps the data
                    log.exception("page.board_failed")
                await asyncio.sleep(EVERY)
                try:
                    async with asyncio.timeout(AT_LEAST - EVERY):
                        heard = await events.get_all()
                except TimeoutError:
                    continue
                stale_tags = any(isinstance(event, EdgeChanged | Lagged) for event in heard)
