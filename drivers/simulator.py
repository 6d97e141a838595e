"""A profile, served: the machine an integrator does not have yet, on its real protocol.

A :class:`ProfileServer` shows the tags of a profile where the same profile reads them. Whoever owns it
sets values; :class:`Movement` makes up plausible ones. The servers themselves live beside their drivers
(``modbus_simulator``, ``opcua_simulator``) and are found through the driver's ``DriverType``.
"""

from __future__ import annotations

import asyncio
import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from drivers.derive import state_word
from drivers.profile.profile import AnyProfile, Bounds, Check, Derivation, Role, Tag
from drivers.scaling import FLOATS, whole_range
from protocols.values import DataType, Reason, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLOW_S = 2.0
"""Seconds by which a slow server delays every answer: longer than most devices are waited for."""


class Fault(StrEnum):
    """How a server misbehaves when it is told to."""

    SILENT = "silent"
    """It accepts connections and requests, but answers nothing, like a device whose program hangs."""
    ILLEGAL = "illegal"
    """It answers every read of a tag with its protocol's *no such address*."""
    SLOW = "slow"
    """It answers, but :data:`SLOW_S` late."""
    DISCONNECT = "disconnect"
    """It closes every connection, new ones too, instead of answering."""


OnWrite = Callable[[str, Value], None]
"""Told the tag and the value (in the tag's unit) when a client has written."""


