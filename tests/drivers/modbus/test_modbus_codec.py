"""Registers to values and back: every type and word order, alone and in blocks."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drivers.modbus.codec import BlockDecoder, Coding, decode_bits, encode
from drivers.profile.profile import Encoding, WordOrder
from drivers.scaling import scaler, whole_range
from protocols.values import DataType, Value

WHOLE = [t for t in DataType if t.startswith(("int", "uint"))]

# Written out from the definition of the four orders, independently of the codec.
REGISTERS = {
    WordOrder.ABCD: "41 48 F5 C3",
    WordOrder.CDAB: "F5 C3 41 48",
    WordOrder.BADC: "48 41 C3 F5",
    WordOrder.DCBA: "C3 F5 48 41",
}


def decoded(coding: Coding, data: bytes) -> Value:
    values, good = BlockDecoder([(0, coding)]).decode(data)
    assert good
    return values[0]


@pytest.mark.parametrize("order", list(WordOrder))
def test_word_orders_of_a_float(order: WordOrder) -> None:
    data = bytes.fromhex(REGISTERS[order])
    assert decoded(Coding(DataType.FLOAT32, order), data) == pytest.approx(12.56, abs=1e-6)
    assert decoded(Coding(DataType.UINT32, order), data) == 0x4148F5C3
    assert encode(Coding(DataType.UINT32, order), 0x4148F5C3) == data


@pytest.mark.parametrize(
    ("order", "data"),
    [
        (WordOrder.ABCD, "01 02 03 04 05 06 07 08"),
        (WordOrder.CDAB, "07 08 05 06 03 04 01 02"),
        (WordOrder.BADC, "02 01 04 03 06 05 08 07"),
        (WordOrder.DCBA, "08 07 06 05 04 03 02 01"),
    ],
)
def test_word_orders_of_64_bits(order: WordOrder, data: str) -> None:
    assert decoded(Coding(DataType.UINT64, order), bytes.fromhex(data)) == 0x0102030405060708


@pytest.mark.parametrize(
    ("order", "data"),
    [(WordOrder.ABCD, b"AB"), (WordOrder.CDAB, b"AB"), (WordOrder.BADC, b"BA"), (WordOrder.DCBA, b"BA")],
)
def test_word_order_swaps_the_bytes_of_one_register_only_where_it_swaps_bytes(
    order: WordOrder, data: bytes
) -> None:
    assert decoded(Coding(DataType.UINT16, order), data) == 0x4142
    assert decoded(Coding(DataType.STRING, order, length=2), data) == "AB"


@st.composite
def coded_values(draw: st.DrawFn) -> tuple[Coding, Value]:
    kind = draw(st.sampled_from(DataType))
    order = draw(st.sampled_from(WordOrder))
    if kind is DataType.STRING:
        text = draw(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12))
        size = len(text.encode())
        return Coding(kind, order, length=max(size, 1) + draw(st.integers(0, 5))), text.rstrip(" ")
    if kind is DataType.BOOL:
        return Coding(kind, order), draw(st.booleans())
    if kind in WHOLE:
        return Coding(kind, order), draw(st.integers(*whole_range(kind)))
    floats = st.floats(width=32) if kind is DataType.FLOAT32 else st.floats(width=64)
    return Coding(kind, order), draw(floats.filter(math.isfinite))


@given(coded_values())
def test_round_trip_of_every_type_and_order(coded: tuple[Coding, Value]) -> None:
    coding, value = coded
    data = encode(coding, value)
    assert len(data) == 2 * coding.registers
    assert decoded(coding, data) == value


@given(st.lists(st.tuples(coded_values(), st.integers(0, 3)), min_size=1, max_size=12), st.data())
def test_a_block_decodes_as_its_parts_do_in_any_order(
    parts: list[tuple[tuple[Coding, Value], int]], data: st.DataObject
) -> None:
    block, fields, expected = b"", [], []
    for (coding, value), gap in parts:
        block += b"\xee\xee" * gap
        fields.append((len(block) // 2, coding))
        expected.append(value)
        block += encode(coding, value)
    order = data.draw(st.permutations(range(len(fields))))
    values, good = BlockDecoder([fields[n] for n in order]).decode(block)
    assert good
    assert values == [expected[n] for n in order]


@given(st.integers(0, 0xFFFF))
def test_bits_of_a_register_beside_the_register_itself(raw: int) -> None:
    fields = [(0, Coding(DataType.BOOL, bit=bit)) for bit in range(16)] + [(0, Coding(DataType.UINT16))]
    values, _ = BlockDecoder(fields).decode(struct.pack(">H", raw))
    assert values == [bool(raw >> bit & 1) for bit in range(16)] + [raw]


def test_overlapping_values_of_different_types() -> None:
    fields = [(0, Coding(DataType.UINT32)), (1, Coding(DataType.UINT16)), (0, Coding(DataType.INT16))]
    values, _ = BlockDecoder(fields).decode(bytes.fromhex("FFFF0001"))
    assert values == [0xFFFF0001, 1, -1]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_no_number_is_not_good_and_leaves_the_others(odd: float) -> None:
    fields = [
        (0, Coding(DataType.FLOAT32)),
        (2, Coding(DataType.FLOAT32, scale=0.5)),
        (4, Coding(DataType.INT16)),
    ]
    values, good = BlockDecoder(fields).decode(struct.pack(">ffh", 1.5, odd, -2))
    assert (values, good) == ([1.5, None, -2], False)


def test_large_floats_whose_sum_is_infinite_stay_good() -> None:
    largest = 1.7e308
    fields = [(0, Coding(DataType.FLOAT64)), (4, Coding(DataType.FLOAT64))]
    assert BlockDecoder(fields).decode(struct.pack(">dd", largest, largest)) == ([largest, largest], True)


def test_a_short_block_is_an_error() -> None:
    with pytest.raises(struct.error):
        BlockDecoder([(0, Coding(DataType.UINT32))]).decode(b"\0\0")


@pytest.mark.parametrize(
    ("scale", "offset", "raw", "value"),
    [(0.1, 0, 413, 41.3), (0.001, 0, 1, 0.001), (10, 0, 7, 70), (0.5, -40, 100, 10), (-0.1, 0, 5, -0.5)],
)
def test_scaling_gives_the_decimal_that_was_meant(
    scale: float, offset: float, raw: int, value: float
) -> None:
    assert scaler(scale, offset)(raw) == value


@given(
    st.sampled_from(WHOLE),
    st.sampled_from([0.1, 0.01, 0.5, 2.0, 10.0]),
    st.sampled_from([0.0, -40.0]),
    st.data(),
)
def test_scaled_values_round_trip_to_the_same_registers(
    kind: DataType, scale: float, offset: float, data: st.DataObject
) -> None:
    low, high = whole_range(kind)
    raw = data.draw(st.integers(max(low, -(2**31)), min(high, 2**31)))
    coding = Coding(kind, scale=scale, offset=offset)
    registers = encode(Coding(kind), raw)
    assert encode(coding, decoded(coding, registers)) == registers


@given(st.binary(min_size=1, max_size=20), st.data())
def test_bits_are_counted_from_the_lowest_of_the_first_byte(data: bytes, draw: st.DataObject) -> None:
    offsets = draw.draw(st.lists(st.integers(0, len(data) * 8 - 1)))
    assert decode_bits(data, offsets) == [bool(data[n // 8] & 1 << n % 8) for n in offsets]


@pytest.mark.parametrize(
    ("coding", "value", "message"),
    [
        (Coding(DataType.INT16), 40_000, "does not fit a int16: -32768 to 32767"),
        (Coding(DataType.UINT16, scale=0.1), 7000, "raw 70000"),
        (Coding(DataType.UINT16), 1.5, "not a whole number"),
        (Coding(DataType.UINT16), True, "not a number"),
        (Coding(DataType.FLOAT32), math.nan, "not a number"),
        (Coding(DataType.FLOAT32), 1e300, "does not fit"),
        (Coding(DataType.BOOL), 1, "not true or false"),
        (Coding(DataType.BOOL, bit=3), True, "one bit"),
        (Coding(DataType.STRING, length=3), "abcd", "has 4 bytes"),
        (Coding(DataType.STRING, length=3), 7, "not text"),
    ],
)
def test_values_that_do_not_fit_are_refused_with_the_limit(
    coding: Coding, value: Value, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        encode(coding, value)


@given(st.binary(min_size=4, max_size=4))
def test_any_bytes_make_a_text(data: bytes) -> None:
    value = decoded(Coding(DataType.STRING, length=4), data)
    assume(isinstance(value, str))
    assert "\0" not in str(value)


@pytest.mark.parametrize(
    ("encoding", "text", "data"),
    [
        (Encoding.UTF_8, "Tür", "54 C3 BC 72 00 00 00 00"),
        (Encoding.ASCII, "O1000", "4F 31 30 30 30 00 00 00"),
        (Encoding.LATIN_1, "Tür 12", "54 FC 72 20 31 32 00 00"),
        (Encoding.GB18030, "门板", "C3 C5 B0 E5 00 00 00 00"),
        (Encoding.UTF_16_LE, "Aā门", "41 00 01 01 E8 95 00 00"),
        (Encoding.UTF_16_BE, "Ā门", "01 00 95 E8 00 00 00 00"),
    ],
)
def test_text_lies_in_registers_in_its_encoding(encoding: Encoding, text: str, data: str) -> None:
    coding = Coding(DataType.STRING, length=8, encoding=encoding)
    assert encode(coding, text) == bytes.fromhex(data)
    assert decoded(coding, bytes.fromhex(data)) == text


def test_text_that_its_encoding_does_not_have_is_named() -> None:
    with pytest.raises(ValueError, match="'门' cannot be written in latin-1"):
        encode(Coding(DataType.STRING, length=8, encoding=Encoding.LATIN_1), "A门")


@given(st.sampled_from(list(Encoding)), st.text(max_size=8))
def test_text_comes_back_in_every_encoding(encoding: Encoding, text: str) -> None:
    assume("\0" not in text and text == text.rstrip(" "))
    coding = Coding(DataType.STRING, length=40, encoding=encoding)
    try:
        data = encode(coding, text)
    except ValueError:
        assume(False)
    assert decoded(coding, data) == text
