"""The devices of a running edge as stations use them: collectors, and what control says of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.driver import Driver
from edge.control.control import Control
from edge.control.controls import MachineCommand
from edge.devices import Devices
from protocols.values import Value


@dataclass(frozen=True, slots=True)
class CollectedDevices:
    """See :class:`edge.transport.handshakes.StationDevices`; for vehicles behind tags, too."""

    devices: Devices
    control: Control

    def values(self, device: str, tags: Collection[str]) -> Mapping[str, Value]:
        """The newest good values; nothing of a device that is away."""
        found = self.devices.get(device)
        return found.values(tags) if found is not None and found.connected else {}

    def driver(self, device: str) -> Driver[Any] | None:
        """Its connected driver; None while it is away."""
        return self.devices.driver(device)

    def refuses(self, device: str) -> str:
        """Why nothing may be done to it; empty when it is free."""
        return self.control.refuses(device)

    def command(self, name: str) -> MachineCommand | None:
        """A command by its id, as long as it is remembered."""
        return self.control.controls.commands.get(name)
