"""From the floor in the database to the planner's problem, and what is asked back from edges."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import insert

from cloud.dispatching.floor.building import Wish, build
from cloud.dispatching.floor.floor import Floor, read_floor
from cloud.dispatching.floor.plannable import unplannable
from cloud.dispatching.keeping import plans
from cloud.dispatching.keeping.causes import causes
from cloud.dispatching.keeping.releases import wanted
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.shop.problem import Costs, Problem, Run, State
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct
from cloud.ledger.tables import device
from cloud.orders import leases
from cloud.store.database import Database
from protocols import actions as act
from protocols.actions import RunPart
from protocols.documents import DocumentError, loads
from protocols.site import Site
from tests.cloud.orders.shop import NOW_US, SECOND, SITE, open_database, order, order_desk, site_text
from tests.cloud.orders.shop import Floor as Shopfloor

SETTINGS = DispatchSettings()
D = Decimal


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'orders.db'}")
    yield opened
    opened.close()


def place(database: Database, *colours: str, product: str = "cabinet", days: float = 3) -> None:
    """One order of one piece for each colour."""
    desk = order_desk(f"desk-{colours}-{days}")
    for colour in colours:
        request = order((product, 1, {"colour": colour}), days=days)
        database.write(partial(desk.create, request=request)).result()


def floor_of(database: Database, now: int = NOW_US, site: Site = SITE) -> Floor:
    with database.read() as tx:
        return read_floor(tx, site, now, SETTINGS.repair_seconds)


def plan(database: Database, now: int = NOW_US, site: Site = SITE) -> Problem:
    """Plan by rules and put the plan in force."""
    problem = build(floor_of(database, now, site), site, SETTINGS)
    schedule = construct(problem)
    assert violations(problem, schedule) == []
    database.write(
        lambda tx: plans.store(tx, problem, schedule, causes=[], down=[], seconds=0.0, now=now, keep=100)
    ).result()
    return problem


def test_routing_alternatives_due_dates_transport_and_changeovers(database: Database) -> None:
    place(database, "RAL 5010")
    problem = build(floor_of(database), SITE, SETTINGS)
    by_id = {o.id: o for o in problem.operations}
    cut, bend, coat = (by_id[f"26-0001-1-{n}"] for n in (10, 20, 40))
    assert [a.machine for a in cut.alternatives] == ["laser-1", "laser-2"]
    assert (cut.alternatives[0].setup_seconds, cut.alternatives[0].run_seconds) == (240, 420)
    assert bend.predecessors == (cut.id,)
    assert coat.setup == {"colour": "RAL 5010"}
    assert coat.alternatives[0].run_seconds == 1860
    assert problem.utc(cut.due or 0) == NOW_US + 3 * 86_400 * SECOND
    machines = {m.id: m for m in problem.machines}
    assert machines["coat-1"].changeover({"colour": "a"}, {"colour": "b"}) == 900
    assert problem.travel()["laser-1", "brake-1"] == 20
    assert problem.travel()["laser-2", "brake-1"] == 60


def test_batches_by_colour_and_nests_by_material(database: Database) -> None:
    place(database, "RAL 5010", "RAL 3000", "RAL 5010", "RAL 3000", "RAL 5010", "RAL 5010")
    problem = build(floor_of(database), SITE, SETTINGS)
    runs: dict[str, list[Run]] = {run.alternatives[0].machine: [] for run in problem.runs}
    for run in problem.runs:
        runs[run.alternatives[0].machine].append(run)
    assert sorted(len(run.operations) for run in runs["coat-1"]) == [2, 3]
    for run in runs["coat-1"]:
        assert run.alternatives[0].run_seconds == 1860
    assert sorted(len(run.operations) for run in runs["laser-1"]) == [2, 4]
    nest = max(runs["laser-1"], key=lambda run: len(run.operations))
    assert (nest.alternatives[0].run_seconds, nest.alternatives[0].setup_seconds) == (4 * 420, 240)


def test_work_in_hand_is_fixed_and_what_an_edge_holds_is_leased(database: Database) -> None:
    place(database, "RAL 5010", "RAL 5010", "RAL 3000")
    plan(database)
    shop = Shopfloor(database)
    parts = (RunPart("26-0001-1-10", D(1)), RunPart("26-0002-1-10", D(1)))
    opened = shop.says("laser-2", act.RunOpened("r1", parts))[0]
    database.write(
        lambda tx: leases.offer(tx, "machining", 7, [("26-0003-1-10", "laser-1", "")], NOW_US)
    ).result()
    now = opened.ts + 100 * SECOND
    problem = build(floor_of(database, now), SITE, SETTINGS)
    by_id = {o.id: o for o in problem.operations}
    fixed = by_id["26-0001-1-10"]
    assert (fixed.state, fixed.machine, problem.utc(fixed.start or 0)) == (State.FIXED, "laser-2", opened.ts)
    assert fixed.remaining == 240 + 2 * 420 - 100
    assert {"26-0001-1-10", "26-0002-1-10"} in [set(run.operations) for run in problem.runs]
    held = by_id["26-0003-1-10"]
    assert (held.state, held.machine) == (State.LEASED, "laser-1")
    assert next(m for m in problem.machines if m.id == "laser-2").setup == {"material": "DC01-1.5"}
    schedule = construct(problem)
    assert violations(problem, schedule) == []
    assert schedule.assignments["26-0003-1-10"].machine == "laser-1"


def test_half_done_work_takes_half_and_finished_work_is_on_its_way(database: Database) -> None:
    desk = order_desk()
    database.write(lambda tx: desk.create(tx, order(("cabinet", 4, {})))).result()
    shop = Shopfloor(database)
    cut = "26-0001-1-10"
    shop.says("laser-2", act.RunOpened("r1", (RunPart(cut, D(4)),)), act.Booked("r1", cut, good=D(2)))
    problem = build(floor_of(database, NOW_US + 10**9), SITE, SETTINGS)
    assert problem.operations[0].remaining == 2 * 420
    shop.says("laser-2", act.RunCompleted("r1", ()))
    problem = build(floor_of(database, NOW_US + 10**9), SITE, SETTINGS)
    assert problem.operations[0].state is State.FREE
    assert problem.operations[0].alternatives[0].run_seconds == 2 * 420
    shop.says("laser-1", act.RunOpened("r2", (RunPart(cut, D(2)),)), act.Booked("r2", cut, good=D(2)))
    done = shop.says("laser-1", act.RunCompleted("r2", (cut,)))[0]
    problem = build(floor_of(database, done.ts), SITE, SETTINGS)
    bend = problem.operations[0]
    assert (bend.id, bend.predecessors) == ("26-0001-1-20", ())
    assert problem.utc(bend.earliest) == done.ts + 20 * SECOND


def down(database: Database, name: str, since: int = NOW_US) -> None:
    """A device of this name says it is out of service."""
    row = {
        "id": name,
        "edge": "machining",
        "connected": True,
        "connected_since": 1,
        "heartbeat": since,
        "last_read": since,
        "detail": "",
        "state_since": since,
        "item_state": "out_of_service",
        "mode": "processing",
        "state_detail": "fault",
    }
    database.write(lambda tx: tx.execute(insert(device).values(row))).result()


WITH_DEVICE = loads(
    site_text().replace(
        "workcells: [laser-1, laser-2, brake-1, weld-1], devices: []",
        "workcells: [laser-1, laser-2, brake-1, weld-1], devices: "
        "[{id: m1, asset: 00000000-0000-4000-8000-000000000099, profile: a/b, "
        "url: 'modbus://127.0.0.1:502', workcells: [laser-1]}]",
    ),
    Site,
    "site.yaml",
)


def test_a_machine_that_is_down_is_avoided_and_its_leases_are_asked_back(database: Database) -> None:
    place(database, "RAL 5010")
    plan(database)
    cut = "26-0001-1-10"
    database.write(lambda tx: leases.offer(tx, "machining", 7, [(cut, "laser-1", "")], NOW_US)).result()
    assert wanted(floor_of(database, site=WITH_DEVICE), WITH_DEVICE, {"machining"}, ()) == []
    down(database, "m1")
    floor = floor_of(database, site=WITH_DEVICE)
    assert [
        c.text for c in causes(floor, WITH_DEVICE, SETTINGS, planned_down=(), wishes=(), planned_wishes=())
    ] == ["laser-1 is down: fault"]
    asked = wanted(floor, WITH_DEVICE, {"machining"}, ())
    assert [(w.edge, w.operations, w.reason) for w in asked] == [
        ("machining", (cut,), "laser-1 is down (fault), laser-2 could do it")
    ]
    assert wanted(floor, WITH_DEVICE, {"machining"}, {cut}) == []
    problem = build(floor, WITH_DEVICE, SETTINGS)
    assert construct(problem).assignments[cut].start >= 900, "leased: it waits for the repair"
    database.write(
        lambda tx: leases.answered(tx, "machining", "q1", [cut], released=True, now=NOW_US + 1)
    ).result()
    floor = floor_of(database, site=WITH_DEVICE)
    assert "released" in {
        c.kind
        for c in causes(floor, WITH_DEVICE, SETTINGS, planned_down={"laser-1"}, wishes=(), planned_wishes=())
    }
    problem = build(floor, WITH_DEVICE, SETTINGS)
    assert construct(problem).assignments[cut].machine == "laser-2"


def test_shifts_are_kept_and_maintenance_is_placed(database: Database) -> None:
    place(database, "RAL 5010")
    site = loads(
        site_text("{timezone: UTC, shifts: [{name: day, days: [1,2,3,4,5], start: '06:00', end: '09:00'}]}"),
        Site,
        "site.yaml",
    )
    wish = Wish("case-1", "laser-1", 1800, NOW_US + 2 * 86_400 * SECOND, "lens")
    problem = build(floor_of(database), site, SETTINGS, [wish])
    schedule = construct(problem)
    assert violations(problem, schedule) == []
    hours = {(problem.utc(a.start) // (3600 * SECOND)) % 24 for a in schedule.assignments.values()}
    assert hours <= {6, 7, 8}
    assert schedule.services["case-1"].machine == "laser-1"


def test_work_no_workcell_can_do_is_left_out_with_what_follows(database: Database) -> None:
    place(database, "RAL 5010")
    site = loads(site_text().replace("kind: weld}", "kind: glue}"), Site, "site.yaml")
    floor = floor_of(database, site=site)
    assert unplannable(floor, site) == {
        "26-0001-1-30": 'needs a workcell of kind "weld", which the site has no more'
    }
    problem = build(floor, site, SETTINGS)
    assert [o.id for o in problem.operations] == ["26-0001-1-10", "26-0001-1-20"]
    plan(database, site=site)
    none = {"planned_down": (), "wishes": (), "planned_wishes": ()}
    assert causes(floor_of(database, site=site), site, SETTINGS, **none) == [], "or planning never ends"


def test_lateness_and_cancellation_are_causes_only_against_the_plan(database: Database) -> None:
    place(database, "RAL 5010")
    none = {"planned_down": (), "wishes": (), "planned_wishes": ()}
    assert [c.kind for c in causes(floor_of(database), SITE, SETTINGS, **none)] == ["order"] * 1
    plan(database)
    assert causes(floor_of(database), SITE, SETTINGS, **none) == []
    late = floor_of(database, NOW_US + 400 * SECOND)
    assert [(c.kind, c.about) for c in causes(late, SITE, SETTINGS, **none)] == [("waits", "26-0001-1-10")]
    desk = order_desk("cancel")
    database.write(lambda tx: desk.cancel(tx, "26-0001")).result()
    found = causes(floor_of(database), SITE, SETTINGS, **none)
    assert {c.kind for c in found} == {"cancelled"}


def test_rates_of_the_site_file_come_with_the_problem(database: Database) -> None:
    text = site_text().replace("kind: weld}", "kind: weld, cost_per_hour: 61.5}")
    text += "costs: {currency: CNY, overtime_percent: 50}\n"
    text += "crew: {welding: {title: Welders, heads: 2, cost_per_hour: 45}}\n"
    problem = build(floor_of(database), loads(text, Site, "site.yaml"), SETTINGS)
    hourly = {machine.id: machine.cost_per_hour for machine in problem.machines}
    assert (hourly["weld-1"], hourly["laser-1"]) == (Decimal("61.5"), None)
    assert [resource.cost_per_hour for resource in problem.resources] == [Decimal(45)]
    assert problem.costs == Costs(currency="CNY", overtime_percent=Decimal(50))


@pytest.mark.parametrize(
    ("costs", "wrong"),
    [
        ("{currency: yuan}", "costs.currency"),
        ("{currency: CNY, late_per_hour: -1}", "costs.late_per_hour"),
        ("{currency: CNY, overtime: 50}", "overtime_percent"),
    ],
)
def test_wrong_rates_are_refused_where_they_stand(costs: str, wrong: str) -> None:
    with pytest.raises(DocumentError, match=wrong):
        loads(site_text() + f"costs: {costs}\n", Site, "site.yaml")
