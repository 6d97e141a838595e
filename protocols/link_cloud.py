"""The cloud's half of the link: which batch is committed, which is acknowledged again, which is a fork.

Pure. Decisions are taken *inside* the transaction that carries them out: the shell passes a view of the
ledger within its transaction, commits to the ledger what :class:`Commit` says before it goes on, and sends
what :meth:`CloudLinks.flush` returns only after the transaction is on disk. When the transaction fails,
:meth:`CloudLinks.reset` forgets everything, as a restart would, and the edges begin again with a hello.
:mod:`protocols.link` tells the whole story.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from protocols.lanes import Lane
from protocols.link import Seqs
from protocols.packing import digest
from protocols.session import (
    PROTOCOL,
    Ack,
    Batch,
    BatchKey,
    Bounds,
    DownMessage,
    Fork,
    Hello,
    Ranges,
    Rejected,
    SessionUnknown,
    UpMessage,
    Welcome,
)

EDGE_WINDOW = 4 * 1024 * 1024
"""Bytes that one edge may have under way."""
TOTAL_WINDOW = 64 * 1024 * 1024
"""Bytes that all edges together may have under way."""
LEAST_WINDOW = 512 * 1024
"""Bytes that any edge may have under way, however many there are."""
SILENT = 60.0
"""Seconds after which an edge that says nothing does not count for the shares of the window."""
MAX_HAS = 4096
"""Batches that a welcome lists; an edge that has more sends them and has them acknowledged again."""


class Ledger(Protocol):
    """What the link asks of the ledger, seen from within the transaction."""

    def digest(self, key: BatchKey) -> bytes | None:
        """Digest of the batch ledgered under ``key``."""

    def last(self, stream: bytes, lane: Lane) -> int:
        """Highest seq ledgered of a lane of a stream; 0 when there is none."""

    def digests(self, bounds: Bounds, limit: int) -> list[tuple[int, bytes]]:
        """Seq and digest of what is ledgered within ``bounds``, ascending, at most ``limit``."""


class LaneGap(NamedTuple):
    """Batches ``first`` to ``last`` of an ordered lane are neither in the ledger nor at the edge."""

    stream: bytes
    lane: Lane
    first: int
    last: int


class Opened(NamedTuple):
    """An edge opened a session: remember its configuration and catalogue, report the gaps."""

    hello: Hello
    gaps: tuple[LaneGap, ...]


class Refused(NamedTuple):
    """An edge was told to go away."""

    reason: str


class Commit(NamedTuple):
    """Write this to the ledger with its effects, now. ``historical`` replaces the envelope's flag;
    ``damaged`` blobs and blobs that do not decode go to quarantine: they count as ledgered.
    """

    batch: Batch
    historical: bool
    damaged: bool


class Replayed(NamedTuple):
    """The ledger has it; it will be acknowledged again."""

    key: BatchKey


class Forked(NamedTuple):
    """The ledger has another batch under this key: raise an alarm. The edge is told."""

    batch: Batch
    ledgered: bytes


class Ignored(NamedTuple):
    """Nothing to do; ``why`` is for counting: ``session``, ``order`` or ``damaged``."""

    why: str


Decision = Opened | Refused | Commit | Replayed | Forked | Ignored


@dataclass(slots=True)
class _Lane:
    """One lane of one stream in a session. ``last`` shadows the ledger; ordered lanes go on at ``next``."""

    last: int
    next: int
    seen: Seqs = field(default_factory=Seqs)


class CloudLink:
    """The cloud's half of the link with one edge. :class:`CloudLinks` keeps one for each."""

    def __init__(self, edge: str) -> None:
        self.edge = edge
        self.session = b""
        self.heard = 0.0
        self.window = 0
        self._streams: frozenset[bytes] = frozenset()
        self._lanes: dict[tuple[bytes, Lane], _Lane] = {}
        self._earlier: dict[Lane, list[Bounds]] = {}
        self._replies: list[DownMessage] = []
        self._acks: dict[tuple[bytes, Lane], set[int]] = {}
        self._unknown: set[bytes] = set()

    def hello(self, hello: Hello, ledger: Ledger, window: int, server_time: int) -> Opened | Refused:
        """A session opens, or the same hello comes again."""
        reason = self._objection(hello)
        if reason:
            self._replies.append(Rejected(hello.session, reason))
            return Refused(reason)
        self.session = hello.session
        self.window = window
        self._streams = frozenset(hello.streams)
        self._lanes, self._acks = {}, {}
        order = {stream: place for place, stream in enumerate(hello.streams)}
        self._earlier = {
            lane: sorted((b for b in hello.queued if b.lane is lane), key=lambda b: order[b.stream])
            for lane in Lane
            if lane.ordered
        }
        gaps: list[LaneGap] = []
        has: list[Ranges] = []
        listed = 0
        for bounds in hello.queued:
            lane = self._lane(bounds.stream, bounds.lane, ledger)
            if bounds.lane.ordered and bounds.first > lane.next:
                gaps.append(LaneGap(bounds.stream, bounds.lane, lane.next, bounds.first - 1))
                lane.next = bounds.first
            if bounds.first <= lane.last and listed < MAX_HAS:
                ledgered = ledger.digests(bounds, MAX_HAS - listed)
                listed += len(ledgered)
                seqs = Seqs()
                for seq, _ in ledgered:
                    seqs.add(seq)
                if ledgered:
                    digests = b"".join(known for _, known in ledgered)
                    has.append(Ranges(bounds.stream, bounds.lane, seqs.ranges(), digests))
        self._replies.append(Welcome(hello.session, PROTOCOL, tuple(has), window, server_time))
        return Opened(hello, tuple(gaps))

    def batch(self, batch: Batch, ledger: Ledger) -> Decision:
        """Decide about a batch; a :class:`Commit` must be carried out before the next call."""
        if batch.session != self.session or batch.stream not in self._streams:
            self._unknown.add(batch.session)
            return Ignored("session")
        key = batch.key
        lane = self._lane(batch.stream, batch.lane, ledger)
        if batch.seq <= lane.last:
            known = ledger.digest(key)
            if known == batch.digest:
                self._acknowledge(key, lane)
                return Replayed(key)
            if known is not None:
                self._replies.append(Fork(batch.session, *key, known))
                return Forked(batch, known)
        elif batch.lane.ordered and (batch.seq != lane.next or not self._is_turn_of(batch, ledger)):
            return Ignored("order")
        damaged = digest(batch.blob) != batch.digest
        if damaged and not batch.rotten:
            return Ignored("damaged")
        historical = batch.historical or batch.seq < lane.last
        lane.last = max(lane.last, batch.seq)
        lane.next = max(lane.next, lane.last + 1)
        self._acknowledge(key, lane)
        return Commit(batch, historical, damaged)

    def flush(self) -> list[DownMessage]:
        """What to tell the edge, now that everything decided so far is on disk."""
        messages = self._replies
        messages += [SessionUnknown(session) for session in sorted(self._unknown)]
        if self._acks:
            acked = tuple(
                Ranges(*key, tuple(sorted({self._lanes[key].seen.around(seq) for seq in seqs})))
                for key, seqs in self._acks.items()
            )
            messages.append(Ack(self.session, acked))
        self._replies, self._unknown, self._acks = [], set(), {}
        return messages

    def resize(self, window: int, server_time: int) -> None:
        """Tell the edge of another window."""
        self.window = window
        self._replies.append(Welcome(self.session, PROTOCOL, (), window, server_time))

    def _objection(self, hello: Hello) -> str:
        if hello.edge != self.edge:
            return f'a hello of edge "{hello.edge}" came on the topic of "{self.edge}": check the edge\'s id'
        if hello.protocol != PROTOCOL:
            older = "edge" if hello.protocol < PROTOCOL else "cloud"
            return f"protocol {hello.protocol} is not {PROTOCOL}: update the {older}"
        unknown = [bounds for bounds in hello.queued if bounds.stream not in hello.streams]
        if not hello.streams or unknown:
            return "the hello has queued batches of streams it does not list: update the edge"
        return ""

    def _lane(self, stream: bytes, lane: Lane, ledger: Ledger) -> _Lane:
        known = self._lanes.get((stream, lane))
        if known is None:
            last = ledger.last(stream, lane)
            known = self._lanes[stream, lane] = _Lane(last, last + 1)
        return known

    def _is_turn_of(self, batch: Batch, ledger: Ledger) -> bool:
        """Whether all streams that were opened before the batch's own are drained in its lane."""
        earlier = self._earlier[batch.lane]
        while earlier and self._lane(earlier[0].stream, batch.lane, ledger).last >= earlier[0].last:
            earlier.pop(0)
        return not earlier or earlier[0].stream == batch.stream

    def _acknowledge(self, key: BatchKey, lane: _Lane) -> None:
        """Acknowledge with the whole range that this session has seen around it, in case an ack got lost.

        Only what was shown in this session, with its digest: a mere "up to" could cover a fork.
        """
        lane.seen.add(key.seq)
        self._acks.setdefault((key.stream, key.lane), set()).add(key.seq)


