"""The remaining lives in the database: what is shown of each asset, and the stretches it was made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec
from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from cloud.maintenance.rul.tables import LIFE_RENEWED, LIFE_STRETCH, REMAINING_LIFE
from cloud.store.database import insert_into
from protocols.prognostics import lifeline
from protocols.prognostics.lifeline import Score, Stretch
from protocols.prognostics.rows import Row, RowKind
from protocols.values import MICROSECONDS

KEPT = 4096
"""Rows of a life that are kept, at least: what is older is in the history of the samples alone."""
LIVES_KEPT = 400 * 86_400 * MICROSECONDS
"""µs for which the lives before the present one are kept."""


class LifeState(StrEnum):
    """What the service does with an asset's remaining life."""

    WAITING = "waiting"
    """No row of samples has come yet."""
    BEHIND = "behind"
    """Samples that came late, or are stored from before, are being worked through."""
    FROZEN = "frozen"
    """It is not judged: a sensor cannot be believed, or the model does not know what the machine does."""
    SCORED = "scored"


class RemainingLife(msgspec.Struct, frozen=True):
    """What the active model says of an asset. Lives are in ``unit``; ``upper`` is None beyond the horizon.

    The life began at ``since`` (µs UTC; 0: when samples began to come); ``age`` counts its rows, those that
    were missed too. ``row_end`` is when the newest row stood, ``judged`` that of the row which ``life`` and
    its bounds belong to (0: there is none yet). ``says`` tells it in words where it is not scored.
    """

    asset: str
    device: str
    version: str
    model: str
    unit: str
    horizon: float
    level: float
    row: RowKind
    since: int
    age: int
    row_end: int
    judged: int
    life: float | None
    lower: float | None
    upper: float | None
    state: LifeState
    says: str = ""


class ScoredRow(msgspec.Struct, frozen=True):
    """One row with its score; ``count`` is the counter's value, ``regime`` -1 for one the model has not."""

    end: int
    count: float
    missed: int
    values: tuple[float, ...]
    regime: int
    life: float
    lower: float
    upper: float | None


class Kept(msgspec.Struct, frozen=True):
    """A stretch as it is stored: of which asset, model and life."""

    asset: str
    version: str
    since: int
    stretch: Stretch
    tidy: bool = True
    """Whether what is stored of it may have to go."""


Insert = sqlite.Insert | postgresql.Insert
_encode = msgspec.msgpack.Encoder().encode
_life = msgspec.msgpack.Decoder(RemainingLife).decode


def lives(tx: Connection, asset: str = "") -> dict[str, RemainingLife]:
    """What is shown, by asset; of one alone where it is named."""
    query = select(REMAINING_LIFE.c.asset, REMAINING_LIFE.c.content)
    if asset:
        query = query.where(REMAINING_LIFE.c.asset == asset)
    return {name: _life(content) for name, content in tx.execute(query)}


def show(tx: Connection, shown: Iterable[RemainingLife]) -> None:
    """Keep what is shown now."""
    rows = [
        {
            "asset": life.asset,
            "device": life.device,
            "version": life.version,
            "updated": life.row_end,
            "content": _encode(life),
        }
        for life in shown
    ]
    if rows:
        tx.execute(_upsert(tx, REMAINING_LIFE, ("asset",)), rows)


def hide_others(tx: Connection, assets: Sequence[str]) -> None:
    """Forget what was shown of all assets but these: no active model tells of them any more."""
    kept = set(assets)
    for asset in lives(tx):
        if asset not in kept:
            tx.execute(delete(REMAINING_LIFE).where(REMAINING_LIFE.c.asset == asset))


