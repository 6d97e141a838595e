"""Registers without a map: what is read, what is learnt from refusals, and how each one is shown."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.grid import (
    HALVED,
    MOST_BITS,
    MOST_REGISTERS,
    Answer,
    Memory,
    Piece,
    pieces,
    place,
    reference,
    row,
    rows,
    shown,
    sweep,
    views,
)
from drivers.modbus.profile import Address, Table, parse_address


def play(memory: Memory, start: int, count: int, illegal: set[int], most: int = 125) -> list[Piece]:
    """Sweep a device whose registers hold their own address; the reads that were made."""
    made = []
    reading = sweep(memory, start, count)
    piece = next(reading, None)
    while piece is not None:
        made.append(piece)
        inside = range(piece.start, piece.start + piece.size)
        if piece.size > most or illegal.intersection(inside):
            answer = Answer(code=2, text="exception 2: illegal data address")
        else:
            answer = Answer(struct.pack(f">{piece.size}H", *inside))
        try:
            piece = reading.send(answer)
        except StopIteration:
            break
    return made


@given(
    st.sets(st.integers(0, 299), max_size=12), st.integers(0, 250), st.integers(1, 300), st.integers(1, 125)
)
def test_every_address_is_known_or_refused_whatever_the_device_refuses(
    illegal: set[int], start: int, count: int, most: int
) -> None:
    memory = Memory(Table.HOLDING)
    made = play(memory, start, count, illegal, most)
    wanted = set(range(start, start + count))
    assert set(memory.refused) == wanted & illegal
    assert {address: address for address in wanted - illegal} == memory.words
    assert all(piece.size <= MOST_REGISTERS for piece in made)
    again = play(memory, start, count, illegal, most)
    assert not illegal & {a for p in again for a in range(p.start, p.start + p.size)}
    assert sum(piece.size for piece in again if piece.size <= most) >= len(wanted - illegal)


def test_what_was_learnt_makes_the_next_sweep_straight() -> None:
    memory = Memory(Table.HOLDING)
    first = play(memory, 0, 100, {37}, most=40)
    second = play(memory, 0, 100, {37}, most=40)
    third = play(memory, 0, 100, {37}, most=40)
    assert len(second) < len(first)
    assert all(37 not in range(p.start, p.start + p.size) and p.size <= 40 for p in third)
    memory.forget()
    assert 37 in {a for p in pieces(memory, 0, 100) for a in range(p.start, p.start + p.size)}


def test_halves_begin_at_even_addresses_so_that_no_wide_value_is_split() -> None:
    made = play(Memory(Table.HOLDING), 0, 124, {51})
    assert {piece.start % 2 for piece in made if piece.size > 1} == {0}


def test_a_refused_function_is_not_halved_and_busy_is_asked_again() -> None:
    for code, lasting in ((1, True), (6, False), (None, False)):
        memory = Memory(Table.INPUT)
        reading = sweep(memory, 0, 50)
        assert next(reading) == Piece(0, 50)
        with pytest.raises(StopIteration):
            reading.send(Answer(code=code, text="why"))
        assert {refusal.lasting for refusal in memory.refused.values()} == {lasting}
        assert list(pieces(memory, 0, 50)) == ([] if lasting else [Piece(0, 50)])
    assert 1 not in HALVED


def test_a_reply_of_the_wrong_size_is_refused_in_words() -> None:
    memory = Memory(Table.HOLDING)
    reading = sweep(memory, 0, 1)
    next(reading)
    with pytest.raises(StopIteration):
        reading.send(Answer(b"\0"))
    assert row(memory, 0).refused == "answered 1 bytes instead of 2"


def test_a_pair_is_shown_in_all_word_orders() -> None:
    memory = Memory(Table.HOLDING)
    memory.take(Piece(10, 4), struct.pack(">f", 21.5) + struct.pack(">HH", 0x4142, 0xFFFE))
    first, second, third, last = rows(memory, 10, 4)
    names = [view.name for view in views(Table.HOLDING)]
    assert dict(zip(names, first.values, strict=True))["float32 ABCD"] == 21.5
    swapped = dict(zip(names, second.values, strict=True))
    assert swapped["uint32 ABCD"] == 0x00004142
    assert swapped["uint32 CDAB"] == 0x41420000
    assert swapped["uint32 BADC"] == 0x00004241
    assert swapped["uint32 DCBA"] == 0x42410000
    assert dict(zip(names, third.values, strict=True))["text"] == "AB"
    assert last.raw == "FFFE"
    assert dict(zip(names, last.values, strict=True))["int16"] == -2
    assert last.values[3:] == (None,) * 12, "the register after it is not known"
    assert (shown("A\x07é"), shown(None), shown(21.5), shown(True)) == ("A··", "", "21.5", "on")


def test_bits_are_shown_as_on_and_off() -> None:
    memory = Memory(Table.COIL)
    memory.take(Piece(0, 10), bytes([0b0000_0101, 0b10]))
    assert [r.values[0] for r in rows(memory, 0, 10)] == [True, False, True, *[False] * 6, True]
    assert [p.size for p in pieces(memory, 0, 4001)] == [MOST_BITS, MOST_BITS, 1]


@given(st.sampled_from(list(Table)), st.integers(0, 0xFFFF))
def test_references_are_what_a_profile_takes(table: Table, offset: int) -> None:
    assert parse_address(reference(table, offset)) == Address(table, offset)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("100", Address(Table.INPUT, 100)),
        ("0x64", Address(Table.INPUT, 100)),
        ("65535", Address(Table.INPUT, 65535)),
        ("40101", Address(Table.HOLDING, 100)),
        ("coil:3", Address(Table.COIL, 3)),
    ],
)
def test_places_are_taken_as_people_write_them(typed: str, found: Address) -> None:
    assert place(typed, Table.INPUT) == found


@pytest.mark.parametrize("typed", ["", "x", "70000", "holdng:1", "-1"])
def test_what_is_no_place_is_said(typed: str) -> None:
    with pytest.raises(ValueError, match=r"outside|Modbus address|did you mean"):
        place(typed, Table.INPUT)
