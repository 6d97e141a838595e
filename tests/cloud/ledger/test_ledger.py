"""The ledger in its transaction: once, with effects, gaps counted, nothing that stops a lane."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, func, select

from cloud.hub import Hub
from cloud.ledger import quarantine, reading, retention, tables
from cloud.ledger.ledger import Ledger, LedgerWriter, prepare
from cloud.ledger.machines import MachineEffects
from cloud.ledger.source import LedgerRow, ProjectionSource
from cloud.ledger.tags import TagMap
from cloud.store.database import Database
from protocols import actions, states, telemetry
from protocols.actions import Action
from protocols.catalogue import TagDefinition, catalogue
from protocols.lanes import Lane
from protocols.session import Batch, BatchKey, Bounds
from protocols.states import (
    AlarmChanged,
    CatalogueAnnounced,
    DeviceHeartbeat,
    Dropped,
    Event,
    ItemState,
    JobsApplied,
    MachineStateChanged,
    Notice,
    OperationMode,
    StopClosed,
    StopOpened,
)
from protocols.values import DataType
from tests.cloud.edges import STREAM, announced, batch, booked, columns, tags

EDGE = "machining"
NOW = 1_700_000_000_000_000


class Inbox:
    """Remembers what the ledger reports."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []

    def __call__(self, tx: Connection, edge: str, batch: int, kind: str, text: str, received: int) -> None:
        self.entries.append((kind, text))


class FailingEffects:
    """Effects with a bug: they write something and then raise."""

    def actions(self, tx: Connection, edge: str, actions: list[Action], received: int) -> None:
        tx.execute(
            tables.notice.insert().values(edge=edge, ts=1, received=1, severity="", code="", text="half")
        )
        raise LookupError("a bug\x00 in effects")

    def states(self, tx: Connection, edge: str, events: list[Event], received: int) -> None:
        raise LookupError("a bug")


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def ledger(inbox: Inbox) -> Ledger:
    return Ledger([MachineEffects()], inbox)


def write(database: Database, ledger: Ledger, *batches: Batch, edge: str = EDGE) -> list[int | None]:
    """Commit batches in one transaction."""

    def work(tx: Connection) -> list[int | None]:
        with ledger.writing(tx, NOW) as writer:
            return [writer.commit(prepare(edge, one, NOW)) for one in batches]

    return database.write(work).result()


def inside(database: Database, ledger: Ledger, look: Callable[[LedgerWriter], object]) -> object:
    """Look at the ledger as the link does."""

    def work(tx: Connection) -> object:
        with ledger.writing(tx, NOW) as writer:
            return look(writer)

    return database.write(work).result()


def stated(seq: int, *events: Event) -> Batch:
    return batch(Lane.STATES, seq, states.encode(list(events)), count=len(events))


def sampled(seq: int, count: int = 10, *, historical: bool = False) -> Batch:
    blob = telemetry.encode(columns(tags(EDGE), NOW + seq * 1000, count))
    return batch(Lane.TELEMETRY, seq, blob, count=count, historical=historical)


def counters(database: Database) -> reading.Counters:
    with database.read() as reader:
        counted, again = reading.counters(reader), reading.recount(reader)
    assert (counted.batches, counted.samples, counted.actions, counted.dropped) == (
        again.batches,
        again.samples,
        again.actions,
        again.dropped,
    )
    return counted


def test_batches_are_ledgered_once_and_counted(database: Database, ledger: Ledger) -> None:
    first, second = sampled(1, 10), sampled(2, 5, historical=True)
    ids = write(database, ledger, first, second, stated(1, announced(tags(EDGE))))
    assert all(ids)
    assert ids == sorted(ids, key=lambda row: row or 0)
    assert write(database, ledger, first) == [None]
    counted = counters(database)
    assert (counted.batches, counted.samples, counted.states, counted.replays) == (3, 15, 1, 1)
    assert inside(database, ledger, lambda has: has.digest(first.key)) == first.digest
    assert inside(database, ledger, lambda has: has.last(STREAM, Lane.TELEMETRY)) == 2
    assert inside(database, ledger, lambda has: has.last(STREAM, Lane.ACTIONS)) == 0
    wanted = Bounds(STREAM, Lane.TELEMETRY, 2, 9)
    assert inside(database, ledger, lambda has: has.digests(wanted, 5)) == [(2, second.digest)]


