"""The stations of an edge: decides with :mod:`edge.station.workcell`, commits, and only then says "accepted".

What a person did, the state it leads to and the action for the cloud are one transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import structlog

from drivers.counting import Count
from edge.outbox.outbox import append_actions, append_states
from edge.outbox.store import OutboxFullError, Store
from edge.station import holds, journal, lease
from edge.station.commands import Command, ControlCommand
from edge.station.control_port import Control, NoControl
from edge.station.refusals import Refusal, from_transition
from edge.station.station_view import Link, Receipt, StationSummary, StationView, shape, view
from edge.station.unassigned import Machine, judge
from edge.station.work import Run, Stop, apply
from edge.station.workcell import Place, Surroundings, Workcell, decide, perform
from protocols import states
from protocols.actions import Action, Event
from protocols.clock import Clock
from protocols.inspection import Held
from protocols.jobs import JobList, ReleaseRequest
from protocols.lifecycle import IllegalTransitionError

log = structlog.get_logger(__name__)

MACHINE = "machine"
"""Actor of what nobody did by hand."""
KEPT_STOPS = 50
TICK_SECONDS = 1.0


class UnknownStationError(KeyError):
    """No station of that id on this edge."""

    def __init__(self, station: str, known: Iterable[str]) -> None:
        super().__init__(station)
        self.station, self.known = station, tuple(known)

    def __str__(self) -> str:
        return f'this edge has no station "{self.station}": it serves {", ".join(self.known)}'


@dataclass(slots=True)
class Stations:
    """All stations of one edge. :meth:`open` loads what was committed; :meth:`run` watches the machines.

    ``link`` tells how far the network carries; ``devices`` names the stations of each device.
    """

    places: Sequence[Place]
    store: Store
    clock: Clock
    link: Callable[[], Link]
    devices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    control: Control = field(default_factory=NoControl)
    _cells: dict[str, Workcell] = field(default_factory=dict, init=False)
    _machines: dict[str, Machine] = field(default_factory=dict, init=False)
    _terminals: dict[str, int] = field(default_factory=dict, init=False)
    _events: dict[str, asyncio.Event] = field(default_factory=dict, init=False)
    _finished: dict[str, str] = field(default_factory=dict, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def open(self) -> None:
        """Load the stations; the store must know the migrations ``edge.station.journal.WORKCELL``."""
        now = self.clock.now()

        def work(db: sqlite3.Connection) -> tuple[list[Workcell], dict[str, str]]:
            journal.prune(db, now)
            self.control.load(db)
            return [journal.load(db, place) for place in self.places], journal.finished(db)

        cells, self._finished = await self.store.run(work, urgent=False)
        for cell in cells:
            self._cells[cell.place.id] = cell
            self._events[cell.place.id] = asyncio.Event()
            self._machines[cell.place.id] = self._machine_of(cell.place.id)

    def devices_changed(self, devices: Mapping[str, Sequence[str]]) -> None:
        """Other devices work for the stations from now on; one that stays keeps what is known of it."""
        self.devices = devices
        for station, machine in self._machines.items():
            if station not in devices.get(machine.device, ()):
                self._machines[station] = self._machine_of(station)

    def _machine_of(self, station: str) -> Machine:
        device = next((d for d, stations in self.devices.items() if station in stations), "")
        return Machine(device=device, since=self.clock.now())

    async def run(self) -> None:
        """Watch for machine activity that nobody booked, until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self.watch()
            except OutboxFullError as error:
                log.error("station.disk_full", error=str(error))

    # --- people ---------------------------------------------------------------------------------------

    async def perform(self, station: str, command: Command) -> Receipt:
        """Decide and commit a command. The same command again gives the same answer, without effect.

        Raises:
            UnknownStationError: no such station.
            Refusal: it is not possible now, or could not be committed; nothing happened.
        """
        self._require(station)
        said = journal.digest(f"{station} {command.model_dump_json()}")
        async with self._lock:
            before = await self.store.read(lambda db: journal.answered(db, command.id))
            if before is not None:
                if before.digest != said:
                    raise Refusal("id-reused", id=command.id)
                return Receipt(command.id, before.ts, before.actions, repeated=True)
            cell = self._cells[station]
            try:
                if isinstance(command, ControlCommand):
                    now = self.clock.now()
                    events = self.control.decide(station, command, now)
                    actions = self._actions(station, events, command.id, actor=command.actor)
                else:
                    actions = decide(cell, command, self._around(station))
            except IllegalTransitionError as error:
                raise from_transition(error) from error
            after = perform(cell, command, actions)
            change = self.control.stage(actions)
            ts = actions[0].ts

            def work(db: sqlite3.Connection) -> None:
                journal.answer(db, command.id, said, ts, actions)
                if change is not None:
                    adopt.append(change(db))

            adopt: list[Callable[[], None]] = []
            try:
                await self._commit({station: after}, actions, also=work)
            except OutboxFullError as error:
                raise Refusal("disk-full", detail=str(error)) from error
            self._adopt(adopt)
        return Receipt(command.id, ts, tuple(action.id for action in actions))

    async def controlled(self, station: str, events: list[Event], name: str, *, actor: str) -> None:
        """What became of a command to a machine, or a step of it that no action tells: on disk on return.

        Raises:
            OutboxFullError: nothing was written.
        """
        async with self._lock:
            actions = self._actions(station, events, name, actor=actor)
            change = self.control.stage(actions)
            adopt: list[Callable[[], None]] = []

            def work(db: sqlite3.Connection) -> None:
                if change is not None:
                    adopt.append(change(db))

            await self._commit({}, actions, also=work)
            self._adopt(adopt)

    async def commit_control(self, work: Callable[[sqlite3.Connection], Callable[[], None]]) -> None:
        """Bring a step of a command to disk; what ``work`` returns makes it so in memory."""
        async with self._lock:
            adopt: list[Callable[[], None]] = []
            await self.store.run(lambda db: adopt.append(work(db)))
            self._adopt(adopt)

    def _adopt(self, adopt: list[Callable[[], None]]) -> None:
        """Memory follows the disk; ``adopt`` holds one entry for each try of the transaction."""
        if adopt:
            adopt[-1]()
            self.touch()

    def touch(self) -> None:
        """Something about the machines changed: every station is looked at again."""
        for station in self._cells:
            self._touch(station)

    @contextlib.contextmanager
    def attached(self, station: str) -> Iterator[None]:
        """A terminal is attached to the station for as long as the block lasts."""
        self._require(station)
        self._terminals[station] = self._terminals.get(station, 0) + 1
        self._touch(station)
        try:
            yield
        finally:
            self._terminals[station] -= 1
            self._touch(station)

    # --- the cloud and the neighbours -----------------------------------------------------------------

    async def jobs_received(self, jobs: JobList) -> bool:
        """Put a job list on disk and report it; False when it is not newer than what there is."""
        async with self._lock:
            after = {key: lease.receive(cell, jobs) for key, cell in self._cells.items()}
            if all(after[key] is cell for key, cell in self._cells.items()):
                return False
            applied = states.JobsApplied(self.clock.now(), jobs.version)
            change = self.control.receive(jobs)
            adopt: list[Callable[[], None]] = []

            def work(db: sqlite3.Connection) -> None:
                for cell in after.values():
                    journal.keep_queue(db, cell)
                if change is not None:
                    adopt.append(change(db))
                append_states(db, [applied])

            await self._commit(after, [], also=work)
            self._adopt(adopt)
        log.info(
            "jobs.applied",
            version=jobs.version,
            operations=len(jobs.operations),
            maintenance=len(jobs.maintenance),
        )
        return True

    async def release_requested(self, request: ReleaseRequest) -> None:
        """Give back what is not in hand. A request that comes again was answered already."""
        name = f"release-{request.request}"
        async with self._lock:
            if await self.store.read(lambda db: journal.answered(db, name)) is not None:
                return
            found = lease.answer(self._cells, request)
            actions = self._actions(
                next(iter(self._cells)), found.events(request.request), name, actor="planner"
            )

            def work(db: sqlite3.Connection) -> None:
                for cell in found.cells.values():
                    journal.keep_queue(db, cell)
                journal.answer(db, name, b"", self.clock.now(), actions)

            await self._commit(found.cells, actions, also=work)

    async def neighbour_actions(self, edge: str, actions: list[Action]) -> None:
        """Hear what happened at another edge: a predecessor may be finished."""
        async with self._lock:
            before, after = self._finished, lease.finished_by(actions, self._finished)
            if after == before:
                return
            now = self.clock.now()
            await self.store.run(lambda db: journal.keep_finished(db, before, after, now), urgent=False)
            self._finished = after
        for station in self._cells:
            self._touch(station)

    # --- the machines ---------------------------------------------------------------------------------

    async def states_reported(self, events: Iterable[states.Event]) -> None:
        """Hear what this edge reports about its machines: states, stops, connections."""
        for event in events:
            match event:
                case states.MachineStateChanged():
                    for station in self._stations_of(event.device):
                        self._machines[station] = Machine(
                            event.device, event.item_state, event.mode, event.ts, event.detail, connected=True
                        )
                        self._touch(station)
                case states.DeviceHeartbeat():
                    for station in self._stations_of(event.device):
                        machine = self._machines[station]
                        if machine.connected != event.connected:
                            self._machines[station] = replace(machine, connected=event.connected)
                            self._touch(station)
                case states.StopOpened() if event.workcell in self._cells:
                    stop = Stop(event.stop, event.device, event.ts, hint=event.hint)
                    await self._keep_stop(event.workcell, stop)
                case states.StopClosed():
                    for station, cell in self._cells.items():
                        if event.stop in cell.work.stops:
                            ended = cell.work.stops[event.stop]
                            await self._keep_stop(station, msgspec.structs.replace(ended, ended=event.ts))
                case _:
                    pass

    def counted(self, device: str, count: Count) -> None:
        """The part counter of a device; it is put on disk with the next thing that is."""
        for station in self._stations_of(device):
            cell = self._cells[station]
            seen = cell.work.counter
            self._cells[station] = replace(
                cell, work=msgspec.structs.replace(cell.work, counter=count.total, count=count)
            )
            if seen != count.total:
                self._touch(station)

    def count_of(self, device: str) -> Count | None:
        """The part counter of a device as it was put on disk last."""
        found = (self._cells[station].work.count for station in self._stations_of(device))
        return next((count for count in found if count is not None), None)

    async def watch(self) -> None:
        """Open and close unassigned runs; called every second by :meth:`run`."""
        for station in self._cells:
            if not self._machines[station].device:
                continue
            async with self._lock:
                cell, now = self._cells[station], self.clock.now()
                run = self.new_id()
                events = judge(cell.work, self._machines[station], now, run)
                if not events:
                    continue
                actions = self._actions(station, events, f"machine-{run}", actor=MACHINE)
                for action in actions:
                    cell = replace(cell, work=apply(cell.work, action))
                await self._commit({station: cell}, actions)

    async def _keep_stop(self, station: str, stop: Stop) -> None:
        async with self._lock:
            cell = self._cells[station]
            stops = {**cell.work.stops, stop.id: stop}
            settled = sorted((s for s in stops.values() if s.ended and s.reason), key=lambda s: s.began)
            unsaid = sorted((s for s in stops.values() if s.ended and not s.reason), key=lambda s: s.began)
            for old in (*settled[:-KEPT_STOPS], *unsaid[:-KEPT_STOPS]):
                del stops[old.id]
            cell = replace(cell, work=msgspec.structs.replace(cell.work, stops=stops))
            await self._commit({station: cell}, [], urgent=False)

    # --- looking --------------------------------------------------------------------------------------

    def summaries(self) -> list[StationSummary]:
        return [
            StationSummary(
                key,
                cell.place.title,
                cell.place.kind,
                shape(cell, self._machines[key]),
                self._terminals.get(key, 0),
            )
            for key, cell in self._cells.items()
        ]

    def view(self, station: str) -> StationView:
        """The snapshot of a station; raises UnknownStationError."""
        self._require(station)
        return view(
            self._cells[station],
            self._machines[station],
            self.link(),
            self._around(station),
            self._terminals.get(station, 0),
            self.control.view(station),
        )

    def programs_in_hand(self, station: str) -> list[tuple[Run, list[str]]]:
        """Runs in hand with the programs that their operations need; none at a station that is not ours."""
        cell = self._cells.get(station)
        found = []
        for run in cell.work.open_runs if cell is not None else ():
            known = [cell.queue.operations.get(part.operation) for part in run.parts] if cell else []
            if programs := [each.program for each in known if each is not None and each.program]:
                found.append((run, programs))
        return found

    def next_change(self, station: str) -> asyncio.Event:
        """Is set when the station changes. Ask for it before looking, so that no change falls between."""
        return self._events[station]

    @property
    def jobs_version(self) -> int:
        return max((cell.queue.version for cell in self._cells.values()), default=0)

    # --- inside ---------------------------------------------------------------------------------------

    async def _commit(
        self,
        cells: Mapping[str, Workcell],
        actions: list[Action],
        *,
        also: Callable[[sqlite3.Connection], None] | None = None,
        urgent: bool = True,
    ) -> None:
        """State, actions and finished operations in one transaction; memory follows the disk.

        Raises:
            OutboxFullError: nothing was written, nothing changed.
        """
        before, after = self._finished, lease.finished_by(actions, self._finished)
        now = self.clock.now()

        def work(db: sqlite3.Connection) -> None:
            for cell in cells.values():
                journal.keep_work(db, cell)
            if before != after:
                journal.keep_finished(db, before, after, now)
            if also is not None:
                also(db)
            if actions:
                append_actions(db, actions)

        await self.store.run(work, urgent=urgent)
        self._finished = after
        held_before = self._held()
        for key, cell in cells.items():
            # The counter went on while the disk was written.
            latest = self._cells[key].work
            kept = msgspec.structs.replace(cell.work, counter=latest.counter, count=latest.count)
            self._cells[key] = replace(cell, work=kept)
        for key in self._cells if before != after or held_before != self._held() else cells:
            self._touch(key)

    def _actions(self, station: str, events: list[Event], name: str, *, actor: str) -> list[Action]:
        now = self.clock.now()
        return [
            Action(f"{name}.{number}", now, station, actor, event, self.clock.uncertain)
            for number, event in enumerate(events)
        ]

    def _around(self, station: str) -> Surroundings:
        link = self.link()
        return Surroundings(
            self.clock.now(),
            self.clock.uncertain,
            link.online,
            link.cloud,
            self._finished,
            self.control.locked(station),
            self._held(),
        )

    def _held(self) -> Mapping[str, tuple[Held, ...]] | None:
        cells = self._cells.values()
        operations = (operation for cell in cells for operation in cell.queue.operations.values())
        return holds.held(operations, [cell.work for cell in cells], self._finished)

    def _stations_of(self, device: str) -> list[str]:
        return [station for station in self.devices.get(device, ()) if station in self._cells]

    def _require(self, station: str) -> None:
        if station not in self._cells:
            raise UnknownStationError(station, self._cells)

    def _touch(self, station: str) -> None:
        event, self._events[station] = self._events[station], asyncio.Event()
        event.set()
