"""Transport of one edge: what the job lists need carried, kept on disk, handed to a carrier."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import structlog

from edge.outbox.store import OutboxFullError, Store
from edge.station.commands import RaiseAndon
from edge.station.refusals import Refusal
from edge.station.stations import Stations
from edge.transport import journal
from edge.transport.missions import ENDED, MOST_OPEN, Mission, MissionEvent, MissionState, wanted
from edge.transport.port import Carrier
from protocols.clock import Clock
from protocols.handshake import Handshake
from protocols.lifecycle import IllegalTransitionError

log = structlog.get_logger(__name__)

LOOK = 0.25
"""Seconds between two steps of the carrier."""
LISTS = 4
"""Steps between two looks at the job lists."""
ACTOR = "transport"
"""Who calls a person when a carrier gave a mission up."""


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
    _late: list[tuple[Handshake, str]] = field(default_factory=list, init=False)

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
                await self._call(mission.drop, f"mission:{mission.id}", note)
        late, self._late = self._late, []
        for handshake, reason in late:
            about = f"handshake:{handshake.id}:{handshake.step}:{handshake.since}"
            await self._call(handshake.workcell, about, f"{handshake.device}: {reason}")

    def late(self, handshake: Handshake, reason: str) -> None:
        """A handshake stands still: a person is called with the next step."""
        self._late.append((handshake, reason))

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

    async def _call(self, workcell: str, about: str, note: str) -> None:
        """A person looks where the load is: nobody else knows. ``about`` makes it one call."""
        if not self.topic:
            return
        name = f"transport-{blake2b(about.encode(), digest_size=12).hexdigest()}"
        command = RaiseAndon(id=name, actor=ACTOR, topic=self.topic, note=note[:200])
        try:
            await self.stations.perform(workcell, command)
        except (Refusal, IllegalTransitionError, KeyError) as error:
            log.warning("transport.nobody_called", about=about, reason=str(error))
