"""``onelot driver check``: every mistake in profiles, at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from drivers.profile_files import check_profile
from edge.commission.asking import AsJson, fail
from protocols.documents import DocumentError, Problem, read


def check(
    files: Annotated[list[Path], typer.Argument(help="Profile files, or folders of them.")],
    as_json: AsJson = False,
) -> None:
    """Check profiles: every mistake at once, with its place and what would be right."""
    paths = [found for file in files for found in (sorted(file.rglob("*.yaml")) if file.is_dir() else [file])]
    if not paths:
        raise fail(f"no file named *.yaml below {', '.join(map(str, files))}")
    problems: list[Problem] = []
    tags = 0
    for path in paths:
        try:
            document = read(path)
            named = document.data.get("tags") if isinstance(document.data, dict) else None
            tags += len(named) if isinstance(named, dict) else 0
            check_profile(document)
        except DocumentError as error:
            problems += error.problems
    if as_json:
        rows = [
            {"file": p.file, "line": p.line, "col": p.col, "path": p.path, "message": p.message}
            for p in problems
        ]
        typer.echo(json.dumps({"problems": rows, "files": len(paths), "tags": tags}, indent=2))
    else:
        if problems:
            typer.echo(str(DocumentError(problems)))
        typer.echo(f"{_count(len(problems), 'error')}, {_count(tags, 'tag')} checked")
    if problems:
        raise typer.Exit(1)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