class ProfileServer(ABC):
    """A server that shows a profile on its protocol.

    Args:
        profile: what to show.
        host: address to listen on; loopback unless told otherwise.
        port: 0 takes any free one; see :attr:`url` once it runs.
    """

    alive: ClassVar[bool] = False
    """Its values move by themselves: nobody makes them up."""
    tells_reads: ClassVar[bool] = False
    """Whether it knows what has been read: see :meth:`unread`."""

    def __init__(self, profile: AnyProfile, host: str = "127.0.0.1", port: int = 0) -> None:
        self.profile = profile
        self.host = host
        self.port = port
        self._fault: Fault | None = None
        self.on_write: OnWrite | None = None

    @property
    def fault(self) -> Fault | None:
        """How it misbehaves at the moment; None when it does not."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        was, self._fault = self._fault, fault
        if was is not fault:
            self.fault_changed(was)

    def fault_changed(self, was: Fault | None) -> None:  # noqa: B027 - optional
        """Called after :attr:`fault` has changed, for servers that must do something at that moment."""

    @property
    def silent(self) -> bool:
        """Whether it answers nothing at the moment: :attr:`fault` is ``SILENT``."""
        return self._fault is Fault.SILENT

    @silent.setter
    def silent(self, silent: bool) -> None:
        self.fault = Fault.SILENT if silent else None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address a driver takes."""

    @abstractmethod
    async def start(self) -> None:
        """Listen, with every tag at its type's zero.

        Raises:
            OSError: the port is taken.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Close every connection and stop listening. What was set is kept for another start."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @abstractmethod
    def set(self, name: str, value: Value) -> None:
        """Show a value (in the tag's unit) from now on. May be called before the server is started.

        Raises:
            KeyError: no such tag.
            ValueError: the value does not fit the tag's type.
        """

    @abstractmethod
    def get(self, name: str) -> Value:
        """The value shown now, whether it was set here or written by a client."""

    @abstractmethod
    def fail(self, name: str, reason: Reason = Reason.SENSOR_FAILURE) -> None:
        """Let reading one tag fail until it is set again."""

    def blank(self, name: str) -> None:
        """Show that a tag has no value, as its protocol says so, until it is set again."""
        self.fail(name)

    def unread(self, names: Collection[str]) -> bool:
        """Whether one of these tags was set and no client has read it since; those that none may read count
        as read.

        Raises:
            NotImplementedError: the server cannot tell; :attr:`tells_reads` says so before.
        """
        raise NotImplementedError(f"a {type(self).__name__} cannot tell what has been read")

    def set_block(self, name: str, values: NDArray[Any]) -> None:
        """Show an array as a waveform from now on: one dimension, its tag's type, not scaled.

        Raises:
            KeyError: no such waveform, or none on this protocol.
        """
        raise KeyError(name)

    def update(self, values: Mapping[str, Value]) -> None:
        """Set several tags."""
        for name, value in values.items():
            self.set(name, value)


def recognised(profile: AnyProfile) -> dict[str, Check]:
    """The checks of a profile's identification that stand where no tag of it does.

    A server that shows their values is recognised as the machine that the profile is for.
    """
    taken = {tag.address for tag in profile.tags.values()}
    checks = {f"identification/{number}": check for number, check in enumerate(profile.identification.checks)}
    return {name: check for name, check in checks.items() if check.address not in taken}


def zero(tag: Tag) -> Value:
    """The value of a tag that nobody has set: the one whose raw value is zero."""
    if tag.type is DataType.STRING:
        return ""
    if tag.type is DataType.BOOL:
        return False
    if tag.scaled:
        return tag.offset
    return 0.0 if tag.type in FLOATS else 0


@dataclass(frozen=True, slots=True)
class Swing:
    """A value that swings about a middle: seconds a period, and how much of the width is noise."""

    middle: float
    width: float
    period: float
    noise: float = 0.1


_SWINGS = {
    Role.SPINDLE_LOAD: Swing(45, 30, 20),
    Role.VIBRATION: Swing(2.2, 0.8, 9, 0.3),
    Role.TEMPERATURE: Swing(48, 12, 600, 0.02),
    Role.CURRENT: Swing(12, 4, 15),
    Role.VOLTAGE: Swing(230, 3, 40),
    Role.POWER: Swing(6.5, 3, 15),
    Role.PRESSURE: Swing(6, 0.4, 30),
    Role.FLOW: Swing(18, 3, 25),
    Role.FORCE: Swing(80, 40, 8),
    Role.HUMIDITY: Swing(45, 5, 900, 0.02),
    Role.LEVEL: Swing(60, 30, 300, 0.02),
    Role.FEED_RATE: Swing(3000, 400, 12, 0.05),
    Role.SPEED: Swing(1.2, 0.3, 10),
}
_CYCLE = 45.0
"""Seconds between two parts."""
_RISING = {
    Role.PART_COUNT: _CYCLE,
    Role.SCRAP_COUNT: _CYCLE * 27,
    Role.COUNTER: 1.0,
}
"""Seconds a count takes to rise by one."""


class Movement:
    """Plausible values for a profile as time goes by. Pure: the same time gives the same values."""

    def __init__(self, profile: AnyProfile) -> None:
        self._tags = profile.tags
        self._waveforms = profile.waveforms
        self._constants = profile.constants()
        self._states = [raw for raw in profile.states if profile.states[raw].item_state == "executing"]
        self._states += [raw for raw in profile.states if raw not in self._states]

        self._rules = [_showing(profile, derivation) for derivation in profile.derive.values()]

    def values(self, seconds: float) -> dict[str, Value]:
        """Every tag's value ``seconds`` after the start; what a client may write is left alone."""
        made = {
            name: self._value(name, tag, seconds)
            for name, tag in self._tags.items()
            if tag.readable and not tag.writable
        }
        for rules in self._rules:
            rule = rules[0] if (turn := int(seconds // 60) % 8) < 6 else rules[turn % len(rules)]
            made |= {name: value for name, value in rule.items() if name in made}
        return made

    def blocks(self, seconds: int) -> dict[str, NDArray[Any]]:
        """Every waveform's block: a shaft in bearings that wear within an hour, and are as new again."""
        if not self._waveforms:
            return {}
        import numpy as np

        from drivers.virtual.spindle import Spindle, block, raw

        made = {}
        for name, tag in self._waveforms.items():
            if (wave := tag.waveform) is None:
                continue
            turns = wave.shaft if isinstance(wave.shaft, float) else wave.rate / 256
            middle = sum(wave.envelope or wave.all_bands[-1]) / 2
            rng = np.random.default_rng((zlib.crc32(name.encode()), seconds))
            spindle = Spindle(turns=turns, resonance=middle, decay=middle / 4)
            samples = block(spindle, seconds % 3600 / 3600, wave.length, wave.rate, rng)
            made[name] = raw(samples, tag.type, tag.scale, tag.offset)
        return made

    def _value(self, name: str, tag: Tag, seconds: float) -> Value:
        seed = zlib.crc32(name.encode())
        if name in self._constants:
            return self._constants[name]
        if tag.role is Role.STATE and self._states:
            # Mostly the first executing state, now and then another one for a while.
            turn = int(seconds // 60) % 8
            raw = self._states[0] if turn < 6 else self._states[turn % len(self._states)]
            return _fit(tag, _number_of(tag, raw))
        if tag.role in _RISING:
            count = int(seconds // _RISING[tag.role])
            return _fit(tag, count % int(tag.counter.max + 1) if tag.counter and tag.counter.max else count)
        if tag.role is Role.ENERGY:
            return _fit(tag, 1000 + seconds * 6.5 / 3600)
        if tag.role is Role.TOOL_LIFE:
            return _fit(tag, 100 - seconds / 60 % 100)
        if tag.role is Role.BATTERY:
            return _fit(tag, 60 + 35 * math.sin(seconds / 1800 * math.tau))
        if tag.role is Role.REMOTE_ENABLED:
            return _fit(tag, 1)
        if tag.role is Role.ALARM:
            return _fit(tag, 0)
        if tag.type is DataType.STRING:
            return f"{name.rpartition('/')[2]}-{int(seconds // 300) + 1}"[: tag.length or None]
        if tag.enum and tag.type is not DataType.BOOL:
            words = sorted(tag.enum)
            return words[int(seconds // 20 + seed) % len(words)]
        if tag.type is DataType.BOOL:
            return int(seconds // (3 + seed % 7)) % 2 == 1
        swing = _SWINGS.get(tag.role) if tag.role else None
        swing = swing or Swing(50, 20, 10 + seed % 50)
        wave = math.sin((seconds / swing.period + seed % 97 / 97) * math.tau)
        ripple = math.sin(seconds * 7.3 + seed) * math.sin(seconds * 11.9)
        return _fit(tag, swing.middle + swing.width * (wave * (1 - swing.noise) + ripple * swing.noise))


def _showing(profile: AnyProfile, derivation: Derivation) -> list[dict[str, Value]]:
    """Values of the tags of a derivation that show each of its states, an executing one first."""
    tags = profile.tags
    conditions = [(name, condition) for rule in derivation.rules for name, condition in rule.when.items()]
    neutral: dict[str, Value] = {}
    for name, condition in conditions:
        if isinstance(condition, bool):
            neutral.setdefault(name, not condition)
        else:
            neutral.setdefault(name, zero(tags[name]))
    found: dict[str, dict[str, Value]] = {}
    for rule in derivation.rules:
        shown = neutral | {name: _meeting(tags[name], condition) for name, condition in rule.when.items()}
        word = state_word(derivation, shown, tags)
        if word is not None and word.state == rule.state:
            found.setdefault(rule.state, shown)
    word = state_word(derivation, neutral, tags)
    if word is not None:
        found.setdefault(word.state, neutral)
    executing = {word for word, state in profile.states.items() if state.item_state == "executing"}
    return [found[word] for word in sorted(found, key=lambda word: word not in executing)] or [{}]


def _meeting(tag: Tag, condition: Bounds | bool | int | float | str) -> Value:
    """A value that meets a condition on a tag."""
    if not isinstance(condition, Bounds):
        return _number_of(tag, condition) if not isinstance(condition, float) else condition
    if condition.between is not None:
        return _fit(tag, sum(condition.between) / 2)
    if condition.above is not None:
        return _fit(tag, condition.above + max(1.0, abs(condition.above) * 0.2))
    return _fit(tag, (condition.below or 0.0) - max(1.0, abs(condition.below or 0.0) * 0.2))


def _number_of(tag: Tag, raw: bool | int | str) -> bool | int | str:
    """The raw value behind a word of the tag's enum."""
    return next((number for number, word in (tag.enum or {}).items() if word == raw), raw)


def _fit(tag: Tag, value: float | str) -> Value:
    """A value in the tag's type, within its range."""
    if isinstance(value, str):
        return value[: tag.length or None]
    if tag.type is DataType.BOOL:
        return bool(value)
    if tag.type is DataType.STRING:
        return str(value)[: tag.length or None]
    if tag.type in FLOATS:
        return float(value)
    low, high = whole_range(tag.type)
    raw = max(low, min(high, round((value - tag.offset) / tag.scale)))
    return raw * tag.scale + tag.offset if tag.scaled else raw


async def move(server: ProfileServer, *, interval: float = 0.5) -> None:
    """Let a server's values move until cancelled."""
    movement = Movement(server.profile)
    clock = asyncio.get_running_loop().time
    start, shown = clock(), -1
    while True:
        seconds = clock() - start
        server.update(movement.values(seconds))
        if int(seconds) > shown:
            shown = int(seconds)
            show_blocks(server, movement, shown)
        await asyncio.sleep(interval)


def show_blocks(server: ProfileServer, movement: Movement, seconds: int) -> None:
    """Show the blocks of waveforms as they are ``seconds`` after the start."""
    for name, values in movement.blocks(seconds).items():
        server.set_block(name, values)
