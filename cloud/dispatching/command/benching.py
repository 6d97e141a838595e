"""``onelot dispatch bench``: how well and how fast a folder of instances is planned."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cloud.dispatching.command.asking import BROKEN, INTERRUPTED, FormatOption, Seed, Workers, counted
from cloud.dispatching.command.instance_bench import ENDINGS, BestKnown, Row, instance_files, measure
from cloud.dispatching.command.interrupting import ctrl_c_sets
from cloud.dispatching.files.formats import read_problem
from cloud.dispatching.shop.validation import ImpossibleProblem
from cloud.printing import AsJson, columns, fail, print_json
from protocols.documents import DocumentError

HEAD = ("instance", "makespan", "bound", "status", "best known", "gap %", "seconds", "first plan s")


def bench(
    path: Annotated[Path, typer.Argument(help="A folder of instances, searched to its depth, or one file.")],
    seconds: Annotated[float, typer.Option(min=0.0, help="Wall-clock time for each, reading included.")] = 30,
    workers: Workers = 8,
    seed: Seed = 0,
    best: Annotated[
        list[Path] | None,
        typer.Option(help="CSV of best known makespans (instance or file; best_known or best_ub); repeat."),
    ] = None,
    format_: FormatOption = None,
    as_json: AsJson = False,
) -> None:
    """Plan instances one after another, validate every plan, and compare with the best known makespans.

    Exit code 1: a plan broke a rule or an instance cannot be read (the others are still done); 130: ended
    with Ctrl-C after the instances that are shown.
    """
    known = _known(best or [])
    files = instance_files(path)
    if not files:
        raise fail(f"{path}: no instances here ({', '.join(ENDINGS)})")
    cancel = threading.Event()
    rows: list[Row] = []
    failed = False
    with ctrl_c_sets(cancel):
        for number, (name, file) in enumerate(files, start=1):
            if cancel.is_set():
                break
            typer.echo(f"{number}/{len(files)}  {name} …", err=True)
            try:
                found = measure(
                    name,
                    lambda file=file: read_problem(file, format_),  # type: ignore[misc]
                    seconds,
                    workers=workers,
                    seed=seed,
                    best_known=known.of(file),
                    cancel=cancel,
                )
            except (DocumentError, ImpossibleProblem) as error:
                failed = True
                typer.echo(str(error), err=True)
                continue
            rows.append(found.row)
            if found.note:
                typer.echo(f"{name}: {found.note}", err=True)
            if found.broken:
                failed = True
                typer.echo(f"{name}: the plan breaks rules:\n  " + "\n  ".join(found.broken), err=True)
    if as_json:
        print_json([msgspec.to_builtins(row) for row in rows])
    else:
        typer.echo(columns([HEAD, *map(_cells, rows)]))
        typer.echo(_total(rows))
    if cancel.is_set():
        raise typer.Exit(INTERRUPTED)
    if failed:
        raise typer.Exit(BROKEN)


def _known(tables: list[Path]) -> BestKnown:
    known = BestKnown()
    for table in tables:
        try:
            known.read(table)
        except OSError as error:
            raise fail(f"{table}: {error.strerror or error}") from None
        except ValueError as error:  # of a cell, or of bytes that are no text
            raise fail(str(error) if str(error).startswith(str(table)) else f"{table}: {error}") from None
    return known


def _cells(row: Row) -> tuple[str, ...]:
    def shown(value: float | None, digits: int = 0) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    return (
        row.instance,
        str(row.makespan),
        shown(row.bound),
        row.status,
        shown(row.best_known),
        shown(row.gap_percent, 2),
        shown(row.seconds, 1),
        shown(row.first_solution_seconds, 2),
    )


def _total(rows: list[Row]) -> str:
    proved = sum(row.status == "optimal" for row in rows)
    words = [counted(len(rows), "instance"), f"{proved} proved optimal"]
    gaps = [row.gap_percent for row in rows if row.gap_percent is not None]
    if gaps:
        words.append(f"mean gap to best known {sum(gaps) / len(gaps):.2f} %")
    return ", ".join(words)
