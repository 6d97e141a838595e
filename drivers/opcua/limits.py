"""How much a server takes at once (OPC 10000-5, 6.3.2 and 6.3.11); small PLCs take little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

_BATCH = 1000
"""Things in one request, where the server does not say that it takes fewer."""
_NODES = {
    "nodes": ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    "items": ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
    "records": ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
    "browsed": ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    "subscriptions": ObjectIds.Server_ServerCapabilities_MaxSubscriptionsPerSession,
    "items_per_subscription": ObjectIds.Server_ServerCapabilities_MaxMonitoredItemsPerSubscription,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Per request, unless it says otherwise; 0 where there is none."""

    nodes: int = _BATCH
    """Nodes read."""
    items: int = _BATCH
    """Monitored items made."""
    records: int = 10
    """Nodes whose history is read."""
    browsed: int = _BATCH
    """Nodes browsed."""
    subscriptions: int = 0
    """Of one session, in all."""
    items_per_subscription: int = 0

    @classmethod
    async def ask(cls, session: UaSession) -> Limits:
        """What the server says, and sensible numbers where it says nothing."""
        wanted = [ua.NodeId(ua.Int32(number)) for number in _NODES.values()]
        found: list[Any] = await session.read_attributes(wanted, AttributeIds.Value)
        plain = cls()
        said = {}
        for name, data in zip(_NODES, found, strict=True):
            value = data.Value.Value if data.Value is not None else None
            default: int = getattr(plain, name)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                said[name] = min(value, default) if default else value
        return cls(**said)
