"""What people do on the floor, and what becomes of orders: on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud.dispatching.keeping import outlook
from cloud.orders import tables
from cloud.store.database import Database
from protocols import actions as act
from protocols.actions import RunPart
from tests.cloud.orders.shop import Floor, open_database, order, order_desk

D = Decimal
CUT, BEND, COAT, PACK = (f"26-0001-1-{n}" for n in (10, 20, 30, 40))


@pytest.fixture(params=["sqlite", "postgresql"])
def floor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Floor]:
    """A shop with one order of four doors."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'orders.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    database = open_database(url)
    database.write(lambda tx: order_desk().create(tx, order(("door", 4, {})))).result()
    yield Floor(database)
    database.close()


def cell(database: Database, table: Any, key: str, *columns: str) -> Any:
    """Some columns of the row with this id."""
    with database.read() as tx:
        row = tx.execute(select(table).where(table.c.id == key)).one()
        found = tuple(getattr(row, column) for column in columns)
        return found if len(columns) > 1 else found[0]


def inbox(database: Database) -> list[tuple[str, str]]:
    """Open entries as (kind, concerns)."""
    table = tables.exception_inbox
    with database.read() as tx:
        rows = tx.execute(select(table).where(table.c.state == "open").order_by(table.c.id))
        return [(row.kind, row.concerns) for row in rows]


def opened(run: str, operation: str, quantity: int = 4, **more: Any) -> act.RunOpened:
    return act.RunOpened(run, (RunPart(operation, D(quantity)),), **more)


def make(floor: Floor, workcell: str, operation: str, good: int = 4, **more: int) -> str:
    """One run that makes and finishes an operation."""
    run = f"run-{operation}"
    counts: Any = {name: D(value) for name, value in more.items()}
    floor.says(
        workcell,
        opened(run, operation, good),
        act.Booked(run, operation, good=D(good), **counts),
        act.RunCompleted(run, (operation,)),
    )
    return run


def test_order_from_released_to_completed_with_serials(floor: Floor) -> None:
    database = floor.database
    assert cell(database, tables.orders, "26-0001", "state") == "released"
    floor.says("laser-1", opened("r1", CUT, setup=True))
    assert cell(database, tables.operation, CUT, "state", "workcell") == ("running", "laser-1")
    assert cell(database, tables.run, "r1", "state", "started") == ("setup", None)
    floor.says("laser-1", act.FirstPieceReleased("r1"), act.RunStarted("r1"))
    paused, resumed = floor.says("laser-1", act.RunPaused("r1", "shift"), act.RunResumed("r1"))
    assert cell(database, tables.run, "r1", "state", "paused_us") == ("running", resumed.ts - paused.ts)
    floor.says("laser-1", act.Booked("r1", CUT, good=D(3)), act.Booked("r1", CUT, good=D(1)))
    floor.says("laser-1", act.RunCompleted("r1", (CUT,)))
    assert cell(database, tables.operation, CUT, "state", "good") == ("finished", D(4))
    assert cell(database, tables.orders, "26-0001", "state") == "started"
    make(floor, "brake-1", BEND)
    make(floor, "coat-1", COAT)
    make(floor, "pack-1", PACK)
    assert cell(database, tables.job, "26-0001-1", "state") == "completed"
    assert cell(database, tables.orders, "26-0001", "state") == "completed"
    assert inbox(database) == []
    with database.read() as tx:
        serials = tx.execute(select(tables.unit.c.serial).order_by(tables.unit.c.serial)).scalars().all()
        assert serials == [f"26-0001-1-u00{n}" for n in (1, 2, 3, 4)]
        assert set(tx.execute(select(tables.actor.c.pseudonym)).scalars()) == {"office", "op-7"}


def test_replay_of_a_batch_does_nothing(floor: Floor) -> None:
    actions = floor.says("laser-1", opened("r1", CUT), act.Booked("r1", CUT, good=D(2)))
    floor.ledger("machining", actions)
    assert cell(floor.database, tables.operation, CUT, "good") == D(2)
    assert inbox(floor.database) == []


