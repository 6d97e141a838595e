"""Alarms and conditions of a server (OPC 10000-9): first all that stand, then each change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors._base import UaError

from drivers.driver import Alarm, ReadFailed
from drivers.opcua.browse import address_of, text_of
from drivers.opcua.session import Session
from drivers.opcua.values import microseconds

REFRESH_S = 5.0
"""Seconds in which a server tells its conditions when it is asked for them."""
MAX_STANDING = 10_000
"""Conditions that are gathered until the server has told all; a machine has a few hundred."""
_QUEUE = 1000
"""Events the server keeps between two messages."""
_TEXT = 500
"""Characters of an alarm's text."""

_FIELDS: tuple[tuple[str, int, str], ...] = (
    ("type", ObjectIds.BaseEventType, "EventType"),
    ("source", ObjectIds.BaseEventType, "SourceName"),
    ("time", ObjectIds.BaseEventType, "Time"),
    ("message", ObjectIds.BaseEventType, "Message"),
    ("severity", ObjectIds.BaseEventType, "Severity"),
    ("condition", ObjectIds.ConditionType, ""),  # its NodeId
    ("name", ObjectIds.ConditionType, "ConditionName"),
    ("branch", ObjectIds.ConditionType, "BranchId"),
    ("retain", ObjectIds.ConditionType, "Retain"),
    ("enabled", ObjectIds.ConditionType, "EnabledState/Id"),
    ("acked", ObjectIds.AcknowledgeableConditionType, "AckedState/Id"),
    ("active", ObjectIds.AlarmConditionType, "ActiveState/Id"),
)
_REFRESH_ENDS = ua.NodeId(ua.Int32(ObjectIds.RefreshEndEventType))
_REFRESH_WANTED = {
    ua.NodeId(ua.Int32(ObjectIds.RefreshRequiredEventType)),
    ua.NodeId(ua.Int32(ObjectIds.EventQueueOverflowEventType)),
}


