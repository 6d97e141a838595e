"""``onelot dispatch …``: the table of its commands. Each one has a file; a new one is a row here."""

from __future__ import annotations

from collections.abc import Callable

import typer

from cloud.dispatching.command.benching import bench
from cloud.dispatching.command.comparing import what_if
from cloud.dispatching.command.converting import convert, write_schema
from cloud.dispatching.command.drawing import draw
from cloud.dispatching.command.foreseeing import foresee
from cloud.dispatching.command.promising import promise_order
from cloud.dispatching.command.simulating import simulate
from cloud.dispatching.command.solving import solve_file
from cloud.dispatching.command.validating import validate_plan

app = typer.Typer(
    help="Plan, check and compare problem files; no server is needed.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

COMMANDS: dict[str, Callable[..., None]] = {
    "solve": solve_file,
    "validate": validate_plan,
    "whatif": what_if,
    "promise": promise_order,
    "risk": foresee,
    "bench": bench,
    "gantt": draw,
    "convert": convert,
    "schema": write_schema,
    "simulate": simulate,
}

for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
