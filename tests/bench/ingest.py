"""Cloud: batches of 10,000 tags into ledger and history, in CPU time of the one process that does it.

Ten edges with a thousand tags each send a batch a second; the messages are made before the clock starts and
go in where paho's thread would put them. Everything behind is the real thing: link, ledger, transaction,
acknowledgement, projection, SQLite history.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud.history.projection import Projection
from cloud.history.source import HistorySource
from cloud.history.sqlite import SqliteHistory
from cloud.hub import Hub
from cloud.ingest import Ingest
from cloud.ledger.ledger import Ledger
from cloud.ledger.machines import MachineEffects
from cloud.ledger.source import ProjectionSource
from cloud.ledger.tags import TagMap
from cloud.live import LiveValues
from cloud.mailbox import Mailbox
from cloud.orders.effects import OrderEffects
from cloud.store.database import Database
from protocols import session, states, telemetry
from protocols.catalogue import Catalogue, TagDefinition, catalogue
from protocols.clock import Clock
from protocols.lanes import SESSION, Lane, up
from protocols.packing import digest
from protocols.session import Batch, Hello
from protocols.states import CatalogueAnnounced
from protocols.telemetry import SampleColumns
from protocols.values import DataType, Value
from tests.bench.figures import Figure, Size, median

EDGES, TAGS_EACH = 10, 1000
SMALL = 5
"""Batches into which an edge divides a second when its tags are polled one after the other."""
WAITING = 8 << 20
"""Bytes that may wait in the mailbox before the feeder pauses: about what two transactions take."""


@dataclass
class Sender:
    """One edge's messages. A session of its own, seqs from 1."""

    name: str
    known: Catalogue
    stream: bytes = field(default_factory=lambda: os.urandom(16))
    seqs: dict[Lane, int] = field(default_factory=dict)

    @classmethod
    def numbered(cls, number: int) -> Sender:
        """An edge with its thousand tags."""
        name = f"edge-{number}"
        tags = [
            TagDefinition(n, f"{name}-d{n // 50}/t{n}", DataType.FLOAT64, device=f"{name}-d{n // 50}")
            for n in range(1, TAGS_EACH + 1)
        ]
        return cls(name, catalogue(name, tags))

    def hello(self) -> tuple[str, bytes]:
        """The message that opens the session."""
        said = Hello(self.name, self.stream, session.PROTOCOL, (self.stream,), (), {}, b"", 1)
        return up(self.name, SESSION), session.encode(said)

    def catalogue(self) -> tuple[str, bytes]:
        """The message that says what the numbers mean."""
        event = CatalogueAnnounced(self.known.content_hash(), self.known)
        return self._batch(Lane.STATES, states.encode([event]), 1, historical=False)

    def second(
        self, ts: int, values: list[float], *, parts: int, historical: bool
    ) -> Iterator[tuple[str, bytes]]:
        """A sample of every tag, in so many batches."""
        size = TAGS_EACH // parts
        for first in range(0, TAGS_EACH, size):
            tags = list(range(first + 1, first + size + 1))
            rows: list[Value] = [*values[first : first + size]]
            columns = SampleColumns(self.known.content_hash(), ts, tags, [0] * size, rows, [])
            yield self._batch(Lane.TELEMETRY, telemetry.encode(columns), size, historical=historical)

    def _batch(self, lane: Lane, blob: bytes, count: int, *, historical: bool) -> tuple[str, bytes]:
        self.seqs[lane] = seq = self.seqs.get(lane, 0) + 1
        message = Batch(self.stream, self.stream, lane, seq, digest(blob), count, historical, blob)
        return up(self.name, lane), session.encode(message)


@dataclass
class Part:
    """The part of the service that takes samples in, running."""

    ingest: Ingest
    projection: Projection
    hub: Hub
    mailbox: Mailbox
    thread: threading.Thread
    feeding: threading.Event = field(default_factory=threading.Event)
    """Set once everything was handed to the ingest."""

    @property
    def done(self) -> bool:
        return self.feeding.is_set() and self.mailbox.waiting == 0

    def finish(self) -> None:
        """Wait until everything that was handed over is on disk."""
        while not self.done:
            time.sleep(0.01)
        self.ingest.stop()
        self.thread.join()