def test_an_action_takes_effect_once_whatever_batch_it_comes_in(database: Database, inbox: Inbox) -> None:
    heard: list[str] = []

    class Heard(MachineEffects):
        def actions(self, tx: Connection, edge: str, actions: list[Action], received: int) -> None:
            heard.extend(action.id for action in actions)

    ledger = Ledger([Heard()], inbox)
    one = batch(Lane.ACTIONS, 1, actions.encode([booked("a"), booked("b"), booked("a")]), count=3)
    two = batch(Lane.ACTIONS, 2, actions.encode([booked("b"), booked("c")]), count=2)
    write(database, ledger, one, two)
    assert heard == ["a", "b", "c"]
    counted = counters(database)
    assert (counted.actions, counted.repeated_actions) == (3, 2)


def test_what_cannot_be_decoded_is_ledgered_and_quarantined(database: Database, ledger: Ledger) -> None:
    ids = write(
        database,
        ledger,
        batch(Lane.ACTIONS, 1, b"\x01nonsense"),
        batch(Lane.TELEMETRY, 1, b"\x07other version", count=9),
        batch(Lane.ACTIONS, 2, actions.encode([booked("a")])),
    )
    assert None not in ids
    counted = counters(database)
    assert (counted.batches, counted.samples, counted.actions, counted.quarantined) == (3, 0, 1, 2)
    with database.read() as reader:
        newest, oldest = reading.quarantine(reader)
    assert "version 7" in newest.reason
    assert "damaged" in oldest.reason
    assert (oldest.batch, oldest.topic) == (ids[0], "onelot/v1/edges/machining/up/actions")


def test_effects_that_raise_leave_the_fact_and_a_note(database: Database, inbox: Inbox) -> None:
    ledger = Ledger([FailingEffects(), MachineEffects()], inbox)
    write(
        database,
        ledger,
        batch(Lane.ACTIONS, 1, actions.encode([booked("a")])),
        stated(1, Notice(NOW, "warning", "x", "kept by the effects after the failing ones")),
    )
    assert counters(database).actions == 1
    assert [kind for kind, _ in inbox.entries] == ["effects-failed", "effects-failed"]
    assert "LookupError: a bug␀ in effects" in inbox.entries[0][1]
    with database.read() as reader:
        assert [notice.code for notice in reading.notices(reader)] == ["x"]


def test_a_payload_the_database_refuses_does_not_stop_the_lane(database: Database, ledger: Ledger) -> None:
    """PostgreSQL takes no NUL in a text and no id over its length; the batch is kept all the same."""
    odd = Action("i" * 300 + "\x00", 1, "cell", "op", booked("x").event)
    write(database, ledger, batch(Lane.ACTIONS, 1, actions.encode([odd])))
    write(database, ledger, batch(Lane.ACTIONS, 2, actions.encode([booked("fine")])))
    counted = counters(database)
    assert counted.batches == 2
    assert counted.actions + counted.quarantined == 2
    assert inside(database, ledger, lambda has: has.last(STREAM, Lane.ACTIONS)) == 2


def dropped(first: int, last: int, samples: int) -> Dropped:
    return Dropped(
        STREAM, "telemetry", first, last, NOW, NOW + 9, samples, {1: samples}, b"c" * 16, "outbox full"
    )


def test_a_tombstone_counts_what_is_really_missing(database: Database, ledger: Ledger) -> None:
    write(database, ledger, sampled(3, 10), stated(1, dropped(2, 4, 30), dropped(-1, -1, 7)))
    assert counters(database).dropped == 27
    write(database, ledger, sampled(4, 10))  # sent before it was dropped, arrives after its tombstone
    assert counters(database).dropped == 17
    write(database, ledger, sampled(2, 10))
    assert counters(database).dropped == 7
    with database.read() as reader:
        assert [(gap.samples, gap.missing, gap.counts) for gap in reading.gaps(reader)] == [(7, 7, {1: 7})]


