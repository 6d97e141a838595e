"""Dispatching as edges live it: job lists, leases, releases, and a plan that follows the floor."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import insert, select, update

from cloud.dispatching.floor import decisions
from cloud.dispatching.floor.decisions import Decision, Kind
from cloud.dispatching.floor.floor import current_version, read_plan
from cloud.dispatching.keeping import plans
from cloud.dispatching.keeping.making import Making, Situation
from cloud.dispatching.keeping.proposal import elsewhere
from cloud.dispatching.keeping.service import DispatchService
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.solving.construct import construct
from cloud.dispatching.tables import plan, plan_service
from cloud.hub import ActionsLedgered, CaseChanged, Hub, OrdersChanged, PlanPublished, StatesLedgered
from cloud.ledger.tables import device
from cloud.maintenance.cases import Case, advance, open_case
from cloud.orders import tables
from cloud.orders.requests import OrderChange
from cloud.store.database import Database
from protocols import actions as act
from protocols.actions import RunPart
from protocols.clock import Clock
from protocols.documents import loads
from protocols.jobs import JobList, ReleaseRequest, decode_jobs, encode
from protocols.lifecycles import CaseEvent, CaseState
from protocols.site import Site
from protocols.states import JobsApplied
from tests.cloud.orders.shop import EDGE_OF, SECOND, Floor, open_database, order, order_desk, site_text

D = Decimal
QUICK = DispatchSettings(
    solve_seconds=0, debounce_seconds=0.01, look_seconds=0.05, ahead=2, ask_again_seconds=0.2
)
SITE = loads(
    site_text().replace(
        "workcells: [laser-1, laser-2, brake-1, weld-1], devices: []",
        "workcells: [laser-1, laser-2, brake-1, weld-1], devices: "
        "[{id: laser-1, asset: 00000000-0000-4000-8000-000000000099, profile: a/b, "
        "url: 'modbus://127.0.0.1:502', workcells: [laser-1]}]",
    ),
    Site,
    "site.yaml",
)


class Edges:
    """The edges behind the publisher: what they were sent, what they say, and whether they listen."""

    def __init__(self, database: Database, hub: Hub, clock: Clock) -> None:
        self.database = database
        self.hub = hub
        self.clock = clock
        self.floor = Floor(database, clock.now(), 1)
        self.lists: dict[str, JobList] = {}
        self.requests: list[tuple[str, ReleaseRequest]] = []
        self.withdrawn: list[str] = []
        self.confirms = True

    def publish_jobs(self, job_list: JobList) -> None:
        received = decode_jobs(encode(job_list))
        assert received.version > getattr(self.lists.get(job_list.edge), "version", 0)
        self.lists[job_list.edge] = received
        if self.confirms:
            self.confirm(job_list.edge)

    def confirm(self, edge: str) -> None:
        """The edge says that it has its newest list on disk."""
        events = [JobsApplied(0, self.lists[edge].version)]
        self.database.write(
            lambda tx: self.floor.effects.states(tx, edge, list(events), 1)
        ).add_done_callback(lambda _: self.hub.publish(StatesLedgered(edge, list(events))))

    def request_release(self, edge: str, request: ReleaseRequest) -> None:
        self.requests.append((edge, request))

    def withdraw(self, edge: str, request: str) -> None:
        self.withdrawn.append(request)

    def says(self, workcell: str, *events: act.Event) -> None:
        self.floor.start = self.clock.now()
        actions = self.floor.says(workcell, *events)
        self.hub.publish(ActionsLedgered(EDGE_OF[workcell], actions))

    def known_finished(self) -> list[str]:
        """Predecessors that the lists say are finished."""
        operations = [o for jobs in self.lists.values() for o in jobs.operations]
        return [before.operation for o in operations for before in o.predecessors if before.finished]

    def queue(self, workcell: str) -> list[str]:
        """What the station sees."""
        jobs = self.lists.get(EDGE_OF[workcell])
        return [o.id for o in jobs.operations if o.workcell == workcell] if jobs else []


class Shop:
    """Database, hub, edges and the service."""

    def __init__(self, database: Database, settings: DispatchSettings) -> None:
        self.database = database
        self.hub = Hub()
        self.ahead = 0
        """By how many ns the wall clock is ahead of this machine's."""
        self.clock = Clock(wall_ns=lambda: time.time_ns() + self.ahead)
        self.edges = Edges(database, self.hub, self.clock)
        self.desk = order_desk("shop", SITE, self.clock)
        numbers = count(1)
        self.service = DispatchService(
            database, self.hub, self.edges, SITE, self.clock, settings, new_id=lambda: f"n{next(numbers)}"
        )

    def order(self, *lines: tuple[str, int, dict[str, object]], days: float = 3650, **fields: object) -> str:
        request = order(*lines, days=days, **fields)
        order_id = self.database.write(lambda tx: self.desk.create(tx, request)).result()
        self.hub.publish(OrdersChanged())
        return order_id

    def device(self, item_state: str) -> None:
        """The machine of laser-1 changes its state."""
        now = self.clock.now()
        row = {
            "id": "laser-1",
            "edge": "machining",
            "connected": True,
            "connected_since": 1,
            "heartbeat": now,
            "last_read": now,
            "detail": "",
            "state_since": now,
            "item_state": item_state,
            "mode": "processing",
            "state_detail": "fault",
        }

        def work(tx: object) -> None:
            if tx.execute(select(device.c.id)).first() is None:  # type: ignore[attr-defined]
                tx.execute(insert(device).values(row))  # type: ignore[attr-defined]
            else:
                tx.execute(update(device).values(row))  # type: ignore[attr-defined]

        self.database.write(work).result()

    def causes(self) -> list[str]:
        """Kinds of causes of all plans, in order."""
        with self.database.read() as tx:
            rows = tx.execute(select(plan.c.causes).order_by(plan.c.version)).scalars()
            return [cause["kind"] for causes in rows for cause in causes]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.service.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'orders.db'}")
    yield opened
    opened.close()


