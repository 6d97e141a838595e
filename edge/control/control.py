"""The control of an edge's machines: decides, keeps, shows. What leaves for a machine does so in
:mod:`edge.control.execution`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from edge.control import journal
from edge.control.controls import OPEN, Controls, Lock, MachineCommand, apply, sending
from edge.control.decisions import Situation, decide, locked
from edge.control.machines import Facts, Machines, NoMachines
from edge.control.upkeep import receive, renews
from edge.station.commands import ControlCommand
from edge.station.refusals import Refusal
from edge.station.station_view import CommandView, ControlView, LifeView, ProgramView, WriteView
from protocols.actions import Action, Event, MaintenanceDone
from protocols.jobs import JobList
from protocols.lifecycles import CommandState

SHOWN_PROGRAMS = 20
"""Programs of a machine that a station shows."""
SHOWN_COMMANDS = 5
"""Ended commands of a machine that a station shows."""

Adopt = Callable[[], None]


@dataclass(slots=True)
class Control:
    """Of all machines of one edge. ``devices`` names the stations of each; ``on_change`` is told whenever a
    command waits to be sent or settled. ``vehicles`` come to every station: each of them may lock one, and no
    station stands still because of it."""

    devices: Mapping[str, Sequence[str]]
    machines: Machines = field(default_factory=NoMachines)
    on_change: Callable[[], None] = lambda: None
    vehicles: Collection[str] = ()
    lives: Callable[[], Mapping[str, LifeView]] = dict
    """What is known of the remaining life of machines."""
    on_repaired: Callable[[str, int], None] = lambda _device, _since: None
    """Told, once it is on disk, of each machine at which a maintenance is done, and since when (µs UTC)."""
    controls: Controls = field(default_factory=Controls, init=False)

    # --- as the stations use it -----------------------------------------------------------------------

    def load(self, db: sqlite3.Connection) -> None:
        """Read what was committed; the store must know the migrations ``edge.control.journal.CONTROL``."""
        self.controls = journal.load(db)

    def decide(self, station: str, command: ControlCommand, now: int) -> list[Event]:
        """The events of a command; raises Refusal or IllegalTransitionError."""
        return decide(command, Situation(self.controls, station, self._facts(station), now))

    def stage(self, actions: Sequence[Action]) -> Callable[[sqlite3.Connection], Adopt] | None:
        """What actions change of locks and commands; None when nothing."""
        after = self.controls
        for action in actions:
            after = apply(after, action)
        repaired = [
            (action.event.device, action.ts)
            for action in actions
            if isinstance(action.event, MaintenanceDone) and renews(self.controls.upkeep, action.event.case)
        ]
        return None if after is self.controls else self._to(after, repaired)

    def receive(self, jobs: JobList) -> Callable[[sqlite3.Connection], Adopt] | None:
        """Take the maintenance orders of a job list; None where they are the same as before."""
        after = receive(self.controls.upkeep, jobs)
        if after == self.controls.upkeep:
            return None
        return self._to(msgspec.structs.replace(self.controls, upkeep=after))

    def locked(self, station: str) -> Refusal | None:
        """Why no run may begin at a station: the first of its machines that is locked."""
        locks = (self.controls.lock(device) for device in self._devices(station))
        return next((locked(lock) for lock in locks if lock.holds), None)

    def view(self, station: str) -> tuple[ControlView, ...]:
        """The machines of a station."""
        lives = self.lives()
        return tuple(
            _view(facts, self.controls.lock(device), self.controls, lives.get(device))
            for device, facts in self._facts(station).items()
        )

    # --- as others use it -----------------------------------------------------------------------------

    def refuses(self, device: str) -> str:
        """Why nothing may be done to a machine or vehicle; empty when it is free."""
        return self.controls.refuses(device)

    def accepted(self, device: str) -> tuple[str, ...]:
        """Versions of firmware outside the profile's range that somebody has accepted."""
        return self.controls.firmware.get(device, ())

    def waiting(self) -> list[MachineCommand]:
        """Commands that have not ended, in the order they were given."""
        return [command for command in self.controls.commands.values() if command.state in OPEN]

    def send(self, command: str) -> Callable[[sqlite3.Connection], Adopt]:
        """Note on disk that a command leaves now."""
        return self._to(sending(self.controls, command))

    # --- inside ---------------------------------------------------------------------------------------

    def _to(
        self, after: Controls, repaired: Sequence[tuple[str, int]] = ()
    ) -> Callable[[sqlite3.Connection], Adopt]:
        before = self.controls

        def adopt() -> None:
            self.controls = after
            for device in {*before.locks, *after.locks, *before.firmware, *after.firmware}:
                self.machines.refuse(device)
            for device, since in repaired:
                self.on_repaired(device, since)
            self.on_change()

        def work(db: sqlite3.Connection) -> Adopt:
            journal.keep(db, before, after)
            return adopt

        return work

    def _devices(self, station: str) -> list[str]:
        return [device for device, stations in self.devices.items() if station in stations]

    def _facts(self, station: str) -> dict[str, Facts]:
        names = dict.fromkeys([*self._devices(station), *self.vehicles])
        found = {device: self.machines.facts(device) for device in names}
        return {device: facts for device, facts in found.items() if facts is not None}