@dataclass(slots=True)
class _Conditions:
    """What has been told; nothing is delivered before the server has told all that stands."""

    session: Session
    deliver: Callable[[list[Alarm]], None]
    standing: dict[str, Alarm] | None = field(default_factory=dict)
    """None once the first list is delivered."""
    refreshed: asyncio.Event = field(default_factory=asyncio.Event)
    refresh: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server asks to be asked again, because it dropped something."""

    def take(self, events: Sequence[Any]) -> None:
        changed = []
        for event in events:
            values = [variant.Value for variant in event.EventFields or ()]
            if len(values) != len(_FIELDS):
                continue  # not what was asked for
            told = dict(zip((name for name, _, _ in _FIELDS), values, strict=True))
            if told["type"] == _REFRESH_ENDS:
                self.refreshed.set()
            elif told["type"] in _REFRESH_WANTED:
                self.refresh.set()
            elif (alarm := alarm_of(self.session, told)) is not None:
                changed.append(alarm)
        if self.standing is None:
            if changed:
                self.deliver(changed)
            return
        for alarm in changed:
            if alarm.id in self.standing or len(self.standing) < MAX_STANDING:
                self.standing[alarm.id] = alarm

    def complete(self) -> None:
        """That was all: from now on each change."""
        standing, self.standing = self.standing, None
        if standing is not None:
            self.deliver([each for each in standing.values() if each.active or not each.acknowledged])


def alarm_of(session: Session, told: dict[str, Any]) -> Alarm | None:
    """An event as an alarm; None when it is about no condition.

    A condition without ``ActiveState`` (to be acknowledged, and no more) is active as long as the server
    retains it; a disabled one is not.
    """
    condition, name = told["condition"], text_of(told["name"] or "")
    if not isinstance(condition, ua.NodeId) or condition.is_null():
        if not name:
            return None
        place = f"{told['source']}/{name}"
    else:
        place = address_of(session, condition)
    branch = told["branch"]
    if isinstance(branch, ua.NodeId) and not branch.is_null():
        place += f"#{address_of(session, branch)}"
    retained = told["retain"] is True
    active = told["active"] if isinstance(told["active"], bool) else retained
    if told["enabled"] is False:
        active, acknowledged = False, True
    else:
        acknowledged = told["acked"] is not False
    severity = told["severity"] if isinstance(told["severity"], int) else 500
    time = told["time"]
    return Alarm(
        place[:_TEXT],
        text_of(told["source"] or "")[:_TEXT],
        (text_of(told["message"] or "") or name)[:_TEXT],
        max(1, min(1000, severity)),
        active,
        acknowledged,
        microseconds(time) if hasattr(time, "tzinfo") else None,
    )


async def events(session: Session, notifier: ua.NodeId, deliver: Callable[[list[Alarm]], None]) -> None:
    """Tell of alarms until cancelled or the connection is lost.

    Raises:
        ReadFailed: the server has no such notifier.
        DeviceLost: the server ended the subscription.
    """
    told = _Conditions(session, deliver)
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def notified(result: ua.PublishResult) -> None:
        notifications: Any = result.NotificationMessage.NotificationData
        for notification in notifications or ():
            if (items := getattr(notification, "Events", None)) is not None:
                told.take(items)
            elif getattr(notification, "Status", None) is not None and not ended.done():
                ended.set_result(f"the server ended the subscription of events ({notification.Status.name})")

    wanted = ua.CreateSubscriptionParameters()
    wanted.RequestedPublishingInterval = 500
    wanted.RequestedMaxKeepAliveCount = 10
    wanted.RequestedLifetimeCount = 100
    wanted.MaxNotificationsPerPublish = _QUEUE
    wanted.PublishingEnabled = True
    created = await session.services.create_subscription(wanted, notified)
    subscription = created.SubscriptionId
    items = ua.CreateMonitoredItemsParameters()
    items.SubscriptionId = subscription
    items.TimestampsToReturn = ua.TimestampsToReturn.Both
    items.ItemsToCreate = [_item(notifier)]
    (result,) = await session.services.create_monitored_items(items)
    if not result.StatusCode.is_good():
        await session.services.delete_subscriptions([subscription])
        where = address_of(session, notifier)
        raise ReadFailed(f"{where} tells no events: {result.StatusCode.name}: {result.StatusCode.doc}")
    try:
        while True:
            told.refresh.clear()
            await _refresh(session, subscription, told)
            told.complete()
            again: asyncio.Future[Any] = asyncio.ensure_future(told.refresh.wait())
            try:
                await asyncio.wait([_any(ended), again], return_when=asyncio.FIRST_COMPLETED)
            finally:
                again.cancel()
            if ended.done():
                raise session.lost(UaError(ended.result()))
    finally:
        ended.cancel()


def _any(future: asyncio.Future[str]) -> asyncio.Future[Any]:
    return future


async def _refresh(session: Session, subscription: int, told: _Conditions) -> None:
    """Ask for all conditions that stand (OPC 10000-9, 5.5.7); a server without that has told what it will."""
    told.refreshed.clear()
    request = ua.CallMethodRequest()
    request.ObjectId = ua.NodeId(ua.Int32(ObjectIds.ConditionType))
    request.MethodId = ua.NodeId(ua.Int32(ObjectIds.ConditionType_ConditionRefresh))
    request.InputArguments = [ua.Variant(subscription, ua.VariantType.UInt32)]
    try:
        (result,) = await session.services.call([request])
    except UaError:
        return
    if not result.StatusCode.is_good():
        return
    try:
        async with asyncio.timeout(REFRESH_S):
            await told.refreshed.wait()
    except TimeoutError:
        return  # it does not say when it is done


def _item(notifier: ua.NodeId) -> ua.MonitoredItemCreateRequest:
    request = ua.MonitoredItemCreateRequest()
    request.ItemToMonitor.NodeId = notifier
    request.ItemToMonitor.AttributeId = AttributeIds.EventNotifier
    request.MonitoringMode = ua.MonitoringMode.Reporting
    request.RequestedParameters.ClientHandle = 1
    request.RequestedParameters.SamplingInterval = 0
    request.RequestedParameters.QueueSize = _QUEUE
    request.RequestedParameters.DiscardOldest = True
    wanted = ua.EventFilter()
    for _, kind, path in _FIELDS:
        operand = ua.SimpleAttributeOperand()
        operand.TypeDefinitionId = ua.NodeId(ua.Int32(kind))
        operand.BrowsePath = [ua.QualifiedName(word, 0) for word in path.split("/") if word]
        operand.AttributeId = AttributeIds.Value if path else AttributeIds.NodeId
        wanted.SelectClauses.append(operand)
    request.RequestedParameters.Filter = wanted
    return request
