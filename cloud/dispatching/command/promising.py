"""``onelot dispatch promise``: what can be promised for a new order."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from cloud.dispatching.command.asking import (
    INTERRUPTED,
    FormatOption,
    ProblemPath,
    Seed,
    Workers,
    check_ending,
    counted,
    problem_at,
)
from cloud.dispatching.command.changing import new_order
from cloud.dispatching.command.comparing import as_plain
from cloud.dispatching.command.interrupting import ctrl_c_sets
from cloud.dispatching.command.plan_in_force import Out, PlanPath, Seconds, plan_in_force
from cloud.dispatching.command.times import teller, time_of, zone_note
from cloud.dispatching.files.documents import PlanFile, plan_text
from cloud.dispatching.questions.assumptions import Assumptions
from cloud.dispatching.questions.comparison import OrderDifference
from cloud.dispatching.questions.durations import words
from cloud.dispatching.questions.promise import IfBy, Promise, if_by, promise
from cloud.dispatching.questions.refused import ImpossibleScenario
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.validation import ImpossibleProblem
from cloud.printing import AsJson, columns, fail, print_json, write_file


def promise_order(
    problem_file: ProblemPath,
    plan_file: PlanPath = None,
    order: Annotated[Path | None, typer.Option(help="The new order: a file (onelot-order-1).")] = None,
    like: Annotated[str | None, typer.Option(help="A new order with the work of this one.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="WHEN", help="Who pays if it must be done by then: 2d."),
    ] = None,
    weight: Annotated[int, typer.Option(min=0, help="What it weighs when everything may move for it.")] = 1,
    spread: Annotated[
        float, typer.Option(min=0.0, max=5.0, help="By how much durations scatter, as a share; 0: no range.")
    ] = 0.3,
    seconds: Seconds = 5.0,
    workers: Workers = 8,
    seed: Seed = 0,
    format_: FormatOption = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Find the earliest date for a new order that moves nobody, and who pays if it must be earlier.

    --out writes the plan in which nobody moves. Times are seconds after the problem's origin, or from now:
    2h, 30min, 1d. Exit code 1: the plan breaks rules; 2: a file or an option makes no sense.
    """
    read = problem_at(problem_file, format_)
    check_ending("--out", out, ".json")
    asked = new_order(order, like, read.problem)
    dates = _dates(by, read.problem)
    cancel = threading.Event()
    with ctrl_c_sets(cancel):
        plan = plan_in_force(
            problem_file, read, plan_file, seconds, workers=workers, seed=seed, cancel=cancel
        )
        try:
            found = promise(
                read.problem,
                plan,
                asked,
                weight=weight,
                seconds=seconds,
                assumptions=Assumptions(spread=spread, seed=seed) if spread else None,
                workers=workers,
                seed=seed,
                cancel=cancel,
            )
            hasty = [
                if_by(
                    read.problem,
                    plan,
                    asked,
                    date,
                    seconds=seconds,
                    workers=workers,
                    seed=seed,
                    cancel=cancel,
                )
                for date in dates
            ]
        except (ImpossibleScenario, ImpossibleProblem) as error:
            raise fail(str(error)) from None
    if as_json:
        print_json(_plain(found, hasty, read.problem))
    else:
        typer.echo("\n".join(_told(found, hasty, spread, read.problem)))
    if out is not None and found.undisturbed is not None:
        write_file(out, plan_text(PlanFile(name=read.name, schedule=found.undisturbed.schedule)))
        typer.echo(f"wrote {out}", err=as_json)
    if cancel.is_set():
        raise typer.Exit(INTERRUPTED)


def _dates(texts: list[str] | None, problem: Problem) -> list[int]:
    dates: list[int] = []
    wrong: list[str] = []
    for text in texts or ():
        try:
            dates.append(time_of(text, problem))
        except ValueError as error:
            wrong.append(f"--by {text}: {error}")
    if wrong:
        raise fail("\n".join(wrong))
    return dates


def _told(found: Promise, hasty: list[IfBy], spread: float, problem: Problem) -> list[str]:
    when = teller(problem)
    lines = []
    if found.earliest is None:
        lines.append(f"Order {found.order} fits into no gap of the plan: no date hurts nobody.")
    else:
        lines.append(
            f"Order {found.order} can be promised for {when(found.earliest)} "
            f"({words(found.earliest - problem.now)} from now): nobody else moves."
        )
    if found.allowance is not None:
        lines.append(
            f"If durations scatter by {100 * spread:g} %, nine of ten times it is done by "
            f"{when(found.allowance)}."
        )
    if found.free is not None:
        lines.append(
            f"If everything may move for it as its weight of {found.weight} earns, it ends "
            f"{when(found.free.end)}{_paid(found.free.comparison.hurt)}"
        )
        lines += _hurt(found.free.comparison.hurt, problem)
    for one in hasty:
        verb = "can" if one.kept else "cannot"
        end = "" if one.kept else f"; the earliest found is {when(one.plan.end)}"
        lines.append(f"It {verb} be done by {when(one.by)}{end}{_paid(one.hurt)}")
        lines += _hurt(one.hurt, problem)
    return [*lines, *filter(None, [zone_note(problem)])]


def _paid(hurt: tuple[OrderDifference, ...]) -> str:
    if not hurt:
        return ", and no other order becomes late or later."
    return f", and {counted(len(hurt), 'order')} would pay for it:"


def _hurt(hurt: tuple[OrderDifference, ...], problem: Problem) -> list[str]:
    if not hurt:
        return []
    when = teller(problem)
    rows = [
        (
            "  " + one.order,
            "–" if one.after is None or one.after.due is None else when(one.after.due),
            "–" if one.before is None else when(one.before.end),
            "–" if one.after is None else when(one.after.end),
            words(one.later_late),
        )
        for one in hurt
    ]
    return [columns([("  order", "due", "planned", "then", "later by"), *rows])]


def _plain(found: Promise, hasty: list[IfBy], problem: Problem) -> dict[str, Any]:
    return {
        "order": found.order,
        "earliest": found.earliest,
        "allowance": found.allowance,
        "free": None
        if found.free is None
        else {
            "weight": found.weight,
            "end": found.free.end,
            "comparison": as_plain(found.free.comparison, problem),
        },
        "if_by": [
            {
                "by": one.by,
                "kept": one.kept,
                "end": one.plan.end,
                "hurt": [{"order": o.order, "later": o.later, "later_late": o.later_late} for o in one.hurt],
                "comparison": as_plain(one.plan.comparison, problem),
            }
            for one in hasty
        ],
    }
