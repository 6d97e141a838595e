"""Registers whose meaning stands in other registers: scale exponents, and values that say *I have none*.

SunSpec devices give a scale factor as the value of another register, and a raw value such as 0xFFFF for
what they do not measure. Pure: wraps a consumer of readings.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.driver import Deliver
from drivers.modbus.profile import ModbusProfile
from drivers.scaling import scaler
from protocols.values import Quality, Reading, Reason, Value

_LARGEST = 10
"""SunSpec scale factors lie between -10 and 10."""


def power_of_ten(exponent: Value) -> float:
    """10 to a whole number, exact for what a division can undo.

    Raises:
        ValueError: no whole number from -10 to 10.
    """
    if not isinstance(exponent, int) or isinstance(exponent, bool) or not -_LARGEST <= exponent <= _LARGEST:
        raise ValueError(f"a scale exponent is a whole number from -{_LARGEST} to {_LARGEST}, not {exponent}")
    return float(10**exponent)


class Meaning:
    """What the tags of one profile mean beyond their own registers; problems go to the driver's."""

    def __init__(self, profile: ModbusProfile, problems: dict[str, str]) -> None:
        tags = profile.tags
        self._exponents = {n: t.scale_exponent for n, t in tags.items() if t.scale_exponent is not None}
        self._absent: dict[str, Value] = {
            n: scaler(t.scale, t.offset)(t.absent) if t.scale != 1.0 or t.offset else t.absent
            for n, t in tags.items()
            if t.absent is not None
        }
        self._problems = problems

    def needed(self, paths: Sequence[str]) -> list[str]:
        """The tags that must be read to know these, each once."""
        return list(
            dict.fromkeys([*paths, *(self._exponents[path] for path in paths if path in self._exponents)])
        )

    def applied(self, deliver: Deliver) -> Deliver:
        """A consumer that gives ``deliver`` readings with their meaning; itself where no tag has one."""
        if not self._exponents and not self._absent:
            return deliver
        return _Applied(self._exponents, self._absent, self._problems, deliver)


class _Applied:
    def __init__(
        self, exponents: dict[str, str], absent: dict[str, Value], problems: dict[str, str], deliver: Deliver
    ) -> None:
        self._exponents, self._absent, self._problems = exponents, absent, problems
        self._deliver = deliver
        self._sources = set(exponents.values())
        self._scales: dict[str, float | None] = {}
        """What is known of the exponents: the scale, or None when the device gives none that is usable."""
        self._held: dict[str, Reading] = {}
        """Readings whose exponent has not been read yet."""
        self._said: set[str] = set()
        """Tags that were last said to have no value."""

    def __call__(self, readings: list[Reading]) -> None:
        fresh = False
        for reading in readings:
            if reading.path in self._sources:
                fresh |= reading.path not in self._scales
                self._scales[reading.path] = self._scale(reading)
        held: list[Reading] = []
        if fresh:
            held = [r for r in self._held.values() if self._exponents[r.path] in self._scales]
            for reading in held:
                del self._held[reading.path]
        out = [said for reading in (*held, *readings) if (said := self._said_of(reading)) is not None]
        if out:
            self._deliver(out)

    def _scale(self, reading: Reading) -> float | None:
        try:
            return power_of_ten(reading.value) if reading.quality is Quality.GOOD else None
        except ValueError:
            return None

    def _said_of(self, reading: Reading) -> Reading | None:
        """What is handed on for a reading: itself, scaled, bad, or nothing (yet, or again)."""
        path = reading.path
        if reading.quality is not Quality.GOOD:
            self._said.discard(path)
            return reading
        if path in self._absent and reading.value == self._absent[path]:
            return self._bad(path, Reason.SENSOR_FAILURE, "the device says that it has no value here")
        if path not in self._exponents:
            return self._good(reading)
        source = self._exponents[path]
        if source not in self._scales:
            self._held[path] = reading
            return None
        scale = self._scales[source]
        if scale is None:
            return self._bad(path, Reason.CONFIGURATION, f"its scale_exponent {source} has no usable value")
        return self._good(reading._replace(value=scaler(scale, 0.0)(reading.value)))  # type: ignore[arg-type]

    def _good(self, reading: Reading) -> Reading:
        if reading.path in self._said:
            self._said.discard(reading.path)
            self._problems.pop(reading.path, None)
        return reading

    def _bad(self, path: str, reason: Reason, message: str) -> Reading | None:
        self._problems[path] = message
        if path in self._said:
            return None
        self._said.add(path)
        return Reading(path, None, Quality.BAD, reason)
