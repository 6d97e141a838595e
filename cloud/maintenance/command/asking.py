"""What the commands share: options as people write them, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloud.printing import fail
from protocols.prognostics import model_file
from protocols.prognostics.model import Model
from protocols.prognostics.model_file import ModelRefusedError

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


def read_bytes(path: Path) -> bytes:
    """A file's content; raises typer.Exit when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise fail(f"{path}: {error.strerror or error}") from None


def model_at(path: Path, trust: list[Path] | None) -> Model:
    """The model in a file; raises typer.Exit when it is refused."""
    from cloud.maintenance.rul.keys import KeyRefusedError, trusted

    try:
        return model_file.read(read_bytes(path), str(path), trusted(trust) if trust else None)
    except (KeyRefusedError, ModelRefusedError) as error:
        raise fail(str(error)) from None
