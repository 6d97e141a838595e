"""``onelot quality …``: the table of its commands. Each one has a file; a new one is a row here."""

from __future__ import annotations

from collections.abc import Callable

import typer

from cloud.quality.command.charting import chart_file
from cloud.quality.command.gauging import study_gauge
from cloud.quality.command.listing import list_rules

app = typer.Typer(
    help="Control charts, capability and gauge studies from CSV files; no server is needed.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

COMMANDS: dict[str, Callable[..., None]] = {
    "chart": chart_file,
    "gauge": study_gauge,
    "rules": list_rules,
}

for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