def keep(tx: Connection, stretches: Iterable[Kept]) -> None:
    """Keep stretches; of a life that was taken back those that begin later go, and those of long ago."""
    at = LIFE_STRETCH.c
    rows = []
    for kept in stretches:
        stretch = kept.stretch
        ends = stretch.rows[-1].end if stretch.rows else 0
        if kept.tidy:
            same = (at.asset == kept.asset) & (at.version == kept.version)
            gone = (at.since == kept.since) & ((at.first > stretch.first) | (at.first < stretch.first - KEPT))
            tx.execute(delete(LIFE_STRETCH).where(same & (gone | (at.ends < ends - LIVES_KEPT))))
        rows.append(
            {
                "asset": kept.asset,
                "version": kept.version,
                "since": kept.since,
                "first": stretch.first,
                "begins": stretch.rows[0].end if stretch.rows else 0,
                "ends": ends,
                "content": lifeline.packed(stretch),
            }
        )
    if rows:
        tx.execute(_upsert(tx, LIFE_STRETCH, ("asset", "version", "since", "first")), rows)


def _upsert(tx: Connection, table: Table, keys: Sequence[str]) -> Insert:
    """Insert rows, or change those that are there; one statement for all of them."""
    statement = insert_into(tx, table)
    names = [column.name for column in table.columns if column.name not in ("id", *keys)]
    return statement.on_conflict_do_update(
        index_elements=list(keys), set_={name: statement.excluded[name] for name in names}
    )


def newest(tx: Connection, asset: str, version: str, since: int, before: int | None = None) -> Stretch | None:
    """The last stretch of a life under a model; with ``before`` the last whose rows begin before it."""
    at = LIFE_STRETCH.c
    query = select(at.content).where(at.asset == asset, at.version == version, at.since == since)
    if before is not None:
        query = query.where(at.begins < before)
    content = tx.execute(query.order_by(at.first.desc()).limit(1)).scalar_one_or_none()
    return None if content is None else lifeline.unpacked(content)


def scored_rows(tx: Connection, asset: str, version: str, limit: int = 1000) -> list[ScoredRow]:
    """The newest rows of an asset under a model with their scores, oldest first, over all of its lives."""
    at = LIFE_STRETCH.c
    query = select(at.content).where(at.asset == asset, at.version == version)
    found: list[ScoredRow] = []
    for content in tx.execute(query.order_by(at.since.desc(), at.first.desc())).scalars():
        stretch = lifeline.unpacked(content)
        pairs = zip(stretch.rows, stretch.scores, strict=True)
        found = [*(_scored(row, score) for row, score in pairs), *found]
        if len(found) >= limit:
            break
    return found[-limit:]


def beginnings(tx: Connection, asset: str, version: str) -> list[int]:
    """When each life of an asset under a model began (µs UTC), as far as rows of it are kept."""
    at = LIFE_STRETCH.c
    query = select(at.since).where(at.asset == asset, at.version == version).distinct()
    return sorted(tx.execute(query).scalars())


def rows_of(tx: Connection, asset: str, version: str, since: int) -> list[ScoredRow]:
    """The rows of one life that are kept, with their scores, oldest first."""
    at = LIFE_STRETCH.c
    query = select(at.content).where(at.asset == asset, at.version == version, at.since == since)
    found: list[ScoredRow] = []
    for content in tx.execute(query.order_by(at.first)).scalars():
        stretch = lifeline.unpacked(content)
        found += [_scored(row, score) for row, score in zip(stretch.rows, stretch.scores, strict=True)]
    return found


def _scored(row: Row, score: Score) -> ScoredRow:
    return ScoredRow(
        row.end, row.count, row.missed, row.values, score.regime, score.life, score.lower, score.upper
    )


def renew(tx: Connection, asset: str, since: int, actor: str, reason: str) -> None:
    """The asset is as new from ``since`` (µs UTC) on: its life begins there."""
    values = {"asset": asset, "since": since, "actor": actor, "reason": reason}
    changed = {name: value for name, value in values.items() if name != "asset"}
    statement = insert_into(tx, LIFE_RENEWED).values(values)
    tx.execute(statement.on_conflict_do_update(index_elements=["asset"], set_=changed))


def renewals(tx: Connection) -> dict[str, int]:
    """Since when each asset is as new (µs UTC), where that was ever said."""
    found = tx.execute(select(LIFE_RENEWED.c.asset, LIFE_RENEWED.c.since))
    return {row.asset: row.since for row in found}
