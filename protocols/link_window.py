"""The window of an edge's session: what is under way, what else fits, and what is late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from protocols.lanes import Lane
from protocols.link_commands import Feed, Queued
from protocols.session import BatchKey, Ranges

ENVELOPE = 80
"""Bytes that the envelope adds to a blob on the wire, about."""


class Share(NamedTuple):
    """How much of a feed may be under way.

    ``part`` of the window may be in use when one of its batches goes out: what is more urgent always finds
    room left. ``delay`` is the seconds that its acknowledgements should take at most; when they take longer,
    less of it is put under way.
    """

    lane: Lane
    part: float
    delay: float = float("inf")


SHARES: dict[Feed, Share] = {
    Feed.ACTIONS: Share(Lane.ACTIONS, 1.0),
    Feed.STATES: Share(Lane.STATES, 0.9),
    Feed.LIVE: Share(Lane.TELEMETRY, 0.8, delay=1.0),
    Feed.BACKLOG: Share(Lane.TELEMETRY, 0.6, delay=0.3),
    Feed.BULK: Share(Lane.BULK, 0.4, delay=0.3),
}


@dataclass(frozen=True, slots=True)
class Timing:
    """Times in seconds and limits of an edge's half. The defaults suit a shop's network and a DSL line."""

    hello_first: float = 1.0
    hello_most: float = 5.0
    hello_rejected: float = 30.0
    resend_first: float = 3.0
    resend_least: float = 1.0
    resend_most: float = 30.0
    tries: int = 3
    """Times in a row that nothing is acknowledged before the session counts as dead."""
    stale: float = 3.0
    """A live batch that waited longer than this has become backlog."""
    least: int = 64 * 1024
    """Bytes of each feed that may always be under way."""
    batches: int = 2_000
    """Batches under way, whatever their size."""
    fetch: int = 200
    """Rows asked for at once."""
    streams: int = 1_000
    """Streams that one hello lists: an agent that starts again and again opens many, and a hello must stay
    small enough to be read. When those are drained, the next hello lists the next ones."""


@dataclass(slots=True)
class Sent:
    """A batch under way; ``again`` once it was sent more than once."""

    batch: Queued
    feed: Feed
    historical: bool
    at: float
    again: bool = False


@dataclass(slots=True)
class _Room:
    """Of one feed: bytes under way, how many there may be, and when that was last made less."""

    most: int
    used: int = 0
    cut_at: float = float("-inf")


@dataclass(slots=True)
class _Patience:
    """Of one lane: seconds to wait for an acknowledgement, since when, and how often in vain."""

    wait: float
    since: float = 0.0
    tries: int = 0


class Window:
    """Metadata of the batches under way in one session, and the rules for sending more and again.

    ``limit`` is the bytes that the cloud's welcome allows.
    """

    def __init__(self, timing: Timing) -> None:
        self.limit = 0
        self._timing = timing
        self._sent: dict[Lane, dict[BatchKey, Sent]] = {lane: {} for lane in Lane}
        self._patience = {lane: _Patience(timing.resend_first) for lane in Lane}
        self._rooms = {feed: _Room(timing.least) for feed in Feed}
        self._total = 0
        self._round_trip = 0.0
        self._newest_live = 0

    def __len__(self) -> int:
        return sum(len(sent) for sent in self._sent.values())

    def __contains__(self, key: BatchKey) -> bool:
        return key in self._sent[key.lane]

    def uses(self, feed: Feed) -> bool:
        """Whether anything of a feed is under way."""
        return self._rooms[feed].used > 0

    @property
    def given_up(self) -> bool:
        """Whether some lane was sent again and again and nothing of it acknowledged."""
        return any(patience.tries >= self._timing.tries for patience in self._patience.values())

    def fits(self, feed: Feed, batch: Queued) -> bool:
        """Whether the batch may go out now. The first of a feed may use the room of the more urgent ones, or
        a batch larger than its feed's share would wait for ever.
        """
        if self._total == 0:
            return True
        if len(self) >= self._timing.batches:
            return False
        size, room, share = batch.size + ENVELOPE, self._rooms[feed], SHARES[feed]
        total = self._total + size
        if not room.used:
            return total <= self.limit
        if room.used + size > room.most and share.delay < float("inf"):
            return False
        return total <= self.limit * share.part

    def put(self, batch: Queued, feed: Feed, now: float) -> Sent:
        """The batch goes out."""
        lane = self._sent[batch.key.lane]
        if not lane:
            self._patience[batch.key.lane].since = now
        historical = batch.historical or feed is Feed.BACKLOG
        if feed is Feed.LIVE and not historical:
            self._newest_live = batch.key.seq
        sent = lane[batch.key] = Sent(batch, feed, historical, now)
        self._rooms[feed].used += batch.size + ENVELOPE
        self._total += batch.size + ENVELOPE
        return sent

    def settle(self, key: BatchKey) -> Sent | None:
        """Take a batch out; None when it is not under way."""
        sent = self._sent[key.lane].pop(key, None)
        if sent is not None:
            self._rooms[sent.feed].used -= sent.batch.size + ENVELOPE
            self._total -= sent.batch.size + ENVELOPE
        return sent

    def acknowledge(self, acked: Ranges, now: float) -> list[tuple[BatchKey, bytes]]:
        """Take acknowledged batches out; returns key and digest of those that were under way."""
        stream, lane = acked.stream, acked.lane
        under_way, patience = self._sent[lane], self._patience[lane]
        done: list[tuple[BatchKey, bytes]] = []
        for first, last in acked.ranges:
            if last - first < len(under_way):
                keys = [BatchKey(stream, lane, seq) for seq in range(first, last + 1)]
            else:
                keys = [key for key in under_way if key.stream == stream and first <= key.seq <= last]
            for key in keys:
                sent = self.settle(key)
                if sent is not None:
                    done.append((key, sent.batch.digest))
                    patience.since, patience.tries = now, 0
                    if not sent.again:
                        self._measure(sent, patience, now)
        return done

    def late(self, lane: Lane, now: float) -> list[Sent]:
        """What to send again now: all of an ordered lane, else what waited too long."""
        under_way, patience = self._sent[lane], self._patience[lane]
        if not under_way:
            return []
        start = next(iter(under_way.values())).at
        if lane.ordered:
            start = max(start, patience.since)
        if now < start + patience.wait:
            return []
        late = [sent for sent in under_way.values() if lane.ordered or sent.at + patience.wait <= now]
        patience.wait = min(2 * patience.wait, self._timing.resend_most)
        patience.tries += 1
        for sent in late:
            key = sent.batch.key
            if lane is Lane.TELEMETRY and key.seq < self._newest_live:
                sent.historical = True  # newer live values may have arrived: this is not live any more
            sent.at, sent.again = now, True
            under_way[key] = under_way.pop(key)
        return late

    def _measure(self, sent: Sent, patience: _Patience, now: float) -> None:
        """Learn from the time an acknowledgement took: when to resend, how much may be under way.

        The room follows the idea of LEDBAT (RFC 6817): it grows while the delay stays below the feed's
        target and shrinks when a queue builds up somewhere on the way.
        """
        timing = self._timing
        took = now - sent.at
        self._round_trip += (took - self._round_trip) / 8
        patience.wait = min(max(4 * max(took, self._round_trip), timing.resend_least), timing.resend_most)
        room = self._rooms[sent.feed]
        if took <= SHARES[sent.feed].delay:
            room.most = min(room.most + sent.batch.size, self.limit)
        elif now - room.cut_at > took:
            room.most = max(min(room.most, room.used) * 7 // 10, timing.least)
            room.cut_at = now
