"""From bytes to acknowledgement: answers come only after the commit, and nothing stops the thread."""

import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from cloud.hub import Event, Hub, SamplesLedgered
from cloud.ingest import MAX_PAYLOAD, Ingest
from cloud.ledger import reading
from cloud.ledger.ledger import Ledger, LedgerWriter
from cloud.ledger.machines import MachineEffects
from cloud.ledger.tags import TagMap
from cloud.mailbox import Mailbox, Message
from cloud.store.database import Database
from cloud.store.schema import import_tables
from protocols import actions, session, telemetry
from protocols.clock import Clock
from protocols.lanes import Down, Lane, down, parse_down, up
from protocols.session import Ack, Fork, Rejected, SessionUnknown, Welcome
from tests.cloud.edges import SESSION_ID, MemoryEdge, batch, booked, columns, hello, tags
from tests.servers import PostgresServer, require

EDGE = "machining"


class Bench:
    """An ingest with its thread; ``sent`` has what it publishes, ``noted`` what goes to the inbox."""

    known: tuple[str, ...] | None = None

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sent: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self.noted: list[tuple[str, str]] = []
        self.shown: list[Event] = []
        self.opened: list[str] = []
        bench = self

        class Listening(Hub):
            def publish(self, event: Event) -> None:
                bench.shown.append(event)

            def wanted(self, kind: type[Event]) -> bool:
                return True

        hub = Listening()

        def inbox(tx: Connection, edge: str, batch: int, kind: str, text: str, received: int) -> None:
            self.noted.append((kind, text))

        self.ledger = Ledger([MachineEffects(hub)], inbox, hub)
        self.tag_map = TagMap(database)
        self.ingest = self._ingest(hub)
        self._hub = hub

    def _ingest(self, hub: Hub) -> Ingest:
        def send(topic: str, payload: bytes) -> None:
            self.sent.put((topic, payload))

        return Ingest(
            self.database,
            self.ledger,
            self.tag_map,
            hub,
            Clock(),
            send,
            self.opened.append,
            known=self.known,
        )

    @contextmanager
    def working(self) -> Iterator[None]:
        """The ingest's thread, for the length of the block; a new ingest each time, as after a restart."""
        self.ingest = self._ingest(self._hub)
        thread = threading.Thread(target=self.ingest.work)
        thread.start()
        try:
            yield
        finally:
            self.ingest.stop()
            thread.join(20)
            assert not thread.is_alive()

    def give(self, channel: str, payload: bytes, edge: str = EDGE) -> None:
        self.ingest.receive(up(edge, channel), payload)

    def answer(self, kind: Down = Down.SESSION) -> Any:
        """The next message of a kind; other kinds are passed over."""
        while True:
            topic, payload = self.sent.get(timeout=20)
            if parse_down(topic) is kind:
                return session.decode_down(payload) if kind is Down.SESSION else payload

    def greet(self, **said: Any) -> Welcome:
        self.give("session", session.encode(hello(EDGE, **said)))
        answer = self.answer()
        assert isinstance(answer, Welcome)
        return answer

    def counters(self) -> reading.Counters:
        with self.database.read() as reader:
            return reading.counters(reader)


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)


def deliver(bench: Bench, *edges: MemoryEdge) -> None:
    """Hand what the ingest sent to the edges."""
    by_topic = {down(edge.edge, Down.SESSION): edge for edge in edges}
    while True:
        try:
            topic, payload = bench.sent.get_nowait()
        except queue.Empty:
            return
        if topic in by_topic:
            by_topic[topic].inbox.put(payload)


def drain(bench: Bench, *edges: MemoryEdge) -> None:
    deadline = time.monotonic() + 30
    while any(edge.rows for edge in edges):
        assert time.monotonic() < deadline, [len(edge.rows) for edge in edges]
        deliver(bench, *edges)
        for edge in edges:
            edge.turn()


