"""``onelot driver new``: a driver package of one's own that runs at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from drivers.registry import driver_names
from drivers.scaffold.package import check_name, files


def new_driver(
    name: Annotated[str, typer.Argument(help="The protocol: a-z, 0-9 and _, as profiles will say it.")],
    folder: Annotated[Path | None, typer.Option(help="Where to make it; onelot-NAME by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON for other programs.")] = False,
) -> None:
    """Make a driver package of your own: entry point, driver, simulator, profile and contract tests."""
    try:
        made = files(check_name(name, driver_names()))
    except ValueError as error:
        raise _fail(str(error)) from None
    root = folder or Path(f"onelot-{name.replace('_', '-')}")
    if root.exists() and any(root.iterdir() if root.is_dir() else [root]):
        raise _fail(f"{root} is there already and not empty — say another --folder")
    try:
        for path, text in made.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise _fail(f"{error.filename}: {error.strerror}") from None
    if as_json:
        typer.echo(json.dumps({"folder": str(root), "files": [str(path) for path in made]}, indent=2))
        return
    typer.echo("\n".join(f"{root / path}" for path in made))
    typer.echo(f"try it: cd {root} && pip install -e '.[test]' && pytest && onelot driver list")


def _fail(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(1)
