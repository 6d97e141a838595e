"""Questions for blocks and what came of them, in a file of its own: ``waveforms.db`` beside the database.

What comes by the ledger's bulk lane is put together here, once, whatever comes twice or in another order:
how far the ledger was read is kept in the same transaction. A file that is lost is no loss of facts: the
ledger has the parts for as long as it keeps telemetry, and the edge its ring. One connection; every method
may be called on any thread, and blocks.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import msgspec

from protocols.packing import UndecodableError
from protocols.values import MICROSECONDS
from protocols.waveforms import messages
from protocols.waveforms.block import Block, decode
from protocols.waveforms.messages import Chunk, Found

_VERSION = 1
_SCHEMA = """
CREATE TABLE question (
    id TEXT PRIMARY KEY, edge TEXT NOT NULL, path TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT
    NULL, most INTEGER NOT NULL, asked INTEGER NOT NULL, actor TEXT NOT NULL, state TEXT NOT NULL, oldest
    INTEGER NOT NULL DEFAULT 0, newest INTEGER NOT NULL DEFAULT 0, why TEXT NOT NULL DEFAULT '', blocks TEXT
    NOT NULL DEFAULT '[]'
);
CREATE INDEX question_state ON question(state);
CREATE TABLE part (
    path TEXT NOT NULL, ts INTEGER NOT NULL, number INTEGER NOT NULL, count INTEGER NOT NULL,
    received INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (path, ts, number)
);
CREATE TABLE block (
    path TEXT NOT NULL, ts INTEGER NOT NULL, edge TEXT NOT NULL, received INTEGER NOT NULL,
    data BLOB NOT NULL, PRIMARY KEY (path, ts)
);
CREATE INDEX block_received ON block(received);
CREATE TABLE place (ledgered INTEGER NOT NULL);
INSERT INTO place VALUES (0);
"""
DAY = 86_400 * MICROSECONDS
KEPT_QUESTIONS = 1000
"""Answered questions that are remembered."""


class Asked(StrEnum):
    """How far a question is."""

    ASKED = "asked"
    """The edge has not answered yet."""
    ARRIVING = "arriving"
    """It has, and the blocks are on their way."""
    HERE = "here"
    NONE = "none"
    """The edge has no such block; ``why`` says what is the matter."""
    LOST = "lost"
    """It will not come any more: ask again; ``why`` says what happened."""

    @property
    def is_open(self) -> bool:
        return self in (Asked.ASKED, Asked.ARRIVING)


class Question(msgspec.Struct, frozen=True):
    """A question for blocks of a waveform (``device/tag``) taken from ``start`` to ``end``, and what came
    of it.

    ``blocks`` are the times of those found; ``oldest`` and ``newest`` what the edge's ring held. Times in
    µs UTC.
    """

    id: str
    edge: str
    path: str
    start: int
    end: int
    most: int
    asked: int
    actor: str
    state: Asked
    oldest: int = 0
    newest: int = 0
    why: str = ""
    blocks: list[int] = []


class StoredBlock(msgspec.Struct, frozen=True):
    """A block that is here. Times in µs UTC, ``bytes`` as it is kept."""

    path: str
    ts: int
    edge: str
    received: int
    bytes: int


class NewerFileError(RuntimeError):
    """The file was written by a newer version."""


class WaveformStore:
    """One file. Constructing opens nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._file: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, or make it. Raises sqlite3.Error, NewerFileError."""
        file = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            file.execute("PRAGMA journal_mode=WAL")
            file.execute("PRAGMA synchronous=FULL")
            version = file.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise NewerFileError(
                    f"{self._path} has schema {version}, this version of OneLot knows up to {_VERSION}: "
                    "start the newer version, or move the file away"
                )
            if version == 0:
                file.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")
        except BaseException:
            file.close()
            raise
        self._file = file

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            file, self._file = self._file, None
            if file is not None:
                file.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            if self._file is None:
                raise sqlite3.ProgrammingError(f"{self._path} is not open")
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield self._file
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
            self._file.execute("COMMIT")

    # --- questions ------------------------------------------------------------------------------------

    def ask(self, question: Question) -> Question:
        """Keep a question; one that is open and asks for the same is given back instead."""
        with self._transaction() as file:
            same = file.execute(
                "SELECT * FROM question WHERE path = ? AND first = ? AND last = ? AND most = ?"
                " AND state IN ('asked', 'arriving')",
                (question.path, question.start, question.end, question.most),
            ).fetchone()
            if same is not None:
                return _question(same)
            q = question
            file.execute(
                "INSERT INTO question (id, edge, path, first, last, most, asked, actor, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (q.id, q.edge, q.path, q.start, q.end, q.most, q.asked, q.actor, q.state.value),
            )
            file.execute(
                "DELETE FROM question WHERE state NOT IN ('asked', 'arriving') AND id NOT IN"
                " (SELECT id FROM question ORDER BY asked DESC LIMIT ?)",
                (KEPT_QUESTIONS,),
            )
        return question

    def question(self, question: str) -> Question | None:
        """A question by its id."""
        found = self._questions("SELECT * FROM question WHERE id = ?", question)
        return found[0] if found else None

    def open_questions(self) -> list[Question]:
        """Those that are not answered in full."""
        return self._questions("SELECT * FROM question WHERE state IN ('asked', 'arriving') ORDER BY asked")

    def recent(self, device: str, limit: int) -> list[Question]:
        """The newest questions for waveforms of a device (of all of them: empty)."""
        return self._questions(
            "SELECT * FROM question WHERE ? = '' OR substr(path, 1, length(?) + 1) = ? || '/'"
            " ORDER BY asked DESC LIMIT ?",
            device,
            device,
            device,
            limit,
        )

    def _questions(self, query: str, *values: object) -> list[Question]:
        with self._transaction() as file:
            return [_question(row) for row in file.execute(query, values)]

    def give_up(self, questions: Iterable[str], why: str) -> None:
        """These will not be answered in full any more."""
        with self._transaction() as file:
            file.executemany(
                "UPDATE question SET state = 'lost', why = ? WHERE id = ? AND state IN ('asked', 'arriving')",
                [(why, question) for question in questions],
            )

    # --- what comes by the ledger ---------------------------------------------------------------------

    def ledgered(self) -> int:
        """Id of the last batch of the ledger that was taken."""
        with self._transaction() as file:
            return int(file.execute("SELECT ledgered FROM place").fetchone()[0])

    def take(self, batches: Sequence[tuple[int, str, int, bytes]]) -> list[str]:
        """Take batches of the bulk lane: id, edge, when received (µs UTC), blob. Those before are passed
        over.

        Returns the questions of which there is news.
        """
        with self._transaction() as file:
            place = int(file.execute("SELECT ledgered FROM place").fetchone()[0])
            touched: set[str] = set()
            for row, edge, received, blob in batches:
                if row <= place:
                    continue
                place = row
                try:
                    message = messages.decode(blob)
                except UndecodableError:
                    continue  # in the ledger's quarantine
                if isinstance(message, Found):
                    self._found(file, message)
                else:
                    self._part(file, message, edge, received)
                touched.add(message.id)
            file.execute("UPDATE place SET ledgered = ?", (place,))
            for question in touched:
                self._settle(file, question)
            return sorted(touched)

    @staticmethod
    def _found(file: sqlite3.Connection, found: Found) -> None:
        file.execute(
            "UPDATE question SET state = ?, oldest = ?, newest = ?, why = ?, blocks = ?"
            " WHERE id = ? AND state = 'asked'",
            (
                Asked.ARRIVING if found.blocks else Asked.NONE,
                found.oldest,
                found.newest,
                found.why,
                msgspec.json.encode(found.blocks).decode(),
                found.id,
            ),
        )

    @staticmethod
    def _part(file: sqlite3.Connection, part: Chunk, edge: str, received: int) -> None:
        """Keep a part; the last one that is missing makes the block."""
        key = (part.path, part.ts)
        if file.execute("SELECT 1 FROM block WHERE path = ? AND ts = ?", key).fetchone() is not None:
            return
        file.execute(
            "INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?)",
            (*key, part.number, part.count, received, part.data),
        )
        parts = file.execute(
            "SELECT count, data FROM part WHERE path = ? AND ts = ? ORDER BY number", key
        ).fetchall()
        if len(parts) < part.count:
            return
        file.execute("DELETE FROM part WHERE path = ? AND ts = ?", key)
        whole = b"".join(data for _, data in parts)
        try:
            head = decode(whole)
        except UndecodableError as error:
            why = f"the block of {part.path} came damaged: {error}. Ask again"
            file.execute("UPDATE question SET state = 'lost', why = ? WHERE id = ?", (why, part.id))
            return
        if (head.path, head.ts) == key and part.path.partition("/")[0]:
            file.execute("INSERT INTO block VALUES (?, ?, ?, ?, ?)", (*key, edge, received, whole))

    @staticmethod
    def _settle(file: sqlite3.Connection, question: str) -> None:
        """Once all blocks of a question are here, it is answered."""
        row = file.execute("SELECT * FROM question WHERE id = ?", (question,)).fetchone()
        known = _question(row) if row is not None else None
        if known is None or known.state is not Asked.ARRIVING:
            return
        there = file.execute("SELECT ts FROM block WHERE path = ?", (known.path,)).fetchall()
        if set(known.blocks) <= {ts for (ts,) in there}:
            file.execute("UPDATE question SET state = 'here' WHERE id = ?", (question,))

    # --- blocks ---------------------------------------------------------------------------------------

    def blocks(self, device: str, limit: int) -> list[StoredBlock]:
        """The blocks of a device (of all: empty) that are here, the newest first."""
        with self._transaction() as file:
            rows = file.execute(
                "SELECT path, ts, edge, received, length(data) FROM block"
                " WHERE ? = '' OR substr(path, 1, length(?) + 1) = ? || '/' ORDER BY ts DESC LIMIT ?",
                (device, device, device, limit),
            )
            return [StoredBlock(*row) for row in rows]

    def nearest(self, path: str, ts: int) -> Block | None:
        """The block of a waveform that was taken nearest to a time; None when none is here."""
        with self._transaction() as file:
            row = file.execute(
                "SELECT data FROM block WHERE path = ? ORDER BY abs(ts - ?) LIMIT 1", (path, ts)
            ).fetchone()
        return None if row is None else decode(row[0])

    def prune(self, now: int, max_days: float, max_bytes: int) -> int:
        """Delete what is too old, then the oldest beyond so many bytes; returns how many blocks went."""
        with self._transaction() as file:
            horizon = now - int(max_days * DAY)
            gone = file.execute("DELETE FROM block WHERE received < ?", (horizon,)).rowcount
            file.execute("DELETE FROM part WHERE received < ?", (now - DAY,))
            size = 0
            for path, ts, bytes_ in file.execute(
                "SELECT path, ts, length(data) FROM block ORDER BY received DESC"
            ).fetchall():
                size += bytes_
                if size > max_bytes:
                    gone += file.execute("DELETE FROM block WHERE path = ? AND ts = ?", (path, ts)).rowcount
            return gone


def _question(row: Sequence[object]) -> Question:
    *rest, blocks = row
    return msgspec.convert([*rest, msgspec.json.decode(str(blocks))], _Row, strict=True).question()


class _Row(msgspec.Struct, array_like=True):
    id: str
    edge: str
    path: str
    start: int
    end: int
    most: int
    asked: int
    actor: str
    state: Asked
    oldest: int
    newest: int
    why: str
    blocks: list[int]

    def question(self) -> Question:
        return Question(**msgspec.structs.asdict(self))
