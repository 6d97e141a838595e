"""Cases that a remaining life alone opens: the least life that is left falls into the time that is planned
ahead, though the machine still looks well.

One open case for each asset and failure mode, whoever opens it. That it does not flap: so many of the newest
rows must say it as windows of an alarm must; after a verdict the life must have been longer again, or have
begun anew; and false alarms use up the budget of the machine. The decision is pure, the rest a thin shell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import structlog
from sqlalchemy import Connection, select

from cloud.hub import CaseChanged, Hub
from cloud.maintenance import cases
from cloud.maintenance.assets import healths
from cloud.maintenance.case import Case, Verdict
from cloud.maintenance.health.budget import MONTH
from cloud.maintenance.health.evidence import Evidence
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.rul import foresight, lives
from cloud.maintenance.rul.lives import LifeState, RemainingLife, ScoredRow
from cloud.maintenance.tables import CASE
from cloud.store.database import Database
from cloud.store.outage import Outage
from protocols.clock import Clock
from protocols.lifecycles import CaseState
from protocols.prognostics.model import Contribution, Prognoser

log = structlog.get_logger(__name__)

LOOK = 10.0
"""Seconds between two looks."""
LONGER = 1.25
"""Times what is planned ahead that the least life must have been again after a verdict."""
WELL = 100.0
"""Health of a machine that was never judged by its own baseline."""


def is_short(rows: Sequence[ScoredRow], most: float, limits: Limits) -> bool:
    """Whether enough of the newest rows, the last among them, tell a least life of ``most`` or fewer."""
    newest = [row.lower <= most for row in rows[-limits.of_windows :]]
    return bool(newest) and newest[-1] and sum(newest) >= limits.alarm_windows


def may_open(past: Sequence[Case], life: RemainingLife, rows: Sequence[ScoredRow], most: float) -> bool:
    """Whether a life may open a case again after those of its asset and mode, newest first."""
    if not past:
        return True
    last = past[0]
    if last.state is not CaseState.CLOSED:
        return False
    if life.since > last.opened:
        return True  # it was repaired
    return any(row.end > last.changed and row.lower > LONGER * most for row in rows)


def in_budget(past: Sequence[Case], now: int, limits: Limits) -> bool:
    """Whether the false alarms of a machine leave room for one more suspicion: each uses up the budget of
    as many months as it takes to earn one.
    """
    earned = MONTH / limits.false_alarms
    return not any(
        case.verdict is Verdict.FALSE_ALARM and now - case.opened < earned and foresight.from_model(case)
        for case in past
    )


def evidence(device: str, found: Sequence[Contribution]) -> tuple[Evidence, ...]:
    """The signals that shorten a life, those that do so most first; values in spreads of their regime."""
    known = [one for one in found if one.current == one.current and one.normal == one.normal]
    shorter = [one for one in known if one.life < 0] or known
    total = sum(abs(one.life) for one in shorter) or 1.0
    return tuple(
        Evidence(
            tag=f"{device}/{one.signal}",
            regime=foresight.BY_MODEL,
            deviation=one.current - one.normal,
            current=one.current,
            normal=one.normal,
            spread=1.0,
            contribution=abs(one.life) / total,
        )
        for one in sorted(shorter, key=lambda one: one.life)
    )


def summary(life: RemainingLife, lower: float, within: float, found: Sequence[Evidence]) -> str:
    """Why, in words."""
    text = (
        f"model {life.model}: {lower:.0f} h of work are left at the least, fewer than the {within:g} h that "
        "its maintenance is planned ahead"
    )
    if found:
        first = found[0]
        text += f"; {first.tag} is {first.current:+.1f} spreads, {first.normal:+.1f} at its beginning"
    return text


@dataclass(slots=True)
class LifeCases:
    """One task. ``mode`` is the failure mode that a life is of; ``within`` says how many hours ahead the
    maintenance of a device is planned; ``prognosers`` are the models by version.
    """

    database: Database
    hub: Hub
    clock: Clock
    limits: Limits
    mode: str
    within: Callable[[str], float]
    prognosers: Callable[[], Mapping[str, Prognoser]]
    new_id: Callable[[], str] = lambda: str(uuid4())
    _judged: dict[str, tuple[int, int]] = field(default_factory=dict, init=False)
    """Asset → beginning of its life and its newest row when it was last looked at."""
    _outage: Outage = field(default_factory=lambda: Outage("cases of lives"), init=False)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            await self.look()

    async def look(self) -> None:
        """Open the cases that are due."""
        with self._outage.survived():
            for life in (await self.database.query(lives.lives)).values():
                seen = life.since, life.judged
                if life.state is not LifeState.SCORED or self._judged.get(life.asset) == seen:
                    continue
                opened = await self._consider(life)
                self._judged[life.asset] = seen
                if opened is not None:
                    log.info("case.opened", device=opened.device, why=opened.summary)
                    self.hub.publish(CaseChanged(opened.id))

    async def _consider(self, life: RemainingLife) -> Case | None:
        within = self.within(life.device)
        now, known = self.clock.now(), self.prognosers().get(life.version)

        def due(tx: Connection) -> Case | None:
            return self._due(tx, life, within, known, now)

        case = await self.database.query(due)
        if case is None or not await self.database.run(partial(_open, case)):
            return None
        return case

    def _due(
        self, tx: Connection, life: RemainingLife, within: float, known: Prognoser | None, now: int
    ) -> Case | None:
        """The case that a life opens now; None: it opens none."""
        hours = foresight.hours(tx, life, now)
        a_row = foresight.hours_of_a_row(tx, life)
        if hours is None or hours.lower is None or not a_row or hours.lower > within:
            return None
        most = within / a_row
        rows = [
            row
            for row in lives.scored_rows(tx, life.asset, life.version, 500)
            if row.end > life.since and row.regime >= 0
        ]
        past = _past(tx, life.asset, self.mode)
        if not (
            is_short(rows, most, self.limits)
            and may_open(past, life, rows, most)
            and in_budget(past, now, self.limits)
        ):
            return None
        found = evidence(life.device, foresight.evidence(tx, life, known, 3) if known else [])
        health = next((row.health for row in healths(tx) if row.asset == life.asset), None)
        return Case(
            id=self.new_id(),
            asset=life.asset,
            device=life.device,
            mode=self.mode,
            state=CaseState.OPEN,
            opened=now,
            changed=now,
            health=WELL if health is None else health,
            summary=summary(life, hours.lower, within, found),
            evidence=found,
        )


def _open(case: Case, tx: Connection) -> bool:
    return cases.open_case(tx, case)


def _past(tx: Connection, asset: str, mode: str) -> list[Case]:
    """The cases of an asset and a mode, newest first."""
    query = select(CASE.c.id).where(CASE.c.asset == asset, CASE.c.mode == mode)
    found = tx.execute(query.order_by(CASE.c.opened.desc()).limit(50)).scalars().all()
    return [cases.find(tx, case) for case in found]
