"""``onelot dispatch risk``: whether orders will be on time when durations scatter and machines fail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import typer

from cloud.dispatching.command.asking import FormatOption, ProblemPath, Seed, Workers, counted, problem_at
from cloud.dispatching.command.interrupting import ctrl_c_sets
from cloud.dispatching.command.plan_in_force import PlanPath, plan_in_force
from cloud.dispatching.command.times import teller, zone_note
from cloud.dispatching.questions.assumptions import Assumptions, Breakdowns, Shape
from cloud.dispatching.questions.durations import parse, words
from cloud.dispatching.questions.refused import unknown
from cloud.dispatching.questions.risk import OrderOutlook, Outlook, chain, risk
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.printing import AsJson, columns, fail, print_json

SURE = 0.9
"""Share of samples from which on an order counts as safe."""

SHOWN = 15
"""Orders in the table, the least certain first."""


def foresee(
    problem_file: ProblemPath,
    plan_file: PlanPath = None,
    spread: Annotated[
        float,
        typer.Option(min=0.0, max=5.0, help="By how much durations scatter, as a share."),
    ] = 0.3,
    shape: Annotated[Shape, typer.Option(help="How they scatter.")] = Shape.LOGNORMAL,
    fails: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MACHINE=TIMES",
            help="How often a machine fails and for how long: SAW=40h/30min, all=…",
        ),
    ] = None,
    order: Annotated[
        list[str] | None, typer.Option(metavar="ORDER", help="Show what binds this order.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="How often the plan is carried out.")] = 1000,
    seconds: Annotated[
        float, typer.Option(min=0.0, help="Wall-clock time for the plan, where none is given.")
    ] = 10.0,
    workers: Workers = 8,
    seed: Seed = 0,
    format_: FormatOption = None,
    as_json: AsJson = False,
) -> None:
    """Carry the plan out many times, and say which orders will be on time and what binds those that may not.

    Exit code 1: the plan breaks rules; 2: a file or an option makes no sense.
    """
    read = problem_at(problem_file, format_)
    assumptions = Assumptions(
        spread=spread,
        shape=shape,
        breakdowns=_breakdowns(fails, read.problem),
        samples=samples,
        seed=seed,
    )
    cancel = threading.Event()
    with ctrl_c_sets(cancel):
        plan = plan_in_force(
            problem_file, read, plan_file, seconds, workers=workers, seed=seed, cancel=cancel
        )
    try:
        found = risk(read.problem, plan, assumptions)
    except ValueError as error:
        raise fail(str(error)) from None
    shown = _chosen(found, order)
    if as_json:
        print_json(_plain(found, shown, read.problem, plan))
    else:
        typer.echo("\n".join(_told(found, shown, read.problem, plan)))


def _breakdowns(texts: list[str] | None, problem: Problem) -> dict[str, Breakdowns]:
    machines = [machine.id for machine in problem.machines]
    found: dict[str, Breakdowns] = {}
    wrong: list[str] = []
    for text in texts or ():
        name, equals, times = text.rpartition("=")
        between, slash, repair = times.partition("/")
        try:
            if not equals or not slash:
                raise ValueError(
                    "it is written MACHINE=BETWEEN/REPAIR, such as SAW=40h/30min or all=40h/30min"
                )
            each = Breakdowns(mean_between=parse(between), mean_repair=parse(repair))
            if name != "all" and name not in machines:
                raise ValueError(unknown("machine", name, machines))
        except ValueError as error:
            wrong.append(f"--fails {text}: {error}")
            continue
        found.update(dict.fromkeys(machines if name == "all" else [name], each))
    if wrong:
        raise fail("\n".join(wrong))
    return found


def _chosen(found: Outlook, names: list[str] | None) -> list[OrderOutlook]:
    """The orders that were asked for; else those that may be late, the least certain ones."""
    by_name = {one.order: one for one in found.orders}
    wrong = [f"--order: {unknown('order', name, by_name)}" for name in names or () if name not in by_name]
    if wrong:
        raise fail("\n".join(wrong))
    if names:
        return [by_name[name] for name in names]
    return [one for one in found.orders if one.on_time is not None and one.on_time < SURE][:3]


def _told(found: Outlook, shown: list[OrderOutlook], problem: Problem, plan: Schedule) -> list[str]:
    when = teller(problem)
    dated = [one for one in found.orders if one.on_time is not None]
    lines = []
    if dated and found.on_time is not None:
        safe = sum(one.on_time is not None and one.on_time >= SURE for one in dated)
        lines.append(
            f"{safe} of {counted(len(dated), 'order')} with a due date keep it nine times out of ten; "
            f"{100 * found.on_time:.0f} % on time are to be expected."
        )
    else:
        lines.append("No order has a due date; this is when they end.")
    said = found.assumptions
    failing = f", {counted(len(said.breakdowns), 'machine')} failing" if said.breakdowns else ""
    lines.append(
        f"({said.samples} samples, durations {said.shape} with a spread of {100 * said.spread:g} %{failing})"
    )
    lines += ["", columns([_HEAD, *(_row(one, when) for one in found.orders[:SHOWN])])]
    if len(found.orders) > SHOWN:
        lines.append(f"and {len(found.orders) - SHOWN} more, all of them safer")
    lines += _waits(found)
    for one in shown:
        lines += ["", f"What binds order {one.order}, from its end back:"]
        lines += [f"  {link.text}" for link in chain(problem, plan, one).links]
    return [*lines, *filter(None, ["", zone_note(problem)] if problem.origin else [])]


def _waits(found: Outlook) -> list[str]:
    """Longest waits and how often they are not kept; nothing where there are none."""
    if not found.lags:
        return []
    broken = [lag for lag in found.lags if lag.broken]
    kept = len(found.lags) - len(broken)
    if not broken:
        return ["", f"{counted(kept, 'longest wait')}, kept in every sample."]
    rows = [
        (
            f"{lag.operation} after {lag.predecessor}",
            words(lag.most),
            words(lag.planned),
            words(lag.p90),
            f"{100 * lag.broken:.1f} %",
        )
        for lag in broken[:SHOWN]
    ]
    lines = ["", columns([("longest wait", "at most", "planned", "90 %", "not kept"), *rows])]
    if len(broken) > SHOWN:
        lines.append(f"and {len(broken) - SHOWN} more that are not always kept")
    return [*lines, f"Of {counted(len(found.lags), 'longest wait')} {kept} are kept in every sample."]


_HEAD = ("order", "on time", "due", "planned", "10 %", "50 %", "90 %", "90 % late by")


def _row(one: OrderOutlook, when: Callable[[int], str]) -> tuple[str, ...]:
    late = max(0, one.p90 - one.due) if one.due is not None else 0
    return (
        one.order,
        "–" if one.on_time is None else f"{100 * one.on_time:.0f} %",
        "–" if one.due is None else when(one.due),
        *(when(time) for time in (one.planned, one.p10, one.p50, one.p90)),
        words(late) if late else "–",
    )


def _plain(found: Outlook, shown: list[OrderOutlook], problem: Problem, plan: Schedule) -> dict[str, Any]:
    chains = {
        one.order: [
            {**msgspec.to_builtins(link), "text": link.text} for link in chain(problem, plan, one).links
        ]
        for one in shown
    }
    return {**msgspec.to_builtins(found), "on_time": found.on_time, "chains": chains}