def test_edges_are_drained_and_nothing_counts_twice(bench: Bench) -> None:
    with bench.working():
        edges = [MemoryEdge(name, bench.ingest.receive) for name in ("machining", "coating", "assembly")]
        for edge in edges:
            edge.announce()
            for number in range(20):
                edge.samples(10)
                edge.act(f"{edge.edge}-{number}")
            edge.connect()
        drain(bench, *edges)
    counted = bench.counters()
    assert (counted.samples, counted.actions, counted.batches) == (600, 60, 123)
    assert set(bench.opened) == {"assembly", "coating", "machining"}
    for edge in edges:
        acted = [key.seq for key in edge.acked if key.lane is Lane.ACTIONS]
        assert sorted(acted) == list(range(1, 21))


def test_live_samples_are_shown_with_their_tag_ids_after_the_commit(bench: Bench) -> None:
    with bench.working():
        edge = MemoryEdge(EDGE, bench.ingest.receive)
        edge.announce()
        edge.connect()
        drain(bench, edge)
        edge.samples(4)
        drain(bench, edge)
    (event,) = [event for event in bench.shown if isinstance(event, SamplesLedgered)]
    ids = bench.tag_map.ids(edge.known.content_hash())
    assert ids is not None
    assert event.tags == [ids[1], ids[2], ids[1], ids[2]]
    assert (event.values, event.qualities, event.historical) == ([0.0, 1.0, 2.0, 3.0], [0] * 4, False)
    assert event.times == sorted(event.times)
    latency = bench.ingest.stats().latency_ms
    assert latency.count == 4
    assert 0 < latency.p50 <= latency.p99 < 30_000


def test_live_samples_say_whether_some_are_missing_before_them(bench: Bench) -> None:
    known = tags(EDGE)
    blob = telemetry.encode(columns(known, 1, 3))
    sent = [(1, False), (2, False), (4, False), (3, True), (5, False)]  # the third was late: it is backlog
    with bench.working():
        edge = MemoryEdge(EDGE, bench.ingest.receive)
        edge.announce()
        edge.connect()
        drain(bench, edge)
        bench.greet(known=known.content_hash())
        for seq, historical in sent:
            told = batch(Lane.TELEMETRY, seq, blob, count=3, historical=historical)
            bench.give("telemetry", session.encode(told))
            assert isinstance(bench.answer(), Ack)
    live = [event for event in bench.shown if isinstance(event, SamplesLedgered)]
    assert [event.follows for event in live] == [False, True, False, True]


def test_an_unknown_catalogue_is_asked_for_and_holds_nothing_up(bench: Bench) -> None:
    known = tags(EDGE)
    blob = telemetry.encode(columns(known, 1, 3))
    with bench.working():
        bench.greet(known=known.content_hash())
        assert bench.answer(Down.CATALOGUE) == known.content_hash()
        bench.give("telemetry", session.encode(batch(Lane.TELEMETRY, 1, blob, count=3)))
        assert isinstance(bench.answer(), Ack)
    assert bench.counters().samples == 3
    assert not [event for event in bench.shown if isinstance(event, SamplesLedgered)]


def test_a_replay_is_acknowledged_again_and_a_fork_never(bench: Bench) -> None:
    first = batch(Lane.ACTIONS, 1, actions.encode([booked("a")]))
    other = batch(Lane.ACTIONS, 1, actions.encode([booked("b")]))
    with bench.working():
        bench.greet()
        for _ in range(2):
            bench.give("actions", session.encode(first))
            answer = bench.answer()
            assert isinstance(answer, Ack)
            assert answer.acked[0].ranges == ((1, 1),)
        bench.give("actions", session.encode(other))
        answer = bench.answer()
        assert isinstance(answer, Fork)
        assert answer.ledgered == first.digest
    counted = bench.counters()
    assert (counted.actions, counted.replays, counted.forks) == (1, 1, 1)
    assert [kind for kind, _ in bench.noted] == ["fork"]


