"""The edge's half of the link: what to send, when to send it again, what may be deleted.

Pure: events in, commands out. ``now`` is monotonic seconds. The link never sees a blob and never reads the
outbox; it says with :meth:`EdgeLink.wants` which rows it would like to know of, and the shell offers them.
:mod:`protocols.link` tells the whole story.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from protocols.lanes import Lane
from protocols.link_commands import (
    Alarm,
    Command,
    Delete,
    Feed,
    Queued,
    Rekey,
    SendBatch,
    SendHello,
    Want,
)
from protocols.link_window import SHARES, Timing, Window
from protocols.packing import DIGEST_SIZE
from protocols.session import (
    LAST_SEQ,
    PROTOCOL,
    Ack,
    BatchKey,
    Bounds,
    DownMessage,
    Fork,
    Hello,
    Rejected,
    SessionUnknown,
    Welcome,
)


class LinkState(StrEnum):
    OFFLINE = "offline"
    GREETING = "greeting"
    LIVE = "live"


@dataclass(slots=True)
class _Pull:
    """Where one feed stands in the outbox. ``mark`` counts what was sealed, so that an answer which was on
    its way meanwhile does not make the feed look exhausted.
    """

    lane: Lane
    after: BatchKey | None = None
    upto: BatchKey | None = None
    ready: deque[Queued] = field(default_factory=deque)
    asked: bool = False
    exhausted: bool = False
    mark: int = 0


class EdgeLink:
    """The edge's half. Give it every event; carry out its commands in order.

    ``new_session`` makes 16 random bytes. Not thread-safe: one owner.
    """

    def __init__(self, edge: str, new_session: Callable[[], bytes], timing: Timing | None = None) -> None:
        self.edge = edge
        self.state = LinkState.OFFLINE
        self._timing = timing or Timing()
        self._new_session = new_session
        self._session = b""
        self._greeted = False
        self._hellos = 0
        self._hello_due = 0.0
        self._hello_at = float("-inf")
        self._open_stream = b""
        self._newest = 0
        self._reset()

    # what the shell may ask

    @property
    def session(self) -> bytes:
        """Id of the session, b"" before the first."""
        return self._session

    @property
    def under_way(self) -> int:
        """Batches sent and not yet acknowledged."""
        return len(self._window)

    def wants(self, now: float) -> list[Want]:
        """Rows to offer now, most urgent first; ask after every event. Each want is given once, until it
        is answered by :meth:`offer` (with no rows, too).
        """
        if self.state is not LinkState.LIVE:
            return []
        self._give_up_freshness(now)
        wants: list[Want] = []
        for feed, pull in self._pulls.items():
            if pull.asked or pull.exhausted or len(pull.ready) > self._timing.fetch // 2:
                continue
            pull.asked = True
            limit = self._timing.fetch
            wants.append(Want(self._session, feed, pull.lane, pull.after, pull.upto, limit, pull.mark))
        return wants

    # events

    def connected(self, now: float) -> list[Command]:
        """The transport is up and the downward topics are subscribed."""
        self._hellos = 0
        return self._say_hello(now)

    def disconnected(self, now: float) -> list[Command]:
        """The transport is down."""
        self.state = LinkState.OFFLINE
        self._reset()
        return []

    def hello(
        self,
        session: bytes,
        streams: Sequence[bytes],
        queued: Sequence[Bounds],
        configs: dict[str, str],
        catalogue: bytes,
        sent_at: int,
    ) -> Hello | None:
        """The hello to send for :class:`SendHello`; None when it is not wanted any more.

        ``streams`` has all streams with queued batches in the order they were opened, the open one last;
        ``queued`` the bounds per stream and lane, from one read of the outbox. Of very many streams only the
        oldest and the open one are told, see :class:`Timing`.
        """
        if self.state is not LinkState.GREETING or session != self._session:
            return None
        self._open_stream = streams[-1]
        listed = streams
        if len(streams) > self._timing.streams:
            listed = [*streams[: self._timing.streams - 1], streams[-1]]
            told = frozenset(listed)
            queued = [bounds for bounds in queued if bounds.stream in told]
        sealed = max(
            (b.last for b in queued if b.lane is Lane.TELEMETRY and b.stream == self._open_stream), default=0
        )
        split = BatchKey(self._open_stream, Lane.TELEMETRY, sealed)
        self._pulls[Feed.BACKLOG].upto = split
        self._pulls[Feed.LIVE].after = split
        self._partly = len(listed) < len(streams)
        if self._partly:  # what is older than this session's samples waits for its turn
            for feed, pull in self._pulls.items():
                if feed is not Feed.LIVE:
                    pull.upto = BatchKey(listed[-2], pull.lane, LAST_SEQ)
        self._newest = max(self._newest, sealed)
        self._fresh.clear()
        self._greeted = True
        return Hello(self.edge, session, PROTOCOL, tuple(listed), tuple(queued), configs, catalogue, sent_at)

    def sealed(self, key: BatchKey, now: float) -> list[Command]:
        """The outbox sealed a batch (after its commit)."""
        for feed, pull in self._pulls.items():
            if pull.lane is key.lane and feed is not Feed.BACKLOG:
                pull.exhausted = False
                pull.mark += 1
        if key.lane is Lane.TELEMETRY and key.stream == self._open_stream:
            self._newest = key.seq
            if not self._fresh or now - self._fresh[-1][0] > self._timing.stale / 10:
                self._fresh.append((now, key.seq))
        return []

    def offer(self, want: Want, rows: Sequence[Queued], now: float) -> list[Command]:
        """The rows for a want, in order."""
        if want.session != self._session or self.state is not LinkState.LIVE:
            return []
        pull = self._pulls[want.feed]
        if not pull.asked or pull.after != want.after:
            return []
        pull.asked = False
        pull.exhausted = len(rows) < want.limit and pull.mark == want.mark
        if rows:
            pull.after = rows[-1].key
        pull.ready.extend(row for row in rows if row.key not in self._window)
        return self._send(now)

    def dropped(self, keys: Iterable[BatchKey], now: float) -> list[Command]:
        """The outbox gave these up (they have a tombstone)."""
        gone = set(keys)
        for key in gone:
            self._window.settle(key)
        for pull in self._pulls.values():
            if any(row.key in gone for row in pull.ready):
                pull.ready = deque(row for row in pull.ready if row.key not in gone)
        return self._send(now)

    def received(self, message: DownMessage, now: float) -> list[Command]:
        """A message from the cloud. What is not of this session is ignored."""
        if isinstance(message, SessionUnknown):
            return self._forgotten(message, now)
        if message.session != self._session or self.state is LinkState.OFFLINE:
            return []
        if isinstance(message, Welcome):
            return self._welcomed(message, now)
        if isinstance(message, Rejected):
            return self._rejected(message, now)
        if self.state is not LinkState.LIVE:
            return []
        if isinstance(message, Ack):
            return self._acked(message, now)
        return self._forked(message, now)

    def tick(self, now: float) -> list[Command]:
        """Time has passed; call a few times a second."""
        if self.state is LinkState.GREETING:
            return self._repeat_hello(now) if now >= self._hello_due else []
        if self.state is LinkState.OFFLINE:
            return []
        commands: list[Command] = []
        for lane in Lane:
            late = self._window.late(lane, now)
            commands += [SendBatch(self._session, sent.batch, sent.historical) for sent in late]
        if self._window.given_up or (self._partly and self._drained()):
            self._hellos = 0
            return self._say_hello(now)
        return commands + self._send(now)

    def _drained(self) -> bool:
        """Whether nothing but live samples is left of what this session's hello listed."""
        return all(
            pull.exhausted and not pull.ready and not self._window.uses(feed)
            for feed, pull in self._pulls.items()
            if feed is not Feed.LIVE
        )

    # greeting

    def _reset(self) -> None:
        """Forget everything that belonged to a session."""
        self._greeted = False
        self._partly = False
        self._pulls: dict[Feed, _Pull] = {feed: _Pull(share.lane) for feed, share in SHARES.items()}
        self._window = Window(self._timing)
        self._newest = 0
        self._fresh: deque[tuple[float, int]] = deque()

    def _say_hello(self, now: float) -> list[Command]:
        self._reset()
        self._session = self._new_session()
        self.state = LinkState.GREETING
        return self._repeat_hello(now)

    def _repeat_hello(self, now: float) -> list[Command]:
        wait = self._timing.hello_first * 2 ** min(self._hellos, 16)
        self._hello_due = now + min(wait, self._timing.hello_most)
        self._hello_at = now
        self._hellos += 1
        return [SendHello(self._session)]

    def _welcomed(self, welcome: Welcome, now: float) -> list[Command]:
        self._window.limit = welcome.window_bytes
        if self.state is LinkState.LIVE:
            return self._send(now)
        if not self._greeted:
            return []
        self.state = LinkState.LIVE
        self._hellos = 0
        ledgered: list[tuple[BatchKey, bytes]] = []
        for has in welcome.has:
            at = 0
            for first, last in has.ranges:
                for seq in range(first, last + 1):
                    digest = has.digests[at : at + DIGEST_SIZE]
                    at += DIGEST_SIZE
                    if len(digest) < DIGEST_SIZE:
                        break
                    ledgered.append((BatchKey(has.stream, has.lane, seq), digest))
        return [Delete(tuple(ledgered))] if ledgered else []

    def _rejected(self, rejected: Rejected, now: float) -> list[Command]:
        self._reset()
        self.state = LinkState.GREETING
        self._hello_due = now + self._timing.hello_rejected
        return [Alarm("link.rejected", f'the cloud rejects edge "{self.edge}": {rejected.reason}')]

    def _forgotten(self, message: SessionUnknown, now: float) -> list[Command]:
        everyone = not message.session and self.state is not LinkState.OFFLINE
        mine = message.session == self._session and self.state is LinkState.LIVE
        if not everyone and not mine:
            return []
        # Two edges under one id would otherwise throw each other out as fast as the network allows.
        due = self._hello_at + self._timing.hello_first / 2
        if now >= due:
            return self._say_hello(now)
        if self.state is LinkState.LIVE:
            self._reset()
            self._session = self._new_session()
            self.state = LinkState.GREETING
        self._hello_due = min(due, self._hello_due) if everyone else due
        return []

    # acknowledgements

    def _acked(self, ack: Ack, now: float) -> list[Command]:
        done = [row for acked in ack.acked for row in self._window.acknowledge(acked, now)]
        commands: list[Command] = [Delete(tuple(done))] if done else []
        return commands + self._send(now)

    def _forked(self, fork: Fork, now: float) -> list[Command]:
        key = BatchKey(fork.stream, fork.lane, fork.seq)
        sent = self._window.settle(key)
        if sent is None:
            return []
        commands: list[Command] = [
            Rekey(key, sent.batch.digest, key.stream == self._open_stream),
            Alarm(
                "link.fork",
                f"batch {key.stream.hex()[:8]}/{key.lane}/{key.seq} of edge {self.edge} is another one in "
                "the ledger; it is kept and sent under a new number. Was this edge's disk restored?",
            ),
        ]
        if key.stream == self._open_stream:
            self._hellos = 0
            return commands + self._say_hello(now)
        return commands + self._send(now)

    # sending

    def _give_up_freshness(self, now: float) -> None:
        """What has waited too long to be live becomes backlog, so that the freshest goes first again."""
        live = self._pulls[Feed.LIVE]
        reached = live.ready[0].key.seq - 1 if live.ready else live.after.seq if live.after else 0
        while self._fresh and self._fresh[0][1] <= reached:
            self._fresh.popleft()
        if not self._fresh or now - self._fresh[0][0] <= self._timing.stale or live.asked:
            return
        backlog = self._pulls[Feed.BACKLOG]
        split = BatchKey(self._open_stream, Lane.TELEMETRY, self._newest)
        live.ready.clear()
        live.after = split
        self._fresh.clear()
        if not self._partly:  # else the next hello makes them backlog
            backlog.upto = split
            backlog.exhausted = False
            backlog.mark += 1

    def _send(self, now: float) -> list[Command]:
        """Send what is ready and fits, most urgent first."""
        if self.state is not LinkState.LIVE:
            return []
        commands: list[Command] = []
        for feed, pull in self._pulls.items():
            while pull.ready and self._window.fits(feed, pull.ready[0]):
                batch = pull.ready.popleft()
                if batch.key not in self._window:
                    sent = self._window.put(batch, feed, now)
                    commands.append(SendBatch(self._session, batch, sent.historical))
            if pull.ready:
                break
        return commands
