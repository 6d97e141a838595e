"""Subscriptions: the tags of each sampling interval, their monitored items, and whether data still flows.

Notifications are taken from asyncua's session, below its ``Subscription``, which would start a task for every
single value.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import (
    BadNotImplemented,
    BadServiceUnsupported,
    BadTooManyMonitoredItems,
    BadTooManySubscriptions,
)

from drivers.driver import Deliver, DeviceLost
from drivers.opcua.limits import Limits
from drivers.opcua.meaning import Meaning, Member
from drivers.opcua.options import OpcuaOptions
from drivers.opcua.polling import Polling
from protocols.values import Reason

RETRY_S = 30.0
"""Seconds until nodes that the server refused are asked for again: a PLC may load its program later."""
KEEP_ALIVE_S = 2.0
"""Seconds between the server's signs of life while no value changes."""
LOOK_S = 1.0
"""Seconds between two looks at whether the server has fallen silent."""
LATE_S = 0.1
"""Seconds that a look may come late before that counts as time in which nobody could be heard."""
MAX_SUBSCRIPTIONS = 200
"""Subscriptions of one connection, where the server does not say that it takes fewer."""

_FULL = (StatusCodes.BadTooManyMonitoredItems,)
_NO_SUBSCRIPTIONS = (BadServiceUnsupported, BadNotImplemented, BadTooManySubscriptions)


@dataclass(slots=True)
class Group:
    """The nodes of one subscription, all with one sampling interval. A node's handle is its place."""

    interval: float
    nodes: list[ua.NodeId]
    names: list[list[str]]
    members: list[tuple[Member, ...]]
    subscription: int = 0
    alive: float = 0.0
    """When the server last said anything, by the loop's clock."""
    silent_after: float = math.inf
    """Seconds of silence after which it counts as lost."""
    waiting: set[int] = field(default_factory=set)
    """Handles that are not monitored yet."""
    refused: dict[int, Reason] = field(default_factory=dict)


