"""How steps follow each other, what they take beside a workcell, and when material comes."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud.orders import journal, tables
from cloud.orders.articles import import_products, load_products
from cloud.orders.products import Product
from cloud.orders.rebuild import rebuild
from cloud.orders.requests import ImpossibleOrder, OrderChange, OrderRequest
from cloud.orders.routing import Link, configure, route
from cloud.store.database import Database
from protocols import actions as act
from protocols.actions import RunPart
from protocols.documents import DocumentError, loads
from protocols.site import Site
from tests.cloud.orders.shop import NOW_US, SECOND, Floor, open_database, order, order_desk, site_text

D = Decimal
FRAME = """
id: frame
title: Frame
operations:
  - {id: cut, title: Cut, kind: laser, seconds_per_piece: 60}
  - {id: bend, title: Bend, kind: brake, seconds_per_piece: 60, after: [cut], overlap: 3}
  - {id: weld, title: Weld, kind: weld, seconds_per_piece: 60, after: [bend], wait: {at_most: 1800},
     needs: {fixture: 1}}
  - {id: coat, title: Coat, kind: coat, seconds_per_run: 600, after: [weld]}
  - {id: fit, title: Fit, kind: assembly, seconds_per_piece: 9000, after: [cut, coat], interruptible: true,
     wait: {at_least: 7200, after: [coat]}}
"""
SHARED = "tools: {fixture: {title: Fixture, count: 2}}\ncrew: {welding: {title: Welders, heads: 1}}\n"


def frame(text: str = FRAME) -> Product:
    return loads(text, Product, "frame.yaml")


def shop(more: str = "", calendar: str = "{}") -> Site:
    return loads(site_text(calendar) + SHARED + more, Site, "site.yaml")


def mistakes(text: str) -> dict[str, str]:
    with pytest.raises(DocumentError) as refused:
        frame(text)
    assert all(problem.line > 1 for problem in refused.value.problems)
    return {problem.path: problem.message for problem in refused.value.problems}


def test_links_are_those_of_the_file() -> None:
    product = frame()
    routed = {step.step_id: step for step in route(product, configure(product, {}))}
    assert {name: step.links for name, step in routed.items()} == {
        "cut": {},
        "bend": {"cut": Link(pieces=3)},
        "weld": {"bend": Link(at_most=1800)},
        "coat": {},
        "fit": {"coat": Link(at_least=7200)},
    }
    assert [name for name, step in routed.items() if step.interruptible] == ["fit"]
    assert routed["weld"].needs == {"fixture": 1}


def test_what_no_step_can_do_stands_at_its_place() -> None:
    assert mistakes(
        FRAME.replace("kind: laser,", "kind: laser, overlap: 2, wait: {at_least: 5},")
        .replace("{at_most: 1800}", "{at_most: 1800, at_least: 3600}")
        .replace("after: [coat]}", "after: [coat, weld]}")
    ) == {
        "operations.0.wait": "there is no step before it: say after which it comes",
        "operations.0.overlap": "there is no step before it: say after which it comes",
        "operations.2.wait.at_most": "1800 is less than at_least 3600",
        "operations.4.wait.after.1": '"weld" is not one of cut, coat',
    }
    assert mistakes(
        FRAME.replace("{at_least: 7200, after: [coat]}", "{at_most: 7200, after: [cut]}").replace(
            "overlap: 3", "overlap: 3, interruptible: true, wait: {at_least: 60}"
        )
    ) == {
        "operations.4.wait.at_most": '"coat" lies between "cut" and this: let it wait for that one alone',
    } | {"operations.1.overlap": "it cannot start before the step before ends and wait after it"}
    assert mistakes(
        FRAME.replace("seconds_per_piece: 60}", "seconds_per_piece: 60, interruptible: true}", 1)
    ) == {"operations.1.overlap": '"cut" is interruptible: pieces cannot be counted on while it rests'}
    assert "must be at least 1" in mistakes(FRAME.replace("overlap: 3", "overlap: 0"))["operations.1.overlap"]


def test_what_the_site_has_not_is_told_with_the_files(tmp_path: Path) -> None:
    (tmp_path / "frame.yaml").write_text(
        FRAME.replace("{fixture: 1}", "{fixture: 3, fixtur: 1}").replace("1800", "30")
    )
    lines = site_text().splitlines()
    lines = [f"products: [{tmp_path / 'frame.yaml'}]" if "products:" in line else line for line in lines]
    site = loads("\n".join(lines) + "\n" + SHARED, Site, "site.yaml")
    with pytest.raises(DocumentError) as refused:
        load_products(tmp_path / "site.yaml", site)
    found = {problem.path: problem.message for problem in refused.value.problems}
    assert found == {
        "operations.2.needs.fixture": "3 are needed, and the site never has more than 2",
        "operations.2.needs.fixtur": 'the site does not know it: "fixtur" is not one of welding, fixture '
        "— did you mean fixture?",
        "operations.2.wait.at_most": '30 s, and the shortest way from "bend" takes 60',
    }


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with the frame."""
    opened = open_database(f"sqlite:///{tmp_path / 'orders.db'}")
    opened.write(lambda tx: import_products(tx, [frame()], NOW_US)).result()
    yield opened
    opened.close()


def frames(quantity: int = 4, **line: Any) -> OrderRequest:
    whole = order(("frame", quantity, {})).model_dump(mode="json")
    whole["lines"][0] |= line
    return OrderRequest.model_validate(whole)


