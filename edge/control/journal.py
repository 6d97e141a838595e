"""The table of locks, accepted firmware, commands and maintenance in the edge's file. Inside transactions of
the Store.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec
from sqlite_utils import Database, Migrations

from edge.control.controls import Controls, Lock, MachineCommand
from edge.control.upkeep import Begun, Upkeep
from protocols.jobs import MaintenanceOrder

CONTROL = Migrations("control")


@CONTROL(name="0001_control")
def _control(db: Database) -> None:
    """One row for each lock that is not free, each machine's accepted firmware, each command."""
    db.conn.execute(
        """CREATE TABLE control (
            kind TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, name)
        )"""
    )


_encode = msgspec.msgpack.Encoder().encode
_lock = msgspec.msgpack.Decoder(Lock)
_versions = msgspec.msgpack.Decoder(tuple[str, ...])
_command = msgspec.msgpack.Decoder(MachineCommand)
_order = msgspec.msgpack.Decoder(MaintenanceOrder)
_begun = msgspec.msgpack.Decoder(Begun)
_revision = msgspec.msgpack.Decoder(int)
_KINDS = ("lock", "firmware", "command", "order", "begun", "ended")


def load(db: sqlite3.Connection) -> Controls:
    """Everything as it was last committed."""
    rows: dict[str, list[tuple[str, bytes]]] = {kind: [] for kind in _KINDS}
    for kind, name, value in db.execute("SELECT kind, name, value FROM control ORDER BY rowid"):
        rows.setdefault(kind, []).append((name, value))
    commands = sorted((_command.decode(value) for _, value in rows["command"]), key=lambda c: c.intended)
    return Controls(
        {name: _lock.decode(value) for name, value in rows["lock"]},
        {name: _versions.decode(value) for name, value in rows["firmware"]},
        {command.id: command for command in commands},
        Upkeep(
            {name: _order.decode(value) for name, value in rows["order"]},
            {name: _begun.decode(value) for name, value in rows["begun"]},
            {name: _revision.decode(value) for name, value in rows["ended"]},
        ),
    )


def keep(db: sqlite3.Connection, before: Controls, after: Controls) -> None:
    """Write what differs."""
    old, new = dict(_rows(before)), dict(_rows(after))
    gone = [key for key in old if key not in new]
    db.executemany("DELETE FROM control WHERE kind=? AND name=?", gone)
    changed = [(*key, _encode(value)) for key, value in new.items() if old.get(key) is not value]
    db.executemany(
        "INSERT INTO control VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value=excluded.value", changed
    )


def _rows(controls: Controls) -> Iterator[tuple[tuple[str, str], object]]:
    yield from ((("lock", name), lock) for name, lock in controls.locks.items())
    yield from ((("firmware", name), versions) for name, versions in controls.firmware.items())
    yield from ((("command", name), command) for name, command in controls.commands.items())
    yield from ((("order", name), order) for name, order in controls.upkeep.orders.items())
    yield from ((("begun", name), begun) for name, begun in controls.upkeep.begun.items())
    yield from ((("ended", name), revision) for name, revision in controls.upkeep.ended.items())