def test_machines_keep_what_is_newest_and_record_the_rest(database: Database, ledger: Ledger) -> None:
    executing, mode = ItemState.EXECUTING, OperationMode.PROCESSING
    write(
        database,
        ledger,
        stated(
            1,
            DeviceHeartbeat(NOW + 5, "laser", True, NOW + 4),
            MachineStateChanged(NOW + 5, "laser", executing, mode),
            StopOpened(NOW + 1, "s1", "laser", "laser-1", "door"),
            StopOpened(NOW + 2, "s2", "laser", "laser-1"),
            AlarmChanged(NOW + 2, "laser", "E7", True, "gas low"),
            AlarmChanged(NOW + 3, "laser", "E8", True),
        ),
        stated(
            2,
            DeviceHeartbeat(NOW + 1, "laser", False, NOW),
            MachineStateChanged(NOW + 1, "laser", ItemState.NOT_AVAILABLE, OperationMode.NONE, "late"),
            StopClosed(NOW + 4, "s1"),
            AlarmChanged(NOW + 4, "laser", "E8", False),
        ),
    )
    with database.read() as reader:
        (machine,) = reading.machines(reader)
        passed = reading.machine_states(reader, "laser", NOW + 3, NOW + 10)
        first = reading.machine_states(reader, "laser", NOW + 3, NOW + 10, limit=1)
        stops = reading.stops(reader)
        still = reading.stops(reader, open_only=True)
    assert (machine.connected, machine.connected_since, machine.last_read) == (True, NOW + 5, NOW + 4)
    assert (machine.item_state, machine.state_since, machine.alarms) == ("executing", NOW + 5, ("gas low",))
    assert [(row.ts, row.detail) for row in passed] == [(NOW + 1, "late"), (NOW + 5, "")]
    assert first == passed[:1]
    assert [(stop.id, stop.closed) for stop in stops] == [("s2", None), ("s1", NOW + 4)]
    assert [stop.id for stop in still] == ["s2"]


def test_the_job_list_an_edge_has_only_goes_forwards(database: Database, ledger: Ledger) -> None:
    write(database, ledger, stated(1, JobsApplied(NOW, 4), JobsApplied(NOW, 3)))
    with database.read() as reader:
        (row,) = reading.edges(reader)
    assert (row.id, row.jobs_version, row.last_seen) == (EDGE, 4, NOW)


def test_tags_keep_their_id_over_catalogues_and_edges(database: Database, ledger: Ledger) -> None:
    def tag(number: int, path: str, unit: str = "mm") -> TagDefinition:
        return TagDefinition(number, path, DataType.FLOAT64, unit, device="d")

    tag_map = TagMap(database)
    first = catalogue(EDGE, [tag(1, "d/a"), tag(2, "d/b")])
    assert tag_map.ids(first.content_hash()) is None
    write(database, ledger, stated(1, announced(first)))
    ids = tag_map.ids(first.content_hash())
    assert ids is not None
    second = catalogue(EDGE, [tag(1, "d/a"), tag(3, "d/b", "inch"), tag(4, "d/c")])
    moved = catalogue("other", [tag(1, "d/c")])
    write(database, ledger, stated(2, announced(second), announced(second)))
    write(database, ledger, stated(3, announced(moved)), edge="other")
    again, there = tag_map.ids(second.content_hash()), tag_map.ids(moved.content_hash())
    assert again is not None
    assert there is not None
    assert again[1] == ids[1]
    assert again[3] not in ids.values()
    assert there[1] == again[4]
    with database.read() as reader:
        current = reading.tags(reader)
        everything = reading.tags(reader, retired=True)
    assert [(tag.path, tag.unit, tag.edge) for tag in current] == [
        ("d/a", "mm", EDGE),
        ("d/b", "inch", EDGE),
        ("d/c", "mm", "other"),
    ]
    assert len(everything) == 4


def test_a_catalogue_under_a_wrong_hash_is_not_believed(
    database: Database, ledger: Ledger, inbox: Inbox
) -> None:
    write(database, ledger, stated(1, CatalogueAnnounced(b"x" * 16, tags(EDGE))))
    assert [kind for kind, _ in inbox.entries] == ["effects-failed"]
    assert TagMap(database).ids(b"x" * 16) is None


