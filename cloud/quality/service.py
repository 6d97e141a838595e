"""Charts what machines measure: values of tags that an inspection plan names, while a run of it is active.

A thin shell: it follows the samples, asks which runs are active, and charts through the same function as the
ledger does for what people measure. What an edge buffered during an outage is charted at its place in time,
for the run that was active then: it may open a nonconformance, but no station is told what an old value says.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from cloud.hub import (
    ActionsLedgered,
    EdgeChanged,
    Event,
    Hub,
    Lagged,
    OrdersChanged,
    QualityChanged,
    SamplesLedgered,
)
from cloud.ledger import reading
from cloud.orders import exceptions
from cloud.orders.tables import instruction, operation, run, run_part
from cloud.quality import charts
from cloud.quality.charts import Measured
from cloud.quality.effects import chart, chart_late
from cloud.quality.plans import decode
from cloud.store.database import Database, DatabaseClosedError, savepoint
from cloud.store.outage import Outage
from protocols.clock import Clock
from protocols.inspection import Characteristic, chart_at
from protocols.lifecycles import RunState
from protocols.site import Site
from protocols.spc.charts import SampleError
from protocols.values import MICROSECONDS

log = structlog.get_logger(__name__)

ACTIVE = (RunState.FIRST_PIECE, RunState.RUNNING)
"""States of a run in which its pieces are made."""
SHORTEST = MICROSECONDS // 10
"""µs between two charted values of one tag: what comes faster is left to the history."""
MOST_LATE = 10_000
"""Runs and charts whose late values are counted; more than that are forgotten."""
TRY_AGAIN = 5.0
"""Seconds until the active runs are asked for again after the database was away."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A tag that an active run charts."""

    characteristic: Characteristic
    workcell: str
    operation: str
    job: str
    run: str
    since: int = 0
    until: int = 2**62
    """When the run's pieces were made, µs UTC."""


@dataclass(slots=True)
class _Count:
    """Values of a tag in a run: how many came, and when the last one was."""

    seen: int = 0
    last: int = 0


def watched(tx: Connection, site: Site, between: tuple[int, int] | None = None) -> dict[int, list[Watched]]:
    """What active runs chart, by cloud tag id; or those that were active at some time ``between``, µs UTC."""
    active: ColumnElement[bool] = run.c.state.in_(ACTIVE)
    if between is not None:
        active = (run.c.opened <= between[1]) & or_(run.c.ended.is_(None), run.c.ended >= between[0])
    query = (
        select(
            run.c.id,
            run.c.workcell,
            operation.c.id,
            operation.c.job_id,
            instruction.c.inspection,
            func.coalesce(run.c.started, run.c.opened),
            func.coalesce(run.c.ended, 2**62),
        )
        .join(run_part, run_part.c.run_id == run.c.id)
        .join(operation, operation.c.id == run_part.c.operation_id)
        .join(instruction, instruction.c.operation_id == operation.c.id)
        .where(active, instruction.c.inspection != "[]")
        .order_by(run.c.opened, operation.c.id)
    )
    found: dict[int, list[Watched]] = defaultdict(list)
    tags: Sequence[reading.Tag] | None = None
    for run_id, workcell, operation_id, job, text, since, until in tx.execute(query):
        for planned in decode(text):
            if not planned.tag:
                continue
            if tags is None:
                tags = reading.tags(tx)
            for tag in _tags_of(tags, site, workcell, planned.tag):
                here = found[tag.id]
                # A run that covers several operations measures once for all of them.
                if not any(
                    each.run == run_id and each.characteristic.chart == planned.chart for each in here
                ):
                    here.append(Watched(planned, workcell, operation_id, job, run_id, since, until))
    return dict(found)


def _tags_of(tags: Sequence[reading.Tag], site: Site, workcell: str, name: str) -> Iterator[reading.Tag]:
    """Tags of a workcell's machines with this role, path, or last part of their path."""
    devices = {device.id for device in site.devices().values() if workcell in device.workcells}
    for tag in tags:
        if tag.device in devices and name in (tag.role, tag.path, tag.path.rpartition("/")[2]):
            yield tag


