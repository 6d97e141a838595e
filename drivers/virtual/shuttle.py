"""A virtual vehicle that takes missions through tags, as simple ones and many fleets' managers do. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.values import Value

IDLE, ACTIVE, DONE, FAILED, REFUSED = range(5)
"""What it says of its mission."""


@dataclass(slots=True)
class Shuttle:
    """One vehicle on a line of stations, ``leg`` factory seconds apart and ``handling`` for taking or giving.

    What is written is looked at when the order's number changes; a station that it does not know is refused.
    """

    stations: int
    speed: float = 1.0
    leg: float = 20.0
    handling: float = 10.0
    enabled: bool = True
    fail_next: bool = False
    """It gives the next mission up at its pick-up."""
    position: float = 0.0
    battery: float = 100.0
    mission: int = 0
    mission_state: int = IDLE
    loaded: bool = False
    done: list[tuple[int, int, int]] = field(default_factory=list)
    """Number, pick and drop of every mission it has brought to its end."""
    told: dict[str, int] = field(default_factory=lambda: {"pick": 0, "drop": 0, "order": 0})
    _stops: list[int] = field(default_factory=list, init=False)
    _handles: float = field(default=0.0, init=False)

    @property
    def driving(self) -> bool:
        return bool(self._stops)

    def write(self, tag: str, value: Value) -> None:
        """A client wrote a tag."""
        if tag not in self.told or not isinstance(value, int | float):
            return
        before, self.told[tag] = self.told["order"], int(value)
        if tag == "order" and value != before and self.mission_state != ACTIVE and self.enabled:
            self._begin()

    def _begin(self) -> None:
        pick, drop, self.mission = self.told["pick"], self.told["drop"], self.told["order"]
        if not (0 <= pick < self.stations and 0 <= drop < self.stations) or pick == drop:
            self.mission_state = REFUSED
            return
        self.mission_state, self._stops, self._handles = ACTIVE, [pick, drop], self.handling

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` of real time go by."""
        left = seconds * self.speed
        self.battery = (
            max(5.0, self.battery - left / 3600) if self._stops else min(100.0, self.battery + left / 36)
        )
        while self._stops and left > 0:
            gap = self._stops[0] - self.position
            way = min(abs(gap), left / self.leg)
            self.position += way if gap > 0 else -way
            left -= way * self.leg
            if abs(self._stops[0] - self.position) > 1e-9:
                return
            self.position = float(self._stops[0])
            handles = min(self._handles, left)
            self._handles -= handles
            left -= handles
            if self._handles > 1e-9:
                return
            self._handed_over()

    def _handed_over(self) -> None:
        if self.fail_next:
            self.fail_next, self._stops, self.mission_state = False, [], FAILED
            return
        self._stops.pop(0)
        self.loaded, self._handles = bool(self._stops), self.handling
        if not self._stops:
            self.mission_state = DONE
            self.done.append((self.mission, self.told["pick"], self.told["drop"]))

    def tags(self) -> dict[str, Value]:
        """What it shows, by the names of its profile."""
        state = 3 if self.driving else 6 if self.battery < 95 else 1
        return {
            "state": state,
            "mission": self.mission,
            "mission_state": self.mission_state,
            "station": int(self.position),
            "battery": self.battery,
            "remote_enabled": self.enabled,
            **self.told,
        }
