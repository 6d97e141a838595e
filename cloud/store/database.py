"""One database, one writer thread: every change is a function that runs in a transaction there.

SQLite (the default) has one writer anyway, and keeping all writes and checkpoints in one thread also
avoids the WAL-reset bug of SQLite up to 3.51.2. PostgreSQL is used in the same way, so that everything
above behaves alike on both. Works that wait together are committed together, each in its own savepoint.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from cloud.store.metadata import METADATA

T = TypeVar("T")

MAX_GROUP = 64
"""Works that one transaction may gather."""

_AFTER_COMMIT = "onelot.after_commit"
_WRITE = "write sqlite:///path or postgresql+psycopg://user@host/name"
_log = structlog.get_logger(__name__)


class DatabaseClosedError(RuntimeError):
    """A write was asked for while the database is not open."""


class DatabaseUnavailableError(RuntimeError):
    """The database cannot be opened: wrong path or address, no rights, server away."""


def parse_url(url: str) -> URL:
    """The URL of a database that can be used here; raises ValueError. Opens nothing."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # what was written may hold a password: it is not repeated
        raise ValueError(f"not the URL of a database: {_WRITE}") from None
    dialect = parsed.get_backend_name()
    if dialect not in ("sqlite", "postgresql"):
        raise ValueError(f'database "{dialect}" is not supported: {_WRITE}')
    if dialect == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ValueError("SQLite in memory would lose every acknowledged batch: give it a file")
    return parsed


@dataclass(slots=True)
class _Work(Generic[T]):
    function: Callable[[Connection], T]
    done: Future[T] = field(default_factory=Future)


class Database:
    """A database by URL (``sqlite:///path`` or ``postgresql+psycopg://…``); used as a context manager.

    Constructing opens nothing; it raises ValueError for another URL. ``start`` opens it and starts the
    writer thread.
    """

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        self.dialect = self.url.get_backend_name()
        self._works: queue.SimpleQueue[_Work[Any] | None] = queue.SimpleQueue()
        self._open = False
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._writing: Engine | None = None
        self._reading: Engine | None = None

    # --- life ---------------------------------------------------------------------------------------

    def start(self) -> Database:
        """Open the database and start the writer thread; raises DatabaseUnavailableError."""
        self._writing, self._reading = _engines(self)
        try:
            with self._writing.connect():
                pass  # refuses now, in the caller's thread, rather than at the first write
        except DBAPIError as error:
            self._writing.dispose()
            raise DatabaseUnavailableError(f"{self.url} cannot be opened: {error.orig}") from error
        self._thread = threading.Thread(target=self._run, name="database writer")
        self._open = True
        self._thread.start()
        return self

    def close(self) -> None:
        """Finish the works that wait, then close. Harmless when it is not open."""
        with self._guard:
            if not self._open:
                return
            self._open = False
            self._works.put(None)
        if self._thread is not None:
            self._thread.join()
        # Readers first: the last connection to close checkpoints, and that must be a writer's.
        if self._reading is not None:
            self._reading.dispose()
        if self._writing is not None:
            self._writing.dispose()

    def __enter__(self) -> Database:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_all(self) -> None:
        """Create the tables that are missing; for tests. The service migrates instead."""
        self.write(METADATA.create_all).result()

    # --- writing ------------------------------------------------------------------------------------

    def write(self, work: Callable[[Connection], T]) -> Future[T]:
        """Run ``work`` in a transaction on the writer thread.

        The future is done after COMMIT. An exception of ``work`` rolls back what it did, and only that.
        Raises DatabaseClosedError when the database is not open.
        """
        item = _Work(work)
        with self._guard:
            if not self._open:
                raise DatabaseClosedError(f"database {self.url!r} is not open: nothing was written")
            self._works.put(item)
        return item.done

    async def run(self, work: Callable[[Connection], T]) -> T:
        """``write`` for the event loop: the answer of ``work``, after COMMIT."""
        return await asyncio.wrap_future(self.write(work))

    def _run(self) -> None:
        more = True
        while more:
            first = self._works.get()
            if first is None:
                return
            group, more = [first], True
            while len(group) < MAX_GROUP:
                try:
                    item = self._works.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    more = False
                    break
                group.append(item)
            self._commit(group)

    def _commit(self, group: list[_Work[Any]]) -> None:
        """One transaction for all of ``group``; every future is answered, whatever happens."""
        group = [work for work in group if work.done.set_running_or_notify_cancel()]
        answers: list[tuple[_Work[Any], Any]] = []
        calls: list[Callable[[], None]] = []
        try:
            engine = self._writing
            if engine is None:
                raise DatabaseClosedError(f"database {self.url!r} is not open")
            with engine.connect() as tx:
                tx.info[_AFTER_COMMIT] = calls
                with tx.begin():
                    for work in group:
                        try:
                            with savepoint(tx):
                                answer = work.function(tx)
                        except OperationalError:
                            raise  # disk full, connection lost: the transaction itself may be gone
                        except Exception as error:  # noqa: BLE001 - it is the caller's, by the future
                            work.done.set_exception(error)
                        else:
                            answers.append((work, answer))
        except Exception as error:  # noqa: BLE001 - nothing was committed: everyone in the group must know
            for work in group:
                if not work.done.done():
                    work.done.set_exception(error)
            return
        for call in calls:
            try:
                call()
            except Exception:  # noqa: BLE001 - the transaction stands: a deaf listener must not undo it
                _log.exception("a call after commit failed")
        for work, answer in answers:
            work.done.set_result(answer)

    # --- reading ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that reads one consistent snapshot and cannot write. Any thread."""
        if self._reading is None or not self._open:
            raise DatabaseClosedError(f"database {self.url!r} is not open: nothing can be read")
        with self._reading.connect() as connection, connection.begin():
            yield connection

    async def query(self, reading: Callable[[Connection], T]) -> T:
        """Run a reading function in a thread, so that the event loop stays free."""

        def in_thread() -> T:
            with self.read() as connection:
                return reading(connection)

        return await asyncio.to_thread(in_thread)


