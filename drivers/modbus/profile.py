"""Modbus profiles: the form of their addresses and how values lie in registers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, WithJsonSchema, field_validator

from drivers.profile.checks import no_tag
from drivers.profile.profile import Access, Check, Identification, Part, Profile, Tag, WordOrder, mapping
from drivers.scaling import FLOATS
from protocols.documents import Finding, nearest
from protocols.values import DataType, Value


class Table(StrEnum):
    """The four tables of a Modbus device."""

    COIL = "coil"
    DISCRETE = "discrete"
    HOLDING = "holding"
    INPUT = "input"

    @property
    def bits(self) -> bool:
        """Whether the table holds single bits rather than 16-bit registers."""
        return self in (Table.COIL, Table.DISCRETE)


class Address(NamedTuple):
    """A place in a table, counted from 0 as on the wire."""

    table: Table
    offset: int


_PREFIX = {"0": Table.COIL, "1": Table.DISCRETE, "3": Table.INPUT, "4": Table.HOLDING}
_FORMS = "write holding:100, input:7, coil:3, discrete:2 (from 0) or 40001, 30001, 10001, 00001 (from 1)"

_REGISTERS: dict[str, int] = {
    DataType.BOOL: 1,
    DataType.INT16: 1,
    DataType.UINT16: 1,
    DataType.INT32: 2,
    DataType.UINT32: 2,
    DataType.FLOAT32: 2,
    DataType.INT64: 4,
    DataType.UINT64: 4,
    DataType.FLOAT64: 4,
}


def _registers(kind: Any, length: Any) -> int:
    """How many registers a type takes; 1 for what is no type, said where it stands."""
    if kind == DataType.STRING:
        return (length + 1) // 2 if isinstance(length, int) else 1
    return _REGISTERS.get(kind, 1) if isinstance(kind, str) else 1


def _block(tag: Mapping[Any, Any]) -> int:
    """How many values lie behind one another: those of a waveform, else one."""
    length = mapping(tag.get("waveform")).get("length")
    return length if isinstance(length, int) and length > 0 else 1


def parse_address(text: str) -> Address:
    """``holding:100``, ``input:0x1F`` (from 0) or ``40001``, ``400001`` (from 1) as a place in a table.

    Raises:
        ValueError: no such form, table or place; says which forms there are.
    """
    name, colon, digits = text.strip().partition(":")
    if not colon:
        if not re.fullmatch(r"[0134]\d{4,5}", text.strip()):
            raise ValueError(f"is not a Modbus address — {_FORMS}")
        table, offset = _PREFIX[name[0]], int(name[1:]) - 1
    else:
        if name not in set(Table):
            hint = nearest(name, set(Table))
            raise ValueError(f'names no table "{name}" — {f"did you mean {hint}?" if hint else _FORMS}')
        if not re.fullmatch(r"\d+|0x[0-9A-Fa-f]+", digits):
            raise ValueError(f"has no number after the colon — {_FORMS}")
        table, offset = Table(name), int(digits, 0 if digits.startswith("0x") else 10)
    if not 0 <= offset <= 0xFFFF:
        raise ValueError("lies outside 0 to 65535 on the wire")
    return Address(table, offset)


class ModbusTag(Tag):
    """A value in one or several registers, one bit of a register, or a coil."""

    references: ClassVar[tuple[str, ...]] = ("scale_exponent",)

    address: Annotated[str, WithJsonSchema({"type": ["string", "integer"]})] = Field(
        description="where the first register or bit is", examples=["holding:100", 40101]
    )
    word_order: WordOrder | None = Field(
        default=None,
        description="how its bytes lie; the profile's default when left out",
        examples=["CDAB"],
    )
    bit: int | None = Field(
        default=None, ge=0, le=15, description="bit of the register, 0 is the lowest", examples=[4]
    )
    scale_exponent: str | None = Field(
        default=None,
        description="tag whose value n scales this one by 10^n (SunSpec scale factors)",
        examples=["W_SF"],
    )
    absent: int | None = Field(
        default=None,
        description="raw value by which the device says that it has none (SunSpec: 0xFFFF)",
        examples=[65535],
    )

    @field_validator("address", mode="before")
    @classmethod
    def _numbers_are_addresses(cls, address: Any) -> Any:
        return str(address) if isinstance(address, int) and not isinstance(address, bool) else address

    @field_validator("address")
    @classmethod
    def _is_address(cls, address: str) -> str:
        parse_address(address)
        return address

    @property
    def place(self) -> Address:
        """Where the first register or bit is."""
        return parse_address(self.address)

    @property
    def registers(self) -> int:
        """How many registers (or, in a table of bits, bits) the value takes."""
        return _registers(self.type, self.length)

    @property
    def scaled(self) -> bool:
        return super().scaled or self.scale_exponent is not None

    @classmethod
    def converts(cls, data: Mapping[Any, Any]) -> bool:
        return super().converts(data) or data.get("scale_exponent") is not None

    @classmethod
    def combinations(cls, data: Mapping[Any, Any]) -> Iterator[Finding]:
        yield from super().combinations(data)
        kind, length = data.get("type"), data.get("length")
        known, writable = kind in tuple(DataType), data.get("access") in (Access.WRITE, Access.READ_WRITE)
        if data.get("scale_exponent") is not None and super().converts(data):
            yield Finding(("scale_exponent",), "either scale and offset or scale_exponent, not both")
        if data.get("scale_exponent") is not None and writable:
            yield Finding(("access",), "a value with a scale_exponent cannot be written")
        if data.get("absent") is not None and kind in (DataType.BOOL, DataType.STRING, *FLOATS):
            yield Finding(("absent",), f"only a whole number says so by a value, not a {kind}")
        if kind == DataType.STRING and length is None:
            yield Finding((), 'a string needs its length in characters — add the key "length"')
        try:
            table, offset = parse_address(str(data.get("address")))
        except ValueError:
            return  # said where the address stands
        size = _registers(kind, length)
        is_register_bit = data.get("bit") is not None
        if table.bits and kind != DataType.BOOL and known:
            yield Finding(("type",), f"a {table} is a bool, not a {kind}")
        if is_register_bit and (table.bits or (kind != DataType.BOOL and known)):
            yield Finding(("bit",), "a bit is taken from a register and has type bool")
        if table.bits and data.get("waveform") is not None:
            yield Finding(("address",), f"a waveform lies in registers, not in a {table}")
        size *= _block(data)
        if offset + size > 0x10000:
            yield Finding(("address",), f"{size} registers from here reach beyond 65535")
        if writable and table in (Table.INPUT, Table.DISCRETE):
            yield Finding(("access",), f"the table {table} cannot be written, only holding and coil can")

    @classmethod
    def element(cls, data: Mapping[Any, Any], index: int) -> dict[Any, Any]:
        """The next value behind the one before it: bits of a register go on in the next register."""
        bit = data.get("bit")
        if not isinstance(bit, int):
            size = _registers(data.get("type"), data.get("length")) * _block(data)
            return cls.placed(data, index * size)
        return {**cls.placed(data, (bit + index) // 16), "bit": (bit + index) % 16}

    @classmethod
    def placed(cls, data: Mapping[Any, Any], at: int | str) -> dict[Any, Any]:
        """``at`` is added to the address, in registers or bits."""
        if not isinstance(at, int):
            raise ValueError(f'"{at}" is not a number to add to an address')
        try:
            table, offset = parse_address(str(data.get("address")))
        except ValueError:
            return dict(data)  # said where the address stands
        if not 0 <= offset + at <= 0xFFFF:
            raise ValueError(f"{data['address']} + {at} lies outside 0 to 65535 on the wire")
        return {**data, "address": f"{table}:{offset + at}"} if at else dict(data)


class ModbusCheck(Check, ModbusTag):
    """A register that shows which machine this is."""


class BitWrite(StrEnum):
    """How one bit of a holding register is written."""

    MASK = "mask"
    """By function 22: the device itself leaves the other bits alone."""
    READ_MODIFY_WRITE = "read_modify_write"
    """The register is read and written back changed: what the device changes in between is lost."""


class ModbusDefaults(Part):
    """What holds for the whole device."""

    unit: int = Field(default=1, ge=0, le=255, description="unit id (slave address)", examples=[17])
    word_order: WordOrder = Field(
        default=WordOrder.ABCD, description="how the bytes of wide values lie", examples=["CDAB"]
    )
    max_gap: int = Field(
        default=16,
        ge=0,
        le=124,
        description="unused ones that are read to save a request",
        examples=[0],
        json_schema_extra={"unit": "registers"},
    )
    max_registers: int = Field(
        default=125,
        ge=1,
        le=125,
        description="most that one request reads",
        examples=[60],
        json_schema_extra={"unit": "registers"},
    )
    max_bits: int = Field(
        default=2000,
        ge=1,
        le=2000,
        description="most that one request reads",
        examples=[256],
        json_schema_extra={"unit": "coils"},
    )
    single_write: Literal[6, 16] = Field(
        default=6, description="function that writes a single register", examples=[16]
    )
    bit_write: BitWrite | None = Field(
        default=None,
        description="how one bit of a register is written: by the device (function 22), or by reading the "
        "register and writing it back, which undoes what the device changes in between; not at all when "
        "left out",
        examples=["mask"],
    )


_NO_BIT = (
    "one bit of a register is written only when the profile says how — modbus: {bit_write: mask} where the "
    "device knows function 22, else bit_write: read_modify_write, which undoes what it changes in between"
)


class ModbusProfile(Profile[ModbusTag]):
    """A machine on Modbus."""

    protocols: ClassVar[tuple[str, ...]] = ("modbus",)

    identification: Identification[ModbusCheck] = Field(
        default=Identification[ModbusCheck](),
        description=Profile.model_fields["identification"].description,
        examples=[{"checks": [{"address": "holding:900", "type": "uint16", "equals": 417}]}],
    )
    modbus: ModbusDefaults = Field(
        default=ModbusDefaults(), description="what holds for the whole device", examples=[{"unit": 17}]
    )

    @classmethod
    def cross_check(cls, data: Any) -> Iterator[Finding]:
        yield from super().cross_check(data)
        defaults = mapping(mapping(data).get("modbus"))
        most = defaults.get("max_registers", 125)
        for name, tag in mapping(mapping(data).get("tags")).items():
            size = _registers(mapping(tag).get("type"), mapping(tag).get("length"))
            if isinstance(most, int) and size > most > 0:
                yield Finding(("tags", name), f"{size} registers are more than max_registers {most}")
            written = mapping(tag).get("access") in (Access.WRITE, Access.READ_WRITE)
            if written and mapping(tag).get("bit") is not None and not defaults.get("bit_write"):
                yield Finding(("tags", name, "access"), _NO_BIT)
        yield from _exponents(mapping(mapping(data).get("tags")))

    def constants(self) -> dict[str, Value]:
        return {tag.scale_exponent: -1 for tag in self.tags.values() if tag.scale_exponent is not None}

    def word_order(self, tag: ModbusTag) -> WordOrder:
        """The order that holds for a tag."""
        return tag.word_order or self.modbus.word_order


def _exponents(tags: Mapping[Any, Any]) -> Iterator[Finding]:
    """Scale exponents that are no whole number of another tag."""
    names = {str(name): mapping(tag) for name, tag in tags.items()}
    for name, tag in names.items():
        exponent = tag.get("scale_exponent")
        if exponent is None:
            continue
        where, other = ("tags", name, "scale_exponent"), names.get(str(exponent))
        if other is None:
            yield Finding(where, no_tag(exponent, names))
        elif other.get("type") != DataType.INT16 or other.get("scale", 1) != 1 or other.get("scale_exponent"):
            yield Finding(where, f'"{exponent}" must be an int16 without a scale of its own')
