"""An edge for tests of the cloud: the real link over an outbox in memory, and batches by hand."""

import os
import queue
import time
from collections.abc import Callable, Iterable
from decimal import Decimal

from protocols import actions, session, states, telemetry
from protocols.actions import Action, Booked
from protocols.catalogue import Catalogue, TagDefinition, catalogue
from protocols.lanes import SESSION, Lane, up
from protocols.link_commands import Command, Delete, Queued, Rekey, SendBatch, SendHello, Want
from protocols.link_edge import EdgeLink, LinkState
from protocols.packing import digest
from protocols.session import Batch, BatchKey, Bounds, Hello
from protocols.states import CatalogueAnnounced
from protocols.telemetry import SampleColumns
from protocols.values import DataType, Sample

STREAM = bytes(range(16))
SESSION_ID = b"one session"


def tags(edge: str, count: int = 2) -> Catalogue:
    """Tags 1 … ``count`` of one device."""
    return catalogue(
        edge,
        [
            TagDefinition(n, f"{edge}-press/t{n}", DataType.FLOAT64, "mm", device=f"{edge}-press")
            for n in range(1, count + 1)
        ],
    )


def announced(known: Catalogue) -> CatalogueAnnounced:
    """The event that brings a catalogue."""
    return CatalogueAnnounced(known.content_hash(), known)


def columns(known: Catalogue, first_ts: int, count: int) -> SampleColumns:
    """``count`` samples, tags in turn, one µs apart."""
    numbers = [tag.number for tag in known.tags]
    rows = [Sample(numbers[n % len(numbers)], first_ts + n, float(n)) for n in range(count)]
    return telemetry.columns(known.content_hash(), rows)


def booked(action_id: str, ts: int = 1) -> Action:
    """An action of an unknown run: legal on the wire."""
    return Action(action_id, ts, "cell-1", "op-1", Booked("run-1", "operation-1", good=Decimal(1)))


def batch(
    lane: Lane,
    seq: int,
    blob: bytes,
    *,
    count: int = 1,
    stream: bytes = STREAM,
    historical: bool = False,
    session_id: bytes = SESSION_ID,
) -> Batch:
    """An envelope with the right digest."""
    return Batch(session_id, stream, lane, seq, digest(blob), count, historical, blob)


def hello(
    edge: str,
    *,
    streams: Iterable[bytes] = (STREAM,),
    queued: Iterable[Bounds] = (),
    known: bytes = b"",
    session_id: bytes = SESSION_ID,
) -> Hello:
    """A hello of one session."""
    return Hello(edge, session_id, session.PROTOCOL, tuple(streams), tuple(queued), {"site": "abc"}, known, 1)


class MemoryEdge:
    """An edge with its outbox in memory. ``send(topic, payload)`` is its way up; answers go to ``inbox``.

    ``acked`` has the keys that the cloud acknowledged; ``rows`` what is still queued.
    """

    def __init__(self, edge: str, send: Callable[[str, bytes], object]) -> None:
        self.edge = edge
        self.inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.stream = os.urandom(16)
        self.streams = [self.stream]
        self.rows: dict[BatchKey, tuple[Queued, bytes]] = {}
        self.acked: list[BatchKey] = []
        self.known = tags(edge)
        self._send = send
        self._next: dict[Lane, int] = dict.fromkeys(Lane, 1)
        self._link = EdgeLink(edge, lambda: os.urandom(16))

    @property
    def state(self) -> LinkState:
        """State of the link."""
        return self._link.state

    def seal(self, lane: Lane, blob: bytes, count: int) -> BatchKey:
        """Commit a batch to the outbox."""
        key = BatchKey(self.stream, lane, self._next[lane])
        self._next[lane] += 1
        self.rows[key] = (Queued(key, digest(blob), len(blob), count), blob)
        self._do(self._link.sealed(key, time.monotonic()))
        return key

    def announce(self) -> BatchKey:
        """Seal the catalogue."""
        return self.seal(Lane.STATES, states.encode([announced(self.known)]), 1)

    def samples(self, count: int = 10) -> BatchKey:
        """Seal ``count`` samples of now."""
        blob = telemetry.encode(columns(self.known, time.time_ns() // 1000, count))
        return self.seal(Lane.TELEMETRY, blob, count)

    def act(self, *ids: str) -> BatchKey:
        """Seal actions."""
        return self.seal(Lane.ACTIONS, actions.encode([booked(name) for name in ids]), len(ids))

    def connect(self) -> None:
        """The transport is up."""
        self._do(self._link.connected(time.monotonic()))

    def disconnect(self) -> None:
        """The transport is down."""
        self._do(self._link.disconnected(time.monotonic()))

    def turn(self, wait: float = 0.01) -> None:
        """Take what came, tick, offer what is wanted."""
        try:
            self._take(self.inbox.get(timeout=wait))
            while True:
                self._take(self.inbox.get_nowait())
        except queue.Empty:
            pass
        now = time.monotonic()
        self._do(self._link.tick(now))
        for want in self._link.wants(now):
            self._do(self._link.offer(want, self._wanted(want), now))

    def drain(self, seconds: float = 30.0) -> None:
        """Turn until nothing is queued; AssertionError when that takes too long."""
        deadline = time.monotonic() + seconds
        while self.rows:
            assert time.monotonic() < deadline, f"{len(self.rows)} batches of {self.edge} still queued"
            self.turn()

    def _take(self, payload: bytes) -> None:
        self._do(self._link.received(session.decode_down(payload), time.monotonic()))

    def _wanted(self, want: Want) -> list[Queued]:
        order = {stream: place for place, stream in enumerate(self.streams)}

        def place(key: BatchKey | None) -> tuple[int, int]:
            return (-1, 0) if key is None else (order[key.stream], key.seq)

        found = [row for key, (row, _) in self.rows.items() if key.lane is want.lane]
        found = [row for row in found if place(row.key) > place(want.after)]
        if want.upto is not None:
            found = [row for row in found if place(row.key) <= place(want.upto)]
        return sorted(found, key=lambda row: place(row.key))[: want.limit]

    def _do(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case SendHello(session_id):
                    self._say_hello(session_id)
                case SendBatch():
                    found = self.rows.get(command.batch.key)
                    if found is not None:
                        topic = up(self.edge, command.batch.key.lane)
                        self._send(topic, session.encode(command.envelope(found[1])))
                case Delete(done):
                    for key, _ in done:
                        if self.rows.pop(key, None) is not None:
                            self.acked.append(key)
                case Rekey(key, _, open_stream):
                    self._rekey(key, open_stream)

    def _say_hello(self, session_id: bytes) -> None:
        seqs: dict[tuple[bytes, Lane], list[int]] = {}
        for key in self.rows:
            seqs.setdefault((key.stream, key.lane), []).append(key.seq)
        bounds = [Bounds(stream, lane, min(s), max(s)) for (stream, lane), s in seqs.items()]
        said = self._link.hello(
            session_id, self.streams, bounds, {}, self.known.content_hash(), time.time_ns() // 1000
        )
        if said is not None:
            self._send(up(self.edge, SESSION), session.encode(said))

    def _rekey(self, key: BatchKey, open_stream: bool) -> None:
        row, blob = self.rows.pop(key)
        if open_stream:
            self.stream = os.urandom(16)
            self.streams.append(self.stream)
            self._next = dict.fromkeys(Lane, 1)
        self.seal(key.lane, blob, row.count)
