"""What a person at a station may do to its machines: a command becomes events, or a refusal. Pure.

This is the first gate, with words for the person. The second one is the driver's own
(:mod:`drivers.gate`), which nobody gets round: it looks at the machine itself at the moment of sending.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from drivers.profile.rules import Effect, Permission
from edge.control.controls import OPEN, Controls, Lock
from edge.control.machines import Facts
from edge.control.upkeep import done_with, in_work, waiting
from edge.programs.book import State
from edge.station import commands as asked
from edge.station.moving import require_within
from edge.station.refusals import Refusal
from protocols import actions as did
from protocols.lifecycles import COMMAND, LOCK, CommandEvent, CommandState, LockEvent, LockState
from protocols.values import MICROSECONDS


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a decision looks at: ``facts`` by device of this station, ``now`` in µs UTC."""

    controls: Controls
    station: str
    facts: dict[str, Facts]
    now: int


def decide(command: asked.ControlCommand, at: Situation) -> list[did.Event]:
    """The events that a command becomes.

    Raises:
        Refusal: with machine, value, limit and next step.
        IllegalTransitionError: when the lock or the command is in a state that does not allow it.
    """
    return _DECISIONS[type(command)](command, at)


def require_free(locks: Collection[Lock]) -> None:
    """Refuse to begin a run at a station one of whose machines is locked."""
    for lock in locks:
        if lock.holds:
            raise locked(lock)


def locked(lock: Lock) -> Refusal:
    """The refusal that a lock is."""
    if lock.state is LockState.LOCKED:
        return Refusal("machine-locked", device=lock.device, owner=lock.owner, reason=lock.reason)
    return Refusal("machine-released", device=lock.device, owner=lock.owner)


def _lock(command: asked.LockMachine, at: Situation) -> list[did.Event]:
    _facts(at, command.device)
    LOCK.next(command.device, at.controls.lock(command.device).state, LockEvent.LOCK)
    return [did.MachineLocked(command.device, command.reason)]


def _release(command: asked.ReleaseLock, at: Situation) -> list[did.Event]:
    _facts(at, command.device)
    lock = at.controls.lock(command.device)
    LOCK.next(command.device, lock.state, LockEvent.RELEASE)
    if _same(command.actor, lock.owner):
        return [did.LockReleased(command.device)]
    # In the owner's absence two people answer for it, both of them others.
    if not command.second or _same(command.second, command.actor) or _same(command.second, lock.owner):
        raise Refusal("lock-owner", device=command.device, owner=lock.owner, actor=command.actor)
    return [did.LockReleased(command.device, command.second)]


def _accept(command: asked.AcceptMachine, at: Situation) -> list[did.Event]:
    _facts(at, command.device)
    LOCK.next(command.device, at.controls.lock(command.device).state, LockEvent.ACCEPT)
    done = done_with(at.controls.upkeep, command.device)
    return [did.MachineAccepted(command.device), *done]


def _accept_firmware(command: asked.AcceptFirmware, at: Situation) -> list[did.Event]:
    facts = _facts(at, command.device)
    if not facts.firmware or facts.firmware != command.firmware:
        raise Refusal("firmware-other", device=command.device, found=facts.firmware or "-")
    return [did.FirmwareAccepted(command.device, command.firmware)]


def _write(command: asked.WriteMachine, at: Situation) -> list[did.Event]:
    facts = _facts(at, command.device)
    rule = facts.profile.writes.get(command.tag)
    if rule is None:
        allowed = ", ".join(sorted(facts.profile.writes)) or "-"
        raise Refusal("not-writable", device=command.device, target=command.tag, allowed=allowed)
    if (reason := rule.refusal(command.value)) is not None:
        raise Refusal("not-allowed", device=command.device, target=command.tag, detail=reason)
    return [_commanded(command, at, facts, "write", command.tag, rule, command.value)]


def _call(command: asked.CallMachine, at: Situation) -> list[did.Event]:
    facts = _facts(at, command.device)
    rule = facts.methods.get(command.method)
    if rule is None:
        allowed = ", ".join(sorted(facts.methods)) or "-"
        raise Refusal("not-writable", device=command.device, target=command.method, allowed=allowed)
    if (reason := rule.refusal(command.arguments)) is not None:
        raise Refusal("not-allowed", device=command.device, target=command.method, detail=reason)
    return [_commanded(command, at, facts, "call", command.method, rule, command.arguments)]


def _commanded(
    command: asked.WriteMachine | asked.CallMachine,
    at: Situation,
    facts: Facts,
    what: str,
    target: str,
    permission: Permission,
    value: object,
) -> did.MachineCommanded:
    _require_ready(at, facts)
    if permission.two_people and (not command.second or _same(command.second, command.actor)):
        raise Refusal("two-people", device=command.device, target=target, actor=command.actor)
    _require_none_open(at, command.device, target)
    return did.MachineCommanded(
        command=command.id,
        device=command.device,
        what=what,
        target=target,
        value=msgspec.json.encode(value).decode(),
        effect=str(permission.effect),
        expires=at.now + command.seconds * MICROSECONDS,
        second=command.second if permission.two_people else "",
    )


