"""What all commands of the service tell: what is wrong, tables of text, JSON, files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

UNREADABLE = 2
"""Exit code: a file cannot be read, is refused, or says something impossible."""

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for other programs.")]


def fail(message: str, code: int = UNREADABLE) -> typer.Exit:
    """Say what is wrong on stderr; to be raised."""
    typer.echo(message, err=True)
    return typer.Exit(code)


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8; raises typer.Exit when that fails."""
    try:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise fail(f"{path}: {error.strerror or error}") from None


def print_json(value: Any) -> None:
    """For other programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows of text in aligned columns: the first to the left, the others to the right."""
    table = [list(row) for row in rows]
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))] if table else []
    return "\n".join(
        "  ".join(
            cell.rjust(width) if n else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )
