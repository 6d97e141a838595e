"""From a measurement that holds to the job list that says so, and from the disposition to the free one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from cloud.dispatching.floor.building import build
from cloud.dispatching.floor.floor import Floor, read_floor
from cloud.dispatching.keeping import joblists, plans
from cloud.dispatching.keeping.causes import causes
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.shop.problem import Problem, State
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct
from cloud.hub import QualityChanged
from cloud.orders import leases
from cloud.orders.articles import import_products
from cloud.quality import nonconformances
from cloud.quality.effects import QualityEffects
from cloud.store.database import Database
from protocols import actions as act
from protocols.inspection import Disposition
from protocols.jobs import JobList, JobOperation
from protocols.lifecycles import NonconformanceEvent
from tests.cloud.dispatching.keeping.test_service import Shop, until
from tests.cloud.orders.shop import NOW_US, SITE, open_database, order, order_desk, shop_products
from tests.cloud.quality.shop import bracket

SETTINGS = DispatchSettings(solve_seconds=0)
"""As the service runs, but for the search."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'quality.db'}")
    opened.write(lambda tx: import_products(tx, [*shop_products(), bracket()], NOW_US)).result()
    yield opened
    opened.close()


def listed(shop: Shop, workcell: str) -> JobOperation | None:
    """The operation of a station as its edge has it."""
    jobs = shop.edges.lists.get("machining")
    return next((o for o in jobs.operations if o.workcell == workcell), None) if jobs else None


def held(shop: Shop) -> bool:
    weld = listed(shop, "weld-1")
    return weld is not None and bool(weld.held)


async def test_a_hold_reaches_the_next_station_and_so_does_its_release(database: Database) -> None:
    shop = Shop(database, SETTINGS)
    shop.edges.floor.effects = _Both(shop)  # type: ignore[assignment]
    async with shop.running():
        shop.order(("bracket", 4, {}))
        await until(lambda: listed(shop, "weld-1") is not None)
        bend = listed(shop, "brake-1")
        assert bend is not None
        assert [each.name for each in bend.inspection] == ["flange", "leg", "force"]
        assert not held(shop)

        shop.edges.says("brake-1", act.StepDone("r", bend.id, 1, "25.42", ok=False))
        # With the settings of a real service: looked at within a second, then sent. Two are promised.
        await until(lambda: held(shop), seconds=10)
        weld, bend = listed(shop, "weld-1"), listed(shop, "brake-1")
        assert weld is not None
        assert bend is not None
        assert weld.held[0].en == "Flange 25.42 mm: above the tolerance"
        assert weld.held[0].zh == "折边 25.42 mm：超出公差上限"
        assert [each.en for each in bend.notices] == ["Flange: above the tolerance"]
        assert bend.held == ()

        def decide(tx: Connection) -> None:
            nonconformances.advance(
                tx,
                1,
                NonconformanceEvent.DISPOSE,
                actor="sup-1",
                now=NOW_US,
                reason="fits all the same",
                command="decide-1",
                disposition=Disposition.USE_AS_IS,
            )

        await database.run(decide)
        shop.hub.publish(QualityChanged(1))
        await until(lambda: not held(shop), seconds=10)


def reported(database: Database, operation: str) -> None:
    """Somebody saw at an operation what does not conform."""

    def work(tx: Connection) -> None:
        nonconformances.open_one(
            tx,
            source=f"report-{operation}",
            operation_id=operation,
            workcell="brake-1",
            text=("cracked", "开裂"),
            actor="sup-1",
            now=NOW_US,
        )

    database.write(work).result()


def floor_of(database: Database, now: int = NOW_US) -> Floor:
    with database.read() as tx:
        return read_floor(tx, SITE, now, SETTINGS.repair_seconds)


def two_brackets(database: Database) -> tuple[str, str]:
    """Two orders of a bracket; their welding operations."""
    desk = order_desk()
    for name in ("a-1", "a-2"):
        request = order(("bracket", 4, {}), id=name)
        database.write(lambda tx, wanted=request: desk.create(tx, wanted, "office")).result()  # type: ignore[misc]
    return "a-1-1-30", "a-2-1-30"


def put_in_force(database: Database, floor: Floor) -> Problem:
    problem = build(floor, SITE, SETTINGS)
    schedule = construct(problem)
    assert violations(problem, schedule) == []
    held = {o.id for o in floor.operations if o.held is not None}

    def work(tx: Connection) -> None:
        plans.store(tx, problem, schedule, causes=(), down=(), seconds=0.0, now=NOW_US, keep=10, held=held)

    database.write(work).result()
    return problem


