"""``onelot dispatch whatif``: what a change would do to the plan."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from cloud.dispatching.command.asking import (
    INTERRUPTED,
    FormatOption,
    ProblemPath,
    Seed,
    Workers,
    about,
    check_ending,
    cost,
    problem_at,
)
from cloud.dispatching.command.changing import (
    Asked,
    Cancel,
    Down,
    Due,
    Heads,
    Like,
    OvertimeOption,
    PinOption,
    Rush,
    Split,
    Weight,
    changes,
)
from cloud.dispatching.command.interrupting import ctrl_c_sets
from cloud.dispatching.command.live_line import LiveLine
from cloud.dispatching.command.plan_in_force import Out, PlanPath, Seconds, plan_in_force
from cloud.dispatching.command.times import teller, zone_note
from cloud.dispatching.files.documents import (
    PlanFile,
    ProblemFile,
    plan_text,
    problem_text,
    read_scenario,
)
from cloud.dispatching.questions.answer import Answer, answer
from cloud.dispatching.questions.comparison import Comparison, Fate, OrderDifference
from cloud.dispatching.questions.durations import words
from cloud.dispatching.questions.refused import ImpossibleScenario
from cloud.dispatching.questions.scenario import Scenario
from cloud.dispatching.questions.sentences import amount, sentences, signed_amount
from cloud.dispatching.shop.money import Part
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.validation import ImpossibleProblem
from cloud.printing import AsJson, columns, fail, print_json, write_file
from protocols.documents import DocumentError

SHOWN = 15
"""Orders in the table; those that change most come first."""


def what_if(
    problem_file: ProblemPath,
    plan_file: PlanPath = None,
    rush: Rush = None,
    like: Like = None,
    due: Due = None,
    weight: Weight = None,
    cancel_order: Cancel = None,
    down: Down = None,
    overtime: OvertimeOption = None,
    heads: Heads = None,
    split: Split = None,
    pin: PinOption = None,
    scenario: Annotated[
        list[Path] | None,
        typer.Option("--scenario", metavar="FILE", help="A scenario from a file (onelot-scenario-1)."),
    ] = None,
    seconds: Seconds = 10.0,
    workers: Workers = 8,
    seed: Seed = 0,
    format_: FormatOption = None,
    out: Out = None,
    out_problem: Annotated[
        Path | None, typer.Option(help="Write the problem as the scenario would have it: .json.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask what would become of the plan, and compare.

    The options make one scenario together; --scenario FILE asks another one, as often as wanted. Times are
    seconds after the problem's origin, or from now: 2h, 30min, 1d. Ctrl-C ends the search with the best
    answer so far (exit code 130). Exit code 1: the plan breaks rules; 2: a file or an option makes no sense.
    """
    read = problem_at(problem_file, format_)
    check_ending("--out", out, ".json")
    check_ending("--out-problem", out_problem, ".json")
    options = Asked(rush, like, due, weight, cancel_order, down, overtime, heads, split, pin)
    asked = _scenarios(options, scenario, read.problem)
    if len(asked) > 1 and (out or out_problem):
        raise fail(f"--out writes one plan, and {len(asked)} scenarios are asked")
    cancel = threading.Event()
    told: list[dict[str, Any]] = []
    with ctrl_c_sets(cancel):
        plan = plan_in_force(
            problem_file, read, plan_file, seconds, workers=workers, seed=seed, cancel=cancel
        )
        if not as_json:
            typer.echo(f"{read.name}  {about(read.problem)}  plan: {cost(read.problem, plan)}")
        for one in asked:
            first: list[float] = []
            with LiveLine(lambda schedule: cost(read.problem, schedule)) as line:

                def heard(step: Answer, line: LiveLine = line, first: list[float] = first) -> None:
                    first.append(step.seconds)
                    line.show(step.schedule)

                began = time.monotonic()
                try:
                    found = answer(
                        read.problem,
                        plan,
                        one,
                        seconds,
                        workers=workers,
                        seed=seed,
                        cancel=cancel,
                        on_answer=heard,
                    )
                except (ImpossibleScenario, ImpossibleProblem) as error:
                    raise fail(str(error)) from None
                took = time.monotonic() - began
            if as_json:
                told.append({**as_plain(found.comparison, read.problem), **_timing(took, first[0])})
            else:
                typer.echo("\n" + report(found.comparison, read.problem))
                note = f"; {found.schedule.note}" if found.schedule.note else ""
                typer.echo(f"Answered after {first[0]:.1f} s, searched for {took:.1f} s{note}")
    if as_json:
        print_json(told)
    if out is not None:
        write_file(out, plan_text(PlanFile(name=asked[0].title or read.name, schedule=found.schedule)))
    if out_problem is not None:
        write_file(out_problem, problem_text(ProblemFile(name=asked[0].title, problem=found.problem)))
    for written in filter(None, (out, out_problem)):
        typer.echo(f"wrote {written}", err=as_json)
    if cancel.is_set():
        raise typer.Exit(INTERRUPTED)


