"""After a gap: what the machine recorded itself comes in as historical, within bounds."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.backfill import FARTHEST, Backfill, Gap, Historic
from edge.collector import Collector
from edge.remembered import remembered
from edge.tags import TagState
from protocols import telemetry
from protocols.lanes import Lane
from protocols.link_commands import Feed, Want
from protocols.states import Notice
from protocols.values import Quality, Reading, Reason, Sample
from tests.edge.clouds import Cloud
from tests.edge.logger_machine import LoggerDriver, LoggerMachine, profile
from tests.edge.machines import T0, Ticks, collecting, device, recorder_of, reported
from tests.edge.shops import counting, living, shop, until
from tests.servers import MosquittoServer

S = 1_000_000
PROFILE = profile()
PROFILE_OF_COUNTER = profile(counter={"address": "counter", "type": "uint32"})


@contextlib.asynccontextmanager
async def reading(
    folder: Path, machine: LoggerMachine, ticks: Ticks, read_until: int = 0
) -> AsyncIterator[Collector]:
    """A collector of the machine, running."""
    make = lambda: LoggerDriver(machine, PROFILE)  # noqa: E731
    async with collecting(folder, PROFILE, device("logger://here"), ticks.clock(), make) as collector:
        recorder = recorder_of(collector)
        collector.backfill = Backfill(recorder.outbox, lambda: recorder.catalogue, rate=1e9)
        collector.read_until, collector.jitter = read_until, lambda: 0.02
        async with recorder.running():
            task = asyncio.create_task(collector.run())
            try:
                yield collector
            finally:
                task.cancel()
                await asyncio.wait([task])


async def batches(collector: Collector) -> list[tuple[bool, list[Sample]]]:
    """Every batch on disk: whether it is flagged historical, and its samples."""
    outbox = recorder_of(collector).outbox
    await recorder_of(collector).flush()
    await outbox.seal()
    rows = await outbox.wanted(Want(b"", Feed.BACKLOG, Lane.TELEMETRY, None, None, 1000, 0))
    return [
        (row.historical, list(telemetry.decode(await outbox.blob(row.key) or b"").samples())) for row in rows
    ]


async def historic(collector: Collector) -> list[Sample]:
    return [sample for flagged, samples in await batches(collector) if flagged for sample in samples]


def connected(collector: Collector) -> Callable[[], bool]:
    return lambda: collector.reads_well


async def test_a_gap_is_filled_from_the_machine_s_own_record(tmp_path: Path) -> None:
    ticks, machine = Ticks(), LoggerMachine({"load": 1.0})
    start = ticks.wall
    machine.reachable.set()
    async with reading(tmp_path, machine, ticks) as collector:
        await until(connected(collector))
        assert not machine.asked, "nobody knows until when it was read before"
        ticks.pass_(10)
        machine.show(load=2.0)
        await until(lambda: collector.last_read == start + 10 * S)
        machine.lose()
        await until(lambda: not collector.connected)
        machine.record = [(start + n * S, "load", float(n)) for n in range(70)]
        ticks.pass_(50)
        machine.reachable.set()
        await until(connected(collector))
        await until(lambda: collector.read_until == start + 60 * S)
        assert machine.asked == [(start + 10 * S, start + 60 * S)]
        found = await historic(collector)
        assert [(s.ts, s.value) for s in found] == [(start + n * S, float(n)) for n in range(11, 60)]
        live = [s.value for flagged, samples in await batches(collector) if not flagged for s in samples]
        assert live == [1.0, 2.0, None, 2.0]
        stats = await recorder_of(collector).outbox.stats()
        assert stats.committed == stats.queued == len(found) + len(live)


async def test_after_a_restart_it_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    ticks, machine = Ticks(), LoggerMachine({"load": 1.0})
    machine.reachable.set()
    start = ticks.wall
    async with reading(tmp_path, machine, ticks) as collector:
        await until(connected(collector))
        ticks.pass_(30)
        machine.show(load=2.0)
        await until(lambda: collector.last_read == start + 30 * S)
    machine.record = [(start + n * S, "load", float(n)) for n in range(100)]
    ticks.pass_(20)
    async with collecting(tmp_path, PROFILE, device("logger://here"), ticks.clock()) as collector:
        before = await recorder_of(collector).outbox.store.read(remembered)
        assert before.read == {"press-1": start + 30 * S}
    async with reading(tmp_path, machine, ticks, before.read["press-1"]) as collector:
        await until(lambda: collector.read_until == start + 50 * S)
        assert [s.ts for s in await historic(collector)] == [start + n * S for n in range(31, 50)]


async def test_a_gap_that_cannot_be_filled_is_told_and_tried_once_more(tmp_path: Path) -> None:
    ticks, machine = Ticks(), LoggerMachine({"load": 1.0}, refuses_history="no license for history")
    machine.reachable.set()
    async with reading(tmp_path, machine, ticks, ticks.wall - 60 * S) as collector:
        for tries in (1, 2, 3):
            await until(connected(collector))
            await until(lambda: len(machine.asked) == min(tries, 2))  # noqa: B023
            ticks.pass_(0.1)
            machine.lose()
            await until(lambda: not collector.connected)
            machine.reachable.set()
        await until(connected(collector))
        assert len(machine.asked) == 2
        notices = [e for e in await reported(collector) if isinstance(e, Notice)]
        assert [e.code for e in notices] == ["device.gap"] * 2
        assert "What press-1 recorded in the last 60 s could not be read back (no license" in notices[0].text


async def test_a_gap_of_a_moment_or_of_weeks(tmp_path: Path) -> None:
    ticks, machine = Ticks(), LoggerMachine({"load": 1.0})
    machine.reachable.set()
    now = ticks.wall
    async with reading(tmp_path, machine, ticks, now - S) as collector:
        await until(lambda: collector.read_until == now)
        assert not machine.asked
    (tmp_path / "b").mkdir()
    async with reading(tmp_path / "b", machine, ticks, now - 30 * 86_400 * S) as collector:
        await until(lambda: collector.read_until == now)
        assert machine.asked == [(now - FARTHEST, now)]


times = st.lists(st.one_of(st.none(), st.integers(-5, 25)), max_size=60)


@given(times, st.integers(-3, 3))
def test_historical_times_lie_in_the_gap_and_only_rise(found: list[int | None], shift: int) -> None:
    tag = TagState("load", PROFILE.tags["load"], 7)
    gap = Gap(start=1_000, end=1_020, shift=shift)
    readings = [
        Reading("load", 1.0, source_time=None if ts is None else 1_000 + ts - shift) for ts in found
    ] + [Reading("no such tag", 1.0, source_time=1_010)]
    samples = Historic({"load": tag}, gap).samples(readings)
    kept = [ts for ts in found if ts is not None and 0 < ts < 20]
    assert len(samples) == len(kept)
    assert all(before.ts < after.ts for before, after in itertools.pairwise(samples))
    if kept == sorted(set(kept)):
        assert [sample.ts for sample in samples] == [1_000 + ts for ts in kept]


def test_what_a_tag_cannot_hold_is_bad_in_history_too() -> None:
    tag = TagState("load", PROFILE.tags["load"], 7)
    historic = Historic({"load": tag}, Gap(0, 100))
    made = historic.samples(
        [
            Reading("load", "text", source_time=1),
            Reading("load", 3, source_time=2),
            Reading("load", None, Quality.BAD, Reason.SENSOR_FAILURE, source_time=3),
            Reading("load", 4.0, Quality.UNCERTAIN, Reason.STALE, source_time=4),
        ]
    )
    assert [(s.value, s.quality, s.reason) for s in made] == [
        (None, Quality.BAD, Reason.TYPE_MISMATCH),
        (3.0, Quality.GOOD, Reason.NONE),
        (None, Quality.BAD, Reason.SENSOR_FAILURE),
        (4.0, Quality.UNCERTAIN, Reason.STALE),
    ]


@pytest.mark.system
async def test_on_a_live_link_history_arrives_flagged_beside_live_values(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    with Cloud(mosquitto.port) as cloud:
        async with shop(tmp_path) as made, counting(made.servers["press-1"]):
            made.write_edge(broker={"host": "127.0.0.1", "port": mosquitto.port})
            async with living(made.setup()) as agent:
                await until(lambda: agent.outbox.live)
                collector = agent.devices.get("press-1")
                assert collector is not None
                machine = LoggerMachine(
                    record=[(T0 + n, "counter", n) for n in range(1, 12_000)],
                )
                filled = Backfill(agent.outbox, lambda: agent.recorder.catalogue, rate=1e9)
                tags = {"counter": collector._tags["counter"]}
                found = await filled.fill(LoggerDriver(machine, PROFILE_OF_COUNTER), Gap(T0, T0 + S), tags)
                assert found == 11_999
                await until(lambda: sum(cloud.ledger.historical.values()) >= 3)
                await until(lambda: len([s for s in cloud.samples if s.ts < T0 + S]) == found)
        flagged = {key: cloud.ledger.batches[key] for key, is_ in cloud.ledger.historical.items() if is_}
        times = [s.ts for batch in flagged.values() for s in telemetry.decode(batch.blob).samples()]
        assert [ts for ts in times if ts < T0 + S] == [T0 + n for n in range(1, 12_000)]
        assert not cloud.doubled
