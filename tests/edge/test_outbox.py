"""The outbox: streams, sealing, merging, offering; only an acknowledgement deletes."""

import random
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from edge.outbox import sealing
from edge.outbox.outbox import Outbox, Sealed, append_actions, append_states
from protocols import actions, states, telemetry
from protocols.actions import Action, ShiftNote
from protocols.catalogue import TagDefinition, catalogue
from protocols.lanes import Lane
from protocols.link_commands import Feed, Want
from protocols.packing import MAX_BLOB, MAX_SINGLE, digest
from protocols.session import BatchKey, Bounds
from protocols.states import CatalogueAnnounced, JobsApplied, Notice
from protocols.values import DataType, Sample
from tests.edge.batches import T0, action, batch, did, noisy, opened, put


async def test_lanes_count_their_own_seqs_and_tell_what_was_sealed(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path)
    told: list[Sealed] = []
    async with store:
        await outbox.open()
        outbox.subscribe(told.extend)
        await store.run(did(action(1), action(2)))
        await store.run(lambda db: append_states(db, [JobsApplied(T0, 4)]))
        await store.run(put(batch(0, 10), sealed=True))
        await store.run(did(action(3)))
        keys = [sealed.key for sealed in told]
        stream = outbox.stream
        assert keys == [
            BatchKey(stream, Lane.ACTIONS, 1),
            BatchKey(stream, Lane.STATES, 1),
            BatchKey(stream, Lane.TELEMETRY, 1),
            BatchKey(stream, Lane.ACTIONS, 2),
        ]
        assert [sealed.count for sealed in told] == [2, 1, 10, 1]
        blob = await outbox.blob(keys[0])
        assert blob is not None
        assert actions.decode(blob) == [action(1), action(2)]
        assert digest(blob) == told[0].digest
        stats = await outbox.stats()
        assert (stats.committed, stats.queued, stats.accepted, stats.queued_actions) == (10, 10, 3, 3)


