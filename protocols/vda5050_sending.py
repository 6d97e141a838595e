"""A message of VDA 5050 on its way: where it goes, what stands at its head, and when it is sent again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from protocols.vda5050 import timestamp
from protocols.vda5050_topics import Topic, VehicleId


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, and how often."""

    resend: float = 5.0
    tries: int = 5
    silence: float = 40.0
    """Without a state for so long the vehicle is not known to live; the standard asks for one in 30 s."""
    instant: float = 30.0
    cancel: float = 90.0
    """A vehicle may drive on to its next node before it has cancelled."""


@dataclass(frozen=True, slots=True)
class Send:
    """Publish this: QoS 0, not retained (2.1.0, 6.2)."""

    topic: Topic
    payload: bytes


@dataclass(slots=True)
class Headers:
    """Heads of the messages of one vehicle's topics, each topic counted for itself from 0 (2.1.0, 6.4)."""

    vehicle: VehicleId
    _counts: dict[Topic, int] = field(default_factory=dict, init=False)

    def next(self, topic: Topic, now: int, version: str) -> dict[str, Any]:
        """The fields of the next message's head; ``now`` in µs UTC."""
        number = self._counts.get(topic, -1) + 1
        self._counts[topic] = number
        return {
            "header_id": number,
            "timestamp": timestamp(now),
            "version": version,
            "manufacturer": self.vehicle.manufacturer,
            "serial_number": self.vehicle.serial,
        }
