"""What the live service makes of bad input: each has a defined, shown result."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest

from cloud.hub import EdgeChanged, Hub, SamplesLedgered, StatesLedgered
from cloud.ledger.machines import MachineEffects
from cloud.maintenance import assets, cases
from cloud.maintenance.case import Case
from cloud.maintenance.health.asset import AssetHealth, State
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.health.sensor import Fault
from cloud.maintenance.service import MaintenanceService, Settings, WatchedTag
from cloud.store.database import Database
from protocols.clock import Clock
from protocols.lifecycles import CaseEvent
from protocols.states import DeviceHeartbeat, ItemState, MachineStateChanged, OperationMode
from protocols.values import MICROSECONDS, Quality, Value

ASSET = "0b0e6c1e-7b1b-4a57-9f0a-000000000001"
OTHER = "0b0e6c1e-7b1b-4a57-9f0a-000000000002"
STARTED = 1_790_000_000 * MICROSECONDS
VIBRATION, TEMPERATURE = 7, 8


def tags(asset: str = ASSET, unit: str = "mm/s", vibration: int = VIBRATION) -> dict[int, WatchedTag]:
    return {
        vibration: WatchedTag(asset, "laser-1", "laser-1/vibration", unit, "vibration", "float64", 1.0),
        TEMPERATURE: WatchedTag(asset, "laser-1", "laser-1/temperature", "°C", "temperature", "float64", 1.0),
    }


@dataclass
class Shop:
    """One laser whose vibration and temperature are told each second, windows of a second."""

    database: Database
    hub: Hub = field(default_factory=Hub)
    now: int = STARTED
    known: dict[int, WatchedTag] = field(default_factory=tags)
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    service: MaintenanceService = field(init=False)

    def __post_init__(self) -> None:
        async def watched() -> Mapping[int, WatchedTag]:
            return self.known

        clock = Clock(wall_ns=lambda: self.now * 1000, elapsed_ns=lambda: 0)
        settings = Settings(window=1.0, limits=Limits(learn=20))
        self.service = MaintenanceService(self.database, self.hub, clock, watched, settings)

    @property
    def health(self) -> AssetHealth:
        return self.service.assets[ASSET]

    async def settled(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0.005)

    async def tell(
        self,
        seconds: int,
        vibration: Callable[[], Value] | None = None,
        *,
        tag: int = VIBRATION,
        quality: int = Quality.GOOD,
        historical: bool = False,
        skew: int = 0,
        follows: bool = True,
    ) -> None:
        """Some seconds of samples; ``vibration`` gives its values, healthy ones when left out. ``follows``:
        nothing is missing before the first.
        """
        make = vibration or (lambda: 2.0 + self.rng.gauss(0, 0.1))
        for _ in range(seconds):
            times = [self.now + skew] * 2
            values = [make(), 40.0 + self.rng.gauss(0, 0.2)]
            self.hub.publish(
                SamplesLedgered("edge", [tag, TEMPERATURE], times, values, [quality, 0], historical, follows)
            )
            follows = True
            self.now += MICROSECONDS
            await asyncio.sleep(0)
        await self.settled()

    async def tell_alone(self, seconds: int, *, follows: bool = True) -> None:
        """Some seconds in which the temperature stays silent."""
        for _ in range(seconds):
            value = 2.0 + self.rng.gauss(0, 0.1)
            self.hub.publish(SamplesLedgered("edge", [VIBRATION], [self.now], [value], [0], follows=follows))
            follows = True
            self.now += MICROSECONDS
            await asyncio.sleep(0)
        await self.settled()

    def opened(self) -> list[Case]:
        with self.database.read() as tx:
            return cases.cases(tx)


@contextlib.asynccontextmanager
async def shop(folder: Path) -> AsyncIterator[Shop]:
    """The shop with its laser running and learned."""
    with Database(f"sqlite:///{folder}/cloud.db") as database:
        database.create_all()
        made = Shop(database)
        working = asyncio.create_task(made.service.run(), name="maintenance")
        try:
            while not made.hub.wanted(SamplesLedgered):  # noqa: ASYNC110 - it subscribes when it is ready
                await asyncio.sleep(0.001)
            running = MachineStateChanged(STARTED, "laser-1", ItemState.EXECUTING, OperationMode.PROCESSING)
            made.hub.publish(StatesLedgered("edge", [running]))
            await made.settled()
            await made.tell(50)
            assert made.health.health(made.service.settings.limits) == 100.0
            yield made
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


async def test_a_storm_of_nan_opens_a_sensor_case_and_scoring_resumes(tmp_path: Path) -> None:
    async with shop(tmp_path) as laser:
        before = laser.health.judged
        await laser.tell(10, lambda: math.nan)
        (case,) = laser.opened()
        assert (case.mode, laser.health.state) == ("sensor", State.FROZEN)
        assert "laser-1/vibration sends values that are no numbers" in case.summary
        assert "health is not judged until it is well" in case.summary
        frozen = laser.health.judged
        assert frozen <= before + 2 * MICROSECONDS
        await laser.tell(15)
        assert laser.health.state is not State.FROZEN
        assert laser.health.judged > frozen
        assert len(laser.opened()) == 1


async def test_values_that_are_not_good_do_not_count_and_their_lack_is_a_gap(tmp_path: Path) -> None:
    async with shop(tmp_path) as laser:
        await laser.tell(20, lambda: 99.0, quality=Quality.UNCERTAIN)
        assert [(tag, fault) for tag, fault, _ in laser.health.faults()] == [("vibration", Fault.GAP)]
        assert [case.mode for case in laser.opened()] == ["sensor"]
        assert laser.health.smoothed["vibration"] < 3


async def test_a_tag_that_falls_silent_has_a_gap_though_nothing_else_is_told(tmp_path: Path) -> None:
    async with shop(tmp_path) as laser:
        laser.now += 200 * MICROSECONDS
        laser.hub.publish(StatesLedgered("edge", [DeviceHeartbeat(laser.now, "laser-1", True, laser.now)]))
        await laser.settled()
        assert {fault for _, fault, _ in laser.health.faults()} == {Fault.GAP}
        assert [case.mode for case in laser.opened()] == ["sensor"]


async def test_a_machine_that_is_not_connected_has_no_gap(tmp_path: Path) -> None:
    async with shop(tmp_path) as laser:
        laser.now += 200 * MICROSECONDS
        laser.hub.publish(StatesLedgered("edge", [DeviceHeartbeat(laser.now, "laser-1", False)]))
        await laser.settled()
        await laser.tell(10)
        assert laser.opened() == []


async def test_a_backlog_is_counted_and_never_judged(tmp_path: Path) -> None:
    async with shop(tmp_path) as laser:
        kept = msgspec.msgpack.encode(laser.health.smoothed)
        await laser.tell(30, lambda: 50.0, historical=True)
        assert laser.health.late == 60
        assert msgspec.msgpack.encode(laser.health.smoothed) == kept
        assert laser.opened() == []


async def test_a_clock_from_the_future_freezes_and_moves_nothing(tmp_path: Path) -> None:
    async with shop(tmp_path) as laser:
        updated = laser.health.updated
        await laser.tell(20, skew=3600 * MICROSECONDS)
        (case,) = laser.opened()
        assert re.search(r"laser-1 has a clock that is far off: (3599|3600) s ahead", case.summary)
        assert (laser.health.state, laser.health.updated) == (State.FROZEN, updated)
        await laser.tell(30)
        assert laser.health.state is State.WATCHING
        assert laser.health.updated > updated


async def test_times_out_of_order_are_a_fault_of_the_clock(tmp_path: Path) -> None:
    async with shop(tmp_path) as laser:
        for _ in range(10):
            await laser.tell(1)
            back = laser.now - 1_500_000
            laser.hub.publish(SamplesLedgered("edge", [VIBRATION], [back], [2.0], [0]))
        await laser.tell(4)
        assert ("vibration", Fault.CLOCK_DISORDER) in [
            (tag, fault) for tag, fault, _ in laser.health.faults()
        ]
        assert [case.mode for case in laser.opened()] == ["sensor"]


async def test_a_tag_with_another_unit_is_not_judged_until_a_person_says_so(tmp_path: Path) -> None:
    async with shop(tmp_path) as laser:
        laser.known = tags(unit="in/s", vibration=9)  # another unit: another tag of the ledger, the same path
        laser.hub.publish(EdgeChanged("edge"))
        await laser.settled()
        await laser.tell(10, lambda: 0.08 + laser.rng.gauss(0, 0.004), tag=9)
        (case,) = laser.opened()
        assert "laser-1/vibration has another type or unit than was learned" in case.summary
        assert laser.health.state is State.FROZEN
        await laser.database.run(lambda tx: cases.advance(tx, case.id, CaseEvent.CLOSE, laser.now, "p1"))
        laser.hub.publish(EdgeChanged("edge"))
        await laser.settled()
        await laser.tell(40, lambda: 0.08 + laser.rng.gauss(0, 0.004), tag=9)
        assert (laser.health.state, laser.health.alarmed) == (State.WATCHING, False)


async def test_the_case_of_a_sensor_that_came_back_keeps_what_was_learned(tmp_path: Path) -> None:
    async with shop(tmp_path) as laser:
        await laser.tell(10, lambda: math.nan)
        await laser.tell(15)
        (case,) = laser.opened()
        await laser.database.run(lambda tx: cases.advance(tx, case.id, CaseEvent.CLOSE, laser.now, "p1"))
        laser.hub.publish(EdgeChanged("edge"))
        await laser.tell(5)
        assert laser.health.state is State.WATCHING


async def test_an_asset_replaced_without_notice_starts_anew_and_says_so(tmp_path: Path) -> None:
    async with shop(tmp_path) as laser:
        laser.known = tags(asset=OTHER)
        laser.hub.publish(EdgeChanged("edge"))
        await laser.settled()
        await laser.tell(10, lambda: 9.0 + laser.rng.gauss(0, 0.1))
        new = laser.service.assets[OTHER]
        assert (new.state, new.predecessor, new.alarmed) == (State.LEARNING, ASSET, False)
        assert laser.opened() == []
        laser.known = tags(asset=ASSET)  # the old one comes back: it is known as it was
        laser.hub.publish(EdgeChanged("edge"))
        await laser.settled()
        await laser.tell(10)
        assert laser.health.health(laser.service.settings.limits) == 100.0
        await laser.service.keep()
        with laser.database.read() as tx:
            rows = {row.asset: (row.device, row.state) for row in assets.healths(tx)}
    assert rows[ASSET] == ("laser-1", "watching")
    assert rows[OTHER][1] == "learning"


async def test_a_restart_goes_on_where_it_was_though_the_machine_tells_no_new_state(tmp_path: Path) -> None:
    async with shop(tmp_path) as laser:
        await laser.service.keep()
        running = MachineStateChanged(STARTED, "laser-1", ItemState.EXECUTING, OperationMode.PROCESSING)
        await laser.database.run(lambda tx: MachineEffects().states(tx, "edge", [running], STARTED))
        kept = msgspec.msgpack.encode(laser.health)
        again = Shop(laser.database, now=laser.now, rng=laser.rng)
        working = asyncio.create_task(again.service.run(), name="maintenance again")
        try:
            while not again.hub.wanted(SamplesLedgered):  # noqa: ASYNC110 - it subscribes when it is ready
                await asyncio.sleep(0.001)
            await again.settled()
            assert msgspec.msgpack.encode(again.health) == kept
            judged = again.health.judged
            await again.tell(10)
            assert again.health.judged > judged
            assert again.health.state is State.WATCHING
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


@pytest.mark.parametrize("silence", [15, 40])
async def test_what_was_told_before_a_hole_in_the_live_values_does_not_hold_through_it(
    tmp_path: Path, silence: int
) -> None:
    """A deadband keeps a steady tag silent for minutes; a link that is down keeps all of them silent."""
    async with shop(tmp_path) as made:
        await steady(made)
        judged = made.health.judged
        made.now += silence * MICROSECONDS
        await made.tell(10, follows=False)
        assert not made.health.faults()
        assert made.opened() == []
        assert made.health.judged > judged


async def test_a_tag_that_its_deadband_keeps_silent_after_a_hole_has_no_gap_until_it_ought_to_be_told(
    tmp_path: Path,
) -> None:
    async with shop(tmp_path) as made:
        await steady(made)
        made.now += 15 * MICROSECONDS
        await made.tell_alone(100, follows=False)
        assert not made.health.faults()
        await made.tell_alone(100)
        assert [(tag, fault) for tag, fault, _ in made.health.faults()] == [("temperature", Fault.GAP)]


@pytest.mark.parametrize("silence", [15, 40])
async def test_an_edge_that_read_nothing_for_a_while_is_no_stuck_sensor(tmp_path: Path, silence: int) -> None:
    """A computer that was busy: nothing is missing between the batches, there only are no samples."""
    async with shop(tmp_path) as made:
        await steady(made)
        made.now += silence * MICROSECONDS
        await made.tell(10)
        assert made.opened() == []


async def test_a_sensor_that_is_told_with_the_same_value_again_and_again_is_stuck(tmp_path: Path) -> None:
    async with shop(tmp_path) as made:
        await steady(made)
        await made.tell(15, lambda: 2.0)
        assert [(tag, fault) for tag, fault, _ in made.health.faults()] == [("vibration", Fault.STUCK)]


async def steady(made: Shop) -> None:
    """A value may stay silent for two minutes, and is learned anew."""
    made.known = {tag_id: replace(tag, max_interval=120.0, edge="edge") for tag_id, tag in made.known.items()}
    made.hub.publish(EdgeChanged("edge"))
    await made.settled()
    await made.tell(40)
