"""What every driver is: one connection to one machine that reads, streams and writes tags by name.

A driver speaks one protocol and knows nothing about orders or clouds. Constructing one checks its
configuration and touches no network; ``async with driver`` owns the connection; a new connection is a
new ``async with`` on a new driver. Consumers ask for a capability, never for a vendor.

Readings are in the tag's unit (scale and offset applied). A driver never repeats a value that it did not
read: what fails is delivered once as bad with a reason, and after a device is lost nothing more comes.
"""

from __future__ import annotations

import asyncio
import importlib
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from drivers.capabilities import (
    Alarm,
    Browses,
    Calls,
    Capability,
    Captured,
    Captures,
    Deliver,
    FileEntry,
    Files,
    Found,
    Identifies,
    Identity,
    Notifies,
    Reads,
    Remembers,
    Writes,
)
from drivers.errors import (
    ConnectError,
    DeviceLost,
    DriverError,
    InUse,
    ReadFailed,
    WriteFailed,
    WriteRefused,
    WriteUnknown,
    unreachable,
)
from drivers.gate import AT_THE_MACHINE, WITHOUT_THE_MACHINE, Confirmation, Wish, needed, refusal, trouble
from drivers.profile.profile import AnyProfile, MethodRule, Permission, Tag
from drivers.program_folder import Folder, Store
from drivers.programs import checked_name, in_use, shows_what_runs, unfit_file
from drivers.trace import Tap
from protocols.documents import Document, nearest
from protocols.values import Quality, Reading, Value

__all__ = [
    "Alarm",
    "Browses",
    "Calls",
    "Capability",
    "Captured",
    "Captures",
    "Confirmation",
    "ConnectError",
    "Deliver",
    "DeviceLost",
    "Driver",
    "DriverError",
    "DriverType",
    "FileEntry",
    "Files",
    "Found",
    "Identifies",
    "Identity",
    "InUse",
    "Notifies",
    "Options",
    "ReadFailed",
    "Reads",
    "Remembers",
    "WriteFailed",
    "WriteRefused",
    "WriteUnknown",
    "Writes",
    "unreachable",
]


