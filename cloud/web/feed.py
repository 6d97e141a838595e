"""Works the board out for all browsers at once: when something changed, at most so often."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from cloud.context import Context
from cloud.dispatching.asking.forecast import OrderForecast
from cloud.dispatching.shop.validation import ImpossibleProblem
from cloud.hub import (
    ActionsLedgered,
    CaseChanged,
    EdgeChanged,
    Event,
    Lagged,
    OrdersChanged,
    PlanPublished,
    QualityChanged,
    StatesLedgered,
)
from cloud.ledger import reading
from cloud.web.board import Board, board
from cloud.web.record import Record
from cloud.web.shown import Shown, draw
from cloud.web.situation import Situation, read_running, read_situation
from cloud.web.speech import ENGLISH, Speech

log = structlog.get_logger(__name__)

EVERY = 0.5
"""Seconds between two boards while things change."""
AT_LEAST = 2.0
"""Seconds after which a board is renewed though nothing was heard: ages and lateness move by themselves."""
UNWATCHED = 10.0
"""Seconds without a viewer after which a board is worked out only so often."""
OUTLOOK_EVERY = 10.0
"""Seconds between two looks at when orders are likely to end."""
OUTLOOK_REST = 30.0
"""How many times as long as it took the next look waits: a large shop's outlook is no small sum."""
RUNNING_EVERY = 15.0
"""Seconds between two sums over all machine states of today."""

KINDS: frozenset[type[Event]] = frozenset(
    {
        ActionsLedgered,
        StatesLedgered,
        OrdersChanged,
        PlanPublished,
        CaseChanged,
        QualityChanged,
        EdgeChanged,
    }
)


@dataclass(slots=True)
class Feed:
    """The newest board. ``run`` lives in the app's lifespan; ``latest`` is what a browser asks for."""

    context: Context
    situation: Situation | None = None
    tags: list[reading.Tag] = field(default_factory=list)
    """All tags; another list whenever they have changed."""
    forecasts: Mapping[str, OrderForecast] = field(default_factory=dict)
    """When the open orders are likely to end, by order; of some seconds ago."""
    version: int = 0
    _asked: float = field(default=float("-inf"), init=False)
    _read: float = field(default=float("-inf"), init=False)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _record: Record = field(default_factory=Record, init=False)
    _running: float | None = field(default=None, init=False)
    _running_read: float = field(default=float("-inf"), init=False)
    _boards: dict[Speech, Board] = field(default_factory=dict, init=False)
    _shown: dict[Speech, Shown] = field(default_factory=dict, init=False)

    def latest(self, say: Speech = ENGLISH) -> Shown | None:
        """The newest board in a language, drawn; asking keeps it coming."""
        self._asked = time.monotonic()
        self._wanted.set()
        if self.situation is not None and say not in self._shown:
            said = self._boards.get(say) or board(self.situation, say)
            self._shown[say] = draw(said, self.context.site, self._record, say)
        return self._shown.get(say)

    def latest_board(self, say: Speech = ENGLISH) -> Board | None:
        """What :meth:`latest` was drawn of."""
        found = self.latest(say)
        return None if found is None else found.board

    async def fresh(self) -> None:
        """Read the board as it is now, for a browser that comes anew: nobody may have looked for a while."""
        if time.monotonic() - self._read > AT_LEAST:
            await self._renew()

    async def known_tags(self) -> list[reading.Tag]:
        """The tags now; the same list as long as nothing changed."""
        tags = await self.context.database.query(reading.tags)
        if tags != self.tags:
            self.tags = tags
        return self.tags

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._foresee(), name="outlook of the page")
            tasks.create_task(self._keep_renewing(), name="board of the page")

    async def _foresee(self) -> None:
        """Keep the outlook of the orders, while somebody looks: for all browsers, and not for every plan."""
        while True:
            await self._watched()
            began = time.monotonic()
            try:
                found = await self.context.forecasts.outlook()
                self.forecasts = {order.order: order for order in found.orders}
            except ImpossibleProblem:
                self.forecasts = {}  # the dispatcher has told it, in the inbox
            except Exception:
                # a plan that cannot be foreseen must not stop the page
                log.exception("page.outlook_failed")
            await asyncio.sleep(max(OUTLOOK_EVERY, OUTLOOK_REST * (time.monotonic() - began)))

    async def _keep_renewing(self) -> None:
        stale_tags = True
        async with self.context.hub.subscribe(KINDS) as events:
            while True:
                await self._watched()
                if stale_tags:
                    stale_tags = not await self._renew_tags()
                await self._renew()
                await asyncio.sleep(EVERY)
                try:
                    async with asyncio.timeout(AT_LEAST - EVERY):
                        heard = await events.get_all()
                except TimeoutError:
                    continue
                stale_tags |= any(isinstance(event, EdgeChanged | Lagged) for event in heard)

    async def _watched(self) -> None:
        """Return at once while somebody looks, else now and then: the trends of the figures go on."""
        if time.monotonic() - self._asked <= UNWATCHED:
            return
        self._wanted.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(UNWATCHED):
                await self._wanted.wait()

    async def _renew(self) -> None:
        try:
            if time.monotonic() - self._running_read > RUNNING_EVERY:
                self._running = await read_running(self.context)
                self._running_read = time.monotonic()
            situation = await read_situation(self.context, self._running, self.forecasts)
            said = board(situation)
        except Exception:
            # a mistake in what is shown must not stop the service that keeps the data
            log.exception("page.board_failed")
            return
        self._read = time.monotonic()
        self.situation, self._boards = situation, {ENGLISH: said}
        self._shown.clear()
        self._record.take(said)
        self.version += 1

    async def _renew_tags(self) -> bool:
        try:
            await self.known_tags()
        except Exception:
            log.exception("page.tags_failed")
            return False
        return True
