"""``onelot driver …``: the table of its commands. Each one has a file; a new one is a row here."""

from __future__ import annotations

from collections.abc import Callable

import typer

from drivers.imports.command import import_list
from drivers.recordings.command import record_device, replay_recording
from drivers.scaffold.command import new_driver
from edge.commission import files
from edge.commission.adding import add
from edge.commission.browse.command import browse
from edge.commission.checking import check
from edge.commission.listing import list_drivers, show
from edge.commission.probing import probe
from edge.commission.reading import read_once
from edge.commission.schema import write_schema
from edge.commission.simulating import simulate
from edge.commission.trusting import app as trust
from edge.commission.watching import watch
from edge.commission.writing import write_one

app = typer.Typer(
    help="Connect machines: check profiles, simulate them, read a machine once.", no_args_is_help=True
)

COMMANDS: dict[str, Callable[..., None]] = {
    "list": list_drivers,
    "show": show,
    "probe": probe,
    "browse": browse,
    "import": import_list,
    "add": add,
    "check": check,
    "simulate": simulate,
    "read": read_once,
    "watch": watch,
    "write": write_one,
    "record": record_device,
    "replay": replay_recording,
    "new": new_driver,
    "schema": write_schema,
}

GROUPS: dict[str, typer.Typer] = {"files": files.app, "trust": trust}
"""Commands that have commands of their own."""

for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)
