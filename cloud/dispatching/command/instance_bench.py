"""How well and how fast instances are planned: every plan validated, every limit kept by the wall clock."""

from __future__ import annotations

import csv
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from cloud.dispatching.files.documents import ProblemFile
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.solve import Progress, solve

ENDINGS = (".txt", ".fjs", ".fjsp", ".jsp", ".json")
"""Files of a folder that are taken for instances."""

KEYS = ("instance", "file")
VALUES = ("best_known", "best_ub", "optimal_makespan")
"""Columns of a table of best known makespans; the first that is there counts."""

INVALID = "invalid"
"""Status of a plan that the validator refuses; it must not count as a result."""


class Row(Struct, frozen=True, kw_only=True):
    """What a bench says of an instance.

    ``bound`` is what no makespan can undercut (absent where more than the makespan counts); ``gap_percent``
    is how far the makespan lies above the best known one; ``seconds`` is wall-clock time from opening the
    file to the last plan, ``first_solution_seconds`` to the first.
    """

    instance: str
    makespan: int
    bound: int | None
    status: str
    best_known: int | None
    gap_percent: float | None
    seconds: float
    first_solution_seconds: float | None


class BestKnown:
    """Best known makespans by instance, from CSV tables."""

    def __init__(self) -> None:
        self._paths: dict[str, int] = {}
        self._stems: dict[str, set[int]] = {}

    def add(self, rows: Iterable[dict[str, str]], file: str) -> None:
        """Take over a table's rows.

        Raises:
            ValueError: no column of :data:`KEYS` or of :data:`VALUES`, or a value that is no whole number.
        """
        for number, row in enumerate(rows, start=2):
            key = next((name for name in KEYS if name in row), None)
            value = next((name for name in VALUES if name in row), None)
            if key is None or value is None:
                wanted = f"one of {', '.join(KEYS)} and one of {', '.join(VALUES)}"
                raise ValueError(f"{file}:1:1  columns {', '.join(map(str, row))}, needed: {wanted}")
            if not (row[value] or "").strip():
                continue
            try:
                best = int(row[value])
            except ValueError:
                raise ValueError(f'{file}:{number}:1  {value}: "{row[value]}" is no whole number') from None
            path = Path(row[key].replace("\\", "/"))
            self._paths["/".join(path.with_suffix("").parts[-2:])] = best
            self._stems.setdefault(path.stem, set()).add(best)

    def read(self, path: Path) -> None:
        """Take over a CSV file; raises OSError, and ValueError as :meth:`add`."""
        with path.open(encoding="utf-8-sig", newline="") as file:
            self.add(csv.DictReader(file), str(path))

    def of(self, path: Path) -> int | None:
        """For an instance's file: by folder and name, else by its name if that is unmistakable."""
        found = self._paths.get("/".join(path.absolute().with_suffix("").parts[-2:]))
        if found is not None:
            return found
        values = self._stems.get(path.stem, set())
        return next(iter(values)) if len(values) == 1 else None


def instance_files(path: Path) -> list[tuple[str, Path]]:
    """Names and files of the instances below a folder, in order, or of the one file."""
    if path.is_file():
        return [(path.stem, path)]
    found = sorted(file for file in path.rglob("*") if file.suffix in ENDINGS and file.is_file())
    return [(file.relative_to(path).with_suffix("").as_posix(), file) for file in found]


class Measured(Struct, frozen=True, kw_only=True):
    """A row, and the rules its plan breaks (none, or the planner has a fault)."""

    row: Row
    broken: Sequence[str]
    note: str


def measure(
    name: str,
    read: Callable[[], ProblemFile],
    seconds: float,
    *,
    workers: int = 8,
    seed: int = 0,
    best_known: int | None = None,
    cancel: threading.Event | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Measured:
    """Plan what ``read`` gives within ``seconds`` of wall-clock time, reading included.

    Raises what ``read`` raises, and :class:`~cloud.dispatching.shop.validation.ImpossibleProblem`.
    """
    began = clock()
    problem = read().problem
    first: list[float] = []

    def progress(_: Progress) -> None:
        if not first:
            first.append(clock() - began)

    left = max(0.0, seconds - (clock() - began))
    plan = solve(problem, left, workers=workers, seed=seed, cancel=cancel, on_progress=progress)
    took = clock() - began
    broken = violations(problem, plan)
    makespan = plan.objective.makespan
    return Measured(
        row=Row(
            instance=name,
            makespan=makespan,
            bound=_bound(problem, plan),
            status=INVALID if broken else str(plan.status),
            best_known=best_known,
            gap_percent=round(100 * (makespan - best_known) / best_known, 3) if best_known else None,
            seconds=round(took, 3),
            first_solution_seconds=round(first[0], 3) if first else None,
        ),
        broken=broken,
        note=plan.note,
    )


def _bound(problem: Problem, plan: Schedule) -> int | None:
    if plan.bound is None or not makespan_only(problem):
        return None
    return math.ceil(plan.bound - 1e-6)


def makespan_only(problem: Problem) -> bool:
    """Whether a plan costs its makespan and nothing else, so that the bound is one of the makespan."""
    weights = problem.weights
    late = weights.tardiness and (
        any(o.due is not None and o.weight for o in problem.operations) or problem.maintenance
    )
    changes = weights.changeover and any(machine.changeovers for machine in problem.machines)
    return (
        weights.makespan == 1 and not late and not changes and not (weights.deviation and problem.published)
    )
