"""``onelot dispatch solve``: a plan for a problem file."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cloud.dispatching.command.asking import (
    BROKEN,
    INTERRUPTED,
    FormatOption,
    ProblemPath,
    Seed,
    Workers,
    about,
    bounded,
    check_ending,
    cost,
    problem_at,
    write_picture,
)
from cloud.dispatching.command.interrupting import ctrl_c_sets
from cloud.dispatching.command.live_line import LiveLine
from cloud.dispatching.files.csv_table import plan_csv
from cloud.dispatching.files.documents import PlanFile, plan_text
from cloud.dispatching.gantt.chart import chart
from cloud.dispatching.gantt.picture import ENDINGS
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.validation import ImpossibleProblem
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.solve import Progress, solve
from cloud.printing import AsJson, fail, print_json, write_file


def solve_file(
    file: ProblemPath,
    seconds: Annotated[
        float, typer.Option(min=0.0, help="Wall-clock time for everything, from reading to the last plan.")
    ] = 30.0,
    workers: Workers = 8,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Repeatable: --seconds limits the work, not the time.")
    ] = False,
    seed: Seed = 0,
    format_: FormatOption = None,
    out: Annotated[Path | None, typer.Option(help="Write the plan: .json, or .csv for spreadsheets.")] = None,
    gantt: Annotated[Path | None, typer.Option(help="Draw the plan as a Gantt chart: .svg or .png.")] = None,
    as_json: AsJson = False,
) -> None:
    """Plan a problem file as well as the time allows.

    Ctrl-C ends the search early: the best plan so far is written and the exit code is 130. A plan counts only
    when the independent validator accepts it. Exit code 2: the file cannot be read or planned.
    """
    began = time.monotonic()
    read = problem_at(file, format_)
    problem = read.problem
    check_ending("--out", out, ".json", ".csv")
    check_ending("--gantt", gantt, *ENDINGS)
    cancel = threading.Event()
    first: list[float] = []

    with LiveLine(lambda schedule: cost(problem, schedule)) as line, ctrl_c_sets(cancel):

        def progress(step: Progress) -> None:
            if not first:
                first.append(time.monotonic() - began)
            line.show(step.schedule)

        left = seconds if deterministic else max(0.0, seconds - (time.monotonic() - began))
        try:
            plan = solve(
                problem,
                left,
                workers=workers,
                deterministic=deterministic,
                seed=seed,
                cancel=cancel,
                on_progress=progress,
            )
        except ImpossibleProblem as error:
            raise fail(f"{file}: {error}") from None
    took = time.monotonic() - began
    broken = violations(problem, plan)
    if broken:
        raise fail("the plan breaks rules and is not written:\n  " + "\n  ".join(broken), BROKEN)
    if out is not None:
        csv = out.suffix == ".csv"
        text = plan_csv(problem, plan) if csv else plan_text(PlanFile(name=read.name, schedule=plan))
        write_file(out, text)
    if gantt is not None:
        write_picture(gantt, chart(problem, plan, read.name))
    if as_json:
        print_json(_summary(read.name, plan, took, first[0] if first else None))
    else:
        typer.echo(f"{read.name}  {about(problem)}")
        words = (str(plan.status), cost(problem, plan), bounded(plan, plan.bound), f"{took:.1f} s")
        typer.echo("  ".join(filter(None, words)))
        if plan.note:
            typer.echo(f"note: {plan.note}")
        for written in filter(None, (out, gantt)):
            typer.echo(f"wrote {written}")
    if cancel.is_set():
        raise typer.Exit(INTERRUPTED)


def _summary(name: str, plan: Schedule, took: float, first: float | None) -> dict[str, object]:
    return {
        "instance": name,
        "status": str(plan.status),
        "objective": msgspec.to_builtins(plan.objective),
        "bound": plan.bound,
        "gap_percent": None if plan.gap is None else round(100 * plan.gap, 3),
        "seconds": round(took, 3),
        "first_solution_seconds": None if first is None else round(first, 3),
        "note": plan.note,
    }
