"""What an edge remembers of its devices over a restart: open stops, standing alarms, until when it has read.

Kept in the transaction that puts the events or samples behind it on disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

from protocols.states import AlarmChanged, Event, StopClosed, StopOpened


@dataclass(frozen=True, slots=True)
class Remembered:
    """Stops (stop, device, workcell, since), alarms (id: text) and last read by device; times in µs UTC."""

    stops: list[tuple[str, str, str, int]] = field(default_factory=list)
    alarms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    read: Mapping[str, int] = field(default_factory=dict)


def remember(db: sqlite3.Connection, events: list[Event]) -> None:
    """Remember which stops and alarms stand after these events."""
    for event in events:
        match event:
            case StopOpened():
                row = (event.stop, event.device, event.workcell, event.ts)
                db.execute("INSERT OR REPLACE INTO open_stop VALUES (?, ?, ?, ?)", row)
            case StopClosed():
                db.execute("DELETE FROM open_stop WHERE stop = ?", (event.stop,))
            case AlarmChanged(active=True):
                alarm = (event.device, event.alarm, event.text)
                db.execute("INSERT OR REPLACE INTO standing_alarm VALUES (?, ?, ?)", alarm)
            case AlarmChanged():
                alarm_key = (event.device, event.alarm)
                db.execute("DELETE FROM standing_alarm WHERE device = ? AND alarm = ?", alarm_key)


def keep_read(db: sqlite3.Connection, read: Mapping[str, int]) -> None:
    """Keep until when (µs UTC) devices have been read."""
    db.executemany("INSERT OR REPLACE INTO read_until VALUES (?, ?)", list(read.items()))


def remembered(db: sqlite3.Connection) -> Remembered:
    """What the last run of this edge left."""
    alarms: dict[str, dict[str, str]] = {}
    for device, alarm, text in db.execute("SELECT device, alarm, text FROM standing_alarm"):
        alarms.setdefault(device, {})[alarm] = text
    return Remembered(
        db.execute("SELECT stop, device, workcell, since FROM open_stop ORDER BY stop").fetchall(),
        alarms,
        dict(db.execute("SELECT device, ts FROM read_until")),
    )
