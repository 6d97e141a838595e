"""The plan that a question is about: read from a file, or made first."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from cloud.dispatching.command.asking import BROKEN, checked_plan, cost
from cloud.dispatching.command.live_line import LiveLine
from cloud.dispatching.files.documents import ProblemFile
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.validation import ImpossibleProblem
from cloud.dispatching.solving.solve import solve
from cloud.printing import fail

PlanPath = Annotated[
    Path | None,
    typer.Argument(help="The plan in force, as solve --out plan.json writes it; made first when left out."),
]
Seconds = Annotated[float, typer.Option(min=0.0, help="Wall-clock time for each answer.")]
Out = Annotated[Path | None, typer.Option(help="Write the plan of the answer: .json.")]


def plan_in_force(
    problem_file: Path,
    read: ProblemFile,
    plan_file: Path | None,
    seconds: float,
    *,
    workers: int,
    seed: int,
    cancel: threading.Event,
) -> Schedule:
    """A valid plan of the problem; raises typer.Exit when the file has none or the problem makes no sense."""
    if plan_file is not None:
        plan, broken = checked_plan(problem_file, read.problem, plan_file)
        if broken:
            raise fail(f"{plan_file} breaks rules of {problem_file}:\n  " + "\n  ".join(broken), BROKEN)
        return plan.schedule
    with LiveLine(lambda schedule: "the plan: " + cost(read.problem, schedule)) as line:
        try:
            return solve(
                read.problem,
                seconds,
                workers=workers,
                seed=seed,
                cancel=cancel,
                on_progress=lambda step: line.show(step.schedule),
            )
        except ImpossibleProblem as error:
            raise fail(f"{problem_file}: {error}") from None
