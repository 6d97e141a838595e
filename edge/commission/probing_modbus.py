"""What can be found out about a Modbus device, and which units answer on a bus."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from drivers.driver import DriverError, Identity
from drivers.modbus.address import Bus, parse_url
from drivers.modbus.profile import ModbusProfile
from drivers.profile.profile import AnyProfile
from drivers.registry import driver_type
from edge.commission.fitting import Seen
from edge.commission.probing_report import Report
from edge.identity import Examination, examine

ASK = 5.0
"""Seconds for what a device says of itself, or for the checks of one profile."""

ASKED = ModbusProfile.model_validate(
    {
        "vendor": "any",
        "model": "any",
        "protocol": "modbus",
        "tags": {"first": {"address": "holding:0", "type": "uint16"}},
    }
)
"""One register that about every device has, and one that has not answers all the same."""


async def look(
    url: str, options: Mapping[str, Any], library: Mapping[str, AnyProfile]
) -> tuple[Report, list[Seen]]:
    """Reach a device, ask what it is, and read what the library's profiles check.

    Raises:
        DriverError: it cannot be reached, or no unit answers there.
    """
    kind = driver_type("modbus")
    clock = asyncio.get_running_loop().time
    driver = kind.create(url, ASKED, {"lost_after": 1, **options})
    who, remarks, seen = Identity(), [], []
    async with driver:  # stays open: the others share its connection, for many devices take only one
        begin = clock()
        await driver.read(["first"])
        seconds = clock() - begin
        for name, profile in library.items():
            if not profile.checks:
                continue
            try:
                async with asyncio.timeout(ASK), kind.create(url, profile, options) as other:
                    seen.append(Seen(name, profile, await examine(other, ask=False)))
            except (DriverError, TimeoutError) as error:
                remarks.append(f"{name} could not be compared: {error or 'no answer in time'}")
        try:  # last: old devices hang up on it
            async with asyncio.timeout(ASK):
                who = await driver.identify()
        except (DriverError, TimeoutError):
            remarks.append("it does not answer what it is (function 43/14); many devices do not know that")
    examined = {each.name: each for each in seen}
    for name, profile in library.items():
        checks = examined[name].examination if name in examined else Examination()
        found = Identity(who.vendor, who.product, who.serial, checks.found.firmware or who.firmware)
        if name in examined or not profile.checks:
            examined[name] = Seen(name, profile, Examination(found, checks.checks))
    return Report(url, "modbus", seconds, who, remarks), list(examined.values())


def bus_of(url: str) -> Bus:
    """The bus to scan; raises ValueError for what is no Modbus address."""
    return parse_url(url)[0]


def unit_url(url: str, unit: int) -> str:
    """The address of another unit on the same bus."""
    head, _, query = url.partition("?")
    others = [part for part in query.split("&") if part and not part.startswith("unit=")]
    return f"{head}?{'&'.join([f'unit={unit}', *others])}"


def units_of(text: str) -> list[int]:
    """``1-20,33`` as units.

    Raises:
        ValueError: it is none, or a unit is outside 0 to 255.
    """
    units: dict[int, None] = {}
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise ValueError(f'--units "{text}" is not a list of units — write 1-20,33')
        first, last = int(low), int(high) if dash else int(low)
        if last > 255 or first > last:
            raise ValueError(f'--units "{text}": {part.strip()} does not lie within 0 to 255')
        units |= dict.fromkeys(range(first, last + 1))
    return list(units)


def pause_of(bus: Bus) -> float:
    """Seconds of silence after each unit: longer where a line is shared by others."""
    return 0.1 if bus.transport.is_rtu else 0.02
