"""A virtual machining centre: the bearing of its spindle goes by use, each life in its own way. Pure.

A new bearing shows nothing for a while. Then a pit opens and grows with the work done: by a constant amount
and by a share of what is there (between a straight line and an exponential, as in N. Gebraeel et al.:
Residual-life distributions from component degradation signals, IIE Transactions 37, 2005), faster in heavy
cuts, and not evenly. Vibration follows the damage at once, temperature and current a little. The drive's own
protection stops the spindle when the mean vibration of a minute is above its limit.

How long a life is, when the pit opens and how it grows is drawn at its beginning; the unevenness is drawn by
work done and not by time, so that the same seed gives the same life whatever the machine is planned to do.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from drivers.virtual.physics import Machine, State

QUANTUM = 0.05
"""Hours of work for which one number of unevenness is drawn."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What a program asks of the spindle: speed in 1/min, load in %, vibration when new in mm/s.

    ``severity`` is how much faster than usual the bearing goes.
    """

    speed: float
    load: float
    vibration: float
    severity: float


CUTS = {
    "ST": Cut(speed=4200, load=60, vibration=1.4, severity=1.0),
    "AL": Cut(speed=12000, load=34, vibration=1.15, severity=0.75),
    "SS": Cut(speed=2600, load=74, vibration=1.6, severity=1.4),
}
"""By the letters before the first hyphen of the program's name; what is not listed is cut like ``ST``."""


@dataclass(frozen=True, slots=True)
class Bearing:
    """How bearings of one spindle go. ``life`` is the median in hours of usual work."""

    life: float = 4000.0
    spread: float = 0.35
    """Standard deviation of the logarithm of the life."""
    silent: tuple[float, float] = (0.3, 0.55)
    """Share of the life before the pit opens."""
    bend: tuple[float, float] = (0.5, 3.5)
    """How much of its growth is a share of what is there: the exponent over the whole growth."""
    uneven: float = 0.6
    """Standard deviation of the growth of a hundredth of the life, as a part of it."""
    trip: float = 9.0
    """mm/s at which the drive's protection stops the spindle; it stands in the machine's manual."""
    trip_minutes: float = 1.0
    heat: float = 1.6
    """Kelvin for each time by which the vibration has grown."""
    friction: float = 0.012
    """Part of the load that comes on top, likewise."""
    drift: float = 0.03
    """Standard deviation of what tools and material make of the vibration, as a part of it …"""
    drift_hours: float = 0.7
    """… and how long that lasts."""
    weather: float = 1.2
    """Standard deviation of the workshop's temperature in kelvin …"""
    weather_hours: float = 6.0
    """… and how long that lasts."""


@dataclass(slots=True)
class Life:
    """One bearing from new to its end; ``rng`` is of this life alone. Hours of usual work."""

    bearing: Bearing
    rng: random.Random
    silent: float = field(init=False)
    constant: float = field(init=False)
    """Growth in an hour by which damage begins …"""
    share: float = field(init=False)
    """… and the share of the damage that an hour adds."""
    used: float = 0.0
    damage: float = 0.0
    """By how many times its first value the vibration has grown."""
    _left: float = field(default=0.0, init=False)
    _pace: float = field(default=1.0, init=False)

    def __post_init__(self) -> None:
        bearing = self.bearing
        total = bearing.life * math.exp(self.rng.gauss(0, bearing.spread))
        self.silent = total * self.rng.uniform(*bearing.silent)
        grows = total - self.silent
        bend = self.rng.uniform(*bearing.bend)
        ends = bearing.trip / CUTS["ST"].vibration - 1
        self.share = bend / grows
        self.constant = ends * bend / (grows * math.expm1(bend))

    def use(self, hours: float, severity: float) -> None:
        """So many hours of work of a severity."""
        while hours > 0:
            if self._left <= 0:
                self._left, self._pace = QUANTUM, self._drawn()
            step = min(hours, self._left)
            self._left -= step
            hours -= step
            self.used += step * severity
            grows = min(step * severity, max(0.0, self.used - self.silent))
            self.damage += grows * self._pace * (self.constant + self.share * self.damage)

    def _drawn(self) -> float:
        """The pace of a quantum: of mean 1, its spread such that it is ``uneven`` over a hundredth life."""
        shape = QUANTUM / (self.bearing.life / 100) / self.bearing.uneven**2
        return self.rng.gammavariate(shape, 1 / shape)


