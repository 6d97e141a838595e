"""``onelot quality gauge``: a gauge study (repeatability and reproducibility) from a CSV file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cloud.printing import fail
from cloud.quality.command.asking import tried
from cloud.quality.gauge_study import GaugeStudy, StudyError, gauge_study
from cloud.quality.measurements import read_study


def study_gauge(
    file: Annotated[Path, typer.Argument(help="CSV with the columns operator, part and value.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON for other programs.")] = False,
) -> None:
    """Judge a gauge by average and range: how much of what it shows is the gauge itself.

    Every operator measures every part equally often, in the order of the rows.
    """
    measured = tried(lambda: read_study(file))
    try:
        study = gauge_study(measured)
    except StudyError as error:
        raise fail(f"{file}: {error}") from None
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(study), indent=2))
        return
    operators, trials, parts = len(measured), len(measured[0]), len(measured[0][0])
    typer.echo(f"{file.name}  {operators} operators, {parts} parts, {trials} trials")
    for line in _lines(study):
        typer.echo(f"  {line}")


def _lines(study: GaugeStudy) -> list[str]:
    verdict = (
        "acceptable"
        if study.percent < 10
        else "may be acceptable"
        if study.percent <= 30
        else "not acceptable"
    )
    return [
        f"equipment (EV)    {study.ev:.4g}",
        f"appraisers (AV)   {study.av:.4g}",
        f"gauge (GRR)       {study.grr:.4g}   {study.percent:.2f} % of the total variation: {verdict}",
        f"parts (PV)        {study.pv:.4g}",
        f"total (TV)        {study.tv:.4g}",
        f"categories (ndc)  {study.categories}"
        + ("" if study.categories >= 5 else "   fewer than 5: it cannot tell the parts apart"),
    ]