def test_scrap_below_the_need_opens_an_urgent_remake(floor: Floor) -> None:
    database = floor.database
    make(floor, "laser-1", CUT)
    make(floor, "brake-1", BEND, good=3, scrap=1)
    remake = "26-0001-1-r1"
    assert cell(database, tables.job, remake, "quantity", "urgent", "remake_of", "remake_cause") == (
        D(1),
        True,
        "26-0001-1",
        BEND,
    )
    with database.read() as tx:
        of_remake = tables.operation.c.job_id == remake
        rows = tx.execute(
            select(tables.operation).where(of_remake).order_by(tables.operation.c.position)
        ).all()
        assert [row.kind for row in rows] == ["laser", "brake", "coat", "pack"]
        assert {row.quantity for row in rows} == {D(1)}
        assert rows[1].predecessors == [f"{remake}-10"]
    assert cell(database, tables.operation, COAT, "quantity") == D(3)
    make(floor, "coat-1", COAT, good=3)
    make(floor, "pack-1", PACK, good=3)
    assert cell(database, tables.job, "26-0001-1", "state") == "completed"
    assert cell(database, tables.orders, "26-0001", "state", "completed") == ("started", None)
    for workcell, position in (("laser-1", 10), ("brake-1", 20), ("coat-1", 30), ("pack-1", 40)):
        make(floor, workcell, f"{remake}-{position}", good=1)
    assert cell(database, tables.orders, "26-0001", "state") == "completed"


def test_what_nothing_reaches_any_more_is_not_waited_for(floor: Floor) -> None:
    """All four are scrap at the laser: nothing follows, until it turns out that three were good."""
    database = floor.database
    followers = (BEND, COAT, PACK)

    def standing() -> list[tuple[str, Decimal]]:
        return [cell(database, tables.operation, name, "state", "quantity") for name in followers]

    run = make(floor, "laser-1", CUT, good=0, scrap=4)
    assert standing() == [("cancelled", D(0))] * 3
    assert cell(database, tables.job, "26-0001-1-r1", "quantity") == D(4)
    make(floor, "brake-1", BEND, good=1)
    assert {kind for kind, _ in inbox(database)} == {"cancelled"}
    with database.read() as tx:
        texts = tx.execute(select(tables.exception_inbox.c.text)).scalars().all()
        assert "all that led to it was scrap" in texts[0]
        assert {operation.job for operation in outlook.operations(tx)} == {"26-0001-1-r1"}
    floor.says("laser-1", act.RunReopened(run))
    assert standing() == [("planned", D(4))] * 3
    floor.says("laser-1", act.Booked(run, CUT, good=D(3), scrap=D(-3)), act.RunCompleted(run, (CUT,)))
    assert standing() == [("planned", D(3))] * 3
    assert cell(database, tables.job, "26-0001-1-r2", "quantity", "state") == (D(1), "released")


def test_undo_of_a_completion_takes_the_remake_back(floor: Floor) -> None:
    database = floor.database
    run = make(floor, "laser-1", CUT, good=3, scrap=1)
    assert cell(database, tables.job, "26-0001-1-r1", "state") == "released"
    floor.says("laser-1", act.RunReopened(run), act.Undone("a3"))
    assert cell(database, tables.job, "26-0001-1-r1", "state") == "cancelled"
    assert cell(database, tables.operation, CUT, "state", "finished") == ("running", None)
    assert cell(database, tables.operation, BEND, "quantity") == D(4)
    assert cell(database, tables.action, "a3", "undone") is True
    floor.says("laser-1", act.Booked(run, CUT, good=D(1), scrap=D(-1)), act.RunCompleted(run, (CUT,)))
    assert cell(database, tables.operation, CUT, "state", "good", "scrap") == ("finished", D(4), D(0))
    with database.read() as tx:
        assert [*tx.execute(select(tables.job.c.state).order_by(tables.job.c.id)).scalars()] == [
            "started",
            "cancelled",
        ]


def test_remake_that_is_started_stays_and_a_person_decides(floor: Floor) -> None:
    run = make(floor, "laser-1", CUT, good=2, scrap=2)
    floor.says("laser-2", opened("r9", "26-0001-1-r1-10", 2))
    floor.says("laser-1", act.Booked(run, CUT, good=D(2), scrap=D(-2)))
    assert inbox(floor.database) == [("remake", CUT)]
    assert cell(floor.database, tables.job, "26-0001-1-r1", "state") == "started"


