"""The port to what carries missions: our VDA 5050 fleet, a maker's fleet manager, an AGV behind registers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from edge.transport.missions import Mission, MissionEvent

Report = Callable[[Mission, MissionEvent, str, str], None]
"""Told of a mission: the event, the carrier's device and the reason."""


class Carrier(Protocol):
    """Carries missions. :meth:`step` is called a few times a second."""

    async def step(self, waiting: Sequence[Mission], report: Report) -> None:
        """Take of what waits what can be carried, go on with what is under way, report what became of it."""
