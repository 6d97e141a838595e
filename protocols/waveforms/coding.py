"""Samples to bytes and back, without loss: differences, their bytes sorted by place, then zstd.

Neighbouring samples of an oversampled signal are alike, so that their differences are small; of noise they
are not. So whole numbers are coded as they are, as first or as second differences, whichever is smallest
(the fixed predictors of audio coders, RFC 9639, 9.2.5). Differences wrap around, so that none overflows.
With all first bytes together, then all second bytes, zstd finds what repeats; floats have their bytes
sorted alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from protocols.packing import UndecodableError
from protocols.waveforms.block import Block, Kind

_LEVEL = 3
_LIKE = {Kind.INT16: "<u2", Kind.UINT16: "<u2", Kind.INT32: "<u4", Kind.UINT32: "<u4", Kind.FLOAT32: "<u4"}
_SIGNED = {"<u2": "<i2", "<u4": "<i4"}


def kind_of(values: NDArray[Any]) -> Kind:
    """How samples are kept: as they are; doubles as floats, which differ by less than 1e-7 of the value.

    Raises:
        ValueError: samples of another type.
    """
    name = "float32" if values.dtype == np.float64 else values.dtype.name
    return Kind(name)


def coded(values: NDArray[Any]) -> tuple[Kind, int, bytes]:
    """Kind, order and data of a block's samples (one dimension, any length from 1)."""
    kind = kind_of(values)
    plain = np.ascontiguousarray(values, dtype=np.dtype(kind).newbyteorder("<")).view(_LIKE[kind])
    orders = [plain] if kind is Kind.FLOAT32 else [plain, *_differences(plain)]
    sizes = [_size(each) for each in orders]
    order = int(np.argmin(sizes))
    sorted_bytes = orders[order].view(np.uint8).reshape(-1, kind.size).T.tobytes()
    return kind, order, zstandard.ZstdCompressor(level=_LEVEL).compress(sorted_bytes)


def raw_of(block: Block) -> NDArray[Any]:
    """Samples of a block as the machine held them.

    Raises:
        UndecodableError: its data is damaged, or not what its head says.
    """
    size = block.length * block.kind.size
    try:
        if (said := zstandard.frame_content_size(block.data)) != size:
            raise UndecodableError(f"samples take {said} bytes, {block.length} {block.kind} take {size}")
        data = zstandard.ZstdDecompressor().decompress(block.data, max_output_size=size)
    except zstandard.ZstdError as error:
        raise UndecodableError(f"samples are damaged: {error}") from error
    columns = np.frombuffer(data, np.uint8).reshape(block.kind.size, -1)
    values = np.ascontiguousarray(columns.T).reshape(-1).view(_LIKE[block.kind])
    for _ in range(block.order):
        values = np.cumsum(values, dtype=values.dtype)
    return values.view(np.dtype(block.kind).newbyteorder("<"))


def values_of(block: Block) -> NDArray[np.float64]:
    """Samples of a block in its unit; raises UndecodableError."""
    raw = raw_of(block).astype(np.float64)
    return raw if (block.scale, block.offset) == (1.0, 0.0) else raw * block.scale + block.offset


def _differences(plain: NDArray[Any]) -> list[NDArray[Any]]:
    first = np.diff(plain, prepend=plain.dtype.type(0))
    return [first, np.diff(first, prepend=plain.dtype.type(0))]


def _size(values: NDArray[Any]) -> float:
    """How large whole numbers are on average, read with a sign. The first ones, which stand alone, not
    counted."""
    signed = values[2:].view(_SIGNED[values.dtype.str])
    return float(np.abs(signed.astype(np.float64)).mean()) if len(signed) else 0.0
