"""Tag numbers: an edge numbers the tags it reads, keeps the numbers, and never gives one a second meaning."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from protocols.catalogue import Catalogue, TagDefinition, catalogue

KEPT_CATALOGUES = 100
_decoder = msgspec.msgpack.Decoder(Catalogue)


def number_tags(db: sqlite3.Connection, edge: str, tags: Iterable[TagDefinition]) -> Catalogue:
    """Catalogue of ``tags`` with the numbers this file has for them, new ones for new meanings.

    The ``number`` of the given definitions is not looked at. A tag whose type or unit changes gets another
    number; when it changes back, its old one. Raises ValueError on a path given twice.
    """
    numbered: list[TagDefinition] = []
    paths: set[str] = set()
    for tag in tags:
        if tag.path in paths:
            raise ValueError(f'tag "{tag.path}" is declared twice: rename one of them')
        paths.add(tag.path)
        meaning = (tag.path, str(tag.type), tag.unit)
        found = db.execute(
            "SELECT number FROM tag_number WHERE path = ? AND type = ? AND unit = ?", meaning
        ).fetchone()
        if found is None:
            number = db.execute(
                "INSERT INTO tag_number (path, type, unit) VALUES (?, ?, ?)", meaning
            ).lastrowid
        else:
            (number,) = found
        numbered.append(msgspec.structs.replace(tag, number=number))
    return catalogue(edge, numbered)


def keep_catalogue(db: sqlite3.Connection, known: Catalogue, now: int) -> bytes:
    """Keep a catalogue for as long as batches may refer to it; returns its hash."""
    content_hash = known.content_hash()
    data = msgspec.msgpack.encode(known)
    db.execute("INSERT OR REPLACE INTO catalogue VALUES (?, ?, ?)", (content_hash, now, data))
    db.execute(
        "DELETE FROM catalogue WHERE hash NOT IN (SELECT hash FROM catalogue ORDER BY ts DESC LIMIT ?)",
        (KEPT_CATALOGUES,),
    )
    return content_hash


def kept_catalogue(db: sqlite3.Connection, content_hash: bytes) -> Catalogue | None:
    """The catalogue of a hash, when this edge still has it."""
    row = db.execute("SELECT data FROM catalogue WHERE hash = ?", (content_hash,)).fetchone()
    return None if row is None else _decoder.decode(row[0])
