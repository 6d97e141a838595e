"""The edge's half of the link, one behaviour a test. Loss and disorder are in test_link_hostile.py."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from protocols.lanes import Lane
from protocols.link_commands import Alarm, Command, Delete, Feed, Queued, Rekey, SendBatch, SendHello, Want
from protocols.link_edge import EdgeLink, LinkState
from protocols.link_window import ENVELOPE, Timing
from protocols.packing import digest
from protocols.session import (
    PROTOCOL,
    Ack,
    BatchKey,
    Bounds,
    Fork,
    Ranges,
    Rejected,
    SessionUnknown,
    Welcome,
)

OLD, OPEN = b"o" * 16, b"n" * 16
WINDOW = 1_000_000
TIMING = Timing(fetch=50)


def new_link(timing: Timing = TIMING) -> EdgeLink:
    sessions = itertools.count(1)
    return EdgeLink("coating", lambda: b"session %d" % next(sessions), timing)


def greet(
    link: EdgeLink, queued: Iterable[Bounds] = (), now: float = 0.0, has: tuple[Ranges, ...] = ()
) -> list[Command]:
    """Connect and have the hello answered; returns what the welcome brings about."""
    (hello,) = link.connected(now)
    assert isinstance(hello, SendHello)
    assert link.hello(hello.session, [OLD, OPEN], list(queued), {}, b"", 0) is not None
    return link.received(Welcome(link.session, PROTOCOL, has, WINDOW, 0), now)


def row(lane: Lane, seq: int, size: int = 1000, stream: bytes = OPEN, historical: bool = False) -> Queued:
    return Queued(BatchKey(stream, lane, seq), digest(b"%d" % seq), size, 1, historical)


def want(link: EdgeLink, feed: Feed, now: float = 0.0) -> Want:
    return next(want for want in link.wants(now) if want.feed is feed)


def sent(commands: list[Command]) -> list[tuple[int, bool]]:
    """Seq and historical flag of the batches that go out."""
    return [(c.batch.key.seq, c.historical) for c in commands if isinstance(c, SendBatch)]


def offer(link: EdgeLink, feed: Feed, rows: list[Queued], now: float = 0.0) -> list[tuple[int, bool]]:
    return sent(link.offer(want(link, feed, now), rows, now))


def ack(link: EdgeLink, lane: Lane, first: int, last: int, stream: bytes = OPEN) -> Ack:
    return Ack(link.session, (Ranges(stream, lane, ((first, last),)),))


# greeting


def test_hello_is_repeated_under_the_same_session_with_growing_pauses() -> None:
    link = new_link()
    link.connected(0.0)
    at, session = [], link.session
    for tenths in range(300):
        if link.tick(tenths / 10):
            at.append(tenths / 10)
    assert at == [1.0, 3.0, 7.0, 12.0, 17.0, 22.0, 27.0]
    assert link.session == session
    assert link.state is LinkState.GREETING


def test_hello_that_is_not_wanted_any_more_is_none() -> None:
    link = new_link()
    link.connected(0.0)
    stale = link.session
    link.disconnected(1.0)
    assert link.hello(stale, [OPEN], [], {}, b"", 0) is None
    link.connected(2.0)
    assert link.hello(stale, [OPEN], [], {}, b"", 0) is None
    assert link.hello(link.session, [OPEN], [], {}, b"", 0) is not None


def test_welcome_before_the_hello_was_said_is_ignored() -> None:
    link = new_link()
    link.connected(0.0)
    assert link.received(Welcome(link.session, PROTOCOL, (), WINDOW, 0), 0.0) == []
    assert link.state is LinkState.GREETING


def test_welcome_gives_up_only_the_very_batches_the_ledger_has() -> None:
    digests = digest(b"1") + digest(b"2") + digest(b"5")
    commands = greet(new_link(), has=(Ranges(OLD, Lane.ACTIONS, ((1, 2), (5, 5)), digests),))
    assert commands == [
        Delete(
            (
                (BatchKey(OLD, Lane.ACTIONS, 1), digest(b"1")),
                (BatchKey(OLD, Lane.ACTIONS, 2), digest(b"2")),
                (BatchKey(OLD, Lane.ACTIONS, 5), digest(b"5")),
            )
        )
    ]


def test_welcome_without_digests_gives_up_nothing() -> None:
    assert greet(new_link(), has=(Ranges(OLD, Lane.ACTIONS, ((1, 2**50),)),)) == []


def test_rejected_edge_says_why_and_tries_again_much_later() -> None:
    link = new_link()
    link.connected(0.0)
    (alarm,) = link.received(Rejected(link.session, "update the edge"), 0.0)
    assert isinstance(alarm, Alarm)
    assert alarm.text == 'the cloud rejects edge "coating": update the edge'
    assert link.tick(29.9) == []
    assert link.tick(30.0) == [SendHello(link.session)]


def test_cloud_that_forgot_the_session_is_greeted_again() -> None:
    link = new_link()
    greet(link)
    before = link.session
    assert link.received(SessionUnknown(b"another"), 5.0) == []
    (hello,) = link.received(SessionUnknown(before), 5.0)
    assert hello == SendHello(link.session)
    assert link.session != before
    assert link.received(SessionUnknown(before), 5.1) == [], "an echo of the old session"


def test_cloud_that_starts_calls_every_edge() -> None:
    link = new_link()
    assert link.received(SessionUnknown(b""), 0.0) == [], "not connected"
    link.connected(0.0)
    for tenths in range(200):
        link.tick(tenths / 10)
    assert len(link.received(SessionUnknown(b""), 20.0)) == 1, "no need to wait for the next try"


def test_two_edges_of_one_name_do_not_throw_each_other_out_at_full_speed() -> None:
    link = new_link()
    hellos = 0
    for hundredths in range(1000):
        now = hundredths / 100
        commands = link.received(SessionUnknown(link.session), now) if hundredths else link.connected(now)
        for command in commands + link.tick(now):
            assert isinstance(command, SendHello)
            hellos += 1
            link.hello(command.session, [OPEN], [], {}, b"", 0)
            link.received(Welcome(link.session, PROTOCOL, (), WINDOW, 0), now)
    assert 10 <= hellos <= 21


# pulling


def test_nothing_is_wanted_before_the_welcome() -> None:
    link = new_link()
    link.connected(0.0)
    assert link.wants(0.0) == []


def test_wants_come_in_order_of_urgency_and_once() -> None:
    link = new_link()
    greet(link)
    assert [want.feed for want in link.wants(0.0)] == list(Feed)
    assert link.wants(0.0) == []


def test_telemetry_is_split_at_the_hello() -> None:
    link = new_link()
    greet(link, [Bounds(OLD, Lane.TELEMETRY, 3, 9), Bounds(OPEN, Lane.TELEMETRY, 1, 4)])
    split = BatchKey(OPEN, Lane.TELEMETRY, 4)
    wants = {want.feed: want for want in link.wants(0.0)}
    assert (wants[Feed.BACKLOG].after, wants[Feed.BACKLOG].upto) == (None, split)
    assert (wants[Feed.LIVE].after, wants[Feed.LIVE].upto) == (split, None)
    assert sent(link.offer(wants[Feed.BACKLOG], [row(Lane.TELEMETRY, 3, stream=OLD)], 0.0)) == [(3, True)]
    assert sent(link.offer(wants[Feed.LIVE], [row(Lane.TELEMETRY, 5)], 0.0)) == [(5, False)]


def test_exhausted_feed_is_asked_again_when_something_is_sealed() -> None:
    link = new_link()
    greet(link)
    offer(link, Feed.ACTIONS, [row(Lane.ACTIONS, 1)])
    assert Feed.ACTIONS not in {want.feed for want in link.wants(0.0)}
    link.sealed(BatchKey(OPEN, Lane.ACTIONS, 2), 0.0)
    assert want(link, Feed.ACTIONS).after == BatchKey(OPEN, Lane.ACTIONS, 1)


def test_batch_sealed_while_the_outbox_is_read_is_not_overlooked() -> None:
    link = new_link()
    greet(link)
    asked = want(link, Feed.ACTIONS)
    link.sealed(BatchKey(OPEN, Lane.ACTIONS, 1), 0.0)
    assert link.offer(asked, [], 0.0) == []
    assert want(link, Feed.ACTIONS).after is None


def test_answer_to_an_older_session_is_ignored() -> None:
    link = new_link()
    greet(link)
    asked = want(link, Feed.ACTIONS)
    link.disconnected(1.0)
    greet(link, now=2.0)
    again = want(link, Feed.ACTIONS)
    assert link.offer(asked, [row(Lane.ACTIONS, 1)], 2.0) == []
    assert sent(link.offer(again, [row(Lane.ACTIONS, 1)], 2.0)) == [(1, False)]


def test_live_batches_that_wait_too_long_become_backlog() -> None:
    link = new_link()
    greet(link)
    for seq in range(1, 41):
        link.sealed(BatchKey(OPEN, Lane.TELEMETRY, seq), seq / 10)
    wants = {want.feed: want for want in link.wants(4.0)}
    assert wants[Feed.BACKLOG].upto == wants[Feed.LIVE].after == BatchKey(OPEN, Lane.TELEMETRY, 40)
    link.sealed(BatchKey(OPEN, Lane.TELEMETRY, 41), 4.1)
    assert sent(link.offer(wants[Feed.BACKLOG], [row(Lane.TELEMETRY, 1)], 4.2)) == [(1, True)]
    assert sent(link.offer(wants[Feed.LIVE], [row(Lane.TELEMETRY, 41)], 4.2)) == [(41, False)]


# sending


def test_window_leaves_room_for_what_is_more_urgent() -> None:
    link = new_link()
    greet(link)
    size = 10_000 - ENVELOPE
    wants = {want.feed: want for want in link.wants(0.0)}
    bulk = link.offer(wants[Feed.BULK], [row(Lane.BULK, seq, size) for seq in range(1, 51)], 0.0)
    assert 1 <= len(sent(bulk)) <= 40, "bulk never fills more than 40 % of the window"
    states = link.offer(wants[Feed.STATES], [row(Lane.STATES, seq, size) for seq in range(1, 121)], 0.0)
    assert len(sent(bulk + states)) == 90
    actions = link.offer(wants[Feed.ACTIONS], [row(Lane.ACTIONS, seq, size) for seq in range(1, 51)], 0.0)
    assert len(sent(bulk + states + actions)) == 100


def test_large_batch_goes_out_though_its_share_is_small() -> None:
    link = new_link()
    greet(link)
    assert offer(link, Feed.BULK, [row(Lane.BULK, 1, 900_000)]) == [(1, False)]


def test_smaller_window_is_kept_from_then_on() -> None:
    link = new_link()
    greet(link)
    link.received(Welcome(link.session, PROTOCOL, (), 10_000, 0), 0.0)
    assert len(offer(link, Feed.ACTIONS, [row(Lane.ACTIONS, seq) for seq in range(1, 50)])) == 9


def test_acknowledged_batches_are_deleted_with_their_digest_and_once() -> None:
    link = new_link()
    greet(link)
    offer(link, Feed.ACTIONS, [row(Lane.ACTIONS, seq) for seq in (1, 2, 3)])
    (delete,) = link.received(ack(link, Lane.ACTIONS, 1, 2), 0.1)
    assert delete == Delete(tuple((BatchKey(OPEN, Lane.ACTIONS, s), digest(b"%d" % s)) for s in (1, 2)))
    assert link.received(ack(link, Lane.ACTIONS, 1, 2), 0.1) == []
    assert link.under_way == 1


def test_acknowledgement_of_what_was_not_sent_deletes_nothing() -> None:
    link = new_link()
    greet(link)
    offer(link, Feed.ACTIONS, [row(Lane.ACTIONS, 1)])
    assert link.received(ack(link, Lane.ACTIONS, 2, 2**50), 0.1) == []
    assert link.received(ack(link, Lane.ACTIONS, 1, 2**50, OLD), 0.1) == []
    assert link.received(Ack(b"another session", ack(link, Lane.ACTIONS, 1, 1).acked), 0.1) == []


def test_ordered_lane_is_sent_again_as_a_whole() -> None:
    link = new_link()
    greet(link)
    offer(link, Feed.ACTIONS, [row(Lane.ACTIONS, seq) for seq in range(1, 5)])
    link.received(ack(link, Lane.ACTIONS, 1, 2), 0.1)
    link.sealed(BatchKey(OPEN, Lane.ACTIONS, 5), 1.0)
    offer(link, Feed.ACTIONS, [row(Lane.ACTIONS, 5)], 1.0)
    assert sent(link.tick(1.0)) == []
    assert sent(link.tick(1.2)) == [(3, False), (4, False), (5, False)]


def test_pause_before_sending_again_grows() -> None:
    link = new_link(Timing(tries=10))
    greet(link)
    offer(link, Feed.ACTIONS, [row(Lane.ACTIONS, 1)])
    at = [tenths / 10 for tenths in range(1200) if sent(link.tick(tenths / 10))]
    assert at == [3.0, 9.0, 21.0, 45.0, 75.0, 105.0]


def test_unordered_lane_sends_only_the_late_again() -> None:
    link = new_link()
    greet(link)
    first = want(link, Feed.BULK)
    link.sealed(BatchKey(OPEN, Lane.BULK, 2), 0.0)
    link.offer(first, [row(Lane.BULK, 1)], 0.0)
    offer(link, Feed.BULK, [row(Lane.BULK, 2)], 2.0)
    assert sent(link.tick(3.5)) == [(1, False)]


def test_live_batch_sent_again_behind_a_newer_one_is_historical() -> None:
    link = new_link()
    greet(link)
    offer(link, Feed.LIVE, [row(Lane.TELEMETRY, 1), row(Lane.TELEMETRY, 2)])
    assert sent(link.tick(4.0)) == [(1, True), (2, False)]


def test_silent_cloud_is_greeted_again() -> None:
    link = new_link()
    greet(link)
    before = link.session
    offer(link, Feed.ACTIONS, [row(Lane.ACTIONS, 1)])
    hellos = [c for tenths in range(220) for c in link.tick(tenths / 10) if isinstance(c, SendHello)]
    assert hellos == [SendHello(link.session)]
    assert link.session != before


def test_dropped_batches_are_neither_sent_nor_sent_again() -> None:
    link = new_link(Timing(batches=2))
    greet(link)
    rows = [row(Lane.BULK, seq) for seq in range(1, 5)]
    assert offer(link, Feed.BULK, rows) == [(1, False), (2, False)]
    assert sent(link.dropped([rows[0].key, rows[2].key], 1.0)) == [(4, False)]
    assert [seq for seq, _ in sent(link.tick(5.0))] == [2, 4]


def test_fork_in_an_old_stream_gets_a_new_key() -> None:
    link = new_link()
    greet(link)
    forked = row(Lane.ACTIONS, 7, stream=OLD)
    offer(link, Feed.ACTIONS, [forked])
    fork = Fork(link.session, OLD, Lane.ACTIONS, 7, digest(b"other"))
    rekey, alarm = link.received(fork, 0.1)
    assert rekey == Rekey(forked.key, forked.digest, open_stream=False)
    assert isinstance(alarm, Alarm)
    assert alarm.code == "link.fork"
    assert link.received(fork, 0.2) == [], "told twice"
    assert link.state is LinkState.LIVE


def test_fork_in_the_open_stream_opens_a_new_one() -> None:
    link = new_link()
    greet(link)
    offer(link, Feed.ACTIONS, [row(Lane.ACTIONS, 7)])
    rekey, _, hello = link.received(Fork(link.session, OPEN, Lane.ACTIONS, 7, digest(b"other")), 0.1)
    assert rekey == Rekey(BatchKey(OPEN, Lane.ACTIONS, 7), digest(b"7"), open_stream=True)
    assert hello == SendHello(link.session)


def test_batch_with_a_new_key_is_historical_even_when_fresh() -> None:
    link = new_link()
    greet(link)
    assert offer(link, Feed.LIVE, [row(Lane.TELEMETRY, 1, historical=True)]) == [(1, True)]


def test_envelope_says_when_the_disk_has_changed_the_blob() -> None:
    command = SendBatch(b"session", Queued(BatchKey(OPEN, Lane.BULK, 1), digest(b"sound"), 5, 2), True)
    sound, rotten = command.envelope(b"sound"), command.envelope(b"s0und")
    assert (sound.rotten, rotten.rotten) == (False, True)
    assert (sound.key, sound.count, sound.historical, sound.session) == (
        command.batch.key,
        2,
        True,
        b"session",
    )
    assert rotten.digest == digest(b"sound")


def test_disconnected_link_is_silent() -> None:
    link = new_link()
    greet(link)
    offer(link, Feed.ACTIONS, [row(Lane.ACTIONS, 1)])
    link.disconnected(1.0)
    assert link.tick(100.0) == []
    assert link.received(ack(link, Lane.ACTIONS, 1, 1), 1.0) == []
    assert link.sealed(BatchKey(OPEN, Lane.ACTIONS, 2), 1.0) == []
    assert (link.wants(1.0), link.under_way) == ([], 0)
