"""``onelot maintenance …``: the table of its commands. Each one has a file; a new one is a row here."""

from __future__ import annotations

from collections.abc import Callable

import typer

from cloud.maintenance.command.benching import app as bench
from cloud.maintenance.command.modelling import app as models
from cloud.maintenance.command.scoring import explain_file, score_file
from cloud.maintenance.command.training import make_key, train_file
from cloud.maintenance.command.wearing import wear_file

app = typer.Typer(
    help="Train, score, explain and measure models of remaining life on files, with no server; "
    "`models` brings them into a running service.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

COMMANDS: dict[str, Callable[..., None]] = {
    "train": train_file,
    "score": score_file,
    "explain": explain_file,
    "wear": wear_file,
    "key": make_key,
}

for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(bench, name="bench")
app.add_typer(models, name="models")
