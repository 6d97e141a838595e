"""What a driver may offer, and the things it deals in. Consumers ask for a capability, never for a vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from drivers.gate import Confirmation
from protocols.values import DataType, Quality, Reading, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

Deliver = Callable[[list[Reading]], None]
"""Takes readings as they arrive, in order. Called synchronously; the list must not be changed."""


class Capability(StrEnum):
    """What a driver can do beyond streaming."""

    READ = "read"
    SUBSCRIBE = "subscribe"
    WRITE = "write"
    BROWSE = "browse"
    IDENTIFY = "identify"
    EVENTS = "events"
    CALL = "call"
    HISTORY = "history"
    FILES = "files"
    WAVEFORMS = "waveforms"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a machine says it is; unknown parts are empty."""

    vendor: str = ""
    product: str = ""
    serial: str = ""
    firmware: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Reads(Protocol):
    """Reads tags on demand."""

    async def read(self, paths: Sequence[str]) -> list[Reading]: ...


@runtime_checkable
class Writes(Protocol):
    """Writes a tag within the profile's rules and reads it back."""

    async def write(self, path: str, value: Value, confirmation: Confirmation | None = None) -> Reading: ...


@runtime_checkable
class Identifies(Protocol):
    """Says which machine and firmware it is connected to."""

    async def identify(self) -> Identity: ...


@dataclass(frozen=True, slots=True)
class Found:
    """One thing below an address of a machine, as browsing finds it; ``address`` is what a profile takes."""

    address: str
    name: str
    kind: Literal["folder", "variable", "method"]
    type: DataType | None = None
    """None when it is no variable, or one of a type that no tag can have (``detail`` names it)."""
    writable: bool = False
    has_children: bool = False
    detail: str = ""


@runtime_checkable
class Browses(Protocol):
    """Lists what is directly below an address of the machine; its root when empty."""

    async def browse(self, address: str = "") -> list[Found]: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What lies at an address at this moment, as text for people; ``problem`` in the machine's own words.

    ``source_time`` in µs UTC; ``elements`` counts those of an array.
    """

    address: str
    text: str
    quality: Quality
    problem: str = ""
    source_time: int | None = None
    elements: int | None = None


@runtime_checkable
class Looks(Protocol):
    """Looks at addresses that no profile has yet, in the order asked."""

    async def look(self, addresses: Sequence[str]) -> list[Seen]: ...


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition of the machine as it is now. ``id`` is the same from its rise to its end.

    ``severity`` is 1 to 1000 as in OPC 10000-5, 6.4.2; ``time`` is the machine's own, µs UTC.
    """

    id: str
    source: str
    text: str
    severity: int
    active: bool
    acknowledged: bool
    time: int | None = None


@runtime_checkable
class Notifies(Protocol):
    """Tells of alarms and conditions until cancelled. The first list holds all that stand, be it empty: what
    stood before and is not in it has ended meanwhile. Each change comes after it."""

    async def events(self, deliver: Callable[[list[Alarm]], None]) -> None: ...


@runtime_checkable
class Remembers(Protocol):
    """Gives what the machine itself recorded of its tags from ``start`` to ``end`` (µs UTC), oldest first,
    in lists of bounded size. Every reading carries its ``source_time``; tags without a record give none."""

    def history(self, paths: Sequence[str], start: int, end: int) -> AsyncIterator[list[Reading]]: ...


@runtime_checkable
class Calls(Protocol):
    """Calls a method that the profile allows, by its name there."""

    async def call(
        self, method: str, arguments: Mapping[str, Value], confirmation: Confirmation | None = None
    ) -> Mapping[str, Value]: ...


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file at the machine: its name below the program folder, bytes, and when it was written (µs UTC)."""

    name: str
    size: int
    modified: int | None = None


@runtime_checkable
class Files(Protocol):
    """Lists, reads and writes NC programs and recipes at the machine."""

    async def list_files(self) -> list[FileEntry]: ...

    async def get_file(self, name: str) -> bytes: ...

    async def put_file(self, name: str, content: bytes, confirmation: Confirmation | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Captured:
    """One block as the machine holds it: ``values`` has one dimension and the type of its tag, not scaled.

    ``source_time`` in µs UTC, where the machine says when it took the block.
    """

    values: NDArray[Any]
    source_time: int | None = None


@runtime_checkable
class Captures(Protocol):
    """Reads one of the profile's waveforms as a block.

    Raises ReadFailed when the machine has none that is fit, with its words, and DeviceLost.
    """

    async def capture(self, path: str) -> Captured: ...
