"""``onelot driver read``: every tag of a machine once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from drivers.driver import Driver, DriverError
from drivers.profile import AnyProfile
from edge.commission.asking import AsJson, OptionList, Url, columns, fail, made_driver, print_json, profile_of
from protocols.values import Quality, Reading


def read_once(
    url: Url,
    profile: Annotated[str, typer.Option(help="A profile's file, or its name such as virtual/laser.")],
    option: OptionList = None,
    as_json: AsJson = False,
) -> None:
    """Read every tag of a machine once and say per tag what came back."""
    loaded = profile_of(profile)
    driver = made_driver(url, loaded, option)
    try:
        readings = asyncio.run(read_all(driver))
    except DriverError as error:
        raise fail(str(error)) from None
    if as_json:
        print_json(rows(readings, driver))
    else:
        typer.echo(columns(row(r, loaded, driver) for r in readings))


def rows(readings: Sequence[Reading], driver: Driver[Any]) -> list[dict[str, Any]]:
    """Readings for other programs."""
    return [
        {
            "tag": r.path,
            "value": r.value,
            "unit": driver.profile.tags[r.path].unit,
            "quality": r.quality.name.lower(),
            "reason": r.reason.name.lower(),
            "problem": driver.problems.get(r.path, ""),
        }
        for r in readings
    ]


async def read_all(driver: Driver[Any]) -> list[Reading]:
    """Every readable tag once, over a connection of its own."""
    async with driver:
        return await driver.read([name for name, tag in driver.profile.tags.items() if tag.readable])


def row(reading: Reading, profile: AnyProfile, driver: Driver[Any]) -> tuple[str, str, str]:
    """Name, value with its unit, and a word or what is wrong."""
    tag = profile.tags[reading.path]
    if reading.quality is Quality.BAD:
        return reading.path, "✕", f"{reading.reason.name.lower()}: {driver.problems.get(reading.path, '')}"
    value = reading.value
    word = (tag.enum or {}).get(value, "") if isinstance(value, int) and not isinstance(value, bool) else ""
    shown = (
        f"{value:.7g}"
        if isinstance(value, float)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
    uncertain = "" if reading.quality is Quality.GOOD else f"uncertain: {reading.reason.name.lower()}"
    return reading.path, f"{shown} {tag.unit}".strip(), word or uncertain