def report(comparison: Comparison, problem: Problem) -> str:
    """A comparison for a terminal: sentences first, then the orders that change."""
    when = teller(problem)
    lines = [comparison.title, ""] if comparison.title else []
    lines += sentences(comparison, when)
    changed = [order for order in comparison.orders if order.fate is not Fate.SAME]
    if changed:
        head = ("order", "", "due", "planned", "then", "later", "late")
        rows = [_row(order, when) for order in changed[:SHOWN]]
        lines += ["", columns([head, *rows])]
    if len(changed) > SHOWN:
        lines.append(f"and {len(changed) - SHOWN} more")
    lines += _costs(comparison)
    return "\n".join([*lines, zone_note(problem)]).rstrip()


def _row(order: OrderDifference, when: Any) -> tuple[str, ...]:
    finish = order.after or order.before
    due = finish.due if finish is not None else None
    return (
        order.order,
        str(order.fate).replace("_", " "),
        "–" if due is None else when(due),
        "–" if order.before is None else when(order.before.end),
        "–" if order.after is None else when(order.after.end),
        words(order.later) if order.later else "–",
        words(order.after.late) if order.after and order.after.late else "–",
    )


def _costs(comparison: Comparison) -> list[str]:
    """Both plans in money, part by part; nothing while there are no rates."""
    before, after = comparison.before.money, comparison.after.money
    if before is None or after is None:
        return []
    rows = [(str(part), before.part(part), after.part(part)) for part in Part]
    rows = [row for row in rows if row[1] or row[2]]
    rows.append(("all", before.total, after.total))
    told = [(name, amount(old), amount(new), signed_amount(new - old)) for name, old, new in rows]
    return ["", columns([(f"cost in {after.currency}", "planned", "then", "difference"), *told])]


def as_plain(comparison: Comparison, problem: Problem) -> dict[str, Any]:
    """A comparison for other programs, with what follows from it."""
    plain: dict[str, Any] = msgspec.to_builtins(comparison)
    for order, row in zip(comparison.orders, plain["orders"], strict=True):
        row.update(later=order.later, later_late=order.later_late)
    for move, row in zip(comparison.moves, plain["moves"], strict=True):
        row["later"] = move.later
    return {
        **plain,
        "moved_share": comparison.moved_share,
        "hurt": [order.order for order in comparison.hurt],
        "sentences": list(sentences(comparison, teller(problem))),
    }


def _timing(took: float, first: float) -> dict[str, float]:
    return {"seconds": round(took, 3), "first_answer_seconds": round(first, 3)}


def _scenarios(options: Asked, files: list[Path] | None, problem: Problem) -> list[Scenario]:
    found: list[Scenario] = []
    typed = changes(options, problem)
    if typed:
        found.append(Scenario(title=f"What if: {options}?", changes=typed))
    wrong: list[str] = []
    for file in files or ():
        try:
            found.append(read_scenario(file))
        except DocumentError as error:
            wrong.append(str(error))
    if wrong:
        raise fail("\n".join(wrong))
    if not found:
        raise fail("what should change? See onelot dispatch whatif --help, or name a --scenario FILE")
    return found
