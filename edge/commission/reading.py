"""``onelot driver read``: every tag of a machine once, or those that are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from drivers.driver import Driver
from drivers.profile.profile import AnyProfile
from edge.commission.asking import AsJson, OptionList, Url, columns, fail, made_driver, print_json, profile_of
from edge.commission.running import finished
from edge.tags import sampled
from protocols.documents import nearest
from protocols.values import Quality, Reading


def read_once(
    url: Url,
    tags: Annotated[list[str] | None, typer.Argument(help="Tags to read; all of them when left out.")] = None,
    *,
    profile: Annotated[str, typer.Option(help="A profile's file, or its name such as virtual/laser.")],
    option: OptionList = None,
    as_json: AsJson = False,
) -> None:
    """Read every tag of a machine once, or some, and say per tag what came back; of waveforms their numbers.

    Exit code 1 when one of them is bad.
    """
    loaded = profile_of(profile)
    wanted = _chosen(loaded, tags or [])
    driver = made_driver(url, loaded, option)
    readings = finished(read_all(driver, wanted), f"{url}: reading {len(wanted)} tags")
    if as_json:
        print_json(rows(readings, driver))
    else:
        typer.echo(columns(row(r, loaded, driver.problems) for r in readings))
    if any(reading.quality is Quality.BAD for reading in readings):
        raise typer.Exit(1)


def _chosen(profile: AnyProfile, names: Sequence[str]) -> list[str]:
    """The tags that are named, or all that can be read; raises typer.Exit for one that cannot."""
    readable = [*(name for name, tag in profile.tags.items() if tag.readable), *profile.waveforms]
    for name in names:
        if name not in readable:
            why = "can only be written" if name in profile.tags else "is no tag of the profile"
            hint = nearest(name, readable)
            raise fail(f'"{name}" {why}' + (f" — did you mean {hint}?" if hint and hint != name else ""))
    return list(names) or readable


def rows(readings: Sequence[Reading], driver: Driver[Any]) -> list[dict[str, Any]]:
    """Readings for other programs."""
    tags = sampled(driver.profile)
    return [
        {
            "tag": r.path,
            "value": r.value,
            "unit": tags[r.path].unit,
            "quality": r.quality.name.lower(),
            "reason": r.reason.name.lower(),
            "problem": driver.problems.get(r.path, ""),
        }
        for r in readings
    ]


async def read_all(driver: Driver[Any], tags: Sequence[str]) -> list[Reading]:
    """Tags once, and the numbers of a block of each waveform, over a connection of its own."""
    from edge.waveforms.once import taken_once  # numpy: only for who has waveforms

    async with driver:
        readings = list(await driver.read([tag for tag in tags if tag not in driver.profile.waveforms]))
        for name in (tag for tag in tags if tag in driver.profile.waveforms):
            readings += await taken_once(driver, name)
        return readings


def row(
    reading: Reading, profile: AnyProfile, problems: Mapping[str, str] | None = None
) -> tuple[str, str, str]:
    """Name, value with its unit, and a word or what is wrong."""
    tag = profile.tags.get(reading.path) or sampled(profile)[reading.path]
    if reading.quality is Quality.BAD:
        return reading.path, "✕", f"{reading.reason.name.lower()}: {(problems or {}).get(reading.path, '')}"
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
