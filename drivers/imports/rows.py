"""Rows of a table to tags: the core of ``import csv``, ``xlsx``, ``kepware`` and TIA's sheets. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivers.imports.addresses import Numbering, Place, no_reference, numbering_of, read_address, read_table
from drivers.imports.columns import Column, is_header, meaning, wanted
from drivers.imports.tables import Row, Table
from drivers.imports.taglist import CannotImport, Remark, TagList, shown, tag_name, unnamed
from drivers.imports.type_names import Named, read_type
from drivers.modbus.profile import ModbusTag
from drivers.opcua.profile import OpcuaTag
from protocols.values import DataType

_TITLE_ROWS = 30
"""Rows above the headings that may hold a title, a date, a logo's text."""

Cells = Mapping[Column, str]


@dataclass(frozen=True, slots=True)
class Choices:
    """What the list itself does not say."""

    protocol: str = ""
    """modbus or opcua; empty: seen from the addresses."""
    numbering: Numbering | None = None
    table: str = ""
    word_order: str = ""


class _Refused(ValueError):
    """One line that cannot be taken: the value and why."""

    def __init__(self, value: str, why: str) -> None:
        self.value = shown(value)
        super().__init__(why)


def header_of(table: Table) -> tuple[int, dict[int, Column]]:
    """The position of the row of headings, and what its columns mean.

    Raises:
        CannotImport: none is found; says which headings there are and what is wanted.
    """
    best: tuple[int, dict[int, Column]] = (0, {})
    for position, row in enumerate(table.rows[:_TITLE_ROWS]):
        found = meaning(row.cells)
        if is_header(found):
            return position, found
        if len(found) > len(best[1]):
            best = (position, found)
    if not table.rows:
        raise CannotImport("is empty")
    row = table.rows[best[0]]
    columns = ", ".join(f'"{shown(cell, 30)}"' for cell in row.cells if cell)
    known = ", ".join(f'"{row.cells[n]}" as {column}' for n, column in best[1].items()) or "none of them"
    raise CannotImport(f"line {row.number} has the columns {columns}; understood: {known} — {wanted()}")


def import_table(table: Table, choices: Choices) -> TagList:
    """A table with a row of headings as a tag list.

    Raises:
        CannotImport: no headings that are understood.
    """
    position, columns = header_of(table)
    lines = [(row, _cells(row, columns)) for row in table.rows[position + 1 :]]
    headings = table.rows[position].cells
    addresses = [cells.get(Column.ADDRESS, "") for _, cells in lines]
    protocol = choices.protocol or (
        "opcua" if any(re.match(r"(ns=|nsu=|[isg]=)", a) for a in addresses) else "modbus"
    )
    read = ", ".join(f"{headings[n]} → {column}" for n, column in columns.items())
    unused = [h for n, h in enumerate(headings) if h and n not in columns]
    about = f"{table.about}; {read}" + (f"; not used: {', '.join(unused)}" if unused else "")
    found = TagList(protocol, counted=table.counted)
    numbering = choices.numbering or numbering_of(addresses)
    if protocol == "modbus":
        about += f"; {_SAID[numbering]}"
        if not choices.numbering:
            odd = no_reference(addresses)
            because = (
                "" if odd is None else f', as line {lines[odd][0].number} says "{shown(addresses[odd], 20)}"'
            )
            about += f"{because} (else say --base)"
        if choices.word_order:
            found.defaults["modbus"] = {"word_order": choices.word_order}
    found.about = about
    for row, cells in lines:
        try:
            if protocol == "modbus":
                _modbus_line(found, row.number, cells, numbering, choices)
            else:
                _opcua_line(found, row.number, cells)
        except _Refused as refusal:
            found.rejected.append(Remark(row.number, refusal.value, str(refusal)))
    return found


_SAID = {
    Numbering.REFERENCE: "addresses taken as references, 40001 is the first",
    Numbering.ZERO: "plain addresses taken as on the wire, 0 is the first",
    Numbering.ONE: "plain addresses counted from 1",
}


def _cells(row: Row, columns: Mapping[int, Column]) -> Cells:
    return {column: row.cells[n] if n < len(row.cells) else "" for n, column in columns.items()}


