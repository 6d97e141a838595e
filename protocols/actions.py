"""What people (and the workcell on their behalf) did: the payload of the ``actions`` lane.

Every action carries an id made where it was made, so that repeating it is harmless, and a pseudonym
instead of a person's name. Quantities are decimals in the unit of the operation.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from protocols.packing import MALFORMED, UndecodableError, pack, unpack

MAX_TEXT = 500
"""Characters of free text an operator may add."""


class _Event(msgspec.Struct, frozen=True, tag_field="type"):
    """Base of what can happen; the tag on the wire is the ``tag`` of each class."""


class RunPart(msgspec.Struct, frozen=True):
    """One operation that a run covers, with the quantity it is to make."""

    operation: str
    quantity: Decimal


class RunOpened(_Event, frozen=True, tag="run.opened"):
    """A run begins to exist: one workcell, one or several operations, in setup or running at once.

    ``unconfirmed`` names predecessors whose finish nobody had confirmed when the person went ahead.
    """

    run: str
    parts: tuple[RunPart, ...]
    setup: bool = False
    unconfirmed: tuple[str, ...] = ()


class FirstPieceReleased(_Event, frozen=True, tag="run.first-piece"):
    run: str


class RunStarted(_Event, frozen=True, tag="run.started"):
    """Production begins after setup or the first piece."""

    run: str


class RunPaused(_Event, frozen=True, tag="run.paused"):
    run: str
    reason: str = ""


class RunResumed(_Event, frozen=True, tag="run.resumed"):
    run: str


class Booked(_Event, frozen=True, tag="run.booked"):
    """Quantities made since the last booking; negative ones correct (undo)."""

    run: str
    operation: str
    good: Decimal = Decimal(0)
    scrap: Decimal = Decimal(0)
    rework: Decimal = Decimal(0)
    reason: str = ""


class RunCompleted(_Event, frozen=True, tag="run.completed"):
    """The run ends; ``finished`` names the operations that are done with it."""

    run: str
    finished: tuple[str, ...]


class RunAborted(_Event, frozen=True, tag="run.aborted"):
    run: str
    reason: str = ""


class RunReopened(_Event, frozen=True, tag="run.reopened"):
    """Undo of a completion."""

    run: str


class StepDone(_Event, frozen=True, tag="step.done"):
    """An instruction step confirmed; ``value`` is what was measured or scanned, ``ok`` against the limits."""

    run: str
    operation: str
    step: int
    value: str = ""
    ok: bool = True


class StopReasoned(_Event, frozen=True, tag="stop.reasoned"):
    """A person gives the reason of a machine stop, now or later. Corrections are appended."""

    stop: str
    reason: str
    note: str = ""


class AndonRaised(_Event, frozen=True, tag="andon.raised"):
    andon: str
    topic: str
    note: str = ""


class AndonCleared(_Event, frozen=True, tag="andon.cleared"):
    andon: str


class LeaseReleased(_Event, frozen=True, tag="lease.released"):
    """The edge gives leased operations back: the planner may move them. Answers release ``request``."""

    request: str
    operations: tuple[str, ...]


class LeaseKept(_Event, frozen=True, tag="lease.kept"):
    """The edge keeps them: they are in hand."""

    request: str
    operations: tuple[str, ...]


class UnassignedOpened(_Event, frozen=True, tag="unassigned.opened"):
    """A machine works and nobody booked a run."""

    run: str


class UnassignedClosed(_Event, frozen=True, tag="unassigned.closed"):
    run: str
    parts: int = 0


class ShiftNote(_Event, frozen=True, tag="shift.note"):
    """Shift handover."""

    note: str


class Undone(_Event, frozen=True, tag="undone"):
    """Marks ``action`` as undone; the compensating events are sent beside it."""

    action: str


class LotHeld(_Event, frozen=True, tag="lot.held"):
    """A measurement by a plan that holds: what follows ``operation`` in its job waits for a decision.
    ``source`` is the action that measured; ``text`` and ``text_zh`` say what is wrong.
    """

    operation: str
    characteristic: str
    source: str
    text: str
    text_zh: str


class LotReleased(_Event, frozen=True, tag="lot.released"):
    """Somebody who may decided at a station about what ``source`` holds."""

    operation: str
    source: str
    disposition: str
    reason: str


class MachineLocked(_Event, frozen=True, tag="lock.set"):
    """Somebody works at a machine with their hands: nothing is written to it and no run starts at it."""

    device: str
    reason: str


class LockReleased(_Event, frozen=True, tag="lock.released"):
    """The owner is done. ``second`` is set when two others released it in the owner's absence."""

    device: str
    second: str = ""


