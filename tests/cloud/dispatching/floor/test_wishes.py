"""Maintenance orders in the plan: never past their bound when that can be, kept where a person fixed them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import Connection

from cloud.dispatching.floor.building import Wish, build
from cloud.dispatching.floor.floor import read_floor
from cloud.dispatching.floor.wishes import planned_cases
from cloud.dispatching.keeping.maintenance_orders import orders
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.service_explanation import ServiceCause, explain_service
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct
from cloud.maintenance import cases
from cloud.maintenance.case import Case, Step
from cloud.maintenance.work_order import BoundFrom, WorkOrder
from cloud.orders.controls import ControlEffects
from cloud.store.database import Database
from protocols.actions import Action, LockReleased, MachineLocked
from protocols.documents import loads
from protocols.lifecycles import CaseEvent, CaseState
from protocols.site import Site
from tests.cloud.orders.shop import NOW_US, SECOND, open_database, order, order_desk, site_text

SETTINGS = DispatchSettings()
HOUR = 3600 * SECOND
SITE = loads(
    site_text().replace(
        "workcells: [laser-1, laser-2, brake-1, weld-1], devices: []",
        "workcells: [laser-1, laser-2, brake-1, weld-1], devices: [{id: laser-m, asset: "
        "00000000-0000-4000-8000-000000000091, profile: a/b, url: 'modbus://127.0.0.1:5021', "
        "workcells: [laser-1]}]",
    )
    + "crew: {fitter: {title: Fitter, title_zh: 钳工, heads: 2}}\n"
    + "maintenance: {rules: [{kind: laser, mode: wear, title: Change the lens, title_zh: 更换镜片, "
    "needs: {fitter: 1}, parts: [lens], steps: [{text: Isolate it, text_zh: 断能}]}]}\n",
    Site,
    "site.yaml",
)
CASE = Case("c1", "a1", "laser-m", "wear", CaseState.OPEN, NOW_US, NOW_US, 40.0, "power sinks", ())
ORDER = WorkOrder("laser-1", 3600, NOW_US, NOW_US + 24 * HOUR, BoundFrom.RUL)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'orders.db'}")
    yield opened
    opened.close()


def planned(database: Database, *orders: WorkOrder) -> None:
    """A case with its order, as it was changed one after the other."""
    events = [CaseEvent.PLAN, *[CaseEvent.KEEP] * (len(orders) - 1)]
    database.write(lambda tx: cases.open_case(tx, CASE)).result()
    for event, wanted in zip(events, orders, strict=True):
        step = Step(event, "ann", NOW_US, order=wanted)
        database.write(lambda tx, s=step: cases.step(tx, "c1", s)).result()  # type: ignore[misc]


def wishes(database: Database, now: int = NOW_US) -> list[Wish]:
    with database.read() as tx:
        return [*planned_cases(SITE, SETTINGS)(tx, now)]


def test_the_order_of_a_case_is_what_the_planner_is_asked_for(database: Database) -> None:
    planned(database, replace(ORDER, weight=3, earliest=NOW_US + HOUR), replace(ORDER, revision=1))
    (wish,) = wishes(database)
    assert (wish.seconds, wish.finish_before, wish.key) == (3600, ORDER.bound, "c1#1")


def test_a_fixed_order_takes_its_time_from_the_machine(database: Database) -> None:
    planned(database, ORDER, ORDER.kept_at(NOW_US + 2 * HOUR))
    made = order_desk("desk")
    database.write(lambda tx: made.create(tx, order(("cabinet", 20, {})))).result()
    with database.read() as tx:
        floor = read_floor(tx, SITE, NOW_US, SETTINGS.repair_seconds)
    problem = build(floor, SITE, SETTINGS, wishes(database))
    assert problem.maintenance == ()
    schedule = construct(problem)
    assert violations(problem, schedule) == []
    start, end = problem.seconds(NOW_US + 2 * HOUR), problem.seconds(NOW_US + 3 * HOUR)
    for work in schedule.assignments.values():
        if work.machine == "laser-1":
            assert work.end <= start or work.start >= end
    late = build(floor, SITE, SETTINGS, [replace(wishes(database)[0], fixed=NOW_US - 2 * HOUR)])
    assert not any("maintenance" in w.reason for m in late.machines for w in m.unavailable)


@settings(max_examples=40, deadline=None)
@given(st.integers(-48, 96), st.integers(-24, 96), st.integers(60, 6 * 3600))
def test_the_bound_moves_only_when_it_cannot_be_met(
    bound_hours: int, earliest_hours: int, seconds: int
) -> None:
    """And then by whole spans; what the planner places ends before what it was asked for."""
    wanted = replace(
        ORDER, bound=NOW_US + bound_hours * HOUR, earliest=NOW_US + earliest_hours * HOUR, seconds=seconds
    )
    case = replace(CASE, state=CaseState.PLANNED, order=wanted)
    wish = _wish(case)
    possible = max(NOW_US, wanted.earliest) + wanted.duration
    if wanted.bound >= possible:
        assert wish.finish_before == wanted.bound
    else:
        within = SETTINGS.service_within_seconds * SECOND
        assert wish.finish_before >= possible
        assert (wish.finish_before - wanted.bound) % within == 0
        assert wish.finish_before - within <= possible


def _wish(case: Case) -> Wish:
    source = planned_cases(SITE, SETTINGS, read=lambda _: [case])
    (wish,) = source(cast("Connection", None), NOW_US)  # nothing is read
    return wish


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 30), st.integers(600, 7200), st.integers(2, 20))
def test_it_is_placed_before_its_bound_when_it_can_be(
    tmp_path_factory: pytest.TempPathFactory, pieces: int, seconds: int, hours: int
) -> None:
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('plan') / 'orders.db'}")
    made = order_desk("desk")
    database.write(lambda tx: made.create(tx, order(("cabinet", pieces, {})))).result()
    with database.read() as tx:
        floor = read_floor(tx, SITE, NOW_US, SETTINGS.repair_seconds)
    database.close()
    wish = Wish("c1", "laser-1", seconds, NOW_US + seconds * SECOND + hours * HOUR, "lens")
    problem = build(floor, SITE, SETTINGS, [wish])
    schedule = construct(problem)
    assert violations(problem, schedule) == []
    service = schedule.services["c1"]
    assert problem.utc(service.end) <= wish.finish_before
    reason = explain_service(problem, schedule, "c1")
    assert reason.spare >= 0
    assert reason.cause is not ServiceCause.KEPT or reason.earlier > 0


def test_the_station_gets_the_order_with_its_instruction(database: Database) -> None:
    planned(database, ORDER, ORDER.kept_at(NOW_US + 2 * HOUR))
    with database.read() as tx:
        (found,) = orders(tx, SITE)[SITE.edge_of()["laser-1"]]
    assert (found.case, found.device, found.workcell, found.fixed) == ("c1", "laser-m", "laser-1", True)
    assert (found.title.zh, found.steps[0].zh, found.skills[0].zh) == ("更换镜片", "断能", "1 × 钳工")
    assert (found.start, found.end) == (NOW_US + 2 * HOUR, NOW_US + 3 * HOUR)


def test_a_machine_in_work_is_down_for_as_long_as_its_order_takes(database: Database) -> None:
    planned(database, replace(ORDER, seconds=7200))
    database.write(lambda tx: cases.step(tx, "c1", Step(CaseEvent.START, "K7", NOW_US))).result()
    locked = Action("a1", NOW_US, "laser-1", "K7", MachineLocked("laser-m", "lens"))
    released = Action("a2", NOW_US + HOUR, "laser-1", "K7", LockReleased("laser-m"))
    for action, expected in ((locked, NOW_US + 2 * HOUR), (released, None)):
        database.write(
            lambda tx, one=action: ControlEffects().actions(tx, "machining", [one], NOW_US)  # type: ignore[misc]
        ).result()
        with database.read() as tx:
            down = read_floor(tx, SITE, action.ts, SETTINGS.repair_seconds).down["laser-1"]
        if expected is not None:
            assert (down.expected, down.reason) == (expected, "locked by K7: lens")
        else:
            assert down.expected == action.ts + SETTINGS.repair_seconds * SECOND


SHARED = loads(
    site_text().replace(
        "workcells: [laser-1, laser-2, brake-1, weld-1], devices: []",
        "workcells: [laser-1, laser-2, brake-1, weld-1], devices: [{id: laser-m, asset: "
        "00000000-0000-4000-8000-000000000091, profile: a/b, url: 'modbus://127.0.0.1:5021', "
        "workcells: [laser-1, laser-2]}]",
    )
    + "crew: {fitter: {title: Fitter, title_zh: 钳工, heads: 1}}\n",
    Site,
    "site.yaml",
)
"""One chiller, say, cools both lasers."""


def made_of(database: Database, *pieces: int) -> Problem:
    """The problem of a shop with orders, with whatever is planned to be done to its machines."""
    made = order_desk("desk")
    for count in pieces:
        database.write(lambda tx, n=count: made.create(tx, order(("cabinet", n, {})))).result()  # type: ignore[misc]
    with database.read() as tx:
        floor = read_floor(tx, SHARED, NOW_US, SETTINGS.repair_seconds)
        found = [*planned_cases(SHARED, SETTINGS)(tx, NOW_US)]
    return build(floor, SHARED, SETTINGS, found)


@pytest.mark.parametrize("laser", ["laser-1", "laser-2"])
@pytest.mark.parametrize("fixed", [False, True])
def test_a_machine_at_two_workcells_stops_both(database: Database, fixed: bool, laser: str) -> None:
    """Whichever of them has the work."""
    planned(database, *((ORDER, ORDER.kept_at(NOW_US + HOUR // 2)) if fixed else (ORDER,)))
    problem = made_of(database, 200, 200)
    runs = tuple(
        replace(
            run, alternatives=tuple(a for a in run.alternatives if a.machine == laser) or run.alternatives
        )
        for run in problem.runs
    )
    schedule = construct(replace(problem, runs=runs))
    assert violations(problem, schedule) == []
    start, end = problem.seconds(NOW_US + HOUR // 2), problem.seconds(NOW_US + 3 * HOUR // 2)
    if not fixed:
        assert problem.maintenance[0].also == ("laser-2",)
        start, end = schedule.services["c1"].start, schedule.services["c1"].end
    work = [work for work in schedule.assignments.values() if work.machine == laser]
    assert work
    assert all(one.end <= start or one.start >= end for one in work)


@pytest.mark.parametrize("fixed", [False, True])
def test_who_does_it_is_reserved(database: Database, fixed: bool) -> None:
    """The one fitter cannot be at two machines: a second order that needs him waits for the first."""
    mine = replace(ORDER, skills={"fitter": 1})
    planned(database, *((mine, mine.kept_at(NOW_US)) if fixed else (mine,)))
    other = Wish("c2", "weld-1", 3600, NOW_US + 24 * HOUR, "torch", needs={"fitter": 1})
    with database.read() as tx:
        floor = read_floor(tx, SHARED, NOW_US, SETTINGS.repair_seconds)
        found = [*planned_cases(SHARED, SETTINGS)(tx, NOW_US), other]
    problem = build(floor, SHARED, SETTINGS, found)
    schedule = construct(problem)
    assert violations(problem, schedule) == []
    first = problem.seconds(NOW_US + HOUR)
    ends = {name: service.end for name, service in schedule.services.items()}
    assert sorted(ends.values()) == ([2 * first] if fixed else [first, 2 * first])


def test_in_work_it_keeps_its_fitter_for_as_long_as_it_takes(database: Database) -> None:
    planned(database, replace(ORDER, skills={"fitter": 1}, seconds=7200))
    database.write(lambda tx: cases.step(tx, "c1", Step(CaseEvent.START, "K7", NOW_US))).result()
    for now, until in ((NOW_US, 2 * HOUR), (NOW_US + 4 * HOUR, 6 * HOUR)):
        with database.read() as tx:
            (wish,) = planned_cases(SHARED, SETTINGS)(tx, now)
            floor = read_floor(tx, SHARED, now, SETTINGS.repair_seconds)
        problem = build(floor, SHARED, SETTINGS, [wish])
        (level,) = problem.resources[0].levels
        assert (level.capacity, problem.utc(level.end)) == (0, NOW_US + until)


def test_an_order_of_an_older_site_file_asks_for_no_more_than_there_is(database: Database) -> None:
    planned(database, replace(ORDER, skills={"fitter": 3, "welder": 1}))
    problem = made_of(database)
    assert [task.needs for task in problem.maintenance] == [{"fitter": 1}]
    assert "c1" in construct(problem).services
