"""Models of remaining life on their way from the service to an edge (``down/models``).

A :class:`Deployment` says what each machine of an edge is to be scored with, and since when each is as new.
It is a snapshot: it may come again and again. The edge answers on the ``states`` lane with what it holds and
which files it wants (``ModelsHeld``); those follow in :class:`Part` after part. What makes a file
trustworthy is its own signature, checked at the edge with the edge's own keys.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec

from protocols.packing import MALFORMED, UndecodableError, pack, unpack

MAX_FILE = 16 * 1024 * 1024
"""Bytes of a model file that is brought into a service or sent to an edge; one of 600 trees has about one
million."""
PART = 256 * 1024
"""Bytes of a file in one message; packed it is about a third of that."""
MAX_PARTS = MAX_FILE // PART
MAX_BEGINNING = 256 * 1024
"""Bytes of what was remembered of one machine."""

NOBODY_TRUSTED = (
    "no key is trusted at this edge: name the public key (a file ending in .pub) in edge.yaml under life: "
    "trusted_keys"
)
FILE_FIRST = "edge.yaml names a file for this machine, which goes first: remove it there"
"""Why an edge refuses a model, where that says no names."""

Name = Annotated[str, msgspec.Meta(max_length=64)]
Sha = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Time = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Assigned(msgspec.Struct, frozen=True, omit_defaults=True):
    """The model of one machine: its id at the service, its hash, the bytes of its file.

    ``beginning`` is what the service remembered of the machine under it (:func:`beginning`), so that the edge
    goes on at its age; empty where there is nothing, or the edge has it.
    """

    device: Name
    asset: Name
    model: Name
    sha256: Sha
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_FILE)]
    beginning: Annotated[bytes, msgspec.Meta(max_length=MAX_BEGINNING)] = b""


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True, tag="deployment"):
    """All models of one edge. ``renewed`` has the time (µs UTC) since which a device's asset is as new, where
    that was ever said. ``id`` is the same for the same content, whatever the beginnings are.
    """

    edge: Name
    id: Name
    machines: Annotated[tuple[Assigned, ...], msgspec.Meta(max_length=1000)] = ()
    renewed: dict[Name, Time] = {}


class Part(msgspec.Struct, frozen=True, tag="part"):
    """Part ``number`` of ``count`` (from 0) of the file whose model has the hash."""

    sha256: Sha
    number: Annotated[int, msgspec.Meta(ge=0, lt=MAX_PARTS)]
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_PARTS)]
    data: Annotated[bytes, msgspec.Meta(max_length=PART)]


class Beginning(msgspec.Struct, frozen=True, array_like=True):
    """A packed stretch, and what the assembler of rows remembered of the row that is not closed yet."""

    stretch: bytes
    row: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Deployment | Part)


_beginning = msgspec.msgpack.Decoder(Beginning)


def beginning(stretch: bytes, row: bytes) -> bytes:
    """What is remembered of a machine, for :class:`Assigned`."""
    return _encoder.encode(Beginning(stretch, row))


def begun(data: bytes) -> Beginning:
    """The same, read; raises UndecodableError."""
    try:
        return _beginning.decode(data)
    except MALFORMED as error:
        raise UndecodableError(f"not what is remembered of a machine: {error}") from error


def deployment(edge: str, machines: tuple[Assigned, ...], renewed: dict[str, int]) -> Deployment:
    """A deployment with its id."""
    plain = [(one.device, one.asset, one.sha256) for one in machines]
    content = _encoder.encode((sorted(plain), sorted(renewed.items())))
    return Deployment(edge, hashlib.sha256(content).hexdigest()[:16], machines, renewed)


def parts(sha256: str, file: bytes) -> list[Part]:
    """A model file in as many parts as it takes."""
    pieces = [file[at : at + PART] for at in range(0, len(file), PART)]
    return [Part(sha256, number, len(pieces), piece) for number, piece in enumerate(pieces)]


def encode(message: Deployment | Part) -> bytes:
    """Blob of a message."""
    return pack(_encoder.encode(message))


def decode(blob: bytes) -> Deployment | Part:
    """A message of a blob; raises UndecodableError."""
    try:
        message: Deployment | Part = _decoder.decode(unpack(blob))
    except MALFORMED as error:
        raise UndecodableError(f"not a deployment of models: {error}") from error
    if isinstance(message, Part) and message.number >= message.count:
        raise UndecodableError(f"part {message.number} of {message.count} of a model")
    return message
