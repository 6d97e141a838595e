"""Migrations lead to exactly the tables of the code, on both databases, and never backwards."""

from pathlib import Path

import pytest
from sqlalchemy import select, text

from cloud.dispatching.tables import plan as plans
from cloud.ledger import alarms, reading
from cloud.maintenance import cases
from cloud.maintenance.case import Step, Verdict
from cloud.orders.tables import operation
from cloud.store import schema
from cloud.store.database import Database
from cloud.store.schema import NewerSchemaError, migrate
from protocols.lifecycles import CaseEvent


def test_migrations_make_the_tables_of_the_code(url: str) -> None:
    """When this fails after a change of a table: ``python -m cloud.store.schema "what changes"``."""
    with Database(url) as database:
        migrate(database)
        assert database.write(schema.differences).result() == []


def test_migrating_again_changes_nothing(url: str) -> None:
    for _ in range(2):
        with Database(url) as database:
            migrate(database)
            with database.read() as reader:
                assert reader.scalar(text("SELECT count(*) FROM alembic_version")) == 1


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0007"])
def test_a_database_of_an_older_version_is_brought_up(url: str, revision: str) -> None:
    """With what it holds: here a machine that the older version knew, an alarm of it, work and a plan."""
    row = (
        "INSERT INTO device (id, edge, connected, connected_since, heartbeat, last_read, detail, state_since,"
        " item_state, mode, state_detail) VALUES ('press-1', 'hall', true, 1, 1, 1, '', 1, 'executing',"
        " 'processing', '')"
    )
    alarm = (
        "INSERT INTO alarm (device, alarm, edge, raised, cleared, text) VALUES ('press-1', 'E7', 'hall',"
        " 1, NULL, 'gas low')"
    )
    job = (
        "INSERT INTO job (id, order_id, line, quantity, unit, title, title_zh, variant, state, urgent,"
        " created) VALUES ('26-0001-1', '26-0001', 1, 1, 'C62', 'Door', 'Door', '{}', 'released', false, 1)"
    )
    work = (
        "INSERT INTO operation (id, job_id, position, step_id, title, title_zh, kind, quantity, good, scrap,"
        " rework, state, predecessors, setup, setup_seconds, seconds_per_run, seconds_per_piece, program)"
        " VALUES ('26-0001-1-10', '26-0001-1', 10, 'cut', 'Cut', 'Cut', 'laser', 1, 0, 0, 0, 'planned', '[]',"
        " '{}', 0, 0, 0, '')"
    )
    plan = (
        "INSERT INTO plan (created, causes, status, seconds, objective, difference, down, wishes, note)"
        " VALUES (1, '[]', 'feasible', 1.5, '{}', '{}', '[]', '[]', '')"
    )
    case = (
        "INSERT INTO maintenance_case (id, asset, device, mode, state, opened, changed, health, summary,"
        " evidence) VALUES ('c1', 'a1', 'press-1', 'wear', 'planned', 1, 2, 40.0, 'it shakes', :evidence)"
    )
    with Database(url) as database:
        database.write(lambda tx: schema.upgrade(tx, revision)).result()
        database.write(lambda tx: tx.execute(text(case), {"evidence": b"\x90"})).result()
        for statement in (row, alarm, job, work, plan):
            database.write(lambda tx, statement=statement: tx.execute(text(statement))).result()  # type: ignore[misc]
        migrate(database)
        assert database.write(schema.differences).result() == []
        with database.read() as reader:
            (machine,) = reading.machines(reader)
            (standing,) = alarms.standing(reader)["press-1"]
            kept = reader.execute(
                select(operation.c.interruptible, operation.c.needs, operation.c.links)
            ).one()
            counted = reader.execute(select(plans.c.decisions, plans.c.stuck)).one()
            known = cases.find(reader, "c1")
        step = Step(CaseEvent.CLOSE, "ann", 3, verdict=Verdict.OTHER)
        closed = database.write(lambda tx: cases.step(tx, "c1", step)).result()
    assert (known.state, known.order, known.verdict, known.evidence) == ("planned", None, None, ())
    assert (closed.state, closed.judged_by) == ("closed", "ann")
    assert (machine.id, machine.lock, machine.firmware) == ("press-1", None, "")
    assert (machine.alarms, machine.alarms_standing) == (("gas low",), 1)
    assert (standing.alarm, standing.severity, standing.acknowledged) == ("E7", 0, None)
    assert (bool(kept.interruptible), kept.needs, kept.links) == (False, {}, {})
    assert (counted.decisions, counted.stuck) == ([], [])


def test_a_newer_schema_is_refused(url: str) -> None:
    with Database(url) as database:
        migrate(database)
        database.write(
            lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        ).result()
        with pytest.raises(NewerSchemaError, match="has schema 9999, this version of OneLot knows up to"):
            migrate(database)


def test_a_change_becomes_the_next_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "versions").mkdir()
    for name in ("env.py", "script.py.mako"):
        (tmp_path / name).write_text((schema.MIGRATIONS / name).read_text())
    monkeypatch.setattr(schema, "MIGRATIONS", tmp_path)
    first = schema.revise("The first, of all!")
    second = schema.revise("nothing new")
    assert (first.name, second.name) == ("0001_the_first_of_all.py", "0002_nothing_new.py")
    assert "create_table('batch'" in first.read_text()
    assert "Quantity" not in first.read_text()
    assert "down_revision = '0001'" in second.read_text()
    assert "create_table" not in second.read_text()
