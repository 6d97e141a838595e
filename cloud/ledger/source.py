"""The ledger as the history reads it: telemetry by cursor, and how far it got."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, select

from cloud.ledger import quarantine, tables
from cloud.ledger.tags import TagMap
from cloud.store.database import Database, insert_into
from protocols.lanes import Lane

_PAGE = 64
HISTORY = "history"
"""Name of the projection into the history."""


class LedgerRow(msgspec.Struct, frozen=True):
    """One ledgered batch. ``received`` in µs UTC."""

    id: int
    edge: str
    lane: Lane
    historical: bool
    received: int
    blob: bytes


def read_after(
    reader: Connection, cursor: int, limit_bytes: int, lane: Lane = Lane.TELEMETRY
) -> list[LedgerRow]:
    """Decodable batches of a lane with a higher id, ascending, until ``limit_bytes`` of blobs are reached.

    Ids grow in the order of commits, so a reader that remembers the last id misses nothing.
    """
    at = tables.batch.c
    rows: list[LedgerRow] = []
    size = 0
    while size < limit_bytes:
        page = (
            reader.execute(
                select(at.id, at.edge, at.lane, at.historical, at.received, at.blob)
                .where(at.lane == lane.value, at.id > cursor, at.decodable)
                .order_by(at.id)
                .limit(_PAGE)
            )
            .mappings()
            .all()
        )
        for found in page:
            rows.append(_row(found))
            cursor = found["id"]
            size += len(found["blob"])
            if size >= limit_bytes:
                break
        if len(page) < _PAGE:
            break
    return rows


def progress(reader: Connection, name: str = HISTORY) -> tuple[int, int]:
    """The newest telemetry batch, and up to which one a projection has come; 0 where there is none."""
    batch, projected = tables.batch.c, tables.projection.c
    decodable = (batch.lane == Lane.TELEMETRY.value) & batch.decodable
    newest = reader.scalar(select(batch.id).where(decodable).order_by(batch.id.desc()).limit(1))
    cursor = reader.scalar(select(projected.cursor).where(projected.name == name))
    return int(newest or 0), int(cursor or 0)


def read_one(reader: Connection, row: int) -> LedgerRow | None:
    """One batch by id; None when it was pruned."""
    at = tables.batch.c
    found = (
        reader.execute(
            select(at.id, at.edge, at.lane, at.historical, at.received, at.blob).where(at.id == row)
        )
        .mappings()
        .first()
    )
    return None if found is None else _row(found)


def _row(found: RowMapping) -> LedgerRow:
    return LedgerRow(
        found["id"],
        found["edge"],
        Lane(found["lane"]),
        bool(found["historical"]),
        found["received"],
        bytes(found["blob"]),
    )


class ProjectionSource:
    """What a projection needs: rows, tag ids, and its own place in the database under ``name``.

    ``want(edge, catalogue)`` is called for a catalogue that is not here. Any one thread.
    """

    def __init__(
        self, database: Database, tag_map: TagMap, want: Callable[[str, bytes], None], name: str = HISTORY
    ) -> None:
        self._database = database
        self._tag_map = tag_map
        self._want = want
        self._name = name

    def read_after(self, cursor: int, limit_bytes: int) -> Sequence[LedgerRow]:
        """See :func:`read_after`."""
        with self._database.read() as reader:
            return read_after(reader, cursor, limit_bytes)

    def read_one(self, row: int) -> LedgerRow | None:
        """See :func:`read_one`."""
        with self._database.read() as reader:
            return read_one(reader, row)

    def tag_ids(self, edge: str, catalogue: bytes) -> Mapping[int, int] | None:
        """Tag number → tag id, or None while that catalogue has not arrived; then it is asked for."""
        known = self._tag_map.ids(catalogue)
        if known is None:
            self._want(edge, catalogue)
        return known

    def refuse(self, row: int, problem: str) -> None:
        """Put a ledgered batch that cannot be read into the quarantine; durable on return. Once is enough."""
        self._database.write(lambda tx: quarantine.refuse(tx, row, problem)).result()

    def load(self) -> tuple[int, tuple[int, ...]]:
        """Cursor and rows held back; (0, ()) before the first time."""
        at = tables.projection.c
        with self._database.read() as reader:
            found = reader.execute(select(at.cursor, at.held).where(at.name == self._name)).first()
        return (0, ()) if found is None else (int(found.cursor), tuple(found.held))

    def save(self, cursor: int, held: tuple[int, ...]) -> None:
        """Keep cursor and rows held back; durable on return."""

        def work(tx: Connection) -> None:
            statement = insert_into(tx, tables.projection).values(
                name=self._name, cursor=cursor, held=list(held)
            )
            tx.execute(
                statement.on_conflict_do_update(
                    index_elements=["name"],
                    set_={"cursor": statement.excluded.cursor, "held": statement.excluded.held},
                )
            )

        self._database.write(work).result()
