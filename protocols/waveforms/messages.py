"""The cloud asks for blocks (``down/waveform``), the edge answers on the ``bulk`` lane.

A question has an id and may be asked again and again: it is answered once. The answer is each block in
:class:`Chunk` after chunk, and one :class:`Found`, which says what the edge has. Every
message is a batch of its own, so that none is larger than one may be; the lane may bring them in any order.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from protocols.packing import MALFORMED, MAX_BLOB, UndecodableError, pack, unpack
from protocols.waveforms.block import MAX_BYTES

CHUNK = MAX_BLOB - 4096
"""Bytes of a block that one message carries; the rest of a batch is for its head."""
MAX_CHUNKS = MAX_BYTES // CHUNK + 1
MAX_BLOCKS = 16
"""Blocks that one question may bring."""

Time = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Path = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Wanted(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Which blocks of a waveform (``device/tag``) the cloud wants: those taken from ``start`` to ``end``
    (µs UTC, inclusive), the nearest to their middle first; where there are none, the nearest one.
    """

    id: Id
    path: Path
    start: Time
    end: Time
    most: Annotated[int, msgspec.Meta(ge=1, le=MAX_BLOCKS)] = 1


class Found(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What the edge has for a question: the times of the ``blocks`` that follow.

    None: ``why`` says what is the matter. ``oldest`` and ``newest`` (0: none) of what its ring still holds.
    """

    id: Id
    path: Path
    blocks: tuple[Time, ...]
    oldest: Time
    newest: Time
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Chunk(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Part ``number`` of ``count`` (from 0) of an encoded block taken at ``ts``."""

    id: Id
    path: Path
    ts: Time
    number: Annotated[int, msgspec.Meta(ge=0, lt=MAX_CHUNKS)]
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHUNKS)]
    data: Annotated[bytes, msgspec.Meta(max_length=CHUNK)]


Message = Found | Chunk

_encoder = msgspec.msgpack.Encoder()
_wanted = msgspec.msgpack.Decoder(Wanted)
_message = msgspec.msgpack.Decoder(Message)


def chunks(question: str, path: str, ts: int, block: bytes) -> list[Chunk]:
    """An encoded block in as many parts as it takes."""
    parts = [block[at : at + CHUNK] for at in range(0, len(block), CHUNK)]
    return [Chunk(question, path, ts, n, len(parts), part) for n, part in enumerate(parts)]


def encode_wanted(wanted: Wanted) -> bytes:
    """Bytes of a question."""
    return _encoder.encode(wanted)


def decode_wanted(data: bytes) -> Wanted:
    """A question; raises UndecodableError."""
    try:
        return _wanted.decode(data)
    except MALFORMED as error:
        raise UndecodableError(f"not a question for a waveform: {error}") from error


def encode(message: Message) -> bytes:
    """Blob of one message of an answer."""
    return pack(_encoder.encode(message))


def decode(blob: bytes) -> Message:
    """A message of an answer; raises UndecodableError."""
    try:
        message: Message = _message.decode(unpack(blob))
    except MALFORMED as error:
        raise UndecodableError(f"not a part of a waveform: {error}") from error
    if isinstance(message, Chunk) and message.number >= message.count:
        raise UndecodableError(f"part {message.number} of {message.count} of a block")
    return message