class Streaming:
    """All subscriptions of a connection, and the tags that are polled instead.

    Args:
        address: of the server, for what is said.
        options: queue, watchdog, and whether to poll from the first.
        session: asyncua's session.
        limits: what the server takes at once.
        meaning: turns values into readings.
        polling: reads what cannot be subscribed.
        deliver: takes the readings.
        give_up: told why when the server ends a subscription.
    """

    def __init__(
        self,
        address: str,
        options: OpcuaOptions,
        session: UaSession,
        limits: Limits,
        meaning: Meaning,
        polling: Polling,
        deliver: Deliver,
        give_up: Callable[[str], None],
    ) -> None:
        self._address = address
        self._options = options
        self._session = session
        self._limits = limits
        self._meaning = meaning
        self._polling = polling
        self._deliver = deliver
        self._give_up = give_up
        self._groups: list[Group] = []
        self._no_more = options.updates == "poll"
        """Whether the server takes no further subscription."""

    async def add(self, interval: float, nodes: Mapping[ua.NodeId, list[str]]) -> None:
        """Subscribe nodes, in as many subscriptions as the server's limit asks for; else poll them."""
        rest = list(nodes.items())
        while rest and not self._no_more:
            size = self._limits.items_per_subscription or len(rest)
            group = Group(interval, [], [], [])
            for node, names in rest[:size]:
                group.waiting.add(len(group.nodes))
                group.nodes.append(node)
                group.names.append(names)
                group.members.append(self._meaning.members(names))
            try:
                await self._open(group)
            except _NO_SUBSCRIPTIONS:
                self._no_more = True
                break
            left = await self.monitor(group)
            if len(left) == len(group.nodes):
                # Not even one item: what is full is the session or the server.
                self._no_more = True
                self._groups.remove(group)
                await self._session.delete_subscriptions([group.subscription])
            taken = {node for node in group.nodes if node not in left}
            rest = [each for each in rest if each[0] not in taken]
        if rest:
            self._polling.add(interval, [name for _, names in rest for name in names])

    async def _open(self, group: Group) -> None:
        """Create the subscription of a group."""
        clock = asyncio.get_running_loop().time
        if len(self._groups) >= (self._limits.subscriptions or MAX_SUBSCRIPTIONS):
            raise BadTooManySubscriptions
        parameters = ua.CreateSubscriptionParameters()
        # Tags that are sampled rarely still show every few seconds that the server is alive.
        publishing = min(group.interval, KEEP_ALIVE_S)
        parameters.RequestedPublishingInterval = publishing * 1000
        parameters.RequestedMaxKeepAliveCount = max(1, round(KEEP_ALIVE_S / publishing))
        parameters.RequestedLifetimeCount = 10 * parameters.RequestedMaxKeepAliveCount
        parameters.MaxNotificationsPerPublish = 10_000
        parameters.PublishingEnabled = True
        group.alive = clock()
        created = await self._session.create_subscription(parameters, self._notified(group))
        group.subscription = created.SubscriptionId
        keep_alive = created.RevisedPublishingInterval / 1000 * created.RevisedMaxKeepAliveCount
        group.silent_after = max(self._options.watchdog, 1.5 * keep_alive + 1.0)
        self._groups.append(group)

    def _notified(self, group: Group) -> Callable[[ua.PublishResult], None]:
        clock = asyncio.get_running_loop().time
        members, reading, deliver = group.members, self._meaning.reading, self._deliver
        count = len(members)

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
                    data = item.Value
                    for name, convert in members[handle]:
                        readings.append(reading(name, data, convert))
                deliver(readings)

        return notified

    async def monitor(self, group: Group) -> set[ua.NodeId]:
        """Ask for the items that are not monitored yet; what the server refuses is said once.

        Returns:
            Nodes that found no room; they are none of this group any more.
        """
        waiting, left = sorted(group.waiting), set()
        for start in range(0, len(waiting), self._limits.items):
            batch = waiting[start : start + self._limits.items]
            parameters = ua.CreateMonitoredItemsParameters()
            parameters.SubscriptionId = group.subscription
            parameters.ItemsToCreate = [self._item(group, handle) for handle in batch]
            parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            try:
                results = await self._session.create_monitored_items(parameters)
            except BadTooManyMonitoredItems:
                left.update(waiting[start:])
                break
            refused = []
            for handle, result in zip(batch, results, strict=True):
                if result.StatusCode.is_good():
                    group.waiting.discard(handle)
                    self._compare(group, handle, result.RevisedSamplingInterval)
                elif result.StatusCode.value in _FULL:
                    left.add(handle)
                elif group.refused.get(handle) is not (
                    reason := self._meaning.bad(group.names[handle][0], result.StatusCode).reason
                ):
                    group.refused[handle] = reason
                    refused += [self._meaning.bad(name, result.StatusCode) for name in group.names[handle]]
            if refused:
                self._deliver(refused)
        group.waiting -= left
        return {group.nodes[handle] for handle in left}

    def _compare(self, group: Group, handle: int, revised: float | None) -> None:
        """Say it when the server samples much more slowly than it was asked to."""
        seconds = (revised or 0) / 1000
        for name in group.names[handle]:
            self._meaning.notes.pop(name, None)
            if seconds > max(2 * group.interval, group.interval + 0.1):
                asked = f"the profile asks for {group.interval:g} s"
                self._meaning.note(name, f"the server takes it every {seconds:g} s at the fastest, {asked}")

    def _item(self, group: Group, handle: int) -> ua.MonitoredItemCreateRequest:
        item = ua.ReadValueId()
        item.NodeId = group.nodes[handle]
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

    async def watch(self, lost: asyncio.Future[str], again: Callable[[], Awaitable[None]]) -> None:
        """Until the connection is lost or falls silent; ``again`` is called every half minute.

        Raises:
            DeviceLost: always, at last.
        """
        clock = asyncio.get_running_loop().time
        retry = clock() + RETRY_S
        while True:
            began = clock()
            rest = min(LOOK_S, max(0.05, min([retry, *self._silences()]) - began))
            done, _ = await asyncio.wait([lost], timeout=rest)
            if done:
                raise DeviceLost(self._address, lost.result())
            self._overslept(clock() - began - rest)
            for group in self._groups:
                if clock() - group.alive >= group.silent_after:
                    cause = f"no data and no keep-alive for {group.silent_after:.1f} s"
                    raise DeviceLost(self._address, cause)
            if clock() >= retry:
                for group in list(self._groups):
                    left = await self.monitor(group)
                    if left:
                        of = dict(zip(group.nodes, group.names, strict=True))
                        await self.add(group.interval, {node: of[node] for node in left})
                await again()
                retry = clock() + RETRY_S

    def _overslept(self, seconds: float) -> None:
        """This process stood still, or waited for the processor: it may have heard nothing for that long."""
        if seconds > LATE_S:
            for group in self._groups:
                group.alive += seconds

    def _silences(self) -> Iterator[float]:
        for group in self._groups:
            yield group.alive + group.silent_after
