"""``onelot driver schema``: what an editor needs to complete and check profiles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edge.commission.asking import AsJson, fail, print_json


def write_schema(
    out: Annotated[Path | None, typer.Option(help="File to write; printed when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the JSON Schema of profiles, by which an editor completes and checks them."""
    from drivers.profile.schema import schema_text

    text = schema_text()
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise fail(f"{out}: {error.strerror or error}") from None
    first_line = f"# yaml-language-server: $schema={out.name}"
    setting = {"yaml.schemas": {str(out): "profiles/**/*.yaml"}}
    if as_json:
        print_json({"file": str(out), "first_line": first_line, "settings": setting})
        return
    typer.echo(f"wrote {out}")
    typer.echo(f"  next to a profile, as its first line   {first_line}")
    typer.echo(f"  or in the settings of VS Code          {json.dumps(setting)}")
