"""What the machine was doing: operating regimes, found in the healthy windows. Pure and deterministic.

A regime is the mode, the program where programs come back, and a *cell* of each variable of the operating
point (roles ``speed`` and ``feed_rate``; where none is given, a load whose levels are clearly apart). Cells
are found in one variable at a time, by its empty stretches: what lies between them belongs together. One
variable at a time needs no scale between variables, does not depend on the order of the windows, and can be
said in words. A window outside every cell is in an unknown regime.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

APART = 20.0
"""A stretch is empty when it is so many times wider than the usual distance of neighbours …"""
RESOLVED = 0.02
"""… and than this part of the largest value: what is nearer is one level with noise."""
LEVEL = 8.0
"""Levels of a load are told apart only by stretches so many times wider than the levels themselves."""
STEPS, MANY = 3.0, 4
"""Of at least ``MANY`` steps between neighbours an empty stretch is ``STEPS`` times wider than the usual one:
even steps are the resolution of a variable, not its levels."""
FEWEST = 3
"""Windows that a cell needs, or a twentieth of all."""
REPEATED = 0.8
"""Part of the windows whose program must have come back after another one, or programs are not regimes: where
each lot has its own, none would ever be known."""


class Point(msgspec.Struct, frozen=True, array_like=True):
    """What tells the regime of one window: mode, program, and the means of the variables."""

    mode: str
    program: str
    variables: dict[str, float]


class Cell(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of one variable, its margin included. ``name`` is its centre in words; a cell that was alone
    when it was found has none, and keeps none when others come, so that regimes keep their names.
    """

    low: float
    high: float
    centre: float
    name: str = ""


class Regimes(msgspec.Struct):
    """The regimes of one asset."""

    cells: dict[str, list[Cell]] = {}
    programs: list[str] = []
    """Known programs; empty when programs are no regimes."""

    def name(self, point: Point) -> str:
        """The regime's name in words, e.g. ``processing · P17 · speed 12000``; "" when it is unknown."""
        parts = [point.mode]
        if self.programs:
            if point.program not in self.programs:
                return ""
            parts.append(point.program or "no program")
        for variable, cells in self.cells.items():
            value = point.variables.get(variable)
            if value is None:
                return ""
            cell = next((cell for cell in cells if cell.low <= value <= cell.high), None)
            if cell is None:
                return ""
            if cell.name:
                parts.append(f"{variable} {cell.name}")
        return " · ".join(parts)


def found(points: Sequence[Point], given: Iterable[str], loads: Iterable[str] = ()) -> Regimes:
    """The regimes in healthy windows, in the order they came. ``given`` are the variables of the operating
    point; ``loads`` those looked at where none is given.
    """
    counted = Counter(point.program for point in points)
    runs = Counter(program for program, _ in itertools.groupby(point.program for point in points))
    repeated = sum(count for program, count in counted.items() if runs[program] > 1)
    programs = sorted(counted) if repeated >= REPEATED * len(points) else []
    cells = {name: _cells(_values(points, name)) for name in sorted(given)}
    if not cells:
        levels = {name: _levels(_values(points, name)) for name in sorted(loads)}
        cells = {name: each for name, each in levels.items() if len(each) > 1}
    return Regimes({name: each for name, each in cells.items() if each}, programs)


def extended(regimes: Regimes, points: Sequence[Point]) -> Regimes:
    """The regimes with those that ``points``, all of them unknown, show beside them."""
    fresh = found(points, regimes.cells)
    programs = sorted({*regimes.programs, *(p.program for p in points)}) if regimes.programs else []
    cells = {
        name: sorted(
            [
                *cells,
                *(
                    msgspec.structs.replace(cell, name=f"{cell.centre:.4g}")
                    for cell in fresh.cells.get(name, ())
                    if not any(known.low <= cell.centre <= known.high for known in cells)
                ),
            ],
            key=lambda cell: cell.centre,
        )
        for name, cells in regimes.cells.items()
    }
    return Regimes(cells, programs)


def _values(points: Sequence[Point], name: str) -> list[float]:
    return sorted(point.variables[name] for point in points if name in point.variables)


def _groups(values: list[float]) -> list[list[float]]:
    """Sorted values, parted at their empty stretches; groups too small to be a regime are left out."""
    gaps = [after - before for before, after in itertools.pairwise(values)]
    if not gaps:
        return [values] if values else []
    usual = statistics.fmean(sorted(gaps)[: max(1, len(gaps) // 2)])
    largest = max(abs(values[0]), abs(values[-1]))
    steps = [gap for gap in gaps if gap > 0]
    even = STEPS * statistics.median(steps) if len(steps) >= MANY else 0.0
    limit = max(APART * usual, RESOLVED * largest, even)
    groups: list[list[float]] = [[values[0]]]
    for gap, value in zip(gaps, values[1:], strict=True):
        if gap > limit:
            groups.append([])
        groups[-1].append(value)
    fewest = max(FEWEST, len(values) // 20)
    return [group for group in groups if len(group) >= fewest]


def _cells(values: list[float]) -> list[Cell]:
    """The cells of a given variable, each widened by six spreads or the resolution, never into the next."""
    groups = _groups(values)
    cells = []
    for index, group in enumerate(groups):
        spread = statistics.pstdev(group)
        margin = max(6 * spread, RESOLVED * abs(statistics.fmean(group)), 1e-9)
        low, high = group[0] - margin, group[-1] + margin
        if index:
            low = max(low, (groups[index - 1][-1] + group[0]) / 2)
        if index + 1 < len(groups):
            high = min(high, (group[-1] + groups[index + 1][0]) / 2)
        cells.append(_cell(low, high, group, alone=len(groups) == 1))
    return cells


def _cell(low: float, high: float, group: list[float], *, alone: bool) -> Cell:
    centre = statistics.fmean(group)
    return Cell(low, high, centre, "" if alone else f"{centre:.4g}")


def _levels(values: list[float]) -> list[Cell]:
    """The cells of a load, when its levels are clearly apart; the outer ones are open, so that a load which
    rises with wear stays in its regime.
    """
    groups = _groups(values)
    widest = max((group[-1] - group[0] for group in groups), default=0.0)
    gaps = [after[0] - before[-1] for before, after in itertools.pairwise(groups)]
    if not gaps or min(gaps) < max(LEVEL * widest, 0.0):
        return []
    edges = [-float("inf")]
    edges += [(before[-1] + after[0]) / 2 for before, after in itertools.pairwise(groups)]
    edges.append(float("inf"))
    return [
        _cell(low, high, group, alone=False)
        for low, high, group in zip(edges[:-1], edges[1:], groups, strict=True)
    ]


def variables(means: Mapping[str, float | None], names: Iterable[str]) -> dict[str, float]:
    """The means of those variables that have one."""
    return {name: mean for name in names if (mean := means.get(name)) is not None}
