"""``onelot driver browse``: as it is typed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import typer

from drivers.driver import Capability, Driver, DriverType
from drivers.imports.profile_file import write
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.grid import SIZE, place
from drivers.modbus.profile import Table
from drivers.registry import driver_types
from edge.commission.asking import OptionList, Url, fail, made_driver
from edge.commission.browse.dumping import Form, dump_nodes, dump_registers
from edge.commission.running import finished
from protocols.documents import not_one_of

_PROBES: dict[str, dict[str, Any]] = {
    "modbus": {"address": "holding:0", "type": "uint16"},
    "opcua": {"address": "i=2258", "type": "string"},
}
"""A driver wants a profile and a profile a tag: one that harms nobody and is never read."""
_SAID_EACH = 1.0
"""Seconds between two words of progress."""


class Wanted(NamedTuple):
    """Where browsing starts; the first two are of nodes, the others of registers."""

    under: str
    depth: int | None
    table: Table
    start: int
    size: int


def browse(
    url: Url,
    option: OptionList = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="No screen: all that there is, as CSV.")] = False,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="No screen: a profile of all variables.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="No screen: JSON for other programs.")] = False,
    out: Annotated[Path | None, typer.Option(help="File to write to, instead of the output.")] = None,
    under: Annotated[str, typer.Option(help="Nodes: only what is below this address.")] = "",
    depth: Annotated[int | None, typer.Option(min=1, help="Nodes: so many levels, all unless given.")] = None,
    table: Annotated[str, typer.Option(help="Registers: holding, input, coil or discrete.")] = "holding",
    start: Annotated[str, typer.Option("--from", help="Registers: 100, 0x64, 40101 or input:100.")] = "0",
    count: Annotated[int, typer.Option(min=1, max=SIZE, help="Registers: how many addresses.")] = 100,
) -> None:
    """Look at what a machine has, pick of it, and write a profile.

    OPC UA shows a tree of nodes, Modbus a grid of registers in every word order. Reads only.
    """
    forms = [f for f, chosen in zip(Form, (as_csv, as_yaml, as_json), strict=True) if chosen]
    if len(forms) > 1:
        raise fail(f"--{forms[0]} and --{forms[1]} exclude each other — choose one")
    if table not in set(Table):
        raise fail(f"--table: {not_one_of(table, set(Table))}")
    try:
        where = place(start, Table(table))
    except ValueError as error:
        raise fail(f"--from: {error}") from None
    wanted = Wanted(under, depth, where.table, where.offset, min(count, SIZE - where.offset))
    make = maker(url, option)
    if not forms:
        _on_screen(make, wanted)
        return
    text = finished(_dumped(make(), forms[0], wanted))
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        write(out, text)
    except OSError as error:
        raise fail(f"{out} cannot be written: {error.strerror}") from None
    typer.echo(f"{out} written", err=True)


def kind_of(url: str) -> DriverType:
    """The driver that browses such an address; raises typer.Exit naming those there are."""
    kinds = {name: kind for name, kind in driver_types().items() if name in _PROBES}
    scheme = urlsplit(url).scheme
    for kind in kinds.values():
        if scheme in kind.schemes:
            return kind
    examples = " or ".join(kind.example for kind in kinds.values())
    raise fail(f'"{url}" cannot be browsed — write {examples}')


def maker(url: str, options: list[str] | None) -> Callable[[], Driver[Any]]:
    """Makes drivers for a machine of which there is no profile yet; a new one for each connection.

    Raises:
        typer.Exit: the address or an option is wrong.
    """
    kind = kind_of(url)
    profile = kind.profile.model_validate(
        {"vendor": "unknown", "model": "unknown", "protocol": kind.name, "tags": {"any": _PROBES[kind.name]}}
    )
    made_driver(url, profile, options)  # what is wrong is said before any screen
    return lambda: made_driver(url, profile, options)


async def _dumped(driver: Driver[Any], form: Form, wanted: Wanted) -> str:
    progress = Progress()
    try:
        async with driver:
            if isinstance(driver, ModbusDriver):
                return await dump_registers(
                    driver, form, wanted.table, wanted.start, wanted.size, say=say, progress=progress
                )
            if Capability.BROWSE not in driver.capabilities:
                raise fail(f"{driver.address}: {driver.profile.protocol} machines cannot be browsed")
            return await dump_nodes(driver, form, wanted.under, wanted.depth, say=say, progress=progress)
    except ValueError as error:
        raise fail(str(error)) from None
    finally:
        progress.end()


def say(text: str) -> None:
    """Something to know, on stderr."""
    typer.echo(text, err=True)


class Progress:
    """How far longer work has come: on stderr, first after a second; one line on a terminal."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = clock() + _SAID_EACH
        self._terminal = sys.stderr.isatty()
        self._open = False

    def __call__(self, text: str) -> None:
        if self._clock() < self._due:
            return
        self._due = self._clock() + _SAID_EACH
        typer.echo(f"\r\x1b[K{text} …" if self._terminal else f"{text} …", nl=not self._terminal, err=True)
        self._open = self._terminal

    def end(self) -> None:
        """The line is over."""
        if self._open:
            typer.echo("\r\x1b[K", nl=False, err=True)


def _on_screen(make: Callable[[], Driver[Any]], wanted: Wanted) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise fail("there is no terminal to browse on — say --csv, --yaml or --json")
    from edge.commission.browse.app import show
    from edge.commission.browse.grid import Grid
    from edge.commission.browse.tree import Tree

    if isinstance(make(), ModbusDriver):
        finished(show(Grid(make, wanted.table, wanted.start)))
    else:
        finished(show(Tree(make, wanted.under)))
