"""``onelot driver add``: a machine at an address becomes a device of a site, in files that work at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.driver import Driver, DriverError
from drivers.profile_files import load_profile
from edge.commission import site_files
from edge.commission.asking import (
    PROFILES,
    AsJson,
    OptionList,
    Url,
    fail,
    find_profile,
    made_driver,
    pair,
    print_json,
)
from edge.commission.probing import kind_of, library_of, looked
from edge.commission.reading import read_all, row
from edge.commission.running import finished
from protocols.documents import DocumentError
from protocols.values import Quality, Reading

LISTEN = 5.0
"""Seconds in which vehicles are heard on a broker."""
PATIENCE = 15.0
"""Seconds in which the machine is asked for its values; it is added all the same."""


def add(
    url: Url,
    profile: Annotated[
        str, typer.Option(help="A profile's file or name; else the one that recognises the machine.")
    ] = "",
    site: Annotated[
        Path, typer.Option(help="Folder of the site's files; made where it is not there.")
    ] = Path(),
    name: Annotated[
        str, typer.Option(help="What to call it, e.g. press-1; from the model unless given.")
    ] = "",
    workcell: Annotated[
        str, typer.Option(help="The workcell it stands at; one of its name unless given.")
    ] = "",
    option: OptionList = None,
    as_json: AsJson = False,
) -> None:
    """Add a machine to a site: its files are checked as a whole before any is written."""
    path = find_profile(profile or _recognised(url, dict(pair(text) for text in option or [])))
    try:
        loaded = load_profile(path)
        driver = made_driver(url, loaded, option)
        draft = site_files.draft(
            site_files.Machine(url, path, loaded, name, workcell, dict(pair(text) for text in option or [])),
            site,
        )
        draft.check()
    except DocumentError as error:
        raise fail(str(error)) from None
    except site_files.CannotAdd as error:
        raise fail(str(error)) from None
    readings, trouble = finished(_asked(driver))
    try:
        written = draft.write()
    except OSError as error:
        raise fail(f"{error.filename or site}: {error.strerror or error}: nothing more was written") from None
    if as_json:
        print_json(
            {
                "device": draft.device,
                "workcell": draft.workcell,
                "profile": draft.profile,
                "files": [str(file) for file in written],
                "values": {r.path: r.value for r in readings},
                "problem": trouble,
            }
        )
        return
    typer.echo(f"{draft.device}: {loaded.vendor} {loaded.model} at {url}, at workcell {draft.workcell}")
    _tell(driver, readings, trouble)
    for file in written:
        typer.echo(f"  wrote    {file}")
    for kept in draft.kept:
        typer.echo(f"  kept     {kept}")
    where = "" if site == Path() else f" {site}"
    typer.echo(f"  next     onelot up{where}")


def _recognised(url: str, options: Mapping[str, str]) -> str:
    """The one profile of the library that recognises the machine; raises typer.Exit naming other ways."""
    kind = kind_of(url)
    try:
        report = finished(looked(kind, url, options, library_of(PROFILES, kind), LISTEN))
    except (DocumentError, ValueError) as error:
        raise fail(str(error)) from None
    certain = [fit.name for fit in report.fits if fit.certain]
    if len(certain) == 1:
        typer.echo(f"recognised as {certain[0]}: {', '.join(report.fits[0].why)}", err=True)
        return certain[0]
    names = ", ".join(fit.name for fit in report.fits) or "none here recognises it"
    raise fail(
        f"which profile? {names} — say --profile NAME; or make one: onelot driver probe {url}, then browse "
        "it, or onelot driver import csv LIST"
    )


async def _asked(driver: Driver[Any]) -> tuple[list[Reading], str]:
    """Every value once, or why there is none: a machine may be added before it is switched on."""
    try:
        async with asyncio.timeout(PATIENCE):
            tags = [name for name, tag in driver.profile.tags.items() if tag.readable]
            return await read_all(driver, tags), ""
    except TimeoutError:
        return [], f"no answer within {PATIENCE:g} s"
    except (DriverError, OSError) as error:
        return [], str(error)


def _tell(driver: Driver[Any], readings: list[Reading], trouble: str) -> None:
    if trouble:
        typer.echo(f"  answers  not yet: {trouble}")
        return
    good = [r for r in readings if r.quality is not Quality.BAD]
    typer.echo(f"  answers  {len(good)} of {len(readings)} tags have a value")
    for reading in [r for r in readings if r.quality is Quality.BAD][:5]:
        _, _, why = row(reading, driver.profile, driver.problems)
        typer.echo(f"           ✕ {reading.path}: {why}")
