"""``onelot terminal``: the operator's terminal at one station."""

from __future__ import annotations

import secrets
import time
import uuid
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Language(StrEnum):
    EN = "en"
    ZH = "zh"


def command(
    station: Annotated[str, typer.Option(help="Station (workcell) of that edge, e.g. brake-1.")],
    edge: Annotated[str, typer.Option(help="Address of the edge.")] = "http://127.0.0.1:8801",
    token_file: Annotated[Path, typer.Option(help="The edge's api.token, from its data folder.")] = Path(
        "api.token"
    ),
    actor: Annotated[
        str, typer.Option(help="Pseudonym of who works here; a badge scan (@K7) changes it.")
    ] = "",
    language: Annotated[Language, typer.Option(help="Language to begin with; F12 switches.")] = Language.EN,
    big: Annotated[bool, typer.Option("--big", help="Big-text layout; F11 switches.")] = False,
) -> None:
    """Open the operator's terminal at a station. Ctrl-Q leaves it."""
    from edge.client import EdgeClient, checked
    from edge.station.commands import is_pseudonym
    from edge.terminal.app import TerminalApp
    from edge.terminal.screens.work import WorkPage
    from edge.terminal.session import Session

    try:
        checked(edge)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--edge") from error
    if actor and not is_pseudonym(actor):
        raise typer.BadParameter(
            f'"{actor}" is no pseudonym: 1 to 16 letters, digits or "-", such as K7; never a name',
            param_hint="--actor",
        )
    session = Session(
        station=station,
        url=edge,
        actor=actor or f"K{secrets.randbelow(90) + 10}",
        now=lambda: time.time_ns() // 1000,
        new_id=lambda: uuid.uuid4().hex,
        home=WorkPage(),
        language=language.value,
        big=big,
    )
    client = EdgeClient(edge, read_token(token_file))
    reason = TerminalApp(session, client).run()
    if reason:
        typer.echo(f"The edge at {edge} refused this terminal: {reason}", err=True)
        raise typer.Exit(1)


def read_token(path: Path) -> str:
    """The token in a file; ends the command with what to do when there is none."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise typer.BadParameter(
            f"{path} cannot be read ({error}). The edge writes api.token into its data folder at its first "
            "start: give its path with --token-file"
        ) from error
