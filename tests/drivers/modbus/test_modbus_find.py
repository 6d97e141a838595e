"""What a device's display shows, found among its registers."""

from __future__ import annotations

import struct

import pytest

from drivers.modbus.find import Spot, find, sought
from drivers.modbus.grid import VIEWS, Memory, Piece
from drivers.modbus.profile import Table


def memory(data: bytes, table: Table = Table.HOLDING, start: int = 0) -> Memory:
    made = Memory(table)
    made.take(Piece(start, len(data) * 8 if table.bits else len(data) // 2), data)
    return made


def names(known: Memory, text: str) -> list[tuple[int, str]]:
    """Every place where it is found, by going on from each."""
    found, after = [], None
    while (spot := find(known, sought(text), range(after.address if after else 0, 100), after)) is not None:
        found.append((spot.address, VIEWS[spot.column].name))
        after = spot
    return found


@pytest.mark.parametrize(
    ("layout", "order"), [(">f", "ABCD"), ("<f", "DCBA")], ids=["big-endian", "little-endian"]
)
def test_a_float_is_found_in_its_order_as_its_display_rounds_it(layout: str, order: str) -> None:
    known = memory(b"\x00\x01" + struct.pack(layout, 230.4712))
    assert names(known, "230.5") == [(1, f"float32 {order}")]
    assert names(known, "230,47") == [(1, f"float32 {order}")]
    assert names(known, "230.6") == []


def test_tenths_in_a_register_are_found_as_the_display_shows_them() -> None:
    known = memory(struct.pack(">HHh", 7, 2305, -125))
    assert names(known, "230.5")[0] == (1, "uint16")
    assert names(known, "-12.5")[0] == (2, "int16")
    assert names(known, "2305")[0] == (1, "uint16")


def test_a_counter_is_found_in_its_word_order() -> None:
    data = struct.pack(">HH", 123_456_789 & 0xFFFF, 123_456_789 >> 16)
    assert (0, "uint32 CDAB") in names(memory(data), "123456789")


def test_next_to_nothing_is_no_zero() -> None:
    known = memory(b"\x00\x01\x00\x02")
    assert names(known, "0") == []
    assert names(memory(b"\x00\x00"), "0")[0] == (0, "uint16")


def test_raw_bits_and_texts() -> None:
    assert names(memory(b"\x12\x34\x43\xcf"), "0x43cf") == [(1, "uint16")]
    assert names(memory(b"..SDM630 x"), "sdm630") == [(1, "text")]
    assert names(memory(b".SDM630."), "SDM630") == [(0, "text")]
    assert names(memory(b"SD"), "SDM") == []
    coils = memory(b"\x04", Table.COIL)
    assert find(coils, sought("on"), range(8)) == Spot(2, 0)
    assert find(coils, sought("1"), range(8)) == Spot(2, 0)
    assert find(coils, sought("off"), range(2, 8)) == Spot(3, 0)
    assert find(coils, sought("SDM"), range(8)) is None


@pytest.mark.parametrize("text", ["", "   ", "x" * 65])
def test_what_cannot_be_looked_for_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="type 1 to 64 characters"):
        sought(text)
