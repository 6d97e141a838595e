"""The devices of a running edge as stations use them: collectors, and what control says of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.driver import Driver
from edge.devices import Devices
from protocols.values import Value


@dataclass(frozen=True, slots=True)
class CollectedDevices:
    """See :class:`edge.transport.handshakes.StationDevices`. ``locked`` says why nothing may be done."""

    devices: Devices
    locked: Callable[[str], str]

    def values(self, device: str, tags: Collection[str]) -> Mapping[str, Value]:
        """The newest good values; nothing of a device that is away."""
        found = self.devices.get(device)
        return found.values(tags) if found is not None and found.connected else {}

    def driver(self, device: str) -> Driver[Any] | None:
        """Its connected driver; None while it is away."""
        return self.devices.driver(device)

    def refuses(self, device: str) -> str:
        """Why nothing may be done to it; empty when it is free."""
        return self.locked(device)
