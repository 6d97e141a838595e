"""Pieces of a virtual machine: whole ones are learned from and judged, and a piece that strays is a note."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from cloud.config import CloudConfig, load_site
from cloud.hub import Hub, QualityChanged, SamplesLedgered, StatesLedgered
from cloud.ledger.tables import tag as tag_table
from cloud.quality import part_courses
from cloud.quality.part_courses import LEARNED_FROM, Course, Deviation
from cloud.quality.part_signals import Recorder, recorders
from cloud.quality.parts_service import PartsService
from drivers.virtual.factory import CHARACTERS, MACHINE_TAGS, STEP
from drivers.virtual.physics import Machine
from protocols.states import ItemState, MachineStateChanged, OperationMode
from protocols.values import MICROSECONDS, Value
from tests.cloud.api.service import SITE as SITE_FILE
from tests.cloud.orders.shop import NOW_US, open_database
from tests.cloud.quality.shop import QualityFloor, quality_floor
from tests.cloud.quality.test_effects import BEND, told

SITE = load_site(CloudConfig(site=SITE_FILE, data=Path("unused")))
COUNT, PROGRAM, FORCE = 1, 2, 3
TAGS = {
    COUNT: ("brake-1/part_count", "part_count"),
    PROGRAM: ("brake-1/program", "program"),
    FORCE: ("brake-1/force", "force"),
}
DEADBAND = 1.0
"""kN, as the brake's profile has it."""


