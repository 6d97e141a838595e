"""``onelot driver record`` and ``replay``: a device's answers as a file, and that file as a device."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.driver import DriverError
from drivers.profile.files import load_profile, named_profile
from drivers.recordings import tape as tapes
from drivers.recordings.player import answering, play
from drivers.recordings.recorder import record
from protocols.documents import DocumentError

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for other programs.")]


def record_device(
    url: Annotated[str, typer.Argument(help="The machine's address, e.g. modbus://10.0.4.7:502?unit=1.")],
    file: Annotated[Path, typer.Argument(help="The recording to write, e.g. press.jsonl.")],
    profile: Annotated[str, typer.Option(help="A profile's file, or its name such as virtual/laser.")],
    rounds: Annotated[int, typer.Option(min=1, max=10_000, help="How often every tag is read.")] = 10,
    interval: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds from one round to the next.")
    ] = 1.0,
    option: Annotated[list[str] | None, typer.Option(help="A driver option, e.g. timeout=2.")] = None,
    as_json: AsJson = False,
) -> None:
    """Record what a machine answers, to send with a report or to keep as a test.

    On Modbus TCP the frames are kept, on other protocols the readings. Host names and passwords are not.
    """
    options = dict(_pair(text) for text in option or [])
    done: list[tapes.Round] = []

    def told(one: tapes.Round) -> None:
        done.append(one)
        if not as_json or sys.stderr.isatty():
            bad = sum(said.quality == 2 for said in one.readings)
            state = f"lost: {one.lost}" if one.lost else f"{len(one.readings)} tags, {bad} bad"
            typer.echo(f"round {len(done)} of {rounds}: {state}", err=as_json)

    try:
        place = named_profile(profile)
        text = place.read_text(encoding="utf-8-sig")
        loaded = load_profile(place)
        if not file.parent.is_dir():  # said before all the rounds, not after
            raise _fail(f"{file}: there is no folder {file.parent}")
        lines = asyncio.run(record(url, loaded, text, options, rounds, interval, told))
        file.write_bytes(tapes.write(lines))
    except KeyboardInterrupt:
        raise _stopped("nothing was written" if not done else f"{len(done)} rounds are not kept") from None
    except OSError as error:
        raise _fail(f"{error.filename or url}: {error.strerror or error}") from None
    except (DocumentError, LookupError, ValueError, DriverError) as error:
        raise _fail(str(error.args[0]) if isinstance(error, LookupError) else str(error)) from None
    frames = sum(isinstance(line, tapes.Frame) for line in lines)
    if as_json:
        typer.echo(json.dumps({"file": str(file), "rounds": len(done), "frames": frames}))
    else:
        typer.echo(f"wrote {file}: {len(done)} rounds, {frames} frames")


def replay_recording(
    file: Annotated[Path, typer.Argument(help="A recording made by record.")],
    serve: Annotated[bool, typer.Option("--serve", help="Be the recorded device until Ctrl-C.")] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on with --serve; 0 takes a free one.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Let today's driver read a recorded machine, and say what it reads otherwise than then.

    Exit code 1 when anything differs.
    """
    try:
        with file.open("rb") as opened:
            tape = tapes.read(opened.read(tapes.MAX_BYTES + 1))
        if serve:
            _serve(tape, port)
            return
        found = asyncio.run(play(tape))
    except KeyboardInterrupt:
        raise _stopped() from None
    except tapes.CannotPlay as error:
        raise _fail(f"{file}: {error}") from None
    except OSError as error:
        raise _fail(f"{error.filename or file}: {error.strerror or error}") from None
    except KeyError as error:
        raise _fail(f"{file}: {error.args[0]}") from None
    except (DocumentError, ValueError, DriverError) as error:
        raise _fail(str(error)) from None
    said: dict[str, Any] = {"rounds": len(tape.rounds), "frames": len(tape.frames), "differences": found}
    if as_json:
        typer.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join([*found, f"{len(tape.rounds)} rounds played, {len(found)} differences"]))
    if found:
        raise typer.Exit(1)


def _serve(tape: tapes.Tape, port: int) -> None:
    if not tape.header.frames:
        raise tapes.CannotPlay("has no frames, only readings: it can be replayed, but not served")

    async def run() -> None:
        async with answering(tape, port) as address:
            typer.echo(f"answering as recorded at {address}")
            await asyncio.Event().wait()

    asyncio.run(run())


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise _fail(f'"{text}" has no equals sign — write name=value, e.g. timeout=2')
    return name.strip(), value


def _stopped(what: str = "") -> typer.Exit:
    """To be raised after Ctrl-C; the exit code is what shells have for it."""
    typer.echo(f"\nstopped{what and f': {what}'}", err=True)
    return typer.Exit(130)


def _fail(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(1)
