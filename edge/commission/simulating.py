"""``onelot driver simulate``: a machine that is not there yet."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.commission.asking import AsJson, ProfileName, fail, pair, profile_of
from edge.commission.running import stopped

if TYPE_CHECKING:
    from drivers.replay import Recording


def simulate(
    profile: ProfileName,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback are reachable.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")] = 0,
    units: Annotated[int, typer.Option(min=1, max=100, help="Machines: unit ids, or a port each.")] = 1,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="silent, illegal, slow or disconnect, at a time: silent@30s+10s; several times."),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Play recorded measurements (CSV, also .gz, or Parquet): a column for a tag."),
    ] = None,
    mapped: Annotated[
        list[str] | None, typer.Option("--map", help="column=tag, where they are not named alike.")
    ] = None,
    each: Annotated[
        str, typer.Option(help="Column that names the machine of a row: each is served, and plays its own.")
    ] = "",
    every_row: Annotated[
        bool, typer.Option("--every-row", help="Pass over no row: each stands until it was read (Modbus).")
    ] = False,
    interval: Annotated[
        float, typer.Option(min=0.001, help="Seconds between rows of a recording without times.")
    ] = 0.1,
    speed: Annotated[float, typer.Option(min=0.001, max=10_000, help="How fast to play it.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Stop at the end of the recording.")] = False,
    as_json: AsJson = False,
) -> None:
    """Serve a profile on its real protocol, with plausible values that move, until Ctrl-C."""
    from drivers import simulate as simulation
    from drivers.faults import parse_spell
    from drivers.recorded_table import MAX_BYTES, CannotReplay, unpack
    from drivers.replay import read_recordings

    loaded = profile_of(profile)
    try:
        recordings: dict[str, Recording] = {}
        if replay is None and (each or every_row):
            raise fail("--each and --every-row say how to play a recording: name it with --replay")
        if replay is not None:
            data = unpack(simulation.read_file(replay, MAX_BYTES))
            named = dict(pair(text) for text in mapped or [])
            recordings = read_recordings(data, loaded, named, interval, each)
            unused = next(iter(recordings.values())).unused
            if unused and not as_json:
                typer.echo(f"columns not played: {', '.join(unused)}", err=True)
        spells = [parse_spell(text) for text in fault or []]
        script = simulation.Script(spells, recordings, speed, not once, every_row)
        say = simulation.printer(as_json, typer.echo)
        asyncio.run(simulation.simulate(loaded, host, port, units, script, say))
    except CannotReplay as error:
        raise fail(f"{replay}: {error}") from None
    except ValueError as error:
        raise fail(str(error)) from None
    except OSError as error:
        if error.filename is not None:
            raise fail(f"{error.filename}: {error.strerror}") from None
        raise fail(
            f"cannot listen on {host}:{port}: {error.strerror or error} — try another --port"
        ) from None
    except KeyboardInterrupt:
        raise stopped() from None
