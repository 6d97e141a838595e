"""Lives that outlast what was told of them: counted life by life, and a note of the model when there are more
of them than chance explains.

Of each life the first finite interval that was told is the one that counts, so that lives are independent.
Only its upper end can be held against what happened: a machine that is mended in time has not failed, and
says nothing of the lower one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
from sqlalchemy import Connection, insert, select

from cloud.hub import Hub, ModelsChanged
from cloud.maintenance.rul import lives, registry
from cloud.maintenance.rul.drift import Ended, surprised
from cloud.maintenance.rul.drifting import NOTE
from cloud.maintenance.rul.lives import RemainingLife, ScoredRow
from cloud.maintenance.rul.registry import DriftKind
from cloud.maintenance.rul.tables import LIFE_END
from cloud.orders import exceptions
from cloud.store.database import Database
from cloud.store.outage import Outage
from protocols.clock import Clock

LOOK = 3600.0
"""Seconds between two looks: all rows of every life are read."""


def told(rows: Sequence[ScoredRow]) -> Ended | None:
    """The first finite interval that was told of a life, and the rows it went on from there; None before.

    The lower end is 0: it is not held against anything.
    """
    for place, row in enumerate(rows):
        if row.regime >= 0 and row.upper is not None:
            return Ended(0.0, row.upper, sum(1.0 + after.missed for after in rows[place + 1 :]))
    return None


def outlived(one: Ended) -> bool:
    """Whether it went on for longer than was told."""
    return one.upper is not None and one.life > one.upper


class Lived(msgspec.Struct, frozen=True):
    """A life that is to be counted: it ended, or outlasted what was told of it."""

    asset: str
    version: str
    since: int
    upper: float
    lived: float


def due(tx: Connection, life: RemainingLife) -> list[Lived]:
    """The lives of an asset under its model that are to be counted and were not."""
    at = LIFE_END.c
    query = select(at.since).where(at.asset == life.asset, at.version == life.version)
    counted, found = set(tx.execute(query).scalars()), []
    for since in lives.beginnings(tx, life.asset, life.version):
        one = None if since in counted else told(lives.rows_of(tx, life.asset, life.version, since))
        if one is not None and one.upper is not None and (outlived(one) or since != life.since):
            found.append(Lived(life.asset, life.version, since, one.upper, one.life))
    return found


def count(tx: Connection, found: Sequence[Lived], now: int) -> bool:
    """Count lives; whether a model's alarm began or ended."""
    for one in found:
        tx.execute(insert(LIFE_END).values(**msgspec.structs.asdict(one), ts=now))
    changed = [_judge(tx, version, now) for version in sorted({one.version for one in found})]
    return any(changed)


def _judge(tx: Connection, version_id: str, now: int) -> bool:
    """Raise or end the alarm of a version; whether it did."""
    version, at = registry.version(tx, version_id), LIFE_END.c
    found = tx.execute(select(at.upper, at.lived).where(at.version == version_id)).all()
    ended = [Ended(0.0, row.upper, row.lived) for row in found]
    # Above the interval lies half of what lies outside of it.
    level = 1.0 - (1.0 - version.summary["level"]) / 2
    longer, chance, alarm = surprised(ended, level)
    text = (
        f"{longer} of {len(ended)} lives went on for longer than the upper end that was told of them "
        f"(chance {chance:.1%} were the model right)"
    )
    if alarm and version.drift_kind is DriftKind.NONE:
        name = version.summary["name"]
        note = f"model {name} of {version.scope} may fit no more: {text}. No machine is suspected"
        exceptions.record(tx, ts=now, kind=NOTE, text=note, concerns=version_id)
    if alarm and version.drift_kind is not DriftKind.SIGNALS:
        registry.drifted(tx, version_id, DriftKind.ENDS, text, now)
        return True
    if not alarm and version.drift_kind is DriftKind.ENDS:
        registry.drifted(tx, version_id, DriftKind.NONE, "", now)
        exceptions.settle(tx, ts=now, kind=NOTE, concerns=version_id)
        return True
    return False


@dataclass(slots=True)
class LifeEnds:
    """One task."""

    database: Database
    hub: Hub
    clock: Clock
    _outage: Outage = field(default_factory=lambda: Outage("ends of lives"), init=False)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK)

    async def look(self) -> None:
        """Count once."""
        with self._outage.survived():
            found: list[Lived] = []
            for life in (await self.database.query(lives.lives)).values():
                found += await self.database.query(partial(_due, life))
            now = self.clock.now()
            if not found:
                return
            if await self.database.run(partial(_counted, found, now)):
                self.hub.publish(ModelsChanged())


def _counted(found: Sequence[Lived], now: int, tx: Connection) -> bool:
    return count(tx, found, now)


def _due(life: RemainingLife, tx: Connection) -> list[Lived]:
    return due(tx, life)
