"""Registers to values and back. Pure, and fast for whole blocks: one compiled struct each byte order.

A 32-bit value with bytes A B C D (A the highest) can lie in two registers as ABCD, CDAB (words swapped),
BADC (bytes swapped) or DCBA (both); 64-bit values follow the same pattern over four registers. Swapping
the bytes within every register of a block turns BADC into ABCD and CDAB into DCBA, so that two views of
the block, each read big- and little-endian, cover all four.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

from drivers.profile.profile import Encoding, WordOrder
from drivers.scaling import FLOATS, raw_number, scaler
from protocols.values import DataType, Value

_FORMATS = {
    DataType.BOOL: "H",
    DataType.INT16: "h",
    DataType.UINT16: "H",
    DataType.INT32: "i",
    DataType.UINT32: "I",
    DataType.INT64: "q",
    DataType.UINT64: "Q",
    DataType.FLOAT32: "f",
    DataType.FLOAT64: "d",
}
_SWAPPED = (WordOrder.CDAB, WordOrder.BADC)
_LITTLE = (WordOrder.CDAB, WordOrder.DCBA)


_WIDE = (Encoding.UTF_16_LE, Encoding.UTF_16_BE)


class Coding(NamedTuple):
    """How one value lies in registers."""

    type: DataType
    order: WordOrder = WordOrder.ABCD
    length: int = 1
    """Bytes of a string."""
    bit: int | None = None
    scale: float = 1.0
    offset: float = 0.0
    encoding: Encoding = Encoding.UTF_8

    @property
    def registers(self) -> int:
        """How many registers the value takes."""
        if self.type is DataType.STRING:
            return (self.length + 1) // 2
        return struct.calcsize(f">{_FORMATS[self.type]}") // 2

    @property
    def format(self) -> str:
        """Its struct format, without byte order."""
        return f"{self.registers * 2}s" if self.type is DataType.STRING else _FORMATS[self.type]

    @property
    def view(self) -> tuple[bool, str]:
        """Which view of a block it is read from: bytes swapped within registers, and endianness."""
        if self.type is DataType.STRING:
            return self.order in (WordOrder.BADC, WordOrder.DCBA), ">"
        return self.order in _SWAPPED, "<" if self.order in _LITTLE else ">"

    @property
    def wire_bit(self) -> int:
        """The place of ``bit`` in the register as it travels: orders that swap its bytes move it by 8."""
        swapped, endian = self.view
        return (self.bit or 0) ^ (8 if swapped != (endian == "<") else 0)


def swap_bytes(data: bytes) -> bytes:
    """The two bytes of every register exchanged."""
    swapped = bytearray(len(data))
    swapped[0::2] = data[1::2]
    swapped[1::2] = data[0::2]
    return bytes(swapped)


def _text(encoding: Encoding) -> Callable[[bytes], str]:
    """Text up to its first NUL, without the blanks that fill it up."""
    if encoding not in _WIDE:
        return lambda raw: raw.partition(b"\0")[0].decode(encoding, "replace").rstrip(" ")

    def wide(raw: bytes) -> str:
        ends = (n for n in range(0, len(raw) - 1, 2) if raw[n : n + 2] == b"\0\0")
        return raw[: next(ends, len(raw))].decode(encoding, "replace").rstrip(" ")

    return wide


_Layer = tuple[tuple[bool, str], list[tuple[int, str]]]
"""A view of a block and the (offset in registers, format) of the values unpacked from it in one go."""


class BlockDecoder:
    """Values of one contiguous block of registers, compiled once.

    Args:
        fields: offset from the start of the block (in registers) and coding of each value; several
            may share registers (the bits of one).
    """

    def __init__(self, fields: Sequence[tuple[int, Coding]]) -> None:
        # Fields of one view that do not overlap share a struct; equal ones are unpacked only once.
        layers: list[_Layer] = []
        place_of: dict[tuple[int, str, tuple[bool, str]], tuple[int, int]] = {}
        for offset, coding in sorted(fields, key=lambda field: (field[0], field[1].registers)):
            key = (offset, coding.format, coding.view)
            if key in place_of:
                continue
            number = next((n for n, layer in enumerate(layers) if _free(layer, offset, coding)), len(layers))
            if number == len(layers):
                layers.append((coding.view, []))
            members = layers[number][1]
            place_of[key] = (number, len(members))
            members.append((offset, coding.format))
        self._structs = [(view[0], _compile(view[1], members)) for view, members in layers]
        self._swaps = any(swapped for swapped, _ in self._structs)
        starts = [sum(len(members) for _, members in layers[:n]) for n in range(len(layers))]
        indices = []
        for offset, coding in fields:
            layer, position = place_of[(offset, coding.format, coding.view)]
            indices.append(starts[layer] + position)
        total = sum(len(members) for _, members in layers)
        self._pick = None if indices == list(range(total)) else itemgetter(*indices)
        self._single = len(indices) == 1
        self._floats = [n for n, (_, coding) in enumerate(fields) if coding.type in FLOATS]
        self._conversions = [
            (n, convert)
            for n, (_, coding) in enumerate(fields)
            if (convert := _conversion(coding)) is not None
        ]

    def decode(self, data: bytes) -> tuple[list[Value], bool]:
        """The values in the order of the fields, and whether all are good.

        A float that is not a number or infinite comes back as ``None`` and makes that False.

        Raises:
            struct.error: the block is shorter than the fields need.
        """
        if self._swaps:
            swapped = swap_bytes(data)
            raw: tuple[Value, ...] = ()
            for wants_swapped, layout in self._structs:
                raw += layout.unpack_from(swapped if wants_swapped else data)
        elif len(self._structs) == 1:
            raw = self._structs[0][1].unpack_from(data)
        else:
            raw = ()
            for _, layout in self._structs:
                raw += layout.unpack_from(data)
        if self._pick is None:
            values = list(raw)
        else:
            values = [self._pick(raw)] if self._single else list(self._pick(raw))
        good = True
        if self._floats and not math.isfinite(sum(map(values.__getitem__, self._floats))):  # type: ignore[arg-type]
            for index in self._floats:
                if not math.isfinite(values[index]):  # type: ignore[arg-type]
                    values[index], good = None, False
        for index, convert in self._conversions:
            if (value := values[index]) is not None:
                values[index] = convert(value)
        return values, good


def _free(layer: _Layer, offset: int, coding: Coding) -> bool:
    """Whether a value can be unpacked by a layer: same view, and beyond the layer's last value."""
    view, members = layer
    last_offset, last_format = members[-1]
    return view == coding.view and last_offset * 2 + struct.calcsize(f">{last_format}") <= offset * 2


