"""``onelot driver add``: a machine at an address becomes a device of a site, in files that work at once."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from drivers.driver import Driver, DriverError
from drivers.profile.files import find_profiles, load_profile
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
from edge.commission.reading import read_all, row
from edge.commission.running import finished
from protocols.documents import DocumentError
from protocols.values import Quality, Reading

PATIENCE = 15.0
"""Seconds in which the machine is asked for its values; it is added all the same."""
LISTEN = 5.0
"""Seconds in which vehicles are listened for, where no profile is given."""
SHOWN = 5
"""Bad tags, or profiles that may fit, that are shown."""


class Choice(NamedTuple):
    """The profile that a machine is added with. ``address`` and ``options`` are those to reach it by."""

    file: Path
    known_as: str
    address: str
    options: Mapping[str, str]
    why: str = ""


def add(
    url: Url,
    profile: Annotated[
        str, typer.Option(help="A profile's file or name; else the one that recognises the machine.")
    ] = "",
    site: Annotated[
        Path, typer.Option(help="Folder of the site's files; made where it is not there.", file_okay=False)
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
    """Add a machine to a site: its files are checked as a whole before any is written.

    Without --profile the machine is asked what it is, and the profile that recognises it is taken.
    """
    options = dict(pair(text) for text in option or [])
    choice = _named(profile, url, options, site) if profile else _recognised(url, options, site)
    try:
        loaded = load_profile(choice.file)
        driver = made_driver(
            choice.address, loaded, [f"{key}={text}" for key, text in choice.options.items()]
        )
        plain = _plain(driver, choice.options)
        machine = site_files.Machine(
            choice.address, choice.file, loaded, name, workcell, plain, choice.known_as
        )
        draft = site_files.draft(machine, site)
        draft.check()
    except (DocumentError, site_files.CannotAdd) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename or site}: {error.strerror or error}") from None
    readings, trouble = finished(_asked(driver), f"{driver.address}: reading its tags")
    try:
        written = draft.write()
    except OSError as error:
        raise fail(f"{error.filename or site}: {error.strerror or error} — nothing was written") from None
    following = "onelot up" if site == Path() else f"onelot up {shlex.quote(str(site))}"
    if as_json:
        print_json(
            {
                "device": draft.device,
                "workcell": draft.workcell,
                "profile": draft.profile,
                "recognised": choice.why,
                "files": [str(file) for file in written],
                "kept": draft.kept,
                "values": {r.path: r.value for r in readings},
                "problem": trouble,
                "next": following,
            }
        )
        return
    at = f", at workcell {draft.workcell}" if draft.workcell else ""
    typer.echo(f"{draft.device}: {loaded.vendor} {loaded.model} at {choice.address}{at}")
    if choice.why:
        typer.echo(f"  profile  {choice.known_as} fits: {choice.why}")
    _tell(driver, readings, trouble)
    for file in written:
        typer.echo(f"  wrote    {file}")
    for kept in draft.kept:
        typer.echo(f"  kept     {kept}")
    if not written:
        typer.echo("  wrote    nothing: it is there already")
    typer.echo(f"  next     {following}")


# --- which profile --------------------------------------------------------------------------------------


def _named(profile: str, url: str, options: Mapping[str, str], site: Path) -> Choice:
    """The profile that was named: a file, one of the site, or one that comes with the product."""
    known = profile.removesuffix(".yaml")
    own = find_profiles(site / site_files.PROFILES)
    if not Path(profile).is_file() and known in own:
        return Choice(own[known], known, url, options)
    file = find_profile(profile)
    return Choice(file, _library_name(file), url, options)


def _library_name(file: Path) -> str:
    """The name of a profile that comes with the product; empty for any other file."""
    inside = file.resolve().is_relative_to(PROFILES)
    return file.resolve().relative_to(PROFILES).with_suffix("").as_posix() if inside else ""


def _recognised(url: str, options: Mapping[str, str], site: Path) -> Choice:
    """The one profile that recognises the machine; raises typer.Exit naming those that may fit."""
    from edge.commission.probing import kind_of, library_of, looked
    from edge.commission.probing_report import command

    kind = kind_of(url)
    own = site / site_files.PROFILES
    files = {**find_profiles(PROFILES), **find_profiles(own)}
    library = {**library_of(PROFILES, kind), **(library_of(own, kind) if own.is_dir() else {})}
    try:
        report = finished(looked(kind, url, options, library, LISTEN), f"{url}: looking")
    except DocumentError as error:
        wrong = "\n".join(f"--option {problem.text}" for problem in error.problems)
        raise fail(f"{wrong}\nwhat there is: onelot driver show {kind.name}") from None
    except ValueError as error:
        raise fail(str(error)) from None
    if not report.logged_in:
        raise fail(
            "\n".join([f"{url} answers, but no more is known of it:", *report.remarks])
            + f"\n  next     {report.next[0] if report.next else command('probe', url)}"
        )
    certain = [fit for fit in report.fits if fit.certain and not fit.outside]
    if len(certain) == 1:
        best = certain[0]
        given = {**options, **{key: str(value) for key, value in report.options.items()}}
        return Choice(files[best.name], best.name, report.address or url, given, ", ".join(best.why))
    who = " ".join(word for word in (report.who.vendor, report.who.product, report.who.firmware) if word)
    lines = [f"{url} answers{f' as {who}' if who else ''}, but {'no' if not certain else 'more than one'} "]
    lines[0] += "profile here recognises it"
    for fit in report.fits[:SHOWN]:
        lines.append(
            f"  may fit  {fit.name}: {', '.join(fit.why)}{f' — {fit.outside}' if fit.outside else ''}"
        )
    flags = [word for key, value in options.items() for word in ("--option", f"{key}={value}")]
    suggested = report.fits[0].name if report.fits else "NAME"
    lines += [
        f"  next     {command('add', url, '--profile', suggested, *flags)}",
        "           onelot driver list                 the profiles there are",
        f"           {command('probe', url, *flags)}   what it says of itself",
        f"           {command('browse', url, *flags)}   pick its tags, write a profile",
        "           onelot driver import csv FILE      its maker's tag list as a profile",
    ]
    raise fail("\n".join(lines))


def _plain(driver: Driver[Any], options: Mapping[str, str]) -> dict[str, Any]:
    """Options as YAML has them: numbers as numbers, yes and no as true and false, the rest as typed."""
    made = {name: getattr(driver.config, name, None) for name in options}
    return {
        name: made[name] if isinstance(made[name], bool | int | float) else text
        for name, text in options.items()
    }


# --- what it says ---------------------------------------------------------------------------------------


async def _asked(driver: Driver[Any]) -> tuple[Sequence[Reading], str]:
    """Every value once, or why there is none: a machine may be added before it is switched on."""
    try:
        async with asyncio.timeout(PATIENCE):
            tags = [name for name, tag in driver.profile.tags.items() if tag.readable]
            return await read_all(driver, tags), ""
    except TimeoutError:
        return [], f"no answer within {PATIENCE:g} s"
    except (DriverError, OSError) as error:
        return [], str(error)


def _tell(driver: Driver[Any], readings: Sequence[Reading], trouble: str) -> None:
    if trouble:
        typer.echo(f"  answers  not yet: {trouble}")
        return
    good = [r for r in readings if r.quality is not Quality.BAD]
    typer.echo(f"  answers  {len(good)} of {len(readings)} tags have a value")
    for reading in [r for r in readings if r.quality is Quality.BAD][:SHOWN]:
        _, _, why = row(reading, driver.profile, driver.problems)
        typer.echo(f"           ✕ {reading.path}: {why}")
