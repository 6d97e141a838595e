"""A table as somebody saved it: bytes to rows of text, whatever the encoding and the separator. Pure."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from drivers.imports.taglist import MAX_BYTES, CannotImport

_EXPANSION = 8
"""How much larger than ``MAX_BYTES`` a workbook may be when it is unpacked."""

MAX_ROWS = 100_000
MAX_COLUMNS = 256
MAX_CELL = 10_000
"""Bounds of a table: rows, columns, characters in a cell."""

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


class Row(NamedTuple):
    """One row with the number of the line it begins on (or its row in a sheet)."""

    number: int
    cells: list[str]


class Table(NamedTuple):
    """Rows, and how they were read."""

    about: str
    rows: list[Row]
    counted: str = "line"


def decode(data: bytes) -> tuple[str, str]:
    """Text and the name of its encoding: UTF-8 or UTF-16 with or without a mark, else GB18030 or Latin-1.

    GB18030 is taken when the text has Chinese in it that way; what fits nothing else is Windows-1252.
    """
    marks = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
    for mark, encoding in marks:
        if data.startswith(mark):
            return _strict(data, encoding), encoding.removesuffix("-sig").upper()
    # Without a mark, UTF-16 shows in the zero bytes: every second one of ASCII text.
    head = data[:4096]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) // 8:
        encoding = "utf-16-le" if odd > even else "utf-16-be"
        return _strict(data, encoding), encoding.upper()
    try:
        return data.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        text = ""
    # German or French text in Windows-1252 may decode as GB18030 too, then with odd single characters:
    # Chinese text has its characters in rows, a Latin text one here and there between letters.
    if text and _chinese(text):
        return text, "GB18030"
    return data.decode("cp1252", "replace"), "Windows-1252"


def _strict(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise CannotImport(f"looks like {encoding.upper()}, but is broken at byte {error.start}") from None


def _chinese(text: str) -> bool:
    """Whether the characters beyond ASCII stand in words of their own, as Chinese does."""
    beyond = [n for n, c in enumerate(text[:200_000]) if ord(c) > 0x7F]
    inside = sum(
        1
        for n in beyond
        if (n and text[n - 1].isascii() and text[n - 1].isalpha())
        and (n + 1 < len(text) and text[n + 1].isascii() and text[n + 1].isalpha())
    )
    paired = sum(1 for a, b in pairwise(beyond) if b == a + 1)
    return paired > inside


def read_csv(data: bytes) -> Table:
    """Text with separators.

    Raises:
        CannotImport: too large, or no text at all.
    """
    if len(data) > MAX_BYTES:
        raise CannotImport(f"larger than {MAX_BYTES >> 20} MiB, the most that is read")
    text, encoding = decode(data)
    if "\0" in text:
        raise CannotImport("is no text — an Excel file is read with: onelot driver import xlsx FILE")
    # Excel writes the separator into a first line of its own when it is told to.
    lines = text.splitlines()
    told = lines[0][4:5] if lines and lines[0].lower().startswith("sep=") and len(lines[0]) == 5 else ""
    separator = told or _separator(lines)
    rows = list(_rows(text, separator))
    if told:
        rows = rows[1:]
    return Table(f"{encoding}, separated by {_SEPARATORS.get(separator, separator)}", rows)


def _separator(lines: Sequence[str]) -> str:
    """The separator that divides most lines into the same number of cells."""

    def merit(separator: str) -> tuple[int, int]:
        counts = Counter(
            len(row) for row in csv.reader(lines[:200], delimiter=separator) if len(row) > 1
        ).most_common(1)
        return (counts[0][1], counts[0][0]) if counts else (0, 0)

    try:
        return max(_SEPARATORS, key=merit)
    except csv.Error:
        return ","


def _rows(text: str, separator: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    begin = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _bounded(begin, [cell.strip() for cell in cells])
            begin = reader.line_num + 1
    except csv.Error as error:
        raise CannotImport(f"line {begin} cannot be read: {error}") from None


def _bounded(number: int, cells: list[str]) -> Row:
    if number > MAX_ROWS:
        raise CannotImport(f"more than {MAX_ROWS} rows")
    return Row(number, [cell[:MAX_CELL] for cell in cells[:MAX_COLUMNS]])


def read_xlsx(data: bytes, sheet: str = "") -> list[tuple[str, Table]]:
    """The sheets of a workbook (or the one that is named), as rows of text.

    Raises:
        CannotImport: no workbook, no such sheet, or too large when unpacked.
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(info.file_size for info in archive.infolist())
        bomb = size > MAX_BYTES * _EXPANSION
        book = None if bomb else openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, OSError):
        raise CannotImport("is no .xlsx workbook — save it as .xlsx, or export it as CSV") from None
    if book is None:
        raise CannotImport(f"has {size >> 20} MiB when unpacked, more than {MAX_BYTES * _EXPANSION >> 20}")
    try:
        if sheet and sheet not in book.sheetnames:
            raise CannotImport(f'has no sheet "{sheet}" — there are {", ".join(book.sheetnames)}')
        return [(name, _sheet(book, name)) for name in book.sheetnames if sheet in ("", name)]
    finally:
        book.close()


def _sheet(book: object, name: str) -> Table:
    rows: list[Row] = []
    for number, values in enumerate(book[name].iter_rows(values_only=True), 1):  # type: ignore[index]
        cells = [_cell(value) for value in values[:MAX_COLUMNS]]
        if any(cells):
            rows.append(_bounded(number, cells))
    return Table(f"sheet {name}", rows, "row")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
