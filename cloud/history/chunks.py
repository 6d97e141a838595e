"""A run of samples of one tag as bytes: what the SQLite history keeps instead of a row a sample.

Layout: one byte kind, one byte flags, uint32 count, then int64 times and the values (float64, int64 or
msgpack), then, when flagged, one byte of quality a row. Chunks from 64 samples up are compressed.
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import Any

import msgspec
import zstandard

from cloud.history.port import Series
from protocols.values import Value

_HEAD = struct.Struct("<BBI")
_FLOATS, _INTEGERS, _OTHERS = 1, 2, 3
_QUALITIES, _COMPRESSED = 1, 2
COMPRESS_FROM = 64
"""Samples from which on compressing pays."""
_MAX_CHUNK = 64 * 1024 * 1024
_compressor = zstandard.ZstdCompressor(level=3)
_others = msgspec.msgpack.Decoder(list[Value])


def encode(series: Series) -> bytes:
    """Bytes of a series."""
    values = series.values
    kinds = set(map(type, values))
    if kinds <= {float}:
        kind, body = _FLOATS, _little(array("d", values))
    elif kinds <= {int} and all(-(2**63) <= value < 2**63 for value in values):  # type: ignore[operator]
        kind, body = _INTEGERS, _little(array("q", values))
    else:
        kind, body = _OTHERS, msgspec.msgpack.encode(values)
    flags = 0
    data = _little(array("q", series.times)) + body
    if series.qualities:
        flags |= _QUALITIES
        marks = bytearray(len(values))
        for row, quality in series.qualities.items():
            marks[row] = quality
        data = bytes(marks) + data
    if len(values) >= COMPRESS_FROM:
        flags |= _COMPRESSED
        data = _compressor.compress(data)
    return _HEAD.pack(kind, flags, len(values)) + data


def decode(chunk: bytes) -> Series:
    """Series of bytes; raises ValueError when they are no chunk."""
    try:
        kind, flags, count = _HEAD.unpack_from(chunk)
        data = chunk[_HEAD.size :]
        if flags & _COMPRESSED:
            data = zstandard.ZstdDecompressor().decompress(data, max_output_size=_MAX_CHUNK)
    except (struct.error, zstandard.ZstdError) as error:
        raise ValueError(f"history chunk of {len(chunk)} bytes is damaged: {error}") from error
    series = Series()
    if flags & _QUALITIES:
        series.qualities = {row: quality for row, quality in enumerate(data[:count]) if quality}
        data = data[count:]
    series.times = _array("q", data[: 8 * count]).tolist()
    body = data[8 * count :]
    if kind == _OTHERS:
        series.values = _others.decode(body)
    else:
        series.values = list(_array("d" if kind == _FLOATS else "q", body))
    if not len(series.times) == len(series.values) == count:
        raise ValueError(f"history chunk says {count} samples and holds {len(series.times)}")
    return series


def _little(numbers: array[Any]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _array(code: str, data: bytes) -> array[Any]:
    numbers: array[Any] = array(code)
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
