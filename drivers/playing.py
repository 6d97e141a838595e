"""Recordings played on simulated machines: by the clock, or row by row with none passed over."""

from __future__ import annotations

from typing import Protocol

from drivers.replay import Recording
from drivers.simulator import ProfileServer

LATE_S = 0.1
"""Seconds that a row may be shown for less because the one before it stood longer."""


class Player(Protocol):
    """Plays one recording on one machine."""

    def step(self, seconds: float) -> bool:
        """Show what is due so long after the start; False from the end of the recording on."""


class ByClock:
    """What was recorded so long after the start; rows that nobody reads in time are passed over."""

    def __init__(self, server: ProfileServer, recording: Recording, speed: float, *, loop: bool) -> None:
        self._server, self._recording, self._speed, self._loop = server, recording, speed, loop

    def step(self, seconds: float) -> bool:
        values = self._recording.values(seconds * self._speed, loop=self._loop)
        if values is not None:
            self._server.update(values)
        return values is not None


class RowByRow:
    """One row after the other: each stands for its time, and until all of it has been read.

    Whoever reads the machine gets the recording row for row, however slow or busy they are. An empty cell is
    a value that the machine has not.
    """

    def __init__(self, server: ProfileServer, recording: Recording, speed: float, *, loop: bool) -> None:
        self._server, self._recording, self._speed, self._loop = server, recording, speed, loop
        self._shown = -1
        self._ends = 0.0

    def step(self, seconds: float) -> bool:
        if self._shown >= 0 and (seconds < self._ends or self._server.unread(self._recording.tags)):
            return True
        if self._shown + 1 == len(self._recording.rows):
            if not self._loop:
                return False
            self._shown = -1
        self._shown += 1
        row = self._recording.rows[self._shown]
        for name in self._recording.tags:
            if name in row:
                self._server.set(name, row[name])
            else:
                self._server.blank(name)
        begins = max(self._ends, seconds - LATE_S)  # what a step came late does not add up
        self._ends = begins + self._recording.stands(self._shown) / self._speed
        return True