class CloudLinks:
    """The links with all edges. One owner; see the module for how it sits in a transaction."""

    def __init__(self, edge_window: int = EDGE_WINDOW, total_window: int = TOTAL_WINDOW) -> None:
        self._edge_window = edge_window
        self._total_window = total_window
        self._links: dict[str, CloudLink] = {}

    def received(
        self, edge: str, message: UpMessage, ledger: Ledger, now: float, server_time: int
    ) -> Decision:
        """Decide about a message that came on the topics of ``edge``.

        ``now`` is monotonic seconds, ``server_time`` µs UTC.
        """
        link = self._links.get(edge)
        if link is None:
            link = self._links[edge] = CloudLink(edge)
        link.heard = now
        if isinstance(message, Batch):
            return link.batch(message, ledger)
        window = self._share(now)
        decision = link.hello(message, ledger, window, server_time)
        for other in self._links.values():
            if other.session and other.window > window:
                other.resize(window, server_time)
        return decision

    def flush(self) -> list[tuple[str, DownMessage]]:
        """Edge and message of everything to send, now that what was decided is on disk."""
        return [(link.edge, message) for link in self._links.values() for message in link.flush()]

    def reset(self) -> None:
        """Forget everything, as a restart does: a transaction failed."""
        self._links.clear()

    def _share(self, now: float) -> int:
        """Bytes of window for each edge that was heard of late."""
        awake = sum(now - link.heard <= SILENT for link in self._links.values())
        return max(min(self._edge_window, self._total_window // max(awake, 1)), LEAST_WINDOW)
