"""A press on Modbus whose writes need this and that, for tests of its control."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

from drivers.driver import Driver
from drivers.modbus.profile import ModbusProfile
from drivers.modbus.simulator import ModbusServer
from drivers.profile.profile import AnyProfile
from drivers.registry import driver_type
from edge.control.machines import Facts
from protocols.values import Value

PRESS = cast(
    "AnyProfile",
    ModbusProfile.model_validate(
        {
            "vendor": "Acme",
            "model": "Press 40",
            "protocol": "modbus",
            "tags": {
                "state": {
                    "address": "holding:0",
                    "type": "uint16",
                    "role": "state",
                    "enum": {1: "idle", 3: "running"},
                },
                "remote": {"address": "coil:0", "type": "bool", "role": "remote_enabled"},
                "setpoint": {"address": "holding:2", "type": "float32", "access": "read-write", "unit": "kN"},
                "start": {"address": "coil:1", "type": "bool", "access": "read-write"},
                "purge": {"address": "coil:2", "type": "bool", "access": "read-write"},
                "secret": {"address": "holding:8", "type": "uint16", "access": "read-write"},
            },
            "states": {"idle": {"item_state": "not_executing"}, "running": {"item_state": "executing"}},
            "writes": {
                "setpoint": {"min": 0, "max": 100, "item_states": ["not_executing"]},
                "start": {"allowed": [True], "effect": "start"},
                "purge": {"allowed": [True], "effect": "reset", "two_people": True},
            },
        }
    ),
)


class CountingServer(ModbusServer):
    """Counts what is written to it."""

    def __init__(self) -> None:
        super().__init__(PRESS)
        self.written: list[tuple[str, Value]] = []
        self.on_write = lambda name, value: self.written.append((name, value))
        self.set("state", 1)
        self.set("remote", True)


@dataclass
class Shop:
    """One press at brake-1, with its driver connected."""

    press: CountingServer
    connected: Driver[Any] | None
    foreign: str = ""
    refused: list[str] = field(default_factory=list)

    def facts(self, device: str) -> Facts | None:
        if device != "press-1":
            return None
        return Facts(device, "Press 1", PRESS, self.connected is not None, self.foreign)

    def driver(self, device: str) -> Driver[Any] | None:
        return self.connected if device == "press-1" else None

    def refuse(self, device: str) -> None:
        self.refused.append(device)


@contextlib.asynccontextmanager
async def shop() -> AsyncIterator[Shop]:
    async with CountingServer() as press:
        driver = driver_type("modbus").create(press.url, PRESS, {"timeout": 0.5})
        async with driver:
            yield Shop(press, driver)
