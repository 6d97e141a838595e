"""Machines that number what they show, so that a value lost or doubled on its way can be seen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pymodbus.constants import ExcCodes

from drivers.modbus.profile import Table
from drivers.modbus.simulator import ModbusServer
from drivers.opcua.simulator import OpcuaServer
from drivers.profile.files import load_profile
from tests.system.processes import quiet_port

PROFILES = Path(__file__).with_name("profiles")
COUNTER = range(2, 4)
"""Registers of the press's counter."""


class Press(ModbusServer):
    """A Modbus device whose counter rises with every reply that shows it.

    A counter that rose by itself would jump whenever a busy machine delays a poll; this one jumps only when
    an answered poll is missing afterwards.
    """

    def __init__(self) -> None:
        super().__init__(load_profile(PROFILES / "test/press.yaml"), port=quiet_port())
        self.set("state", 3)
        self.set("force", 40.0)

    def answer_read(self, unit: int, function: int, start: int, size: int) -> list[Any] | ExcCodes:
        answer = super().answer_read(unit, function, start, size)
        shown = function == 3 and start <= COUNTER.start and COUNTER.stop <= start + size
        if shown and not isinstance(answer, ExcCodes):
            count = self.get("counter")
            assert isinstance(count, int)
            self.set("counter", count + 1)
        return answer

    def make_illegal(self, tag: str) -> None:
        """Refuse the addresses of a tag from now on."""
        place = self._places[tag]
        self.illegal.add((Table(place.table), place.offset))


class Lathe(OpcuaServer):
    """An OPC UA server whose counter rises by one every ``step`` seconds while it runs."""

    step = 0.2

    def __init__(self) -> None:
        super().__init__(load_profile(PROFILES / "test/lathe.yaml"), port=quiet_port())
        self.set("state", 3)
        self.count = 0

    @contextlib.asynccontextmanager
    async def turning(self) -> AsyncIterator[Lathe]:
        """Serve and count until the block is left."""
        async with self:
            counting = asyncio.create_task(self._count(), name="lathe counter")
            try:
                yield self
            finally:
                counting.cancel()
                await asyncio.wait([counting])

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(self.step)
            self.count += 1
            self.set("counter", self.count)


class Flood(ModbusServer):
    """A Modbus device with ``blocks`` of 62 floats that are never the same: what fills a disk quickly."""

    per_block = 62

    def __init__(self, profile: Path) -> None:
        super().__init__(load_profile(profile), port=quiet_port())
        self._rng = random.Random(6)

    @classmethod
    def write_profile(cls, path: Path, blocks: int, sampling: float) -> Path:
        """The profile of such a device."""
        tags = {
            f"value_{number}": {
                "address": f"holding:{number // cls.per_block * 200 + number % cls.per_block * 2}",
                "type": "float32",
                "sampling": sampling,
            }
            for number in range(blocks * cls.per_block)
        }
        profile = {"vendor": "Test", "model": "flood", "protocol": "modbus", "tags": tags}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(profile), "utf-8")
        return path

    def answer_read(self, unit: int, function: int, start: int, size: int) -> list[Any] | ExcCodes:
        answer = super().answer_read(unit, function, start, size)
        if isinstance(answer, ExcCodes):
            return answer
        floats = [self._rng.uniform(1, 1000) for _ in range(size // 2)]
        return list(struct.unpack(f">{size}H", struct.pack(f">{len(floats)}f", *floats)))