class Brake:
    """A virtual press brake as its edge tells it: what changed by more than the deadband."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = random.Random(seed)
        self.machine = Machine(CHARACTERS["virtual/brake"], self.rng, seconds_per_piece=12.0)
        self.now = NOW_US + 10**9
        self._told: dict[int, Value] = {}

    def work(self, pieces: int, *, program: str = "SIDE_M", stray: float = 0.0) -> SamplesLedgered:
        """Make some pieces, each with ``stray`` kN more in its second half; the batch that tells of it."""
        self.machine.press("start", program)
        self._told.pop(PROGRAM, None)  # told again now and then, though it stays
        until = self.machine.parts + pieces
        rows: list[tuple[int, int, Value]] = []
        while self.machine.parts < until:
            self.machine.advance(STEP)
            self.now += round(STEP * MICROSECONDS)
            late = self.machine._into_piece > self.machine.seconds_per_piece / 2
            force = MACHINE_TAGS["force"](self.machine, self.rng)
            assert isinstance(force, float)
            force += stray if late else 0.0
            for tag, value in ((FORCE, force), (PROGRAM, program), (COUNT, self.machine.parts)):
                before = self._told.get(tag)
                small = isinstance(before, float) and abs(force - before) < DEADBAND
                if before != value and not (tag == FORCE and small):
                    rows.append((tag, self.now, value))
                    self._told[tag] = value
        rows.sort(key=lambda row: row[0])  # as batches have them: tag by tag
        tags, times, values = (list(column) for column in zip(*rows, strict=True))
        return SamplesLedgered("machining", tags, times, values, [0] * len(rows))


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[QualityFloor]:
    database = open_database(f"sqlite:///{tmp_path / 'quality.db'}")

    def write(tx: Connection) -> None:
        for number, (path, role) in TAGS.items():
            row = {"id": number, "path": path, "type": "float", "unit": "kN", "edge": "machining"}
            row |= {"device": "brake-1", "role": role, "max_interval": 1.0, "current": True, "first_seen": 1}
            tx.execute(insert(tag_table).values(row))

    try:
        made = quality_floor(database, 400)
        database.write(write).result()
        yield made
    finally:
        database.close()


async def heard(floor: QualityFloor, *events: SamplesLedgered | StatesLedgered) -> int:
    """Run the service over what was ledgered; how often quality changed."""
    hub = Hub()
    service = PartsService(floor.database, hub, SITE)
    changed = 0
    async with hub.subscribe({QualityChanged}) as changes:
        task = asyncio.create_task(service.run())
        while not hub.wanted(SamplesLedgered):  # noqa: ASYNC110 - the service subscribes when it is ready
            await asyncio.sleep(0.001)
        for event in events:
            hub.publish(event)
        try:
            async with asyncio.timeout(1.0):
                while True:
                    changed += len(await changes.get_all())
        except TimeoutError:
            pass
        task.cancel()
        await asyncio.wait([task])
    return changed


def courses(floor: QualityFloor) -> list[Course]:
    return floor.database.write(part_courses.courses).result()


def left(floor: QualityFloor) -> list[Deviation]:
    return floor.database.write(part_courses.newest).result()


async def test_pieces_that_stray_are_notes_at_the_page_and_the_station(floor: QualityFloor) -> None:
    brake = Brake()
    floor.opens(BEND)
    good = brake.work(LEARNED_FROM + 30)
    strays = brake.work(2, stray=120.0)
    assert await heard(floor, good, strays) >= 1
    (course,) = courses(floor)
    assert (course.device, course.program, course.signal) == ("brake-1", "SIDE_M", "brake-1/force")
    assert (course.learned_from, course.version) == (LEARNED_FROM, 1)
    # The first count says only that a piece ends there: of what came before nothing is known.
    assert course.parts == 31
    found = left(floor)
    assert len(found) == course.outside
    bad = [each for each in found if "above" in each.text]
    assert len(bad) >= 2
    assert {each.operation for each in bad} == {BEND}
    assert course.outside - len(bad) <= 2  # of thirty good ones
    (notice, *_) = told(floor, BEND).notices(BEND)
    assert notice.en.startswith("brake-1/force: above from 5")
    assert "偏离标准曲线" in notice.zh
    assert told(floor, BEND).held(BEND) == ()


async def test_a_replay_and_a_restart_judge_nothing_twice_and_keep_the_envelope(floor: QualityFloor) -> None:
    brake = Brake(2)
    good, more = brake.work(LEARNED_FROM + 1), brake.work(3)
    await heard(floor, good, more)
    before = courses(floor)
    await heard(floor, good, more)
    assert courses(floor) == before
    again = brake.work(3)
    await heard(floor, more, again)  # another service, which hears from the middle on
    (course,) = courses(floor)
    assert (course.version, course.parts) == (1, before[0].parts + 3)


async def test_every_program_has_its_own_and_may_be_learned_anew(floor: QualityFloor) -> None:
    brake = Brake(3)
    batches = [brake.work(LEARNED_FROM + 2), brake.work(4, program="DOOR"), brake.work(2)]
    await heard(floor, *batches)
    by_program = {course.program: course for course in courses(floor)}
    assert by_program["SIDE_M"].version == 1
    assert (by_program["DOOR"].learning, by_program["DOOR"].learned_from) == (True, 3)
    number = by_program["SIDE_M"].id
    anew = floor.database.write(lambda tx: part_courses.learn_anew(tx, number)).result()
    assert (anew.learning, anew.parts) == (True, 0)
    await heard(floor, brake.work(LEARNED_FROM + 2))
    assert {course.program: course.version for course in courses(floor)}["SIDE_M"] == 2
    with pytest.raises(part_courses.UnknownEnvelope):
        floor.database.write(lambda tx: part_courses.learn_anew(tx, 99)).result()


def state(at: int, item_state: ItemState) -> StatesLedgered:
    return StatesLedgered(
        "machining", [MachineStateChanged(at, "brake-1", item_state, OperationMode.PROCESSING)]
    )


async def test_what_was_not_heard_whole_is_not_judged(floor: QualityFloor) -> None:
    brake = Brake(4)
    first = brake.work(LEARNED_FROM + 1)
    await heard(floor, first)
    learned = courses(floor)[0].parts
    stopped: list[SamplesLedgered | StatesLedgered] = [
        state(brake.now, ItemState.NOT_EXECUTING),
        brake.work(1),
    ]
    gap = brake.work(1)
    missing = SamplesLedgered(gap.edge, gap.tags, gap.times, gap.values, gap.qualities, follows=False)
    late = brake.work(1)
    buffered = SamplesLedgered(late.edge, late.tags, late.times, late.values, late.qualities, historical=True)
    bad = brake.work(2)
    qualities = [2 if tag == FORCE and n % 40 == 0 else 0 for n, tag in enumerate(bad.tags)]
    spoilt = SamplesLedgered(bad.edge, bad.tags, bad.times, bad.values, qualities)
    await heard(floor, *stopped, missing, buffered, spoilt)
    assert courses(floor)[0].parts == learned


def recorder() -> Recorder:
    made = recorders({number: ("brake-1", role) for number, (_, role) in TAGS.items()})
    assert len(made) == 1
    return made[0]


def test_a_counter_that_jumps_or_begins_anew_ends_no_piece() -> None:
    one = recorder()

    def piece(*, ends: Any, at: int) -> object:
        for n in range(10):
            one.sample(FORCE, at + n, 400.0 + n, good=True)
        return one.sample(COUNT, at + 10, ends, good=True)

    one.sample(PROGRAM, 0, "SIDE_M", good=True)
    assert piece(ends=4, at=0) is None  # the first number heard may be an old one
    assert piece(ends=5, at=50) is None
    assert piece(ends=6, at=100) is not None
    assert piece(ends=8, at=200) is None
    assert piece(ends=9, at=300) is not None
    assert piece(ends=0, at=400) is None
    assert piece(ends=1, at=500) is not None
    assert piece(ends="many", at=600) is None
    assert piece(ends=2, at=700) is None


def test_the_value_before_a_piece_holds_at_its_begin() -> None:
    one = recorder()
    one.sample(PROGRAM, 0, "SIDE_M", good=True)
    one.sample(COUNT, 0, 1, good=True)
    one.sample(FORCE, 500_000, 7.0, good=True)
    one.sample(COUNT, 1_000_000, 2, good=True)
    for n in range(8):
        one.sample(FORCE, 2_000_000 + n * 100_000, float(n), good=True)
    made = one.sample(COUNT, 4_000_000, 3, good=True)
    assert made is not None
    times, values = made.signals[FORCE]
    assert (times[0], values[0], times[-1], values[-1]) == (0.0, 7.0, 3.0, 7.0)


def test_machines_without_a_counter_or_a_signal_have_no_pieces() -> None:
    assert recorders({1: ("a", "part_count"), 2: ("b", "force"), 3: ("a", "temperature")}) == []
