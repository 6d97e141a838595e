"""A value that somebody reads on a device's own display, found among registers nobody has a map of. Pure.

A meter shows ``230.5 V``: that is a 32-bit value in one of four word orders, or ``2305`` in a register that
counts tenths. What was typed decides how exactly a value has to agree: as it would be shown with so many
decimals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from drivers.modbus.grid import VIEWS, Memory, row
from protocols.values import DataType, Value

_NUMBER = re.compile(r"[+-]?\d{1,15}([.,]\d{1,9})?")
_RAW = re.compile(r"0x[0-9A-Fa-f]{1,4}")
_BITS = {"on": True, "1": True, "off": False, "0": False}
_LONGEST = 64


Match = Callable[[Memory, int, int], int | None]
_TEXT_VIEW = next(n for n, view in enumerate(VIEWS) if view.coding.type is DataType.STRING)


class Spot(NamedTuple):
    """An address, and which of its table's views."""

    address: int
    column: int


class Sought(NamedTuple):
    """What is looked for; ``fits`` says in which view of an address it is, from a first one on, or None."""

    text: str
    fits: Match


def sought(text: str) -> Sought:
    """What somebody typed: ``230.5``, ``0x43CF``, ``on``, or a text such as ``SDM``.

    Raises:
        ValueError: nothing, or more than can be looked for.
    """
    word = text.strip()
    if not word or len(word) > _LONGEST:
        raise ValueError(f"type 1 to {_LONGEST} characters: 230.5, 0x43CF, on, or a text")
    if _RAW.fullmatch(word):
        return Sought(word, _raw(int(word, 16)))
    if _NUMBER.fullmatch(word):
        return Sought(word, _values(_number(Decimal(word.replace(",", "."))), _BITS.get(word)))
    if word.casefold() in _BITS:
        return Sought(word, _values(lambda _: False, _BITS[word.casefold()]))
    return Sought(word, _text(word))


def find(memory: Memory, wanted: Sought, addresses: Iterable[int], after: Spot | None = None) -> Spot | None:
    """The first of these addresses where it is; on the one of ``after`` only in views to its right."""
    for address in addresses:
        first = after.column + 1 if after is not None and after.address == address else 0
        if address not in memory.words:
            continue
        column = wanted.fits(memory, address, first)
        if column is not None:
            return Spot(address, column)
    return None


def _raw(word: int) -> Match:
    return lambda memory, address, first: 0 if memory.words[address] == word and first == 0 else None


def _values(fits: Callable[[Value], bool], bit: bool | None) -> Match:
    def match(memory: Memory, address: int, first: int) -> int | None:
        values = row(memory, address).values
        for column in range(first, len(values)):
            value = values[column]
            if (bit is not None and value is bit) if isinstance(value, bool) else fits(value):
                return column
        return None

    return match


def _number(number: Decimal) -> Callable[[Value], bool]:
    exponent = number.as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    near, exact = float(number), float(Decimal(5).scaleb(-decimals - 1))
    digits = int(number.scaleb(decimals))  # an integer that counts in the last place that was typed

    def fits(value: Value) -> bool:
        if isinstance(value, float):
            # Nearly nothing is no 0: any two registers are a tiny number in one order or other.
            return abs(value - near) <= exact if near else value == 0
        return isinstance(value, int) and value == digits

    return fits


def _text(word: str) -> Match:
    wanted = word.casefold()
    registers = len(word) // 2 + 1

    def match(memory: Memory, address: int, first: int) -> int | None:
        if memory.table.bits or first > _TEXT_VIEW:
            return None
        data = b""
        for n in range(registers):
            known = memory.words.get(address + n)
            if known is None:
                break
            data += known.to_bytes(2, "big")
        at = data.decode("latin-1").casefold().find(wanted)
        return _TEXT_VIEW if at in (0, 1) else None

    return match
