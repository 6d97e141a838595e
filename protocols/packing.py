"""How a payload becomes the immutable blob of a batch: msgpack, then zstd, behind one version byte.

Encoded once at the edge, the blob is stored, sent and ledgered as it is. Its digest is its identity.
"""

from __future__ import annotations

import hashlib

import msgspec
import zstandard

VERSION = 1
MAX_BLOB = 128 * 1024
"""Bytes of the largest blob of several things that an edge seals."""
MAX_SINGLE = 2 * 1024 * 1024
"""Bytes of the largest blob of one thing that cannot be divided: the catalogue of very many tags."""
MAX_UNPACKED = 8 * 1024 * 1024
"""Bytes a blob may unpack to; more is a bomb and is refused."""
DIGEST_SIZE = 16
_LEVEL = 3


MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the message: damage, and nesting made to exhaust the stack."""


class UndecodableError(ValueError):
    """Bytes from the other side that are not a payload of this protocol: quarantine them."""


def pack(payload: bytes) -> bytes:
    """Blob of an encoded payload."""
    # A context of its own each time (30 µs): zstandard's contexts must not be shared between threads.
    return bytes((VERSION,)) + zstandard.ZstdCompressor(level=_LEVEL).compress(payload)


def unpack(blob: bytes) -> bytes:
    """Payload of a blob; raises UndecodableError for a wrong version, damage or a size over the limit."""
    if not blob:
        raise UndecodableError("empty blob")
    if blob[0] != VERSION:
        raise UndecodableError(f"blob version {blob[0]} is not {VERSION}: update the receiving side")
    try:
        size = zstandard.frame_content_size(blob[1:])
        if size < 0 or size > MAX_UNPACKED:
            raise UndecodableError(f"blob unpacks to {size} bytes, the limit is {MAX_UNPACKED}")
        return zstandard.ZstdDecompressor().decompress(blob[1:], max_output_size=MAX_UNPACKED)
    except zstandard.ZstdError as error:
        raise UndecodableError(f"blob is damaged: {error}") from error


def unpacked_size(blob: bytes) -> int:
    """Bytes of the payload as the blob, or its first 32 bytes, says; 0 where it is damaged."""
    try:
        return max(zstandard.frame_content_size(blob[1:]), 0)
    except zstandard.ZstdError:
        return 0


def digest(blob: bytes) -> bytes:
    """The 16-byte BLAKE2b digest that tells a replay from a fork."""
    return hashlib.blake2b(blob, digest_size=DIGEST_SIZE).digest()
