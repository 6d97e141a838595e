"""One connection to one OPC UA server, on asyncua. Imported only when a connection is made.

Notifications are taken from asyncua's session, below its ``Subscription``, which would start a task for
every single value.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors._base import UaError

from drivers.driver import (
    Deliver,
    DeviceLost,
    Identity,
    WriteFailed,
    WriteRefused,
    WriteUnknown,
)
from drivers.opcua_connection import connect
from drivers.opcua_guard import GuardedClient
from drivers.opcua_options import OpcuaOptions
from drivers.opcua_profile import NodeAddress, OpcuaProfile
from drivers.opcua_values import (
    VARIANTS,
    Mismatch,
    OutsideRange,
    converter,
    microseconds,
    raw_value,
    reason_of,
)
from drivers.profile import Tag
from protocols.values import Quality, Reading, Reason, Value

_BATCH = 500
"""Nodes in one request, where the server does not say that it takes fewer."""
_RETRY_S = 30.0
"""Seconds until nodes that the server refused are asked for again: a PLC may load its program later."""
_KEEP_ALIVE_S = 2.0
"""Seconds between the server's signs of life while no value changes."""

_LIMITS = (
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
)

_make = tuple.__new__
_GOOD, _NONE = Quality.GOOD, Reason.NONE


class _Group:
    """The tags of one sampling interval and their subscription. A tag's handle is its place in ``names``."""

    def __init__(self, interval: float, names: Sequence[str], deliver: Deliver) -> None:
        self.interval = interval
        self.names = names
        self.deliver = deliver
        self.subscription = 0
        self.alive = 0.0
        """When the server last said anything, by the loop's clock."""
        self.silent_after = math.inf
        """Seconds of silence after which it counts as lost."""
        self.waiting = set(range(len(names)))
        """Handles that are not monitored yet."""
        self.refused: dict[int, Reason] = {}