async def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is so; ``seconds`` only end a test that would hang."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


def state_of(database: Database, operation: str) -> tuple[str, bool] | None:
    """Workcell and confirmation of a lease."""
    with database.read() as tx:
        row = tx.execute(select(tables.lease).where(tables.lease.c.operation_id == operation)).first()
        return None if row is None else (row.workcell, bool(row.confirmed))


async def test_an_order_reaches_the_stations_with_instructions(database: Database) -> None:
    shop = Shop(database, QUICK)
    async with shop.hub.subscribe({PlanPublished}) as published, shop.running():
        shop.order(("cabinet", 1, {"width": 612}))
        await until(lambda: shop.edges.queue("pack-1"))
        assert (await published.get_all())[0] == PlanPublished(1)
        cut = shop.edges.lists["machining"].operations[0]
        assert cut.workcell in ("laser-1", "laser-2")
        assert cut.program == "CAB-612x1800x400.lcc"
        assert cut.steps[1].text.zh.startswith("程序 CAB-612x1800x400")
        assert (cut.state, cut.setup_seconds, cut.run_seconds) == ("leased", 240, 420)
        bend = next(o for o in shop.edges.lists["machining"].operations if o.workcell == "brake-1")
        assert bend.predecessors[0].workcell == cut.workcell
        assert bend.predecessors[0].edge == "machining"
        assert bend.predecessors[0].finished is False
        assert bend.planned_start >= cut.planned_end
        await until(lambda: state_of(database, cut.id) == (cut.workcell, True))
    with database.read() as tx:
        stored = plans.stored(tx)
        assert stored is not None
        assert stored.causes[0].kind == "order"
        assert "order" in stored.causes[0].text
        explained = plans.explanation(tx, bend.id)
        assert explained is not None
        assert "waits for" in explained.text


async def test_only_the_next_few_go_out_and_more_as_work_is_done(database: Database) -> None:
    shop = Shop(database, QUICK)
    async with shop.running():
        for _ in range(5):
            shop.order(("door", 1, {}))
        await until(lambda: len(shop.edges.queue("brake-1")) == 2)
        with database.read() as tx:
            leased = tx.execute(select(tables.lease)).all()
        assert len(leased) < 20
        station = "laser-1" if shop.edges.queue("laser-1") else "laser-2"
        first = shop.edges.queue(station)
        parts = tuple(RunPart(name, D(1)) for name in first)
        shop.edges.says(station, act.RunOpened("r1", parts))
        booked = [act.Booked("r1", name, good=D(1)) for name in first]
        shop.edges.says(station, *booked, act.RunCompleted("r1", tuple(first)))
        await until(lambda: not set(first) & set(shop.edges.queue(station)))
        await until(shop.edges.known_finished)
        assert set(shop.edges.known_finished()) <= set(first)


