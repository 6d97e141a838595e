"""Tables that somebody recorded, as headings and rows of cells: CSV and Parquet. Pure.

A cell is text, as CSV has it; a number of a Parquet file becomes the shortest text that is that number again.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest

MAX_BYTES = 256 << 20
"""The largest recording that is read, unpacked."""

_PARQUET = b"PAR1"
"""How the format begins (and ends)."""


class CannotReplay(ValueError):
    """A recording that does not fit the profile: what is wrong with it, and where."""


def unpack(data: bytes) -> bytes:
    """The bytes of a file that may be gzipped.

    Raises:
        CannotReplay: broken, or larger than :data:`MAX_BYTES` unpacked.
    """
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise CannotReplay(f"is gzipped, but broken: {error}") from None
    if len(data) > MAX_BYTES:
        raise CannotReplay(f"larger than {MAX_BYTES >> 20} MiB, the most that is played")
    return data


def read_table(data: bytes) -> tuple[list[str], Iterator[tuple[int, Sequence[str]]]]:
    """The headings, and every row that is not empty with the line (CSV) or row (Parquet) it stands in.

    Raises:
        CannotReplay: neither UTF-8 text nor a Parquet file that can be read.
    """
    return _parquet(data) if data[:4] == _PARQUET else _csv(data)


def _csv(data: bytes) -> tuple[list[str], Iterator[tuple[int, Sequence[str]]]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CannotReplay("is not UTF-8 text") from None
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    headings = [heading.strip() for heading in next(reader, [])]
    return headings, ((reader.line_num, cells) for cells in reader if any(cells))


def _parquet(data: bytes) -> tuple[list[str], Iterator[tuple[int, Sequence[str]]]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise CannotReplay(
            "reading Parquet needs the library pyarrow: pip install 'onelot[parquet]', or give it as CSV"
        ) from None
    try:
        file = parquet.ParquetFile(pyarrow.BufferReader(data))
        groups = range(file.metadata.num_row_groups)
        if sum(file.metadata.row_group(number).total_byte_size for number in groups) > MAX_BYTES:
            raise CannotReplay(f"larger than {MAX_BYTES >> 20} MiB unpacked, the most that is played")
        table = file.read()
    except (OSError, pyarrow.ArrowException) as error:
        raise CannotReplay(f"cannot be read as Parquet: {error}") from None
    columns = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    return [str(name) for name in table.column_names], enumerate(zip_longest(*columns), 1)


def _cell(value: object) -> str:
    return "" if value is None else str(value)
