"""Samples and events of all devices, gathered for a moment and committed together.

The collectors append on the event loop; :meth:`Recorder.running` commits. Online a batch gathers for a
tenth of a second or so, offline longer: then nobody waits for it and fewer, larger rows are kinder to the
disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from operator import sub
from typing import Protocol

import structlog

from edge.outbox import sealing
from edge.outbox.outbox import Outbox, append_samples, append_states
from edge.outbox.store import OutboxFullError
from edge.remembered import keep_read, remember
from protocols.lanes import Lane
from protocols.states import Dropped, Event
from protocols.telemetry import Flag, SampleColumns
from protocols.values import Value

log = structlog.get_logger(__name__)

GATHER = 0.04
"""Seconds to wait for what belongs together (a poll of many requests) after the first sample."""
LIVE_SPACING = 0.15
OFFLINE_SPACING = 1.0
"""Seconds between two commits."""
MAX_WAITING = 300_000
"""Samples that may wait in memory while the disk does not answer."""
MAX_EVENTS = 10_000
SAY_AGAIN = 60.0
"""Seconds before a full disk is logged again."""
RELIEF = 1 << 20
"""Bytes of old telemetry given up for new when the file is full."""
LAST_TIME = "clock.last"
"""Counter that holds the time of the newest commit, so that time goes on after a restart."""


class Rows:
    """Samples that wait: parallel lists in order of arrival. The collectors append to them directly.

    ``catalogue`` is the hash of the catalogue that explains their tags.
    """

    __slots__ = ("catalogue", "flags", "tags", "times", "values")

    def __init__(self, catalogue: bytes) -> None:
        self.catalogue = catalogue
        self.tags: list[int] = []
        self.times: list[int] = []
        self.values: list[Value] = []
        self.flags: list[Flag] = []

    def columns(self) -> SampleColumns:
        """As columns."""
        times = self.times
        steps = [0, *map(sub, times[1:], times)]
        return SampleColumns(self.catalogue, times[0], self.tags, steps, self.values, self.flags)


class Takes(Protocol):
    """Whatever takes what a collector reports: the recorder; nobody while it is on trial."""

    rows: Rows

    def touch(self) -> None: ...

    def report(self, events: list[Event]) -> None: ...

    def spill(self) -> None: ...

    def read_until(self, device: str, ts: int) -> None: ...


class Unheard:
    """Takes what a collector on trial reports, and forgets it; ``something`` is set when there was any."""

    def __init__(self) -> None:
        self.rows = Rows(b"")
        self.something = asyncio.Event()

    def touch(self) -> None:
        self.rows = Rows(b"")
        self.something.set()

    def report(self, events: list[Event]) -> None:
        self.something.set()

    def spill(self) -> None:
        """Nothing waits here."""

    def read_until(self, device: str, ts: int) -> None:
        """Nor is anything kept."""


@dataclass(slots=True)
class _Lost:
    """Samples given up of one catalogue: how many of each tag, and from when to when (µs UTC)."""

    first: int
    last: int
    counts: Counter[int] = field(default_factory=Counter)

    def add(self, rows: Rows) -> None:
        self.first, self.last = min(self.first, *rows.times), max(self.last, *rows.times)
        self.counts.update(rows.tags)

    def joined(self, other: _Lost | None) -> _Lost:
        """Both together."""
        if other is None:
            return self
        first, last = min(self.first, other.first), max(self.last, other.last)
        return _Lost(first, last, self.counts + other.counts)

    def tombstone(self, catalogue: bytes) -> Dropped:
        return Dropped(
            stream=b"",
            lane=Lane.TELEMETRY,
            first=-1,
            last=-1,
            from_ts=self.first,
            to_ts=self.last,
            samples=self.counts.total(),
            counts=dict(self.counts),
            catalogue=catalogue,
            reason="dropped: no room to record it",
        )


@dataclass(slots=True)
class Recorder:
    """Commits what the devices of an edge report. ``on_events`` and ``on_samples`` are told what
    is on disk.

    ``catalogue`` is the hash of the catalogue that explains what is appended now; see :meth:`switch`.
    """

    outbox: Outbox
    catalogue: bytes
    on_events: Callable[[list[Event]], None] = lambda _events: None
    on_samples: Callable[[SampleColumns], None] | None = None
    rows: Rows = field(init=False)
    commits: int = field(default=0, init=False)
    _events: list[Event] = field(default_factory=list, init=False)
    _dirty: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _ending: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _read: dict[str, int] = field(default_factory=dict, init=False)
    _closed: list[Rows] = field(default_factory=list, init=False)
    """What waits of catalogues before the one that is in force."""
    _lost: dict[bytes, _Lost] = field(default_factory=dict, init=False)
    _said_full: float = field(default=-SAY_AGAIN, init=False)

    def __post_init__(self) -> None:
        self.rows = Rows(self.catalogue)

    def read_until(self, device: str, ts: int) -> None:
        """Everything that a device gave until ``ts`` (µs UTC) is on disk once what waits now is."""
        self._read[device] = ts

    def switch(self, catalogue: bytes) -> None:
        """What is appended from now on is explained by another catalogue (its hash), announced already."""
        if catalogue != self.catalogue:
            if self.rows.tags:
                self._closed.append(self.rows)
            self.catalogue, self.rows = catalogue, Rows(catalogue)

    def touch(self) -> None:
        """Something was appended."""
        self._dirty.set()

    def report(self, events: list[Event]) -> None:
        """Events of machines and devices, in order."""
        if events:
            self._events += events
            self._dirty.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Commit what comes while the block lasts, and at its end what came last.

        The loop is asked to end and never cancelled: what a cancelled commit held would be gone untold.
        """
        self._ending.clear()
        async with asyncio.TaskGroup() as tasks:
            recording = tasks.create_task(self._run(), name="recorder")
            try:
                yield
            finally:
                self._ending.set()
                self._dirty.set()
                await asyncio.wait([recording])
                await self.flush()

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        last = 0.0
        while not self._ending.is_set():
            await self._dirty.wait()
            spacing = LIVE_SPACING if self.outbox.live else OFFLINE_SPACING
            await self._rest(max(GATHER, last + spacing - clock()))
            last = clock()
            if not await self.flush():
                await self._rest(OFFLINE_SPACING)
                self._dirty.set()

    async def _rest(self, seconds: float) -> None:
        """So long, or until it is to end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()

    async def flush(self) -> bool:
        """Commit what waits now; False when there was no room: states wait on, samples are given up."""
        self._dirty.clear()
        read, self._read = self._read, {}
        waiting = [rows for rows in (*self._closed, self.rows) if rows.tags]
        self._closed, self.rows = [], Rows(self.catalogue)
        events, self._events = self._events, []
        lost, self._lost = self._lost, {}
        if not (waiting or events or lost or read):
            return True
        if await self._commit(waiting, events, lost, read) or (
            await self._relieved() and await self._commit(waiting, events, lost, read)
        ):
            self.commits += 1
            if events:
                self.on_events(events)
            return True
        self._events = (events + self._events)[-MAX_EVENTS:]
        for catalogue, each in lost.items():
            self._lost[catalogue] = each.joined(self._lost.get(catalogue))
        for rows in waiting:
            self._lose(rows)
        return False

    def spill(self) -> None:
        """Give up what waits when it is too much: the disk has not answered for long."""
        if len(self.rows.tags) > MAX_WAITING:
            rows, self.rows = self.rows, Rows(self.catalogue)
            log.error("recorder.disk_does_not_answer", samples=len(rows.tags), limit=MAX_WAITING)
            self._lose(rows)

    async def _commit(
        self, waiting: list[Rows], events: list[Event], lost: dict[bytes, _Lost], read: dict[str, int]
    ) -> bool:
        live = self.outbox.live
        now = self.outbox.clock.now()
        tombstones: list[Event] = [each.tombstone(catalogue) for catalogue, each in lost.items()]
        given_up = sum(each.counts.total() for each in lost.values())
        committed: list[SampleColumns] = []

        def work(db: sqlite3.Connection) -> None:
            committed.clear()  # of an attempt that was rolled back
            if events:
                append_states(db, events)
                remember(db, events)
            if tombstones:
                append_states(db, tombstones)
                sealing.add(db, sealing.COMMITTED, given_up)
                sealing.add(db, sealing.DROPPED, given_up)
            for rows in waiting:
                columns = rows.columns()
                append_samples(db, columns, sealed=live)
                committed.append(columns)
            if read:
                keep_read(db, read)
            db.execute(
                "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name)"
                " DO UPDATE SET value = max(value, excluded.value)",
                (LAST_TIME, now),
            )

        try:
            await self.outbox.store.run(work, urgent=False)
        except OutboxFullError as error:
            now_s = self.outbox.clock.monotonic()
            if now_s - self._said_full >= SAY_AGAIN:
                self._said_full = now_s
                log.error("recorder.disk_full", error=str(error))
            return False
        if self.on_samples is not None:
            for columns in committed:
                self.on_samples(columns)
        return True

    async def _relieved(self) -> bool:
        try:
            return await self.outbox.relieve(RELIEF)
        except OutboxFullError:
            return False

    def _lose(self, rows: Rows) -> None:
        if rows.tags:
            known = self._lost.setdefault(rows.catalogue, _Lost(rows.times[0], rows.times[0]))
            known.add(rows)


def last_time(db: sqlite3.Connection) -> int:
    """Time of the newest commit in µs UTC; 0 in a new file."""
    row = db.execute("SELECT value FROM counter WHERE name = ?", (LAST_TIME,)).fetchone()
    return 0 if row is None else int(row[0])
