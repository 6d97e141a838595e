"""``onelot factory``: the virtual factory as a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from drivers.virtual.factory import Factory, UnknownMachineError
from drivers.virtual.panel import DEFAULT_PORT, serve
from protocols.documents import DocumentError, load
from protocols.site import Site
from protocols.site_graph import SiteGraph


def command(
    site: Annotated[Path, typer.Option(help="The site file, site.yaml.")],
    profiles: Annotated[Path, typer.Option(help="Folder of the device profiles.")],
    speed: Annotated[
        float, typer.Option(min=0.1, max=1000, help="Divides wear and the machines' times.")
    ] = 1.0,
    worn: Annotated[
        list[str] | None,
        typer.Option(help="A machine that is made to wear, MACHINE or MACHINE=HOURS; repeatable."),
    ] = None,
    worn_hours: Annotated[
        float, typer.Option(min=0.01, help="Hours of work until it fails, where not given.")
    ] = 2.0,
    seed: Annotated[int, typer.Option(help="Same seed, same story.")] = 1,
    panel: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the panels, on loopback.")
    ] = DEFAULT_PORT,
) -> None:
    """Serve the site's virtual machines on OPC UA, Modbus TCP and VDA 5050, on loopback."""
    try:
        plant = load(site, Site)
        factory = Factory(
            plant,
            profiles,
            speed=speed,
            seed=seed,
            worn=dict(_worn(worn or [], worn_hours)),
            graph=load(site.parent / plant.graph, SiteGraph) if plant.graph else None,
        )
    except (DocumentError, UnknownMachineError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    try:
        asyncio.run(_run(factory, panel))
    except OSError as error:
        typer.echo(
            f"the factory cannot listen: {error}; stop what uses the port or change the site", err=True
        )
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _worn(texts: list[str], usual: float) -> Iterator[tuple[str, float]]:
    for text in texts:
        name, _, hours = text.partition("=")
        try:
            found = float(hours) if hours else usual
        except ValueError:
            found = 0.0
        if not 0.01 <= found < 1e6:
            raise typer.BadParameter(f'"{text}" is not MACHINE=HOURS with at least 0.01 h, e.g. mill-1=6')
        yield name, found


async def _run(factory: Factory, port: int) -> None:
    async with factory, serve(factory, port) as bound:
        typer.echo(f"virtual factory: {len(factory.machines)} machines, panels on 127.0.0.1:{bound}")
        await factory.run()