def _modbus_line(found: TagList, line: int, cells: Cells, numbering: Numbering, choices: Choices) -> None:
    place = _place(cells, numbering, choices)
    kind = _type(found, line, cells, array=place.elements is not None)
    if found.counted == "row" and re.fullmatch(r"\d+\.1", cells[Column.ADDRESS]):
        why = "is bit 1, or was bit 10 before the sheet made it a number: format the column as text"
        found.notes.append(Remark(line, cells[Column.ADDRESS], why))
    length = _length(cells, kind, place)
    bit = _bit(cells, place)
    if bit is not None and kind.type is not DataType.BOOL:
        raise _Refused(cells[Column.TYPE], "is not Bool, but the address names one bit of a register")
    writable = _writable(cells) and not (place.table.value in ("input", "discrete") or bit is not None)
    tag: dict[str, Any] = {"address": place.address, "type": str(kind.type), "length": length, "bit": bit}
    tag["count"] = place.elements
    order = _word_order(cells.get(Column.WORD_ORDER, ""))
    tag["word_order"] = order or ("BADC" if place.low_byte_first else None)
    tag |= _meaning(cells)
    tag["access"] = "read-write" if writable else None
    _check_span(cells, place, tag)
    _add(found, line, cells, tag, ModbusTag)


def _opcua_line(found: TagList, line: int, cells: Cells) -> None:
    kind = _type(found, line, cells)
    tag: dict[str, Any] = {"address": cells.get(Column.ADDRESS, ""), "type": str(kind.type)}
    tag |= _meaning(cells)
    tag["access"] = "read-write" if _writable(cells) else None
    _add(found, line, cells, tag, OpcuaTag)


def _add(
    found: TagList, line: int, cells: Cells, tag: dict[str, Any], model: type[ModbusTag] | type[OpcuaTag]
) -> None:
    original = cells.get(Column.NAME, "")
    bit = tag.get("bit")
    otherwise = unnamed(tag["address"] if bit is None else f"{tag['address']}/{bit}")
    name, renamed = tag_name(original, otherwise)
    if renamed:
        if original:
            found.notes.append(Remark(line, shown(original), f"is named {name}: tag names are ASCII"))
        tag["description"] = " — ".join(t for t in (original, tag.get("description") or "") if t)
    found.add(line, name, tag, model)


def _place(cells: Cells, numbering: Numbering, choices: Choices) -> Place:
    text = cells.get(Column.ADDRESS, "")
    if not text:
        raise _Refused(cells.get(Column.NAME, ""), "has no address")
    default = None
    said = cells.get(Column.TABLE, "") or choices.table
    if said:
        try:
            default = read_table(said)
        except ValueError as error:
            raise _Refused(said, str(error)) from None
    try:
        return read_address(text, numbering, default)
    except ValueError as error:
        raise _Refused(text, str(error)) from None


def _type(found: TagList, line: int, cells: Cells, *, array: bool = False) -> Named:
    text = cells.get(Column.TYPE, "")
    if array:  # Kepware: Word Array
        text = re.sub(r"\s*array$", "", text, flags=re.IGNORECASE)
    try:
        kind = read_type(text)
    except ValueError as error:
        raise _Refused(text or cells.get(Column.NAME, ""), str(error) if text else "has no type") from None
    if kind.assumed:
        found.notes.append(Remark(line, text, kind.assumed))
    return kind


def _length(cells: Cells, kind: Named, place: Place) -> int | None:
    if kind.type is not DataType.STRING:
        return None
    registers = _whole(cells, Column.REGISTERS)
    said = kind.length or place.length or _whole(cells, Column.LENGTH)
    return said or (registers or place.span or 0) * 2 or None


def _bit(cells: Cells, place: Place) -> int | None:
    said = _whole(cells, Column.BIT)
    return place.bit if said is None else said


def _whole(cells: Cells, column: Column) -> int | None:
    text = cells.get(column, "")
    if not text or text in ("-", "—", "/"):
        return None
    if not text.isdecimal():
        raise _Refused(text, f"is no whole number, as {column} must be")
    return int(text)


def _check_span(cells: Cells, place: Place, tag: Mapping[str, Any]) -> None:
    """A list that says how many registers a value takes contradicts a type that takes another number."""
    said = place.span or _whole(cells, Column.REGISTERS)
    kind = tag["type"]
    if said is None or kind in ("string", "bool"):
        return
    due = int(re.sub(r"\D", "", kind)) // 16
    if said != due:
        raise _Refused(cells[Column.TYPE], f"takes {due} register(s) as {kind}, but the list gives it {said}")


def _meaning(cells: Cells) -> dict[str, Any]:
    """Scale, unit, sampling and description: what is the same for every protocol."""
    scale, offset = _linear(cells)
    rate = _number(cells, Column.SCAN_RATE)
    sampling = rate / 1000 if rate else _number(cells, Column.SAMPLING)
    unit = cells.get(Column.UNIT, "")
    return {
        "scale": None if scale == 1 else scale,
        "offset": None if offset == 0 else offset,
        "unit": "" if unit in ("-", "—", "/", "N/A", "无") else unit,
        "sampling": None if sampling == 1 else sampling,
        "description": cells.get(Column.DESCRIPTION, ""),
    }


