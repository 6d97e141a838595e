"""The lives in the edge's file: what was remembered before a stretch, and its rows one by one, so that every
row costs the disk a few hundred bytes. Inside transactions of the Store.
"""

from __future__ import annotations

import sqlite3

import msgspec
from sqlite_utils import Database, Migrations

from protocols.prognostics import lifeline
from protocols.prognostics.lifeline import Score, Stretch
from protocols.prognostics.rows import Row

LIFE = Migrations("life")


@LIFE(name="0001_lives")
def _lives(db: Database) -> None:
    """One life for each asset: under which model, since when, and the stretch it is in."""
    db.conn.execute(
        """CREATE TABLE life (
            asset TEXT PRIMARY KEY, model TEXT NOT NULL, since INTEGER NOT NULL, stretch BLOB NOT NULL,
            unfinished BLOB NOT NULL
        ) WITHOUT ROWID"""
    )
    db.conn.execute(
        """CREATE TABLE life_row (
            asset TEXT NOT NULL, place INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (asset, place)
        ) WITHOUT ROWID"""
    )
    db.conn.execute("CREATE TABLE life_since (asset TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID")


class Unfinished(msgspec.Struct, frozen=True):
    """What an assembler has of the row that is not closed yet, and rows that were not scored yet."""

    remembered: bytes = b""
    due: list[Row] = []


_encode = msgspec.msgpack.Encoder().encode
_unfinished = msgspec.msgpack.Decoder(Unfinished).decode
_decode = msgspec.msgpack.Decoder(tuple[Row, Score]).decode


def load(db: sqlite3.Connection, asset: str, model: str, since: int) -> tuple[Stretch, Unfinished] | None:
    """The stretch that a life is in, and what comes; None where it was another model's or an earlier life."""
    found = db.execute(
        "SELECT stretch, unfinished FROM life WHERE asset = ? AND model = ? AND since = ?",
        (asset, model, since),
    ).fetchone()
    if found is None:
        return None
    stretch = lifeline.unpacked(found[0])
    for (data,) in db.execute("SELECT data FROM life_row WHERE asset = ? ORDER BY place", (asset,)):
        row, score = _decode(data)
        stretch.rows.append(row)
        stretch.scores.append(score)
    return stretch, _unfinished(found[1])


def begin(db: sqlite3.Connection, asset: str, model: str, since: int, stretch: Stretch) -> None:
    """A stretch begins: what was remembered before its rows, which are kept by :func:`add`."""
    db.execute("DELETE FROM life_row WHERE asset = ?", (asset,))
    before = lifeline.packed(Stretch(stretch.history))
    rows = (asset, model, since, before, _encode(Unfinished()))
    db.execute("INSERT OR REPLACE INTO life VALUES (?, ?, ?, ?, ?)", rows)


def add(db: sqlite3.Connection, asset: str, place: int, row: Row, score: Score) -> None:
    """One more row of the stretch."""
    db.execute("INSERT OR REPLACE INTO life_row VALUES (?, ?, ?)", (asset, place, _encode((row, score))))


def leave(db: sqlite3.Connection, asset: str, unfinished: Unfinished) -> None:
    """What is not finished yet, to go on with after a restart."""
    db.execute("UPDATE life SET unfinished = ? WHERE asset = ?", (_encode(unfinished), asset))


def renewed(db: sqlite3.Connection) -> dict[str, int]:
    """Since when each asset is as new (µs UTC), where that was ever said here."""
    return dict(db.execute("SELECT asset, since FROM life_since"))


def renew(db: sqlite3.Connection, asset: str, since: int) -> None:
    """An asset is as new since a time."""
    db.execute("INSERT OR REPLACE INTO life_since VALUES (?, ?)", (asset, since))
