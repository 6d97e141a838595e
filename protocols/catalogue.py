"""The catalogue: what the tag numbers of an edge mean.

A tag's identity is its path. The edge gives it a number, persists it and never re-uses it; a tag whose
type or unit changes gets a new number. The cloud maps (edge, number) to tag ids of its own.
"""

from __future__ import annotations

import hashlib
import itertools

import msgspec

from protocols.values import DataType


class TagDefinition(msgspec.Struct, frozen=True, array_like=True):
    """One tag of an edge. ``path`` is ``device/name``; ``role`` is the profile's semantic role or ""."""

    number: int
    path: str
    type: DataType
    unit: str = ""
    role: str = ""
    device: str = ""
    max_interval: float = 0.0
    """Seconds after which a healthy tag is repeated though it has not changed; 0 means never."""


class Catalogue(msgspec.Struct, frozen=True, array_like=True):
    """All tags of an edge at one time, sorted by number."""

    edge: str
    tags: tuple[TagDefinition, ...]

    def content_hash(self) -> bytes:
        """16 bytes that change whenever the meaning of any number changes."""
        return hashlib.blake2b(msgspec.msgpack.encode(self), digest_size=16).digest()


def catalogue(edge: str, tags: list[TagDefinition]) -> Catalogue:
    """Catalogue with its tags in order; raises ValueError on a number or path given twice."""
    ordered = sorted(tags, key=lambda tag: tag.number)
    for before, after in itertools.pairwise(ordered):
        if before.number == after.number:
            raise ValueError(f"tag number {after.number} is given to {before.path} and {after.path}")
    numbers: dict[str, int] = {}
    for tag in ordered:
        if tag.path in numbers:
            raise ValueError(f"tag {tag.path} is given number {numbers[tag.path]} and {tag.number}")
        numbers[tag.path] = tag.number
    return Catalogue(edge, tuple(ordered))