def test_rework_is_a_new_instance_that_followers_wait_for(floor: Floor) -> None:
    database = floor.database
    make(floor, "laser-1", CUT)
    make(floor, "brake-1", BEND, good=3, rework=1)
    rework = f"{BEND}w1"
    assert cell(database, tables.operation, rework, "quantity", "state", "rework_of") == (
        D(1),
        "planned",
        BEND,
    )
    assert cell(database, tables.operation, COAT, "predecessors") == [BEND, rework]
    assert cell(database, tables.operation, COAT, "quantity") == D(4)
    # The rework fails too: what is missing now is remade.
    make(floor, "brake-1", rework, good=0, scrap=1)
    assert cell(database, tables.job, "26-0001-1-r1", "quantity", "remake_cause") == (D(1), rework)
    assert cell(database, tables.operation, COAT, "quantity") == D(3)


def test_one_run_covers_operations_of_several_orders(floor: Floor) -> None:
    database = floor.database
    database.write(lambda tx: order_desk("second").create(tx, order(("door", 2, {}), id="other"))).result()
    other = "other-1-10"
    parts = (RunPart(CUT, D(4)), RunPart(other, D(2)))
    floor.says("laser-1", act.RunOpened("nest", parts))
    floor.says("laser-1", act.Booked("nest", CUT, good=D(4)), act.Booked("nest", other, good=D(1)))
    floor.says("laser-1", act.RunCompleted("nest", (CUT,)))
    assert cell(database, tables.operation, CUT, "state") == "finished"
    assert cell(database, tables.operation, other, "state", "good") == ("paused", D(1))
    floor.says("laser-2", opened("rest", other, 1), act.Booked("rest", other, good=D(1)))
    assert cell(database, tables.operation, other, "state", "workcell", "good") == (
        "running",
        "laser-2",
        D(2),
    )
    floor.says("laser-2", act.RunCompleted("rest", (other,)))
    assert cell(database, tables.orders, "other", "state") == "started"


def test_facts_without_effect_go_to_the_inbox(floor: Floor) -> None:
    database = floor.database
    floor.says("laser-1", act.RunStarted("ghost"))
    floor.says("laser-1", opened("r1", "no-such-operation"))
    floor.says("laser-1", opened("r2", CUT), act.RunResumed("r2"), act.Booked("r2", BEND, good=D(1)))
    floor.says("laser-1", act.Booked("r2", CUT, good=D(-1)))
    floor.says("laser-1", act.AndonCleared("andon-9"), act.UnassignedClosed("u9"), act.Undone("nothing"))
    assert inbox(database) == [
        ("unknown", "ghost"),
        ("unknown", "r1"),
        ("illegal", "r2"),
        ("unknown", "r2"),
        ("illegal", "r2"),
        ("unknown", "andon-9"),
        ("unknown", "u9"),
        ("unknown", "nothing"),
    ]
    with database.read() as tx:
        outcomes = tx.execute(select(tables.action.c.outcome).order_by(tables.action.c.seq)).scalars().all()
        assert outcomes == ["applied", "inbox", "inbox", "applied"] + ["inbox"] * 6
        owners = set(tx.execute(select(tables.exception_inbox.c.owner)).scalars())
        assert owners == {"supervisor"}
    assert cell(database, tables.operation, CUT, "state", "good") == ("running", D(0))


def test_work_on_a_cancelled_order_counts_nothing_to_it(floor: Floor) -> None:
    database = floor.database
    database.write(lambda tx: order_desk("second").cancel(tx, "26-0001")).result()
    floor.says("laser-1", opened("r1", CUT), act.Booked("r1", CUT, good=D(4)))
    floor.says("laser-1", act.RunCompleted("r1", (CUT,)))
    assert cell(database, tables.operation, CUT, "state", "good") == ("cancelled", D(0))
    assert cell(database, tables.run, "r1", "state") == "completed"
    assert inbox(database) == [("cancelled", "r1"), ("cancelled", "r1")]


