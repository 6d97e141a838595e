"""What could not be sent to the Sparkplug broker in its time: a bounded file of its own, beside the outbox.

It may be lost without harm to the link: everything in it is also on its way to the cloud.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS late (id INTEGER PRIMARY KEY AUTOINCREMENT, samples INTEGER, blob BLOB);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value INTEGER);
"""
VERSION = 1


class Late(NamedTuple):
    """One stored batch: ``blob`` as of ``protocols.telemetry``."""

    id: int
    samples: int
    blob: bytes


class Backlog:
    """Batches in order of time, at most ``max_bytes`` of them; used from one thread.

    Raises:
        OSError: the file cannot be opened, or a newer version of this program wrote it.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.dropped = 0
        """Samples given up since the start, because the file was full."""
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version <= VERSION:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
                self._db.executescript(_SCHEMA)
                self._db.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}: move the file away, a new one is made") from error
        if version > VERSION:
            self._db.close()
            raise OSError(f"{path} is of version {version}, this program knows {VERSION}: update it")
        self._bytes, self.samples = self._db.execute(
            "SELECT coalesce(sum(length(blob)), 0), coalesce(sum(samples), 0) FROM late"
        ).fetchone()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def append(self, batches: list[tuple[int, bytes]]) -> None:
        """Store batches (samples, blob); the oldest go when there is no room."""
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO late (samples, blob) VALUES (?, ?)", batches)
            self._bytes += sum(len(blob) for _, blob in batches)
            self.samples += sum(samples for samples, _ in batches)
            while self._bytes > self._max_bytes:
                row, samples, size = self._db.execute(
                    "SELECT id, samples, length(blob) FROM late ORDER BY id LIMIT 1"
                ).fetchone()
                self._db.execute("DELETE FROM late WHERE id = ?", (row,))
                self.dropped += samples
                self._bytes -= size
                self.samples -= samples

    def after(self, row: int, limit: int) -> list[Late]:
        """The oldest batches with an id above ``row``."""
        found = self._db.execute(
            "SELECT id, samples, blob FROM late WHERE id > ? ORDER BY id LIMIT ?", (row, limit)
        )
        return [Late(*columns) for columns in found]

    def remove(self, upto: int) -> None:
        """Delete every batch up to an id."""
        with self._db:
            self._db.execute("BEGIN")
            size, samples = self._db.execute(
                "SELECT coalesce(sum(length(blob)), 0), coalesce(sum(samples), 0) FROM late WHERE id <= ?",
                (upto,),
            ).fetchone()
            self._db.execute("DELETE FROM late WHERE id <= ?", (upto,))
            self._bytes -= size
            self.samples -= samples

    def kept(self, name: str) -> int:
        """A number that was kept; 0 when there is none."""
        row = self._db.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else int(row[0])

    def keep(self, name: str, value: int) -> None:
        """Keep a number."""
        self._db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, value))