def place(database: Database, request: OrderRequest, site: Site | None = None) -> str:
    desk = order_desk(f"desk-{request.lines[0].material_at}", site=site or shop())
    return database.write(partial(desk.create, request=request)).result()


def links(database: Database, operation: str) -> Any:
    with database.read() as tx:
        at = tables.operation.c
        return tx.execute(select(at.links).where(at.id == operation)).scalar_one()


def test_links_of_an_order_name_its_operations(database: Database) -> None:
    place(database, frames())
    assert links(database, "26-0001-1-10") == {}
    assert links(database, "26-0001-1-20") == {"26-0001-1-10": {"pieces": 3}}
    assert links(database, "26-0001-1-50") == {"26-0001-1-40": {"at_least": 7200}}
    with database.read() as tx:
        at = tables.operation.c
        rows = tx.execute(select(at.step_id, at.interruptible, at.needs).order_by(at.position)).all()
    assert [(name, bool(rests), needs) for name, rests, needs in rows][2:] == [
        ("weld", False, {"fixture": 1}),
        ("coat", False, {}),
        ("fit", True, {}),
    ]


def test_what_is_done_again_follows_in_the_same_way(database: Database) -> None:
    """Rework must dry as the first did; a remake waits for its own steps, not for those of the first job."""
    place(database, frames())
    floor = Floor(database)

    def make(cell: str, name: str, **counts: int) -> None:
        booked: Any = {key: D(value) for key, value in counts.items()}
        floor.says(
            cell,
            act.RunOpened(f"run-{name}", (RunPart(name, D(4)),)),
            act.Booked(f"run-{name}", name, **booked),
            act.RunCompleted(f"run-{name}", (name,)),
        )

    for cell, number in (("laser-1", 10), ("brake-1", 20), ("weld-1", 30)):
        make(cell, f"26-0001-1-{number}", good=4)
    make("coat-1", "26-0001-1-40", good=2, rework=1, scrap=1)
    assert links(database, "26-0001-1-40w1") == {}
    assert links(database, "26-0001-1-50") == {
        "26-0001-1-40": {"at_least": 7200},
        "26-0001-1-40w1": {"at_least": 7200},
    }
    assert links(database, "26-0001-1-r1-20") == {"26-0001-1-r1-10": {"pieces": 3}}
    assert links(database, "26-0001-1-r1-50") == {"26-0001-1-r1-40": {"at_least": 7200}}


def test_overlapping_work_begins_once_enough_pieces_are_done(database: Database) -> None:
    """Two of three are too few: that it began all the same is for a person to look at. Three are enough."""

    def inbox() -> list[tuple[str, str, str]]:
        at = tables.exception_inbox.c
        with database.read() as tx:
            return [tuple(row) for row in tx.execute(select(at.kind, at.concerns, at.state))]

    place(database, frames())
    place(database, frames(4, material_at="2026-11-23T08:00:00Z"))
    floor = Floor(database)
    for first, second, good, told in (
        ("26-0001-1-10", "26-0001-1-20", 3, []),
        ("26-0002-1-10", "26-0002-1-20", 2, [("predecessor", "26-0002-1-10", "open")]),
    ):
        floor.says("laser-1", act.RunOpened(f"run-{first}", (RunPart(first, D(4)),)))
        floor.says("laser-1", act.Booked(f"run-{first}", first, good=D(good)))
        floor.says("brake-1", act.RunOpened(f"run-{second}", (RunPart(second, D(4)),)))
        assert inbox() == told


def test_material_comes_with_the_line_and_may_come_later(database: Database, tmp_path: Path) -> None:
    def material(of: Database) -> list[tuple[str, int | None]]:
        with of.read() as tx:
            rows = tx.execute(select(tables.job.c.id, tables.job.c.material_at).order_by(tables.job.c.id))
            return [
                (row.id, row.material_at and (row.material_at - NOW_US) // (3600 * SECOND)) for row in rows
            ]

    first = place(database, frames(material_at="2026-11-24T08:00:00Z"))
    place(database, frames())
    assert material(database) == [("26-0001-1", 24), ("26-0002-1", None)]
    later = OrderChange.model_validate({"material_at": "2026-11-24T11:00:00+01:00"})
    database.write(lambda tx: order_desk("later").change(tx, first, later)).result()
    assert material(database) == [("26-0001-1", 26), ("26-0002-1", None)]

    with database.read() as tx:
        entries = [*journal.entries(tx)]
    again = open_database(f"sqlite:///{tmp_path / 'again.db'}")
    try:
        again.write(lambda tx: import_products(tx, [frame()], NOW_US)).result()
        again.write(lambda tx: rebuild(tx, entries)).result()
        assert material(again) == material(database)
    finally:
        again.close()


def test_a_step_that_may_rest_need_not_end_within_a_shift(database: Database) -> None:
    short = "{shifts: [{name: a, days: [1, 2, 3, 4, 5], start: '08:00', end: '10:00'}]}"
    place(database, frames(1), shop(calendar=short))
    rigid = frame(FRAME.replace("interruptible: true,", ""))
    database.write(lambda tx: import_products(tx, [rigid], NOW_US)).result()
    with pytest.raises(ImpossibleOrder, match="Fit of 1 takes 150 min, and nobody works longer than 120"):
        place(database, frames(1, material_at="2026-11-24T08:00:00Z"), shop(calendar=short))


def test_an_order_needs_what_the_site_has(database: Database) -> None:
    bare = loads(site_text(), Site, "site.yaml")
    with pytest.raises(ImpossibleOrder, match='frame needs 1 of "fixture", the site has 0'):
        place(database, frames(), bare)