def _program(command: asked.SendProgram, at: Situation) -> list[did.Event]:
    facts = _facts(at, command.device)
    known = facts.programs.get(command.program)
    if known is None:
        allowed = ", ".join(sorted(facts.programs)[:20]) or "-"
        raise Refusal("not-released", device=command.device, program=command.program, allowed=allowed)
    if known.release.sha256 != command.sha256:
        raise Refusal("release-other", program=command.program, found=known.release.sha256[:12])
    if known.state is State.EDITED and command.overwrite != known.found:
        raise Refusal(
            "program-edited", device=command.device, program=command.program, found=known.found[:12]
        )
    if known.state is State.UNREADABLE:
        raise Refusal(
            "program-unreadable", device=command.device, program=command.program, detail=known.detail or "-"
        )
    if not facts.profile.has_state and not command.stands:
        raise Refusal("program-may-run", device=command.device, program=command.program)
    _require_ready(at, facts)
    _require_none_open(at, command.device, command.program)
    value = {"sha256": command.sha256, "overwrite": command.overwrite, "stands": command.stands}
    return [
        did.MachineCommanded(
            command=command.id,
            device=command.device,
            what="program",
            target=command.program,
            value=msgspec.json.encode(value).decode(),
            effect="program",
            expires=at.now + command.seconds * MICROSECONDS,
        )
    ]


def _require_ready(at: Situation, facts: Facts) -> None:
    """Refuse what a lock, a foreign firmware or a machine that is away stands against."""
    lock = at.controls.lock(facts.device)
    if lock.holds:
        raise locked(lock)
    if facts.firmware:
        raise Refusal("firmware-pending", device=facts.device, found=facts.firmware)
    if not facts.connected:
        raise Refusal("machine-away", device=facts.device)


def _require_none_open(at: Situation, device: str, target: str) -> None:
    """One thing is done to one target at a time."""
    for known in at.controls.commands.values():
        if known.state in OPEN and (known.device, known.target) == (device, target):
            raise Refusal("command-open", device=device, target=target, state=str(known.state))


def _settle(command: asked.SettleCommand, at: Situation) -> list[did.Event]:
    found = at.controls.commands.get(command.command)
    if found is None or found.device not in at.facts:
        raise Refusal("unknown-command", command=command.command, station=at.station)
    event = CommandEvent.CONFIRM if command.took_effect else CommandEvent.FAIL
    if found.state is not CommandState.UNKNOWN:
        raise Refusal("command-settled", target=found.target, state=str(found.state))
    state = COMMAND.next(found.id, found.state, event)
    return [did.MachineCommandEnded(found.id, found.device, state, f"{command.actor} looked")]


# --- maintenance ----------------------------------------------------------------------------------------


def _start_maintenance(command: asked.StartMaintenance, at: Situation) -> list[did.Event]:
    """The machine is locked for whoever begins; one that they have locked already stays so."""
    order = waiting(at.controls.upkeep, command.case, at.station)
    _facts(at, order.device)
    lock = at.controls.lock(order.device)
    started = did.MaintenanceStarted(order.case, order.device)
    if lock.state is LockState.LOCKED:
        if not _same(command.actor, lock.owner):
            raise locked(lock)
        return [started]
    LOCK.next(order.device, lock.state, LockEvent.LOCK)
    return [started, did.MachineLocked(order.device, order.title.en)]


def _report_finding(command: asked.ReportFinding, at: Situation) -> list[did.Event]:
    begun = in_work(at.controls.upkeep, command.case, at.station)
    _facts(at, begun.device)
    return [did.MaintenanceFound(begun.case, begun.device, command.found)]


def _break_off(command: asked.BreakOffMaintenance, at: Situation) -> list[did.Event]:
    begun = in_work(at.controls.upkeep, command.case, at.station)
    _facts(at, begun.device)
    return [did.MaintenanceBrokenOff(begun.case, begun.device, command.reason)]


def _refuse_maintenance(command: asked.RefuseMaintenance, at: Situation) -> list[did.Event]:
    order = waiting(at.controls.upkeep, command.case, at.station)
    _facts(at, order.device)
    return [did.MaintenanceRefused(order.case, order.device, command.reason)]


def _keep_maintenance(command: asked.KeepMaintenance, at: Situation) -> list[did.Event]:
    order = waiting(at.controls.upkeep, command.case, at.station)
    _facts(at, order.device)
    if order.fixed:
        raise Refusal("order-kept", title=order.title)
    if not order.start:
        raise Refusal("order-not-planned", title=order.title)
    return [did.MaintenanceKept(order.case, order.device, order.start)]


def _move_maintenance(command: asked.MoveMaintenance, at: Situation) -> list[did.Event]:
    order = waiting(at.controls.upkeep, command.case, at.station)
    _facts(at, order.device)
    require_within(order, command.start, at.now)
    return [did.MaintenanceMoved(order.case, order.device, command.start, command.reason)]


def _facts(at: Situation, device: str) -> Facts:
    found = at.facts.get(device)
    if found is None:
        raise Refusal("not-here", device=device, station=at.station)
    return found


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


_DECISIONS: dict[type, Callable[[Any, Situation], list[did.Event]]] = {
    asked.LockMachine: _lock,
    asked.ReleaseLock: _release,
    asked.AcceptMachine: _accept,
    asked.AcceptFirmware: _accept_firmware,
    asked.WriteMachine: _write,
    asked.CallMachine: _call,
    asked.SendProgram: _program,
    asked.SettleCommand: _settle,
    asked.StartMaintenance: _start_maintenance,
    asked.ReportFinding: _report_finding,
    asked.BreakOffMaintenance: _break_off,
    asked.RefuseMaintenance: _refuse_maintenance,
    asked.KeepMaintenance: _keep_maintenance,
    asked.MoveMaintenance: _move_maintenance,
}

STARTS = frozenset((Effect.START, Effect.RESET, Effect.RESUME))
"""What needs the machine's own remote-enabled signal, read by the driver's gate at that moment."""
