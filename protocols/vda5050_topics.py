"""Where the messages of a VDA 5050 vehicle go: ``interface/v2/manufacturer/serial/topic`` (2.1.0, 6.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

MAJOR = "v2"

_LEVEL = re.compile(r"[^/+#$\s\x00]{1,128}")


class Topic(StrEnum):
    """The last level of a topic."""

    ORDER = "order"
    INSTANT_ACTIONS = "instantActions"
    STATE = "state"
    VISUALIZATION = "visualization"
    CONNECTION = "connection"
    FACTSHEET = "factsheet"


FROM_VEHICLE = (Topic.CONNECTION, Topic.STATE, Topic.VISUALIZATION, Topic.FACTSHEET)
TO_VEHICLE = (Topic.ORDER, Topic.INSTANT_ACTIONS)


@dataclass(frozen=True, slots=True)
class VehicleId:
    """A vehicle on a broker.

    Raises:
        ValueError: a part is no level of an MQTT topic.
    """

    interface: str
    manufacturer: str
    serial: str

    def __post_init__(self) -> None:
        for name, part in (
            ("interface", self.interface),
            ("manufacturer", self.manufacturer),
            ("serial number", self.serial),
        ):
            if not _LEVEL.fullmatch(part):
                raise ValueError(f'the {name} "{part}" is no level of a topic: no /, +, #, $ and no space')

    def topic(self, topic: Topic) -> str:
        """The full topic."""
        return f"{self.interface}/{MAJOR}/{self.manufacturer}/{self.serial}/{topic}"

    def read(self, topic: str) -> Topic | None:
        """Which of this vehicle's topics a full topic is; None when it is none."""
        head, _, last = topic.rpartition("/")
        if head != f"{self.interface}/{MAJOR}/{self.manufacturer}/{self.serial}":
            return None
        return Topic(last) if last in set(Topic) else None

    def __str__(self) -> str:
        return f"{self.interface}/{self.manufacturer}/{self.serial}"