async def test_a_plan_found_late_is_fitted_to_what_edges_took_up_meanwhile(database: Database) -> None:
    shop = Shop(database, QUICK)
    shop.order(("cabinet", 1, {}), ("door", 2, {}))
    service = shop.service
    look = await service._look()
    problem = service.problem(Situation(look.floor, look.wishes))
    making = Making(look, (), 0.0, 0)
    first = construct(problem)
    await service._put_in_force(problem, first, making)
    with database.read() as tx:
        held = next(row for row in tx.execute(select(tables.lease)) if row.workcell.startswith("laser"))
    other = "laser-2" if held.workcell == "laser-1" else "laser-1"
    moved = {
        name: replace(a, machine=other) if a.machine == held.workcell else a
        for name, a in first.assignments.items()
    }
    late = replace(first, assignments=moved, objective=replace(first.objective, total=0))
    with database.read() as tx:
        assert held.operation_id in elsewhere(service._floor(tx), late)
        assert elsewhere(service._floor(tx), first) == []
    await service._put_in_force(problem, late, making)
    with database.read() as tx:
        stored = plans.stored(tx)
        assert stored is not None
        assert stored.version == 1  # nothing is left of it once what is held stays


async def test_nothing_leaves_a_station_before_its_edge_gave_it_back(database: Database) -> None:
    shop = Shop(database, QUICK)
    edges = shop.edges
    async with shop.running():
        shop.order(("cabinet", 1, {}))
        await until(lambda: edges.queue("laser-1") or edges.queue("laser-2"))
        if edges.queue("laser-2"):
            pytest.skip("planned on laser-2, whose machine this test cannot stop")
        cut = edges.queue("laser-1")[0]
        await until(lambda: state_of(database, cut) == ("laser-1", True))
        shop.device("out_of_service")
        await until(lambda: edges.requests)
        edge, request = edges.requests[0]
        assert (edge, request.operations) == ("machining", (cut,))
        assert "laser-1 is down (fault)" in request.reason
        await asyncio.sleep(0.2)
        assert edges.queue("laser-1") + edges.queue("laser-2") == [], "nobody's while nobody answered"
        assert state_of(database, cut) == ("laser-1", True)
        assert len(edges.requests) == 1, "asked once: the publisher repeats it"
        edges.confirms = False
        edges.says("laser-1", act.LeaseReleased(request.request, (cut,)))
        await until(lambda: edges.queue("laser-2") == [cut])
        assert edges.queue("laser-1") == []
        assert state_of(database, cut) == ("laser-2", False), "perhaps held, until the edge confirms"
        edges.confirm("machining")
        await until(lambda: state_of(database, cut) == ("laser-2", True))
        assert {"down", "released"} <= set(shop.causes())
        shop.device("not_executing")
        await until(lambda: "up" in shop.causes())


async def test_an_edge_that_keeps_its_work_keeps_it(database: Database) -> None:
    shop = Shop(database, QUICK.model_copy(update={"ask_again_seconds": 3600.0}))
    edges = shop.edges
    async with shop.running():
        shop.order(("cabinet", 1, {}))
        await until(lambda: edges.queue("laser-1"))
        cut = edges.queue("laser-1")[0]
        shop.device("out_of_service")
        await until(lambda: edges.requests)
        edges.says("laser-1", act.LeaseKept(edges.requests[0][1].request, (cut,)))
        await until(lambda: edges.queue("laser-1") == [cut])
        assert len(edges.requests) == 1
        shop.ahead += 3601 * 10**9
        await until(lambda: len(edges.requests) > 1)
        assert await shop.service.override_lease(cut, "supervisor-1")
        assert not await shop.service.override_lease("nothing", "supervisor-1")
        await until(lambda: edges.queue("laser-2") == [cut])
        assert edges.withdrawn
    with database.read() as tx:
        rows = tx.execute(select(tables.action.c.type, tables.action.c.actor)).all()
        assert ("lease.override", "supervisor-1") in [tuple(row) for row in rows]


async def test_cancelled_orders_leave_the_lists_and_late_work_is_planned_anew(database: Database) -> None:
    shop = Shop(database, QUICK)
    async with shop.running():
        order_id = shop.order(("cabinet", 1, {}))
        await until(lambda: shop.edges.queue("pack-1"))
        database.write(lambda tx: shop.desk.cancel(tx, order_id)).result()
        shop.hub.publish(OrdersChanged())
        await until(lambda: not shop.edges.queue("pack-1"))
        await until(lambda: shop.causes()[-1] == "cancelled")
        with database.read() as tx:
            assert tx.execute(select(tables.lease)).all() == []


async def test_another_due_date_is_planned_for_and_told_to_the_stations(database: Database) -> None:
    shop = Shop(database, QUICK)
    async with shop.running():
        order_id = shop.order(("cabinet", 1, {}), days=3650)
        await until(lambda: shop.edges.queue("pack-1"))
        sooner = OrderChange(due=datetime.now(UTC) + timedelta(days=30), priority=4)
        database.write(lambda tx: shop.desk.change(tx, order_id, sooner)).result()
        shop.hub.publish(OrdersChanged())
        await until(lambda: shop.causes()[-1] == "promise")
        with database.read() as tx:
            due = tx.execute(select(tables.orders.c.due)).scalar_one()
        await until(lambda: {o.due for o in shop.edges.lists["finishing"].operations} == {due})
        look = await shop.service._look()
        assert "promise" not in {cause.kind for cause in look.causes}  # it is in force: no more of it


