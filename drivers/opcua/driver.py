"""OPC UA: subscribes the tags of a profile, grouped by sampling interval."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar, cast
from urllib.parse import urlsplit

from drivers.capabilities import Seen
from drivers.driver import (
    Alarm,
    Capability,
    Captured,
    Deliver,
    DeviceLost,
    Driver,
    DriverType,
    Found,
    Identity,
    ReadFailed,
)
from drivers.opcua.options import OpcuaOptions
from drivers.opcua.profile import JobMethod, OpcuaMethod, OpcuaProfile, OpcuaTag
from drivers.profile.profile import AnyProfile, MethodRule, Tag
from drivers.program_folder import Store
from protocols.values import Quality, Reading, Reason, Value

if TYPE_CHECKING:
    from drivers.opcua.session import Session


OPCUA = DriverType(
    name="opcua",
    summary="OPC UA servers: machine tools, PLCs, SCADA",
    schemes=("opc.tcp",),
    example="opc.tcp://10.0.4.21:4840",
    config=OpcuaOptions,
    profile=cast("type[AnyProfile]", OpcuaProfile),
    factory="drivers.opcua.driver:OpcuaDriver",
    simulator="drivers.opcua.simulator:OpcuaServer",
    wire="drivers.opcua.session",
    keeps="pki",
)


def check_url(address: str) -> None:
    """Accept ``opc.tcp://host:port/path``.

    Raises:
        ValueError: not such an address.
    """
    example = f"write {OPCUA.example}"
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError:
        raise ValueError(f'"{address}" has no valid port — {example}') from None
    if url.scheme not in OPCUA.schemes or not url.hostname:
        raise ValueError(f'"{address}" is not an OPC UA address — {example}')
    if url.username or url.password:
        raise ValueError("a user name belongs into the options, not into the address")


class OpcuaDriver(Driver[OpcuaOptions]):
    """One OPC UA server. Every connection is a new client: one that failed is never used again."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.READ,
            Capability.SUBSCRIBE,
            Capability.WRITE,
            Capability.BROWSE,
            Capability.IDENTIFY,
            Capability.EVENTS,
            Capability.CALL,
            Capability.HISTORY,
            Capability.WAVEFORMS,
        }
    )

    def __init__(self, address: str, profile: AnyProfile, config: OpcuaOptions) -> None:
        super().__init__(address, profile, config)
        if not isinstance(profile, OpcuaProfile):
            raise TypeError(f"an OPC UA driver needs an OpcuaProfile, not a {type(profile).__name__}")
        check_url(address)
        self._tags: dict[str, OpcuaTag] = dict(profile.tags)
        self._session: Session | None = None

    async def connect(self) -> None:
        from drivers.opcua.session import Session

        assert isinstance(self.profile, OpcuaProfile)  # noqa: S101 - checked when constructed
        self._session = Session(self.address, self.config, self.profile, self.problems, self.trace)
        await self._session.connect()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def _connection(self) -> Session:
        if self._session is None:
            raise DeviceLost(self.address, "not connected — use the driver in `async with`")
        return self._session

    async def stream(self, deliver: Deliver) -> None:
        readable = [name for name, tag in self._tags.items() if tag.readable]
        try:
            await self._connection.stream(readable, deliver)
        except DeviceLost as lost:
            self.problems.update(dict.fromkeys(readable, lost.cause))
            deliver([Reading(name, None, Quality.BAD, Reason.NOT_CONNECTED) for name in readable])
            raise

    async def read(self, paths: Sequence[str]) -> list[Reading]:
        for path in paths:
            self.tag(path)
        return await self._connection.read(paths)

    async def capture(self, path: str) -> Captured:
        """The block of a waveform now; see :class:`drivers.capabilities.Captures`."""
        return await self._connection.capture(path)

    async def identify(self) -> Identity:
        from asyncua.ua.uaerrors._base import UaError

        from drivers.opcua.identity import identify

        session = self._connection
        try:
            return await identify(session)
        except (TimeoutError, OSError, UaError) as error:
            raise session.lost(error) from error

    async def browse(self, address: str = "") -> list[Found]:
        """All that is directly below an address, :data:`drivers.opcua.browse.MAX_FOUND` at most."""
        return [found async for page in self.browse_pages(address) for found in page]

    async def browse_pages(self, address: str = "", size: int = 1000) -> AsyncGenerator[list[Found]]:
        """The same a page at a time, for whoever shows it while more is coming; ``size`` at most in each.

        Raises:
            ValueError: not the form of an address.
            ReadFailed: the server has no such node, or does not let us see it.
            DeviceLost: it does not answer.
        """
        from asyncua.ua.uaerrors._base import UaError

        from drivers.opcua.browse import browse

        session = self._connection
        try:
            async with aclosing(browse(session, address, size)) as under_way:
                async for page in under_way:
                    yield page
        except (TimeoutError, OSError, UaError) as error:
            raise session.lost(error) from error

    async def look(self, addresses: Sequence[str]) -> list[Seen]:
        """What lies at nodes now; see :class:`drivers.capabilities.Looks`.

        Raises:
            ValueError: not the form of an address.
            DeviceLost: it does not answer.
        """
        from asyncua.ua.uaerrors._base import UaError

        from drivers.opcua.browse import look

        session = self._connection
        try:
            return await look(session, addresses)
        except (TimeoutError, OSError, UaError) as error:
            raise session.lost(error) from error

    async def history(self, paths: Sequence[str], start: int, end: int) -> AsyncIterator[list[Reading]]:
        """What the server recorded; see :class:`drivers.driver.Remembers`.

        Raises:
            DeviceLost: it does not answer.
        """
        from asyncua.ua.uaerrors._base import UaError

        from drivers.opcua.history import history

        session = self._connection
        try:
            async for readings in history(session, paths, start, end):
                yield readings
        except (TimeoutError, OSError, UaError) as error:
            raise session.lost(error) from error

    async def events(self, deliver: Callable[[list[Alarm]], None]) -> None:
        """Tell of alarms and conditions until cancelled; see :class:`drivers.driver.Notifies`.

        Raises:
            ReadFailed: the server has no such notifier.
            DeviceLost: it does not answer.
        """
        from asyncua.ua.uaerrors._base import UaError

        from drivers.opcua.events import events

        assert isinstance(self.profile, OpcuaProfile)  # noqa: S101 - checked when constructed
        session = self._connection
        notifier = session.node(self.profile.node(self.config.notifier))
        if notifier is None:
            raise ReadFailed(f"the server has no namespace of the notifier {self.config.notifier}")
        try:
            await events(session, notifier, deliver)
        except (TimeoutError, OSError, UaError) as error:
            raise session.lost(error) from error

    @property
    def methods(self) -> Mapping[str, OpcuaMethod | JobMethod]:
        assert isinstance(self.profile, OpcuaProfile)  # noqa: S101 - checked when constructed
        jobs = self.profile.jobs
        return {**self.profile.methods, **(jobs.methods() if jobs is not None else {})}

    async def invoke(
        self, method: str, rule: MethodRule, arguments: Mapping[str, Value]
    ) -> Mapping[str, Value]:
        from drivers.opcua import jobs, methods

        assert isinstance(self.profile, OpcuaProfile)  # noqa: S101 - checked when constructed
        client, ours = self._connection.client, self.methods[method]
        if isinstance(ours, JobMethod):
            return await jobs.command(client, self.profile, method, ours, arguments)
        return await methods.invoke(client, self.profile, method, ours, arguments)

    def store(self) -> Store:
        from drivers.opcua.files import Directory

        assert isinstance(self.profile, OpcuaProfile)  # noqa: S101 - checked when constructed
        place = self.profile.files
        if self.config.program_folder is not None or place is None or place.node is None:
            return super().store()
        return Directory(self._connection.client, self.address, self.profile.node(place.node))

    async def send(self, path: str, tag: Tag, value: Value) -> None:
        await self._connection.send(path, tag, value)