class Options(BaseModel):
    """Base of a driver's own configuration, as a site file gives it under a device's ``options``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_sessions: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="connections this machine takes at once, where that is not what its kind does",
    )
    demote_after: int | None = Field(
        default=None,
        ge=1,
        le=30,
        description="failed attempts after which a silent machine is tried less often; unset: ten minutes",
    )
    program_folder: Path | None = Field(
        default=None,
        description="folder on this computer where this machine's programs are mounted; unset: as the "
        "profile's files say",
    )

    program_mount: bool = Field(
        default=True,
        description="whether something must be mounted at program_folder; false where the machine fetches "
        "its programs from a folder of this computer",
    )

    @field_validator("program_folder")
    @classmethod
    def _is_absolute(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_absolute():
            raise ValueError(f'"{path}" is no absolute path: write /mnt/mill-1/nc or similar')
        return path


C = TypeVar("C", bound=Options)


class Driver(ABC, Generic[C]):
    """One machine on one protocol.

    Args:
        address: the machine's URL, e.g. ``modbus://10.0.4.7:502?unit=1``.
        profile: its tags and rules.
        config: the driver's options, already validated.

    Raises:
        ValueError: the address is not one of this protocol (says what one looks like).
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    max_sessions: ClassVar[int] = 1
    """Connections a machine of this kind takes at once; 1 means break before make. See :attr:`sessions`."""

    def __init__(self, address: str, profile: AnyProfile, config: C) -> None:
        self.address = address
        self.profile = profile
        self.config = config
        if profile.files is not None or config.program_folder is not None:
            # What one machine offers may be more than what every machine of its protocol does.
            self.capabilities = self.capabilities | {Capability.FILES}  # type: ignore[misc]
        self.problems: dict[str, str] = {}
        """Why a tag has no good value at the moment, in the machine's own words; by tag name."""
        self.refuses = ""
        """Why nothing may be written or called at the moment (a lock, a foreign firmware); empty when it may.
        Its owner sets it whenever that changes, and on every new driver before it connects."""
        self.done: dict[str, float] = {}
        """When each tag was last written and each method last called, by ``clock``. A new connection to the
        same machine takes it over, so that a rule's interval holds across it."""
        self.clock: Callable[[], float] = time.monotonic
        """Seconds that only grow."""
        self.trace: Tap | None = None
        """Is told what passes between driver and machine; set before connecting."""
        self._doing = asyncio.Lock()

    def __init_subclass__(cls, **more: Any) -> None:
        """A driver sends and invokes; what may be sent is decided here, for every driver alike."""
        super().__init_subclass__(**more)
        for name, instead in (("write", "send"), ("call", "invoke"), ("put_file", "store")):
            if name in cls.__dict__:
                raise TypeError(f"{cls.__name__} may not replace Driver.{name} — implement {instead}")

    @property
    def sessions(self) -> int:
        """Connections this machine takes at once: as the device's options say, else its profile, else its
        kind."""
        return self.config.max_sessions or self.profile.max_sessions or self.max_sessions

    @abstractmethod
    async def connect(self) -> None:
        """Open the connection.

        Raises:
            ConnectError: not reachable, refused, or not what the configuration says.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close the connection, however broken it is. Never raises for a lost one."""

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @abstractmethod
    async def stream(self, deliver: Deliver) -> None:
        """Poll or subscribe every readable tag at its sampling interval until cancelled.

        What cannot be read is delivered once as bad with a reason, and again when that changes. When the
        device is lost, every tag is delivered as bad once before this raises.

        Raises:
            DeviceLost: no data flows any more.
        """

    @abstractmethod
    async def read(self, paths: Sequence[str]) -> list[Reading]:
        """Read tags now, one reading each in the order asked; what fails comes back as bad.

        Raises:
            KeyError: a path is no tag of the profile.
            DeviceLost: the machine does not answer.
        """

    @abstractmethod
    async def identify(self) -> Identity:
        """Ask the machine what it is; empty when it does not say."""

    async def write(self, path: str, value: Value, confirmation: Confirmation | None = None) -> Reading:
        """Write one tag within the profile's rules and read it back.

        Args:
            path: name of the tag.
            value: in the tag's unit.
            confirmation: who wants it; needed for what starts, resets or resumes, and for two people.

        Raises:
            KeyError: no such tag.
            WriteRefused: nothing was sent; says which rule, limit, state, person or lock was missing.
            WriteFailed: the machine refused it or reads back something else.
            WriteUnknown: the machine did not answer, so it may have taken effect.
            DeviceLost: the machine did not answer before anything was sent.
        """
        tag = self.tag(path)
        rule = self.profile.writes.get(path)
        if rule is None:
            allowed = ", ".join(sorted(self.profile.writes)) or "none"
            raise WriteRefused(f'"{path}" is read-only: the profile allows writes to {allowed}')
        if (reason := rule.refusal(value)) is not None:
            raise WriteRefused(f'"{path}": {reason}')
        async with self._doing:
            await self._permit(path, rule, confirmation)
            await self.send(path, tag, value)
            if not tag.readable:
                return Reading(path, value)
            try:
                (back,) = await self.read([path])
            except DeviceLost as lost:
                why = f"was sent, and the device was lost before it could be read back ({lost.cause})"
                raise WriteUnknown(f'"{path}": {value} {why}') from lost
        if back.quality is not Quality.GOOD:
            raise WriteUnknown(f'"{path}": {value} was sent and cannot be read back: it {trouble(back)}')
        if not _same(back.value, value, tag):
            raise WriteFailed(f'"{path}": wrote {value}, read back {back.value}')
        return back

    async def call(
        self, method: str, arguments: Mapping[str, Value], confirmation: Confirmation | None = None
    ) -> Mapping[str, Value]:
        """Call a method that the profile allows, by its name there; its results by name.

        Raises:
            KeyError: no such method; names the nearest one.
            WriteRefused: nothing was sent; says which argument, state, person or lock was wrong.
            WriteFailed: the machine refused it.
            WriteUnknown: the machine did not answer, so it may have taken effect.
        """
        rule = self.methods.get(method)
        if rule is None:
            hint = nearest(method, self.methods)
            raise KeyError(f'no method "{method}"' + (f" — did you mean {hint}?" if hint else ""))
        if (reason := rule.refusal(arguments)) is not None:
            raise WriteRefused(f'"{method}": {reason}')
        async with self._doing:
            await self._permit(method, rule, confirmation)
            return await self.invoke(method, rule, arguments)

    async def _permit(self, what: str, permission: Permission, confirmation: Confirmation | None) -> None:
        """Go through the gate's tables; see :mod:`drivers.gate`. Nothing may be awaited after it."""
        last = self.done.get(what)
        since = None if last is None else self.clock() - last
        wish = Wish(permission, self.profile, confirmation, since, self.refuses)
        reason = refusal(WITHOUT_THE_MACHINE, wish)
        if reason is None:
            names = needed(self.profile, permission)
            readings = dict(zip(names, await self.read(names), strict=True)) if names else {}
            reason = refusal(AT_THE_MACHINE, replace(wish, refuses=self.refuses, readings=readings))
        if reason is not None:
            raise WriteRefused(f'"{what}" {reason}')
        self.done[what] = self.clock()

    @property
    def methods(self) -> Mapping[str, MethodRule]:
        """What may be called, by name; a driver with the capability ``call`` says so here."""
        return {}

    @abstractmethod
    async def send(self, path: str, tag: Tag, value: Value) -> None:
        """Send one write that :meth:`write` has found allowed. Not for callers: it checks no rule."""

    async def invoke(
        self, method: str, rule: MethodRule, arguments: Mapping[str, Value]
    ) -> Mapping[str, Value]:
        """Make one call that :meth:`call` has found allowed. Not for callers: it checks no rule."""
        raise WriteRefused(f'"{method}": this driver calls no methods')

    # --- files ------------------------------------------------------------------------------------------

    async def list_files(self) -> list[FileEntry]:
        """The NC programs and recipes at the machine, by name.

        Raises:
            ReadFailed: the profile says of no place for them, or it cannot be read.
            DeviceLost: the machine does not answer.
        """
        return await self.store().list_files()

    async def get_file(self, name: str) -> bytes:
        """What a file at the machine holds.

        Raises:
            FileNotFoundError: there is none of that name.
            ReadFailed: it cannot be read, is too large, or the name is none.
            DeviceLost: the machine does not answer.
        """
        return await self.store().get_file(checked_name(name))

    async def put_file(self, name: str, content: bytes, confirmation: Confirmation | None = None) -> None:
        """Write a file at the machine and read it back; not while the machine runs it.

        A person at the station must confirm where the profile has nothing that shows whether it runs.

        Raises:
            InUse: the machine runs it, or may run it; nothing was changed there.
            WriteRefused: nothing was sent; says what is locked, or what is wrong with the file.
            WriteFailed: the machine refused it, or holds something else now.
            WriteUnknown: the machine did not answer, or cannot be read back, so it may have taken effect.
            DeviceLost: the machine did not answer before anything was sent.
        """
        if (reason := unfit_file(name, content)) is not None:
            raise WriteRefused(f'"{name}": {reason}')
        if (reason := self._locked()) is not None:
            raise WriteRefused(f'"{name}" {reason}')
        store = self.store()

        async def permit() -> None:
            names = shows_what_runs(self.profile)
            found = dict(zip(names, await self.read(names), strict=True)) if names else {}
            if (reason := self._locked()) is not None:
                raise WriteRefused(f'"{name}" {reason}')
            if (reason := in_use(self.profile, name, found, confirmation)) is not None:
                raise InUse(f'"{name}" {reason}')

        async with self._doing:
            await permit()
            await store.put_file(name, content, permit)  # asks again: a long file takes minutes
            try:
                back = await store.get_file(name)
            except DeviceLost as lost:
                raise WriteUnknown(f'"{name}" was sent, and the device was lost: {lost.cause}') from lost
            except ReadFailed as error:
                raise WriteUnknown(f'"{name}" was sent and cannot be read back: {error}') from error
            except FileNotFoundError as error:
                raise WriteFailed(f'"{name}" was sent, and the machine does not hold it') from error
        if back != content:
            sizes = f"{len(back)} bytes that differ from the {len(content)} sent"
            raise WriteFailed(f'"{name}": the machine holds {sizes}')

    def _locked(self) -> str | None:
        return f"cannot be changed now: {self.refuses}" if self.refuses else None

    def store(self) -> Store:
        """Where files lie: the folder that the device's options or the profile name. It goes through no gate.

        Raises:
            ReadFailed: the profile names none.
        """
        if self.config.program_folder is not None:
            return Folder(self.config.program_folder, self.config.program_mount)
        place = self.profile.files
        if place is None or place.path is None:
            raise ReadFailed(
                "nothing says where its programs are — add files: {path: FOLDER} to the profile, or the "
                "option program_folder to the device"
            )
        return Folder(Path(place.path), place.mounted)

    def tag(self, path: str) -> Tag:
        """The tag of a name.

        Raises:
            KeyError: no such tag; names the nearest one.
        """
        tag = self.profile.tags.get(path) or self.profile.checks.get(path)
        if tag is None:
            hint = nearest(path, self.profile.tags)
            raise KeyError(f'no tag "{path}"' + (f" — did you mean {hint}?" if hint else ""))
        return tag


