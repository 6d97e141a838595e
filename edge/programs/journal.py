"""Which edits made at machines have been told, in the edge's file: each is told once, restarts included."""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

PROGRAMS = Migrations("programs")


@PROGRAMS(name="0001_told_edits")
def _told_edits(db: Database) -> None:
    """One row for each program that was found edited: the hash that people were told of."""
    db.conn.execute(
        """CREATE TABLE told_edit (
            device TEXT NOT NULL, name TEXT NOT NULL, found TEXT NOT NULL, PRIMARY KEY (device, name)
        )"""
    )


def load(db: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """Hashes by device and the program's name at the machine."""
    return {(device, name): found for device, name, found in db.execute("SELECT * FROM told_edit")}


def keep(db: sqlite3.Connection, device: str, name: str, found: str) -> None:
    """An edit was told; with an empty hash it is gone, and the next one is told again."""
    if found:
        db.execute(
            "INSERT INTO told_edit VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET found=excluded.found",
            (device, name, found),
        )
    else:
        db.execute("DELETE FROM told_edit WHERE device=? AND name=?", (device, name))
