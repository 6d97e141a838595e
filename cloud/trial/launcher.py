"""``onelot up``: starts broker, cloud and edge of one folder, shows the first values, stops all in order.

What ``onelot driver add`` wrote runs as it is. On a real site each part is a service of its own; see
``docs/site.md``.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import httpx
import typer

from cloud.api.accounts import FIRST_LOGIN_FILE
from cloud.processes import STOPPING, Part, PartFailedError, StoppedError, broker_command, listening, onelot
from cloud.trial.plan import CLOUD, EDGE, CannotStart, Plan, plan
from cloud.trial.values import first_values, login, shown_path

READY_SECONDS = 60.0


def command(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder with site.yaml, edge.yaml and cloud.yaml.", file_okay=False),
    ] = Path(),
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Stop by itself after so many seconds.")
    ] = None,
) -> None:
    """Run broker, cloud and edge of a folder on this computer, for a trial; Ctrl-C ends it."""
    for stopping in STOPPING:
        signal.signal(stopping, _stop)
    try:
        made = plan(folder)
        with _running(made) as parts:
            _tell(made, parts)
            _watch(parts, seconds)
    except StoppedError:
        typer.echo("stopped")
    except (CannotStart, PartFailedError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"{error.filename or folder}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise StoppedError


@contextlib.contextmanager
def _running(made: Plan) -> Iterator[Sequence[Part]]:
    """All parts, started one after the other; stopped in the reverse order."""
    made.logs.mkdir(parents=True, exist_ok=True)
    started: list[Part] = []
    try:
        if not made.starts_broker:
            typer.echo(f"using the broker at {made.broker}")
        for part in _parts(made):
            typer.echo(f"starting {part.name}")
            started.append(part)
            part.start()
            part.wait_ready(READY_SECONDS)
        yield started
    finally:
        for stopping in STOPPING:
            signal.signal(stopping, signal.SIG_IGN)
        for part in reversed(started):
            if not part.stop():
                typer.echo(f"{part.name} did not stop by itself and was killed", err=True)


def _parts(made: Plan) -> Iterator[Part]:
    if made.starts_broker:
        name, words = broker_command(made.logs, made.broker.port)
        yield Part(name, words, made.logs / "broker.log", listening(made.broker.port, made.broker.host))
    for part, file, address in (("cloud", CLOUD, made.page), ("edge", EDGE, made.api)):
        words = onelot(part, "--config", str(made.folder / file))
        yield Part(part, words, made.logs / f"{part}.log", _answering(address.url))


def _answering(url: str) -> Callable[[], bool]:
    def asks() -> bool:
        try:
            return httpx.get(f"{url}/health", timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    return asks


def _tell(made: Plan, parts: Sequence[Part]) -> None:
    """The page, how to log in, and the first values of each machine."""
    typer.echo(f"\npage   {made.page.url}")
    if (known := login(made)) is not None:
        file = shown_path((made.cloud_data / FIRST_LOGIN_FILE).resolve())
        typer.echo(f"login  {known[0]} / {known[1]}   (from {file})")

    def alive() -> None:
        for part in parts:
            part.check()

    seen, closed = first_values(made, alive)
    if closed:
        typer.echo(f"\n{closed}")
    for machine in seen:
        typer.echo("\n" + "\n".join(machine.lines()))
    if not seen:
        typer.echo(f"\nno machine yet: onelot driver add URL adds one to {made.folder.resolve()}")
    typer.echo("\nA trial on this computer, not an installation. Ctrl-C ends it; what was recorded stays.")


def _watch(parts: Sequence[Part], seconds: float | None) -> None:
    """Until somebody stops it, the time is over, or a part ends by itself."""
    until = None if seconds is None else time.monotonic() + seconds
    while until is None or time.monotonic() < until:
        for part in parts:
            part.check()
        time.sleep(0.25)
