"""The edge's one file: SQLite in WAL mode with ``synchronous=FULL``, one thread that writes.

The outbox and the workcell share this file and its transactions. Only the writer thread's connection
writes or checkpoints (SQLite before 3.51.3 can corrupt a WAL that two connections reset); a second thread
reads. Works that wait together are committed together, each in a savepoint of its own.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import structlog

from edge.outbox.ballast import Ballast

if TYPE_CHECKING:
    from sqlite_utils import Migrations

T = TypeVar("T")

log = structlog.get_logger(__name__)

PAGE = 4096
MAX_GROUP = 64
"""Works committed together at most, so that none waits long for the others."""


class StoreError(RuntimeError):
    """The edge's file cannot be used; the text says which file, why, and what to do."""


class SchemaTooNewError(StoreError):
    """The file was written by a newer version."""


class OutboxFullError(StoreError):
    """No room for what was to be written. Nothing of it was written."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Bytes the file may take, and how many of them only urgent works (people's actions) may use.

    ``max_bytes`` bounds the database file; the write-ahead log beside it takes a few MiB more. ``ballast``
    bytes of disk are held in a file of their own and given up when the disk itself is full.
    """

    max_bytes: int = 1 << 30
    reserve: int = 16 << 20
    ballast: int = 4 << 20

    @property
    def pages(self) -> int:
        """Page limit of urgent works."""
        return max(self.max_bytes // PAGE, 1)

    @property
    def ordinary_pages(self) -> int:
        """Page limit of all others."""
        return max((self.max_bytes - self.reserve) // PAGE, 1)


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    urgent: bool
    future: Future[Any]
    result: Any = None
    error: Exception | None = None


@dataclass(slots=True)
class Store:
    """One SQLite file, opened by ``async with``.

    ``migrations`` are the sets of parts that keep tables of their own here; the edge's own set is always
    applied first. Raises :class:`SchemaTooNewError` for a file that a newer version wrote and
    :class:`StoreError` for one that cannot be opened.
    """

    path: Path
    migrations: Sequence[Migrations] = ()
    limits: StoreLimits = field(default_factory=StoreLimits)
    _jobs: queue.SimpleQueue[_Job | None] = field(default_factory=queue.SimpleQueue, init=False)
    _reads: queue.SimpleQueue[_Job | None] = field(default_factory=queue.SimpleQueue, init=False)
    _threads: list[threading.Thread] = field(default_factory=list, init=False)
    _hooks: list[Callable[[sqlite3.Connection], None]] = field(default_factory=list, init=False)
    _relief: Callable[[sqlite3.Connection], bool] | None = field(default=None, init=False)
    _lock: sqlite3.Connection | None = field(default=None, init=False)
    _closed: bool = field(default=True, init=False)
    _gate: threading.Lock = field(default_factory=threading.Lock, init=False)
    """Held to close, and to queue a work: none is queued behind the end of its thread."""

    # --- opening and closing --------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._jobs, self._reads = queue.SimpleQueue(), queue.SimpleQueue()
        try:
            await self._start("store-writer", self._write_all)
            await self._start("store-reader", self._read_all)
        except BaseException:
            await self._stop()
            raise
        self._closed = False
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _start(self, name: str, target: Callable[[Future[None]], None]) -> None:
        opened: Future[None] = Future()
        thread = threading.Thread(target=target, args=(opened,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        await asyncio.wrap_future(opened)

    async def _stop(self) -> None:
        with self._gate:
            self._closed = True
        # The reader closes first: the last connection to close checkpoints, and that must be the writer's.
        for jobs, thread in reversed(list(zip((self._jobs, self._reads), self._threads, strict=False))):
            jobs.put(None)
            await asyncio.to_thread(thread.join)
        self._threads.clear()

    @property
    def ballast(self) -> Ballast:
        """Disk that is given up for urgent works when the disk itself is full."""
        return Ballast(self.path.with_name(self.path.name + ".ballast"), self.limits.ballast)

    # --- what others use ------------------------------------------------------------------------------

    async def run(self, work: Callable[[sqlite3.Connection], T], *, urgent: bool = True) -> T:
        """Run ``work`` in a transaction on the writer thread; returns its result after COMMIT.

        What ``work`` raises undoes its own writes only and is raised here. ``work`` may run more than once
        (when SQLite rolls back a group of works), and only its last run counts: keep it free of effects
        beside those on the connection. ``urgent`` works may use the reserved space.

        A cancelled caller does not know whether the work was committed.

        Raises:
            OutboxFullError: there is no room.
        """
        return await asyncio.wrap_future(self.submit(work, urgent=urgent))

    def submit(self, work: Callable[[sqlite3.Connection], T], *, urgent: bool = True) -> Future[T]:
        """Like :meth:`run` for callers outside the event loop."""
        return self._put(self._jobs, work, urgent)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on the reader thread, in a snapshot of what is committed."""
        return await asyncio.wrap_future(self._put(self._reads, work, False))

    def after_commit(self, hook: Callable[[sqlite3.Connection], None]) -> None:
        """Call ``hook`` on the writer thread after every commit, before the next one. Keep it short."""
        self._hooks.append(hook)

    def on_full(self, relief: Callable[[sqlite3.Connection], bool]) -> None:
        """What makes room for an urgent work: runs in a transaction, answers whether it freed anything."""
        self._relief = relief

    def _put(
        self, jobs: queue.SimpleQueue[_Job | None], work: Callable[[sqlite3.Connection], T], urgent: bool
    ) -> Future[T]:
        future: Future[T] = Future()
        with self._gate:
            if self._closed:
                raise self._is_closed()
            jobs.put(_Job(work, urgent, future))
        return future

    def _is_closed(self) -> StoreError:
        return StoreError(f"{self.path} is closed: nothing can be written or read any more")

    def _end(self, jobs: queue.SimpleQueue[_Job | None]) -> None:
        """A thread ends, in order or not: nothing is taken any more, and nobody waits for an answer."""
        with self._gate:
            self._closed = True
        while not jobs.empty():
            job = jobs.get()
            if job is not None and job.future.set_running_or_notify_cancel():
                job.future.set_exception(self._is_closed())

    # --- the writer thread ----------------------------------------------------------------------------

    def _write_all(self, opened: Future[None]) -> None:
        try:
            db = self._open_for_writing()
        except BaseException as error:  # noqa: BLE001 - whoever opened the store gets it
            self._unlock()
            opened.set_exception(error)
            return
        opened.set_result(None)
        try:
            while group := self._next_group():
                try:
                    self._commit(db, group)
                except Exception as error:  # whatever it is, the next works have a thread
                    log.exception("store.commit_failed", file=str(self.path))
                    _fail(group, error)
                    _rollback(db)
                except BaseException:
                    _fail(group, self._is_closed())
                    raise
        finally:
            self._end(self._jobs)
            db.close()
            self._unlock()

    def _next_group(self) -> list[_Job]:
        """Works that wait now, at least one; empty when the store is to close."""
        group: list[_Job] = []
        while not group:
            job = self._jobs.get()
            if job is None:
                return []
            if job.future.set_running_or_notify_cancel():
                group.append(job)
        while len(group) < MAX_GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            if job.future.set_running_or_notify_cancel():
                group.append(job)
        return group

    def _commit(self, db: sqlite3.Connection, group: list[_Job]) -> None:
        """Run and commit a group; when SQLite undoes it as a whole, each of its works alone."""
        if len(group) == 1:
            self._commit_one(db, group[0])
            return
        try:
            db.execute("BEGIN IMMEDIATE")
            for job in group:
                self._attempt(db, job)
            db.execute("COMMIT")
        except sqlite3.Error:
            _rollback(db)
            for job in group:
                self._commit_one(db, job)
        else:
            self._committed(db)
            for job in group:
                _resolve(job)

    def _attempt(self, db: sqlite3.Connection, job: _Job) -> None:
        """One work of a group, in a savepoint; a sqlite3.Error from here splits the group."""
        job.error = None
        self._allow(db, urgent=job.urgent)
        db.execute("SAVEPOINT work")
        try:
            job.result = job.work(db)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - the caller of the work gets it
            job.error = error
            db.execute("ROLLBACK TO work")
        db.execute("RELEASE work")

    def _commit_one(self, db: sqlite3.Connection, job: _Job) -> None:
        """A work alone; when there is no room for an urgent one, make some and try once more."""
        job.error = self._try(db, job)
        if _is_full(job.error):
            job.error = self._full(db)
            if job.urgent and self._make_room(db):
                again = self._try(db, job)
                job.error = self._full(db) if _is_full(again) else again
        _resolve(job)

    def _try(self, db: sqlite3.Connection, job: _Job) -> Exception | None:
        try:
            db.execute("BEGIN IMMEDIATE")
            self._allow(db, urgent=job.urgent)
            job.result = job.work(db)
            db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the caller of the work gets it
            _rollback(db)
            return error
        self._committed(db)
        return None

    def _allow(self, db: sqlite3.Connection, *, urgent: bool) -> None:
        pages = self.limits.pages if urgent else self.limits.ordinary_pages
        db.execute(f"PRAGMA max_page_count={pages}")

    def _committed(self, db: sqlite3.Connection) -> None:
        for hook in self._hooks:
            try:
                hook(db)
            except Exception:  # what is committed is committed, and the next work waits
                log.exception("store.hook_failed", hook=repr(hook))

    def _make_room(self, db: sqlite3.Connection) -> bool:
        """Give up the ballast, then whatever :meth:`on_full` gives up."""
        freed = self.ballast.drop()
        if self._relief is None:
            return freed
        try:
            db.execute("BEGIN IMMEDIATE")
            self._allow(db, urgent=True)
            freed = self._relief(db) or freed
            db.execute("COMMIT")
        except Exception as error:
            # The caller is told that the file is full; often there is no room to record what is given up.
            _rollback(db)
            if not _is_full(error):
                log.exception("store.relief_failed", file=str(self.path))
        return freed

    def _full(self, db: sqlite3.Connection) -> OutboxFullError:
        limit = self.limits.max_bytes / (1 << 20)
        used = db.execute("PRAGMA page_count").fetchone()[0] * PAGE / (1 << 20)
        return OutboxFullError(
            f"no room on this PC: {self.path.name} uses {used:.1f} of {limit:.1f} MiB, or its disk is full. "
            "Nothing was recorded. Free disk space or raise outbox.max_bytes in edge.yaml"
        )

    # --- opening --------------------------------------------------------------------------------------

    def _open_for_writing(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock_out_others()
            db = sqlite3.connect(self.path, isolation_level=None, cached_statements=256)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"cannot open {self.path}: {error}. Check the folder and its rights") from error
        try:
            _use_wal(db, self.path)
            self._migrate(db)
            self.ballast.keep()
        except sqlite3.DatabaseError as error:
            db.close()
            hint = "Restore it from a copy, or move it away to start empty"
            raise StoreError(f"{self.path} cannot be used: {error}. {hint}") from error
        except BaseException:
            db.close()
            raise
        return db

    def _lock_out_others(self) -> None:
        """Hold a lock that ends with this process, however it ends: two agents would spoil one file."""
        lock = sqlite3.connect(self.path.with_name(self.path.name + ".lock"), timeout=0, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            raise StoreError(
                f"{self.path} is in use by another process: stop that edge agent first, or give this one "
                "another data folder"
            ) from error
        self._lock = lock

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    def _migrate(self, db: sqlite3.Connection) -> None:
        from sqlite_utils import Database

        from edge.outbox.schema import EDGE

        sets = (EDGE, *self.migrations)
        known = {(each.name, one.name) for each in sets for one in each._migrations}
        database = Database(db)
        EDGE.ensure_migrations_table(database)
        for name, migration in db.execute("SELECT migration_set, name FROM _sqlite_migrations"):
            if (name, migration) not in known:
                raise SchemaTooNewError(
                    f"{self.path} was written by a newer version: it has the migration "
                    f'"{migration}" of "{name}", which this version does not know. Update OneLot on this PC'
                )
        for each in sets:
            each.apply(database)

    # --- the reader thread ----------------------------------------------------------------------------

    def _read_all(self, opened: Future[None]) -> None:
        try:
            db = self._open_for_reading()
        except BaseException as error:  # noqa: BLE001 - whoever opened the store gets it
            opened.set_exception(error)
            return
        opened.set_result(None)
        try:
            while (job := self._reads.get()) is not None:
                if not job.future.set_running_or_notify_cancel():
                    continue
                try:
                    db.execute("BEGIN")
                    try:
                        job.result = job.work(db)
                    finally:
                        if db.in_transaction:
                            db.execute("ROLLBACK")
                except Exception as error:  # noqa: BLE001 - the caller of the work gets it
                    job.error = error
                _resolve(job)
        finally:
            self._end(self._reads)
            db.close()

    def _open_for_reading(self) -> sqlite3.Connection:
        try:
            db = sqlite3.connect(self.path, isolation_level=None)
        except sqlite3.Error as error:
            raise StoreError(f"cannot read {self.path}: {error}. Check the folder and its rights") from error
        db.execute("PRAGMA query_only=1")
        db.execute("PRAGMA busy_timeout=10000")
        return db


def _use_wal(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA busy_timeout=10000")
    db.execute(f"PRAGMA page_size={PAGE}")
    mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(f"{path} cannot use a write-ahead log (its journal is {mode}): use a local disk")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA foreign_keys=ON")
    db.execute("PRAGMA cache_size=-8192")
    db.execute("PRAGMA temp_store=MEMORY")


def _rollback(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


def _is_full(error: Exception | None) -> bool:
    """Whether SQLite ran out of pages or the disk out of space (also when it extends its shared memory)."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE)


def _fail(group: list[_Job], error: Exception) -> None:
    """Answer those of a group that have no answer yet."""
    for job in group:
        if not job.future.done():
            job.future.set_exception(error)


def _resolve(job: _Job) -> None:
    if job.error is not None:
        job.future.set_exception(job.error)
    else:
        job.future.set_result(job.result)