class Session:
    """A connected client and the profile's tags as nodes of this server.

    Args:
        address: endpoint URL.
        options: security, user and times.
        profile: the tags.
        problems: why a tag is bad, by name; kept up to date here.
    """

    def __init__(
        self, address: str, options: OpcuaOptions, profile: OpcuaProfile, problems: dict[str, str]
    ) -> None:
        self._address = address
        self._options = options
        self._tags = profile.all_tags
        self._places = {name: profile.place(tag) for name, tag in self._tags.items()}
        self._converters = {name: converter(tag) for name, tag in self._tags.items()}
        self._problems = problems
        self._nodes: dict[str, ua.NodeId] = {}
        self._lost: asyncio.Future[str] | None = None
        self._read_batch = self._monitor_batch = _BATCH
        # asyncua's own probe is a second line: ours watches that data flows, not only that reads work.
        self._client = GuardedClient(address, options.timeout, options.watchdog)
        self._client.connection_lost_callback = self._on_lost
        self._client.name = self._client.description = "OneLot edge"

    @property
    def client(self) -> GuardedClient:
        """For what is no tag: methods and files."""
        return self._client

    async def connect(self) -> None:
        """Connect, log in and look the namespaces up.

        Raises:
            ConnectError: with what to change.
        """
        self._lost = asyncio.get_running_loop().create_future()

        async def look_up() -> None:
            await self._ask_limits()
            await self._resolve()

        await connect(self._client, self._address, self._options, look_up)

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

    async def _ask_limits(self) -> None:
        """How many nodes the server takes in one request (OPC 10000-5, 6.3.11); small PLCs take few."""
        nodes = [ua.NodeId(ua.Int32(number)) for number in _LIMITS]
        found = await self._client.uaclient.session.read_attributes(nodes, AttributeIds.Value)
        limits = [value.Value.Value if value.Value is not None else None for value in found]
        self._read_batch, self._monitor_batch = (
            min(_BATCH, limit) if isinstance(limit, int) and limit > 0 else _BATCH for limit in limits
        )

    async def _resolve(self) -> list[str]:
        """Look up the nodes of tags that have none yet; the names of those found now."""
        uris = await self._client.get_namespace_array()
        found = []
        for name in [name for name in self._places if name not in self._nodes]:
            node = _node_id(self._places[name], uris)
            if node is None:
                self._problems[name] = f'the server has no namespace "{self._places[name].uri}"'
            else:
                self._problems.pop(name, None)
                self._nodes[name] = node
                found.append(name)
        return found

    def _missing(self, names: Sequence[str]) -> list[Reading]:
        """Readings of tags whose namespace the server does not have."""
        return [
            Reading(name, None, Quality.BAD, Reason.ILLEGAL_ADDRESS)
            for name in names
            if name not in self._nodes
        ]

    async def stream(self, names: Sequence[str], deliver: Deliver) -> None:
        """Subscribe and deliver until cancelled.

        Raises:
            DeviceLost: connection closed, subscription ended, or no sign of life within the watchdog.
        """
        if self._lost is None:
            raise DeviceLost(self._address, "not connected")
        missing = self._missing(names)
        if missing:
            deliver(missing)
        missing_names = [reading.path for reading in missing]
        try:
            groups = await self._subscribe_all([name for name in names if name in self._nodes], deliver)
            await self._watch(groups, self._lost, set(missing_names), deliver)
        except TimeoutError:
            raise DeviceLost(self._address, f"no answer within {self._options.timeout:g} s") from None
        except (OSError, UaError) as error:
            raise DeviceLost(self._address, f"cannot subscribe: {error}") from error

    async def _subscribe_all(self, names: Sequence[str], deliver: Deliver) -> list[_Group]:
        """One subscription for each sampling interval."""
        groups: dict[float, list[str]] = {}
        for name in names:
            groups.setdefault(self._tags[name].sampling, []).append(name)
        return [await self._subscribe(interval, members, deliver) for interval, members in groups.items()]

    async def _watch(
        self, groups: list[_Group], lost: asyncio.Future[str], missing: set[str], deliver: Deliver
    ) -> None:
        """Until the connection is lost or falls silent; asks again for refused nodes and namespaces."""
        clock = asyncio.get_running_loop().time
        retry = clock() + _RETRY_S
        while True:
            due = min([retry, *(group.alive + group.silent_after for group in groups)])
            done, _ = await asyncio.wait([lost], timeout=max(0.05, due - clock()))
            if done:
                raise DeviceLost(self._address, lost.result())
            for group in groups:
                if clock() - group.alive >= group.silent_after:
                    cause = f"no data and no keep-alive for {group.silent_after:.1f} s"
                    raise DeviceLost(self._address, cause)
            if clock() >= retry:
                for group in groups:
                    await self._monitor(group)
                if missing:
                    found = [name for name in await self._resolve() if name in missing]
                    missing.difference_update(found)
                    groups += await self._subscribe_all(found, deliver)
                retry = clock() + _RETRY_S

    async def _subscribe(self, interval: float, names: Sequence[str], deliver: Deliver) -> _Group:
        """One subscription with all its items."""
        clock = asyncio.get_running_loop().time
        group = _Group(interval, names, deliver)
        converters = [self._converters[name] for name in names]
        count = len(names)

        def notified(result: ua.PublishResult) -> None:
            group.alive = clock()
            notifications: Any = result.NotificationMessage.NotificationData
            for notification in notifications or ():
                items = getattr(notification, "MonitoredItems", None)
                if items is None:
                    status = getattr(notification, "Status", None)
                    self._give_up(f"the server ended the subscription ({status.name if status else '?'})")
                    continue
                readings = []
                for item in items:
                    handle = item.ClientHandle
                    if handle >= count:
                        continue  # a server that mixes up its handles costs nobody else a value
                    readings.append(self._reading(names[handle], item.Value, converters[handle]))
                deliver(readings)

        parameters = ua.CreateSubscriptionParameters()
        # Tags that are sampled rarely still show every few seconds that the server is alive.
        publishing = min(interval, _KEEP_ALIVE_S)
        parameters.RequestedPublishingInterval = publishing * 1000
        parameters.RequestedMaxKeepAliveCount = max(1, round(_KEEP_ALIVE_S / publishing))
        parameters.RequestedLifetimeCount = 10 * parameters.RequestedMaxKeepAliveCount
        parameters.MaxNotificationsPerPublish = 10_000
        parameters.PublishingEnabled = True
        group.alive = clock()
        created = await self._client.uaclient.session.create_subscription(parameters, notified)
        group.subscription = created.SubscriptionId
        keep_alive = created.RevisedPublishingInterval / 1000 * created.RevisedMaxKeepAliveCount
        group.silent_after = max(self._options.watchdog, 1.5 * keep_alive + 1.0)
        await self._monitor(group)
        return group

    async def _monitor(self, group: _Group) -> None:
        """Ask for the items that are not monitored yet; what the server refuses is said once."""
        waiting = sorted(group.waiting)
        for start in range(0, len(waiting), self._monitor_batch):
            batch = waiting[start : start + self._monitor_batch]
            parameters = ua.CreateMonitoredItemsParameters()
            parameters.SubscriptionId = group.subscription
            parameters.ItemsToCreate = [self._item(group, handle) for handle in batch]
            parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            results = await self._client.uaclient.session.create_monitored_items(parameters)
            refused = []
            for handle, result in zip(batch, results, strict=True):
                if result.StatusCode.is_good():
                    group.waiting.discard(handle)
                    continue
                reading = self._bad(group.names[handle], result.StatusCode)
                if group.refused.get(handle) is not reading.reason:
                    group.refused[handle] = reading.reason
                    refused.append(reading)
            if refused:
                group.deliver(refused)

    def _item(self, group: _Group, handle: int) -> ua.MonitoredItemCreateRequest:
        item = ua.ReadValueId()
        item.NodeId = self._nodes[group.names[handle]]
        item.AttributeId = AttributeIds.Value
        wanted = ua.MonitoringParameters()
        wanted.ClientHandle = handle
        wanted.SamplingInterval = group.interval * 1000
        wanted.QueueSize = self._options.queue
        wanted.DiscardOldest = True
        request = ua.MonitoredItemCreateRequest()
        request.ItemToMonitor = item
        request.MonitoringMode = ua.MonitoringMode.Reporting
        request.RequestedParameters = wanted
        return request

    async def read(self, names: Sequence[str]) -> list[Reading]:
        """Read values once, each with its own status."""
        found = {reading.path: reading for reading in self._missing(names)}
        known = [name for name in dict.fromkeys(names) if name in self._nodes]
        session = self._client.uaclient.session
        try:
            for start in range(0, len(known), self._read_batch):
                batch = known[start : start + self._read_batch]
                nodes = [self._nodes[name] for name in batch]
                values = await session.read_attributes(nodes, AttributeIds.Value)
                for name, value in zip(batch, values, strict=True):
                    found[name] = self._reading(name, value, self._converters[name])
        except TimeoutError:
            raise DeviceLost(self._address, f"no answer within {self._options.timeout:g} s") from None
        except (OSError, UaError) as error:
            raise DeviceLost(self._address, str(error) or type(error).__name__) from error
        return [found[name] for name in names]

    async def identify(self) -> Identity:
        """The server's BuildInfo (OPC 10000-5, 12.4)."""
        ids = ObjectIds
        nodes = [
            ua.NodeId(ua.Int32(number))
            for number in (
                ids.Server_ServerStatus_BuildInfo_ManufacturerName,
                ids.Server_ServerStatus_BuildInfo_ProductName,
                ids.Server_ServerStatus_BuildInfo_SoftwareVersion,
            )
        ]
        try:
            values = await self._client.uaclient.session.read_attributes(nodes, AttributeIds.Value)
        except (TimeoutError, OSError, UaError) as error:
            raise DeviceLost(self._address, str(error) or "no answer") from error
        texts = [str(v.Value.Value) if v.Value is not None and v.Value.Value else "" for v in values]
        return Identity(vendor=texts[0], product=texts[1], firmware=texts[2])

    async def send(self, name: str, tag: Tag, value: Value) -> None:
        """Write one value; see :meth:`drivers.driver.Driver.send`."""
        if name not in self._nodes:
            raise WriteFailed(f'"{name}": {self._problems.get(name, "unknown node")}')
        try:
            raw = raw_value(tag, value)
        except ValueError as error:
            raise WriteRefused(f'"{name}": {error}') from None
        # No timestamps: many servers refuse a client's (BadWriteNotSupported).
        data = ua.DataValue(ua.Variant(raw, VARIANTS[tag.type]))
        try:
            (status,) = await self._client.uaclient.session.write_attributes([self._nodes[name]], [data])
        except (TimeoutError, OSError) as error:
            cause = str(error) or "no answer"
            raise WriteUnknown(f'"{name}": {cause}; it may have taken effect — read it back') from error
        except UaError as error:
            raise WriteFailed(f'"{name}": {error}') from error
        if not status.is_good():
            raise WriteFailed(f'"{name}": the server answered {status.name}')

    def _reading(self, name: str, data: Any, convert: Callable[[Any], Value]) -> Reading:
        status = data.StatusCode
        code = 0 if status is None else status.value
        if code >> 30 >= 2:
            return self._bad(name, status, microseconds(data.SourceTimestamp))
        value = data.Value.Value if data.Value is not None else None
        try:
            converted = convert(value)
        except OutsideRange as error:
            self._problems[name] = str(error)
            return Reading(name, None, Quality.BAD, Reason.OUT_OF_RANGE, microseconds(data.SourceTimestamp))
        except Mismatch:
            kind = "nothing" if value is None else f"{data.Value.VariantType.name} {type(value).__name__}"
            self._problems[name] = f"the server sends {kind}, the profile says {self._tags[name].type}"
            return Reading(name, None, Quality.BAD, Reason.TYPE_MISMATCH, microseconds(data.SourceTimestamp))
        if converted.__class__ is float and not math.isfinite(converted):
            self._problems[name] = f"the server sends {converted}"
            return Reading(name, None, Quality.BAD, Reason.SENSOR_FAILURE, microseconds(data.SourceTimestamp))
        if self._problems:
            self._problems.pop(name, None)
        if code >> 30 == 1:
            reason = reason_of(code)
            return Reading(name, converted, Quality.UNCERTAIN, reason, microseconds(data.SourceTimestamp))
        # tuple.__new__ makes the named tuple without a Python call: every value passes here.
        return _make(Reading, (name, converted, _GOOD, _NONE, microseconds(data.SourceTimestamp)))

    def _bad(self, name: str, status: ua.StatusCode, time: int | None = None) -> Reading:
        self._problems[name] = f"{status.name}: {status.doc}"
        return Reading(name, None, Quality.BAD, reason_of(status.value), time)


def _node_id(place: NodeAddress, uris: Sequence[str]) -> ua.NodeId | None:
    if place.uri is None:
        number = place.number
    elif place.uri in uris:
        number = uris.index(place.uri)
    else:
        return None
    return ua.NodeId(place.identifier, number)  # type: ignore[arg-type]
