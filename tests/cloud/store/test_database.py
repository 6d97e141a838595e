"""The database on SQLite and PostgreSQL: works in transactions, group commit, savepoints, snapshots."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, MetaData, String, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from cloud.store.database import Database, DatabaseClosedError, after_commit, insert_into, savepoint
from cloud.store.metadata import Quantity, RowId

THINGS = Table(
    "thing",
    MetaData(),
    Column("id", RowId, primary_key=True),
    Column("name", String, unique=True),
    Column("amount", Quantity),
)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'cloud.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database(url) as opened:
        opened.write(THINGS.metadata.create_all).result()
        yield opened


def add(name: str) -> Callable[[Connection], str]:
    def work(tx: Connection) -> str:
        tx.execute(insert(THINGS).values(name=name))
        return name

    return work


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(select(THINGS.c.name).order_by(THINGS.c.name)))


def block(database: Database) -> tuple[threading.Event, threading.Event]:
    """Hold the writer thread, so that what is written meanwhile waits together."""
    held, go = threading.Event(), threading.Event()

    def hold(_tx: Connection) -> None:
        held.set()
        go.wait(10)

    database.write(hold)
    held.wait(10)
    return held, go


def test_a_work_is_committed_before_its_future_is_done(database: Database) -> None:
    assert database.write(add("a")).result() == "a"
    assert names(database) == ["a"]


def test_works_that_wait_share_a_transaction_and_fail_alone(database: Database) -> None:
    _, go = block(database)
    first, twice, last = database.write(add("a")), database.write(add("a")), database.write(add("b"))
    go.set()
    assert first.result() == "a"
    with pytest.raises(IntegrityError):
        twice.result()
    assert last.result() == "b"
    assert names(database) == ["a", "b"]


def test_an_exception_undoes_the_work_and_its_calls_after_commit(database: Database) -> None:
    heard: list[str] = []

    def work(tx: Connection) -> None:
        tx.execute(insert(THINGS).values(name="kept"))
        after_commit(tx, lambda: heard.append("kept"))
        with contextlib.suppress(RuntimeError), savepoint(tx):
            tx.execute(insert(THINGS).values(name="undone"))
            after_commit(tx, lambda: heard.append("undone"))
            raise RuntimeError("no")

    database.write(work).result()
    assert names(database) == ["kept"]
    assert heard == ["kept"]

    def failing(tx: Connection) -> None:
        after_commit(tx, lambda: heard.append("failing"))
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        database.write(failing).result()
    assert heard == ["kept"]


def test_a_reader_sees_one_snapshot_and_cannot_write(database: Database) -> None:
    database.write(add("a")).result()
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(THINGS)) == 1
        database.write(add("b")).result()
        assert connection.scalar(select(func.count()).select_from(THINGS)) == 1
    with pytest.raises(DBAPIError), database.read() as connection:
        connection.execute(insert(THINGS).values(name="c"))


def test_close_finishes_what_waits_and_refuses_more(url: str) -> None:
    database = Database(url)
    with pytest.raises(DatabaseClosedError):
        database.write(add("early"))
    with database:
        database.write(THINGS.metadata.create_all).result()
        waiting = [database.write(add(f"{number:03}")) for number in range(200)]
    assert [work.result() for work in waiting] == [f"{number:03}" for number in range(200)]
    with pytest.raises(DatabaseClosedError, match="not open"):
        database.write(add("late"))
    with Database(url) as again:
        assert len(names(again)) == 200


def test_quantities_are_exact(database: Database) -> None:
    def work(tx: Connection) -> None:
        tx.execute(
            insert_into(tx, THINGS).on_conflict_do_nothing(),
            [{"name": "a", "amount": Decimal("0.1")}, {"name": "b", "amount": Decimal("1200.2")}],
        )

    database.write(work).result()
    with database.read() as connection:
        assert connection.scalar(select(func.sum(THINGS.c.amount))) == Decimal("1200.3")
        amounts = connection.scalars(select(THINGS.c.amount).order_by(THINGS.c.id)).all()
    assert [str(amount) for amount in amounts] == ["0.1", "1200.2"]
    with pytest.raises(StatementError, match="decimal places"):
        database.write(lambda tx: tx.execute(insert(THINGS).values(amount=Decimal("0.0000001")))).result()


def test_sqlite_is_durable_and_writes_ahead(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'cloud.db'}") as database:
        mode, synchronous = database.write(
            lambda tx: (tx.scalar(text("PRAGMA journal_mode")), tx.scalar(text("PRAGMA synchronous")))
        ).result()
    assert (mode, synchronous) == ("wal", 2)


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_cannot_hold_a_ledger_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"SQLite|not supported"):
        Database(url)
