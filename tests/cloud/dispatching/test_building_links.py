"""Waits, overlaps, rests, tools, crews and pins: from files and decisions into the problem."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cloud.dispatching import decisions
from cloud.dispatching.building import build, plannable, unplannable
from cloud.dispatching.decisions import Decision, Kind
from cloud.dispatching.floor import read_floor
from cloud.dispatching.problem import Operation, Pin, Problem, State
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.validation import check
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
    four: Any = 4
    two: Any = 2
    opened = act.RunOpened("r1", (RunPart(CUT, four),))
    floor.says("laser-1", opened, act.Booked("r1", CUT, good=two))
    in_hand = work(problem_of(database, now=NOW_US + HOUR))
    assert (in_hand[CUT].state, in_hand[CUT].quantity, in_hand[BEND].overlaps) == (State.FIXED, 4, {CUT: 3})
    floor.says("laser-1", act.RunCompleted("r1", ()))
    put_down = work(problem_of(database, now=NOW_US + HOUR))
    assert (put_down[CUT].state, put_down[CUT].quantity, put_down[BEND].overlaps) == (State.FREE, 2, {CUT: 1})


def finish(floor: Floor, *steps: tuple[str, str]) -> int:
    """These are done; returns when the last one ended."""
    four: Any = 4
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
    four: Any = 4
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
