"""The tables of the edge's file that every edge has: outbox, counters, tag numbers.

Other parts bring migration sets of their own. A set is only ever appended to.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

EDGE = Migrations("edge")


@EDGE(name="0001_outbox")
def _outbox(db: Database) -> None:
    """Streams, batches (their blobs apart, so that sealing a row does not rewrite its bytes), counters."""
    for statement in (
        """CREATE TABLE stream (
            id INTEGER PRIMARY KEY AUTOINCREMENT, uuid BLOB NOT NULL UNIQUE, opened INTEGER NOT NULL
        )""",
        """CREATE TABLE sequence (
            stream INTEGER NOT NULL REFERENCES stream(id) ON DELETE CASCADE,
            lane TEXT NOT NULL, last INTEGER NOT NULL,
            PRIMARY KEY (stream, lane)
        ) WITHOUT ROWID""",
        """CREATE TABLE batch (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            lane TEXT NOT NULL,
            stream INTEGER REFERENCES stream(id),
            seq INTEGER,
            serial INTEGER,
            digest BLOB NOT NULL,
            count INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            first_ts INTEGER NOT NULL,
            last_ts INTEGER NOT NULL,
            thinned INTEGER NOT NULL DEFAULT 0,
            historical INTEGER NOT NULL DEFAULT 0,
            CHECK ((stream IS NULL) = (seq IS NULL) AND (seq IS NULL) = (serial IS NULL))
        )""",
        "CREATE UNIQUE INDEX batch_key ON batch(stream, lane, seq) WHERE seq IS NOT NULL",
        "CREATE UNIQUE INDEX batch_serial ON batch(serial) WHERE serial IS NOT NULL",
        "CREATE INDEX batch_unsealed ON batch(lane, thinned, id) WHERE seq IS NULL",
        "CREATE INDEX batch_size ON batch(lane, id, count, bytes, last_ts)",
        """CREATE TABLE blob (
            id INTEGER PRIMARY KEY REFERENCES batch(id) ON DELETE CASCADE, data BLOB NOT NULL
        )""",
        "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    ):
        db.conn.execute(statement)


@EDGE(name="0002_tag_numbers")
def _tag_numbers(db: Database) -> None:
    """AUTOINCREMENT, because a number is never used for a second meaning."""
    db.conn.execute(
        """CREATE TABLE tag_number (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            path TEXT NOT NULL, type TEXT NOT NULL, unit TEXT NOT NULL,
            UNIQUE (path, type, unit)
        )"""
    )


@EDGE(name="0003_open_stops")
def _open_stops(db: Database) -> None:
    """Stops that were opened and not closed, so that a restart can close them."""
    db.conn.execute(
        """CREATE TABLE open_stop (
            stop TEXT PRIMARY KEY, device TEXT NOT NULL, workcell TEXT NOT NULL, since INTEGER NOT NULL
        ) WITHOUT ROWID"""
    )


@EDGE(name="0004_catalogues")
def _catalogues(db: Database) -> None:
    """Catalogues that batches refer to, until nobody can ask for them any more."""
    db.conn.execute("CREATE TABLE catalogue (hash BLOB PRIMARY KEY, ts INTEGER NOT NULL, data BLOB NOT NULL)")


@EDGE(name="0005_standing_alarms")
def _standing_alarms(db: Database) -> None:
    """Alarms that were told and are not over, so that one that ended while the edge was down can end."""
    db.conn.execute(
        """CREATE TABLE standing_alarm (
            device TEXT NOT NULL, alarm TEXT NOT NULL, text TEXT NOT NULL,
            PRIMARY KEY (device, alarm)
        ) WITHOUT ROWID"""
    )


@EDGE(name="0006_read_until")
def _read_until(db: Database) -> None:
    """Until when (µs UTC) everything a device gave is on disk: from there its own record is read back."""
    db.conn.execute("CREATE TABLE read_until (device TEXT PRIMARY KEY, ts INTEGER NOT NULL) WITHOUT ROWID")
