"""What a station needs of whoever looks after its machines: see ``edge.control``."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Protocol

from edge.station.commands import ControlCommand
from edge.station.refusals import Refusal
from edge.station.station_view import ControlView
from protocols.actions import Action, Event
from protocols.jobs import JobList


class Control(Protocol):
    """What people do to the machines of the stations: see ``edge.control``."""

    def load(self, db: sqlite3.Connection) -> None:
        """Read what was committed."""

    def decide(self, station: str, command: ControlCommand, now: int) -> list[Event]:
        """The events of a command; raises Refusal or IllegalTransitionError."""

    def stage(self, actions: Sequence[Action]) -> Callable[[sqlite3.Connection], Callable[[], None]] | None:
        """What actions change: a function that writes it and gives the one that makes it so once it is on
        disk; None when they change nothing."""

    def receive(self, jobs: JobList) -> Callable[[sqlite3.Connection], Callable[[], None]] | None:
        """Take the maintenance orders of a job list; otherwise as :meth:`stage`."""

    def locked(self, station: str) -> Refusal | None:
        """Why no run may begin at a station."""

    def view(self, station: str) -> tuple[ControlView, ...]:
        """The machines of a station."""


class NoControl:
    """Of stations without machines."""

    def load(self, db: sqlite3.Connection) -> None:
        return None

    def decide(self, station: str, command: ControlCommand, now: int) -> list[Event]:
        raise Refusal("not-here", device=getattr(command, "device", "-"), station=station)

    def stage(self, actions: Sequence[Action]) -> Callable[[sqlite3.Connection], Callable[[], None]] | None:
        return None

    def receive(self, jobs: JobList) -> Callable[[sqlite3.Connection], Callable[[], None]] | None:
        return None

    def locked(self, station: str) -> Refusal | None:
        return None

    def view(self, station: str) -> tuple[ControlView, ...]:
        return ()
