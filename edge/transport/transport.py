"""Transport of one edge: what the job lists need carried, kept on disk, handed to a carrier."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from edge.outbox.store import OutboxFullError, Store
from edge.station.stations import Stations
from edge.transport import journal
from edge.transport.calls import Calls
from edge.transport.missions import ENDED, MOST_OPEN, Mission, MissionEvent, MissionState, wanted
from edge.transport.port import Carrier
from protocols.clock import Clock
from protocols.handshake import Handshake

log = structlog.get_logger(__name__)

LOOK = 0.25
"""Seconds between two steps of the carrier."""
LISTS = 4
"""Steps between two looks at the job lists."""


@dataclass(slots=True)
class Transport:
    """All missions of one edge. :meth:`run` until cancelled, once the stations are open."""

    stations: Stations
    workcells: Sequence[str]
    served: Sequence[str]
    """Workcells that have a station."""
    carrier: Carrier
    store: Store
    clock: Clock
    locked: Callable[[str], bool] = lambda _: False
    """Whether somebody works with their hands at a machine of a workcell: nothing is brought there."""
    topic: str = ""
    """Andon topic of a mission that failed; empty when the site has none."""
    missions: dict[str, Mission] = field(default_factory=dict)
    _changed: list[Mission] = field(default_factory=list, init=False)
    holds: Callable[[Handshake], bool] = lambda _: True
    """Whether a handshake still stands where it was."""
    calls: Calls = field(init=False)

    def __post_init__(self) -> None:
        self.calls = Calls(self.stations, self.topic)

    async def run(self) -> None:
        """Work until cancelled."""
        turn = 0
        while True:
            try:
                await self.step(look=turn % LISTS == 0)
            except OutboxFullError as error:
                log.error("transport.disk_full", error=str(error))
            turn += 1
            await asyncio.sleep(LOOK)

    async def step(self, *, look: bool = True) -> None:
        """One round: what is new is on disk before it is carried."""
        if look:
            await self._keep(list(self._news()))
        waiting = [
            each
            for each in self.missions.values()
            if each.state is MissionState.WAITING and not (self.locked(each.pick) or self.locked(each.drop))
        ]
        await self.carrier.step(waiting, self._report)
        changed, self._changed = self._changed, []
        await self._keep(changed)
        for mission in changed:
            if mission.state is MissionState.FAILED:
                note = f"{mission.device}: {mission.pick} > {mission.drop} ({mission.job}): {mission.reason}"
                self.calls.call(mission.drop, f"mission:{mission.id}", note)
        if look:
            await self.calls.step()

    def late(self, handshake: Handshake, reason: str) -> None:
        """A handshake stands still: a person is called with the next step."""
        about = f"handshake:{handshake.id}:{handshake.step}:{handshake.since}"
        note = f"{handshake.device}: {reason}"
        self.calls.call(handshake.workcell, about, note, lambda: self.holds(handshake))

    def _news(self) -> Iterable[Mission]:
        """Missions that the job lists want and nobody has made, and those that nobody wants any more."""
        queues = [self.stations.view(cell).queue for cell in self.workcells]
        asked = {each.id: each for each in wanted(queues, self.served, self.clock.now())}
        open_now = sum(each.state not in ENDED for each in self.missions.values())
        for name, mission in asked.items():
            if name not in self.missions and open_now < MOST_OPEN:
                open_now += 1
                yield mission
        for mission in self.missions.values():
            if mission.state is MissionState.WAITING and mission.id not in asked:
                yield mission.after(MissionEvent.DROP)

    def _report(self, mission: Mission, event: MissionEvent, device: str, reason: str) -> None:
        known = self.missions.get(mission.id, mission)
        after = known.after(event, device=device, reason=reason)
        self.missions[mission.id] = after
        self._changed.append(after)
        log.info("transport.mission", mission=after.id, state=str(after.state), device=device, reason=reason)

    async def _keep(self, missions: list[Mission]) -> None:
        if not missions:
            return

        def work(db: sqlite3.Connection) -> None:
            journal.keep_missions(db, missions)

        await self.store.run(work)
        self.missions.update({each.id: each for each in missions})
        ended = [each.id for each in self.missions.values() if each.state in ENDED]
        for name in ended[: -journal.KEPT_ENDED]:
            del self.missions[name]