def _linear(cells: Cells) -> tuple[float | None, float | None]:
    """Scale and offset, as they stand or from Kepware's two ranges."""
    if cells.get(Column.SCALING, "").casefold() not in ("", "none"):
        if cells[Column.SCALING].casefold() != "linear":
            raise _Refused(cells[Column.SCALING], "is no scaling known here, only Linear")
        names = (Column.RAW_LOW, Column.RAW_HIGH, Column.SCALED_LOW, Column.SCALED_HIGH)
        raw_low, raw_high, low, high = (_number(cells, name) for name in names)
        if raw_low is None or raw_high is None or low is None or high is None or raw_low == raw_high:
            raise _Refused(cells[Column.SCALING], "needs Raw Low, Raw High, Scaled Low and Scaled High")
        factor = -1 if cells.get(Column.NEGATE, "") in ("1", "true", "True") else 1
        scale = (high - low) / (raw_high - raw_low)
        return _round(factor * scale), _round(factor * (low - raw_low * scale))
    return _factor(cells.get(Column.SCALE, "")), _number(cells, Column.OFFSET)


def _round(number: float) -> float | int:
    """Without what binary fractions add: 0.1 rather than 0.10000000000000002."""
    rounded = float(f"{number:.15g}")
    return int(rounded) if rounded.is_integer() else rounded


def _factor(text: str) -> float | None:
    """``0.1``, ``0,1``, ``x0.1``, ``×10``, ``/10``, ``÷10``, ``1/10``, ``10^-1``, ``1E-1``."""
    word = re.sub(r"\s+", "", text).replace(",", ".").replace("÷", "/").casefold()
    if word in ("", "-", "—", "n/a", "none", "无"):
        return None
    found = re.fullmatch(
        r"[x×*]?(?:(\d+(?:\.\d+)?)?/(\d+(?:\.\d+)?)|(-?\d*\.?\d+(?:e-?\d+)?)|10\^(-?\d))", word
    )
    if found is None:
        raise _Refused(text, "is no scale — e.g. 0.1, /10, ×10 or 10^-1")
    over, under, number, power = found.groups()
    value = float(over or 1) / float(under) if under else float(number) if number else 10.0 ** int(power)
    return _round(value)


def _number(cells: Cells, column: Column) -> float | None:
    text = cells.get(column, "").replace(",", ".")
    if text in ("", "-", "—", "/"):
        return None
    try:
        return _round(float(text))
    except (ValueError, OverflowError):
        raise _Refused(text, f"is no number, as {column} must be") from None


_WRITING = (
    "rw",
    "r/w",
    "w",
    "wo",
    "readwrite",
    "read/write",
    "write",
    "可写",
    "读写",
    "只写",
    "rd/wr",
    "true",
    "yes",
)
_READING = ("", "r", "ro", "read", "readonly", "rd", "只读", "读", "-", "false", "no", "lesen")


def _writable(cells: Cells) -> bool:
    text = cells.get(Column.ACCESS, "") or cells.get(Column.WRITEABLE, "")
    word = re.sub(r"[\s_\-]+", "", text.casefold())
    if word in _WRITING:
        return True
    if word in _READING:
        return False
    raise _Refused(text, "is no access — R, RO, RW, Read/Write, 只读 or 读写")


_ORDERS = {
    "abcd": "ABCD",
    "cdab": "CDAB",
    "badc": "BADC",
    "dcba": "DCBA",
    "1234": "ABCD",
    "3412": "CDAB",
    "2143": "BADC",
    "4321": "DCBA",
    "big": "ABCD",
    "bigendian": "ABCD",
    "little": "DCBA",
    "littleendian": "DCBA",
    "wordswapped": "CDAB",
    "大端": "ABCD",
    "小端": "DCBA",
}


def _word_order(text: str) -> str | None:
    word = re.sub(r"[\s_\-]+", "", text.casefold())
    if word in ("", "default"):
        return None
    if word not in _ORDERS:
        raise _Refused(text, "is no word order — ABCD, CDAB, BADC or DCBA")
    return _ORDERS[word]


def sheets_with_tags(sheets: Sequence[tuple[str, Table]]) -> Iterator[tuple[str, Table]]:
    """The sheets of a workbook that have understandable headings; all when none has."""
    found = []
    for name, table in sheets:
        try:
            header_of(table)
        except CannotImport:
            continue
        found.append((name, table))
    yield from found or sheets
