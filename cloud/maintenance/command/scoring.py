"""``onelot maintenance score`` and ``explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloud.maintenance.command.asking import AssetColumn, ModelPath, SamplesPath, TimeColumn, Trust, model_at
from cloud.maintenance.rul.wording import evidence_words, life_words
from cloud.printing import AsJson, columns, fail, print_json
from protocols.prognostics.model import Model, Prognoser, Prognosis

if TYPE_CHECKING:
    from cloud.maintenance.rul.runs import Fleet, Run
    from protocols.prognostics.features import History


def score_file(
    model: ModelPath,
    samples: SamplesPath,
    asset: AssetColumn = "asset",
    time_: TimeColumn = "",
    every: Annotated[
        bool, typer.Option("--every", help="After every sample, not only after the last.")
    ] = False,
    trust: Trust = None,
    as_json: AsJson = False,
) -> None:
    """Tell the remaining life of every machine in a file, with the bounds of the model's interval."""
    loaded = model_at(model, trust)
    fleet = _samples(loaded, samples, asset, time_)
    prognoser = Prognoser(loaded)
    found: list[tuple[str, int, Prognosis, int]] = []
    for run in fleet.runs:
        history, unseen = prognoser.new(), 0
        for conditions, values in zip(run.conditions.tolist(), run.values.tolist(), strict=True):
            unseen += prognoser.take(history, conditions, values) is None
            if every:
                found.append((run.asset, history.age, prognoser.prognosis(history), unseen))
        if not every:
            found.append((run.asset, history.age, prognoser.prognosis(history), unseen))
    if as_json:
        print_json(
            [
                {
                    "asset": name,
                    "age": age,
                    "life": one.life,
                    "lower": one.lower,
                    "upper": one.upper,
                    "unseen": n,
                }
                for name, age, one, n in found
            ]
        )
        return
    head = ("asset", f"age {loaded.unit}", f"life {loaded.unit}", "lower", "upper", "unseen regime")
    typer.echo(columns([head, *(_cells(loaded, *one) for one in found)]))


def explain_file(
    model: ModelPath,
    samples: SamplesPath,
    name: Annotated[str, typer.Argument(help="Machine to explain, as the file names it.")],
    asset: AssetColumn = "asset",
    time_: TimeColumn = "",
    most: Annotated[int, typer.Option(min=1, max=100, help="Signals to show.")] = 3,
    trust: Trust = None,
    as_json: AsJson = False,
) -> None:
    """Say which signals shorten or lengthen a machine's life, and how they stand against its beginning."""
    loaded = model_at(model, trust)
    fleet = _samples(loaded, samples, asset, time_)
    runs = [run for run in fleet.runs if run.asset == name]
    if not runs:
        known = ", ".join(run.asset for run in fleet.runs[:10])
        more = f" and {len(fleet.runs) - 10} more" if len(fleet.runs) > 10 else ""
        raise fail(f'{samples}: no machine "{name}": there are {known}{more}')
    prognoser = Prognoser(loaded)
    history = _played(prognoser, runs[0])
    prognosis, evidence = prognoser.prognosis(history), prognoser.evidence(history, most)
    if as_json:
        print_json(
            {
                "asset": name,
                "age": history.age,
                "life": prognosis.life,
                "lower": prognosis.lower,
                "upper": prognosis.upper,
                "evidence": [
                    {"signal": e.signal, "life": e.life, "current": e.current, "normal": e.normal}
                    for e in evidence
                ],
            }
        )
        return
    typer.echo(f"{name}, {history.age} {loaded.unit} old: {life_words(loaded, prognosis)}")
    for one in evidence:
        typer.echo(f"  {evidence_words(loaded, one)}")


def _samples(model: Model, path: Path, asset: str, time_: str) -> Fleet:
    from cloud.maintenance.rul.sample_files import Columns, SampleFileError, read

    wanted = Columns(asset, time_, conditions=model.conditions, signals=model.signals)
    try:
        return read(path, wanted, model.unit)
    except SampleFileError as error:
        raise fail(str(error)) from None


def _played(prognoser: Prognoser, run: Run) -> History:
    history = prognoser.new()
    for conditions, values in zip(run.conditions.tolist(), run.values.tolist(), strict=True):
        prognoser.take(history, conditions, values)
    return history


def _cells(model: Model, name: str, age: int, one: Prognosis, unseen: int) -> tuple[str, ...]:
    upper = f"> {model.horizon:g}" if one.upper is None else f"{one.upper:.0f}"
    return (name, str(age), f"{one.life:.0f}", f"{one.lower:.0f}", upper, str(unseen) if unseen else "")
