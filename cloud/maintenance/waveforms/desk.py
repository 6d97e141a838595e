"""Asks edges for blocks and takes what they answer: a thin shell around the store, the ledger and the
publisher."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import msgspec
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from cloud.hub import BulkLedgered, Hub, Lagged, StatesLedgered, WaveformAnswered
from cloud.ledger.source import LedgerRow, read_after
from cloud.maintenance.waveforms.store import Asked, Question, StoredBlock, WaveformStore
from cloud.publisher import Publisher
from cloud.store.database import Database, DatabaseClosedError
from protocols.clock import Clock
from protocols.documents import not_one_of
from protocols.lanes import Lane
from protocols.site import Site
from protocols.states import Dropped
from protocols.values import MICROSECONDS
from protocols.waveforms.block import Block
from protocols.waveforms.messages import Wanted

log = structlog.get_logger(__name__)

PAGE = 4 << 20
"""Bytes of the ledger that are read at once."""
LOOK = 10.0
"""Seconds after which the ledger is looked at though nobody said that there is anything."""
TIDY = 600.0
OVERDUE = {
    Asked.ASKED: (24.0, "its edge, which may be switched off or out of reach, has not answered"),
    Asked.ARRIVING: (1.0, "not all parts of what its edge has found came"),
}
"""Hours from the question after which it is given up, and why."""
HOUR = 3600 * MICROSECONDS


class WaveformSettings(msgspec.Struct, frozen=True):
    """What is kept of blocks at the cloud: for so many days, and so many bytes of the newest."""

    keep_days: float = 365.0
    keep_bytes: int = 1 << 30


class UnknownWaveformError(LookupError):
    """No edge of the site can have it; the text names the devices there are."""


@dataclass(slots=True)
class WaveformDesk:
    """Questions for blocks, and the blocks that came. ``store`` is opened by whoever runs this."""

    store: WaveformStore
    database: Database
    hub: Hub
    publisher: Publisher
    site: Site
    clock: Clock
    settings: WaveformSettings = field(default_factory=WaveformSettings)
    new_id: Callable[[], str] = lambda: uuid4().hex

    # --- for API and page -----------------------------------------------------------------------------

    async def ask(self, path: str, start: int, end: int, most: int, actor: str) -> Question:
        """Ask the edge of ``device/tag`` for the blocks from ``start`` to ``end`` (µs UTC, inclusive).

        Raises:
            UnknownWaveformError: the site has no such device.
        """
        device = path.partition("/")[0]
        edge = next((e.id for e in self.site.edges if device in [d.id for d in e.devices]), None)
        if edge is None:
            known = [each.id for edge in self.site.edges for each in edge.devices]
            raise UnknownWaveformError(f"device {not_one_of(device, known)}: write device/tag")
        question = Question(self.new_id(), edge, path, start, end, most, self.clock.now(), actor, Asked.ASKED)
        kept = await asyncio.to_thread(self.store.ask, question)
        self._send(kept)
        return kept

    async def question(self, question: str) -> Question | None:
        """A question by its id; None: there is none, or it is long forgotten."""
        return await asyncio.to_thread(self.store.question, question)

    async def questions(self, device: str = "", limit: int = 100) -> list[Question]:
        """The newest questions for waveforms of a device (of all of them: empty)."""
        return await asyncio.to_thread(self.store.recent, device, limit)

    async def blocks(self, device: str = "", limit: int = 100) -> list[StoredBlock]:
        """The newest blocks of a device (of all: empty) that are here."""
        return await asyncio.to_thread(self.store.blocks, device, limit)

    async def nearest(self, path: str, ts: int) -> Block | None:
        """The block of a waveform that was taken nearest to a time (µs UTC); None when none is here."""
        return await asyncio.to_thread(self.store.nearest, path, ts)

    # --- running --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Ask on and take answers, until cancelled."""
        for question in await asyncio.to_thread(self.store.open_questions):
            self._send(question)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name="waveforms follow")
            tasks.create_task(self._tidy(), name="waveforms tidy")

    async def _follow(self) -> None:
        async with self.hub.subscribe({BulkLedgered, StatesLedgered}) as events:
            await self._take()
            while True:
                try:
                    async with asyncio.timeout(LOOK):
                        found = await events.get_all()
                except TimeoutError:
                    found = []
                for event in found:
                    if isinstance(event, StatesLedgered):
                        for state in event.events:
                            if isinstance(state, Dropped) and state.lane == Lane.BULK:
                                await self._dropped(event.edge, state.reason)
                if not found or any(isinstance(event, BulkLedgered | Lagged) for event in found):
                    await self._take()

    async def _take(self) -> None:
        """Take what the ledger has more of."""
        try:
            while True:
                place = await asyncio.to_thread(self.store.ledgered)
                rows = await self.database.query(partial(_bulk_after, place))
                if not rows:
                    return
                await self._put(rows)
        except (SQLAlchemyError, DatabaseClosedError, sqlite3.Error) as error:
            log.warning("waveforms.not_taken", error=str(error).splitlines()[0])  # again at the next look

    async def _put(self, rows: list[LedgerRow]) -> None:
        batches = [(row.id, row.edge, row.received, row.blob) for row in rows]
        for touched in await asyncio.to_thread(self.store.take, batches):
            question = await self.question(touched)
            if question is not None and question.state is not Asked.ASKED:
                self.publisher.withdraw_waveform(question.edge, question.id)
                self.hub.publish(WaveformAnswered(question.id))

    async def _dropped(self, edge: str, reason: str) -> None:
        """An edge gave up something of its bulk lane: what it still owes may be among it."""
        owed = await asyncio.to_thread(self.store.open_questions)
        ids = [question.id for question in owed if question.edge == edge]
        await self._lose(edge, ids, f"given up at the edge ({reason}): ask again")

    async def _tidy(self) -> None:
        while True:
            now = self.clock.now()
            with contextlib.suppress(sqlite3.Error):  # the next time will do
                for question in await asyncio.to_thread(self.store.open_questions):
                    hours, why = OVERDUE[question.state]
                    if now - question.asked > hours * HOUR:
                        await self._lose(question.edge, [question.id], f"{why} within {hours:g} h: ask again")
                settings = self.settings
                await asyncio.to_thread(self.store.prune, now, settings.keep_days, settings.keep_bytes)
            await asyncio.sleep(TIDY)

    async def _lose(self, edge: str, questions: list[str], why: str) -> None:
        await asyncio.to_thread(self.store.give_up, questions, why)
        for question in questions:
            self.publisher.withdraw_waveform(edge, question)
            self.hub.publish(WaveformAnswered(question))

    def _send(self, question: Question) -> None:
        if question.state is Asked.ASKED:
            wanted = Wanted(question.id, question.path, question.start, question.end, question.most)
            self.publisher.ask_waveform(question.edge, wanted)


def _bulk_after(place: int, tx: Connection) -> list[LedgerRow]:
    return read_after(tx, place, PAGE, Lane.BULK)
