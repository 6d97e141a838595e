"""``onelot maintenance train`` and ``key``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec.structs import replace

from cloud.maintenance.command.asking import AssetColumn, SamplesPath, Seed, TimeColumn, Trees
from cloud.maintenance.command.watching import Watched
from cloud.printing import AsJson, fail, print_json, write_file
from protocols.prognostics import model_file
from protocols.prognostics.model import Model
from protocols.prognostics.rows import RowKind


def train_file(
    samples: SamplesPath,
    out: Annotated[Path, typer.Option(help="Model file to write.")] = Path("model.json"),
    key: Annotated[Path | None, typer.Option(help="Private key to sign it with; `key` makes one.")] = None,
    asset: AssetColumn = "asset",
    time_: TimeColumn = "",
    failed: Annotated[
        str,
        typer.Option(help="Column that is 1 where a run ends by failure; without it every last row is one."),
    ] = "failed",
    condition: Annotated[
        list[str] | None,
        typer.Option(help="Column that says what the machine is doing (speed, load); repeat."),
    ] = None,
    signal: Annotated[
        list[str] | None, typer.Option(help="Column to learn from; repeat. Left out: all other numbers.")
    ] = None,
    unit: Annotated[str, typer.Option(help="What one row stands for.")] = "h",
    horizon: Annotated[
        float | None,
        typer.Option(min=1, help="Lives beyond are not told apart; left out: 60 % of the median run."),
    ] = None,
    counter: Annotated[
        str, typer.Option(help="Tag of the running machine whose every new value is a row (a cycle, a part).")
    ] = "",
    settle: Annotated[
        float, typer.Option(min=0, help="s after the counter within which the values of its row come.")
    ] = 0.0,
    every: Annotated[
        float | None,
        typer.Option(min=1, help="s of work of the running machine that are a row; for h left out: 3600."),
    ] = None,
    trees: Trees = 200,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train a model of remaining life on run-to-failures, with whole machines left out to validate it.

    With --counter or --every (or the unit h) it scores a running machine, too.

    Exit code 2: a file cannot be read, or the data cannot make a model.
    """
    from cloud.maintenance.rul.boosted import Growth
    from cloud.maintenance.rul.keys import KeyRefusedError, load
    from cloud.maintenance.rul.runs import TrainingRefusedError
    from cloud.maintenance.rul.sample_files import Columns, SampleFileError, read
    from cloud.maintenance.rul.training import Choices, train, usual_horizon

    columns = Columns(asset, time_, failed, tuple(condition or ()), tuple(signal or ()))
    row = _row_kind(counter, settle, every, unit)
    try:
        private = load(key) if key else None
        fleet = read(samples, columns, unit)
        choices = Choices(horizon or usual_horizon(fleet), Growth(max_iter=trees), seed=seed)
        with Watched(samples.name) as watched:
            model = train(fleet, choices, time.time_ns() // 1000, watched.tell)
        model = replace(model, row=row)
    except (KeyRefusedError, SampleFileError, TrainingRefusedError) as error:
        raise fail(str(error)) from None
    data = model_file.write(model, private)
    write_file(out, data)
    if as_json:
        print_json({"model": str(out), **about(model, data)})
    else:
        typer.echo("\n".join((*words(model), f"written to {out}" + ("" if private else ", not signed"))))


def _row_kind(counter: str, settle: float, every: float | None, unit: str) -> RowKind | None:
    """How rows are made of a running machine's samples; raises typer.Exit where that contradicts itself."""
    if counter and every is not None:
        raise fail("--counter and --every: a row is a new value of a counter, or a span of work")
    if settle and not counter:
        raise fail("--settle is for a row by --counter: it says when the values of a cycle have come")
    if counter:
        return RowKind(counter=counter, settle=settle)
    seconds = every if every is not None else 3600.0 if unit == "h" else 0.0
    try:
        return RowKind(every=seconds) if seconds else None
    except ValueError as error:
        raise fail(f"--every: {error}") from None


def row_words(model: Model) -> str:
    """What a row of a running machine is."""
    row = model.row
    if row is None:
        return "scores files alone: --counter or --every says what a row of a running machine is"
    if row.counter:
        settled = f", as they are {row.settle:g} s later" if row.settle else ""
        return f"of a running machine, a row is the values at every new {row.counter}{settled}"
    return f"of a running machine, a row is the mean over {row.every:g} s of work"


def about(model: Model, data: bytes) -> dict[str, object]:
    """A model in JSON, without its trees."""
    made, found = model.training, model.validation
    return {
        "sha256": model_file.identity(data),
        "unit": model.unit,
        "horizon": model.horizon,
        "signals": list(model.signals),
        "conditions": list(model.conditions),
        "row": None if model.row is None else msgspec.to_builtins(model.row),
        "regimes": len(model.regimes.centres),
        "trees": sum(len(one.trees) for one in model.ensembles),
        "training": {"source": made.source, "assets": made.assets, "rows": made.rows, "seed": made.seed},
        "cv": {"folds": found.folds, "rmse_capped": found.rmse_capped},
        "interval": {
            "target": model.intervals.level,
            "coverage": found.coverage,
            "mean_width": found.mean_width,
        },
    }


def words(model: Model) -> tuple[str, ...]:
    """A model in a few lines."""
    made, found = model.training, model.validation
    regimes = len(model.regimes.centres)
    return (
        f"{made.assets} run-to-failures, {made.rows} samples, {len(model.signals)} signals, "
        f"{regimes} {'regime' if regimes == 1 else 'regimes'}",
        f"cross-validation by machine: error {found.rmse_capped:.3g} {model.unit} (RMSE, lives up to "
        f"{model.horizon:g} {model.unit})",
        f"interval: {found.coverage:.1%} of the truths within {model.intervals.level:.0%} bounds, "
        f"{found.mean_width:.3g} {model.unit} wide on average",
        row_words(model),
    )


def make_key(
    path: Annotated[Path, typer.Argument(help="Private key to write; the public one gets the ending .pub.")],
) -> None:
    """Make the pair of keys that signs models and checks them."""
    from cloud.maintenance.rul.keys import PUBLIC, KeyRefusedError, make

    try:
        name = make(path)
    except KeyRefusedError as error:
        raise fail(str(error)) from None
    typer.echo(f"key {name}: {path} signs and stays here; {path}{PUBLIC} checks, give it to the edges")
