"""Registers of a device nobody has a map of: what was read, what was refused, and every way to take it. Pure.

A :class:`Memory` holds one table as far as it is known. :func:`sweep` says what to read and halves what is
refused; :func:`rows` shows each register raw, as a number, as text, and together with the next one as every
32-bit value in the four word orders.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from drivers.modbus.codec import BlockDecoder, Coding
from drivers.modbus.profile import Address, Table, parse_address
from drivers.profile.profile import Encoding, WordOrder
from protocols.values import DataType, Value

SIZE = 0x10000
"""Addresses of a table."""
MOST_REGISTERS, MOST_BITS = 124, 2000
"""The largest request. An even number of registers: some devices refuse half of a 32-bit value."""
HALVED = (2, 3, 4)
"""Exceptions that may come from one address of many, or from too large a request."""
LASTING = (1, *HALVED)
"""Exceptions that the same request will meet again: it is not made again until somebody asks for it."""


class View(NamedTuple):
    """One way to take what lies at an address."""

    name: str
    coding: Coding

    @property
    def wide(self) -> bool:
        """Whether it takes the next register too."""
        return self.coding.registers == 2


SINGLE = (
    View("uint16", Coding(DataType.UINT16)),
    View("int16", Coding(DataType.INT16)),
    View("text", Coding(DataType.STRING, length=2, encoding=Encoding.LATIN_1)),
)
WIDE = tuple(
    View(f"{kind} {order}", Coding(kind, order))
    for kind in (DataType.FLOAT32, DataType.UINT32, DataType.INT32)
    for order in WordOrder
)
VIEWS = (*SINGLE, *WIDE)
BIT_VIEWS = (View("bool", Coding(DataType.BOOL)),)

_SINGLE = BlockDecoder([(0, view.coding) for view in SINGLE])
_WIDE = BlockDecoder([(0, view.coding) for view in WIDE])


def views(table: Table) -> tuple[View, ...]:
    """The ways to take what a table holds."""
    return BIT_VIEWS if table.bits else VIEWS


_DIGITS = {Table.COIL: "0", Table.DISCRETE: "1", Table.INPUT: "3", Table.HOLDING: "4"}


def reference(table: Table, address: int) -> str:
    """An address as manuals print it, counted from 1: ``40001``, and ``410000`` where five digits end."""
    return f"{_DIGITS[table]}{address + 1:0{4 if address < 9999 else 5}d}"


def place(text: str, table: Table) -> Address:
    """What somebody types to go somewhere: ``100`` or ``0x64`` in this table, ``40101`` or ``input:7``.

    Raises:
        ValueError: none of these; says what there is.
    """
    word = text.strip()
    if re.fullmatch(r"0x[0-9A-Fa-f]{1,4}", word) or (
        re.fullmatch(r"\d{1,5}", word) and not re.fullmatch(r"[0134]\d{4}", word)
    ):
        number = int(word, 0 if word.startswith("0x") else 10)
        if number >= SIZE:
            raise ValueError(f"{word} lies outside 0 to {SIZE - 1}")
        return Address(table, number)
    try:
        return parse_address(word)
    except ValueError as error:
        raise ValueError(f'"{word}" {error}; a plain number counts from 0 in {table}') from None


class Piece(NamedTuple):
    """One read of ``size`` registers or bits."""

    start: int
    size: int


class Answer(NamedTuple):
    """What came back: bytes, or an exception code, or neither (silence); ``text`` says why no bytes."""

    data: bytes = b""
    code: int | None = None
    text: str = ""


class Refusal(NamedTuple):
    """Why an address has no value, and whether it is worth asking again."""

    text: str
    lasting: bool


@dataclass(slots=True)
class Memory:
    """What is known of one table."""

    table: Table
    words: dict[int, int] = field(default_factory=dict)
    refused: dict[int, Refusal] = field(default_factory=dict)
    cuts: set[int] = field(default_factory=set)
    """Addresses whose left neighbour cannot be read in the same request."""

    def take(self, piece: Piece, data: bytes) -> None:
        """Keep what a read gave."""
        for n in range(piece.size):
            address = piece.start + n
            self.refused.pop(address, None)
            self.words[address] = (
                data[n // 8] >> n % 8 & 1 if self.table.bits else data[2 * n] << 8 | data[2 * n + 1]
            )

    def refuse(self, piece: Piece, refusal: Refusal) -> None:
        """Keep that a read gave nothing; what was known of it is known no more."""
        for address in range(piece.start, piece.start + piece.size):
            self.words.pop(address, None)
            self.refused[address] = refusal

    def forget(self) -> None:
        """Ask again for what was refused."""
        self.refused.clear()
        self.cuts.clear()

    def due(self, piece: Piece) -> int:
        """Bytes that answer a read."""
        return (piece.size + 7) // 8 if self.table.bits else 2 * piece.size


def pieces(memory: Memory, start: int, count: int) -> Iterator[Piece]:
    """The reads that cover ``count`` addresses from ``start``, around what is known to be refused."""
    most = MOST_BITS if memory.table.bits else MOST_REGISTERS
    first: int | None = None
    for address in range(start, min(start + count, SIZE)):
        known = memory.refused.get(address)
        barred = known is not None and known.lasting
        if first is not None and (barred or address in memory.cuts or address - first >= most):
            yield Piece(first, address - first)
            first = None
        if first is None and not barred:
            first = address
    if first is not None:
        yield Piece(first, min(start + count, SIZE) - first)


def sweep(memory: Memory, start: int, count: int) -> Generator[Piece, Answer, None]:
    """Read addresses into a memory: yields each read, and is sent its answer.

    What is refused is halved, at even addresses, until each refused one stands alone. A place that only a
    smaller request can pass is remembered, so that the next sweep goes right at once.
    """
    for piece in list(pieces(memory, start, count)):
        yield from _read(memory, piece)


def _read(memory: Memory, piece: Piece) -> Generator[Piece, Answer, bool]:
    answer = yield piece
    if len(answer.data) == memory.due(piece):
        memory.take(piece, answer.data)
        return True
    if answer.code in HALVED and piece.size > 1:
        middle = piece.start + piece.size // 2
        if middle % 2 and middle > piece.start + 1:
            middle -= 1
        left = yield from _read(memory, Piece(piece.start, middle - piece.start))
        right = yield from _read(memory, Piece(middle, piece.start + piece.size - middle))
        if left and right:
            memory.cuts.add(middle)
        return False
    text = answer.text or f"answered {len(answer.data)} bytes instead of {memory.due(piece)}"
    memory.refuse(piece, Refusal(text, answer.code in LASTING))
    return False


class Row(NamedTuple):
    """One address: its number from 0, as manuals print it, raw in hexadecimal, and as each of the views.

    ``values`` are None where the next register is not known, or no number. ``refused`` says why there is
    nothing; with an empty ``raw`` and nothing said it has not been read.
    """

    address: int
    reference: str
    raw: str
    values: tuple[Value, ...]
    refused: str = ""


def row(memory: Memory, address: int) -> Row:
    """What is known of one address."""
    table, word = memory.table, memory.words.get(address)
    empty: tuple[Value, ...] = (None,) * len(views(table))
    if word is None:
        refusal = memory.refused.get(address)
        return Row(address, reference(table, address), "", empty, refusal.text if refusal else "")
    if table.bits:
        return Row(address, reference(table, address), str(word), (word == 1,))
    data = word.to_bytes(2, "big")
    values = _SINGLE.decode(data)[0]
    following = memory.words.get(address + 1)
    values += (
        [None] * len(WIDE) if following is None else _WIDE.decode(data + following.to_bytes(2, "big"))[0]
    )
    return Row(address, reference(table, address), f"{word:04X}", tuple(values))


def rows(memory: Memory, start: int, count: int) -> list[Row]:
    """What is known of ``count`` addresses from ``start``."""
    return [row(memory, address) for address in range(start, min(start + count, SIZE))]


def shown(value: Value) -> str:
    """A value as a cell shows it; a point for what cannot be printed."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, str):
        return "".join(c if c.isprintable() and c.isascii() else "·" for c in value)
    return str(value)
