"""The tables of missions, of what vehicles were told, and of handshakes. Inside transactions."""

from __future__ import annotations

import sqlite3

import msgspec
from sqlite_utils import Database, Migrations

from edge.transport.assignments import Assignment
from edge.transport.missions import ENDED, Mission, Order
from protocols.handshake import Handshake

TRANSPORT = Migrations("transport")
KEPT_ENDED = 1000
"""Missions that have ended and are kept, so that none is made twice."""


@TRANSPORT(name="0001_transport")
def _transport(db: Database) -> None:
    """One row for each mission, and for each vehicle's last order."""
    db.conn.execute(
        """CREATE TABLE mission (
            id TEXT PRIMARY KEY, ended INTEGER NOT NULL, created INTEGER NOT NULL, value BLOB NOT NULL
        )"""
    )
    db.conn.execute("CREATE TABLE vehicle_order (device TEXT PRIMARY KEY, value BLOB NOT NULL)")


@TRANSPORT(name="0002_handshakes")
def _handshakes(db: Database) -> None:
    """One row for each handshake that goes on."""
    db.conn.execute("CREATE TABLE handshake (id TEXT PRIMARY KEY, value BLOB NOT NULL)")


@TRANSPORT(name="0003_assignments")
def _assignments(db: Database) -> None:
    """One row for each vehicle that is told missions through tags."""
    db.conn.execute("CREATE TABLE assignment (device TEXT PRIMARY KEY, value BLOB NOT NULL)")


_encode = msgspec.msgpack.Encoder().encode
_mission = msgspec.msgpack.Decoder(Mission)
_order = msgspec.msgpack.Decoder(Order)
_handshake = msgspec.msgpack.Decoder(Handshake)
_assignment = msgspec.msgpack.Decoder(Assignment)


def load(db: sqlite3.Connection) -> tuple[dict[str, Mission], dict[str, Order]]:
    """Missions by id, oldest first, and orders by device."""
    missions = [
        _mission.decode(value) for (value,) in db.execute("SELECT value FROM mission ORDER BY created")
    ]
    orders = [_order.decode(value) for (value,) in db.execute("SELECT value FROM vehicle_order")]
    return {each.id: each for each in missions}, {each.device: each for each in orders}


def keep_missions(db: sqlite3.Connection, missions: list[Mission]) -> None:
    """Write missions as they are now; of those that ended only the newest are kept."""
    db.executemany(
        "INSERT INTO mission VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET ended=excluded.ended, value=excluded.value",
        [(each.id, each.state in ENDED, each.created, _encode(each)) for each in missions],
    )
    db.execute(
        "DELETE FROM mission WHERE ended AND id NOT IN "
        "(SELECT id FROM mission WHERE ended ORDER BY created DESC LIMIT ?)",
        (KEPT_ENDED,),
    )


def keep_order(db: sqlite3.Connection, order: Order) -> None:
    """Write what a vehicle is about to be told."""
    db.execute(
        "INSERT INTO vehicle_order VALUES (?, ?) ON CONFLICT DO UPDATE SET value=excluded.value",
        (order.device, _encode(order)),
    )


def load_handshakes(db: sqlite3.Connection) -> dict[str, Handshake]:
    """Handshakes whose missions or stations still need them, by id."""
    found = [
        _handshake.decode(value) for (value,) in db.execute("SELECT value FROM handshake ORDER BY rowid")
    ]
    return {each.id: each for each in found}


def keep_handshakes(db: sqlite3.Connection, handshakes: list[Handshake], gone: list[str]) -> None:
    """Write handshakes as they are now, and forget others by id."""
    db.executemany(
        "INSERT INTO handshake VALUES (?, ?) ON CONFLICT DO UPDATE SET value=excluded.value",
        [(each.id, _encode(each)) for each in handshakes],
    )
    db.executemany("DELETE FROM handshake WHERE id = ?", [(name,) for name in gone])


def load_assignments(db: sqlite3.Connection) -> dict[str, Assignment]:
    """The newest of each vehicle behind tags, by device."""
    found = [_assignment.decode(value) for (value,) in db.execute("SELECT value FROM assignment")]
    return {each.device: each for each in found}


def keep_assignment(db: sqlite3.Connection, assignment: Assignment) -> None:
    """Write what a vehicle is told, before it is."""
    db.execute(
        "INSERT INTO assignment VALUES (?, ?) ON CONFLICT DO UPDATE SET value=excluded.value",
        (assignment.device, _encode(assignment)),
    )
