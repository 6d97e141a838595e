"""The cloud's half of the link, one decision a test. Loss and disorder are in test_link_hostile.py."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.lanes import Lane
from protocols.link import Seqs
from protocols.link_cloud import (
    EDGE_WINDOW,
    LEAST_WINDOW,
    MAX_HAS,
    TOTAL_WINDOW,
    CloudLinks,
    Commit,
    Decision,
    Forked,
    Ignored,
    LaneGap,
    Opened,
    Refused,
    Replayed,
)
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
    Welcome,
)
from tests.protocols.hostile_network import EDGE, LedgerDisk

OLD, OPEN = b"o" * 16, b"n" * 16
SESSION = b"session"


class Cloud:
    """Links and ledger, and one edge that says hello."""

    def __init__(self, *queued: Bounds, ledgered: dict[BatchKey, bytes] | None = None) -> None:
        self.ledger = LedgerDisk()
        for key, blob in (ledgered or {}).items():
            self.ledger.put(key, blob, digest(blob))
        self.links = CloudLinks()
        self.opened = self.hello(*queued)
        self.greeting = self.flush()

    def hello(self, *queued: Bounds, session: bytes = SESSION, **changes: object) -> Decision:
        fields = {"edge": EDGE, "protocol": PROTOCOL, "streams": (OLD, OPEN)} | changes
        hello = Hello(session=session, queued=queued, configs={}, catalogue=b"", sent_at=0, **fields)  # type: ignore[arg-type]
        return self.links.received(EDGE, hello, self.ledger, 0.0, 1_000)

    def batch(
        self,
        lane: Lane,
        seq: int,
        stream: bytes = OPEN,
        blob: bytes | None = None,
        session: bytes = SESSION,
        historical: bool = False,
    ) -> Decision:
        blob = b"%d" % seq if blob is None else blob
        batch = Batch(session, stream, lane, seq, digest(blob), 1, historical, blob)
        return self.take(batch)

    def take(self, batch: Batch) -> Decision:
        decision = self.links.received(EDGE, batch, self.ledger, 0.0, 1_000)
        if isinstance(decision, Commit):
            self.ledger.put(batch.key, batch.blob, batch.digest)
        return decision

    def flush(self) -> list[DownMessage]:
        return [message for _, message in self.links.flush()]


def key(lane: Lane, seq: int, stream: bytes = OPEN) -> BatchKey:
    return BatchKey(stream, lane, seq)


# a batch


@pytest.mark.parametrize(
    ("lane", "ledgered", "seq", "decision"),
    [
        (Lane.ACTIONS, [], 1, Commit),
        (Lane.ACTIONS, [], 2, Ignored),
        (Lane.ACTIONS, [1, 2], 3, Commit),
        (Lane.ACTIONS, [1, 2], 4, Ignored),
        (Lane.ACTIONS, [1, 2], 2, Replayed),
        (Lane.ACTIONS, [1, 3], 2, Commit),
        (Lane.STATES, [1], 3, Ignored),
        (Lane.TELEMETRY, [], 7, Commit),
        (Lane.TELEMETRY, [9], 7, Commit),
        (Lane.TELEMETRY, [7, 9], 7, Replayed),
        (Lane.BULK, [7], 9, Commit),
    ],
)
def test_what_happens_to_a_batch(lane: Lane, ledgered: list[int], seq: int, decision: type) -> None:
    cloud = Cloud(ledgered={key(lane, known): b"%d" % known for known in ledgered})
    assert type(cloud.batch(lane, seq)) is decision
    acked = [message for message in cloud.flush() if isinstance(message, Ack)]
    assert bool(acked) == (decision is not Ignored)


@pytest.mark.parametrize("lane", list(Lane))
def test_fork_is_told_and_never_acknowledged(lane: Lane) -> None:
    cloud = Cloud(ledgered={key(lane, 1): b"first"})
    decision = cloud.batch(lane, 1, blob=b"other")
    assert isinstance(decision, Forked)
    assert decision.ledgered == digest(b"first")
    assert cloud.flush() == [Fork(SESSION, OPEN, lane, 1, digest(b"first"))]


def test_acknowledgement_covers_what_this_session_has_seen_and_nothing_else() -> None:
    cloud = Cloud(ledgered={key(Lane.ACTIONS, seq): b"%d" % seq for seq in (1, 2, 3)})
    cloud.batch(Lane.ACTIONS, 3)
    assert cloud.flush() == [Ack(SESSION, (Ranges(OPEN, Lane.ACTIONS, ((3, 3),)),))]
    cloud.batch(Lane.ACTIONS, 4)
    cloud.batch(Lane.ACTIONS, 5)
    assert cloud.flush() == [Ack(SESSION, (Ranges(OPEN, Lane.ACTIONS, ((3, 5),)),))], "a lost ack heals"
    assert cloud.flush() == []


def test_unordered_acknowledgements_are_ranges() -> None:
    cloud = Cloud()
    for seq in (4, 9, 5, 1, 8):
        cloud.batch(Lane.TELEMETRY, seq)
    assert cloud.flush() == [Ack(SESSION, (Ranges(OPEN, Lane.TELEMETRY, ((1, 1), (4, 5), (8, 9))),))]


def test_live_batch_older_than_the_ledger_is_historical() -> None:
    cloud = Cloud()
    decisions = [cloud.batch(Lane.TELEMETRY, seq) for seq in (2, 1, 3)]
    assert [d.historical for d in decisions if isinstance(d, Commit)] == [False, True, False]


def test_damage_on_the_way_is_dropped_and_rot_is_committed_to_quarantine() -> None:
    cloud = Cloud()
    damaged = Batch(SESSION, OPEN, Lane.ACTIONS, 1, digest(b"sound"), 1, False, b"s0und")
    assert cloud.take(damaged) == Ignored("damaged")
    assert cloud.take(damaged) == Ignored("damaged")
    rotten = Batch(SESSION, OPEN, Lane.ACTIONS, 1, digest(b"sound"), 1, False, b"s0und", rotten=True)
    assert cloud.take(rotten) == Commit(rotten, historical=False, damaged=True)
    assert isinstance(cloud.take(rotten), Replayed)


# order of streams


def test_later_stream_waits_until_the_earlier_ones_are_drained() -> None:
    cloud = Cloud(Bounds(OLD, Lane.ACTIONS, 1, 2), Bounds(OPEN, Lane.ACTIONS, 1, 1))
    assert cloud.batch(Lane.ACTIONS, 1) == Ignored("order")
    assert isinstance(cloud.batch(Lane.ACTIONS, 1, OLD), Commit)
    assert cloud.batch(Lane.ACTIONS, 1) == Ignored("order")
    assert isinstance(cloud.batch(Lane.ACTIONS, 2, OLD), Commit)
    assert isinstance(cloud.batch(Lane.ACTIONS, 1), Commit)


def test_streams_wait_in_the_order_they_were_opened_whatever_the_order_of_the_bounds() -> None:
    cloud = Cloud(Bounds(OPEN, Lane.STATES, 1, 1), Bounds(OLD, Lane.STATES, 1, 1))
    assert cloud.batch(Lane.STATES, 1) == Ignored("order")
    assert isinstance(cloud.batch(Lane.STATES, 1, OLD), Commit)


def test_other_lanes_do_not_wait() -> None:
    cloud = Cloud(Bounds(OLD, Lane.ACTIONS, 1, 2), Bounds(OLD, Lane.TELEMETRY, 1, 2))
    assert isinstance(cloud.batch(Lane.STATES, 1), Commit)
    assert isinstance(cloud.batch(Lane.TELEMETRY, 1), Commit)


def test_gap_is_reported_and_the_lane_goes_on() -> None:
    cloud = Cloud(
        Bounds(OPEN, Lane.ACTIONS, 5, 6), ledgered={key(Lane.ACTIONS, seq): b"%d" % seq for seq in (1, 2)}
    )
    assert isinstance(cloud.opened, Opened)
    assert cloud.opened.gaps == (LaneGap(OPEN, Lane.ACTIONS, 3, 4),)
    assert isinstance(cloud.batch(Lane.ACTIONS, 5), Commit)


def test_telemetry_has_no_gaps() -> None:
    cloud = Cloud(Bounds(OPEN, Lane.TELEMETRY, 5, 6))
    assert isinstance(cloud.opened, Opened)
    assert cloud.opened.gaps == ()


# sessions


def test_unknown_session_is_told_once_for_many_batches() -> None:
    cloud = Cloud()
    for seq in range(1, 10):
        assert cloud.batch(Lane.TELEMETRY, seq, session=b"older") == Ignored("session")
    assert cloud.flush() == [SessionUnknown(b"older")]


def test_cloud_that_restarted_knows_no_session() -> None:
    cloud = Cloud()
    cloud.batch(Lane.ACTIONS, 1)
    cloud.links.reset()
    assert cloud.flush() == [], "what was not flushed must not be acknowledged"
    assert cloud.batch(Lane.ACTIONS, 1) == Ignored("session")
    assert cloud.flush() == [SessionUnknown(SESSION)]


def test_stream_that_the_hello_did_not_list_needs_a_new_hello() -> None:
    cloud = Cloud()
    assert cloud.batch(Lane.ACTIONS, 1, stream=b"x" * 16) == Ignored("session")
    assert cloud.flush() == [SessionUnknown(SESSION)]


def test_repeated_hello_changes_nothing() -> None:
    bounds = Bounds(OPEN, Lane.ACTIONS, 1, 3)
    cloud = Cloud(bounds)
    cloud.batch(Lane.ACTIONS, 1)
    cloud.flush()
    assert isinstance(cloud.hello(bounds), Opened)
    assert isinstance(cloud.batch(Lane.ACTIONS, 1), Replayed)
    assert isinstance(cloud.batch(Lane.ACTIONS, 2), Commit)


@pytest.mark.parametrize(
    ("changes", "queued", "reason"),
    [
        ({"edge": "assembly"}, (), 'a hello of edge "assembly" came on the topic of "machining"'),
        ({"protocol": PROTOCOL + 1}, (), "protocol 2 is not 1: update the cloud"),
        ({"protocol": PROTOCOL - 1}, (), "protocol 0 is not 1: update the edge"),
        ({"streams": ()}, (), "streams it does not list"),
        ({"streams": (OPEN,)}, (Bounds(OLD, Lane.BULK, 1, 1),), "streams it does not list"),
    ],
)
def test_hello_that_cannot_be_served_is_refused(
    changes: dict[str, object], queued: tuple[Bounds, ...], reason: str
) -> None:
    cloud = Cloud()
    decision = cloud.hello(*queued, session=b"next", **changes)
    assert isinstance(decision, Refused)
    assert reason in decision.reason
    assert cloud.flush() == [Rejected(b"next", decision.reason)]
    assert isinstance(cloud.batch(Lane.ACTIONS, 1), Commit), "the session before goes on"


def test_welcome_lists_what_the_ledger_has_of_the_queued() -> None:
    ledgered = {key(Lane.TELEMETRY, seq): b"%d" % seq for seq in (1, 3, 4, 7, 9)}
    cloud = Cloud(Bounds(OPEN, Lane.TELEMETRY, 2, 8), ledgered=ledgered)
    (welcome,) = cloud.greeting
    assert isinstance(welcome, Welcome)
    digests = b"".join(digest(b"%d" % seq) for seq in (3, 4, 7))
    assert welcome.has == (Ranges(OPEN, Lane.TELEMETRY, ((3, 4), (7, 7)), digests),)


def test_welcome_stays_small() -> None:
    count = MAX_HAS + 100
    ledgered = {key(lane, seq): b"%d" % seq for lane in (Lane.STATES, Lane.BULK) for seq in range(1, count)}
    bounds = [Bounds(OPEN, lane, 1, count) for lane in (Lane.STATES, Lane.BULK)]
    (welcome,) = Cloud(*bounds, ledgered=ledgered).greeting
    assert isinstance(welcome, Welcome)
    assert sum(len(has.digests) for has in welcome.has) == MAX_HAS * 16


# windows


def hello_of(links: CloudLinks, edge: str, now: float) -> list[tuple[str, int]]:
    """Say hello and return who is told of which window."""
    hello = Hello(edge, b"session of " + edge.encode(), PROTOCOL, (OPEN,), (), {}, b"", 0)
    assert isinstance(links.received(edge, hello, LedgerDisk(), now, 0), Opened)
    return [(to, m.window_bytes) for to, m in links.flush() if isinstance(m, Welcome)]


def test_window_is_bounded_for_each_edge_and_over_all() -> None:
    links = CloudLinks(edge_window=4_000_000, total_window=8_000_000)
    assert hello_of(links, "a", 0.0) == [("a", 4_000_000)]
    assert hello_of(links, "b", 0.0) == [("b", 4_000_000)]
    assert sorted(hello_of(links, "c", 0.0)) == [(edge, 2_666_666) for edge in "abc"]


def test_silent_edges_do_not_count() -> None:
    links = CloudLinks(edge_window=4_000_000, total_window=4_000_000)
    hello_of(links, "a", 0.0)
    assert hello_of(links, "b", 100.0) == [("b", 4_000_000)]


def test_every_edge_may_send_something() -> None:
    links = CloudLinks()
    windows = [dict(hello_of(links, f"edge-{number}", 0.0))[f"edge-{number}"] for number in range(300)]
    assert (windows[0], windows[-1]) == (EDGE_WINDOW, LEAST_WINDOW)
    assert all(window * (n + 1) <= TOTAL_WINDOW for n, window in enumerate(windows) if window > LEAST_WINDOW)


# ranges


@settings(deadline=None)
@given(st.lists(st.integers(1, 40)))
def test_seqs_are_a_set_in_ranges(added: list[int]) -> None:
    seqs = Seqs()
    for seq in added:
        seqs.add(seq)
    ranges = seqs.ranges()
    assert {seq for first, last in ranges for seq in range(first, last + 1)} == set(added)
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(ranges))
    for seq in range(42):
        if seq in added:
            assert seqs.around(seq) in ranges
            assert seqs.around(seq)[0] <= seq <= seqs.around(seq)[1]
        else:
            with pytest.raises(KeyError):
                seqs.around(seq)
