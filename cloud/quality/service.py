"""Charts what machines measure: values of tags that an inspection plan names, while a run of it is active.

A thin shell: it follows the samples, asks which runs are active, and charts through the same function as the
ledger does for what people measure. Only live values count: what an edge buffered during an outage belongs to
the history, and its run may be over by the time it comes.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from sqlalchemy import Connection, select
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
from cloud.quality.charts import Measured
from cloud.quality.effects import chart
from cloud.quality.plans import decode
from cloud.store.database import Database, DatabaseClosedError, savepoint
from protocols.clock import Clock
from protocols.inspection import Characteristic
from protocols.lifecycles import RunState
from protocols.site import Site
from protocols.spc.charts import SampleError
from protocols.values import MICROSECONDS

log = structlog.get_logger(__name__)

ACTIVE = (RunState.FIRST_PIECE, RunState.RUNNING)
"""States of a run in which its pieces are made."""
SHORTEST = MICROSECONDS // 10
"""µs between two charted values of one tag: what comes faster is left to the history."""
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


@dataclass(slots=True)
class _Count:
    """Values of a tag in a run: how many came, and when the last one was."""

    seen: int = 0
    last: int = 0


def watched(tx: Connection, site: Site) -> dict[int, list[Watched]]:
    """What active runs chart, by cloud tag id."""
    query = (
        select(run.c.id, run.c.workcell, operation.c.id, operation.c.job_id, instruction.c.inspection)
        .join(run_part, run_part.c.run_id == run.c.id)
        .join(operation, operation.c.id == run_part.c.operation_id)
        .join(instruction, instruction.c.operation_id == operation.c.id)
        .where(run.c.state.in_(ACTIVE), instruction.c.inspection != "[]")
        .order_by(run.c.opened, operation.c.id)
    )
    found: dict[int, list[Watched]] = defaultdict(list)
    tags: Sequence[reading.Tag] | None = None
    for run_id, workcell, operation_id, job, text in tx.execute(query):
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
                    here.append(Watched(planned, workcell, operation_id, job, run_id))
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
    _stale: bool = field(default=True, init=False)

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
        try:
            self._watched = await self.database.query(partial(watched, site=self.site))
        except (SQLAlchemyError, DatabaseClosedError) as error:
            log.warning("quality.database_away", error=str(error).splitlines()[0])
            return False
        runs = {each.run for found in self._watched.values() for each in found}
        self._counts = {key: count for key, count in self._counts.items() if key[0] in runs}
        self._stale = False
        return True

    async def _take(self, event: Event) -> None:
        if isinstance(event, SamplesLedgered):
            measured = [] if event.historical else list(self.measured(event))
            if measured:
                await self._chart(measured)
        elif isinstance(event, ActionsLedgered | OrdersChanged | EdgeChanged | Lagged):
            self._stale = not await self._look()

    def measured(self, event: SamplesLedgered) -> Iterator[Measured]:
        """The measurements in a batch of samples: good numbers of watched tags, as often as planned."""
        columns = zip(event.tags, event.times, event.values, event.qualities, strict=True)
        for tag, ts, value, quality in columns:
            for each in self._watched.get(tag, ()):
                if quality or isinstance(value, bool) or not isinstance(value, int | float):
                    continue
                count = self._counts.setdefault((each.run, each.characteristic.chart), _Count())
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
            charts = await self.database.run(partial(_write, measured))
        except (SQLAlchemyError, DatabaseClosedError) as error:
            log.warning("quality.not_charted", count=len(measured), error=str(error).splitlines()[0])
            return
        for chart_id in charts:
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
