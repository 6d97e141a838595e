"""What supervisors decide about planning: kept, journalled, refused with every reason, revoked, over."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import msgspec
import pytest

from cloud.dispatching.floor import decisions
from cloud.dispatching.floor.decisions import Decision, ImpossibleDecision, Kind, UnknownDecision
from cloud.orders import journal, leases
from cloud.orders.rebuild import rebuild
from cloud.store.database import Database
from protocols import actions as act
from protocols.actions import RunPart
from protocols.documents import loads
from protocols.site import Site
from tests.cloud.orders.shop import NOW_US, SECOND, Floor, open_database, order, order_desk, site_text

HOUR = 3600 * SECOND
SITE = loads(site_text() + "crew: {welding: {title: Welders, heads: 2}}\n", Site, "site.yaml")
CUT = "26-0001-1-10"
OVERTIME = Decision(kind=Kind.OVERTIME, start=NOW_US + HOUR, end=NOW_US + 3 * HOUR, reason="rush order")
CLOSED = Decision(kind=Kind.CLOSED, workcell="brake-1", start=NOW_US + HOUR, end=NOW_US + 2 * HOUR)
PIN = Decision(kind=Kind.PIN, operation=CUT, workcell="laser-2")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'orders.db'}")
    desk = order_desk()
    opened.write(lambda tx: desk.create(tx, order(("cabinet", 1, {})))).result()
    yield opened
    opened.close()


def add(database: Database, decision: Decision, now: int = NOW_US, actor: str = "sup-1") -> int:
    return database.write(partial(decisions.add, decision=decision, actor=actor, now=now, site=SITE)).result()


def current(database: Database, now: int = NOW_US) -> list[Decision]:
    with database.read() as tx:
        return decisions.current(tx, now)


def refused(database: Database, decision: Decision) -> list[str]:
    with pytest.raises(ImpossibleDecision) as error:
        add(database, decision)
    return [str(problem) for problem in error.value.problems]


def test_what_is_added_is_in_force_under_its_actor(database: Database) -> None:
    ids = [add(database, decision) for decision in (OVERTIME, CLOSED, PIN)]
    held = current(database)
    assert [one.id for one in held] == ids
    assert [one.kind for one in held] == [Kind.OVERTIME, Kind.CLOSED, Kind.PIN]
    assert {(one.actor, one.made) for one in held} == {("sup-1", NOW_US)}
    assert held[0] == msgspec.structs.replace(OVERTIME, id=ids[0], actor="sup-1", made=NOW_US)
    assert held[0].holds_at("laser-1") and held[1].holds_at("brake-1") and not held[1].holds_at("laser-1")


def test_it_ends_by_itself_and_by_being_revoked_by_whomever_says_so(database: Database) -> None:
    overtime, closed = add(database, OVERTIME), add(database, CLOSED)
    assert [one.id for one in current(database, NOW_US + 2 * HOUR)] == [overtime]
    for actor in ("sup-2", "sup-3"):  # a second time changes nothing
        database.write(
            lambda tx, actor=actor: decisions.revoke(tx, overtime, actor, NOW_US + SECOND)  # type: ignore[misc]
        ).result()
    assert [one.id for one in current(database)] == [closed]
    with database.read() as tx:
        assert [one.id for one in decisions.withdrawn(tx, [overtime, closed])] == [overtime]
        assert [one.id for one in decisions.decided(tx)] == [closed, overtime]
        told = [(entry.type, entry.actor, entry.ts) for entry in journal.entries(tx)][1:]
    assert told == [
        (journal.DECIDE, "sup-1", NOW_US),
        (journal.DECIDE, "sup-1", NOW_US),
        (journal.REVOKE, "sup-2", NOW_US + SECOND),
    ]
    with pytest.raises(UnknownDecision, match="there is no decision 99"):
        database.write(lambda tx: decisions.revoke(tx, 99, "sup-1", NOW_US)).result()


def test_a_pin_holds_until_its_operation_begins(database: Database) -> None:
    add(database, PIN)
    Floor(database).says("laser-2", act.RunOpened("r1", (RunPart(CUT, Decimal(1)),)))
    assert current(database) == []


def test_every_reason_against_it_at_once(database: Database) -> None:
    assert refused(database, Decision(kind=Kind.HEADS, workcell="brake-1", end=NOW_US - HOUR)) == [
        "skill: is missing: name the skill",
        "heads: is missing: say how many heads more, or fewer as a negative number",
        "start: is missing: say from when",
        'workcell: does not belong to a decision of kind "heads": leave it out',
        "end: 2026-11-23 07:00 UTC is in the past (now 2026-11-23 08:00 UTC)",
    ]
    wrong = msgspec.structs.replace(CLOSED, workcell="brake-2", end=CLOSED.start, reason="x" * 201)
    assert refused(database, wrong) == [
        "reason: has 201 characters, at most 200 are kept",
        "end: 2026-11-23 09:00 UTC is not after the start 2026-11-23 09:00 UTC",
        'workcell: there is no such workcell: "brake-2" is not one of laser-1, laser-2, brake-1, weld-1, '
        "coat-1, asm-1, pack-1 — did you mean brake-1?",
    ]
    assert refused(database, msgspec.structs.replace(OVERTIME, end=NOW_US + 400 * 24 * HOUR)) == [
        "end: is more than 366 days after the start: change the site file instead"
    ]
    assert current(database) == []


def test_nobody_is_missing_who_is_not_there(database: Database) -> None:
    absent = Decision(kind=Kind.HEADS, skill="welding", heads=-3, start=NOW_US, end=NOW_US + HOUR)
    assert refused(database, absent) == ["heads: 3 are not there to be fewer: welding has 2"]
    assert refused(database, msgspec.structs.replace(absent, skill="wielding")) == [
        'skill: there is no such skill: "wielding" is not one of welding — did you mean welding?'
    ]
    assert add(database, msgspec.structs.replace(absent, heads=-2)) == 1


@pytest.mark.parametrize("start", [-1, 0, 2**62])
def test_times_out_of_this_world(database: Database, start: int) -> None:
    (problem,) = refused(database, msgspec.structs.replace(OVERTIME, start=start, end=None))[1:]
    assert "days away" in problem


def test_a_pin_that_cannot_be(database: Database) -> None:
    assert refused(database, Decision(kind=Kind.PIN, operation=CUT)) == [
        "workcell: a pin needs a workcell, a start, or both"
    ]
    assert refused(database, msgspec.structs.replace(PIN, operation="26-0009-1-10")) == [
        'operation: there is no operation "26-0009-1-10"'
    ]
    assert refused(database, msgspec.structs.replace(PIN, workcell="weld-1", start=NOW_US - 1)) == [
        "start: 2026-11-23 07:59 UTC is in the past (now 2026-11-23 08:00 UTC)",
        f'workcell: {CUT} needs a workcell of kind "laser", and weld-1 is of kind "weld"',
    ]
    database.write(lambda tx: leases.offer(tx, "machining", 1, [(CUT, "laser-1", "")], NOW_US)).result()
    assert refused(database, PIN) == [
        f'workcell: edge "machining" holds {CUT} for laser-1: pin it there, or take it back first'
    ]
    first = add(database, msgspec.structs.replace(PIN, workcell="laser-1"))
    assert refused(database, msgspec.structs.replace(PIN, workcell="", start=NOW_US + HOUR)) == [
        f"operation: decision {first} pins {CUT} already: revoke that one first"
    ]


def test_begun_work_is_not_pinned(database: Database) -> None:
    Floor(database).says("laser-2", act.RunOpened("r1", (RunPart(CUT, Decimal(1)),)))
    assert refused(database, PIN) == [
        f"operation: {CUT} is running: only work that has not begun can be pinned"
    ]


def test_orders_are_rebuilt_from_a_journal_that_has_decisions(database: Database, tmp_path: Path) -> None:
    """They have no effect on orders, and are not lost in the copy of the journal."""
    database.write(lambda tx: decisions.revoke(tx, add_in(tx), "sup-1", NOW_US)).result()
    with database.read() as tx:
        entries = [*journal.entries(tx)]
    fresh = open_database(f"sqlite:///{tmp_path / 'again.db'}")
    try:
        assert fresh.write(lambda tx: rebuild(tx, entries)).result() == 3
        with fresh.read() as tx:
            assert [entry.type for entry in journal.entries(tx)] == [
                "order.create",
                journal.DECIDE,
                journal.REVOKE,
            ]
    finally:
        fresh.close()


def add_in(tx: object) -> int:
    return decisions.add(tx, OVERTIME, "sup-1", NOW_US)  # type: ignore[arg-type]
