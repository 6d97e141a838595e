"""Waits, overlaps, rests, tools, crews and pins: from files and decisions into the problem."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cloud.dispatching.floor import decisions
from cloud.dispatching.floor.building import build
from cloud.dispatching.floor.decisions import Decision, Kind
from cloud.dispatching.floor.floor import read_floor
from cloud.dispatching.floor.plannable import plannable, unplannable
from cloud.dispatching.keeping.joblists import Rendering
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.shop.problem import Operation, Pin, Problem, State
from cloud.dispatching.shop.validation import check
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct
from cloud.orders import leases
from cloud.orders.articles import import_products
from cloud.orders.products import Product
from cloud.orders.requests import OrderRequest
from cloud.store.database import Database
from protocols import actions as act
from protocols.actions import RunPart
from protocols.documents import loads
from protocols.site import Site
from tests.cloud.orders.shop import NOW_US, SECOND, Floor, open_database, order, order_desk, site_text

D = Decimal
SETTINGS = DispatchSettings()
HOUR = 3600 * SECOND
FRAME = """
id: frame
title: Frame
operations:
  - {id: cut, title: Cut, kind: laser, seconds_per_piece: 60}
  - {id: bend, title: Bend, kind: brake, seconds_per_piece: 60, after: [cut], overlap: 3}
  - {id: weld, title: Weld, kind: weld, seconds_per_piece: 60, after: [bend], wait: {at_most: 1800},
     needs: {fixture: 1}}
  - {id: coat, title: Coat, kind: coat, seconds_per_run: 600, after: [weld]}
  - {id: fit, title: Fit, kind: assembly, seconds_per_piece: 1800, after: [coat], interruptible: true,
     wait: {at_least: 7200}}
