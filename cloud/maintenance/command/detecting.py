"""``onelot maintenance bench detector``: what the self-baseline notices, and how often it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cloud.maintenance.command.watching import Watched
from cloud.printing import AsJson, fail, print_json


def detector(
    folder: Annotated[Path, typer.Argument(help="Folder with train_FD001.txt (or .txt.gz) and the others.")],
    set_: Annotated[str, typer.Option("--set", help="FD001, FD002, FD003 or FD004.")] = "FD001",
    as_json: AsJson = False,
) -> None:
    """Learn every turbofan from its own first cycles and see when the alarm comes: no failure history.

    Nothing is trained. The settings of the detector were chosen on every second engine of all sets; the other
    half is printed apart.
    """
    from cloud.maintenance.benches import detector as bench
    from cloud.maintenance.benches.data import BenchDataError

    if set_ not in bench.SETS:
        raise fail(f'--set "{set_}" is not one of {", ".join(bench.SETS)}')
    try:
        with Watched(f"C-MAPSS {set_}") as watched:
            found = bench.bench(
                folder, set_, progress=lambda done, every: watched.tell("following engines", done / every)
            )
    except BenchDataError as error:
        raise fail(str(error)) from None
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    typer.echo(
        f"C-MAPSS {set_}, training file: learned from the first {found.learn} cycles of each engine; healthy "
        f"is more than {bench.HEALTHY} cycles before the failure"
    )
    typer.echo(
        f"{'engines':<28}{'caught':>10}{'lead: median':>14}{'tenth':>7}{'least':>7}"
        f"{'early alarms':>14}{'per 1,000 healthy':>19}"
    )
    halves = (
        ("all", found.all_engines),
        ("half the settings are from", found.design),
        ("the other half", found.report),
    )
    for name, each in halves:
        typer.echo(
            f"{name:<28}{f'{each.caught}/{each.engines}':>10}{each.median_lead:>14.1f}{each.tenth_lead:>7.0f}"
            f"{each.least_lead:>7}{each.early_alarms:>14}{each.early_per_1000:>19.2f}"
        )
    typer.echo(f"{found.seconds:.1f} s")
