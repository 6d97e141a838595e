"""``onelot maintenance bench …``: models measured on public data."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cloud.maintenance.command.asking import Seed, Trees
from cloud.maintenance.command.detecting import detector
from cloud.maintenance.command.training import words
from cloud.maintenance.command.watching import Watched
from cloud.printing import AsJson, fail, print_json

app = typer.Typer(
    help="Measure on public data: C-MAPSS turbofans, AI4I 2020, wear of a milling tool.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
app.command("detector")(detector)


@app.command("cmapss")
def cmapss(
    folder: Annotated[Path, typer.Argument(help="Folder with train_FD001.txt (or .txt.gz) and the others.")],
    set_: Annotated[str, typer.Option("--set", help="FD001, FD002, FD003 or FD004.")] = "FD001",
    trees: Trees = 200,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train on the training file with whole engines left out, then touch the test file, once.

    Where the test file is not there, the result says so (JSON: test is null).
    """
    from cloud.maintenance.benches import cmapss as bench
    from cloud.maintenance.benches.data import BenchDataError
    from cloud.maintenance.rul.boosted import Growth
    from cloud.maintenance.rul.training import Choices

    if set_ not in bench.SETS:
        raise fail(f'--set "{set_}" is not one of {", ".join(bench.SETS)}')
    try:
        with Watched(f"C-MAPSS {set_}") as watched:
            found = bench.run(
                folder,
                set_,
                Choices(bench.HORIZON, Growth(max_iter=trees), seed=seed),
                time.time_ns() // 1000,
                watched.tell,
            )
    except BenchDataError as error:
        raise fail(str(error)) from None
    model, test = found.model, found.test
    if as_json:
        print_json(
            {
                "set": set_,
                "cv": {"rmse_capped": round(model.validation.rmse_capped, 3)},
                "test": None
                if test is None
                else {
                    "rmse_capped": round(test.rmse_capped, 3),
                    "score_capped": round(test.score_capped, 1),
                    "rmse_raw": round(test.rmse_raw, 3),
                    "score_raw": round(test.score_raw, 1),
                },
                "interval": {
                    "target": model.intervals.level,
                    "coverage": round(model.validation.coverage, 4),
                    "mean_width": round(model.validation.mean_width, 2),
                },
                "seconds": {"train": round(found.train_seconds, 1), "total": round(found.total_seconds, 1)},
            }
        )
        return
    typer.echo("\n".join(words(model)))
    if test is None:
        typer.echo(f"no test: {folder} has no test_{set_}.txt and RUL_{set_}.txt")
    else:
        typer.echo(
            f"test: RMSE {test.rmse_capped:.2f} (score {test.score_capped:.0f}) with the truth capped at "
            f"{bench.HORIZON:g}, {test.rmse_raw:.2f} ({test.score_raw:.0f}) raw; "
            f"{test.coverage:.1%} within the interval, {test.mean_width:.1f} wide"
        )
    typer.echo(f"trained in {found.train_seconds:.1f} s, {found.total_seconds:.1f} s in all")


@app.command("ai4i")
def ai4i(
    file: Annotated[Path, typer.Argument(help="ai4i2020.csv (or .csv.gz).")],
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Tell failing operations from their process values, five-fold, without the columns of modes."""
    from cloud.maintenance.benches import ai4i as bench
    from cloud.maintenance.benches.data import BenchDataError

    try:
        with Watched("AI4I 2020") as watched:
            found = bench.run(file, seed, watched.tell)
    except BenchDataError as error:
        raise fail(str(error)) from None
    decided = found.decided
    if as_json:
        print_json(
            {
                "rows": found.rows,
                "failures": found.failures,
                "pr_auc": round(found.area, 4),
                "f1": round(decided.f1, 4),
                "precision": round(decided.precision, 4),
                "recall": round(decided.recall, 4),
                "false_alarms": decided.false_alarms,
                "missed": decided.missed,
                "seconds": round(found.seconds, 1),
            }
        )
        return
    typer.echo(
        f"{found.failures} failures in {found.rows} operations: PR-AUC {found.area:.3f}, "
        f"F1 {decided.f1:.3f}\n"
        f"{decided.hits} found, {decided.missed} missed, {decided.false_alarms} false alarms "
        f"({1000 * decided.false_alarms / (found.rows - found.failures):.1f} per 1,000 good operations)\n"
        f"{found.seconds:.1f} s"
    )


@app.command("mill")
def mill(
    folder: Annotated[
        Path, typer.Argument(help="Folder with experiments.csv and experiment_01.csv (or .gz) …")
    ],
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Tell worn tools from new ones, one experiment left out at a time."""
    from cloud.maintenance.benches import mill as bench
    from cloud.maintenance.benches.data import BenchDataError

    try:
        with Watched("mill") as watched:
            found = bench.run(folder, seed, watched.tell)
    except BenchDataError as error:
        raise fail(str(error)) from None
    votes, rows = found.by_vote, found.by_row
    if as_json:
        print_json(
            {
                "accuracy": round(votes.accuracy, 4),
                "wrong_experiments": list(found.wrong),
                "false_alarms": votes.false_alarms,
                "missed": votes.missed,
                "rows": {"accuracy": round(rows.accuracy, 4), "false_alarms": rows.false_alarms},
                "seconds": round(found.seconds, 1),
            }
        )
        return
    wrong = ", ".join(map(str, found.wrong)) or "none"
    typer.echo(
        f"by experiment: {votes.accuracy:.3f} right, wrong: {wrong} ({votes.false_alarms} false alarms, "
        f"{votes.missed} missed)\nby row: {rows.accuracy:.3f} right, {rows.false_alarms} false alarms\n"
        f"{found.seconds:.1f} s"
    )
