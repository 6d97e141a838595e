"""What a person (or a virtual operator) at a station asks for: the requests of the edge API.

A command states an intent and carries an id made where it was made; sending it again is harmless. What
became of it are actions (:mod:`protocols.actions`): facts that are kept for ever.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from protocols.actions import MAX_TEXT

CommandId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{8,64}$")]
"""Made by the terminal; runs and andon calls take theirs from the command that opened them."""

Pseudonym = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,16}$")]
"""Stands for a person; never a name."""

_pseudonym: TypeAdapter[str] = TypeAdapter(Pseudonym)


def is_pseudonym(text: str) -> bool:
    """Whether commands may carry this as their actor."""
    try:
        _pseudonym.validate_python(text)
    except ValidationError:
        return False
    return True


Identifier = Annotated[str, StringConstraints(min_length=1, max_length=80)]
FreeText = Annotated[str, StringConstraints(max_length=MAX_TEXT, strip_whitespace=True)]
Quantity = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)]


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: CommandId
    actor: Pseudonym


class OpenRun(_Command):
    """Take operations in hand as one run: into setup, or straight into production.

    ``unconfirmed_ok`` says that the person saw the pieces of a predecessor whose finish nobody reported.
    """

    do: Literal["open"] = "open"
    operations: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=200)]
    setup: bool = False
    unconfirmed_ok: bool = False


class ReleaseFirstPiece(_Command):
    do: Literal["first-piece"] = "first-piece"
    run: Identifier


class StartRun(_Command):
    do: Literal["start"] = "start"
    run: Identifier


class PauseRun(_Command):
    do: Literal["pause"] = "pause"
    run: Identifier
    reason: FreeText = ""


class ResumeRun(_Command):
    do: Literal["resume"] = "resume"
    run: Identifier


class Booking(BaseModel):
    """Pieces of one operation made since its last booking, in the unit of the operation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation: Identifier
    good: Quantity = Decimal(0)
    scrap: Quantity = Decimal(0)
    rework: Quantity = Decimal(0)
    reason: FreeText = ""

    @property
    def total(self) -> Decimal:
        return self.good + self.scrap + self.rework


class Book(_Command):
    """Book pieces while the run goes on."""

    do: Literal["book"] = "book"
    run: Identifier
    booking: Booking


class CompleteRun(_Command):
    """End the run, with the last bookings. Operations whose pieces are all booked are finished by it;
    the others stay in the queue with what is left of them.
    """

    do: Literal["complete"] = "complete"
    run: Identifier
    bookings: Annotated[tuple[Booking, ...], Field(max_length=200)] = ()


class AbortRun(_Command):
    do: Literal["abort"] = "abort"
    run: Identifier
    reason: FreeText = ""


class DoStep(_Command):
    """An instruction step is done: confirmed, or with the value measured or the code scanned."""

    do: Literal["step"] = "step"
    run: Identifier
    operation: Identifier
    step: Annotated[int, Field(ge=0, le=1000)]
    value: Annotated[str, StringConstraints(max_length=120, strip_whitespace=True)] = ""


class ReleaseHold(_Command):
    """Decide at the station about what ``source`` holds at an operation; the site file says who may."""

    do: Literal["release-hold"] = "release-hold"
    operation: Identifier
    source: Identifier
    disposition: Literal["use as is", "scrap"]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT, strip_whitespace=True)]


class GiveStopReason(_Command):
    do: Literal["stop-reason"] = "stop-reason"
    stop: Identifier
    reason: Identifier
    note: FreeText = ""


class RaiseAndon(_Command):
    do: Literal["andon"] = "andon"
    topic: Identifier
    note: FreeText = ""


class ClearAndon(_Command):
    do: Literal["andon-clear"] = "andon-clear"
    andon: Identifier


class WriteShiftNote(_Command):
    do: Literal["note"] = "note"
    note: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT, strip_whitespace=True)]


class Undo(_Command):
    """Take back ``command``, which must be the last thing done at the station, by compensating actions."""

    do: Literal["undo"] = "undo"
    command: Identifier


class LockMachine(_Command):
    """Nothing is written to the machine, and no run starts at it, until the lock is released and accepted.
    It is a word between people and programs; it never replaces lock-out/tag-out.
    """

    do: Literal["lock"] = "lock"
    device: Identifier
    reason: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT, strip_whitespace=True)]


class ReleaseLock(_Command):
    """By its owner; in the owner's absence by two others."""

    do: Literal["unlock"] = "unlock"
    device: Identifier
    second: Pseudonym | Literal[""] = ""


