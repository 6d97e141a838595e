"""Locks, accepted firmware, commands and maintenance of an edge's machines: what actions add up to. Pure.

``apply`` is total over actions that :mod:`edge.control.decisions` decided or the execution reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from edge.control.upkeep import Upkeep
from edge.control.upkeep import apply as apply_upkeep
from protocols import actions as did
from protocols.lifecycles import COMMAND, LOCK, CommandEvent, CommandState, LockEvent, LockState

KEPT_COMMANDS = 50
"""Ended commands that are remembered, newest last."""

OPEN = frozenset((CommandState.INTENDED, CommandState.SENDING, CommandState.UNKNOWN))


class Lock(msgspec.Struct, frozen=True):
    """The lock of one machine. ``since`` (µs UTC) is when its state began, ``by`` who brought it there."""

    device: str
    state: LockState = LockState.FREE
    owner: str = ""
    reason: str = ""
    since: int = 0
    by: str = ""

    @property
    def holds(self) -> bool:
        """Whether it blocks writes, runs and orders to vehicles: until production has accepted."""
        return self.state is not LockState.FREE


class MachineCommand(msgspec.Struct, frozen=True):
    """One command to a machine. ``value`` is JSON text; times in µs UTC."""

    id: str
    device: str
    station: str
    actor: str
    what: str
    target: str
    value: str
    effect: str
    intended: int
    expires: int
    second: str = ""
    state: CommandState = CommandState.INTENDED
    detail: str = ""
    ended: int = 0


class Controls(msgspec.Struct, frozen=True):
    """Of all machines of an edge, by device; commands by id in the order they were given."""

    locks: dict[str, Lock] = {}
    firmware: dict[str, tuple[str, ...]] = {}
    commands: dict[str, MachineCommand] = {}
    upkeep: Upkeep = Upkeep()

    def lock(self, device: str) -> Lock:
        """The lock of a machine; a free one where nobody ever locked it."""
        return self.locks.get(device) or Lock(device)

    def refuses(self, device: str) -> str:
        """Why nothing may be done to a machine; empty when it is free."""
        lock = self.lock(device)
        if lock.state is LockState.LOCKED:
            return f"locked by {lock.owner}: {lock.reason} — {lock.owner} must release it at its station"
        if lock.state is LockState.RELEASED:
            return "released, but production has not accepted it yet — accept it at its station"
        return ""


def apply(controls: Controls, action: did.Action) -> Controls:
    """The state after an action; the same object for actions of other kinds."""
    upkeep = apply_upkeep(controls.upkeep, action)
    if upkeep is not controls.upkeep:
        return replace(controls, upkeep=upkeep)
    effect = _EFFECTS.get(type(action.event))
    return controls if effect is None else effect(controls, action, action.event)


def sending(controls: Controls, command: str) -> Controls:
    """The state once a command is about to leave: from here on it may take effect."""
    found = controls.commands[command]
    state = COMMAND.next(command, found.state, CommandEvent.SEND)
    return _with(controls, replace(found, state=state))


def _with(controls: Controls, command: MachineCommand) -> Controls:
    commands = {**controls.commands, command.id: command}
    ended = [known.id for known in commands.values() if known.state not in OPEN]
    for old in ended[:-KEPT_COMMANDS]:
        del commands[old]
    return replace(controls, commands=commands)


def _locked(controls: Controls, action: did.Action, event: did.MachineLocked) -> Controls:
    state = LOCK.next(event.device, controls.lock(event.device).state, LockEvent.LOCK)
    lock = Lock(event.device, state, action.actor, event.reason, action.ts, action.actor)
    return replace(controls, locks={**controls.locks, event.device: lock})


def _released(controls: Controls, action: did.Action, event: did.LockReleased) -> Controls:
    before = controls.lock(event.device)
    state = LOCK.next(event.device, before.state, LockEvent.RELEASE)
    lock = replace(before, state=state, since=action.ts, by=action.actor)
    return replace(controls, locks={**controls.locks, event.device: lock})


def _accepted(controls: Controls, action: did.Action, event: did.MachineAccepted) -> Controls:
    LOCK.next(event.device, controls.lock(event.device).state, LockEvent.ACCEPT)
    locks = {device: lock for device, lock in controls.locks.items() if device != event.device}
    return replace(controls, locks=locks)


def _firmware(controls: Controls, action: did.Action, event: did.FirmwareAccepted) -> Controls:
    known = controls.firmware.get(event.device, ())
    versions = (*(version for version in known if version != event.firmware), event.firmware)
    return replace(controls, firmware={**controls.firmware, event.device: versions})


def _commanded(controls: Controls, action: did.Action, event: did.MachineCommanded) -> Controls:
    return _with(
        controls,
        MachineCommand(
            id=event.command,
            device=event.device,
            station=action.workcell,
            actor=action.actor,
            what=event.what,
            target=event.target,
            value=event.value,
            effect=event.effect,
            intended=action.ts,
            expires=event.expires,
            second=event.second,
        ),
    )


_ENDS: Mapping[CommandState, CommandEvent] = {
    CommandState.DONE: CommandEvent.CONFIRM,
    CommandState.REFUSED: CommandEvent.REFUSE,
    CommandState.FAILED: CommandEvent.FAIL,
    CommandState.EXPIRED: CommandEvent.EXPIRE,
    CommandState.UNKNOWN: CommandEvent.LOSE,
}


def _ended(controls: Controls, action: did.Action, event: did.MachineCommandEnded) -> Controls:
    found = controls.commands.get(event.command)
    if found is None:
        return controls
    state = COMMAND.next(event.command, found.state, _ENDS[CommandState(event.state)])
    return _with(controls, replace(found, state=state, detail=event.detail, ended=action.ts))


_EFFECTS: dict[type, Callable[[Controls, did.Action, Any], Controls]] = {
    did.MachineLocked: _locked,
    did.LockReleased: _released,
    did.MachineAccepted: _accepted,
    did.FirmwareAccepted: _firmware,
    did.MachineCommanded: _commanded,
    did.MachineCommandEnded: _ended,
}
