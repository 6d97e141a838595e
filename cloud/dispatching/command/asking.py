"""What the commands share: options as people write them, problems and plans in files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloud.dispatching.command.instance_bench import makespan_only
from cloud.dispatching.files.documents import PlanFile, ProblemFile, read_plan
from cloud.dispatching.files.formats import Format, read_problem
from cloud.dispatching.gantt.chart import Chart
from cloud.dispatching.gantt.picture import CannotDraw, picture
from cloud.dispatching.gantt.svg import WIDTH
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.validation import ImpossibleProblem, check
from cloud.dispatching.shop.violations import violations
from cloud.printing import fail, write_file
from protocols.documents import DocumentError

BROKEN = 1
"""Exit code: the plan breaks rules, or an instance of a bench went wrong."""

INTERRUPTED = 130
"""Exit code: ended with Ctrl-C; what was found until then is kept."""

ProblemPath = Annotated[Path, typer.Argument(help="A problem: JSON, or a classic text format.")]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="How the problem is written; recognised when left out.")
]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Search threads; 8 pay even on two cores.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the random choices.")]


def problem_at(path: Path, format_: Format | None) -> ProblemFile:
    """The problem in a file; raises typer.Exit with what is wrong and where."""
    try:
        return read_problem(path, format_)
    except DocumentError as error:
        raise fail(str(error)) from None


def check_ending(option: str, path: Path | None, *endings: str) -> None:
    """Refuse a file name whose ending says another kind of file; raises typer.Exit."""
    if path is not None and path.suffix not in endings:
        raise fail(f'{option} {path}: "{path.suffix}" is not one of {", ".join(endings)}')


def write_picture(path: Path, chart: Chart, width: int = WIDTH) -> None:
    """Draw a chart into a file as its ending says; raises typer.Exit when that fails."""
    try:
        write_file(path, picture(chart, path.suffix, width))
    except CannotDraw as error:
        raise fail(f"{path}: {error}") from None


def checked_plan(problem_file: Path, problem: Problem, plan_file: Path) -> tuple[PlanFile, list[str]]:
    """A plan and the rules of its problem that it breaks; raises typer.Exit when a file is of no use."""
    try:
        check(problem)
        plan = read_plan(plan_file)
    except ImpossibleProblem as error:
        raise fail(f"{problem_file}: {error}") from None
    except DocumentError as error:
        raise fail(str(error)) from None
    return plan, violations(problem, plan.schedule)


def counted(number: int, thing: str) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def about(problem: Problem) -> str:
    """A problem in half a line."""
    jobs = len({operation.job_id for operation in problem.operations})
    return ", ".join(
        (
            counted(jobs, "job"),
            counted(len(problem.operations), "operation"),
            counted(len(problem.machines), "machine"),
        )
    )


def cost(problem: Problem, schedule: Schedule) -> str:
    """What a plan is worth, in words."""
    objective = schedule.objective
    if makespan_only(problem):
        return f"makespan {objective.makespan}"
    parts = [f"cost {objective.total}"]
    parts += [f"{words} {value}" for words, value in (
        ("weighted tardiness", objective.weighted_tardiness),
        ("maintenance left out", objective.omitted_maintenance),
        ("changeovers", objective.changeover_seconds),
        ("deviation", objective.deviation_seconds),
    ) if value]  # fmt: skip
    return ", ".join((*parts, f"makespan {objective.makespan}"))


def bounded(schedule: Schedule, bound: float | None) -> str:
    """The bound of a plan's cost and how far it is, or nothing where none is known."""
    if bound is None or not schedule.objective.total:
        return ""
    gap = max(0.0, 100.0 * (1.0 - bound / schedule.objective.total))
    return f"bound {bound:.0f}  gap {gap:.1f} %"
