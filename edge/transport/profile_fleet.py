"""Vehicles, or a fleet's manager, that take missions through tags: Modbus, OPC UA, any driver with the roles.

Every write goes the way of all writes: a command in the edge's journal, decided by control, sent at most once
through the driver's gate. A lock, a foreign firmware, the profile's rules stop it there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from msgspec.structs import replace

from drivers.profile.profile import AnyProfile
from edge.control.controls import MachineCommand
from edge.outbox.store import Store
from edge.station.commands import WriteMachine
from edge.station.refusals import Refusal
from edge.station.stations import Stations
from edge.transport import journal
from edge.transport.assignments import ANSWER, Assignment, Stage, StageEvent, Step, after_look, after_write
from edge.transport.calls import ACTOR
from edge.transport.missions import Mission, MissionEvent
from edge.transport.port import Report
from edge.transport.registers import WRITTEN, Says, Word, next_number, says
from edge.transport.stations import numbered
from protocols.clock import Clock
from protocols.fleet import MIN_BATTERY
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import CommandState
from protocols.site_graph import SiteGraph
from protocols.values import MICROSECONDS, Value

log = structlog.get_logger(__name__)

EXPIRES = 10
"""Seconds after which a write that has not been sent is not sent any more."""
PAUSE = 30 * MICROSECONDS
"""µs until a vehicle that did not take a mission is offered one again."""
SETTLED = 1 * MICROSECONDS
"""µs that an end must stand: number and state may come from two looks at the vehicle."""

_REPORTED = {
    Stage.DONE: MissionEvent.FINISH,
    Stage.FAILED: MissionEvent.FAIL,
    Stage.RETURNED: MissionEvent.RETURN,
}


class Vehicles(Protocol):
    """The vehicles of the edge, and what became of commands to them."""

    def values(self, device: str, tags: Collection[str]) -> Mapping[str, Value]:
        """The newest good values; nothing of a device that is away."""

    def refuses(self, device: str) -> str:
        """Why nothing may be done to it; empty when it is free."""

    def command(self, name: str) -> MachineCommand | None:
        """A command by its id, as long as it is remembered."""


@dataclass(slots=True)
class ProfileFleet:
    """A :class:`edge.transport.port.Carrier`.

    Args:
        profiles: by device, each of a vehicle that is told missions.
        stations: through which commands go.
        workcells: of this edge.
        assignments: the newest of each vehicle, as they were kept.
    """

    graph: SiteGraph
    profiles: Mapping[str, AnyProfile]
    vehicles: Vehicles
    stations: Stations
    store: Store
    clock: Clock
    assignments: dict[str, Assignment] = field(default_factory=dict)
    _missions: dict[str, Mission] = field(default_factory=dict, init=False)
    """What each vehicle carries, by device."""
    _not_before: dict[str, int] = field(default_factory=dict, init=False)
    _seen: dict[str, tuple[Step, int]] = field(default_factory=dict, init=False)

    async def step(self, waiting: Sequence[Mission], report: Report) -> None:
        """See :class:`edge.transport.port.Carrier`."""
        reach = numbered(self.graph)
        left = [mission for mission in waiting if mission.pick in reach and mission.drop in reach]
        for device in self.profiles:
            if device in self._missions:
                await self._go_on(self.assignments[device], report)
            elif left and self._is_free(device):
                mission = left.pop(0)
                await self._take(device, mission)
                report(mission, MissionEvent.TAKE, device, "")

    def resume(self, missions: Mapping[str, Mission]) -> None:
        """Missions that were under way when the edge went down, and are this carrier's."""
        for known in self.assignments.values():
            mission = missions.get(known.mission)
            if mission is not None and mission.device == known.device and known.device in self.profiles:
                self._missions[known.device] = mission

    # --- inside -----------------------------------------------------------------------------------------

    def _says(self, device: str) -> Says:
        profile = self.profiles[device]
        return says(profile, self.vehicles.values(device, profile.tags))

    def _is_free(self, device: str) -> bool:
        if self.vehicles.refuses(device) or self.clock.now() < self._not_before.get(device, 0):
            return False
        now = self._says(device)
        if now.enabled is not True or now.word not in (Word.IDLE, Word.DONE, Word.FAILED, Word.REFUSED):
            return False
        return now.battery is None or now.battery >= MIN_BATTERY

    async def _take(self, device: str, mission: Mission) -> None:
        """On disk before the vehicle hears of it."""
        before = self.assignments.get(device)
        number = next_number(
            self.profiles[device], before.number if before is not None else 0, self._says(device).mission
        )
        self._missions[device] = mission
        await self._keep(Assignment(device, mission.id, number, self.clock.now()))
        log.info("transport.told", device=device, mission=mission.id, number=number)

    async def _go_on(self, known: Assignment, report: Report) -> None:
        now = self.clock.now()
        if known.stage is Stage.TELLING:
            step = await self._tell(known, now)
        elif known.ended:  # the edge went down between this and the mission's end
            step = None
            self._end(known, report)
        else:
            step = self._stands(known.device, after_look(known, self._says(known.device), now), now)
        if step is None:
            return
        event, reason = step
        after = known.after(event, now, reason)
        await self._keep(after)
        if after.ended:
            self._end(after, report)

    def _end(self, known: Assignment, report: Report) -> None:
        mission = self._missions.pop(known.device)
        self._seen.pop(known.device, None)
        if known.stage is Stage.RETURNED:
            self._not_before[known.device] = self.clock.now() + PAUSE
        device = "" if known.stage is Stage.RETURNED else known.device
        report(mission, _REPORTED[known.stage], device, known.reason)

    def _stands(self, device: str, step: Step, now: int) -> Step:
        """A step that the vehicle has shown for long enough."""
        if step is None or step[0] is StageEvent.TAKE_UP:
            self._seen.pop(device, None)
            return step
        before, since = self._seen.get(device, (None, now))
        self._seen[device] = (step, since if before == step else now)
        return step if before == step and now - since >= SETTLED else None

    async def _tell(self, known: Assignment, now: int) -> Step:
        """One write after the other, each a command of its own; after a restart they are found again."""
        name, last = known.command, known.written == len(WRITTEN) - 1
        command = self.vehicles.command(name)
        if command is None:
            return await self._ask(known, name, now)
        step = after_write(command.state, command.detail, last=last, waited=now - command.intended)
        if step is None and command.state is CommandState.DONE:
            await self._keep(replace(known, written=known.written + 1))
        return step

    async def _ask(self, known: Assignment, name: str, now: int) -> Step:
        """Give the command of the next write, through the station that waits for the load."""
        mission, profile = self._missions[known.device], self.profiles[known.device]
        pick, drop = (self.graph.stations.get(cell) for cell in (mission.pick, mission.drop))
        values = (pick and pick.number, drop and drop.number, known.number)
        tag, value = profile.tag_with(WRITTEN[known.written]), values[known.written]
        if tag is None or value is None:
            return StageEvent.RETURN, f"the profile of {known.device} or the site graph has changed"
        command = WriteMachine(
            id=name, actor=ACTOR, device=known.device, tag=tag, value=value, seconds=EXPIRES
        )
        try:
            receipt = await self.stations.perform(mission.drop, command)
        except (Refusal, IllegalTransitionError, KeyError) as refusal:
            return StageEvent.RETURN, str(refusal)
        if receipt.repeated:  # so long ago that nobody remembers what became of it
            last = known.written == len(WRITTEN) - 1
            return after_write(CommandState.UNKNOWN, "its write is forgotten", last=last, waited=ANSWER + 1)
        return None

    async def _keep(self, assignment: Assignment) -> None:
        await self.store.run(lambda db: journal.keep_assignment(db, assignment))
        self.assignments[assignment.device] = assignment