@dataclass(slots=True)
class MachiningCentre(Machine):
    """A machine whose bearing ends by its own vibration; ``seed`` gives its lives, one after the other.

    Its loads and speeds are those of the program it runs; those of its character do not count.
    """

    bearing: Bearing = field(default_factory=Bearing)
    seed: str = "1"
    lives: int = field(default=0, init=False)
    spindle_speed: float = field(default=0.0, init=False)
    worked: float = field(default=0.0, init=False)
    """Hours that the present bearing has worked."""
    _life: Life = field(init=False)
    _drift: float = field(default=0.0, init=False)
    _weather: float = field(default=0.0, init=False)
    _felt: float = field(default=0.0, init=False)
    """Mean vibration of the last minute, as the drive's protection reckons it."""

    def __post_init__(self) -> None:
        self._life = self._next_life()

    @property
    def cut(self) -> Cut:
        """What the present program asks."""
        return CUTS.get(self.program.partition("-")[0].upper(), CUTS["ST"])

    @property
    def pitted(self) -> bool:
        """Whether the pit has opened: whoever takes the bearing out sees it."""
        return self._life.used > self._life.silent

    def repair(self) -> None:
        """Another bearing, with a life of its own."""
        self._life = self._next_life()
        self.worked = self._felt = 0.0
        # Named, for a class with slots is made anew and has no cell for super().
        Machine.repair(self)

    def _next_life(self) -> Life:
        self.lives += 1
        return Life(self.bearing, random.Random(f"{self.seed}:life:{self.lives}"))

    def _use(self, hours: float) -> str:
        cut, bearing = self.cut, self.bearing
        self._life.use(hours, cut.severity)
        self.worked += hours
        self._drift = _wandered(self._drift, hours, bearing.drift, bearing.drift_hours, self.rng)
        shaking = cut.vibration * (1 + self._life.damage) * math.exp(self._drift)
        self._felt += (shaking - self._felt) * (1 - math.exp(-hours * 60 / bearing.trip_minutes))
        self.wear = min(1.0, self._life.damage / (bearing.trip / cut.vibration - 1))
        return "E-417 spindle vibration above its limit" if self._felt > bearing.trip else ""

    def _show(self, seconds: float) -> None:
        character, cut, damage = self.character, self.cut, self._life.damage
        working = self.state is State.RUNNING
        self._weather = _wandered(
            self._weather,
            seconds * self.speed / 3600,
            self.bearing.weather,
            self.bearing.weather_hours,
            self.rng,
        )
        friction = 1 + self.bearing.friction * damage
        target = cut.load * friction if working else character.idle_load
        self.load = max(0.0, target + self.rng.gauss(0, 1.5 if working else 0.3))
        settled = (
            character.ambient
            + self._weather
            + (character.heat * cut.load / 100 + self.bearing.heat * damage) * working
        )
        share = 1 - math.exp(-seconds * self.speed / character.lag)
        self.temperature += (settled - self.temperature) * share
        base = cut.vibration * (1 + damage) * math.exp(self._drift) if working else 0.1
        self.vibration = max(0.0, base * (1 + self.rng.gauss(0, character.noise)))
        self.spindle_speed = cut.speed + self.rng.gauss(0, 2) if working else 0.0
        self.power = character.power * self.load / 100
        self.energy += self.power * seconds * self.speed / 3600


def _wandered(value: float, hours: float, spread: float, lasts: float, rng: random.Random) -> float:
    """What keeps coming back to 0, so many hours later (an Ornstein-Uhlenbeck process, stepped exactly)."""
    keeps = math.exp(-hours / lasts)
    return value * keeps + rng.gauss(0, spread * math.sqrt(1 - keeps * keeps))