class MachineAccepted(_Event, frozen=True, tag="lock.accepted"):
    """Production takes a released machine over: it is free."""

    device: str


class FirmwareAccepted(_Event, frozen=True, tag="firmware.accepted"):
    """A firmware outside the profile's range may be written to from now on; this version and no other."""

    device: str
    firmware: str


class MachineCommanded(_Event, frozen=True, tag="command.intended"):
    """A person wants something done to a machine. ``what`` is ``write`` or ``call``, ``value`` JSON text of
    the value or the arguments, ``expires`` µs UTC after which it is not sent any more."""

    command: str
    device: str
    what: str
    target: str
    value: str
    effect: str
    expires: int
    second: str = ""


class MachineCommandEnded(_Event, frozen=True, tag="command.ended"):
    """What became of a command: a state of ``protocols.lifecycles.CommandState`` and the reason."""

    command: str
    device: str
    state: str
    detail: str = ""


class MaintenanceStarted(_Event, frozen=True, tag="maintenance.started"):
    """The order of a maintenance case is begun at its machine, whose lock is set beside it."""

    case: str
    device: str


class MaintenanceFound(_Event, frozen=True, tag="maintenance.found"):
    """What was seen at the machine; later words replace earlier ones."""

    case: str
    device: str
    found: str


class MaintenanceBrokenOff(_Event, frozen=True, tag="maintenance.broken-off"):
    """It ends without the repair. The lock stays, until its owner releases it."""

    case: str
    device: str
    reason: str


class MaintenanceDone(_Event, frozen=True, tag="maintenance.done"):
    """Production took the machine over again: the order is done."""

    case: str
    device: str


class MaintenanceRefused(_Event, frozen=True, tag="maintenance.refused"):
    """Somebody at the station does not want the order, and says why."""

    case: str
    device: str
    reason: str


class MaintenanceKept(_Event, frozen=True, tag="maintenance.kept"):
    """Somebody at the station wants the order at just this time (µs UTC)."""

    case: str
    device: str
    start: int


class MaintenanceMoved(_Event, frozen=True, tag="maintenance.moved"):
    """Somebody at the station wants the order at another time (µs UTC), and says why. It is in the window of
    the order as the station knew it (:mod:`protocols.order_window`)."""

    case: str
    device: str
    start: int
    reason: str


Event = (
    RunOpened
    | FirstPieceReleased
    | RunStarted
    | RunPaused
    | RunResumed
    | Booked
    | RunCompleted
    | RunAborted
    | RunReopened
    | StepDone
    | StopReasoned
    | AndonRaised
    | AndonCleared
    | LeaseReleased
    | LeaseKept
    | UnassignedOpened
    | UnassignedClosed
    | ShiftNote
    | Undone
    | LotHeld
    | LotReleased
    | MachineLocked
    | LockReleased
    | MachineAccepted
    | FirmwareAccepted
    | MachineCommanded
    | MachineCommandEnded
    | MaintenanceStarted
    | MaintenanceFound
    | MaintenanceBrokenOff
    | MaintenanceDone
    | MaintenanceRefused
    | MaintenanceKept
    | MaintenanceMoved
)


class Action(msgspec.Struct, frozen=True):
    """One thing done at one workcell. ``ts`` in µs UTC; ``uncertain`` when the clock had stepped back."""

    id: str
    ts: int
    workcell: str
    actor: str
    event: Event
    uncertain: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Action])


def encode(actions: list[Action]) -> bytes:
    """Blob of actions in the order they happened."""
    return pack(_encoder.encode(actions))


def decode(blob: bytes) -> list[Action]:
    """Actions of a blob; raises UndecodableError."""
    try:
        return _decoder.decode(unpack(blob))
    except MALFORMED as error:
        raise UndecodableError(f"not a batch of actions: {error}") from error
