"""Messages of the link itself: hello and welcome, the batch envelope, acknowledgements.

Compact msgpack arrays. What changes after sealing (historical) stands here and not in the blob.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from protocols.lanes import Lane
from protocols.packing import DIGEST_SIZE, MALFORMED, UndecodableError

PROTOCOL = 1
"""Version of the link that both sides must speak."""

LAST_SEQ = 2**53
"""Largest seq of a lane."""

Seq = Annotated[int, msgspec.Meta(ge=1, le=LAST_SEQ)]
Stream = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Digest = Annotated[bytes, msgspec.Meta(min_length=DIGEST_SIZE, max_length=DIGEST_SIZE)]


class BatchKey(NamedTuple):
    """Identity of a sealed batch. ``stream`` is the 16 bytes of a UUID; ``seq`` counts from 1 in its lane."""

    stream: bytes
    lane: Lane
    seq: int


class _Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of the link's messages."""


class Bounds(msgspec.Struct, frozen=True, array_like=True):
    """Seqs (inclusive) that an edge still has queued in one lane of one stream. ``first`` beyond ``last``:
    nothing is queued, all of them were acknowledged, and the lane goes on at ``first``.
    """

    stream: Stream
    lane: Lane
    first: Seq
    last: Seq


class Ranges(msgspec.Struct, frozen=True, array_like=True):
    """Seqs (inclusive ranges, ascending) of one lane of one stream.

    ``digests`` (only in a welcome) are the 16-byte digests of all those seqs, one after the other: the
    edge gives up a batch unseen only when it is the very batch that the ledger has.
    """

    stream: Stream
    lane: Lane
    ranges: tuple[tuple[Seq, Seq], ...]
    digests: bytes = b""


class Hello(_Message, frozen=True):
    """The edge opens a session. ``streams`` lists the streams with queued batches that it is about, oldest
    first, and last the one that is open now; ``queued`` their bounds; ``configs`` the content hashes of what
    runs.
    """

    edge: str
    session: bytes
    protocol: int
    streams: tuple[Stream, ...]
    queued: tuple[Bounds, ...]
    configs: dict[str, str]
    catalogue: bytes
    sent_at: int


class Welcome(_Message, frozen=True):
    """The cloud answers: what of the queued seqs the ledger already has, and how much may be under way."""

    session: bytes
    protocol: int
    has: tuple[Ranges, ...]
    window_bytes: int
    server_time: int


class Rejected(_Message, frozen=True):
    """The cloud cannot talk to this edge; ``reason`` says what to change."""

    session: bytes
    reason: str


class Batch(_Message, frozen=True):
    """The envelope of one sealed batch; ``count`` is the samples, actions or events in the blob.

    ``rotten``: the edge's disk changed the blob after it was sealed. It goes to quarantine, the lane goes on.
    """

    session: bytes
    stream: Stream
    lane: Lane
    seq: Seq
    digest: Digest
    count: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    historical: bool
    blob: bytes
    rotten: bool = False

    @property
    def key(self) -> BatchKey:
        return BatchKey(self.stream, self.lane, self.seq)


class Ack(_Message, frozen=True):
    """These batches are in the ledger, on disk. Ordered lanes acknowledge cumulatively: one range."""

    session: bytes
    acked: tuple[Ranges, ...]


class Fork(_Message, frozen=True):
    """The ledger has this key with another digest. The batch gets a new key; people are alarmed."""

    session: bytes
    stream: Stream
    lane: Lane
    seq: Seq
    ledgered: Digest


class SessionUnknown(_Message, frozen=True):
    """The cloud got a batch of a session it does not know (it restarted): say hello again.

    An empty ``session`` means every session: a cloud that has just started says so to all its edges.
    """

    session: bytes


UpMessage = Hello | Batch
DownMessage = Welcome | Rejected | Ack | Fork | SessionUnknown

_encoder = msgspec.msgpack.Encoder()
_hello = msgspec.msgpack.Decoder(Hello)
_batch = msgspec.msgpack.Decoder(Batch)
_down = msgspec.msgpack.Decoder(DownMessage)


def encode(message: UpMessage | DownMessage) -> bytes:
    """Bytes of one message of the link."""
    return _encoder.encode(message)


def decode_hello(data: bytes) -> Hello:
    """Hello; raises UndecodableError."""
    try:
        return _hello.decode(data)
    except MALFORMED as error:
        raise UndecodableError(f"not a hello: {error}") from error


def decode_batch(data: bytes) -> Batch:
    """Batch envelope; raises UndecodableError."""
    try:
        return _batch.decode(data)
    except MALFORMED as error:
        raise UndecodableError(f"not a batch: {error}") from error


def decode_down(data: bytes) -> DownMessage:
    """A message on ``down/session``; raises UndecodableError."""
    try:
        message: DownMessage = _down.decode(data)
    except MALFORMED as error:
        raise UndecodableError(f"not a message of the session: {error}") from error
    return message
