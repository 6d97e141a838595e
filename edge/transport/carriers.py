"""Several carriers as one: what the first did not take the next may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.transport.missions import Mission, MissionEvent
from edge.transport.port import Carrier, Report


@dataclass(frozen=True, slots=True)
class Carriers:
    """Asks each in its order."""

    carriers: Sequence[Carrier]

    async def step(self, waiting: Sequence[Mission], report: Report) -> None:
        """See :class:`edge.transport.port.Carrier`."""
        taken: set[str] = set()

        def told(mission: Mission, event: MissionEvent, device: str, reason: str) -> None:
            if event is MissionEvent.TAKE:
                taken.add(mission.id)
            report(mission, event, device, reason)

        for carrier in self.carriers:
            await carrier.step([each for each in waiting if each.id not in taken], told)
