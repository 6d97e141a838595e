"""An edge, a cloud and the worst network between them, in memory and in virtual time.

The disks (:class:`Outbox`, :class:`LedgerDisk`) survive restarts; the two halves of the link do not. What is
always true is asserted where it could break: at every commit, at every deletion and in :meth:`World.check`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from protocols import session
from protocols.lanes import Lane
from protocols.link_cloud import CloudLinks, Commit, Forked, LaneGap, Opened
from protocols.link_commands import Alarm, Command, Delete, Queued, Rekey, SendBatch, SendHello, Want
from protocols.link_edge import EdgeLink, LinkState
from protocols.link_window import Timing
from protocols.packing import digest
from protocols.session import BatchKey, Bounds

EDGE = "machining"
SMALL = Timing(fetch=3, batches=6, streams=4)
"""A window that a handful of batches fills, a hello that a handful of starts does."""


@dataclass(frozen=True)
class Row:
    """A sealed batch on the edge's disk; ``size`` is what it pretends to weigh."""

    blob: bytes
    digest: bytes
    size: int
    historical: bool = False


@dataclass
class Outbox:
    """The edge's disk."""

    streams: list[bytes] = field(default_factory=list)
    rows: dict[BatchKey, Row] = field(default_factory=dict)
    sealed: Counter[tuple[bytes, Lane]] = field(default_factory=Counter)

    def copy(self) -> Outbox:
        return Outbox(list(self.streams), dict(self.rows), Counter(self.sealed))

    def seal(self, lane: Lane, row: Row) -> BatchKey:
        stream = self.streams[-1]
        self.sealed[stream, lane] += 1
        key = BatchKey(stream, lane, self.sealed[stream, lane])
        self.rows[key] = row
        return key

    def place(self, key: BatchKey) -> tuple[int, int]:
        return self.streams.index(key.stream), key.seq

    def bounds(self) -> list[Bounds]:
        seqs: dict[tuple[bytes, Lane], list[int]] = {}
        for key in self.rows:
            seqs.setdefault((key.stream, key.lane), []).append(key.seq)
        waiting = [Bounds(stream, lane, min(known), max(known)) for (stream, lane), known in seqs.items()]
        return waiting + [
            Bounds(stream, lane, last + 1, last)
            for (stream, lane), last in self.sealed.items()
            if lane.ordered and stream == self.streams[-1] and (stream, lane) not in seqs
        ]

    def announced(self) -> list[bytes]:
        busy = {key.stream for key in self.rows}
        return [stream for stream in self.streams[:-1] if stream in busy] + [self.streams[-1]]

    def offered(self, want: Want) -> list[Queued]:
        keys = sorted((key for key in self.rows if key.lane is want.lane), key=self.place)
        after = self.place(want.after) if want.after else (-1, 0)
        upto = self.place(want.upto) if want.upto else (len(self.streams), 0)
        keys = [key for key in keys if after < self.place(key) <= upto][: want.limit]
        return [
            Queued(key, row.digest, row.size, 1, row.historical) for key in keys for row in [self.rows[key]]
        ]


@dataclass
class LedgerDisk:
    """The cloud's disk, as a transaction sees it; what is not saved can be rolled back."""

    batches: dict[BatchKey, bytes] = field(default_factory=dict)
    digests_of: dict[BatchKey, bytes] = field(default_factory=dict)
    blobs: set[bytes] = field(default_factory=set)
    highest: dict[tuple[bytes, Lane], int] = field(default_factory=dict)
    unsaved: list[tuple[BatchKey, int, bool]] = field(default_factory=list)

    def copy(self) -> LedgerDisk:
        return LedgerDisk(dict(self.batches), dict(self.digests_of), set(self.blobs), dict(self.highest))

    def digest(self, key: BatchKey) -> bytes | None:
        return self.digests_of.get(key)

    def last(self, stream: bytes, lane: Lane) -> int:
        return self.highest.get((stream, lane), 0)

    def digests(self, bounds: Bounds, limit: int) -> list[tuple[int, bytes]]:
        keys = (BatchKey(bounds.stream, bounds.lane, seq) for seq in range(bounds.first, bounds.last + 1))
        return [(key.seq, self.digests_of[key]) for key in keys if key in self.batches][:limit]

    def put(self, key: BatchKey, blob: bytes, known: bytes) -> None:
        assert key not in self.batches, f"{key} is committed twice"
        self.unsaved.append((key, self.last(key.stream, key.lane), blob in self.blobs))
        self.batches[key] = blob
        self.digests_of[key] = known
        self.blobs.add(blob)
        self.highest[key.stream, key.lane] = max(self.last(key.stream, key.lane), key.seq)

    def save(self) -> None:
        self.unsaved.clear()

    def roll_back(self) -> None:
        for key, last, shared in reversed(self.unsaved):
            blob = self.batches.pop(key)
            del self.digests_of[key]
            if not shared:
                self.blobs.remove(blob)
            self.highest[key.stream, key.lane] = last
        self.unsaved.clear()


