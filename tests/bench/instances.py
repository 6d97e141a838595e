"""Public instances: how near to the best known makespans the planner comes in a given time.

Wants the sets of the planning community on this machine; ``ONELOT_SHARED`` names the folder above
``data/scheduling`` (SchedulingLab's fjsp-instances and jsp-instances and the TU/e job shop benchmark, with
tables of best known makespans). Every plan is validated. ``full`` adds the sets that take longest.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cloud.dispatching.command.instance_bench import INVALID, BestKnown, Row, instance_files, measure
from cloud.dispatching.files.formats import read_problem
from tests.bench.figures import Figure, Size, missing, progress
from tests.system.processes import ROOT

FOLDER = Path(os.environ.get("ONELOT_SHARED") or ROOT.parent / "shared") / "data" / "scheduling"


@dataclass(frozen=True, slots=True)
class Set:
    """Instances of a folder below :data:`FOLDER`, planned for ``seconds`` each.

    ``target`` is the mean gap to the best known makespan in percent; ``proved`` whether all shall be proved.
    """

    title: str
    folder: str
    seconds: float
    target: float
    sizes: tuple[Size, ...] = (Size.NORMAL, Size.FULL)
    proved: bool = False
    first: float | None = None
    """Seconds within which each shall have a first plan."""


ALL = tuple(Size)
SETS = (
    Set("Brandimarte mk01–10", "fjsp-brandimarte", 30, 0.8),
    Set("Fattahi with set-ups", "fjsp-sdst-fattahi", 30, 0.0, ALL, proved=True),
    Set("Kacem", "fjsp-kacem", 30, 0.3, ALL),
    Set("Lawrence la01–19", "jsp-la", 30, 0.0),
    Set("Taillard ta01–10", "jsp-ta", 30, 0.3),
    Set("plant jsp-mt, 6,000 operations", "jsp-mt", 60, 1.0, first=1.0),
    Set("Fattahi", "fjsp-fattahi", 30, 0.3, (Size.FULL,)),
    Set("Barnes", "fjsp-barnes", 30, 0.3, (Size.FULL,)),
)


async def run(size: Size) -> list[Figure]:
    """See the module."""
    if not FOLDER.is_dir():
        note = "no instances on this machine: ONELOT_SHARED names the folder above data/scheduling"
        return [missing(f"{one.title}: mean gap", "%", note, one.target) for one in SETS]
    known = best_known()
    figures: list[Figure] = []
    for one in SETS:
        if size in one.sizes:
            figures += _figures(one, _rows(one, known, 2 if size is Size.QUICK else None))
    return figures


def best_known() -> BestKnown:
    """Of all tables in the folder."""
    known = BestKnown()
    for table in sorted(FOLDER.glob("*.csv")):
        known.read(table)
    return known


def _rows(one: Set, known: BestKnown, most: int | None) -> list[Row]:
    rows: list[Row] = []
    for name, file in instance_files(FOLDER / one.folder)[:most]:
        progress(f"{one.title}: {name}")
        found = measure(name, partial(read_problem, file, None), one.seconds, best_known=known.of(file))
        if found.row.status == INVALID:
            raise RuntimeError(f"{name}: the plan breaks rules: {found.broken[0]}")
        rows.append(found.row)
    return rows


def _figures(one: Set, rows: list[Row]) -> list[Figure]:
    gaps = [row.gap_percent for row in rows if row.gap_percent is not None]
    proved = sum(row.status == "optimal" for row in rows)
    worst = max(rows, key=lambda row: row.gap_percent or 0.0)
    over = max(row.seconds / one.seconds - 1 for row in rows)
    note = (
        f"{proved} of {len(rows)} proved; worst {worst.instance} {worst.gap_percent} %; {one.seconds:.0f} s"
    )
    figures = [Figure(f"{one.title}: mean gap", sum(gaps) / len(gaps), "%", one.target, note=note)]
    if one.proved:
        figures.append(Figure(f"{one.title}: proved", proved, f"of {len(rows)}", len(rows), "more"))
    if one.first is not None:
        firsts = sorted(row.first_solution_seconds or 0.0 for row in rows)
        figures.append(Figure(f"{one.title}: first plan, latest", firsts[-1], "s", one.first))
    figures.append(Figure(f"{one.title}: over the time limit, most", max(0.0, 100 * over), "%", 5.0))
    return figures