def test_a_lot_on_hold_is_planned_late_and_goes_out_nowhere(database: Database) -> None:
    mine, other = two_brackets(database)
    put_in_force(database, floor_of(database))
    assert mine in _near(floor_of(database))
    reported(database, "a-1-1-20")
    floor = floor_of(database)
    told = causes(floor, SITE, SETTINGS, planned_down=(), wishes=(), planned_wishes=())
    assert {(cause.kind, cause.about) for cause in told} == {("hold", "a-1-1")}
    problem = put_in_force(database, floor)
    later = {o.id: problem.utc(o.earliest) - NOW_US for o in problem.operations}
    assert later[mine] >= SETTINGS.hold_seconds * 1_000_000 > later[other]
    assert later["a-1-1-20"] == later["a-2-1-20"]  # what was found at it does not hold itself
    floor = floor_of(database)
    assert floor.planned[mine].held
    assert mine not in _near(floor)
    assert other in _near(floor)
    assert not causes(floor, SITE, SETTINGS, planned_down=(), wishes=(), planned_wishes=())

    _use_as_is(database)
    floor = floor_of(database)
    told = causes(floor, SITE, SETTINGS, planned_down=(), wishes=(), planned_wishes=())
    assert {(cause.kind, cause.about) for cause in told} == {("disposed", "a-1-1")}
    problem = put_in_force(database, floor)
    assert mine in _near(floor_of(database))


def test_what_a_station_has_already_stays_there_and_lets_others_pass(database: Database) -> None:
    mine, other = two_brackets(database)
    put_in_force(database, floor_of(database))
    with database.read() as tx:
        version = joblists.newest(tx, "machining")
    assert version is None

    def hand_out(tx: Connection) -> JobList:
        (jobs, *_) = joblists.issue(tx, read_floor(tx, SITE, NOW_US, 60), SITE, 6, NOW_US)
        leases.confirm(tx, jobs.edge, jobs.version, NOW_US)
        return jobs

    jobs = database.write(hand_out).result()
    assert {mine, other} <= {o.id for o in jobs.operations}
    reported(database, "a-1-1-20")
    problem = build(floor_of(database), SITE, SETTINGS)
    states = {o.id: o.state for o in problem.operations}
    assert (states[mine], states[other]) == (State.FREE, State.LEASED)
    plan = construct(problem)
    assert violations(problem, plan) == []
    assert plan.assignments[other].end <= plan.assignments[mine].start
    with database.read() as tx:
        draft = joblists.drafts(tx, floor_of(database), SITE, 6)[0]
    shown = {o.id: [why.en for why in o.held] for o in draft.operations}
    assert (shown[mine], shown[other]) == (["cracked"], [])


def test_a_decision_that_takes_long_is_expected_later_and_later(database: Database) -> None:
    mine, _ = two_brackets(database)
    reported(database, "a-1-1-20")
    for hours in (0, 3, 10, 100):
        now = NOW_US + hours * 3_600_000_000
        problem = build(floor_of(database, now), SITE, SETTINGS)
        earliest = next(o.earliest for o in problem.operations if o.id == mine)
        assert problem.utc(earliest) - now >= SETTINGS.hold_seconds * 1_000_000 // 4


def _near(floor: Floor) -> set[str]:
    """What goes out to stations."""
    queues = joblists.chosen(floor, tuple(SITE.workcells()), 6)
    return {name for queue in queues.values() for name in queue}


def _use_as_is(database: Database) -> None:
    def work(tx: Connection) -> None:
        nonconformances.advance(
            tx,
            1,
            NonconformanceEvent.DISPOSE,
            actor="sup-1",
            now=NOW_US,
            reason="fits",
            command="decide-1",
            disposition=Disposition.USE_AS_IS,
        )

    database.write(work).result()


class _Both:
    """Effects on orders and on quality, as the ledger has them."""

    def __init__(self, shop: Shop) -> None:
        self.orders = shop.edges.floor.effects
        self.quality = QualityEffects(shop.hub)

    def actions(self, tx: Connection, edge: str, actions: list[act.Action], received: int) -> None:
        self.orders.actions(tx, edge, actions, received)
        self.quality.actions(tx, edge, actions, received)

    def states(self, tx: Connection, edge: str, events: list[object], received: int) -> None:
        self.orders.states(tx, edge, events, received)  # type: ignore[arg-type]
