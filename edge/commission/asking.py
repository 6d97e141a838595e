"""What the commands share: finding a profile and a driver, options as people write them, tables of text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from drivers.driver import Driver, DriverType
from drivers.profile.files import LIBRARY, load_profile, named_profile
from drivers.profile.profile import AnyProfile
from drivers.registry import driver_type
from protocols.documents import DocumentError

PROFILES = LIBRARY
"""The profiles that come with the product."""

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for other programs.")]
ProfileName = Annotated[str, typer.Argument(help="A profile's file, or its name such as virtual/laser.")]
Url = Annotated[str, typer.Argument(help="The machine's address, e.g. modbus://10.0.4.7:502?unit=1.")]
OptionList = Annotated[
    list[str] | None, typer.Option("--option", help="A driver option, e.g. security=none; several times.")
]


def fail(message: str) -> typer.Exit:
    """Say what is wrong on stderr; to be raised."""
    typer.echo(message, err=True)
    return typer.Exit(1)


def print_json(value: Any) -> None:
    """For other programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows of text in aligned columns, the last one as long as it is."""
    table = [list(row) for row in rows]
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))] if table else []
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def find_profile(name: str) -> Path:
    """A profile by its file or by its name below the product's profiles.

    Raises:
        typer.Exit: there is no such profile; the nearest name is shown.
    """
    try:
        return named_profile(name)
    except LookupError as error:
        raise fail(str(error)) from None


def profile_of(name: str) -> AnyProfile:
    """A profile by file or name; raises typer.Exit with every mistake in it."""
    try:
        return load_profile(find_profile(name))
    except DocumentError as error:
        raise fail(str(error)) from None


def driver_of(name: str) -> DriverType:
    """A driver by name; raises typer.Exit naming those there are."""
    try:
        return driver_type(name)
    except KeyError as error:
        raise fail(str(error.args[0])) from None


def pair(text: str) -> tuple[str, str]:
    """``name=value``; raises typer.Exit."""
    name, equals, value = text.partition("=")
    if not equals:
        raise fail(f'"{text}" has no equals sign — write name=value, e.g. security=none')
    return name.strip(), value


def made_driver(url: str, profile: AnyProfile, options: Sequence[str] | None) -> Driver[Any]:
    """A driver for a machine, not connected; raises typer.Exit with every wrong option."""
    given: Mapping[str, str] = dict(pair(text) for text in options or [])
    kind = driver_of(profile.protocol)
    if "://" in url and urlsplit(url).scheme not in kind.schemes:
        machine = f"{profile.vendor} {profile.model} ({kind.name})"
        raise fail(f'"{url}" is no address for the profile of {machine} — write {kind.example}')
    try:
        return kind.create(url, profile, given)
    except DocumentError as error:
        wrong = "\n".join(f"--option {problem.text}" for problem in error.problems)
        raise fail(f"{wrong}\nwhat there is: onelot driver show {profile.protocol}") from None
    except ValueError as error:
        raise fail(str(error)) from None