def test_a_restart_in_the_middle_of_a_session_asks_for_a_hello(bench: Bench) -> None:
    first, second = (batch(Lane.ACTIONS, seq, actions.encode([booked(f"a{seq}")])) for seq in (1, 2))
    with bench.working():
        bench.greet()
        bench.give("actions", session.encode(first))
        assert isinstance(bench.answer(), Ack)
    with bench.working():
        bench.ingest.greet([EDGE, "coating"])
        assert bench.answer() == SessionUnknown(b"")
        assert bench.answer() == SessionUnknown(b"")
        bench.give("actions", session.encode(second))
        assert isinstance(bench.answer(), SessionUnknown)
        welcome = bench.greet(queued=[session.Bounds(first.stream, Lane.ACTIONS, 1, 2)])
        assert welcome.has[0].ranges == ((1, 1),)
        bench.give("actions", session.encode(second))
        assert isinstance(bench.answer(), Ack)
    assert bench.counters().actions == 2


def test_a_gap_of_a_lane_is_reported(bench: Bench) -> None:
    with bench.working():
        bench.greet(queued=[session.Bounds(b"s" * 16, Lane.STATES, 5, 9)], streams=[b"s" * 16])
    ((kind, words),) = bench.noted
    assert kind == "lane-gap"
    assert "no states 1 to 4" in words


GARBAGE = {
    "not msgpack": ("telemetry", b"\xc1garbage", "not a batch"),
    "a hello that is none": ("session", b"", "not a hello"),
    "a batch on the wrong lane": (
        "telemetry",
        session.encode(batch(Lane.ACTIONS, 1, b"x")),
        "lane actions on the topic of telemetry",
    ),
    "nested beyond reason": ("session", b"\x91" * 200_000, "not a hello"),
    "a length that is a lie": ("actions", b"\xdd\xff\xff\xff\xff", "not a batch"),
    "over the size limit": ("bulk", bytes(MAX_PAYLOAD + 1), "the limit is"),
}


def test_what_is_no_message_is_quarantined(bench: Bench) -> None:
    with bench.working():
        for channel, payload, _ in GARBAGE.values():
            bench.give(channel, payload)
        bench.ingest.receive("onelot/v1/edges/UPPER/up/actions", b"not an edge's topic")
        bench.greet()
    with bench.database.read() as reader:
        entries = reading.quarantine(reader)[::-1]
    assert bench.counters().quarantined == len(entries) == len(GARBAGE)
    for entry, (name, (_, payload, reason)) in zip(entries, GARBAGE.items(), strict=True):
        assert reason in entry.reason, name
        assert (entry.edge, entry.size) == (EDGE, len(payload))


def test_a_damaged_blob_is_asked_for_again_and_quarantined_when_it_stays_so(bench: Bench) -> None:
    good = batch(Lane.ACTIONS, 1, actions.encode([booked("a")]))
    damaged = session.Batch(good.session, good.stream, good.lane, 1, b"d" * 16, 1, False, good.blob)
    with bench.working():
        bench.greet()
        bench.give("actions", session.encode(damaged))
        bench.give("actions", session.encode(msgspec.structs.replace(damaged, rotten=True)))
        assert isinstance(bench.answer(), Ack)
    assert bench.ingest.stats().ignored == {"damaged": 1}
    counted = bench.counters()
    assert (counted.batches, counted.actions, counted.quarantined) == (1, 0, 1)


def test_an_edge_of_another_protocol_is_told_why(bench: Bench) -> None:
    newer = session.Hello(EDGE, b"s", 99, (b"s" * 16,), (), {}, b"", 1)
    with bench.working():
        bench.give("session", session.encode(newer))
        answer = bench.answer()
    assert isinstance(answer, Rejected)
    assert "update the cloud" in answer.reason


