"""What the commands share: options as people write them, files, tables of text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from protocols.prognostics import model_file
from protocols.prognostics.model import Model
from protocols.prognostics.model_file import ModelRefusedError

UNREADABLE = 2
"""Exit code: a file cannot be read, is refused, or says something impossible."""

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for other programs.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the random choices.")]
Trees = Annotated[int, typer.Option(min=1, max=2000, help="Trees of each of the two ensembles.")]
ModelPath = Annotated[Path, typer.Argument(help="A model file, as `train` writes it.")]
SamplesPath = Annotated[Path, typer.Argument(help="Samples: .csv, .csv.gz or .parquet, a row each.")]
AssetColumn = Annotated[str, typer.Option("--asset", help="Column with the name or serial of the machine.")]
TimeColumn = Annotated[
    str, typer.Option("--time", help="Column to sort a machine's samples by; left out: as they stand.")
]
Trust = Annotated[
    list[Path] | None,
    typer.Option(help="Public key that may have signed the model; repeat. Without it: only the hash."),
]


def fail(message: str, code: int = UNREADABLE) -> typer.Exit:
    """Say what is wrong on stderr; to be raised."""
    typer.echo(message, err=True)
    return typer.Exit(code)


def read_bytes(path: Path) -> bytes:
    """A file's content; raises typer.Exit when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise fail(f"{path}: {error.strerror or error}") from None


def write_file(path: Path, content: bytes) -> None:
    """Raises typer.Exit when that fails."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise fail(f"{path}: {error.strerror or error}") from None


def model_at(path: Path, trust: list[Path] | None) -> Model:
    """The model in a file; raises typer.Exit when it is refused."""
    from cloud.maintenance.rul.keys import KeyRefusedError, trusted

    try:
        return model_file.read(read_bytes(path), str(path), trusted(trust) if trust else None)
    except (KeyRefusedError, ModelRefusedError) as error:
        raise fail(str(error)) from None


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
