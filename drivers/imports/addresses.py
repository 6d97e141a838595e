"""Modbus addresses as lists write them: 40001, 400001, 4x0001, 0x9C40, 9C41h, H400FF,"
" holding:100, 400001.5."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from drivers.modbus.profile import Table, parse_address

TABLES = {
    "0": Table.COIL,
    "1": Table.DISCRETE,
    "3": Table.INPUT,
    "4": Table.HOLDING,
}
_TABLE_WORDS = {
    Table.COIL: "1,01,5,05,15,0x01,fc1,fc01,coil,coils,co,digitaloutput,do,线圈,0x,0x区,0区,继电器",
    Table.DISCRETE: (
        "2,02,0x02,fc2,fc02,discrete,discreteinput,discreteinputs,inputstatus,di,离散输入,1x,1x区,"
        "1区,输入状态,离散量输入"
    ),
    Table.HOLDING: (
        "3,03,6,06,16,0x03,0x06,0x10,fc3,fc03,fc6,fc16,holding,holdingregister,holdingregisters,hr,"
        "rw,4x,4x区,4区,"
        "保持寄存器,保持型寄存器,03/06,3/6,3/16,03/16,03/06/16,3/6/16"
    ),
    Table.INPUT: (
        "4,04,0x04,fc4,fc04,input,inputregister,inputregisters,ir,analoginput,ai,3x,3x区,3区,输入寄存器"
    ),
}
_WORDS = {word: table for table, words in _TABLE_WORDS.items() for word in words.split(",")}


class Numbering(StrEnum):
    """How plain numbers are meant."""

    REFERENCE = "reference"
    """The first digit names the table, the rest counts from 1: 40001 is the first holding register."""
    ZERO = "0"
    """As on the wire: 0 is the first."""
    ONE = "1"
    """Counted from 1 in the table that the list names."""


class Place(NamedTuple):
    """Where a list says that a value is."""

    table: Table
    offset: int
    bit: int | None = None
    length: int | None = None
    """Characters of a string, where the address says so."""
    span: int | None = None
    """Registers, where a range is given."""
    low_byte_first: bool = False
    elements: int | None = None
    """How many values one after the other, where it is an array."""

    @property
    def address(self) -> str:
        return f"{self.table}:{self.offset}"


def read_table(text: str) -> Table:
    """The table that a word or a function code names.

    Raises:
        ValueError: none.
    """
    word = re.sub(r"[\s_\-]+", "", text.casefold()).removesuffix("hex")
    if word.endswith("h") and word[:-1].isdigit():
        word = word[:-1]
    if word not in _WORDS:
        raise ValueError("names no table — write holding, input, coil, discrete or a function code 1 to 4")
    return _WORDS[word]


# A plain number, with what may stand behind it: a bit, a length, an array, a range.
_PLAIN = re.compile(r"\s*(\d+)\s*(?:$|[.\[\-–~…至到])", re.ASCII)


def _is_reference(number: str) -> bool:
    return len(number) in (5, 6) and number[0] in TABLES and int(number[1:]) > 0


def numbering_of(addresses: Iterable[str]) -> Numbering:
    """What plain numbers of a list mean: references only when every one of them can be one.

    What is no address at all (``4oo01``) says nothing of the others.
    """
    looks = [_is_reference(found[1]) for text in addresses if (found := _PLAIN.match(text))]
    return Numbering.REFERENCE if looks and all(looks) else Numbering.ZERO


def no_reference(addresses: Iterable[str]) -> int | None:
    """Where the first plain number stands that is no reference, in a list in which most are."""
    found = [(n, plain[1]) for n, text in enumerate(addresses) if (plain := _PLAIN.match(text))]
    others = [n for n, number in found if not _is_reference(number)]
    return others[0] if others and len(others) * 2 < len(found) else None


_RANGE = re.compile(r"(.+?)\s*(?:-|–|~|\.\.|…|至|到)\s*(\S+)")
_SUFFIX = re.compile(r"(.*?)(?:\.(\d{1,3})([HL])?)?", re.ASCII)


def read_address(text: str, numbering: Numbering, default: Table | None) -> Place:
    """One address of a list.

    Hexadecimal numbers (``0x…``, ``…h``) are addresses on the wire, counted from 0 (from 1 with numbering
    ``ONE``); ``default`` is the table that another column names, or None.

    Raises:
        ValueError: it is none, or contradicts the other column.
    """
    word = text.strip().upper().replace("％", "%").replace("：", ":")
    if array := re.fullmatch(r"([^\[\]]+)\[([0-9]{1,4})\]", word):
        return _single(array[1], numbering, default)._replace(elements=int(array[2]))
    if "[" in word:
        raise ValueError("is an array of several dimensions — list its elements, one a line")
    if re.match(r"%?DB\d", word):
        raise ValueError("is an address in a Siemens DB, not on Modbus — import with tia, by symbolic names")
    ranged = _RANGE.fullmatch(word)
    if ranged is None:
        return _single(word, numbering, default)
    first, last = (_single(part, numbering, default) for part in ranged.groups())
    if last.table is not first.table or not first.offset <= last.offset < first.offset + 125:
        raise ValueError("is no range of registers")
    return first._replace(span=last.offset - first.offset + 1)


def _single(word: str, numbering: Numbering, default: Table | None) -> Place:
    found = _SUFFIX.fullmatch(word)
    if found is None:
        raise ValueError("is no Modbus address")
    body, number, kind = found.groups()
    table, offset = _place(body, numbering, default)
    if default is not None and table is not default:
        raise ValueError(f"is a {table} address, but the line names the table {default}")
    if not 0 <= offset <= 0xFFFF:
        raise ValueError("lies outside 0 to 65535 on the wire")
    if number is None:
        return Place(table, offset)
    if kind is not None:
        return Place(table, offset, length=int(number), low_byte_first=kind == "L")
    if int(number) > 15:
        raise ValueError(f"has no bit {number}: a register has bits 0 to 15")
    return Place(table, offset, bit=int(number))


def _place(body: str, numbering: Numbering, default: Table | None) -> tuple[Table, int]:
    table = default or Table.HOLDING
    base = 1 if numbering is Numbering.ONE else 0
    if ":" in body:
        return parse_address(body.lower())
    if found := re.fullmatch(r"([134])X\s*(\d+)", body):
        return TABLES[found[1]], int(found[2]) - 1
    if found := re.fullmatch(r"H([0134])([0-9A-F]{4,5})", body):
        return TABLES[found[1]], int(found[2], 16) - 1
    if found := re.fullmatch(r"0X([0-9A-F]{1,5})|([0-9A-F]{1,5})H", body):
        return table, int(found[1] or found[2], 16) - base
    if found := re.fullmatch(r"(HR|IR)\s*(\d+)", body):
        return (Table.HOLDING if found[1] == "HR" else Table.INPUT), int(found[2])
    if found := re.fullmatch(r"%(MW|M)(\d+)", body):
        return (Table.HOLDING if found[1] == "MW" else Table.COIL), int(found[2])
    if not re.fullmatch(r"[0-9]{1,6}", body):
        raise ValueError(
            "is no Modbus address — e.g. 40001, 400001, 4x0001, 0x9C40, 9C41h, 100, holding:100,"
            " 40001.3 (a bit)"
        )
    if numbering is not Numbering.REFERENCE:
        return table, int(body) - base
    if len(body) < 5 or body[0] not in TABLES or int(body[1:]) == 0:
        raise ValueError("is no reference such as 40001 — say --base 0 or 1 if plain numbers are meant")
    return TABLES[body[0]], int(body[1:]) - 1