def _same(back: Value, sent: Value, tag: Tag) -> bool:
    """Whether a value read back is the one that was sent, within the resolution of its type and scale."""
    if isinstance(back, int | float) and isinstance(sent, int | float) and not isinstance(sent, bool):
        return math.isclose(back, sent, rel_tol=1e-6, abs_tol=abs(tag.scale) if tag.scaled else 0.0)
    return back == sent


@dataclass(frozen=True, slots=True)
class DriverType:
    """How a driver is known before its protocol library is imported: an entry point names one of these."""

    name: str
    summary: str
    schemes: tuple[str, ...]
    """URL schemes it answers to."""
    example: str
    """An address as one would write it."""
    config: type[Options]
    profile: type[AnyProfile]
    factory: str
    """``module:Class`` of the driver."""
    simulator: str
    """``module:Class`` of the server that shows a profile on this protocol."""
    wire: str = ""
    """Module that imports the protocol library, as the driver does at its first connect; it may take long."""
    keeps: str = ""
    """Option that names the folder of what the driver keeps between two starts, below its owner's."""

    def warm_up(self) -> None:
        """Import the protocol library now: blocking, so that no event loop has to wait for it later."""
        if self.wire:
            importlib.import_module(self.wire)

    def create(
        self,
        address: str,
        profile: AnyProfile,
        options: Mapping[str, Any] | None = None,
        home: Path | None = None,
    ) -> Driver[Any]:
        """A driver for one machine, checked and not yet connected.

        Args:
            address: the machine's URL.
            profile: its tags and rules.
            options: as its configuration gives them.
            home: folder of whoever owns it, below which it may keep what it needs again at the next start.

        Raises:
            DocumentError: an option is unknown or wrong (every one at once).
            ValueError: the address or the profile is not for this protocol.
        """
        if profile.protocol != self.name:
            raise ValueError(f'{self.name} cannot use a profile with protocol "{profile.protocol}"')
        given = dict(options or {})
        if self.keeps and home is not None:
            given.setdefault(self.keeps, str(home / self.keeps))
        config = Document(f"{address} options", given, None).validate(self.config)
        made: Driver[Any] = _load(self.factory)(address, profile, config)
        return made

    def serve(self, profile: AnyProfile, host: str = "127.0.0.1", port: int = 0) -> Any:
        """A simulator of a profile on this protocol: a ``drivers.simulator.ProfileServer``."""
        return _load(self.simulator)(profile, host, port)


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