class AcceptMachine(_Command):
    """Production takes a released machine over."""

    do: Literal["accept"] = "accept"
    device: Identifier


class AcceptFirmware(_Command):
    """A firmware outside the profile's range may be written to: this version, its values were checked."""

    do: Literal["accept-firmware"] = "accept-firmware"
    device: Identifier
    firmware: Identifier


Seconds = Annotated[int, Field(ge=1, le=300)]


class WriteMachine(_Command):
    """Write a tag that the profile allows; not sent any more after ``seconds``. Sending this is the
    confirmation of ``actor`` (and of ``second``) at this station."""

    do: Literal["write"] = "write"
    device: Identifier
    tag: Identifier
    value: bool | int | float | Annotated[str, StringConstraints(max_length=MAX_TEXT)]
    second: Pseudonym | Literal[""] = ""
    seconds: Seconds = 30


class CallMachine(_Command):
    """Call a method that the profile allows; otherwise as a write."""

    do: Literal["call"] = "call"
    device: Identifier
    method: Identifier
    arguments: Annotated[
        dict[Identifier, bool | int | float | Annotated[str, StringConstraints(max_length=MAX_TEXT)]],
        Field(max_length=50),
    ] = Field(default_factory=dict)
    second: Pseudonym | Literal[""] = ""
    seconds: Seconds = 30


Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class SendProgram(_Command):
    """Send a released program to the machine; otherwise as a write. ``sha256`` is the release that was shown;
    ``overwrite`` the hash of an edit made at the machine that its sender has seen and gives up; ``stands``:
    the sender looked, and the machine does not run it."""

    do: Literal["program"] = "program"
    device: Identifier
    program: Identifier
    sha256: Hash
    overwrite: Hash | Literal[""] = ""
    stands: bool = False
    seconds: Seconds = 60


class SettleCommand(_Command):
    """Somebody looked whether a command whose fate is unknown took effect."""

    do: Literal["settle"] = "settle"
    command: CommandId
    took_effect: bool


Reason = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT, strip_whitespace=True)]


class StartMaintenance(_Command):
    """Begin the maintenance order of a case: the machine is locked for the actor, who releases it when done.
    It never replaces lock-out/tag-out."""

    do: Literal["maintenance-start"] = "maintenance-start"
    case: Identifier


class ReportFinding(_Command):
    """What was seen at the machine; later words replace earlier ones."""

    do: Literal["maintenance-found"] = "maintenance-found"
    case: Identifier
    found: Reason


class BreakOffMaintenance(_Command):
    """End it without the repair; the lock stays until its owner releases it."""

    do: Literal["maintenance-break-off"] = "maintenance-break-off"
    case: Identifier
    reason: Reason


class RefuseMaintenance(_Command):
    """Want no such order; the suspicion stays, and the office hears why."""

    do: Literal["maintenance-refuse"] = "maintenance-refuse"
    case: Identifier
    reason: Reason


class KeepMaintenance(_Command):
    """Keep an order at the time at which it is planned."""

    do: Literal["maintenance-keep"] = "maintenance-keep"
    case: Identifier


class MoveMaintenance(_Command):
    """Have an order begin at another time (µs UTC) within its window, and say why."""

    do: Literal["maintenance-move"] = "maintenance-move"
    case: Identifier
    start: Annotated[int, Field(ge=0, le=2**62)]
    reason: Reason


ControlCommand = (
    LockMachine
    | ReleaseLock
    | AcceptMachine
    | AcceptFirmware
    | WriteMachine
    | CallMachine
    | SendProgram
    | SettleCommand
    | StartMaintenance
    | ReportFinding
    | BreakOffMaintenance
    | RefuseMaintenance
    | KeepMaintenance
    | MoveMaintenance
)
"""Commands about machines; :mod:`edge.control` decides them."""

Command = (
    OpenRun
    | ReleaseFirstPiece
    | StartRun
    | PauseRun
    | ResumeRun
    | Book
    | CompleteRun
    | AbortRun
    | DoStep
    | ReleaseHold
    | GiveStopReason
    | RaiseAndon
    | ClearAndon
    | WriteShiftNote
    | Undo
    | ControlCommand
)

AnyCommand = Annotated[Command, Field(discriminator="do")]
"""The body of ``POST /v1/stations/{workcell}/actions``."""

COMMAND: TypeAdapter[Command] = TypeAdapter(AnyCommand)
"""Validates and writes commands where no FastAPI stands in between."""