@contextlib.contextmanager
def part(folder: Path) -> Iterator[Part]:
    """Database, ledger, ingest and projection; the ingest's thread runs, the projection's does not."""
    clock, hub = Clock(), Hub()
    with Database(f"sqlite:///{folder / 'cloud.db'}") as database:
        database.create_all()
        tag_map = TagMap(database)
        ledger = Ledger([MachineEffects(hub), OrderEffects()], lambda *_: None, hub)
        mailbox = Mailbox()
        ingest = Ingest(database, ledger, tag_map, hub, clock, lambda _topic, _payload: None, mailbox=mailbox)
        history = SqliteHistory(folder / "history")
        source = ProjectionSource(database, tag_map, ingest.want_catalogue)
        projection = Projection(HistorySource(source), history, clock.monotonic)
        thread = threading.Thread(target=ingest.work, name="ingest")
        thread.start()
        try:
            yield Part(ingest, projection, hub, mailbox, thread)
        finally:
            ingest.stop()
            thread.join()
            history.close()


def feed(running: Part, messages: list[tuple[str, bytes]]) -> None:
    """Hand messages over as fast as they are taken."""
    for topic, payload in messages:
        while running.mailbox.waiting > WAITING:
            time.sleep(0.002)
        running.ingest.receive(topic, payload)
    running.feeding.set()


def messages(senders: list[Sender], seconds: int, *, parts: int, historical: bool) -> list[tuple[str, bytes]]:
    """All tags of each edge every second; values walk and have two decimals."""
    rng = random.Random(1)
    values = [[rng.uniform(20, 80) for _ in range(TAGS_EACH)] for _ in senders]
    base = time.time_ns() // 1000
    made: list[tuple[str, bytes]] = []
    for second in range(seconds):
        for sender, at in zip(senders, values, strict=True):
            at[:] = [round(value + rng.gauss(0, 0.4), 2) for value in at]
            ts = base + second * 1_000_000
            made += sender.second(ts, at, parts=parts, historical=historical)
    return made


@contextlib.asynccontextmanager
async def shown(hub: Hub, *, live: bool) -> AsyncIterator[None]:
    """With the newest values kept for the page, or without."""
    if not live:
        yield
        return
    showing = asyncio.create_task(LiveValues().run(hub))
    try:
        await asyncio.sleep(0)
        yield
    finally:
        showing.cancel()
        await asyncio.wait([showing])


async def _measure(
    seconds: int, *, historical: bool = False, live: bool = False, history: bool = True, parts: int = 1
) -> float:
    """Samples for each second of CPU time, from the first message to the last row of the history."""
    senders = [Sender.numbered(number) for number in range(EDGES)]
    with tempfile.TemporaryDirectory() as folder, part(Path(folder)) as running:
        for sender in senders:
            running.ingest.receive(*sender.hello())
            running.ingest.receive(*sender.catalogue())
        load = messages(senders, seconds, parts=parts, historical=historical)
        total = seconds * EDGES * TAGS_EACH
        async with shown(running.hub, live=live):
            began = time.process_time()
            feeder = threading.Thread(target=feed, args=(running, load))
            feeder.start()
            if history:
                await asyncio.to_thread(_project, running, total)
            await asyncio.to_thread(running.finish)
            return total / (time.process_time() - began)


def _project(running: Part, total: int) -> None:
    """As :meth:`Projection.run` does, until everything is in the history."""
    while running.projection.samples < total:
        if not running.projection.step():
            if running.done:
                running.projection.flush()
            time.sleep(0.05)


async def run(size: Size) -> list[Figure]:
    """See the module."""
    seconds, repeats = size.of(10, 60), size.of(1, 3)
    note = f"{EDGES} edges × {TAGS_EACH} tags × 1 s"

    async def measured(**how: Any) -> list[float]:
        return [await _measure(seconds, **how) for _ in range(repeats)]

    each = f", batches of {TAGS_EACH}"
    small = f", batches of {TAGS_EACH // SMALL}, a fifth of a second of polling"
    per = "samples/s/core"
    return [
        median("ledger + history, live", await measured(), per, 200_000, "more", note + each),
        median(
            "ledger + history, backlog", await measured(historical=True), per, 200_000, "more", note + each
        ),
        median("ledger + history, live, small batches", await measured(parts=SMALL), per, note=note + small),
        median("live, newest values kept for the page", await measured(live=True), per, note=note + each),
        median(
            "ledger alone, backlog", await measured(historical=True, history=False), per, note=note + each
        ),
    ]
