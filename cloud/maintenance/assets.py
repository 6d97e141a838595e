"""What is known of the assets' health, in the database: kept over restarts, forgotten after a repair."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog
from sqlalchemy import Connection, select, update

from cloud.maintenance.health.asset import AssetHealth
from cloud.maintenance.health.sensor import Fault
from cloud.maintenance.tables import ASSET_HEALTH
from cloud.store.database import insert_into

log = structlog.get_logger(__name__)

CHUNK = 400
"""Assets asked for in one query."""


class _Since(msgspec.Struct):
    """The part of an :class:`AssetHealth` that says since when it is learned."""

    since: int = 0


_health = msgspec.msgpack.Decoder(AssetHealth)
_since = msgspec.msgpack.Decoder(_Since)


class HealthRow(msgspec.Struct, frozen=True):
    """The present health of one asset; ``health`` is None while it is learning."""

    asset: str
    device: str
    state: str
    health: float | None
    updated: int


def healths(tx: Connection) -> list[HealthRow]:
    """Health of every asset that was ever scored, by device."""
    table = ASSET_HEALTH
    query = select(table.c.asset, table.c.device, table.c.state, table.c.health, table.c.updated)
    return [HealthRow(*row) for row in tx.execute(query.order_by(table.c.device))]


def load(tx: Connection, asset: str = "") -> dict[str, AssetHealth]:
    """What was learned, by asset; of one alone where it is named."""
    query = select(ASSET_HEALTH.c.asset, ASSET_HEALTH.c.model)
    if asset:
        query = query.where(ASSET_HEALTH.c.asset == asset)
    return {name: _decoded(name, model) for name, model in tx.execute(query)}


def save(tx: Connection, rows: Sequence[tuple[HealthRow, AssetHealth]]) -> None:
    """Keep what was learned; not what was learned before a person had the asset learned anew."""
    wanted = [row.asset for row, _ in rows]
    stored: dict[str, int] = {}
    for chunk in (wanted[at : at + CHUNK] for at in range(0, len(wanted), CHUNK)):
        query = select(ASSET_HEALTH.c.asset, ASSET_HEALTH.c.model).where(ASSET_HEALTH.c.asset.in_(chunk))
        stored.update((asset, _since_of(model)) for asset, model in tx.execute(query))
    for row, health in rows:
        if stored.get(row.asset, 0) > health.since:
            continue
        values = {
            "asset": row.asset,
            "device": row.device,
            "state": row.state,
            "health": row.health,
            "updated": row.updated,
            "model": msgspec.msgpack.encode(health),
        }
        statement = insert_into(tx, ASSET_HEALTH).values(values)
        changed = {name: value for name, value in values.items() if name != "asset"}
        tx.execute(statement.on_conflict_do_update(index_elements=["asset"], set_=changed))


def learn_anew(tx: Connection, asset: str, now: int, *, repaired: bool) -> None:
    """Forget what was normal of an asset: as it is from ``now`` (µs UTC) on is normal.

    ``repaired`` is false where a person only closed the case of a sensor: what is normal stays as it was,
    unless the sensor is another one now.
    """
    health = load(tx, asset).get(asset)
    if health is None:
        return
    if not repaired and all(fault is not Fault.CHANGED for _, fault, _ in health.faults()):
        return
    health.reset(now)
    anew = {"state": "learning", "health": None, "model": msgspec.msgpack.encode(health)}
    tx.execute(update(ASSET_HEALTH).where(ASSET_HEALTH.c.asset == asset).values(anew))


def _decoded(asset: str, model: bytes) -> AssetHealth:
    """What was learned; what an older version kept in another form is learned anew, and said."""
    try:
        return _health.decode(model)
    except msgspec.DecodeError as error:
        log.warning(
            "maintenance.learned_anew", asset=asset, why=f"kept in a form of another version: {error}"
        )
        return AssetHealth()


def _since_of(model: bytes) -> int:
    try:
        return _since.decode(model).since
    except msgspec.DecodeError:
        return 0
