"""One connection to one OPC UA server, on asyncua. Imported only when a connection is made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors._base import UaError

from drivers.driver import (
    Captured,
    Deliver,
    DeviceLost,
    ReadFailed,
    WriteFailed,
    WriteRefused,
    WriteUnknown,
)
from drivers.opcua.connection import connect
from drivers.opcua.guard import GuardedClient
from drivers.opcua.limits import Limits
from drivers.opcua.meaning import Meaning
from drivers.opcua.options import OpcuaOptions
from drivers.opcua.polling import Polling
from drivers.opcua.profile import NodeAddress, OpcuaProfile
from drivers.opcua.streaming import Streaming
from drivers.opcua.structures import Structures
from drivers.opcua.values import VARIANTS, Mismatch, block_of, microseconds, raw_value
from drivers.profile.profile import Tag
from drivers.trace import Tap
from protocols.values import Quality, Reading, Reason, Value

SESSION_S = 60
"""Seconds after which a server ends a session that has gone silent, and lets go of the files it left open.
asyncua asks for an hour: so long an edge that was killed would keep them locked, and its session taken."""


class Session:
    """A connected client and the profile's tags as nodes of this server.

    Args:
        address: endpoint URL.
        options: security, user and times.
        profile: the tags.
        problems: why a tag is bad, by name; kept up to date here.
        tap: is told of every message.
    """

    def __init__(
        self,
        address: str,
        options: OpcuaOptions,
        profile: OpcuaProfile,
        problems: dict[str, str],
        tap: Tap | None = None,
    ) -> None:
        self.address = address
        self._options = options
        self.tags = profile.all_tags
        self._waveforms = dict(profile.waveforms)
        self._places = {name: profile.place(tag) for name, tag in {**self.tags, **self._waveforms}.items()}
        self._problems = problems
        self.structures = Structures()
        self.meaning = Meaning(self.tags, problems, self.structures)
        self.nodes: dict[str, ua.NodeId] = {}
        self.uris: list[str] = []
        """The server's namespaces, by their index there."""
        self.limits = Limits()
        self._lost: asyncio.Future[str] | None = None
        # asyncua's own probe is a second line: ours watches that data flows, not only that reads work.
        self._client = GuardedClient(address, options.timeout, options.watchdog)
        self._client.tap = tap
        self._client.session_timeout = int(max(SESSION_S, 3 * options.watchdog) * 1000)
        self._client.connection_lost_callback = self._on_lost
        self._client.name = self._client.description = "OneLot edge"

    @property
    def client(self) -> GuardedClient:
        """For what is no tag: methods and files."""
        return self._client

    @property
    def services(self) -> UaSession:
        """asyncua's session: the service calls."""
        return self._client.uaclient.session

    async def connect(self) -> None:
        """Connect, log in and look the namespaces up.

        Raises:
            ConnectError: with what to change.
        """
        self._lost = asyncio.get_running_loop().create_future()

        async def look_up() -> None:
            self.limits = await Limits.ask(self.services)
            await self._resolve()

        await connect(self._client, self.address, self._options, look_up)

    async def close(self) -> None:
        """Log out if the server still answers, and let go of the socket in any case."""
        if self._lost is not None and self._lost.done():
            self._client.disconnect_socket()
        # A server that is gone cannot be logged out from: that is no news here.
        try:
            with contextlib.suppress(TimeoutError, OSError, UaError):
                async with asyncio.timeout(self._options.timeout):
                    await self._client.disconnect()
        finally:
            self._client.disconnect_socket()

    async def _on_lost(self, error: Exception) -> None:
        self._give_up(str(error) or type(error).__name__)

    def _give_up(self, cause: str) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(cause)

    def lost(self, error: Exception) -> DeviceLost:
        """A service call that failed, as what it means for the connection."""
        if isinstance(error, TimeoutError):
            return DeviceLost(self.address, f"no answer within {self._options.timeout:g} s")
        return DeviceLost(self.address, str(error) or type(error).__name__)

    async def _resolve(self) -> list[str]:
        """Look up the nodes of tags that have none yet; the names of those found now."""
        self.uris = list(await self._client.get_namespace_array())
        found = []
        for name in [name for name in self._places if name not in self.nodes]:
            node = self.node(self._places[name])
            if node is None:
                self._problems[name] = f'the server has no namespace "{self._places[name].uri}"'
            else:
                self._problems.pop(name, None)
                self.nodes[name] = node
                found.append(name)
        return found

    def node(self, place: NodeAddress) -> ua.NodeId | None:
        """A node as this server numbers it; None when it has no such namespace."""
        if place.uri is None:
            number = place.number
        elif place.uri in self.uris:
            number = self.uris.index(place.uri)
        else:
            return None
        return ua.NodeId(place.identifier, number)  # type: ignore[arg-type]

    def by_node(self, names: Iterable[str]) -> dict[ua.NodeId, list[str]]:
        """Tags by their nodes: an array or a structure is fetched once for all of its tags."""
        found: dict[ua.NodeId, list[str]] = {}
        for name in names:
            found.setdefault(self.nodes[name], []).append(name)
        return found

    def _missing(self, names: Sequence[str]) -> list[Reading]:
        """Readings of tags whose namespace the server does not have."""
        return [
            Reading(name, None, Quality.BAD, Reason.ILLEGAL_ADDRESS)
            for name in names
            if name not in self.nodes
        ]

    async def stream(self, names: Sequence[str], deliver: Deliver) -> None:
        """Subscribe, or poll, and deliver until cancelled.

        Raises:
            DeviceLost: connection closed, subscription ended, or no sign of life within the watchdog.
        """
        if self._lost is None:
            raise DeviceLost(self.address, "not connected")
        lost = self._lost
        missing = self._missing(names)
        if missing:
            deliver(missing)
        absent = {reading.path for reading in missing}
        polling = Polling(self.read, deliver)
        streaming = Streaming(
            self.address,
            self._options,
            self.services,
            self.limits,
            self.meaning,
            polling,
            deliver,
            self._give_up,
        )

        async def start(these: Sequence[str]) -> None:
            turns: dict[float, list[str]] = {}
            for name in these:
                turns.setdefault(self.tags[name].sampling, []).append(name)
            for interval, members in turns.items():
                await streaming.add(interval, self.by_node(members))

        async def again() -> None:
            if absent:
                found = [name for name in await self._resolve() if name in absent]
                absent.difference_update(found)
                await start(found)
            await learn()

        async def learn() -> None:
            if self.structures.unknown and await self.structures.learn(self.services):
                deliver(await self.read([name for name in names if self.tags[name].field]))

        async def subscribed() -> None:
            await self._learn([name for name in names if name in self.nodes])
            await start([name for name in names if name in self.nodes])
            await streaming.watch(lost, again)

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(subscribed())
                tasks.create_task(polling.run())
        except ExceptionGroup as errors:
            error = errors.exceptions[0]
            if isinstance(error, TimeoutError):
                raise self.lost(error) from None
            if isinstance(error, OSError | UaError):
                raise DeviceLost(self.address, f"cannot subscribe: {error}") from error
            raise error from None

    async def _learn(self, names: Sequence[str]) -> None:
        """Meet the structures among the tags once, so that their types are known before values flow."""
        structured = [name for name in names if self.tags[name].field and name in self.nodes]
        if structured:
            await self._read(structured)
            await self.structures.learn(self.services)

    async def read(self, names: Sequence[str]) -> list[Reading]:
        """Read values once, each with its own status."""
        found = {reading.path: reading for reading in self._missing(names)}
        known = [name for name in dict.fromkeys(names) if name in self.nodes]
        try:
            found |= await self._read(known)
            if self.structures.unknown and await self.structures.learn(self.services):
                found |= await self._read([name for name in known if self.tags[name].field])
        except (TimeoutError, OSError, UaError) as error:
            raise self.lost(error) from error
        return [found[name] for name in names]

    async def _read(self, names: Sequence[str]) -> dict[str, Reading]:
        found: dict[str, Reading] = {}
        nodes = list(self.by_node(names).items())
        for start in range(0, len(nodes), self.limits.nodes):
            batch = nodes[start : start + self.limits.nodes]
            values = await self.services.read_attributes([node for node, _ in batch], AttributeIds.Value)
            for (_, members), value in zip(batch, values, strict=True):
                for name, convert in self.meaning.members(members):
                    found[name] = self.meaning.reading(name, value, convert)
        return found

    async def capture(self, name: str) -> Captured:
        """Read the array of a waveform; see :class:`drivers.capabilities.Captures`."""
        tag = self._waveforms[name]
        if name not in self.nodes or tag.waveform is None:
            raise ReadFailed(f'"{name}": {self._problems.get(name, "unknown node")}')
        try:
            (data,) = await self.services.read_attributes([self.nodes[name]], AttributeIds.Value)
        except (TimeoutError, OSError, UaError) as error:
            raise self.lost(error) from error
        status = data.StatusCode
        if status is not None and not status.is_good():
            raise ReadFailed(f'"{name}": {status.name}: {status.doc}')
        try:
            values = block_of(tag, data.Value.Value if data.Value is not None else None, tag.waveform.length)
        except Mismatch as error:
            raise ReadFailed(f'"{name}": {error}') from None
        # The source's time alone: a server that has none stamps each read anew.
        return Captured(values, microseconds(data.SourceTimestamp))

    async def send(self, name: str, tag: Tag, value: Value) -> None:
        """Write one value; see :meth:`drivers.driver.Driver.send`."""
        if name not in self.nodes:
            raise WriteFailed(f'"{name}": {self._problems.get(name, "unknown node")}')
        place = self.tags[name]
        if place.field is not None:
            raise WriteRefused(f'"{name}": one field of a structure cannot be written by itself')
        try:
            raw = raw_value(tag, value)
        except ValueError as error:
            raise WriteRefused(f'"{name}": {error}') from None
        # No timestamps: many servers refuse a client's (BadWriteNotSupported).
        variant = ua.Variant(raw, VARIANTS[tag.type])
        request = ua.WriteValue()
        request.NodeId = self.nodes[name]
        request.AttributeId = AttributeIds.Value
        if place.index is not None:
            request.IndexRange = str(place.index)
            variant = ua.Variant([raw], VARIANTS[tag.type])
        request.Value = ua.DataValue(variant)
        parameters = ua.WriteParameters()
        parameters.NodesToWrite = [request]
        try:
            (status,) = await self.services.write(parameters)
        except (TimeoutError, OSError) as error:
            cause = str(error) or "no answer"
            raise WriteUnknown(f'"{name}": {cause}; it may have taken effect — read it back') from error
        except UaError as error:
            raise WriteFailed(f'"{name}": {error}') from error
        if not status.is_good():
            raise WriteFailed(f'"{name}": the server answered {status.name}')