async def test_a_planned_stop_and_late_material_are_planned_for_once(database: Database) -> None:
    """Decided, planned and in force: no more of it until it is taken back."""
    shop = Shop(database, QUICK)
    async with shop.running():
        order_id = shop.order(("cabinet", 1, {}), days=3650)
        await until(lambda: shop.edges.queue("brake-1"))
        now = shop.clock.now()
        until_then = now + 3600 * SECOND
        stop = Decision(kind=Kind.CLOSED, workcell="brake-1", start=now, end=until_then, reason="cleaning")
        made = database.write(lambda tx: decisions.add(tx, stop, "sup-1", now, SITE)).result()
        await until(lambda: shop.causes()[-1] == "closed")
        with database.read() as tx:
            planned = read_plan(tx, current_version(tx))
        assert planned[f"{order_id}-1-20"].start >= until_then - SECOND
        assert "closed" not in {cause.kind for cause in (await shop.service._look()).causes}
        database.write(lambda tx: decisions.revoke(tx, made, "sup-1", now)).result()
        await until(lambda: shop.causes()[-2:] == ["closed", "closed"])
        material = OrderChange(material_at=datetime.now(UTC) + timedelta(hours=2))
        database.write(lambda tx: shop.desk.change(tx, order_id, material)).result()
        shop.hub.publish(OrdersChanged())
        await until(lambda: shop.causes()[-1] == "material")
        assert not (await shop.service._look()).causes


async def test_a_restart_sends_again_what_was_not_confirmed(database: Database) -> None:
    shop = Shop(database, QUICK)
    shop.edges.confirms = False
    async with shop.running():
        shop.order(("cabinet", 1, {}))
        await until(lambda: shop.edges.queue("pack-1"))
    again = Shop(database, QUICK)
    async with again.running():
        await until(lambda: set(again.edges.lists) == {"machining", "finishing"})
        before = again.edges.lists["machining"]
        assert before.version >= shop.edges.lists["machining"].version
        await again.service.resend("nobody")
        await again.service.resend("machining")
        after = again.edges.lists["machining"]
        assert (after.version > before.version, after.operations) == (True, before.operations)


async def test_leases_move_on_postgresql_too(postgres_url: str) -> None:
    database = open_database(postgres_url)
    try:
        await test_nothing_leaves_a_station_before_its_edge_gave_it_back(database)
    finally:
        database.close()


async def test_the_real_solver_improves_the_plan_and_a_rush_order_ends_its_search(database: Database) -> None:
    settings = QUICK.model_copy(update={"solve_seconds": 30.0, "workers": 2})
    shop = Shop(database, settings)
    async with shop.running():
        for number in range(6):
            shop.order(("cabinet", 2, {"colour": ("RAL 5010", "RAL 3000")[number % 2]}))
        await until(lambda: shop.edges.queue("pack-1"))
        await until(lambda: shop.service.planning)
        soon = datetime.now(UTC) + timedelta(minutes=30)
        shop.order(("door", 1, {}), id="rush", priority=10, due=soon.isoformat())
        await until(
            lambda: any(
                n.startswith("rush") for n in shop.edges.queue("laser-1") + shop.edges.queue("laser-2")
            )
        )
    with database.read() as tx:
        assert plans.count(tx) >= 2
        stored = plans.stored(tx)
        assert stored is not None
        assert stored.note == ""


async def test_a_planned_case_gets_its_window(database: Database) -> None:
    shop = Shop(database, QUICK)
    case = Case(
        "case-1", "asset", "laser-1", "wear", CaseState.OPEN, 1, 1, 50.0, "vibration rises", evidence=()
    )
    database.write(lambda tx: open_case(tx, case)).result()
    async with shop.running():
        shop.order(("cabinet", 1, {}))
        await until(lambda: shop.edges.queue("pack-1"))
        now = shop.clock.now()
        database.write(lambda tx: advance(tx, "case-1", CaseEvent.PLAN, now, "ann")).result()
        shop.hub.publish(CaseChanged("case-1"))
        await until(lambda: "maintenance" in shop.causes())
    with database.read() as tx:
        row = tx.execute(select(plan_service).order_by(plan_service.c.version.desc())).first()
        assert row is not None
        assert (row.service_id, row.workcell, row.end - row.start) == ("case-1", "laser-1", 3600 * SECOND)
        stored = plans.stored(tx)
        assert stored is not None
        assert stored.causes[0].text == "maintenance of laser-1: vibration rises"
