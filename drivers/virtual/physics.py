"""How a virtual machine behaves: it works, wears, fails and is repaired. Pure: time in, tag values out.

Temperature follows the load with a first-order lag; vibration rises with the square of wear and carries
sensor noise; at wear 1 the machine stops with an alarm until it is repaired. ``wear_hours`` of work lead
from new to worn; the demo's speed divides them, as it divides the repair time.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from enum import IntEnum


class State(IntEnum):
    """Raw state as the virtual machines report it; the profiles map it."""

    OFF = 0
    IDLE = 1
    SETUP = 2
    RUNNING = 3
    FAULT = 4
    STOPPED = 5


@dataclass(frozen=True, slots=True)
class Character:
    """What distinguishes one machine from another. Temperatures in °C, vibration in mm/s, load in %."""

    load: float = 55.0
    idle_load: float = 4.0
    ambient: float = 21.0
    heat: float = 34.0
    """Kelvin above ambient at full load."""
    lag: float = 90.0
    """Seconds of the temperature's time constant."""
    vibration: float = 1.2
    worn_vibration: float = 9.0
    noise: float = 0.05
    power: float = 7.5
    """kW at full load."""
    wear_hours: float = 4000.0
    repair_seconds: float = 5400.0
    micro_stops_per_hour: float = 0.0


@dataclass(slots=True)
class Machine:
    """One machine. ``advance`` moves it by a step; everything random comes from ``rng``."""

    character: Character
    rng: random.Random
    speed: float = 1.0
    state: State = State.IDLE
    program: str = ""
    parts: int = 0
    scrap: int = 0
    wear: float = 0.0
    temperature: float = 21.0
    energy: float = 0.0
    load: float = 0.0
    vibration: float = 0.0
    power: float = 0.0
    alarm: str = ""
    seconds_per_piece: float = 60.0
    _into_piece: float = field(default=0.0, init=False)
    _down_for: float = field(default=0.0, init=False)
    _was: State = field(default=State.IDLE, init=False)

    def press(self, button: str, program: str = "", seconds_per_piece: float | None = None) -> bool:
        """A person at the machine's own panel presses setup, start or stop; False when it does not react."""
        if self.state in (State.FAULT, State.STOPPED, State.OFF):
            return False
        targets = {"setup": State.SETUP, "start": State.RUNNING, "stop": State.IDLE}
        if button not in targets:
            return False
        self.state = targets[button]
        if program:
            self.program = program
        if seconds_per_piece:
            self.seconds_per_piece = seconds_per_piece
        if button == "stop":
            self._into_piece = 0.0
        return True

    def repair(self) -> None:
        """Maintenance is done: as new, waiting for work."""
        self.wear = 0.0
        self.alarm = ""
        self._down_for = 0.0
        self.state = State.IDLE

    def advance(self, seconds: float) -> None:
        """Move the machine's world by ``seconds`` of real time."""
        self._work(seconds)
        self._show(seconds)

    def _work(self, seconds: float) -> None:
        if self._down_for > 0:
            self._down_for -= seconds
            if self._down_for <= 0:
                if self.state is State.FAULT:
                    self.repair()
                else:
                    self.state = self._was
            return
        if self.state is not State.RUNNING:
            return
        self._into_piece += seconds
        while self._into_piece >= self.seconds_per_piece:
            self._into_piece -= self.seconds_per_piece
            self.parts += 1
        if alarm := self._use(seconds * self.speed / 3600):
            self._stop(State.FAULT, alarm, self.character.repair_seconds)
        elif self.rng.random() < self.character.micro_stops_per_hour / 3600 * seconds * self.speed:
            self._stop(State.STOPPED, "", self.rng.uniform(20, 400))

    def _use(self, hours: float) -> str:
        """Wear by so many hours of work; the alarm with which the machine fails, "" while it does not."""
        self.wear += hours / self.character.wear_hours
        return "E-231 drive vibration limit" if self.wear >= 1.0 else ""

    def _stop(self, state: State, alarm: str, factory_seconds: float) -> None:
        self._was = self.state
        self.state = state
        self.alarm = alarm
        self._down_for = factory_seconds / self.speed

    def _show(self, seconds: float) -> None:
        character = self.character
        working = self.state is State.RUNNING
        target = character.load * (1 + 0.3 * self.wear) if working else character.idle_load
        self.load = max(0.0, target + self.rng.gauss(0, 1.5 if working else 0.3))
        settled = character.ambient + character.heat * self.load / 100 * (1 + 0.8 * self.wear**2)
        share = 1 - math.exp(-seconds * self.speed / character.lag)
        self.temperature += (settled - self.temperature) * share
        rise = (character.worn_vibration - character.vibration) * self.wear**2
        base = character.vibration + rise if working else 0.1
        self.vibration = max(0.0, base * (1 + self.rng.gauss(0, character.noise)))
        self.power = character.power * self.load / 100
        self.energy += self.power * seconds * self.speed / 3600


@dataclass(slots=True)
class Vehicle:
    """One AGV on a line of stations, ``leg`` factory seconds apart. Battery in %."""

    stations: int
    rng: random.Random
    speed: float = 1.0
    leg: float = 20.0
    position: float = 0.0
    target: int = 0
    mission: int = 0
    battery: float = 100.0
    charging: bool = False
    _queue: list[int] = field(default_factory=list, init=False)

    @property
    def station(self) -> int:
        """The station it stands at or passed last."""
        return int(self.position)

    @property
    def driving(self) -> bool:
        return abs(self.position - self.target) > 1e-9

    def send(self, pick: int, drop: int) -> None:
        """A transport: fetch at one station, bring to another."""
        self._queue += [pick % self.stations, drop % self.stations]

    def advance(self, seconds: float) -> None:
        """Move by ``seconds`` of real time."""
        if self.driving:
            step = seconds * self.speed / self.leg
            gap = self.target - self.position
            self.position = (
                float(self.target) if abs(gap) <= step else self.position + math.copysign(step, gap)
            )
            self.battery = max(5.0, self.battery - 0.02 * step)
        elif self._queue and self.battery > 15:
            self.charging = False
            self.target = self._queue.pop(0)
            self.mission += 1
        else:
            self.charging = self.battery < 95 and not self._queue
            if self.charging or self.battery <= 15:
                self.battery = min(100.0, self.battery + seconds * self.speed / 36)
