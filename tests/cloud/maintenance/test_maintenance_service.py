"""From ledgered samples to one open case, on a real database."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from cloud.hub import CaseChanged, EdgeChanged, Hub, SamplesLedgered, StatesLedgered
from cloud.maintenance import cases
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.service import MaintenanceService, Settings, WatchedTag
from cloud.store.database import Database
from protocols.clock import Clock
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import CaseEvent, CaseState
from protocols.states import ItemState, MachineStateChanged, OperationMode
from protocols.values import MICROSECONDS

T = TypeVar("T")

ASSET = "0b0e6c1e-7b1b-4a57-9f0a-000000000001"
STARTED = 1_790_000_000 * MICROSECONDS
WORN = [6.0 + 0.002 * (step % 3) for step in range(60)]


async def watched() -> Mapping[int, WatchedTag]:
    return {7: WatchedTag(ASSET, "laser-1", "laser-1/vibration", "mm/s")}


def running(ts: int) -> StatesLedgered:
    state = MachineStateChanged(ts, "laser-1", ItemState.EXECUTING, OperationMode.PROCESSING)
    return StatesLedgered("machining", [state])


def samples(start: int, values: list[float]) -> SamplesLedgered:
    times = [start + step * MICROSECONDS for step in range(len(values))]
    return SamplesLedgered("machining", [7] * len(values), times, list(values), [0] * len(values))


def service(database: Database, hub: Hub) -> MaintenanceService:
    settings = Settings(window=1.0, limits=Limits(learn=30))
    clock = Clock(wall_ns=lambda: (STARTED + 300 * MICROSECONDS) * 1000, elapsed_ns=lambda: 0)
    return MaintenanceService(database, hub, clock, watched, settings)


async def test_wear_opens_one_case_and_a_restart_does_not_open_another(tmp_path: Path) -> None:
    generator = random.Random(3)
    good = [generator.gauss(2.0, 0.1) for _ in range(60)]
    with Database(f"sqlite:///{tmp_path}/cloud.db") as database:
        database.create_all()
        hub = Hub()
        for start in (STARTED, STARTED + 200 * MICROSECONDS):
            async with asyncio.TaskGroup() as tasks, hub.subscribe({CaseChanged}) as changes:
                task = tasks.create_task(service(database, hub).run())
                while not hub.wanted(SamplesLedgered):  # noqa: ASYNC110 - the service subscribes when it is ready
                    await asyncio.sleep(0.001)
                hub.publish(running(start))
                await asyncio.sleep(0.05)
                hub.publish(samples(start, good if start == STARTED else WORN))
                hub.publish(samples(start + 61 * MICROSECONDS, WORN))
                if start == STARTED:
                    await asyncio.wait_for(changes.get_all(), 10)
                await asyncio.sleep(0.1)
                task.cancel()

        with database.read() as tx:
            found = cases.cases(tx)
            health = cases.healths(tx)
    assert [(case.device, case.mode, case.state) for case in found] == [("laser-1", "wear", CaseState.OPEN)]
    assert found[0].evidence[0].tag == "laser-1/vibration"
    assert "laser-1/vibration is 6 mm/s, normally 1.98" in found[0].summary
    assert [(row.device, row.state, row.health) for row in health] == [("laser-1", "watching", 0.0)]


async def test_after_the_repair_the_machine_is_learned_anew(tmp_path: Path) -> None:
    """The new spindle hums louder than the old one did: that is normal now, and worse is noticed again."""
    generator = random.Random(3)

    def hum(mean: float) -> list[float]:
        return [generator.gauss(mean, 0.1) for _ in range(60)]

    with Database(f"sqlite:///{tmp_path}/cloud.db") as database:
        database.create_all()
        hub = Hub()
        async with asyncio.TaskGroup() as tasks, hub.subscribe({CaseChanged}) as changes:
            task = tasks.create_task(service(database, hub).run())
            while not hub.wanted(SamplesLedgered):  # noqa: ASYNC110 - the service subscribes when it is ready
                await asyncio.sleep(0.001)
            hub.publish(running(STARTED))
            hub.publish(samples(STARTED, hum(2.0)))
            hub.publish(samples(STARTED + 61 * MICROSECONDS, hum(6.0)))
            await asyncio.wait_for(changes.get_all(), 10)
            with database.read() as tx:
                (first,) = cases.cases(tx)
            for event in (CaseEvent.PLAN, CaseEvent.FINISH, CaseEvent.CLOSE):
                now = STARTED + 122 * MICROSECONDS
                await database.run(partial(cases.advance, case_id=first.id, event=event, now=now, actor="p1"))
                hub.publish(CaseChanged(first.id))
            await asyncio.wait_for(changes.get_all(), 10)
            hub.publish(samples(STARTED + 123 * MICROSECONDS, hum(6.0)))
            hub.publish(samples(STARTED + 184 * MICROSECONDS, hum(9.0)))
            await asyncio.wait_for(changes.get_all(), 10)
            task.cancel()
        with database.read() as tx:
            found = cases.cases(tx)
    assert [(case.state, round(case.evidence[0].normal)) for case in found] == [
        (CaseState.OPEN, 6),
        (CaseState.CLOSED, 2),
    ]


class Unreliable(Database):
    """A database whose disk may be full."""

    full = False

    async def run(self, work: Callable[[Connection], T]) -> T:
        if self.full:
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        return await super().run(work)

    async def query(self, reading: Callable[[Connection], T]) -> T:
        if self.full:
            raise OperationalError("SELECT", {}, Exception("disk I/O error"))
        return await super().query(reading)


async def test_what_the_database_refused_is_written_when_it_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.maintenance.service.SAVE_EVERY", 0.05)
    generator = random.Random(3)
    database = Unreliable(f"sqlite:///{tmp_path}/cloud.db")
    with database:
        database.create_all()
        database.full = True
        hub = Hub()
        async with asyncio.TaskGroup() as tasks, hub.subscribe({CaseChanged}) as changes:
            task = tasks.create_task(service(database, hub).run())
            await asyncio.sleep(0.1)
            database.full = False
            while not hub.wanted(SamplesLedgered):  # noqa: ASYNC110 - the service subscribes when it is ready
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.1)
            database.full = True
            hub.publish(EdgeChanged("machining"))
            hub.publish(running(STARTED))
            await asyncio.sleep(0.05)
            hub.publish(samples(STARTED, [generator.gauss(2.0, 0.1) for _ in range(60)]))
            hub.publish(samples(STARTED + 61 * MICROSECONDS, WORN))
            await asyncio.sleep(0.3)
            with database.read() as tx:
                assert (cases.cases(tx), cases.healths(tx)) == ([], [])
            database.full = False
            await asyncio.wait_for(changes.get_all(), 10)
            task.cancel()
        with database.read() as tx:
            assert [case.device for case in cases.cases(tx)] == ["laser-1"]
            assert [row.state for row in cases.healths(tx)] == ["watching"]


def test_a_case_follows_its_lifecycle(tmp_path: Path) -> None:
    case = cases.Case("c1", ASSET, "laser-1", "wear", CaseState.OPEN, 1, 1, 40.0, "why", ())
    with Database(f"sqlite:///{tmp_path}/cloud.db") as database:
        database.create_all()
        assert database.write(lambda tx: cases.open_case(tx, case)).result()
        assert not database.write(lambda tx: cases.open_case(tx, case)).result()

        moved = database.write(lambda tx: cases.advance(tx, "c1", CaseEvent.ACKNOWLEDGE, 2, "ann")).result()
        assert (moved.state, moved.changed, moved.changed_by) == (CaseState.ACKNOWLEDGED, 2, "ann")
        with pytest.raises(IllegalTransitionError, match="possible: snooze, plan, start, close"):
            database.write(lambda tx: cases.advance(tx, "c1", CaseEvent.FINISH, 3, "ann")).result()
        with pytest.raises(cases.NoSuchCaseError):
            database.write(lambda tx: cases.advance(tx, "c2", CaseEvent.FINISH, 3, "ann")).result()
        database.write(lambda tx: cases.advance(tx, "c1", CaseEvent.CLOSE, 3, "ann")).result()
        again = cases.Case("c2", ASSET, "laser-1", "wear", CaseState.OPEN, 4, 4, 30.0, "why", ())
        assert database.write(lambda tx: cases.open_case(tx, again)).result()
        with database.read() as tx:
            assert [c.id for c in cases.cases(tx, open_only=True)] == ["c2"]