def test_an_edge_that_the_site_does_not_have_is_told_so_and_leaves_no_trace(bench: Bench) -> None:
    bench.known = ("coating", EDGE)
    with bench.working():
        bench.give("session", session.encode(hello("machning")), edge="machning")
        answer = bench.answer()
        bench.give("actions", session.encode(batch(Lane.ACTIONS, 1, b"x")), edge="machning")
        bench.give("session", b"garbage", edge="machning")
        bench.greet()
    assert isinstance(answer, Rejected)
    assert answer.session == SESSION_ID
    assert answer.reason.startswith('edge "machning" is not in the site: it has coating, machining; add it')
    with bench.database.read() as reader:
        assert [row.id for row in reading.edges(reader)] == [EDGE]
        assert reading.quarantine(reader) == []
    assert bench.ingest.stats().ignored == {"stranger": 3}
    assert list(bench.ingest.heard) == [EDGE]


def test_a_hello_that_breaks_something_does_not_stop_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last(self: LedgerWriter, stream: bytes, lane: Lane) -> int:
        raise LookupError("a bug")

    with bench.working():
        bench.greet()
        monkeypatch.setattr(LedgerWriter, "last", last)
        odd = hello("odd", queued=[session.Bounds(b"s" * 16, Lane.STATES, 5, 9)], streams=[b"s" * 16])
        bench.give("session", session.encode(odd), edge="odd")
        bench.greet()
    with bench.database.read() as reader:
        (entry,) = reading.quarantine(reader)
    assert (entry.edge, entry.reason) == ("odd", "the hello could not be taken: a bug")


def test_a_failed_commit_acknowledges_nothing_and_the_edge_begins_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = threading.Event()
    whole = LedgerWriter.commit

    def commit(self: LedgerWriter, prepared: Any) -> int | None:
        row = whole(self, prepared)
        if broken.is_set():
            broken.clear()
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        return row

    monkeypatch.setattr(LedgerWriter, "commit", commit)
    with bench.working():
        edge = MemoryEdge(EDGE, bench.ingest.receive)
        edge.connect()
        for number in range(5):
            edge.act(f"a{number}")
            if number == 2:
                broken.set()
            drain(bench, edge)
    assert bench.ingest.stats().failures == 1
    counted = bench.counters()
    assert (counted.actions, counted.batches) == (5, 5)


@pytest.mark.system
def test_a_database_server_that_is_killed_loses_nothing() -> None:
    require("postgres")
    folder = Path(tempfile.mkdtemp(prefix="onelot-postgres-"))  # where the server's own user may go
    import_tables()
    try:
        with PostgresServer(folder) as server, Database(server.url()) as database:
            database.create_all()
            bench = Bench(database)
            with bench.working():
                edge = MemoryEdge(EDGE, bench.ingest.receive)
                edge.announce()
                edge.connect()
                for number in range(30):
                    edge.samples(5)
                    edge.act(f"a{number}")
                    if number == 10:
                        drain(bench, edge)
                        server.kill()
                    if number == 20:
                        server.start()
                    deliver(bench, edge)
                    edge.turn()
                drain(bench, edge)
            counted = bench.counters()
        assert (counted.samples, counted.actions, counted.repeated_actions) == (150, 30, 0)
        assert bench.ingest.stats().failures > 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_full_mailbox_drops_the_newest_telemetry_first() -> None:
    mailbox = Mailbox(max_bytes=10_000)

    def put(lane: Lane, size: int) -> bool:
        return mailbox.put(Message(up(EDGE, lane), bytes(size), 1))

    assert put(Lane.TELEMETRY, 7000)
    assert not put(Lane.TELEMETRY, 1000)
    assert not put(Lane.BULK, 1000)
    assert put(Lane.ACTIONS, 2000)
    assert not put(Lane.ACTIONS, 2000)
    assert mailbox.dropped == 3
    assert [len(m.payload) for m in mailbox.take(10, 100_000, 0)] == [7000, 2000]
    assert mailbox.waiting == 0
    assert put(Lane.TELEMETRY, 7000)
    assert len(mailbox.take(10, 1, 0)) == 1
    assert mailbox.take(10, 1, 0.001) == []
