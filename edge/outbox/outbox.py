"""The outbox: everything that waits for the cloud, on disk, in its order.

Appending happens inside a transaction of the :class:`~edge.store.Store`, beside whatever else that
transaction records::

    await store.run(lambda db: append_actions(db, [action]))

The :class:`Outbox` opens the stream, tells the link what was sealed, and keeps the bounds. Always:
committed = acknowledged + dropped (with a tombstone) + queued.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from edge.outbox import bounds, sealing
from edge.outbox.bounds import OutboxBounds
from edge.outbox.sealing import Sealed, append_actions, append_history, append_samples, append_states
from edge.outbox.store import Store
from protocols.clock import Clock
from protocols.lanes import Lane
from protocols.link_commands import Queued, Want
from protocols.session import BatchKey, Bounds

__all__ = [
    "LaneStats",
    "Outbox",
    "OutboxBounds",
    "OutboxStats",
    "Sealed",
    "append_actions",
    "append_history",
    "append_samples",
    "append_states",
]


@dataclass(frozen=True, slots=True)
class LaneStats:
    """What one lane holds; items are samples, actions or events, ``oldest`` is µs UTC (0: none)."""

    batches: int = 0
    items: int = 0
    bytes: int = 0
    oldest: int = 0


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """Counters since the file was made, and what waits now."""

    lanes: dict[Lane, LaneStats]
    committed: int
    acked: int
    dropped: int
    accepted: int
    delivered: int
    """Actions accepted and acknowledged; ``committed``, ``acked`` and ``dropped`` count samples."""
    last_ack: int | None
    """µs UTC of the last acknowledgement."""

    @property
    def queued(self) -> int:
        """Samples that wait."""
        return self.lanes[Lane.TELEMETRY].items

    @property
    def queued_actions(self) -> int:
        return self.lanes[Lane.ACTIONS].items

    @property
    def queued_batches(self) -> int:
        return sum(lane.batches for lane in self.lanes.values())


def _new_stream() -> bytes:
    return uuid.uuid4().bytes


@dataclass(slots=True)
class Outbox:
    """The outbox of one edge. :meth:`open` comes before the first append."""

    store: Store
    clock: Clock
    bounds: OutboxBounds = field(default_factory=OutboxBounds)
    new_stream: Callable[[], bytes] = _new_stream
    stream: bytes = field(default=b"", init=False)
    """The stream that is open: 16 bytes of a UUID."""
    live: bool = field(default=False, init=False)
    """Whether samples are sealed as they come: the link takes them at once. Else they wait to be merged."""
    last_ack: int | None = field(default=None, init=False)
    recent: OutboxStats | None = field(default=None, init=False)
    """What :meth:`stats` answered last."""
    _told: int = field(default=0, init=False)
    _listeners: list[Callable[[list[Sealed]], None]] = field(default_factory=list, init=False)

    async def open(self) -> None:
        """Open a new stream, as every start of the agent does."""
        stream, now = self.new_stream(), self.clock.now()

        def work(db: sqlite3.Connection) -> tuple[int, int | None]:
            sealing.open_stream(db, stream, now)
            return sealing.add(db, sealing.SERIAL, 0), sealing.counters(db).get(sealing.LAST_ACK)

        self._told, self.last_ack = await self.store.run(work)
        self.stream = stream
        self.store.after_commit(self._tell)
        self.store.on_full(self._relieve)

    def subscribe(self, listener: Callable[[list[Sealed]], None]) -> None:
        """Tell ``listener`` of batches after the commit that sealed them, on the writer thread."""
        self._listeners.append(listener)

    def _tell(self, db: sqlite3.Connection) -> None:
        if fresh := sealing.sealed_after(db, self._told):
            self._told = fresh[-1].serial
            for listener in self._listeners:
                listener(fresh)

    def _relieve(self, db: sqlite3.Connection) -> bool:
        return bounds.relieve(db, max(self.store.limits.max_bytes // 50, 1 << 20))

    # --- for the link ---------------------------------------------------------------------------------

    async def greeting(self) -> tuple[tuple[bytes, ...], list[Bounds]]:
        """What a hello tells: streams (oldest first, the open one last) and what waits of each.

        What was not sealed is sealed now, so that it is backlog of the session that opens.
        """

        def work(db: sqlite3.Connection) -> tuple[tuple[bytes, ...], list[Bounds]]:
            sealing.seal(db)
            return sealing.streams(db), sealing.bounds(db)

        return await self.store.run(work)

    async def wanted(self, want: Want) -> list[Queued]:
        """The rows to offer for a want of the link."""
        return await self.store.read(lambda db: sealing.wanted(db, want))

    async def pending(self) -> list[Sealed]:
        """All sealed batches that wait: streams in the order they were opened, seqs ascending."""
        return await self.store.read(sealing.pending)

    async def blob(self, key: BatchKey) -> bytes | None:
        """The blob of a sealed batch; None when it was acknowledged or dropped meanwhile."""
        return await self.store.read(lambda db: sealing.blob_of(db, key))

    async def blobs(self, keys: Sequence[BatchKey]) -> list[bytes | None]:
        """Blobs of several batches, in one read."""
        return await self.store.read(lambda db: [sealing.blob_of(db, key) for key in keys])

    async def waiting_actions(self, serial: int, limit: int) -> list[tuple[Sealed, bytes]]:
        """Sealed batches of actions that wait, after the one of ``serial``, with their blobs."""
        return await self.store.read(lambda db: sealing.waiting_actions(db, serial, limit))

    async def seal(self) -> int:
        """Seal what still waits unsealed; returns how many rows."""
        return await self.store.run(sealing.seal)

    async def acknowledge(self, batches: Iterable[tuple[BatchKey, bytes]]) -> int:
        """The ledger has these (key and digest): delete them. Returns how many were still here."""
        done = list(batches)
        now = self.clock.now()
        count = await self.store.run(lambda db: sealing.acknowledge(db, done, now))
        self.last_ack = now
        return count

    async def rekey(self, key: BatchKey, known: bytes, *, open_stream: bool) -> bool:
        """Give a forked batch of digest ``known`` a new key in the open stream, a new one if so asked.

        Listeners are told of it as newly sealed.
        """
        stream, now = self.new_stream(), self.clock.now()

        def work(db: sqlite3.Connection) -> bool:
            if open_stream:
                sealing.open_stream(db, stream, now)
            return sealing.rekey(db, key, known)

        done = await self.store.run(work)
        if open_stream:
            self.stream = stream
        return done

    # --- for the agent --------------------------------------------------------------------------------

    async def enforce(self) -> None:
        """Keep the bounds: thin and drop until bytes and age are within them."""
        now = self.clock.now()
        while await self.store.run(lambda db: bounds.enforce(db, self.bounds, now)):
            pass

    async def relieve(self, size: int) -> bool:
        """Give up about ``size`` bytes of telemetry; False when there is none left."""
        return await self.store.run(lambda db: bounds.relieve(db, size))

    async def stats(self) -> OutboxStats:
        """Counters and what waits, in one snapshot."""
        last_ack = self.last_ack

        def work(db: sqlite3.Connection) -> OutboxStats:
            counted = sealing.counters(db)
            lanes = dict.fromkeys(Lane, LaneStats())
            for lane, *figures in db.execute(
                "SELECT lane, count(*), sum(count), sum(bytes), ifnull(min(nullif(first_ts, 0)), 0)"
                " FROM batch GROUP BY lane"
            ):
                lanes[Lane(lane)] = LaneStats(*figures)
            return OutboxStats(
                lanes,
                counted.get(sealing.COMMITTED, 0),
                counted.get(sealing.ACKED, 0),
                counted.get(sealing.DROPPED, 0),
                counted.get(sealing.ACCEPTED, 0),
                counted.get(sealing.DELIVERED, 0),
                last_ack,
            )

        self.recent = await self.store.read(work)
        return self.recent