def _compile(endian: str, members: Sequence[tuple[int, str]]) -> struct.Struct:
    layout, position = endian, 0
    for offset, form in members:
        if (gap := offset * 2 - position) > 0:
            layout += f"{gap}x"
        layout += form
        position = offset * 2 + struct.calcsize(f">{form}")
    return struct.Struct(layout)


def _conversion(coding: Coding) -> Callable[..., Value] | None:
    if coding.type is DataType.STRING:
        return _text(coding.encoding)
    if coding.type is DataType.BOOL:
        mask = 0xFFFF if coding.bit is None else 1 << coding.bit
        return lambda raw: raw & mask != 0
    if coding.scale != 1.0 or coding.offset != 0.0:
        return scaler(coding.scale, coding.offset)
    return None


def decode_bits(data: bytes, offsets: Sequence[int]) -> list[Value]:
    """Coils or discrete inputs: the lowest bit of the first byte is the first of the block."""
    number = int.from_bytes(data, "little")
    return [number >> offset & 1 == 1 for offset in offsets]


def encode(coding: Coding, value: Value) -> bytes:
    """A value as the registers it takes, the opposite of :class:`BlockDecoder`.

    Raises:
        ValueError: the value does not fit the type (says the limits). One bit of a register cannot be
            encoded, because the other bits are not known: see :meth:`drivers.modbus.wire.Asks.write_bit`.
    """
    swapped, endian = coding.view
    if coding.bit is not None:
        raise ValueError("one bit of a register cannot be written")
    if coding.type is DataType.STRING:
        data = _encode_text(coding, value)
    elif coding.type is DataType.BOOL:
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is not true or false")
        data = struct.pack(f"{endian}H", value)
    else:
        data = _encode_number(coding, value, endian)
    return swap_bytes(data) if swapped else data


def not_a_number(coding: Coding) -> bytes:
    """The registers by which a float says that there is no number (IEEE 754, a quiet NaN)."""
    swapped, endian = coding.view
    data = struct.pack(f"{endian}{coding.format}", math.nan)
    return swap_bytes(data) if swapped else data


def _encode_text(coding: Coding, value: Value) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    try:
        data = value.encode(coding.encoding)
    except UnicodeEncodeError as error:
        wrong = value[error.start]
        raise ValueError(f'"{value}": {wrong!r} cannot be written in {coding.encoding}') from None
    if len(data) > coding.length:
        raise ValueError(f'"{value}" has {len(data)} bytes, the register block holds {coding.length}')
    return data.ljust(coding.registers * 2, b"\0")


def _encode_number(coding: Coding, value: Value, endian: str) -> bytes:
    raw = raw_number(coding.type, value, coding.scale, coding.offset)
    try:
        return struct.pack(f"{endian}{coding.format}", raw)
    except OverflowError:
        raise ValueError(f"{value} does not fit a {coding.type}") from None