def test_the_quarantine_is_bounded(
    database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MAX_ROWS", 3)
    monkeypatch.setattr(quarantine, "MAX_PAYLOAD", 4)

    def put(has: LedgerWriter) -> None:
        for number in range(5):
            has.quarantine(EDGE, "topic", f"r{number}\x00", b"payload")

    inside(database, ledger, put)
    with database.read() as reader:
        kept = reading.quarantine(reader)
        payload = reader.scalar(select(tables.quarantine.c.payload))
    assert [entry.reason for entry in kept] == ["r4␀", "r3␀", "r2␀"]
    assert (kept[0].size, bytes(payload or b"")) == (7, b"payl")
    assert counters(database).quarantined == 5


def test_a_reader_by_cursor_sees_every_batch_and_keeps_its_place(database: Database, ledger: Ledger) -> None:
    asked: list[tuple[str, bytes]] = []

    def ask(edge: str, catalogue: bytes) -> None:
        asked.append((edge, catalogue))

    source = ProjectionSource(database, TagMap(database), ask)
    write(database, ledger, *(sampled(seq, historical=seq % 2 == 0) for seq in range(1, 101)))
    write(database, ledger, batch(Lane.TELEMETRY, 101, b"\x01bad"), stated(1, Notice(1, "", "", "")))
    assert source.load() == (0, ())
    cursor = 0
    seen: list[LedgerRow] = []
    while rows := source.read_after(cursor, 500):
        seen += rows
        cursor = rows[-1].id
        source.save(cursor, (rows[0].id,))
    assert len(seen) == 100
    assert [row.historical for row in seen[:3]] == [False, True, False]
    assert seen[0].edge == EDGE
    assert source.read_one(seen[5].id) == seen[5]
    assert source.load()[0] == cursor
    assert source.tag_ids(EDGE, b"?" * 16) is None
    assert asked == [(EDGE, b"?" * 16)]


def test_history_that_cannot_be_read_goes_to_quarantine_and_counts_for_nothing(
    database: Database, ledger: Ledger
) -> None:
    """Backlog is ledgered as it came: only the projection, which decodes it, can tell."""
    source = ProjectionSource(database, TagMap(database), lambda *_: None)
    write(database, ledger, sampled(1, 10), batch(Lane.TELEMETRY, 2, b"\x02", count=7, historical=True))
    assert counters(database).samples == 17
    bad = source.read_after(0, 1 << 20)[-1]
    for _ in range(2):
        source.refuse(bad.id, "blob version 2 is not 1")
    counted = counters(database)
    assert (counted.samples, counted.quarantined) == (10, 1)
    assert [row.id for row in source.read_after(0, 1 << 20)] == [bad.id - 1]
    with database.read() as reader:
        (entry,) = reading.quarantine(reader)
    assert (entry.edge, entry.reason, entry.size, entry.batch) == (EDGE, "blob version 2 is not 1", 1, bad.id)


def test_pruning_waits_for_readers_and_time_and_never_forgets_a_seq(
    database: Database, ledger: Ledger
) -> None:
    batches = [sampled(seq) for seq in range(1, 8)]
    ids = write(database, ledger, *batches, stated(1, Notice(1, "", "", "")))
    source = ProjectionSource(database, TagMap(database), lambda *_: None)

    def prune(before: int) -> int:
        return database.write(lambda tx: retention.prune(tx, before)).result()

    assert prune(NOW + 1) == 0  # no reader has it yet
    source.save(ids[4] or 0, (ids[2] or 0,))
    assert prune(NOW) == 0  # its time is not over
    assert prune(NOW + 1) == 4  # 1 2 4 5: the third is held back
    source.save(ids[4] or 0, ())
    assert prune(NOW + 1) == 1
    with database.read() as reader:
        assert reader.scalar(select(func.count()).select_from(tables.pruned)) == 1
    assert write(database, ledger, batches[0], batches[3]) == [None, None]
    assert inside(database, ledger, lambda has: has.last(STREAM, Lane.TELEMETRY)) == 7
    assert inside(database, ledger, lambda has: has.digest(BatchKey(STREAM, Lane.TELEMETRY, 3))) is None
    counted = counters(database)
    assert (counted.samples, counted.replays) == (70, 2)


def test_the_hub_hears_after_the_commit(database: Database, inbox: Inbox) -> None:
    published: list[object] = []

    class Listening(Hub):
        def publish(self, event: object) -> None:
            published.append(event)

    hub = Listening()
    ledger = Ledger([MachineEffects(hub)], inbox, hub)
    committed = [batch(Lane.ACTIONS, 1, actions.encode([booked("a")])), stated(1, JobsApplied(NOW, 1))]

    def undone(tx: Connection) -> None:
        with ledger.writing(tx, NOW) as writer:
            for one in committed:
                writer.commit(prepare(EDGE, one, NOW))
        raise RuntimeError("the transaction fails")

    with pytest.raises(RuntimeError):
        database.write(undone).result()
    assert published == []
    write(database, ledger, *committed)
    assert [type(event).__name__ for event in published] == [
        "ActionsLedgered",
        "OrdersChanged",
        "EdgeChanged",
        "StatesLedgered",
    ]
