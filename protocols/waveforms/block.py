"""A block of samples as it lies in the edge's ring and travels to the cloud: encoded once, never changed.

``VERSION``, the 16-byte BLAKE2b digest of the rest, then a msgpack array. The digest tells a file that was
cut off or damaged from a block.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from protocols.packing import DIGEST_SIZE, MALFORMED, UndecodableError, digest

VERSION = 1
MAX_LENGTH = 131_072
"""Samples of the longest block."""
MAX_BYTES = 1 << 20
"""Bytes of the largest encoded block: four for each sample, and some words."""


class Kind(StrEnum):
    """Type of the samples as they are kept."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    FLOAT32 = "float32"

    @property
    def size(self) -> int:
        """Bytes of one sample."""
        return 2 if self.endswith("16") else 4


Finite = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]
Hertz = Annotated[float, msgspec.Meta(ge=0, le=1e8)]
Marks = Annotated[dict[Annotated[str, msgspec.Meta(max_length=32)], Hertz], msgspec.Meta(max_length=16)]
Text = Annotated[str, msgspec.Meta(max_length=128)]


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Samples of one waveform, one after the other, ``rate`` a second.

    ``path`` is ``device/tag``; ``ts`` (µs UTC) the time the block was taken, which is that of its last
    sample. A sample in ``unit`` is ``raw × scale + offset``. ``regime`` is what the machine did (its
    state's word, then its program where it shows one); ``turns`` of the shaft a second, 0 where nobody
    knows. ``order`` says how ``data`` is coded: see :mod:`protocols.waveforms.coding`. ``band`` (Hz) is
    that of the envelope, 0 to 0 where there is none, and ``marks`` the frequencies (Hz) at which defects
    show in it.
    """

    path: Annotated[str, msgspec.Meta(max_length=256)]
    ts: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    rate: Annotated[float, msgspec.Meta(gt=0, le=1e6)]
    unit: Text
    kind: Kind
    length: Annotated[int, msgspec.Meta(ge=1, le=MAX_LENGTH)]
    scale: Finite
    offset: Finite
    regime: Text
    turns: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    order: Annotated[int, msgspec.Meta(ge=0, le=2)]
    data: Annotated[bytes, msgspec.Meta(max_length=MAX_BYTES)]
    band: tuple[Hertz, Hertz] = (0.0, 0.0)
    marks: Marks = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Block)


def encode(block: Block) -> bytes:
    """Bytes of a block, with their digest."""
    payload = _encoder.encode(block)
    return bytes((VERSION,)) + digest(payload) + payload


def decode(data: bytes) -> Block:
    """The block of some bytes; raises UndecodableError for damage or another version."""
    if len(data) > MAX_BYTES:
        raise UndecodableError(f"block of {len(data)} bytes, the limit is {MAX_BYTES}")
    if not data or data[0] != VERSION:
        raise UndecodableError(f"block version {data[0] if data else 'missing'} is not {VERSION}")
    payload = data[1 + DIGEST_SIZE :]
    if digest(payload) != data[1 : 1 + DIGEST_SIZE]:
        raise UndecodableError("block is cut off or damaged: it does not have its digest")
    try:
        return _decoder.decode(payload)
    except MALFORMED as error:
        raise UndecodableError(f"not a block: {error}") from error
