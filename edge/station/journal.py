"""The workcells' tables in the edge's file. All functions run inside a transaction of the Store."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping

import msgspec
from sqlite_utils import Database, Migrations

from edge.station.work import Work
from edge.station.workcell import Place, Queue, Workcell
from protocols.actions import Action
from protocols.jobs import JobOperation

WORKCELL = Migrations("workcell")

KEEP_COMMANDS = 7 * 86_400 * 1_000_000
"""µs for which a repeated command is recognised."""
KEEP_FINISHED = 60 * 86_400 * 1_000_000
"""µs for which it is remembered that an operation is finished."""


@WORKCELL(name="0001_workcell")
def _workcell(db: Database) -> None:
    """State and queue of each station, commands already answered, operations heard to be finished."""
    for statement in (
        "CREATE TABLE workcell_work (workcell TEXT PRIMARY KEY, work BLOB NOT NULL) WITHOUT ROWID",
        """CREATE TABLE workcell_queue (
            workcell TEXT PRIMARY KEY, version INTEGER NOT NULL, operations BLOB NOT NULL,
            released BLOB NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE workcell_command (
            command TEXT PRIMARY KEY, digest BLOB NOT NULL, ts INTEGER NOT NULL, actions BLOB NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX workcell_command_ts ON workcell_command(ts)",
        """CREATE TABLE workcell_finished (
            operation TEXT PRIMARY KEY, run TEXT NOT NULL, ts INTEGER NOT NULL
        ) WITHOUT ROWID""",
    ):
        db.conn.execute(statement)


class Answered(msgspec.Struct, frozen=True):
    """A command that was accepted before: the digest of what it said and the ids of its actions."""

    digest: bytes
    ts: int
    actions: tuple[str, ...]


_encode = msgspec.msgpack.Encoder().encode
_work = msgspec.msgpack.Decoder(Work)
_operations = msgspec.msgpack.Decoder(list[JobOperation])
_names = msgspec.msgpack.Decoder(tuple[str, ...])


def digest(text: str) -> bytes:
    """Tells a repeated command from another one under the same id."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def load(db: sqlite3.Connection, place: Place) -> Workcell:
    """A station as it was last committed; an empty one where there is nothing."""
    work, queue = Work(), Queue()
    row = db.execute("SELECT work FROM workcell_work WHERE workcell=?", (place.id,)).fetchone()
    if row is not None:
        work = _work.decode(row[0])
    row = db.execute(
        "SELECT version, operations, released FROM workcell_queue WHERE workcell=?", (place.id,)
    ).fetchone()
    if row is not None:
        operations = {operation.id: operation for operation in _operations.decode(row[1])}
        queue = Queue(row[0], operations, frozenset(_names.decode(row[2])))
    return Workcell(place, queue, work)


def keep_work(db: sqlite3.Connection, cell: Workcell) -> None:
    db.execute(
        "INSERT INTO workcell_work VALUES (?, ?) ON CONFLICT DO UPDATE SET work=excluded.work",
        (cell.place.id, _encode(cell.work)),
    )


def keep_queue(db: sqlite3.Connection, cell: Workcell) -> None:
    db.execute(
        "INSERT INTO workcell_queue VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
        "SET version=excluded.version, operations=excluded.operations, released=excluded.released",
        (
            cell.place.id,
            cell.queue.version,
            _encode(list(cell.queue.operations.values())),
            _encode(sorted(cell.queue.released)),
        ),
    )


def answered(db: sqlite3.Connection, command: str) -> Answered | None:
    """The answer that was given to a command, if it was given."""
    row = db.execute(
        "SELECT digest, ts, actions FROM workcell_command WHERE command=?", (command,)
    ).fetchone()
    return None if row is None else Answered(row[0], row[1], _names.decode(row[2]))


def answer(db: sqlite3.Connection, command: str, request: bytes, ts: int, actions: Iterable[Action]) -> None:
    db.execute(
        "INSERT INTO workcell_command VALUES (?, ?, ?, ?)",
        (command, request, ts, _encode([action.id for action in actions])),
    )


def finished(db: sqlite3.Connection) -> dict[str, str]:
    """Run by operation, of all operations heard to be finished."""
    return dict(db.execute("SELECT operation, run FROM workcell_finished").fetchall())


def keep_finished(
    db: sqlite3.Connection, before: Mapping[str, str], after: Mapping[str, str], ts: int
) -> None:
    gone = [(operation,) for operation in before if operation not in after]
    db.executemany("DELETE FROM workcell_finished WHERE operation=?", gone)
    new = [(operation, run, ts) for operation, run in after.items() if before.get(operation) != run]
    db.executemany("INSERT OR REPLACE INTO workcell_finished VALUES (?, ?, ?)", new)


def prune(db: sqlite3.Connection, now: int) -> None:
    db.execute("DELETE FROM workcell_command WHERE ts < ?", (now - KEEP_COMMANDS,))
    db.execute("DELETE FROM workcell_finished WHERE ts < ?", (now - KEEP_FINISHED,))
