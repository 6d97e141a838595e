"""The lives in the edge's file: what was remembered before a stretch, and its rows one by one, so that every
row costs the disk a few hundred bytes; and the models that the service sent. Inside transactions of the
Store.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlite_utils import Database, Migrations

from protocols.packing import pack, unpack
from protocols.prognostics import lifeline
from protocols.prognostics.deployment import Part
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


@LIFE(name="0002_models_of_the_service")
def _models(db: Database) -> None:
    """Files of models part by part as they came, and which machine is scored with which of them."""
    db.conn.execute(
        """CREATE TABLE life_file (
            sha256 TEXT NOT NULL, number INTEGER NOT NULL, count INTEGER NOT NULL, data BLOB NOT NULL,
            PRIMARY KEY (sha256, number)
        )"""
    )
    db.conn.execute(
        """CREATE TABLE life_model (
            device TEXT PRIMARY KEY, asset TEXT NOT NULL, sha256 TEXT NOT NULL, since INTEGER NOT NULL
        ) WITHOUT ROWID"""
    )


class Kept(NamedTuple):
    """A machine that is scored with a model of the service, since a time (µs UTC)."""

    device: str
    asset: str
    sha256: str
    since: int


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
    """A stretch begins: what was remembered before its rows, and those it has; more come by :func:`add`."""
    db.execute("DELETE FROM life_row WHERE asset = ?", (asset,))
    before = lifeline.packed(Stretch(stretch.history))
    rows = (asset, model, since, before, _encode(Unfinished()))
    db.execute("INSERT OR REPLACE INTO life VALUES (?, ?, ?, ?, ?)", rows)
    for place, (row, score) in enumerate([*zip(stretch.rows, stretch.scores, strict=False)]):
        add(db, asset, place, row, score)


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


# --- models of the service ----------------------------------------------------------------------------


def keep_part(db: sqlite3.Connection, part: Part) -> None:
    """Keep a part of a file as it came; one that is there stays."""
    row = part.sha256, part.number, part.count, pack(part.data)
    db.execute("INSERT OR IGNORE INTO life_file VALUES (?, ?, ?, ?)", row)


def missing(db: sqlite3.Connection, sha256: str) -> bool:
    """Whether a part of a file has not come yet."""
    query = "SELECT count(*), max(count) FROM life_file WHERE sha256 = ?"
    here, wanted = db.execute(query, (sha256,)).fetchone()
    return not here or bool(here < wanted)


def file(db: sqlite3.Connection, sha256: str) -> bytes:
    """All of a file that is here; raises UndecodableError where the disk changed it."""
    query = "SELECT data FROM life_file WHERE sha256 = ? ORDER BY number"
    return b"".join(unpack(data) for (data,) in db.execute(query, (sha256,)))


def forget_file(db: sqlite3.Connection, sha256: str) -> None:
    """It is of no use."""
    db.execute("DELETE FROM life_file WHERE sha256 = ?", (sha256,))


def models(db: sqlite3.Connection) -> list[Kept]:
    """What the service's models score."""
    query = "SELECT device, asset, sha256, since FROM life_model ORDER BY device"
    return [Kept(*row) for row in db.execute(query)]


def keep_models(db: sqlite3.Connection, kept: Sequence[Kept], wanted: Sequence[str]) -> None:
    """These score and no others; files of others go unless they are ``wanted``."""
    db.execute("DELETE FROM life_model")
    db.executemany("INSERT INTO life_model VALUES (?, ?, ?, ?)", kept)
    needed = {*wanted, *(one.sha256 for one in kept)}
    for (sha256,) in db.execute("SELECT DISTINCT sha256 FROM life_file").fetchall():
        if sha256 not in needed:
            forget_file(db, sha256)
