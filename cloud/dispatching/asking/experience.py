"""What lately happened says of what is to come: by how much durations scatter, how often machines fail."""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import median, quantiles

import msgspec
from sqlalchemy import Connection, and_, func, select

from cloud.dispatching.questions.assumptions import Assumptions, Breakdowns
from cloud.ledger.tables import stop
from cloud.orders import tables as t
from protocols.lifecycles import RunState
from protocols.values import MICROSECONDS

DAYS = 90
"""How far back is looked."""

RUNS = 500
"""Finished runs that are looked at, the newest ones."""

ENOUGH = 20
"""Runs from which on their scatter is believed."""

FAILURES = 3
"""Stops of a workcell at work from which on it is expected to fail as often again."""

MOST = 2.0
"""Spread at most: what scatters more has other reasons than work."""


class Experience(msgspec.Struct, frozen=True):
    """``spread`` of durations as :class:`~cloud.dispatching.questions.assumptions.Assumptions` has it, None
    where fewer than :data:`ENOUGH` ``runs`` tell of it; ``breakdowns`` by workcell.
    """

    runs: int = 0
    spread: float | None = None
    breakdowns: dict[str, Breakdowns] = {}

    def assumptions(self, samples: int) -> Assumptions:
        """What is drawn in ``samples`` samples; what is not known is as everywhere."""
        usual = Assumptions()
        return Assumptions(
            spread=usual.spread if self.spread is None else self.spread,
            breakdowns=self.breakdowns,
            samples=samples,
        )


def experience(tx: Connection, now: int) -> Experience:
    """What the last :data:`DAYS` days before ``now`` (µs UTC) tell.

    Durations are compared with the planned ones of the same pieces, run by run, where a run made one
    operation only. That work takes longer than planned on the whole is not the scatter's doing: it is taken
    around its middle, by quartiles, so that a night which a run waited through does not count.
    """
    since = now - DAYS * 86_400 * MICROSECONDS
    shares = _shares(tx, since)
    spread = None
    if len(shares) >= ENOUGH:
        low, _, high = quantiles(map(math.log, shares), n=4)
        deviation = (high - low) / 1.349
        spread = min(MOST, math.sqrt(math.expm1(min(2.0, deviation * deviation))))
    return Experience(len(shares), None if spread is None else round(spread, 3), _breakdowns(tx, since))


def _shares(tx: Connection, since: int) -> list[float]:
    """Real by planned duration of finished runs."""
    run, part, operation = t.run, t.run_part, t.operation
    alone = select(part.c.run_id).group_by(part.c.run_id).having(func.count() == 1).subquery()
    rows = tx.execute(
        select(
            run.c.opened, run.c.ended, run.c.paused_us,
            part.c.good, part.c.scrap, part.c.rework,
            operation.c.setup_seconds, operation.c.seconds_per_run, operation.c.seconds_per_piece,
        )
        .join(alone, alone.c.run_id == run.c.id)
        .join(part, part.c.run_id == run.c.id)
        .join(operation, operation.c.id == part.c.operation_id)
        .where(
            run.c.state == RunState.COMPLETED, run.c.ended.is_not(None), run.c.opened >= since,
            part.c.effective,
        )
        .order_by(run.c.opened.desc())
        .limit(RUNS)
    )  # fmt: skip
    found: list[float] = []
    for row in rows:
        made = row.good + row.scrap + row.rework
        planned = float(row.setup_seconds + row.seconds_per_run + row.seconds_per_piece * made)
        took = (row.ended - row.opened - row.paused_us) / MICROSECONDS
        if made and planned > 0 and took > 0:
            found.append(took / planned)
    return found


def _breakdowns(tx: Connection, since: int) -> dict[str, Breakdowns]:
    """By workcell how often it stopped at work, and how long for."""
    run = t.run
    worked: dict[str, int] = defaultdict(int)
    for row in tx.execute(
        select(run.c.workcell, run.c.opened, run.c.ended, run.c.paused_us).where(
            run.c.ended.is_not(None), run.c.opened >= since
        )
    ):
        worked[row.workcell] += max(0, row.ended - row.opened - row.paused_us)
    at_work = and_(
        run.c.workcell == stop.c.workcell,
        run.c.opened >= since,
        run.c.opened <= stop.c.opened,
        run.c.ended > stop.c.opened,
    )
    stops: dict[str, dict[str, int]] = defaultdict(dict)
    query = select(stop.c.id, stop.c.workcell, stop.c.opened, stop.c.closed).join(run, at_work)
    for row in tx.execute(query.where(stop.c.closed.is_not(None), stop.c.opened >= since)):
        stops[row.workcell][row.id] = max(0, row.closed - row.opened)
    return {
        workcell: Breakdowns(
            mean_between=max(1.0, (worked[workcell] - sum(lasted.values())) / len(lasted) / MICROSECONDS),
            # Of exponential repairs; the mean would count the nights that some of them wait through.
            mean_repair=median(lasted.values()) / math.log(2) / MICROSECONDS,
        )
        for workcell, lasted in stops.items()
        if len(lasted) >= FAILURES
    }