"""
CUT, BEND, WELD, COAT, FIT = (f"26-0001-1-{number}" for number in (10, 20, 30, 40, 50))
SHIFTS = (
    "{timezone: UTC, shifts: [{name: day, days: [1, 2, 3, 4, 5], start: '06:00', end: '14:00', "
    "breaks: [{start: '09:00', end: '09:30'}]}]}"
)


def shop_site(calendar: str = "{}", shared: str = "", cells: str = "") -> Site:
    text = site_text(calendar).replace("kind: weld}", f"kind: weld{cells}}}")
    tools = (
        shared
        or "tools: {fixture: {title: Fixture, count: 2}}\ncrew: {welding: {title: Welders, heads: 1}}\n"
    )
    return loads(text + tools, Site, "site.yaml")


SITE = shop_site(cells=", needs: {welding: 1}")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """One order of four frames."""
    opened = open_database(f"sqlite:///{tmp_path / 'orders.db'}")
    product = loads(FRAME, Product, "frame.yaml")
    opened.write(lambda tx: import_products(tx, [product], NOW_US)).result()
    place(opened)
    yield opened
    opened.close()


def place(database: Database, name: str = "first", **line: Any) -> None:
    whole = order(("frame", 4, {})).model_dump(mode="json")
    whole["lines"][0] |= line
    request = OrderRequest.model_validate(whole)
    database.write(partial(order_desk(name, site=SITE).create, request=request)).result()


def problem_of(database: Database, site: Site = SITE, now: int = NOW_US) -> Problem:
    with database.read() as tx:
        built = build(read_floor(tx, site, now, SETTINGS.repair_seconds), site, SETTINGS)
    check(built)
    return built


def planned(database: Database, site: Site = SITE, now: int = NOW_US) -> dict[str, tuple[float, float]]:
    """Start and end of everything, in hours from now, by the dispatch rules; the plan keeps every rule."""
    problem = problem_of(database, site, now)
    schedule = construct(problem)
    assert violations(problem, schedule) == []
    here = problem.now
    return {
        name: ((a.start - here) / 3600, (a.end - here) / 3600) for name, a in schedule.assignments.items()
    }


def work(problem: Problem) -> dict[str, Operation]:
    return {operation.id: operation for operation in problem.operations}


def test_waits_overlaps_rests_and_needs(database: Database) -> None:
    problem = problem_of(database)
    by_id = work(problem)
    assert (by_id[BEND].overlaps, by_id[BEND].quantity) == ({CUT: 3}, 4)
    assert (by_id[WELD].max_lags, by_id[WELD].lags) == ({BEND: 1800}, {})
    assert (by_id[FIT].lags, by_id[FIT].max_lags) == ({COAT: 7200}, {})
    assert [name for name, operation in by_id.items() if operation.interruptible] == [FIT]
    assert by_id[WELD].alternatives[0].needs == {"welding": 1, "fixture": 1}
    assert by_id[CUT].alternatives[0].needs == {}
    assert {resource.id: resource.capacity for resource in problem.resources} == {"welding": 1, "fixture": 2}
    assert problem.vehicles is None


def test_a_way_that_takes_longer_than_the_wait_may_is_no_reason_to_plan_nothing(database: Database) -> None:
    """The product was checked against another site file."""
    far = SITE.model_copy(update={"transport": SITE.transport.model_copy(update={"default": 3600})})
    assert work(problem_of(database, far))[WELD].max_lags == {BEND: 3600}


def test_pieces_that_are_made_count(database: Database) -> None:
    floor = Floor(database)
    four, two = D(4), D(2)
    opened = act.RunOpened("r1", (RunPart(CUT, four),))
    floor.says("laser-1", opened, act.Booked("r1", CUT, good=two))
    in_hand = work(problem_of(database, now=NOW_US + HOUR))
    assert (in_hand[CUT].state, in_hand[CUT].quantity, in_hand[BEND].overlaps) == (State.FIXED, 4, {CUT: 3})
    floor.says("laser-1", act.RunCompleted("r1", ()))
    put_down = work(problem_of(database, now=NOW_US + HOUR))
    assert (put_down[CUT].state, put_down[CUT].quantity, put_down[BEND].overlaps) == (State.FREE, 2, {CUT: 1})


def test_stations_hear_when_enough_pieces_are_done(database: Database) -> None:
    """Bending may begin with three of four pieces cut, welding waits for all of them."""

    def open_for(name: str) -> list[bool]:
        with database.read() as tx:
            floor = read_floor(tx, SITE, NOW_US + HOUR, SETTINGS.repair_seconds)
            shown = Rendering(tx, floor, SITE, {name}).operation(name, "brake-1", 1)
        return [before.finished for before in shown.predecessors]

    four, two, one = D(4), D(2), D(1)
    floor = Floor(database)
    floor.says("laser-1", act.RunOpened("r1", (RunPart(CUT, four),)), act.Booked("r1", CUT, good=two))
    assert open_for(BEND) == [False]
    floor.says("laser-1", act.Booked("r1", CUT, good=one))
    assert open_for(BEND) == [True]
    floor.says("brake-1", act.RunOpened("r2", (RunPart(BEND, four),)), act.Booked("r2", BEND, good=two))
    assert open_for(WELD) == [False]


def test_stations_hear_when_paint_is_dry(database: Database) -> None:
    floor = Floor(database)
    coated = finish(floor, ("laser-1", CUT), ("brake-1", BEND), ("weld-1", WELD), ("coat-1", COAT))

    def told(now: int) -> tuple[bool, int, int]:
        with database.read() as tx:
            at = read_floor(tx, SITE, now, SETTINGS.repair_seconds)
            (before,) = Rendering(tx, at, SITE, {FIT}).operation(FIT, "asm-1", 1).predecessors
        return before.finished, before.lag, (before.fit_at - coated) // SECOND

    assert told(coated + 7199 * SECOND) == (False, 7200, 7200)
    assert told(coated + 7200 * SECOND) == (True, 7200, 7200)


def finish(floor: Floor, *steps: tuple[str, str]) -> int:
    """These are done; returns when the last one ended."""
    four = D(4)
    ts = 0
    for cell, name in steps:
        run = f"run-{name}"
        said = floor.says(
            cell,
            act.RunOpened(run, (RunPart(name, four),)),
            act.Booked(run, name, good=four),
            act.RunCompleted(run, (name,)),
        )
        ts = said[-1].ts
    return ts


def test_after_what_is_finished_paint_dries_on_and_welding_is_in_a_hurry(database: Database) -> None:
    floor = Floor(database)
    ended = finish(floor, ("laser-1", CUT), ("brake-1", BEND))
    problem = problem_of(database, now=ended + SECOND)
    welding = work(problem)[WELD]
    assert problem.utc(welding.earliest) == ended + 60 * SECOND
    assert welding.pin == Pin(start=welding.earliest)
    ended = finish(floor, ("weld-1", WELD), ("coat-1", COAT))
    problem = problem_of(database, now=ended + SECOND)
    fitting = work(problem)[FIT]
    assert problem.utc(fitting.earliest) == ended + (7200 + 60) * SECOND
    assert fitting.pin is None


def test_work_in_hand_rests_over_the_break(database: Database) -> None:
    """Begun at 08:00, two hours of work end at 10:30: it rests from 09:00 to 09:30."""
    floor = Floor(database, start=NOW_US - 13 * SECOND, step=SECOND)
    finish(floor, ("laser-1", CUT), ("brake-1", BEND), ("weld-1", WELD), ("coat-1", COAT))
    four = D(4)
    floor.says("asm-1", act.RunOpened("fit", (RunPart(FIT, four),)))
    assert work(problem_of(database, now=NOW_US))[FIT].remaining == 7200
    site = shop_site(SHIFTS)
    assert work(problem_of(database, site, NOW_US))[FIT].remaining == 7200 + 1800


def test_material_that_is_still_to_come(database: Database) -> None:
    place(database, "second", material_at="2026-11-24T08:00:00Z")
    by_id = work(problem_of(database))
    assert by_id["26-0002-1-10"].earliest - by_id[CUT].earliest == 24 * 3600
    assert by_id["26-0002-1-20"].earliest == by_id[BEND].earliest


def decide(database: Database, **fields: Any) -> None:
    decision = Decision(kind=Kind.PIN, **fields)
    database.write(lambda tx: decisions.add(tx, decision, "sup-1", NOW_US, SITE)).result()


def test_pins_bind_what_is_free(database: Database) -> None:
    decide(database, operation=CUT, workcell="laser-2", start=NOW_US + HOUR)
    decide(database, operation=WELD, start=NOW_US + 2 * HOUR)
    problem = problem_of(database)
    by_id = work(problem)
    start = problem.seconds(NOW_US + HOUR)
    assert by_id[CUT].pin == Pin(machine="laser-2", start=start, by="sup-1")
    assert by_id[WELD].pin == Pin(start=start + 3600, by="sup-1")
    later = work(problem_of(database, now=NOW_US + 90 * 60 * SECOND))
    assert later[CUT].pin == Pin(machine="laser-2", by="sup-1"), "its time has passed, its place holds"


def test_what_people_decide_is_what_is_planned(database: Database) -> None:
    """A closed brake, a welder who is absent and a pinned coat; each is the earliest that it allows."""
    site = shop_site(cells=", needs: {welding: 1}")
    first = planned(database, site)
    assert first[BEND][0] < 1 and first[WELD][0] < 1

    def until(hours: float, kind: Kind, **fields: Any) -> None:
        decision = Decision(kind=kind, start=NOW_US, end=NOW_US + round(hours * HOUR), **fields)
        database.write(lambda tx: decisions.add(tx, decision, "sup-1", NOW_US, site)).result()

    until(1, Kind.CLOSED, workcell="brake-1")
    assert planned(database, site)[BEND][0] == 1
    until(4, Kind.HEADS, skill="welding", heads=-1)
    late = planned(database, site)
    assert late[WELD][0] == 4
    assert late[WELD][0] - late[BEND][1] <= 0.5, (
        "bending waits, or welding could not follow within half an hour"
    )
    decide(database, operation=COAT, start=NOW_US + 6 * HOUR)
    assert planned(database, site)[COAT][0] == 6


def test_work_that_may_rest_rests_over_the_night_unless_there_is_overtime(database: Database) -> None:
    site = shop_site(SHIFTS.replace("14:00", "12:00"))
    start, end = planned(database, site)[FIT]
    assert start < 4 < end
    assert end - start == pytest.approx(2 + 18)
    overtime = Decision(kind=Kind.OVERTIME, workcell="asm-1", start=NOW_US + 4 * HOUR, end=NOW_US + 6 * HOUR)
    database.write(lambda tx: decisions.add(tx, overtime, "sup-1", NOW_US, site)).result()
    assert planned(database, site)[FIT] == pytest.approx((start, start + 2))


def test_leased_work_keeps_its_place_and_waits_for_its_time(database: Database) -> None:
    decide(database, operation=CUT, start=NOW_US + HOUR)
    database.write(lambda tx: leases.offer(tx, "machining", 7, [(CUT, "laser-1", "")], NOW_US)).result()
    problem = problem_of(database)
    cut = work(problem)[CUT]
    assert (cut.state, cut.machine, cut.pin) == (State.LEASED, "laser-1", None)
    assert cut.start == problem.seconds(NOW_US + HOUR)


def test_a_pin_to_a_workcell_that_the_site_has_no_more_is_no_reason_to_plan_nothing(
    database: Database,
) -> None:
    decide(database, operation=CUT, workcell="laser-2")
    text = site_text().replace("laser-2", "laser-9") + "tools: {fixture: {title: Fixture, count: 2}}\n"
    problem = problem_of(database, loads(text, Site, "site.yaml"))
    assert work(problem)[CUT].pin is None


def test_what_nobody_can_do_any_more_is_left_out_and_told(database: Database) -> None:
    bare = loads(site_text(), Site, "site.yaml")
    short = shop_site("{shifts: [{name: a, days: [1], start: '08:00', end: '08:03'}]}")
    for site, told in (
        (bare, {WELD: 'needs 1 of "fixture", of which the site has 0'}),
        (
            short,
            {
                CUT: "takes 4 min, and nobody works longer than 3 without a rest",
                BEND: "takes 4 min, and nobody works longer than 3 without a rest",
                WELD: "takes 4 min, and nobody works longer than 3 without a rest",
                COAT: "takes 10 min, and nobody works longer than 3 without a rest",
            },
        ),
    ):
        with database.read() as tx:
            floor = read_floor(tx, site, NOW_US, SETTINGS.repair_seconds)
        assert unplannable(floor, site) == told
        assert {o.id for o in plannable(floor, site)} == {CUT, BEND} - told.keys()


def test_what_is_mended_first_lies_between(database: Database) -> None:
    """A piece is to be bent anew: welding follows that, not within half an hour of the first bending."""
    floor = Floor(database)
    finish(floor, ("laser-1", CUT))
    mended, good = D(1), D(3)
    floor.says(
        "brake-1",
        act.RunOpened("r2", (RunPart(BEND, D(4)),)),
        act.Booked("r2", BEND, good=good, rework=mended),
        act.RunCompleted("r2", (BEND,)),
    )
    rework = f"{BEND}w1"
    welding = work(problem_of(database, now=NOW_US + HOUR))[WELD]
    assert (welding.predecessors, welding.max_lags) == ((rework,), {rework: 1800})
    floor.says("brake-1", act.RunReopened("r2"), act.RunCompleted("r2", ()))
    both = work(problem_of(database, now=NOW_US + HOUR))
    assert BEND in both, "taken up again"
    for name in both[WELD].predecessors:
        between = any(name in both[other].predecessors for other in both[WELD].predecessors)
        assert (name in both[WELD].max_lags) is not between


PRIMES, TOPS = {"26-0002-1-10", "26-0002-2-10"}, {"26-0002-1-30", "26-0002-2-20"}


@pytest.mark.parametrize(("most", "runs"), [(900, [PRIMES, TOPS]), (300, [])])
def test_runs_are_not_made_where_a_wait_would_be_too_long(
    database: Database, most: int, runs: list[set[str]]
) -> None:
    """Two coats. Where the second must follow at once, it shares no oven with what is rubbed down between."""
    paint = loads(
        """
id: paint
title: Paint
operations:
  - {id: prime, title: Prime, kind: coat, seconds_per_run: 600}
  - {id: rub, title: Rub, kind: assembly, seconds_per_piece: 400, after: [prime]}
  - {id: top, title: Top, kind: coat, seconds_per_run: 600, after: [rub]}
""",
        Product,
        "paint.yaml",
    )
    quick = f"""
id: quick
title: Quick
operations:
  - {{id: prime, title: Prime, kind: coat, seconds_per_run: 600}}
  - {{id: top, title: Top, kind: coat, seconds_per_run: 600, after: [prime], wait: {{at_most: {most}}}}}
"""
    database.write(
        lambda tx: import_products(tx, [paint, loads(quick, Product, "quick.yaml")], NOW_US)
    ).result()
    database.write(partial(order_desk("cancel", site=SITE).cancel, order_id="26-0001")).result()
    request = order(("paint", 1, {}), ("quick", 1, {}))
    database.write(partial(order_desk("paint", site=SITE).create, request=request)).result()
    problem = problem_of(database)
    assert work(problem)["26-0002-2-20"].max_lags == {"26-0002-2-10": most}
    assert [set(run.operations) for run in problem.runs] == runs