def test_a_cancelled_order_does_not_come_back_by_a_correction(floor: Floor) -> None:
    database = floor.database
    run = make(floor, "laser-1", CUT)
    database.write(lambda tx: order_desk("later").cancel(tx, "26-0001")).result()
    floor.says(
        "laser-1",
        act.RunReopened(run),
        act.Booked(run, CUT, good=D(-1), scrap=D(1)),
        act.RunAborted(run),
    )
    assert cell(database, tables.operation, CUT, "state", "good", "scrap") == ("finished", D(3), D(1))
    with database.read() as tx:
        assert tx.execute(select(tables.job.c.state)).scalars().all() == ["cancelled"]
        assert outlook.operations(tx) == []
    assert {kind for kind, _ in inbox(database)} == {"cancelled"}


def test_predecessor_reported_late_settles_itself(floor: Floor) -> None:
    database = floor.database
    floor.says("laser-1", opened("r1", CUT))
    floor.says("brake-1", opened("r2", BEND, unconfirmed=(CUT,)))
    assert inbox(database) == [("predecessor", CUT)]
    assert cell(database, tables.operation, BEND, "state") == "running"
    floor.says("laser-1", act.Booked("r1", CUT, good=D(4)), act.RunCompleted("r1", (CUT,)))
    assert inbox(database) == []


def test_finished_without_a_count_asks_for_one(floor: Floor) -> None:
    database = floor.database
    floor.says("laser-1", opened("r1", CUT), act.RunCompleted("r1", (CUT,)))
    assert inbox(database) == [("count", CUT)]
    floor.says("laser-1", act.Booked("r1", CUT, good=D(4)))
    assert inbox(database) == []


def test_aborted_run_leaves_its_operation_to_be_taken_up_again(floor: Floor) -> None:
    database = floor.database
    floor.says("laser-1", opened("r1", CUT), act.RunAborted("r1", "wrong sheet"))
    assert cell(database, tables.operation, CUT, "state") == "paused"
    assert cell(database, tables.run, "r1", "state", "reason") == ("aborted", "wrong sheet")
    make(floor, "laser-2", CUT)
    assert cell(database, tables.operation, CUT, "state", "workcell") == ("finished", "laser-2")


def test_material_lots_stop_reasons_andon_unassigned_runs_and_notes(floor: Floor) -> None:
    database = floor.database
    floor.says("laser-1", opened("r1", CUT))
    floor.says("laser-1", act.StepDone("r1", CUT, 0, "LOT-77"), act.StepDone("r1", CUT, 1, "249.9"))
    floor.says("laser-1", act.StepDone("r1", CUT, 0, "LOT-77"))
    floor.says("laser-1", act.StopReasoned("s1", "no-material"), act.StopReasoned("s1", "nozzle"))
    floor.says("laser-1", act.AndonRaised("n1", "quality", "burr"), act.AndonCleared("n1"))
    floor.says("laser-1", act.UnassignedOpened("u1"), act.UnassignedClosed("u1", 7))
    floor.says("laser-1", act.ShiftNote("nozzle changed"))
    with database.read() as tx:
        links = tx.execute(select(tables.genealogy).where(tables.genealogy.c.relation == "material")).all()
        assert [(link.child, link.parent, link.run_id) for link in links] == [("26-0001-1", "LOT-77", "r1")]
        assert len(tx.execute(select(tables.step_done)).all()) == 3
        assert len(tx.execute(select(tables.stop_reason)).all()) == 2
        assert tx.execute(select(tables.shift_note.c.note)).scalar_one() == "nozzle changed"
    assert cell(database, tables.andon, "n1", "state", "topic", "note") == ("cleared", "quality", "burr")
    assert cell(database, tables.unassigned_run, "u1", "parts") == 7
    assert inbox(database) == []


def test_undone_serials_become_void(floor: Floor) -> None:
    database = floor.database
    floor.says("pack-1", opened("r1", PACK), act.Booked("r1", PACK, good=D(3)))
    floor.says("pack-1", act.Booked("r1", PACK, good=D(-2)))
    with database.read() as tx:
        rows = tx.execute(select(tables.unit.c.void).order_by(tables.unit.c.number)).scalars().all()
        assert rows == [False, True, True]
