"""Samples of machines from CSV and Parquet files: one row a sample, one sample a unit of life."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from cloud.maintenance.rul.runs import Fleet, Floats, Run
from cloud.maintenance.rul.weibull import PartLife

MAX_BYTES = 1024 * 1024 * 1024
TRUE, FALSE = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no", ""}


class SampleFileError(ValueError):
    """A file of samples cannot be read; names the file, and the row and column where there is one."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what. ``time`` "" leaves the rows as they stand.

    A run of an asset ends with the row where ``failed`` is true; what comes after it is the repaired asset.
    Without that column every asset's last row is its failure. Without ``signals``, all other columns that
    hold numbers are signals.
    """

    asset: str = "asset"
    time: str = ""
    failed: str = "failed"
    conditions: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()


def read(path: Path, columns: Columns, unit: str) -> Fleet:
    """The fleet in a file ending in .csv, .csv.gz or .parquet; raises SampleFileError."""
    table = _table(path, (columns.asset, columns.time, *columns.conditions, *columns.signals))
    named = {columns.asset, columns.time, columns.failed, *columns.conditions}
    signals = columns.signals or tuple(
        name for name, cells in table.items() if name not in named and _numbers(cells)
    )
    if not signals:
        raise SampleFileError(f"{path}: no column of numbers is left for the signals")
    values = _matrix(path, table, signals)
    conditions = _matrix(path, table, columns.conditions)
    times = _times(path, table, columns.time)
    failed = _flags(path, columns.failed, table[columns.failed]) if columns.failed in table else None
    rows: dict[str, list[int]] = {}
    for at, asset in enumerate(table[columns.asset]):
        rows.setdefault(str(asset), []).append(at)
    runs: list[Run] = []
    for asset, own in rows.items():
        if times is not None:
            own.sort(key=times.__getitem__)
        runs += _runs_of(asset, own, conditions, values, failed)
    return Fleet(path.name, unit, columns.conditions, signals, tuple(runs))


def read_lives(path: Path, life: str, failed: str) -> list[PartLife]:
    """Lives of parts, one a row: the count in column ``life``, whether it ended by failure in ``failed``."""
    table = _table(path, (life, failed))
    lives = _matrix(path, table, (life,))[:, 0].tolist()
    return [PartLife(*pair) for pair in zip(lives, _flags(path, failed, table[failed]), strict=True)]


def _table(path: Path, wanted: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Columns of a file by name; those that are wanted (and not "") must be there."""
    table = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    for name in filter(None, wanted):
        if name not in table:
            near = get_close_matches(name, table, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(table)}"
            raise SampleFileError(f'{path}: no column "{name}": {hint}')
    return table


def _runs_of(
    asset: str, own: list[int], conditions: Floats, values: Floats, failed: list[bool] | None
) -> list[Run]:
    if failed is None:
        return [Run(asset, conditions[own], values[own])]
    runs: list[Run] = []
    begin = 0
    for at, row in enumerate(own, start=1):
        if failed[row] or at == len(own):
            part = own[begin:at]
            name = asset if not runs and at == len(own) else f"{asset} #{len(runs) + 1}"
            runs.append(Run(name, conditions[part], values[part], failed[row]))
            begin = at
    return runs


def _csv(path: Path) -> dict[str, Sequence[Any]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SampleFileError(f"{path}: over {MAX_BYTES // 2**20} MiB: give it as .parquet, or in parts")
        data = path.read_bytes()
        if path.suffix == ".gz":
            with gzip.open(io.BytesIO(data)) as packed:
                data = packed.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise SampleFileError(f"{path}: unpacks to over {MAX_BYTES // 2**20} MiB")
        text = data.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SampleFileError(f"{path}: cannot be read as CSV ({error})") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    head = [name.strip() for name in next(reader, [])]
    if len(set(head)) != len(head) or not head:
        raise SampleFileError(f"{path}:1: the first row must name every column, each once")
    body: list[list[str]] = []
    try:
        for row in reader:
            if not row:
                continue
            if len(row) != len(head):
                raise SampleFileError(f"{path}:{reader.line_num}: {len(row)} cells, the head has {len(head)}")
            body.append(row)
    except csv.Error as error:
        raise SampleFileError(f"{path}:{reader.line_num}: {error}") from None
    if not body:
        raise SampleFileError(f"{path}: no rows below the head")
    return dict(zip(head, zip(*body, strict=True), strict=True))


def _parquet(path: Path) -> dict[str, Sequence[Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise SampleFileError(
            f"{path}: reading Parquet needs the library pyarrow: pip install 'onelot[parquet]', "
            "or give it as CSV"
        ) from None
    try:
        found = parquet.read_table(path).to_pydict()
    except (OSError, pyarrow.ArrowException) as error:
        raise SampleFileError(f"{path}: cannot be read as Parquet ({error})") from None
    if not found or not next(iter(found.values())):
        raise SampleFileError(f"{path}: no rows")
    return {str(name): cells for name, cells in found.items()}


def _number(cell: Any) -> float:
    """NaN for an empty cell; raises ValueError for one that is no number."""
    if cell is None or cell == "":
        return nan
    return float(cell)


def _numbers(cells: Sequence[Any]) -> bool:
    try:
        return any(value == value for value in map(_number, cells))
    except (TypeError, ValueError):
        return False


def _matrix(path: Path, table: dict[str, Sequence[Any]], names: Sequence[str]) -> Floats:
    rows = len(next(iter(table.values())))
    matrix = np.empty((rows, len(names)))
    for at, name in enumerate(names):
        for row, cell in enumerate(table[name]):
            try:
                matrix[row, at] = _number(cell)
            except (TypeError, ValueError):
                raise SampleFileError(
                    f'{path}: row {row + 2}, column "{name}": "{cell}" is no number: correct it, '
                    "or leave it empty"
                ) from None
    return matrix


def _times(path: Path, table: dict[str, Sequence[Any]], name: str) -> list[Any] | None:
    """What rows sort by: numbers where all are, else the cells as they are (ISO 8601 sorts as text)."""
    if not name:
        return None
    cells = table[name]
    if any(cell is None or cell == "" for cell in cells):
        raise SampleFileError(
            f'{path}: column "{name}" has empty cells: a sample without its time has no place'
        )
    return [float(cell) for cell in cells] if _numbers(cells) else list(cells)


def _flags(path: Path, name: str, cells: Sequence[Any]) -> list[bool]:
    found = []
    for row, cell in enumerate(cells):
        word = "" if cell is None else str(cell).strip().lower()
        if word not in TRUE and word not in FALSE:
            raise SampleFileError(f'{path}: row {row + 2}, column "{name}": "{cell}" is neither 0 nor 1')
        found.append(word in TRUE)
    return found
