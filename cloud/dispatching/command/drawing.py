"""``onelot dispatch gantt``: a plan as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloud.dispatching.command.asking import (
    BROKEN,
    FormatOption,
    ProblemPath,
    check_ending,
    checked_plan,
    problem_at,
    write_picture,
)
from cloud.dispatching.gantt.chart import chart
from cloud.dispatching.gantt.picture import ENDINGS
from cloud.dispatching.gantt.svg import WIDTH
from cloud.printing import fail


def draw(
    problem_file: ProblemPath,
    plan_file: Annotated[Path, typer.Argument(help="A plan as solve --out plan.json writes it.")],
    out: Annotated[Path, typer.Option(help="File to write: .svg or .png.")],
    width: Annotated[int, typer.Option(min=400, max=20_000, help="Pixels.")] = WIDTH,
    format_: FormatOption = None,
) -> None:
    """Draw a plan as a Gantt chart; one that breaks rules is refused with exit code 1."""
    check_ending("--out", out, *ENDINGS)
    read = problem_at(problem_file, format_)
    plan, broken = checked_plan(problem_file, read.problem, plan_file)
    if broken:
        raise fail(f"{plan_file} breaks rules of {problem_file}:\n  " + "\n  ".join(broken), BROKEN)
    write_picture(out, chart(read.problem, plan.schedule, plan.name or read.name), width)
    typer.echo(f"wrote {out}")
