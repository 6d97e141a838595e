"""``onelot driver write``: one value, within what the profile allows, after asking."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from drivers.driver import Driver, DriverError
from drivers.profile.profile import AnyProfile, Effect, Tag, WriteRule
from drivers.scaling import FLOATS
from edge import identity
from edge.commission.asking import AsJson, OptionList, Url, fail, made_driver, print_json, profile_of
from edge.commission.holding import EdgeFile, refuse_if_held
from edge.commission.reading import row
from edge.commission.running import agreed, finished
from protocols.documents import nearest, not_one_of, quoted
from protocols.values import DataType, Quality, Reading, Value

IDENTIFY_TIMEOUT = 5.0
_BOOLS = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}


def write_one(
    url: Url,
    tag: Annotated[str, typer.Argument(help="The tag, as the profile names it.")],
    value: Annotated[str, typer.Argument(help="In the tag's unit; after -- when it begins with a minus.")],
    profile: Annotated[str, typer.Option(help="A profile's file, or its name such as virtual/laser.")],
    option: OptionList = None,
    edge: EdgeFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write one parameter that the profile allows, after asking, and read it back.

    What starts, resets or resumes a machine, or needs two people, is confirmed at the station (F10). To a
    machine that an edge on this computer reads, only that edge writes.
    """
    loaded = profile_of(profile)
    rule = rule_of(loaded, tag)
    wanted = as_value(loaded.tags[tag], tag, value)
    if (reason := rule.refusal(wanted)) is not None:
        raise fail(f"{tag}: {reason} — nothing was written")
    driver = made_driver(url, loaded, option)
    refuse_if_held(driver, edge)
    if not yes:
        before = finished(_now(driver, tag), f"{url}: reading {tag}")
        machine = f"{loaded.vendor} {loaded.model} at {url}"
        change = f"{tag}  {_shown(before, loaded)} → {_shown(Reading(tag, wanted), loaded)}"
        typer.echo(f"{machine}\n  {change}", err=True)
        if not agreed("  Nobody works at the machine, and it is not locked. Write it?"):
            raise fail("nothing was written — without a person, say --yes")
        driver = made_driver(url, loaded, option)
        refuse_if_held(driver, edge)  # an edge may have been started while somebody thought about it
    was, back = finished(_written(driver, tag, wanted), f"{url}: writing {tag}")
    if as_json:
        unit = loaded.tags[tag].unit
        print_json({"tag": tag, "before": was.value, "written": wanted, "value": back.value, "unit": unit})
    elif loaded.tags[tag].readable:
        typer.echo(f"{tag}  {_shown(was, loaded)} → {_shown(back, loaded)}, read back")
    else:
        typer.echo(f"{tag}  {_shown(back, loaded)} sent; it cannot be read back")


def rule_of(profile: AnyProfile, tag: str) -> WriteRule:
    """The rule for a parameter; raises typer.Exit for what may not be written from here."""
    if tag not in profile.tags:
        hint = nearest(tag, profile.tags)
        raise fail(f'no tag "{tag}" in the profile' + (f" — did you mean {hint}?" if hint else ""))
    rule = profile.writes.get(tag)
    if rule is None:
        allowed = ", ".join(sorted(profile.writes)) or "none"
        raise fail(f"{tag} is read-only: the profile allows writes to {allowed}")
    at_the_station = "do it at the station's terminal, in sight of the machine (F10)"
    if rule.effect is not Effect.PARAMETER:
        raise fail(f"{tag} is a {rule.effect}: it is never written from here — {at_the_station}")
    if rule.two_people:
        raise fail(f"{tag} needs two people: it is never written from here — {at_the_station}")
    return rule


def as_value(tag: Tag, name: str, text: str) -> Value:
    """What a person typed, as a value of a tag; a word of its enum stands for its number.

    Raises:
        typer.Exit: it is none.
    """
    kind = tag.value_type
    words = {word.casefold(): raw for raw, word in (tag.enum or {}).items()}
    if text.casefold() in words:
        raw = words[text.casefold()]
        return bool(raw) if kind is DataType.BOOL else raw
    if kind is DataType.STRING:
        return text
    try:
        if kind is DataType.BOOL:
            return _BOOLS[text.casefold()]
        return float(text) if kind in FLOATS else int(text, 0 if text.lower().startswith("0x") else 10)
    except (KeyError, ValueError):
        pass
    if words:
        raise fail(f"{name}: {not_one_of(text, (tag.enum or {}).values())}, and no {kind} either")
    form = "true or false" if kind is DataType.BOOL else f"a number ({kind})"
    raise fail(f"{name}: {quoted(text)} is not {form}")


async def _now(driver: Driver[Any], tag: str) -> Reading:
    """Before anybody is asked. Refused already where :func:`_written` would be."""
    async with driver:
        await _recognise(driver)
        if driver.refuses:
            raise DriverError(f"{tag}: nothing may be written now: {driver.refuses}")
        return await _read(driver, tag)


async def _read(driver: Driver[Any], tag: str) -> Reading:
    if not driver.profile.tags[tag].readable:
        return Reading(tag, None)
    (reading,) = await driver.read([tag])
    return reading


async def _written(driver: Driver[Any], tag: str, value: Value) -> tuple[Reading, Reading]:
    """Before and after."""
    async with driver:
        await _recognise(driver)
        was = await _read(driver, tag)
        return was, await driver.write(tag, value)


async def _recognise(driver: Driver[Any]) -> None:
    """Let the driver refuse what is asked of a machine or firmware that is not the profile's."""
    if not identity.is_checked(driver.profile):
        return
    driver.refuses = identity.UNKNOWN
    try:
        async with asyncio.timeout(IDENTIFY_TIMEOUT):
            seen = await identity.examine(driver)
    except TimeoutError:
        raise DriverError(f"{driver.address}: it does not say which machine it is") from None
    driver.refuses = identity.judge(driver.profile, seen).refuses


def _shown(reading: Reading, profile: AnyProfile) -> str:
    if reading.quality is Quality.BAD:
        return "✕ unknown"
    if reading.value is None:
        return "unknown"
    _, value, word = row(reading, profile)
    if value == "":
        return '""'
    return f"{value} ({word})" if word else value
