"""Blocks as bytes: lossless, small, and refused when damaged."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from protocols.packing import MAX_BLOB, UndecodableError
from protocols.waveforms import messages
from protocols.waveforms.block import Block, Kind, decode, encode
from protocols.waveforms.coding import coded, kind_of, raw_of, values_of
from protocols.waveforms.messages import CHUNK, Chunk, Found, Wanted

KINDS = st.sampled_from(["int16", "uint16", "int32", "uint32", "float32"])


def block(values: NDArray[Any], **more: Any) -> Block:
    kind, order, data = coded(values)
    head: dict[str, Any] = {"scale": 1.0, "offset": 0.0, "regime": "running", "turns": 24.8, **more}
    return Block(
        "laser-1/drive",
        1_700_000_000_000_000,
        6400.0,
        "m/s²",
        kind,
        len(values),
        order=order,
        data=data,
        **head,
    )


@given(KINDS.flatmap(lambda kind: arrays.arrays(kind, st.integers(1, 300))))
def test_what_is_kept_comes_back_bit_for_bit(values: NDArray[Any]) -> None:
    """Extremes, NaN and the sign of zero too: differences wrap around and lose nothing."""
    back = raw_of(decode(encode(block(values))))
    assert back.dtype == values.dtype
    assert back.tobytes() == values.tobytes()


def test_a_double_is_kept_as_a_float() -> None:
    values = np.linspace(-1, 1, 500)
    assert kind_of(values) is Kind.FLOAT32
    assert values_of(block(values)) == pytest.approx(values, rel=1e-7)


def test_samples_come_in_their_unit() -> None:
    values = np.array([-5, 0, 7], np.int16)
    assert values_of(block(values, scale=0.1, offset=20.0)).tolist() == pytest.approx([19.5, 20.0, 20.7])


def test_a_smooth_signal_is_coded_by_its_differences_and_noise_as_it_is() -> None:
    time = np.arange(4096) / 6400
    smooth = np.rint(20_000 * np.sin(2 * np.pi * 25 * time)).astype(np.int16)
    noise = np.random.default_rng(1).integers(-3000, 3000, 4096).astype(np.int16)
    assert block(smooth).order == 2 and len(block(smooth).data) < 4096 * 1.1
    assert block(noise).order == 0 and len(block(noise).data) < 4096 * 2


def test_every_damaged_byte_is_noticed() -> None:
    whole = encode(block(np.arange(40, dtype=np.int16)))
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x40
        with pytest.raises(UndecodableError):
            decode(bytes(damaged))
    for end in (0, 1, 16, len(whole) - 1):
        with pytest.raises(UndecodableError):
            decode(whole[:end])


@pytest.mark.parametrize(
    "change",
    [
        {"length": 131_073},
        {"length": 0},
        {"rate": 0.0},
        {"order": 3},
        {"ts": -1},
        {"scale": float("nan")},
        {"regime": "x" * 129},
    ],
)
def test_a_block_that_says_what_cannot_be_is_refused(change: dict[str, Any]) -> None:
    wrong = msgspec.structs.replace(block(np.arange(40, dtype=np.int16)), **change)
    with pytest.raises(UndecodableError):
        decode(encode(wrong))


def test_samples_that_unpack_to_more_than_their_head_says_are_not_unpacked() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(50 << 20))
    for length in (100, 131_072):
        wrong = msgspec.structs.replace(block(np.arange(40, dtype=np.int16)), data=bomb, length=length)
        with pytest.raises(UndecodableError, match="samples take 52428800 bytes"):
            raw_of(wrong)


@given(st.binary(max_size=300))
def test_noise_is_no_message(data: bytes) -> None:
    for read in (decode, messages.decode, messages.decode_wanted):
        with pytest.raises(UndecodableError):
            read(data)


def test_questions_and_answers_come_back() -> None:
    wanted = Wanted("q-1", "laser-1/drive", 1, 2, 3)
    assert messages.decode_wanted(messages.encode_wanted(wanted)) == wanted
    found = Found("q-1", "laser-1/drive", (5, 6), 1, 9, "")
    assert messages.decode(messages.encode(found)) == found
    with pytest.raises(UndecodableError, match="part 2 of 2"):
        messages.decode(messages.encode(Chunk("q-1", "laser-1/drive", 5, 2, 2, b"x")))


def test_a_large_block_goes_in_parts_that_each_fit_a_batch() -> None:
    rng = np.random.default_rng(2)
    whole = encode(block(rng.normal(0, 1, 131_072).astype(np.float32)))
    parts = messages.chunks("q", "laser-1/drive", 5, whole)
    assert len(parts) > 2 and all(len(part.data) <= CHUNK for part in parts)
    assert all(len(messages.encode(part)) <= MAX_BLOB for part in parts)
    assert b"".join(part.data for part in parts) == whole
    assert {part.count for part in parts} == {len(parts)}