@contextlib.contextmanager
def savepoint(tx: Connection) -> Iterator[None]:
    """A part of a transaction that an exception undoes alone, with the calls it had asked for."""
    calls: list[Callable[[], None]] = tx.info.setdefault(_AFTER_COMMIT, [])
    before = len(calls)
    try:
        with tx.begin_nested():
            yield
    except BaseException:
        del calls[before:]
        raise


def after_commit(tx: Connection, call: Callable[[], None]) -> None:
    """Have ``call`` run on the writer thread once the transaction is committed, and not at all otherwise.

    It must be quick and must not write: publishing to the hub is what it is for.
    """
    tx.info.setdefault(_AFTER_COMMIT, []).append(call)


def insert_into(tx: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """INSERT with ``on_conflict_do_nothing`` and ``on_conflict_do_update``, which both databases know."""
    return dialect_insert(tx.dialect.name, table)


def dialect_insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """The same for a statement that is built once, by the name of the dialect."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


# --- engines ----------------------------------------------------------------------------------------


def _engines(database: Database) -> tuple[Engine, Engine]:
    """The writer's engine (one connection at a time) and the readers'."""
    if database.dialect == "postgresql":
        url = database.url.set(drivername="postgresql+psycopg")
        writing = create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True)
        reading = create_engine(
            url,
            pool_size=8,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
        )
        return writing, reading.execution_options(postgresql_readonly=True)
    writing = create_engine(database.url, pool_size=1, max_overflow=0)
    reading = create_engine(database.url, pool_size=8)
    _sqlite_events(writing, "BEGIN IMMEDIATE", ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"))
    _sqlite_events(reading, "BEGIN", ("query_only=ON", "wal_autocheckpoint=0"))
    return writing, reading


def _sqlite_events(engine: Engine, begin: str, pragmas: tuple[str, ...]) -> None:
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves: sqlite3 would leave DDL outside
        for pragma in ("busy_timeout=10000", *pragmas):
            connection.execute(f"PRAGMA {pragma}").close()

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
