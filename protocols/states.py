"""What machines and the edge itself report: the payload of the ``states`` lane."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from protocols.catalogue import Catalogue
from protocols.packing import MALFORMED, UndecodableError, pack, unpack


class ItemState(StrEnum):
    """What the machine does, after OPC 40001-1 MachineryItemState."""

    EXECUTING = "executing"
    NOT_EXECUTING = "not_executing"
    OUT_OF_SERVICE = "out_of_service"
    NOT_AVAILABLE = "not_available"


class OperationMode(StrEnum):
    """What the machine is used for, after OPC 40001-1 MachineryOperationMode."""

    NONE = "none"
    PROCESSING = "processing"
    SETUP = "setup"
    MAINTENANCE = "maintenance"


class _Event(msgspec.Struct, frozen=True, tag_field="type"):
    """Base of what is reported."""


class MachineStateChanged(_Event, frozen=True, tag="machine.state"):
    """A machine's state from ``ts`` (µs UTC) on. ``detail`` is the machine's own word or alarm text."""

    ts: int
    device: str
    item_state: ItemState
    mode: OperationMode
    detail: str = ""


class StopOpened(_Event, frozen=True, tag="stop.opened"):
    """A machine stopped for longer than its micro-stop threshold."""

    ts: int
    stop: str
    device: str
    workcell: str
    hint: str = ""


class StopClosed(_Event, frozen=True, tag="stop.closed"):
    ts: int
    stop: str


class AlarmChanged(_Event, frozen=True, tag="alarm", omit_defaults=True):
    """An alarm rose, was acknowledged, or ended. ``severity`` is 1 to 1000 (OPC 10000-5, 6.4.2), 0 when the
    machine says neither that nor whether it was acknowledged. ``source`` is what it is about. Defaults are
    not sent: edges and clouds from before these fields read each other.
    """

    ts: int
    device: str
    alarm: str
    active: bool
    text: str = ""
    severity: int = 0
    acknowledged: bool = False
    source: str = ""


class DeviceHeartbeat(_Event, frozen=True, tag="device", omit_defaults=True):
    """Connection of a device and when it was last read; sent on change and at an interval.

    ``last_read`` (µs UTC) is the last confirmed read: the age of a tag whose value does not change.
    ``detail`` is why it is not connected. ``differs`` says how the connected machine is not that of its
    profile and what to do, and ``firmware`` is a version outside the profile's range that nobody has
    accepted: nothing is written until then. ``standing`` alarms stand at the machine, be they told or not;
    ``untold`` changes of alarms since the start were too many to be told one by one.
    """

    ts: int
    device: str
    connected: bool
    last_read: int = 0
    detail: str = ""
    differs: str = ""
    firmware: str = ""
    standing: int = 0
    untold: int = 0


class CatalogueAnnounced(_Event, frozen=True, tag="catalogue"):
    hash: bytes
    catalogue: Catalogue


class Dropped(_Event, frozen=True, tag="dropped"):
    """A tombstone: samples given up under pressure, so that a chart shows a gap with a reason.

    ``first``/``last`` (inclusive) are sealed seqs of ``stream``/``lane``; both are -1 for samples dropped
    before they were sealed. ``counts`` has the samples of each tag number of ``catalogue``.
    """

    stream: bytes
    lane: str
    first: int
    last: int
    from_ts: int
    to_ts: int
    samples: int
    counts: dict[int, int]
    catalogue: bytes
    reason: str


class JobsApplied(_Event, frozen=True, tag="jobs.applied"):
    """The edge has the job list of ``version`` on disk; its operations are leased to it from now on."""

    ts: int
    version: int


class ModelHeld(msgspec.Struct, frozen=True, omit_defaults=True):
    """The model of remaining life that an edge scores a machine with: its hash (empty: none), and since when
    (µs UTC) it does. ``file``: ``edge.yaml`` names it, and the service does not. ``refused`` is the hash of
    the model that the service sent and that is not used, and ``why``. ``life`` is when the life began.
    """

    device: str
    sha256: str = ""
    since: int = 0
    file: bool = False
    refused: str = ""
    why: str = ""
    life: int = 0


class ModelsHeld(_Event, frozen=True, tag="models.held", omit_defaults=True):
    """The edge has taken up the deployment of an id, on disk: what it scores its machines with. It ``wants``
    the files of these hashes before it can go on. Only told to a service that sent a deployment.
    """

    ts: int
    deployment: str
    machines: tuple[ModelHeld, ...]
    wants: tuple[str, ...] = ()


class ConfigApplied(_Event, frozen=True, tag="config.applied"):
    """Content hashes of the configuration that runs, by name."""

    ts: int
    hashes: dict[str, str]


class Notice(_Event, frozen=True, tag="notice"):
    """Something a person should know: ``code`` is stable, ``text`` says thing, value, limit, next step."""

    ts: int
    severity: str
    code: str
    text: str


Event = (
    MachineStateChanged
    | StopOpened
    | StopClosed
    | AlarmChanged
    | DeviceHeartbeat
    | CatalogueAnnounced
    | Dropped
    | JobsApplied
    | ModelsHeld
    | ConfigApplied
    | Notice
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Event])


def encode(events: list[Event]) -> bytes:
    """Blob of events in the order they happened."""
    return pack(_encoder.encode(events))


def decode(blob: bytes) -> list[Event]:
    """Events of a blob; raises UndecodableError."""
    try:
        return _decoder.decode(unpack(blob))
    except MALFORMED as error:
        raise UndecodableError(f"not a batch of states: {error}") from error
