"""A machine that records its values and tells its alarms, and the driver for it: all in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from drivers.driver import (
    Alarm,
    Capability,
    ConnectError,
    Deliver,
    DeviceLost,
    Driver,
    DriverError,
    Identity,
    Options,
)
from drivers.profile.profile import AnyProfile, Profile, Tag
from protocols.values import Quality, Reading, Reason, Value


def profile(**tags: dict[str, Any]) -> AnyProfile:
    described = tags or {"load": {"address": "load", "type": "float64"}}
    return Profile[Tag].model_validate(
        {"vendor": "Acme", "model": "Logger", "protocol": "logger", "tags": described}
    )


@dataclass
class LoggerMachine:
    """What it shows (``values``), recorded (``record``: µs UTC, tag, value) and which alarms stand."""

    values: dict[str, Value] = field(default_factory=dict)
    record: list[tuple[int, str, Value]] = field(default_factory=list)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    refuses_history: str = ""
    asked: list[tuple[int, int]] = field(default_factory=list)
    """Windows of the record that were asked for."""
    reachable: asyncio.Event = field(default_factory=asyncio.Event)
    _listeners: list[asyncio.Queue[list[Alarm]]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, **values: Value) -> None:
        self.values |= values
        self._changed.set()

    def lose(self) -> None:
        self.reachable.clear()
        self._changed.set()

    def alarm(self, name: str, *, active: bool = True, acknowledged: bool = False) -> None:
        changed = Alarm(name, "spindle", f"{name} is up", 700, active, acknowledged)
        if active:
            self.alarms[name] = changed
        else:
            self.alarms.pop(name, None)
        for listener in self._listeners:
            listener.put_nowait([changed])


class LoggerDriver(Driver[Options]):
    """Reads a :class:`LoggerMachine`."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.HISTORY, Capability.EVENTS})

    def __init__(self, machine: LoggerMachine, at: AnyProfile, options: Options | None = None) -> None:
        super().__init__("logger://here", at, options or Options())
        self.machine = machine

    async def connect(self) -> None:
        if not self.machine.reachable.is_set():
            raise ConnectError(self.address, "switched off", "switch it on")

    async def close(self) -> None:
        """There is nothing to close."""

    async def stream(self, deliver: Deliver) -> None:
        while True:
            if not self.machine.reachable.is_set():
                gone = (Quality.BAD, Reason.NOT_CONNECTED)
                deliver([Reading(name, None, *gone) for name in self.profile.tags])
                raise DeviceLost(self.address, "switched off")
            self.machine._changed.clear()
            deliver([Reading(name, value) for name, value in self.machine.values.items()])
            await self.machine._changed.wait()

    async def read(self, paths: Sequence[str]) -> list[Reading]:
        return [Reading(path, self.machine.values[path]) for path in paths]

    async def identify(self) -> Identity:
        return Identity()

    async def send(self, path: str, tag: Tag, value: Value) -> None:
        self.machine.show(**{path: value})

    async def history(self, paths: Sequence[str], start: int, end: int) -> AsyncIterator[list[Reading]]:
        self.machine.asked.append((start, end))
        if self.machine.refuses_history:
            raise DriverError(self.machine.refuses_history)
        found = [row for row in self.machine.record if row[1] in paths and start <= row[0] <= end]
        for at in range(0, len(found), 100):
            yield [Reading(tag, value, source_time=ts) for ts, tag, value in found[at : at + 100]]

    async def events(self, deliver: Callable[[list[Alarm]], None]) -> None:
        heard: asyncio.Queue[list[Alarm]] = asyncio.Queue()
        self.machine._listeners.append(heard)
        try:
            deliver(list(self.machine.alarms.values()))
            while True:
                deliver(await heard.get())
        finally:
            self.machine._listeners.remove(heard)