@dataclass(slots=True)
class QualityService:
    """One task; ``run`` lives in the service's TaskGroup."""

    database: Database
    hub: Hub
    clock: Clock
    site: Site
    _watched: Mapping[int, Sequence[Watched]] = field(default_factory=dict, init=False)
    _counts: dict[tuple[str, str], _Count] = field(default_factory=dict, init=False)
    _late_counts: dict[tuple[str, str], _Count] = field(default_factory=dict, init=False)
    _stale: bool = field(default=True, init=False)
    _outage: Outage = field(default_factory=lambda: Outage("quality"), init=False)

    async def run(self) -> None:
        """Chart until cancelled. What the database refuses is said in the log, and the next value tried."""
        kinds: set[type[Event]] = {SamplesLedgered, ActionsLedgered, OrdersChanged, EdgeChanged}
        async with self.hub.subscribe(kinds) as events:
            while True:
                if self._stale and not await self._look():
                    await asyncio.sleep(TRY_AGAIN)
                    continue
                for event in await events.get_all():
                    await self._take(event)

    async def _look(self) -> bool:
        """Ask which runs are active; False when the database is away."""
        self._stale = True
        with self._outage.survived():
            self._watched = await self.database.query(partial(watched, site=self.site))
            runs = {each.run for found in self._watched.values() for each in found}
            self._counts = {key: count for key, count in self._counts.items() if key[0] in runs}
            self._stale = False
        return not self._stale

    async def _take(self, event: Event) -> None:
        if isinstance(event, SamplesLedgered):
            if event.historical:
                await self._late(event)
            elif measured := list(self.measured(event, self._watched, self._counts)):
                await self._chart(measured)
        elif isinstance(event, ActionsLedgered | OrdersChanged | EdgeChanged | Lagged):
            await self._look()

    async def _late(self, event: SamplesLedgered) -> None:
        """Chart what an outage had kept back, for the runs that were active then."""
        if not event.times:
            return
        between = min(event.times), max(event.times)

        def write(tx: Connection) -> list[int]:
            found = watched(tx, self.site, between)
            of_chart: dict[str, list[Measured]] = defaultdict(list)
            for each in self.measured(event, found, self._late_counts):
                key = chart_at(each.characteristic.chart, each.workcell)
                of_chart[key].append(replace(each, actor=charts.BACKLOG))
            return [chart_late(tx, late) for late in of_chart.values()]

        try:
            changed = await self.database.run(write)
        except SampleError as error:
            log.warning("quality.late_not_charted", error=str(error))
            return
        except (SQLAlchemyError, DatabaseClosedError) as error:
            log.warning("quality.late_not_charted", error=str(error).splitlines()[0])
            return
        if len(self._late_counts) > MOST_LATE:
            self._late_counts.clear()
        for chart_id in changed:
            self.hub.publish(QualityChanged(chart_id))

    def measured(
        self,
        event: SamplesLedgered,
        watched: Mapping[int, Sequence[Watched]],
        counts: dict[tuple[str, str], _Count],
    ) -> Iterator[Measured]:
        """The measurements in a batch of samples: good numbers of watched tags, as often as planned."""
        columns = zip(event.tags, event.times, event.values, event.qualities, strict=True)
        for tag, ts, value, quality in columns:
            for each in watched.get(tag, ()):
                if not each.since <= ts <= each.until:
                    continue
                if quality or isinstance(value, bool) or not isinstance(value, int | float):
                    continue
                count = counts.setdefault((each.run, each.characteristic.chart), _Count())
                if ts - count.last < SHORTEST:
                    continue
                source = _source(each, tag, ts, count.seen)
                count.last, count.seen = ts, count.seen + 1
                if source:
                    yield Measured(
                        each.characteristic,
                        each.workcell,
                        each.operation,
                        each.job,
                        float(value),
                        ts,
                        source,
                        "machine",
                    )

    async def _chart(self, measured: Sequence[Measured]) -> None:
        try:
            changed = await self.database.run(partial(_write, measured))
        except (SQLAlchemyError, DatabaseClosedError) as error:
            log.warning("quality.not_charted", count=len(measured), error=str(error).splitlines()[0])
            return
        for chart_id in changed:
            self.hub.publish(QualityChanged(chart_id))


def _source(watched: Watched, tag: int, ts: int, seen: int) -> str:
    """What a value is kept under, so that it is charted once; empty where the plan does not want it."""
    if watched.characteristic.frequency == "lot":
        return "" if seen else f"tag {tag} {watched.run[:48]}"
    every = int(watched.characteristic.frequency.removeprefix("every "))
    return "" if seen % every else f"tag {tag} {ts}"


def _write(measured: Sequence[Measured], tx: Connection) -> list[int]:
    changed: dict[int, None] = {}
    for each in measured:
        try:
            with savepoint(tx):
                changed[chart(tx, each)] = None
        except SampleError as error:
            text = f"{each.characteristic.title} of {each.workcell} was not charted: {error}"
            concerns = each.characteristic.chart
            if not exceptions.is_open(tx, kind="quality", concerns=concerns):
                exceptions.record(tx, ts=each.ts, kind="quality", concerns=concerns, text=text)
    return list(changed)
