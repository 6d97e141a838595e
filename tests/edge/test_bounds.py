"""The outbox under pressure: thinned, dropped, refused; the arithmetic always closes."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.outbox import bounds
from edge.outbox.outbox import OutboxBounds
from edge.outbox.store import OutboxFullError
from protocols import telemetry
from protocols.actions import Action, ShiftNote
from protocols.lanes import Lane
from protocols.session import BatchKey
from protocols.values import Quality, Reason, Sample
from tests.edge.batches import (
    T0,
    Ticks,
    action,
    batch,
    check_arithmetic,
    did,
    fill,
    noisy,
    opened,
    put,
    tombstones,
)


async def test_under_pressure_unsealed_rows_are_thinned_then_sealed_ones_dropped(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path, OutboxBounds(max_bytes=300_000))
    async with store:
        await outbox.open()
        await store.run(put(noisy(0, 8_000), sealed=True))
        for n in range(1, 5):
            await store.run(put(noisy(n * 8_000, 8_000)))
        await outbox.enforce()
        stones = await tombstones(outbox)
        assert {stone.reason for stone in stones} == {"thinned: the outbox is full"}
        assert {(stone.first, stone.last) for stone in stones} == {(-1, -1)}
        for n in range(5, 30):
            await store.run(put(noisy(n * 8_000, 8_000)))
            await outbox.enforce()
        stones = [stone for stone in await tombstones(outbox) if stone.first == 1]
        assert [(s.lane, s.last, s.samples, s.counts) for s in stones] == [
            ("telemetry", 1, 8_000, {1: 8_000})
        ]
        assert (stones[0].from_ts, stones[0].to_ts) == (T0, T0 + 7_999)
        assert await store.read(bounds.queued_bytes) <= 300_000
        await check_arithmetic(outbox)


async def test_what_is_too_old_is_dropped_with_one_tombstone_over_its_seqs(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path, OutboxBounds(max_age=60))
    async with store:
        await outbox.open()
        for n in range(5):
            await store.run(put(batch(n * 10, 10), sealed=True))
        await store.run(did(action(1)))
        ticks = outbox.clock.wall_ns
        assert isinstance(ticks, Ticks)
        ticks.ns += 61 * 10**9
        await outbox.enforce()
        (stone,) = await tombstones(outbox)
        assert (stone.stream, stone.first, stone.last, stone.samples) == (outbox.stream, 1, 5, 50)
        assert stone.counts == Counter(n % 3 + 1 for n in range(50))
        assert (await outbox.stats()).queued_actions == 1
        await check_arithmetic(outbox)


def test_thinning_keeps_states_texts_flags_and_the_first_of_each_tag() -> None:
    rows = [Sample(1, T0 + n, float(n)) for n in range(6)]
    rows += [Sample(2, T0 + 10 + n, n % 2 == 0) for n in range(3)]
    rows += [Sample(3, T0 + 20 + n, f"program {n}") for n in range(3)]
    rows += [Sample(1, T0 + 30 + n, None, Quality.BAD, Reason.TIMEOUT) for n in range(2)]
    kept, gone = bounds.thinned(telemetry.columns(b"c", rows))
    assert gone == {1: 3}
    assert list(kept.samples()) == [row for row in rows if row.tag != 1 or row.value in (0.0, 2.0, 4.0, None)]


async def test_a_full_disk_gives_telemetry_up_for_actions_and_counts_it(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path, max_bytes=1 << 20, reserve=64 << 10)
    async with store:
        await outbox.open()
        with pytest.raises(OutboxFullError):
            await fill(store)
        for n in range(300):
            note = "".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=500))
            one = Action(f"a{n}", T0 + n, "brake-1", "K7", ShiftNote(note))
            await store.run(did(one))
        stats = await outbox.stats()
        assert stats.queued_actions == 300
        assert stats.dropped > 0
        await check_arithmetic(outbox)


@pytest.mark.parametrize("sealed", [True, False])
async def test_a_rotten_blob_is_dropped_by_its_count_and_stops_nothing(tmp_path: Path, sealed: bool) -> None:
    store, outbox = opened(tmp_path, OutboxBounds(max_bytes=50_000))
    async with store:
        await outbox.open()
        for n in range(4):
            await store.run(put(noisy(n * 8_000, 8_000), sealed=sealed))
        await store.run(lambda db: db.execute("UPDATE blob SET data = x'01ff' WHERE id <= 2").rowcount)
        await outbox.enforce()
        assert await store.read(bounds.queued_bytes) <= 50_000
        stats = await outbox.stats()
        assert stats.committed == stats.dropped + stats.queued == 32_000
        rotten = [stone for stone in await tombstones(outbox) if not stone.counts]
        assert sum(stone.samples for stone in rotten) == 16_000


async def test_a_rotten_blob_is_left_out_when_rows_are_merged(tmp_path: Path) -> None:
    store, outbox = opened(tmp_path)
    async with store:
        await outbox.open()
        for n in range(3):
            await store.run(put(batch(n * 10, 10)))
        await store.run(lambda db: db.execute("UPDATE blob SET data = x'01ff' WHERE id = 2").rowcount)
        for n in range(3, 30):
            await store.run(put(batch(n * 10, 10)))
        stats = await outbox.stats()
        assert stats.queued == stats.committed == 300
        assert stats.lanes[Lane.TELEMETRY].batches < 10


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 400), st.booleans()),
        st.tuples(st.just("ack"), st.integers(0, 5)),
        st.tuples(st.just("seal")),
        st.tuples(st.just("enforce")),
        st.tuples(st.just("restart")),
        st.tuples(st.just("rekey"), st.integers(0, 5)),
    ),
    max_size=25,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_committed_is_ledgered_plus_tombstoned_plus_queued(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[object, ...]]
) -> None:
    asyncio.run(play(tmp_path_factory.mktemp("outbox"), script))


async def play(folder: Path, script: list[tuple[object, ...]]) -> None:
    made: list[Sample] = []
    ledger: dict[BatchKey, list[Sample]] = {}
    for part in split(script):
        store, outbox = opened(folder, OutboxBounds(max_bytes=4_000))
        async with store:
            await outbox.open()
            for step in part:
                pending = [each for each in await outbox.pending() if each.key.lane is Lane.TELEMETRY]
                match step:
                    case ("append", int(size), bool(sealed)):
                        columns = noisy(len(made), size)
                        made += columns.samples()
                        await store.run(put(columns, sealed=sealed))
                    case ("ack", int(n)) if n < len(pending):
                        key = pending[n].key
                        ledger[key] = list(telemetry.decode(await outbox.blob(key) or b"").samples())
                        await outbox.acknowledge([(key, pending[n].digest)])
                    case ("seal",):
                        await outbox.seal()
                    case ("enforce",):
                        await outbox.enforce()
                    case ("rekey", int(n)) if n < len(pending):
                        assert await outbox.rekey(pending[n].key, pending[n].digest, open_stream=n % 2 == 0)
            await outbox.seal()
            stats = await outbox.stats()
            queued = [
                sample
                for each in await outbox.pending()
                if each.key.lane is Lane.TELEMETRY
                for sample in telemetry.decode(await outbox.blob(each.key) or b"").samples()
            ]
            stones = await tombstones(outbox)
            ledgered = [sample for samples in ledger.values() for sample in samples]
            assert stats.committed == len(made)
            assert stats.acked == len(ledgered)
            assert stats.queued == len(queued)
            assert stats.dropped == sum(stone.samples for stone in stones)
            assert len(made) == len(ledgered) + stats.dropped + len(queued)
            assert not Counter(ledgered + queued) - Counter(made)


def split(script: list[tuple[object, ...]]) -> list[list[tuple[object, ...]]]:
    parts: list[list[tuple[object, ...]]] = [[]]
    for step in script:
        if step[0] == "restart":
            parts.append([])
        else:
            parts[-1].append(step)
    return parts
