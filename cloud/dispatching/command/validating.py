"""``onelot dispatch validate``: whether a plan keeps every rule of its problem."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cloud.dispatching.command.asking import (
    BROKEN,
    FormatOption,
    ProblemPath,
    checked_plan,
    cost,
    counted,
    problem_at,
)
from cloud.printing import AsJson, print_json


def validate_plan(
    problem_file: ProblemPath,
    plan_file: Annotated[Path, typer.Argument(help="A plan as solve --out plan.json writes it.")],
    format_: FormatOption = None,
    as_json: AsJson = False,
) -> None:
    """Check a plan against its problem, with code that no planner uses: every broken rule, in words.

    Exit code 0: the plan keeps all rules; 1: it breaks some; 2: a file cannot be read or the problem makes no
    sense.
    """
    problem = problem_at(problem_file, format_).problem
    read, broken = checked_plan(problem_file, problem, plan_file)
    plan = read.schedule
    if as_json:
        objective = msgspec.to_builtins(plan.objective)
        print_json({"valid": not broken, "violations": broken, "objective": objective})
    elif broken:
        typer.echo(f"{plan_file}: {counted(len(broken), 'broken rule')}")
        for words in broken:
            typer.echo(f"  {words}")
    else:
        typer.echo(f"{plan_file}: valid, {cost(problem, plan)}")
    if broken:
        raise typer.Exit(BROKEN)
