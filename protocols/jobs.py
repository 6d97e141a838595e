"""The job list: a full, versioned snapshot of the work of one edge, ready to show.

Instructions arrive rendered for the variant and in both languages; an edge needs no product files.
"""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal
from enum import StrEnum

import msgspec

from protocols.inspection import Characteristic, Held, Notice
from protocols.order_window import Declined
from protocols.packing import MALFORMED, UndecodableError, pack, unpack


class Text(msgspec.Struct, frozen=True):
    """The same words in English and Chinese."""

    en: str
    zh: str


class StepKind(StrEnum):
    INFO = "info"
    CONFIRM = "confirm"
    MEASURE = "measure"
    SCAN = "scan"


class Step(msgspec.Struct, frozen=True):
    """One instruction step. Limits are absolute and inclusive; ``expected`` is the code a scan must give."""

    kind: StepKind
    title: Text
    text: Text
    nominal: Decimal | None = None
    lower: Decimal | None = None
    upper: Decimal | None = None
    unit: str = ""
    expected: str = ""


class Predecessor(msgspec.Struct, frozen=True, omit_defaults=True):
    """An operation that must finish first, where it runs, and whether the cloud knows it finished.

    For work that may overlap it, it counts as finished once enough of its pieces are booked. Where ``lag``
    seconds must pass after its end (paint must dry), it counts when they have; ``fit_at`` is when (µs UTC),
    as soon as that is known.
    """

    operation: str
    workcell: str
    edge: str
    finished: bool
    title: Text
    lag: int = 0
    fit_at: int = 0

    def confirmed(self, heard: Container[str]) -> bool:
        """Whether work may follow it, given the operations ``heard`` to be finished from neighbours."""
        return self.finished or (not self.lag and self.operation in heard)


class JobOperation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One operation of a job as its station needs it. Times in µs UTC, quantities in ``unit`` (Rec 20).

    ``group`` is the planner's run: operations with the same group are one nest or one coating batch.
    ``setup`` are the setup attributes (colour, material, tool …) that decide about changeovers.
    ``held`` says why it may not begin, ``notices`` what charts said about it.
    """

    id: str
    order: str
    job: str
    line: int
    title: Text
    product: Text
    variant: dict[str, str]
    workcell: str
    position: int
    quantity: Decimal
    unit: str
    good: Decimal
    scrap: Decimal
    state: str
    planned_start: int
    planned_end: int
    due: int
    setup: dict[str, str]
    steps: tuple[Step, ...]
    predecessors: tuple[Predecessor, ...]
    group: str = ""
    program: str = ""
    setup_seconds: int = 0
    run_seconds: int = 0
    remake_of: str = ""
    inspection: tuple[Characteristic, ...] = ()
    held: tuple[Held, ...] = ()
    notices: tuple[Notice, ...] = ()


class MaintenanceOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be done to a machine of a station because of a maintenance case. Times in µs UTC.

    ``start`` and ``end`` are where the plan has it, 0 where it has found no room; it should be done before
    ``bound``. ``fixed``: a person said when. ``why`` is the evidence in words, ``steps`` the instruction.
    A higher ``revision`` replaces a lower one. ``declined`` is a move from the station that the service could
    not do, as the window had changed meanwhile. ``renews``: the machine is as new when it is done; a new
    sensor leaves it as old as it was.
    """

    case: str
    device: str
    workcell: str
    title: Text
    why: str = ""
    start: int = 0
    end: int = 0
    earliest: int = 0
    bound: int = 0
    seconds: int = 0
    fixed: bool = False
    in_work: bool = False
    revision: int = 0
    steps: tuple[Text, ...] = ()
    skills: tuple[Text, ...] = ()
    parts: tuple[str, ...] = ()
    declined: Declined | None = None
    renews: bool = True


class JobList(msgspec.Struct, frozen=True, omit_defaults=True):
    """All open operations of one edge, and the maintenance of its machines. A higher ``version`` replaces a
    lower one, whole.

    ``holds`` are measurements that hold a lot, and ``releases`` those about which somebody decided at a
    station, as far as the service knew of them when it made this list: what the operations say is newer.
    """

    edge: str
    version: int
    issued_at: int
    operations: tuple[JobOperation, ...]
    maintenance: tuple[MaintenanceOrder, ...] = ()
    holds: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()


class ReleaseRequest(msgspec.Struct, frozen=True):
    """The planner asks for leased operations back; answered by LeaseReleased or LeaseKept actions."""

    request: str
    operations: tuple[str, ...]
    reason: str


_encoder = msgspec.msgpack.Encoder()
_jobs = msgspec.msgpack.Decoder(JobList)
_release = msgspec.msgpack.Decoder(ReleaseRequest)


def encode(message: JobList | ReleaseRequest) -> bytes:
    """Blob of a job list or a release request."""
    return pack(_encoder.encode(message))


def decode_jobs(blob: bytes) -> JobList:
    """Job list of a blob; raises UndecodableError."""
    try:
        return _jobs.decode(unpack(blob))
    except MALFORMED as error:
        raise UndecodableError(f"not a job list: {error}") from error


def decode_release(blob: bytes) -> ReleaseRequest:
    """Release request of a blob; raises UndecodableError."""
    try:
        return _release.decode(unpack(blob))
    except MALFORMED as error:
        raise UndecodableError(f"not a release request: {error}") from error
