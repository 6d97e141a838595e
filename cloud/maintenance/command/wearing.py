"""``onelot maintenance wear``: parts of which only the count is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cloud.printing import AsJson, fail, print_json

if TYPE_CHECKING:
    from cloud.maintenance.rul.weibull import Bounds, WeibullLife

EARLY = 0.1
"""Share of parts that have failed by the life that is told beside the scale (B10)."""


def wear_file(
    parts: Annotated[Path, typer.Argument(help="Lives of parts: .csv, .csv.gz or .parquet, a row each.")],
    life: Annotated[str, typer.Option(help="Column with how long the part was in use.")] = "life",
    failed: Annotated[
        str, typer.Option(help="Column: 1 for a failure, 0 for replaced before or still in use.")
    ] = "failed",
    unit: Annotated[str, typer.Option(help="What is counted.")] = "h",
    age: Annotated[float | None, typer.Option(min=0, help="Tell what a part of this age has left.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell how long wear parts live, by a Weibull distribution; parts replaced early are no failures."""
    from cloud.maintenance.rul.runs import TrainingRefusedError
    from cloud.maintenance.rul.sample_files import SampleFileError, read_lives
    from cloud.maintenance.rul.weibull import fit

    try:
        found = fit(read_lives(parts, life, failed))
    except SampleFileError as error:
        raise fail(str(error)) from None
    except TrainingRefusedError as error:
        raise fail(f"{parts}: {error}") from None
    left = None if age is None else found.remaining(age)
    shape, scale, early = found.shape_bounds(), found.scale_bounds(), found.life_bounds(EARLY)
    if as_json:
        told = {"failures": found.failures, "censored": found.censored}
        bounds = {"shape": shape, "scale": scale, "b10": early, "remaining": left}
        print_json({**told, **{name: msgspec.to_builtins(one) for name, one in bounds.items()}})
        return
    typer.echo(
        f"{found.failures} parts failed, {found.censored} were replaced before or are in use\n"
        f"{_kind(found)}: shape {_bounds(shape)}\n"
        f"a tenth has failed by {_bounds(early)} {unit}, 63 % by {_bounds(scale)} {unit}"
    )
    if left is not None:
        typer.echo(
            f"at {age:g} {unit}: {_short(left.median)} {unit} left, "
            f"{_short(left.lower)} to {_short(left.upper)} in 90 % of the cases"
        )


def _kind(life: WeibullLife) -> str:
    bounds = life.shape_bounds()
    if bounds.lower > 1:
        return "wear"
    if bounds.upper < 1:
        return "early failures, which replacing by plan makes more of"
    return "chance cannot be told from wear"


def _bounds(one: Bounds) -> str:
    return f"{_short(one.value)} ({_short(one.lower)} to {_short(one.upper)})"


def _short(number: float) -> str:
    """Three digits, never as a power of ten: they are read by people at a machine."""
    return f"{float(f'{number:.3g}'):,.10g}"
