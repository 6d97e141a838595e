"""Measurements in a CSV file: what charts are made of, with the place of every mistake.

Columns ``size``, ``nominal``, ``lower``, ``upper``, ``sigma`` and ``part`` belong to the sample of their
row; ``time`` and ``label`` stand below its point. All others are measured values, unless ``columns`` names
those that are. A first row with a number in it is no header: then all columns are values.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from protocols.documents import DocumentError, Problem, nearest
from protocols.spc.charts import Sample

MAX_BYTES = 64 << 20
"""The largest file that is read: 64 MiB."""

NUMBERS = ("size", "nominal", "lower", "upper", "sigma")
LABELS = ("time", "label")
KNOWN = (*NUMBERS, "part", *LABELS)
"""Names of columns that are no measured values."""


@dataclass(frozen=True, slots=True)
class Table:
    """Samples of a file in order, the labels of their rows, and the names of the measured columns."""

    samples: list[Sample]
    labels: list[str]
    measured: list[str]
    lines: list[int]
    """The line in the file of each sample."""


def read_measurements(path: Path, columns: Sequence[str] = ()) -> Table:
    """The samples of a CSV file; separated by commas, semicolons or tabs.

    Raises:
        DocumentError: the file cannot be read, a column is missing, a value is no number.
    """
    rows = _rows(path)
    header, start = _header(rows)
    at = {name: number for number, name in enumerate(header)}
    measured = list(columns) or [name for name in header if name not in KNOWN]
    problems = [_missing(path, name, header) for name in measured if name not in at]
    if not measured:
        problems.append(_problem(path, rows[0][0], 1, f"no column of measured values: {', '.join(header)}"))
    if problems:
        raise DocumentError(problems)
    samples, labels, lines = [], [], []
    for line, row in rows[start:]:
        if not any(cell.strip() for cell in row):
            continue
        reading = _Row(path, line, row, at, problems)
        values = tuple(v for name in measured if (v := reading.number(name)) is not None)
        named = {name: reading.number(name) for name in NUMBERS if name in at}
        size = named.pop("size", None) or 0.0
        samples.append(Sample(values, size=size, part=reading.text("part"), **named))
        labels.append(reading.text("label") or reading.text("time"))
        lines.append(line)
    if problems:
        raise DocumentError(problems[:50])
    if not samples:
        raise DocumentError(
            [_problem(path, 1, 1, "no measurements in this file: one row for each is needed")]
        )
    return Table(samples, labels, measured, lines)


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DocumentError(
                [_problem(path, 1, 1, f"{size} bytes are more than the {MAX_BYTES} that are read: split it")]
            )
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise DocumentError([_problem(path, 0, 0, f"cannot be read: {reason}")]) from None
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        return [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise DocumentError([_problem(path, reader.line_num, 1, str(error))]) from None


def _header(rows: list[tuple[int, list[str]]]) -> tuple[list[str], int]:
    """Names of the columns, and the row that the samples begin at."""
    if not rows:
        return [], 0
    first = [cell.strip() for cell in rows[0][1]]
    if any(_number(cell) is not None for cell in first):
        return [f"x{number + 1}" for number in range(len(first))], 0
    return [cell.casefold() if cell.casefold() in KNOWN else cell for cell in first], 1


@dataclass(frozen=True, slots=True)
class _Row:
    path: Path
    line: int
    cells: list[str]
    at: dict[str, int]
    problems: list[Problem]

    def text(self, name: str) -> str:
        number = self.at.get(name, len(self.cells))
        return self.cells[number].strip() if number < len(self.cells) else ""

    def number(self, name: str) -> float | None:
        """The number in a column; None where the cell is empty, and a problem where it is something else."""
        text = self.text(name)
        value = _number(text) if text else None
        if text and value is None:
            col = 1 + sum(len(cell) + 1 for cell in self.cells[: self.at[name]])
            self.problems.append(
                _problem(self.path, self.line, col, f'{name}: "{text[:40]}" is not a finite number')
            )
        return value


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _missing(path: Path, name: str, header: Sequence[str]) -> Problem:
    hint = nearest(name, header)
    tail = f" — did you mean {hint}?" if hint else ""
    return _problem(path, 1, 1, f'no column "{name}", there are {", ".join(header)}{tail}')


def _problem(path: Path, line: int, col: int, message: str) -> Problem:
    return Problem(str(path), line, col, "", message)


def read_study(path: Path) -> list[list[list[float]]]:
    """Measurements of a gauge study by operator, trial and part; columns ``operator``, ``part``, ``value``.

    Raises:
        DocumentError: the file cannot be read, a column is missing, or an operator lacks a measurement.
    """
    rows = _rows(path)
    header, start = _header(rows)
    at = {name.casefold(): number for number, name in enumerate(header)}
    problems = [_missing(path, name, header) for name in ("operator", "part", "value") if name not in at]
    if problems:
        raise DocumentError(problems)
    found: dict[str, dict[str, list[float]]] = {}
    for line, row in rows[start:]:
        reading = _Row(path, line, row, at, problems)
        value = reading.number("value")
        if value is not None:
            cell = found.setdefault(reading.text("operator"), {}).setdefault(reading.text("part"), [])
            cell.append(value)
    parts = list(dict.fromkeys(part for cells in found.values() for part in cells))
    trials = max((len(cell) for cells in found.values() for cell in cells.values()), default=0)
    for operator, cells in found.items():
        for part in parts:
            if len(cells.get(part, ())) != trials:
                count = len(cells.get(part, ()))
                problems.append(
                    _problem(
                        path, 0, 0, f"operator {operator} measured part {part} {count} times, not {trials}"
                    )
                )
    if not found:
        problems.append(_problem(path, 0, 0, "no measurements in this file"))
    if problems:
        raise DocumentError(problems[:50])
    return [[[cells[part][trial] for part in parts] for trial in range(trials)] for cells in found.values()]
