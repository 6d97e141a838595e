"""The machines of a running edge as its control sees them: collectors, and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drivers.driver import Driver
from edge.collector import Collector
from edge.control.machines import Facts
from edge.devices import Devices
from edge.programs.book import Book


@dataclass(slots=True)
class CollectedMachines:
    """Of one edge."""

    devices: Devices
    book: Book = field(default_factory=Book)

    def facts(self, device: str) -> Facts | None:
        """What is known of a machine; None where the edge has no such device."""
        collector = self.devices.get(device)
        if collector is None:
            return None
        profile = collector.profile
        driver = collector.driver
        return Facts(
            device=device,
            title=collector.device.title or device,
            profile=profile,
            connected=driver is not None,
            firmware=collector.recognition.foreign_firmware,
            values=collector.values(profile.writes),
            methods=driver.methods if driver is not None else {},
            programs=self.book.of(device),
        )

    def driver(self, device: str) -> Driver[Any] | None:
        """Its connected driver; None while it is away."""
        return self.devices.driver(device)

    def refuse(self, device: str) -> None:
        """The lock or the accepted firmware changed: the connected driver is to follow at once."""
        collector: Collector | None = self.devices.get(device)
        if collector is not None:
            collector.recognition.permit()
