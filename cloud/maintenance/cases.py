"""Maintenance cases: one open case per asset and failure mode, from opened to closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, select, update

from cloud.maintenance.baseline import AssetHealth, Evidence
from cloud.maintenance.tables import ASSET_HEALTH, CASE
from cloud.store.database import insert_into
from protocols.lifecycles import CASE as LIFECYCLE
from protocols.lifecycles import CaseEvent, CaseState

_health = msgspec.msgpack.Decoder(AssetHealth)
_evidence = msgspec.msgpack.Decoder(list[Evidence])


class Case(msgspec.Struct, frozen=True):
    """One suspicion about one asset. Times in µs UTC; ``health`` is as it was when the case was opened;
    ``changed_by`` is None until a person takes it on.
    """

    id: str
    asset: str
    device: str
    mode: str
    state: CaseState
    opened: int
    changed: int
    health: float
    summary: str
    evidence: tuple[Evidence, ...]
    changed_by: str | None = None


class HealthRow(msgspec.Struct, frozen=True):
    """The present health of one asset; ``health`` is None while it is learning."""

    asset: str
    device: str
    state: str
    health: float | None
    updated: int


class NoSuchCaseError(KeyError):
    """There is no case of that id."""


def open_case(tx: Connection, case: Case) -> bool:
    """Open ``case`` unless one of the same asset and mode is open already; True when it was opened."""
    same = select(CASE.c.id).where(
        CASE.c.asset == case.asset, CASE.c.mode == case.mode, CASE.c.state != CaseState.CLOSED
    )
    if tx.execute(same).first() is not None:
        return False
    tx.execute(
        CASE.insert().values(
            id=case.id,
            asset=case.asset,
            device=case.device,
            mode=case.mode,
            state=case.state,
            opened=case.opened,
            changed=case.changed,
            health=case.health,
            summary=case.summary,
            evidence=msgspec.msgpack.encode(case.evidence),
        )
    )
    return True


def advance(tx: Connection, case_id: str, event: CaseEvent, now: int, actor: str) -> Case:
    """Apply ``event`` for ``actor``; raises NoSuchCaseError or an IllegalTransitionError with what can be.

    A machine that was repaired, or that a person judges to be well, is learned anew: as it is now is normal.
    Otherwise it would stay under its old alarm for ever, and nothing new could be noticed.
    """
    row = tx.execute(select(CASE).where(CASE.c.id == case_id)).mappings().first()
    if row is None:
        raise NoSuchCaseError(case_id)
    state = LIFECYCLE.next(case_id, CaseState(row["state"]), event)
    changes = {"state": state, "changed": now, "changed_by": actor}
    tx.execute(update(CASE).where(CASE.c.id == case_id).values(changes))
    if event is CaseEvent.FINISH or (event is CaseEvent.CLOSE and row["state"] != CaseState.DONE):
        _learn_anew(tx, row["asset"], now)
    return _case({**dict(row), **changes})


def _learn_anew(tx: Connection, asset: str, now: int) -> None:
    this = ASSET_HEALTH.c.asset == asset
    model = tx.execute(select(ASSET_HEALTH.c.model).where(this)).scalar_one_or_none()
    if model is not None:
        health = _health.decode(model)
        health.reset(now)
        anew = {"state": "learning", "health": None, "model": msgspec.msgpack.encode(health)}
        tx.execute(update(ASSET_HEALTH).where(this).values(anew))


def cases(tx: Connection, *, open_only: bool = False, limit: int = 500) -> list[Case]:
    """Cases, newest first."""
    query = select(CASE).order_by(CASE.c.opened.desc()).limit(limit)
    if open_only:
        query = query.where(CASE.c.state != CaseState.CLOSED)
    return [_case(dict(row)) for row in tx.execute(query).mappings()]


def healths(tx: Connection) -> list[HealthRow]:
    """Health of every asset that was ever scored, by device."""
    table = ASSET_HEALTH
    query = select(table.c.asset, table.c.device, table.c.state, table.c.health, table.c.updated)
    return [HealthRow(*row) for row in tx.execute(query.order_by(table.c.device))]


def load(tx: Connection) -> dict[str, AssetHealth]:
    """What was learned, by asset."""
    rows = tx.execute(select(ASSET_HEALTH.c.asset, ASSET_HEALTH.c.model))
    return {asset: _health.decode(model) for asset, model in rows}


def save(tx: Connection, rows: Sequence[tuple[HealthRow, AssetHealth]]) -> None:
    """Keep what was learned; not what was learned before a person had the asset learned anew."""
    stored = load(tx)
    for row, health in rows:
        if row.asset in stored and stored[row.asset].since > health.since:
            continue
        values = {
            "asset": row.asset,
            "device": row.device,
            "state": row.state,
            "health": row.health,
            "updated": row.updated,
            "model": msgspec.msgpack.encode(health),
        }
        insert = insert_into(tx, ASSET_HEALTH).values(values)
        changed = {name: value for name, value in values.items() if name != "asset"}
        tx.execute(insert.on_conflict_do_update(index_elements=["asset"], set_=changed))


def _case(row: Mapping[str, Any]) -> Case:
    return Case(
        **{
            **row,
            "state": CaseState(row["state"]),
            "evidence": tuple(_evidence.decode(row["evidence"])),
        }
    )