def _view(facts: Facts, lock: Lock, controls: Controls, life: LifeView | None) -> ControlView:
    own = [command for command in controls.commands.values() if command.device == facts.device]
    ended = [command for command in own if command.state not in OPEN]
    shown = [command for command in own if command.state in OPEN] + ended[-SHOWN_COMMANDS:]
    return ControlView(
        device=facts.device,
        title=facts.title,
        connected=facts.connected,
        lock=lock.state,
        owner=lock.owner,
        reason=lock.reason,
        since=lock.since,
        firmware=facts.firmware,
        writes=tuple(_writes(facts)),
        commands=tuple(
            CommandView(c.id, c.target, _value(c), c.state, c.detail, c.actor, c.intended, c.ended)
            for c in shown
        ),
        programs=tuple(_programs(facts, own)),
        orders=controls.upkeep.of(facts.device),
        life=life,
    )


def _value(command: MachineCommand) -> str:
    """What a command is about, as people read it: of a program only the beginning of its hash."""
    if command.what != "program":
        return command.value
    return str(msgspec.json.decode(command.value)["sha256"])[:12]


def _programs(facts: Facts, commands: Sequence[MachineCommand]) -> list[ProgramView]:
    """Programs that are not as released: first what is needed now."""
    states = (CommandState.INTENDED, CommandState.SENDING)
    moving = {each.target for each in commands if each.what == "program" and each.state in states}
    found = [known for known in facts.programs.values() if known.is_to_say]
    found.sort(key=lambda known: (not known.wanted, known.release.program))
    return [
        ProgramView(
            program=known.release.program,
            sha256=known.release.sha256,
            state=str(known.state),
            found=known.found,
            wanted=known.wanted,
            asks=not facts.profile.has_state,
            detail=known.detail,
            ran=known.ran,
            moving=known.release.program in moving,
        )
        for known in found[:SHOWN_PROGRAMS]
    ]


def _writes(facts: Facts) -> list[WriteView]:
    found = []
    for name, rule in facts.profile.writes.items():
        tag = facts.profile.tags[name]
        found.append(
            WriteView(
                target=name,
                what="write",
                effect=str(rule.effect),
                two_people=rule.two_people,
                type=str(tag.value_type),
                unit=tag.unit,
                min=rule.min,
                max=rule.max,
                allowed=rule.allowed or (),
                value=facts.values.get(name),
                description=rule.description or tag.description,
            )
        )
    for name, method in facts.methods.items():
        found.append(
            WriteView(
                target=name,
                what="call",
                effect=str(method.effect),
                two_people=method.two_people,
                inputs={argument: str(kind) for argument, kind in method.inputs.items()},
                description=method.description,
            )
        )
    return found