class World:
    """Everything together. Each method is one thing that may happen."""

    def __init__(self, timing: Timing = SMALL) -> None:
        self.timing = timing
        self.now = 0.0
        self.counter = itertools.count(1)
        self.outbox = Outbox()
        self.old_outbox = Outbox()
        self.ledger = LedgerDisk()
        self.old_ledger = LedgerDisk()
        self.links = CloudLinks()
        self.up: list[tuple[str, bytes]] = []
        self.down: list[bytes] = []
        self.later: list[Callable[[], None]] = []
        self.lazy = False
        self.alarms: list[Alarm] = []
        self.forks: list[Forked] = []
        # what must hold
        self.owed: set[bytes] = set()
        self.tombstones: set[bytes] = set()
        self.opened: list[bytes] = []
        self.resumed: set[bytes] = set()
        self.moved: set[bytes] = set()
        self.rotten: set[bytes] = set()
        self.vanished: set[BatchKey] = set()
        self.ledger_put_back = self.put_back = False
        self.gaps: list[LaneGap] = []
        self.live: dict[bytes, int] = {}
        self.start_edge()

    # the edge

    def start_edge(self) -> None:
        """The agent starts: a new stream, nothing in memory, not connected."""
        self.open_stream()
        self.boot_edge()

    def boot_edge(self) -> None:
        self.link = EdgeLink(EDGE, lambda: next(self.counter).to_bytes(16, "big"), self.timing)
        self.later = []

    def open_stream(self) -> None:
        stream = next(self.counter).to_bytes(16, "little")
        self.outbox.streams.append(stream)
        self.opened.append(stream)

    def copy_outbox(self) -> None:
        """Someone makes a backup of the edge's disk."""
        self.old_outbox = self.outbox.copy()

    def restore_outbox(self, resumed: bool) -> None:
        """The edge comes back from its backup: the agent starts, or (``resumed``) a virtual machine goes on
        in the stream that was open when the copy was made.
        """
        if not self.old_outbox.streams:
            return
        self.outbox = self.old_outbox.copy()
        self.put_back = True
        kept = {row.blob for row in self.outbox.rows.values()} | self.ledger.blobs
        self.owed &= kept | self.tombstones
        if resumed:
            self.resumed.add(self.outbox.streams[-1])
            self.boot_edge()
        else:
            self.start_edge()

    def append(self, lane: Lane, size: int) -> None:
        """The outbox seals a batch."""
        blob = b"batch %d" % next(self.counter)
        key = self.outbox.seal(lane, Row(blob, digest(blob), size))
        self.owed.add(blob)
        self.carry_out(self.link.sealed(key, self.now))

    def drop_oldest(self, lane: Lane) -> None:
        """The outbox gives up the oldest batch of an unordered lane, with a tombstone."""
        assert not lane.ordered
        keys = sorted((key for key in self.outbox.rows if key.lane is lane), key=self.outbox.place)
        if keys:
            self.tombstones.add(self.outbox.rows.pop(keys[0]).blob)
            self.carry_out(self.link.dropped(keys[:1], self.now))

    def rot(self, index: int) -> None:
        """The edge's disk changes a blob that it holds."""
        if self.outbox.rows:
            key = sorted(self.outbox.rows)[index % len(self.outbox.rows)]
            row = self.outbox.rows[key]
            rotten = b"rotten %d" % next(self.counter)
            self.outbox.rows[key] = replace(row, blob=rotten)
            self.owed = self.owed - {row.blob} | {rotten}
            self.rotten.add(rotten)

    def vanish(self, key: BatchKey) -> None:
        """A row is gone from the edge's disk, and nobody says why."""
        self.owed.remove(self.outbox.rows.pop(key).blob)
        self.vanished.add(key)

    def carry_out(self, commands: list[Command]) -> None:
        """The edge's shell; what a real one does asynchronously may happen later."""
        for command in commands:
            match command:
                case SendHello(session=of):
                    self.soon(partial(self.say_hello, of))
                case SendBatch() as send:
                    self.soon(partial(self.send, send))
                case Delete(batches=batches):
                    self.delete(batches)
                case Rekey() as rekey:
                    self.rekey(rekey)
                case Alarm() as alarm:
                    self.alarms.append(alarm)
        for want in self.link.wants(self.now):
            self.soon(partial(self.offer, want, self.outbox.offered(want)))

    def offer(self, want: Want, rows: list[Queued]) -> None:
        self.carry_out(self.link.offer(want, rows, self.now))

    def soon(self, work: Callable[[], None]) -> None:
        if self.lazy:
            self.later.append(work)
        else:
            work()

    def catch_up(self) -> None:
        """The edge's shell does what it has put off."""
        while self.later:
            self.later.pop(0)()

    def say_hello(self, of: bytes) -> None:
        hello = self.link.hello(
            of, self.outbox.announced(), self.outbox.bounds(), {"site": "1"}, b"catalogue", 0
        )
        if hello is not None:
            self.up.append(("hello", session.encode(hello)))

    def send(self, command: SendBatch) -> None:
        row = self.outbox.rows.get(command.batch.key)
        if row is None:
            self.carry_out(self.link.dropped([command.batch.key], self.now))
        elif self.link.state is not LinkState.OFFLINE:
            self.up.append(("batch", session.encode(command.envelope(row.blob))))

    def delete(self, batches: tuple[tuple[BatchKey, bytes], ...]) -> None:
        for key, known in batches:
            row = self.outbox.rows.get(key)
            if row is not None and row.digest == known:
                assert self.ledger.digest(key) == known, f"{key} deleted before it was ledgered"
                self.owed -= {row.blob} & self.rotten  # its sound copy may have arrived before
                del self.outbox.rows[key]

    def rekey(self, command: Rekey) -> None:
        if command.open_stream:
            self.open_stream()
        row = self.outbox.rows.get(command.key)
        if row is not None and row.digest == command.digest:
            del self.outbox.rows[command.key]
            self.moved.add(row.blob)
            key = self.outbox.seal(command.key.lane, replace(row, historical=True))
            self.carry_out(self.link.sealed(key, self.now))

    def connect(self) -> None:
        if self.link.state is LinkState.OFFLINE:
            self.carry_out(self.link.connected(self.now))

    def disconnect(self) -> None:
        self.carry_out(self.link.disconnected(self.now))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.carry_out(self.link.tick(self.now))

    # the cloud

    def restart_cloud(self, announce: bool) -> None:
        """The service starts again; it may tell its edges."""
        self.links = CloudLinks()
        if announce:
            self.down.append(session.encode(session.SessionUnknown(b"")))

    def copy_ledger(self) -> None:
        """Someone makes a backup of the cloud's disk."""
        self.old_ledger = self.ledger.copy()

    def restore_ledger(self) -> None:
        """The service comes back from its backup; what it acknowledged since is nowhere any more."""
        self.ledger = self.old_ledger.copy()
        self.ledger_put_back = True
        self.down.clear()
        self.live = {}
        self.restart_cloud(announce=True)
        queued = {row.blob for row in self.outbox.rows.values()}
        self.owed &= queued | self.ledger.blobs | self.tombstones

    def receive(self, indices: list[int], outcome: str = "replied") -> None:
        """The cloud takes messages in one transaction, which may fail (``rolled back``), or whose replies may
        never leave (``silent``: the service died after the commit).
        """
        live = dict(self.live)
        for index in indices:
            if not self.up:
                break
            kind, data = self.up.pop(index % len(self.up))
            if kind == "hello":
                decision = self.links.received(EDGE, session.decode_hello(data), self.ledger, self.now, 0)
            else:
                decision = self.links.received(EDGE, session.decode_batch(data), self.ledger, self.now, 0)
            match decision:
                case Commit(batch=batch, damaged=damaged) as commit:
                    assert batch.rotten or not damaged, "damage on the way is committed"
                    self.check_order(commit, live)
                    self.ledger.put(batch.key, batch.blob, batch.digest)
                case Opened(gaps=gaps):
                    assert not gaps or self.vanished or self.ledger_put_back, "no batch ever vanished"
                    self.gaps += gaps
                case Forked() as forked:
                    self.forks.append(forked)
        if outcome == "rolled back":
            self.ledger.roll_back()
            self.links.reset()
            return
        self.ledger.save()
        self.live = live
        replies = self.links.flush()
        if outcome == "silent":
            self.links = CloudLinks()
        else:
            self.down.extend(session.encode(message) for _, message in replies)

    def check_order(self, commit: Commit, live: dict[bytes, int]) -> None:
        """What must be true of a batch at the moment it is committed."""
        batch = commit.batch
        known = batch.blob in self.ledger.blobs
        assert not known or batch.blob in self.moved, f"{batch.blob!r} takes effect again"
        if self.ledger_put_back and self.put_back:
            return  # both from copies: what one lost, the other may still have, and late is better than never
        if batch.lane.ordered:
            first = self.ledger.last(batch.stream, batch.lane) + 1
            jump = LaneGap(batch.stream, batch.lane, first, batch.seq - 1)
            assert batch.seq == first or jump in self.gaps, f"{batch.key} out of order"
        if batch.stream in self.resumed:
            return
        if batch.lane.ordered:
            later = self.opened[self.opened.index(batch.stream) + 1 :]
            overtaken = [s for s in later if self.ledger.last(s, batch.lane)]
            assert not overtaken, f"{batch.key} comes after batches of streams opened later"
        elif batch.lane is Lane.TELEMETRY and not commit.historical:
            assert batch.seq > live.get(batch.stream, 0), "live values run backwards"
            live[batch.stream] = batch.seq

    # the network

    def deliver_down(self, index: int) -> None:
        if self.down:
            message = session.decode_down(self.down.pop(index % len(self.down)))
            self.carry_out(self.link.received(message, self.now))

    def lose(self, upward: bool, index: int) -> None:
        queue: list[object] = self.up if upward else self.down  # type: ignore[assignment]
        if queue:
            queue.pop(index % len(queue))

    def repeat(self, upward: bool, index: int) -> None:
        queue: list[object] = self.up if upward else self.down  # type: ignore[assignment]
        if queue:
            queue.append(queue[index % len(queue)])

    def damage(self, index: int) -> None:
        """A batch changes on the way, differently each time."""
        batches = [place for place, (kind, _) in enumerate(self.up) if kind == "batch"]
        if batches:
            place = batches[index % len(batches)]
            batch = session.decode_batch(self.up[place][1])
            broken = msgspec.structs.replace(batch, blob=b"damage %d" % next(self.counter))
            self.up[place] = ("batch", session.encode(broken))

    def all_goes_well(self) -> None:
        """Both sides and the network do what they should, once around."""
        self.connect()
        self.catch_up()
        self.receive([0] * len(self.up))
        for _ in range(len(self.down)):
            self.deliver_down(0)

    # what must hold

    def check(self) -> None:
        """Every sealed batch is in the ledger, tombstoned or still queued."""
        queued = {row.blob for row in self.outbox.rows.values()}
        missing = self.owed - self.ledger.blobs - queued - self.tombstones
        assert not missing, f"lost: {missing}"

    def settle(self, rounds: int = 600) -> None:
        """With a network that does its work everything drains."""
        self.lazy = False
        self.catch_up()
        for _ in range(rounds):
            if not self.outbox.rows and not self.up and not self.down:
                break
            self.all_goes_well()
            self.pass_time(0.25)
        assert not self.outbox.rows, f"still queued: {sorted(self.outbox.rows)} after {self.now} s"
        self.check()
