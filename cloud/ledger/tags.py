"""From the tag numbers of an edge to the cloud's own tag ids, by way of catalogues."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update

from cloud.ledger import tables
from cloud.store.database import Database, insert_into
from protocols.catalogue import Catalogue

CACHED = 256
"""Catalogues whose map is kept in memory."""

_CHUNK = 500
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Catalogue)

T = TypeVar("T")

Identity = tuple[str, str, str]
"""Path, type and unit: what makes a tag a tag."""


class TagMap:
    """Maps of the catalogues that arrived, as committed. Any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._guard = threading.Lock()
        self._maps: OrderedDict[bytes, Mapping[int, int]] = OrderedDict()

    def ids(self, catalogue: bytes) -> Mapping[int, int] | None:
        """Tag number → tag id, or None while that catalogue has not arrived."""
        with self._guard:
            known = self._maps.get(catalogue)
            if known is not None:
                self._maps.move_to_end(catalogue)
                return known
        with self._database.read() as reader:
            document = reader.scalar(
                select(tables.catalogue.c.document).where(tables.catalogue.c.hash == catalogue)
            )
            if document is None:
                return None
            tags = _decoder.decode(document).tags
            known_ids = _ids_by_identity(reader, (tag.path for tag in tags))
        found = {tag.number: known_ids[tag.path, tag.type.value, tag.unit] for tag in tags}
        with self._guard:
            self._maps[catalogue] = found
            while len(self._maps) > CACHED:
                self._maps.popitem(last=False)
        return found


def announce(tx: Connection, edge: str, content_hash: bytes, catalogue: Catalogue, received: int) -> None:
    """Store a catalogue and give every new tag an id; raises ValueError when the hash is not its own."""
    if catalogue.content_hash() != content_hash:
        raise ValueError(
            f'catalogue of edge "{edge}" hashes to {catalogue.content_hash().hex()}, announced was '
            f"{content_hash.hex()}: edge and cloud must run the same version"
        )
    stored = tx.execute(
        insert_into(tx, tables.catalogue)
        .values(hash=content_hash, edge=edge, received=received, document=_encoder.encode(catalogue))
        .on_conflict_do_nothing()
    )
    already = stored.rowcount == 0
    row = tx.scalar(select(tables.edge.c.catalogue).where(tables.edge.c.id == edge))
    if already and row == content_hash:
        return
    listed = {(tag.path, tag.type.value, tag.unit): tag for tag in catalogue.tags}
    known = _known(tx, edge, (tag.path for tag in catalogue.tags))
    wanted = {
        identity: {
            "edge": edge,
            "device": tag.device,
            "role": tag.role,
            "max_interval": tag.max_interval,
            "current": True,
        }
        for identity, tag in listed.items()
    }
    new = [
        {"path": path, "type": kind, "unit": unit, "first_seen": received, **wanted[path, kind, unit]}
        for path, kind, unit in listed
        if (path, kind, unit) not in known
    ]
    changed = []
    for identity, (tag_id, now) in known.items():
        then = wanted.get(identity)
        if then is None and now["edge"] == edge:  # no longer listed: it stays with what was sampled
            then = {**now, "current": False}
        if then is not None and then != now:
            changed.append({"tag_id": tag_id, **{f"to_{name}": value for name, value in then.items()}})
    if new:
        tx.execute(insert(tables.tag), new)
    if changed:
        tx.execute(_CHANGE, changed)
    tx.execute(update(tables.edge).where(tables.edge.c.id == edge).values(catalogue=content_hash))


_DESCRIBED = ("edge", "device", "role", "max_interval", "current")
_CHANGE = (
    update(tables.tag)
    .where(tables.tag.c.id == bindparam("tag_id"))
    .values({name: bindparam(f"to_{name}") for name in _DESCRIBED})
)


def _known(tx: Connection, edge: str, paths: Iterable[str]) -> dict[Identity, tuple[int, dict[str, Any]]]:
    """Tags of the paths or of the edge, by identity: id and what may change about them."""
    at = tables.tag.c
    columns = select(at.id, at.path, at.type, at.unit, *(at[name] for name in _DESCRIBED))
    conditions = [at.edge == edge, *(at.path.in_(chunk) for chunk in _chunks(set(paths)))]
    found: dict[Identity, tuple[int, dict[str, Any]]] = {}
    for condition in conditions:
        for tag_id, path, kind, unit, *described in tx.execute(columns.where(condition)):
            found[path, kind, unit] = tag_id, dict(zip(_DESCRIBED, described, strict=True))
    return found


def _ids_by_identity(reader: Connection, paths: Iterable[str]) -> dict[Identity, int]:
    found: dict[Identity, int] = {}
    columns = (tables.tag.c.id, tables.tag.c.path, tables.tag.c.type, tables.tag.c.unit)
    for chunk in _chunks(set(paths)):
        for tag_id, path, kind, unit in reader.execute(select(*columns).where(tables.tag.c.path.in_(chunk))):
            found[path, kind, unit] = tag_id
    return found


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(itertools.islice(rest, _CHUNK)):
        yield chunk
