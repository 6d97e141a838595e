"""``onelot dispatch simulate``: dispatch rules and the dispatcher in a shop where little goes as planned."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cloud.dispatching.command.asking import BROKEN, INTERRUPTED, counted
from cloud.dispatching.command.interrupting import ctrl_c_sets
from cloud.dispatching.simulation.comparison import (
    DISPATCHER,
    POLICIES,
    Comparison,
    Outcome,
    Trial,
    compare,
)
from cloud.dispatching.simulation.factory import CABINETS, Factory, read_factory
from cloud.dispatching.simulation.figures import Figures
from cloud.dispatching.simulation.world import Chance
from cloud.printing import AsJson, columns, fail, print_json
from protocols.documents import DocumentError, not_one_of

HEAD = (
    "policy",
    "weighted tardiness h",
    "on time %",
    "promises kept %",
    "promised h",
    "changeover h",
    "replans",
    "moved %",
    "planning s",
)


def simulate(
    shop: Annotated[Path, typer.Argument(help="A shop to simulate: .yaml or .json.")] = CABINETS,
    weeks: Annotated[int, typer.Option(min=1, max=52, help="Weeks in which orders come in.")] = 4,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Runs of each policy: seeds 1, 2, …")] = 5,
    policy: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(POLICIES)}; repeat. All when left out.")
    ] = None,
    spread: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share by which durations differ from the planned ones.")
    ] = 0.3,
    missing: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of scans that are missing.")] = 0.1,
    breakdowns: Annotated[bool, typer.Option(help="Whether machines break down.")] = True,
    processes: Annotated[
        int | None, typer.Option(min=1, max=256, help="Runs at a time; as many as there are cores.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let dispatch rules, a plan made once and the dispatcher run the same shop, and compare them.

    Every policy meets the same orders, durations, breakdowns and missing scans. Exit code 1: a run broke a
    rule of the shop (a fault of the simulation); 2: the shop cannot be read; 130: ended with Ctrl-C after
    the runs that are shown.
    """
    names = list(dict.fromkeys(policy or POLICIES))
    for name in names:
        if name not in POLICIES:
            raise fail(f"--policy {not_one_of(name, POLICIES)}")
    factory = _factory(shop)
    chance = Chance(spread=spread, missing=missing, breakdowns=breakdowns)
    # The slow ones first, so that no core waits for the last of them.
    slow_first = sorted(names, key=lambda name: name == DISPATCHER, reverse=True)
    trials = [Trial(name, seed, weeks, chance) for name in slow_first for seed in range(1, seeds + 1)]
    found = Comparison()
    cancel = threading.Event()
    began = time.monotonic()
    with ctrl_c_sets(cancel):
        for outcome in compare(factory, trials, processes, cancel):
            found.outcomes.append(outcome)
            _say(outcome, len(found.outcomes), len(trials))
    took = time.monotonic() - began
    if as_json:
        print_json(_plain(found, factory, took))
    else:
        _show(found, factory, weeks, seeds, took)
    if any(outcome.broken for outcome in found.outcomes):
        raise typer.Exit(BROKEN)
    if cancel.is_set():
        raise typer.Exit(INTERRUPTED)


def _factory(path: Path) -> Factory:
    try:
        return read_factory(path)
    except DocumentError as error:
        raise fail(str(error)) from None


def _say(outcome: Outcome, number: int, of: int) -> None:
    """A line of progress."""
    trial, run = outcome.trial, outcome.figures
    words = (
        f"{number}/{of}  {trial.policy}, seed {trial.seed}",
        f"weighted tardiness {run.weighted_tardiness_hours:.2f} h",
        f"on time {100 * run.on_time_share:.1f} %",
    )
    typer.echo("  ".join(words), err=True)
    if outcome.broken:
        typer.echo(f"{trial.policy}, seed {trial.seed}: the run breaks rules of the shop:", err=True)
        typer.echo("  " + "\n  ".join(outcome.broken[:20]), err=True)


def _show(found: Comparison, factory: Factory, weeks: int, seeds: int, took: float) -> None:
    means = found.means()
    if means:
        typer.echo(f"{factory.title}: {counted(seeds, 'seed')} of {counted(weeks, 'week')}, means")
        typer.echo(columns([HEAD, *(_cells(name, run) for name, run in means.items())]))
        some = next(iter(means.values()))
        busy = f"{some.busiest_machine} taken {100 * some.busiest_share:.0f} % of the time"
        typer.echo(f"{some.orders:.0f} orders a run, {busy} ({next(iter(means))})  {took:.0f} s")
    verdict = found.less_tardiness()
    if verdict is not None:
        rule, share = verdict
        less = "less" if share >= 0 else "more"
        typer.echo(
            f"{DISPATCHER}: {100 * abs(share):.0f} % {less} weighted tardiness than {rule}, the best rule"
        )


def _cells(name: str, run: Figures) -> tuple[str, ...]:
    return (
        name,
        f"{run.weighted_tardiness_hours:.2f}",
        f"{100 * run.on_time_share:.1f}",
        f"{100 * run.promises_kept_share:.1f}",
        f"{run.promised_working_hours:.1f}",
        f"{run.changeover_hours:.0f}",
        f"{run.replans:.0f}" if run.replans else "–",
        "–" if run.moved_share is None else f"{100 * run.moved_share:.1f}",
        f"{run.planning_seconds:.0f}" if run.replans else "–",
    )


def _plain(found: Comparison, factory: Factory, took: float) -> dict[str, object]:
    verdict = found.less_tardiness()
    return {
        "shop": factory.title,
        "seconds": round(took, 1),
        "policies": {name: msgspec.to_builtins(run) for name, run in found.means().items()},
        "best_rule": verdict[0] if verdict else None,
        "less_tardiness_percent": round(100 * verdict[1], 1) if verdict else None,
        "runs": [
            {
                "policy": outcome.trial.policy,
                "seed": outcome.trial.seed,
                **msgspec.to_builtins(outcome.figures),
                "broken": list(outcome.broken),
            }
            for outcome in sorted(found.outcomes, key=lambda o: (o.trial.seed, o.trial.policy))
        ],
    }
