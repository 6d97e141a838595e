"""What is known of a tag before anything is measured: which side is bad, what is possible, how long it holds.

The physical ranges are those outside of which no machine of a workshop can be, so that a value there is a
fault of the sensor or its wiring; they are not process limits.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from protocols.values import MICROSECONDS


class Side(StrEnum):
    """Which deviation means wear."""

    ABOVE = "above"
    BOTH = "both"


class Role(msgspec.Struct, frozen=True):
    """How maintenance reads a role of the profile. What ``settles`` is learned only once it is warm."""

    side: Side
    settles: bool = False


SIGNS: dict[str, Role] = {
    "vibration": Role(Side.ABOVE),
    "temperature": Role(Side.ABOVE, settles=True),
    "spindle_load": Role(Side.ABOVE),
    "current": Role(Side.ABOVE),
    "pressure": Role(Side.BOTH),
    "flow": Role(Side.BOTH),
    "force": Role(Side.BOTH),
}
"""Roles whose deviation is a sign of wear."""

REGIME_ROLES = frozenset({"program", "speed", "feed_rate"})
"""Roles that say what the machine was told to do: they make the regime and are never a sign of wear."""

LOADS = frozenset({"spindle_load", "current"})
"""Signs that also tell operating points apart where no role of :data:`REGIME_ROLES` is given."""

RANGES: dict[tuple[str, str], tuple[float, float]] = {
    ("temperature", "°C"): (-60.0, 1600.0),
    ("temperature", "CEL"): (-60.0, 1600.0),
    ("temperature", "°F"): (-76.0, 2912.0),
    ("temperature", "K"): (213.0, 1873.0),
    ("vibration", "mm/s"): (0.0, 500.0),
    ("vibration", "g"): (-500.0, 500.0),
    ("vibration", "m/s²"): (-5000.0, 5000.0),
    ("spindle_load", "%"): (-400.0, 400.0),
    ("current", "A"): (-20_000.0, 20_000.0),
    ("pressure", "bar"): (-1.1, 5000.0),
    ("pressure", "kPa"): (-110.0, 500_000.0),
}
"""By role and unit: lowest and highest possible value."""


class TagFacts(msgspec.Struct, frozen=True):
    """One tag of an asset. ``hold`` is how long (µs) a value stands for what follows, ``kind`` its type.

    A tag without ``hold`` is told now and then, such as a number made of a waveform's block: its value says
    what was at that moment and nothing of what follows.
    """

    name: str
    role: str = ""
    unit: str = ""
    kind: str = "float64"
    low: float = -float("inf")
    high: float = float("inf")
    hold: int = 90 * MICROSECONDS

    @property
    def identity(self) -> str:
        """Type and unit: another one is another signal, whatever its name."""
        return f"{self.kind} {self.unit}".rstrip()

    @property
    def tells_load(self) -> bool:
        """Whether its levels tell operating points apart; a number made of a block only says how it shook."""
        return self.role in LOADS and self.hold > 0

    @property
    def sign(self) -> Role | None:
        """How its deviation is judged; None for a tag that only tells the regime."""
        return SIGNS.get(self.role)


def facts(name: str, role: str, unit: str, kind: str, max_interval: float, span: int) -> TagFacts:
    """What is known of a tag; ``max_interval`` in s (0: never repeated), ``span`` of a window in µs.

    A deadband keeps a steady tag silent for ``max_interval``: its value stands half as long again.
    """
    low, high = RANGES.get((role, unit), (-float("inf"), float("inf")))
    hold = max(int(max_interval * 1.5 * MICROSECONDS), 3 * span) if max_interval > 0 else 0
    return TagFacts(name, role, unit, kind, low, high, hold)
