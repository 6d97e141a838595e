"""What ``/health`` says: is the service well, and the figures that the demo's report is made of."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from cloud.context import Context
from cloud.latency import Percentiles
from cloud.ledger import reading
from cloud.sparkplug import SparkplugStats

SILENT = 15_000_000
"""µs without a message after which an edge counts as away."""

RECOUNT_EVERY = 60.0
"""Seconds between two counts of the whole ledger."""


class Samples(msgspec.Struct, frozen=True):
    """``duplicated`` counts samples that took effect twice: 0, or something is wrong."""

    ledgered: int
    duplicated: int
    dropped: int


class Actions(msgspec.Struct, frozen=True):
    ledgered: int
    repeated: int


class EdgeHealth(msgspec.Struct, frozen=True):
    """``unconfirmed`` messages wait for the edge's confirmation."""

    id: str
    online: bool
    last_seen: int
    jobs_version: int
    unconfirmed: int


class BrokerHealth(msgspec.Struct, frozen=True):
    connected: bool
    problem: str


class IngestHealth(msgspec.Struct, frozen=True):
    messages: int
    overflow: int
    waiting_bytes: int
    failures: int
    replays: int
    forks: int
    quarantined: int
    ignored: dict[str, int]


class HistoryHealth(msgspec.Struct, frozen=True):
    """``cursor`` is the ledger's row up to which the history has everything but ``held`` batches."""

    cursor: int
    held: int
    samples: int
    failures: int


class Health(msgspec.Struct, frozen=True):
    """``status`` is ok, or degraded with the reasons in ``problems``."""

    status: str
    problems: list[str]
    started: int
    broker: BrokerHealth
    samples: Samples
    actions: Actions
    latency_ms: Percentiles
    ingest: IngestHealth
    history: HistoryHealth
    edges: list[EdgeHealth]
    rss_mb: float
    sparkplug: SparkplugStats | None = None


class Checkup:
    """Examines a service. The figures are those of the moment; only the search for samples that took effect
    twice, which reads all of the ledger, is done :data:`RECOUNT_EVERY` seconds at most: anybody may ask.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._recounted = float("-inf")
        self._duplicated = 0

    async def health(self) -> Health:
        """The health of the service now."""
        counted, rows = await self._context.database.query(self._read)
        return _health(self._context, counted, self._duplicated, rows)

    def _read(self, reader: Connection) -> tuple[reading.Counters, list[reading.EdgeRow]]:
        counted, now = reading.counters(reader), self._context.clock.monotonic()
        if now - self._recounted >= RECOUNT_EVERY:
            self._recounted = now  # first: who asks meanwhile does not count as well
            self._duplicated = max(0, counted.samples - reading.recount(reader).samples)
        return counted, reading.edges(reader)


def _health(
    context: Context, counted: reading.Counters, duplicated: int, rows: list[reading.EdgeRow]
) -> Health:
    stats, projection = context.ingest.stats(), context.projection
    problems = []
    if not context.pipe.connected:
        problems.append(f"broker: {context.pipe.problem}")
    sparkplug = context.sparkplug.stats() if context.sparkplug is not None else None
    if sparkplug is not None and not sparkplug.connected:
        problems.append(f"Sparkplug broker: {sparkplug.problem}")
    if counted.forks:
        problems.append(f"{counted.forks} forked batches: an edge's file was restored or copied")
    return Health(
        status="degraded" if problems else "ok",
        problems=problems,
        started=context.started,
        broker=BrokerHealth(context.pipe.connected, context.pipe.problem),
        samples=Samples(counted.samples, duplicated, counted.dropped),
        actions=Actions(counted.actions, counted.repeated_actions),
        latency_ms=stats.latency_ms,
        ingest=IngestHealth(
            stats.messages,
            stats.overflow,
            stats.waiting_bytes,
            stats.failures,
            counted.replays,
            counted.forks,
            counted.quarantined,
            stats.ignored,
        ),
        history=HistoryHealth(projection.cursor, projection.held, projection.samples, projection.failures),
        edges=_edges(context, rows),
        rss_mb=rss_mb(),
        sparkplug=sparkplug,
    )


def _edges(context: Context, rows: list[reading.EdgeRow]) -> list[EdgeHealth]:
    heard, unconfirmed = context.ingest.heard, context.publisher.unconfirmed()
    now = context.clock.now()
    edges = []
    for row in rows:
        seen = max(row.last_seen, heard.get(row.id, 0))
        waiting = unconfirmed.get(row.id, 0)
        edges.append(EdgeHealth(row.id, now - seen <= SILENT, seen, row.jobs_version, waiting))
    return edges


def rss_mb() -> float:
    """Resident memory of this process."""
    import psutil

    return round(float(psutil.Process().memory_info().rss) / 1e6, 1)