async def test_an_append_that_fails_later_in_its_transaction_leaves_nothing(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()

        def work(db: sqlite3.Connection) -> None:
            append_actions(db, [action(1)])
            raise LookupError("the journal row was refused")

        with pytest.raises(LookupError):
            await store.run(work)
        await store.run(did(action(2)))
        (only,) = await outbox.pending()
        assert only.key.seq == 1
        assert (await outbox.stats()).accepted == 1


async def test_only_an_acknowledgement_deletes_and_it_is_counted_once(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        await store.run(put(batch(0, 10), sealed=True))
        (sealed,) = await outbox.pending()
        assert await outbox.acknowledge([(sealed.key, b"another batch")]) == 0
        assert await outbox.acknowledge([(sealed.key, sealed.digest)]) == 1
        assert await outbox.acknowledge([(sealed.key, sealed.digest)]) == 0
        stats = await outbox.stats()
        assert (stats.committed, stats.acked, stats.queued) == (10, 10, 0)
        assert stats.last_ack == outbox.clock.now()


async def test_a_restart_knows_when_the_cloud_answered_last(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        assert outbox.last_ack is None
        await store.run(put(batch(0, 10), sealed=True))
        (sealed,) = await outbox.pending()
        await outbox.acknowledge([(sealed.key, sealed.digest)])
        answered = outbox.clock.now()
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        assert outbox.last_ack == answered
        assert (await outbox.stats()).last_ack == answered


async def test_every_start_opens_a_stream_and_old_batches_keep_their_keys(tmp_path: Path) -> None:
    keys = []
    for start in range(3):
        store, outbox = opened(tmp_path)
        async with store:
            await outbox.open()
            await store.run(did(action(start)))
            keys.append(BatchKey(outbox.stream, Lane.ACTIONS, 1))
            assert [sealed.key for sealed in await outbox.pending()] == keys
            streams, bounds = await outbox.greeting()
            assert streams == tuple(key.stream for key in keys)
            assert bounds == [Bounds(stream, Lane.ACTIONS, 1, 1) for stream in streams]
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        await outbox.acknowledge([(each.key, each.digest) for each in (await outbox.pending())[:2]])
        assert await outbox.greeting() == (
            (keys[2].stream, outbox.stream),
            [Bounds(keys[2].stream, Lane.ACTIONS, 1, 1)],
        )


async def test_a_restored_copy_never_uses_a_number_again(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        first = outbox.stream
        await store.run(did(action(1)))
    shutil.copy(tmp_path / "edge.db", tmp_path / "yesterday.db")
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        second = outbox.stream
        await store.run(did(action(2)))
    shutil.copy(tmp_path / "yesterday.db", tmp_path / "edge.db")
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        await store.run(did(action(3)))
        keys = [sealed.key for sealed in await outbox.pending()]
        assert keys == [BatchKey(first, Lane.ACTIONS, 1), BatchKey(outbox.stream, Lane.ACTIONS, 1)]
        assert outbox.stream not in (first, second)


async def test_unsealed_rows_merge_and_are_sealed_in_order(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        for n in range(100):
            await store.run(put(batch(n * 10, 10)))
        assert await outbox.pending() == []
        rows = await store.read(lambda db: db.execute("SELECT count(*) FROM batch").fetchone()[0])
        assert rows <= sealing.MERGE_ROWS
        assert await outbox.seal() == rows
        samples = []
        for sealed in await outbox.pending():
            blob = await outbox.blob(sealed.key)
            assert blob is not None
            samples += list(telemetry.decode(blob).samples())
        assert samples == list(batch(0, 1000).samples())


async def test_rows_of_two_catalogues_do_not_merge(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        for n in range(60):
            meaning = b"old" if n < 30 else b"new"
            await store.run(put(batch(n, 1, catalogue=meaning)))
        await outbox.seal()
        found = [telemetry.decode(await outbox.blob(sealed.key) or b"") for sealed in await outbox.pending()]
        assert Counter(c for part in found for c in [part.catalogue] * len(part)) == {b"old": 30, b"new": 30}
        times = [ts for part in found for ts in part.times()]
        assert times == sorted(times)


async def test_no_batch_is_larger_than_the_limit(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        await store.run(put(noisy(0, 60_000), sealed=True))
        await store.run(
            lambda db: append_actions(
                db,
                [
                    Action(
                        f"{n}", T0, "w", "K7", ShiftNote("".join(random.Random(n).choices("abcdefgh", k=500)))
                    )
                    for n in range(2000)
                ],
            )
        )
        found = await outbox.pending()
        assert len(found) > 4
        assert max(sealed.size for sealed in found) <= MAX_BLOB
        assert sum(sealed.count for sealed in found) == 62_000


async def test_what_repeats_itself_stays_within_what_the_cloud_unpacks(tmp_path: Path) -> None:
    """Long texts pack a hundredfold: merged by their packed size alone, they would end in the quarantine."""
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        for start in range(0, 24_000, 500):
            texts = [Sample(1, T0 + n, f"{n % 5}" * 1000) for n in range(start, start + 500)]
            await store.run(put(telemetry.columns(b"c", texts)))
        await store.run(
            put(telemetry.columns(b"c", [Sample(2, T0 + n, "x" * 1000) for n in range(20_000)]), sealed=True)
        )
        await outbox.seal()
        blobs = [await outbox.blob(sealed.key) or b"" for sealed in await outbox.pending()]
        assert sum(len(telemetry.decode(blob)) for blob in blobs) == 44_000


async def test_small_rows_are_not_merged_over_the_head_of_a_large_one(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        await store.run(put(batch(0, 10)))
        await store.run(put(noisy(10, 10_000)))
        for n in range(sealing.MERGE_ROWS + 1):
            await store.run(put(batch(10_010 + 10 * n, 10)))
        assert await outbox.seal() < sealing.MERGE_ROWS
        found = [telemetry.decode(await outbox.blob(sealed.key) or b"") for sealed in await outbox.pending()]
        times = [ts for part in found for ts in part.times()]
        assert times == list(range(T0, T0 + 10_010 + 10 * (sealing.MERGE_ROWS + 1)))


async def test_a_catalogue_of_very_many_tags_is_one_batch(tmp_path: Path) -> None:
    names = random.Random(1)
    tags = [
        TagDefinition(n, f"machine-{n // 500}/{names.randbytes(8).hex()}", DataType.FLOAT64)
        for n in range(1, 20_000)
    ]
    known = catalogue("north", tags)
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        await store.run(lambda db: append_states(db, [CatalogueAnnounced(known.content_hash(), known)]))
        (sealed,) = await outbox.pending()
        assert MAX_BLOB < sealed.size < MAX_SINGLE
        assert states.decode(await outbox.blob(sealed.key) or b"") == [
            CatalogueAnnounced(known.content_hash(), known)
        ]
        novel = Notice(T0, "error", "x", names.randbytes(MAX_SINGLE).hex())
        with pytest.raises(sealing.TooLargeError, match=r"Notice takes \d+ bytes .* a batch holds 2097152"):
            await store.run(lambda db: append_states(db, [novel]))


async def test_a_fork_gets_a_new_key_in_the_open_stream(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path)
    told: list[Sealed] = []
    async with store:
        await outbox.open()
        outbox.subscribe(told.extend)
        await store.run(did(action(1)))
        await store.run(did(action(2)))
        first = outbox.stream
        assert not await outbox.rekey(told[0].key, b"another batch", open_stream=False)
        assert await outbox.rekey(told[0].key, told[0].digest, open_stream=False)
        assert [sealed.key.seq for sealed in await outbox.pending()] == [2, 3]
        assert told[-1].key == BatchKey(first, Lane.ACTIONS, 3)
        assert told[-1].digest == told[0].digest
        assert not await outbox.rekey(told[0].key, told[0].digest, open_stream=False)
        assert await outbox.rekey(told[1].key, told[1].digest, open_stream=True)
        assert outbox.stream != first
        assert told[-1].key == BatchKey(outbox.stream, Lane.ACTIONS, 1)
        rows = await outbox.wanted(Want(b"", Feed.ACTIONS, Lane.ACTIONS, None, None, 9, 0))
        assert [(row.key, row.historical) for row in rows] == [
            (BatchKey(first, Lane.ACTIONS, 3), True),
            (told[-1].key, True),
        ]


async def offered(
    outbox: Outbox, after: BatchKey | None, upto: BatchKey | None, limit: int
) -> list[BatchKey]:
    want = Want(b"", Feed.BACKLOG, Lane.TELEMETRY, after, upto, limit, 0)
    return [row.key for row in await outbox.wanted(want)]


async def test_a_greeting_tells_where_a_drained_ordered_lane_goes_on(tmp_path: Path) -> None:
    """Else a ledger put back to an older copy would take what comes next for out of order."""
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        assert await outbox.greeting() == ((outbox.stream,), [])
        for n in range(3):
            await store.run(did(action(n)))
        await store.run(put(batch(0, 10), sealed=True))
        await outbox.acknowledge([(each.key, each.digest) for each in await outbox.pending()])
        assert await outbox.greeting() == ((outbox.stream,), [Bounds(outbox.stream, Lane.ACTIONS, 4, 3)])
        await outbox.open()
        assert await outbox.greeting() == ((outbox.stream,), [])


async def test_rows_are_offered_between_two_keys_in_the_order_of_streams(tmp_path: Path) -> None:
    keys: list[BatchKey] = []
    for start in range(3):
        store, outbox = opened(tmp_path)
        async with store:
            await outbox.open()
            for n in range(4):
                await store.run(put(batch(start * 100 + n * 10, 10), sealed=True))
            await store.run(did(action(start)))
            keys += [BatchKey(outbox.stream, Lane.TELEMETRY, n) for n in range(1, 5)]
            if start < 2:
                continue

            assert await offered(outbox, None, None, 99) == keys
            assert await offered(outbox, keys[2], None, 3) == keys[3:6]
            assert await offered(outbox, keys[2], keys[4], 99) == keys[3:5]
            await outbox.acknowledge([(each.key, each.digest) for each in await outbox.pending()][:5])
            assert await offered(outbox, keys[2], keys[9], 99) == keys[4:10]
