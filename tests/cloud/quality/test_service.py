"""What machines measure: charted while a run of its plan is active, as often as planned, once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from cloud.config import CloudConfig, load_site
from cloud.hub import ActionsLedgered, Hub, OrdersChanged, QualityChanged, SamplesLedgered
from cloud.ledger.tables import tag as tag_table
from cloud.orders.tables import run as run_table
from cloud.quality import charts, nonconformances
from cloud.quality.service import QualityService, watched
from protocols import actions as act
from protocols.clock import Clock
from protocols.values import MICROSECONDS, Value
from tests.cloud.api.service import SITE as SITE_FILE
from tests.cloud.orders.shop import NOW_US, open_database
from tests.cloud.quality.shop import BRACKET, QualityFloor, quality_floor
from tests.cloud.quality.test_effects import WELD, told

BEND = "q-1-1-20"
LOAD, OTHER, RULER = 7, 8, 9
SITE = load_site(CloudConfig(site=SITE_FILE, data=Path("unused")))
TAGS = {
    LOAD: ("brake-1/load", "brake-1", "spindle_load"),
    OTHER: ("laser-1/load", "laser-1", ""),
    RULER: ("brake-1/gauge/length", "brake-1", ""),
}


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[QualityFloor]:
    database = open_database(f"sqlite:///{tmp_path / 'quality.db'}")
    try:
        yield with_tags(quality_floor(database, 400))
    finally:
        database.close()


def with_tags(floor: QualityFloor) -> QualityFloor:
    def write(tx: Connection) -> None:
        for number, (path, device, role) in TAGS.items():
            row = {"id": number, "path": path, "type": "float", "unit": "kN", "edge": "machining"}
            row |= {"device": device, "role": role, "max_interval": 1.0, "current": True, "first_seen": 1}
            tx.execute(insert(tag_table).values(row))

    floor.database.write(write).result()
    return floor


def samples(*values: Value, tag: int = LOAD, quality: int = 0, historical: bool = False) -> SamplesLedgered:
    samples.start += len(values) * MICROSECONDS  # type: ignore[attr-defined]
    times = [samples.start + n * MICROSECONDS for n in range(len(values))]  # type: ignore[attr-defined]
    qualities = [quality] * len(values)
    return SamplesLedgered("machining", [tag] * len(values), times, [*values], qualities, historical)


samples.start = NOW_US + 10**9  # type: ignore[attr-defined]


def points(floor: QualityFloor) -> list[tuple[str, float]]:
    """Characteristic and value of everything that was charted."""

    def read(tx: Connection) -> list[tuple[str, float]]:
        return [
            (chart.characteristic, each.values[0])
            for chart in charts.charts(tx)
            for each in charts.points(tx, chart.id)
        ]

    return floor.database.write(read).result()


async def charted(floor: QualityFloor, *events: SamplesLedgered) -> list[QualityChanged]:
    """Run the service over some samples; what it published."""
    hub = Hub()
    service = QualityService(floor.database, hub, Clock(), SITE)
    async with asyncio.TaskGroup() as tasks, hub.subscribe({QualityChanged}) as changes:
        task = tasks.create_task(service.run())
        while not hub.wanted(SamplesLedgered):  # noqa: ASYNC110 - the service subscribes when it is ready
            await asyncio.sleep(0.001)
        for event in events:
            hub.publish(event)
        # The order of the queue is kept: when this one is there, those before it are charted.
        hub.publish(OrdersChanged())
        found: list[QualityChanged] = []
        try:
            async with asyncio.timeout(1.0):
                while True:
                    found += [e for e in await changes.get_all() if isinstance(e, QualityChanged)]
        except TimeoutError:
            pass
        task.cancel()
    return found


@pytest.mark.parametrize(
    ("name", "tags"),
    [("load", {LOAD}), ("spindle_load", {LOAD}), ("brake-1/load", {LOAD}), ("length", {RULER}), ("x", set())],
)
def test_a_tag_is_found_by_role_by_path_and_by_its_last_part(
    tmp_path: Path, name: str, tags: set[int]
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'quality.db'}")
    try:
        floor = with_tags(quality_floor(database, 400, text=BRACKET.replace("tag: load", f"tag: {name}")))
        assert database.write(lambda tx: watched(tx, SITE)).result() == {}
        floor.opens(BEND)
        assert set(database.write(lambda tx: watched(tx, SITE)).result()) == tags
    finally:
        database.close()


async def test_the_first_value_of_a_run_is_charted_once(floor: QualityFloor) -> None:
    assert await charted(floor, samples(805.0)) == []  # nobody works on it
    floor.opens(BEND)
    first = await charted(floor, samples(810.0, 790.0, 805.0), samples(1.0, tag=OTHER))
    assert (points(floor), len(first)) == ([("force", 810.0)], 1)
    await charted(floor, samples(795.0))  # the service was started again: the same run has its value
    assert points(floor) == [("force", 810.0)]


async def test_only_good_live_numbers_are_charted(floor: QualityFloor) -> None:
    floor.opens(BEND)
    await charted(
        floor,
        samples(True),
        samples("stopped"),
        samples(700.0, quality=2),
        samples(801.0),
    )
    assert points(floor) == [("force", 801.0)]


async def test_a_value_out_of_tolerance_holds_where_the_plan_says_so(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'hold.db'}")
    text = BRACKET.replace("tag: load", "tag: load\n        frequency: every 2\n        on_violation: hold")
    try:
        floor = with_tags(quality_floor(database, 400, text=text))
        floor.opens(BEND)
        await charted(floor, samples(801.0, 950.0, 960.0, 802.0, 799.0))
        found = database.write(nonconformances.nonconformances).result()
        assert points(floor) == [("force", 801.0), ("force", 960.0), ("force", 799.0)]
    finally:
        database.close()
    assert [(each.operation, each.opened_by) for each in found] == [(BEND, "machine")]
    assert found[0].text.startswith("Bending force 960: above the tolerance")


async def test_what_an_outage_kept_back_is_charted_at_its_place_in_time(tmp_path: Path) -> None:
    """With the nonconformance that it opens, and without a word to the station."""
    database = open_database(f"sqlite:///{tmp_path / 'late.db'}")
    text = BRACKET.replace("tag: load", "tag: load\n        frequency: every 1\n        on_violation: hold")
    try:
        floor = with_tags(quality_floor(database, 400, text=text))
        floor.opens(BEND)
        before, kept_back = samples(801.0, 802.0), samples(803.0, 950.0, 804.0)
        samples.start += 10 * MICROSECONDS  # type: ignore[attr-defined]
        after = samples(805.0)
        late = SamplesLedgered(
            *("machining", kept_back.tags, kept_back.times, kept_back.values, kept_back.qualities),
            historical=True,
        )
        await charted(floor, before, after, late, late)
        assert [value for _, value in points(floor)] == [801.0, 802.0, 803.0, 950.0, 804.0, 805.0]
        (chart,) = database.write(charts.charts).result()
        told_numbers = [
            each.point.number for each in database.write(lambda tx: charts.points(tx, chart.id)).result()
        ]
        assert told_numbers == [1, 2, 3, 4, 5, 6]
        assert chart.points == 6
        (found,) = database.write(nonconformances.nonconformances).result()
        assert (found.opened_by, found.opened) == ("machine", kept_back.times[1])
        assert found.text.startswith("Bending force 950: above the tolerance")
        assert told(floor, BEND).notices(BEND) == ()
        assert [each.nonconformance for each in told(floor, WELD).held(WELD)] == ["1"]
        # What comes next goes on from the newest point, not from the late one.
        await charted(floor, samples(806.0))
        assert [value for _, value in points(floor)][-1] == 806.0
    finally:
        database.close()


async def test_late_values_belong_to_the_run_that_was_active_then(floor: QualityFloor) -> None:
    """And nobody's where none was: the shop's clock says when runs were open."""
    run = floor.opens(BEND)
    floor.says("brake-1", act.RunCompleted(run, (BEND,)))
    query = select(run_table.c.opened, run_table.c.ended)
    opened, ended = floor.database.write(lambda tx: tx.execute(query).one()).result()
    for moment, value in ((opened - 1, 799.0), (ended, 800.0), (ended + 1, 801.0)):
        kept = SamplesLedgered("machining", [LOAD], [moment], [value], [0], historical=True)
        await charted(floor, kept)
    assert points(floor) == [("force", 800.0)]


async def test_a_run_that_begins_is_heard_of(floor: QualityFloor) -> None:
    hub = Hub()
    service = QualityService(floor.database, hub, Clock(), SITE)
    async with asyncio.TaskGroup() as tasks, hub.subscribe({QualityChanged}) as changes:
        task = tasks.create_task(service.run())
        while not hub.wanted(SamplesLedgered):  # noqa: ASYNC110 - the service subscribes when it is ready
            await asyncio.sleep(0.001)
        floor.opens(BEND)
        hub.publish(ActionsLedgered("machining", [act.Action("x", 1, "brake-1", "op", act.ShiftNote("."))]))
        hub.publish(samples(803.0))
        async with asyncio.timeout(10):
            await changes.get_all()
        task.cancel()
    assert points(floor) == [("force", 803.0)]
