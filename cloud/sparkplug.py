"""Other people's Sparkplug B nodes: a host application that writes what they say into our own ledger.

Every foreign node becomes an edge (``sp-…``) with a catalogue, whose batches take the way of all batches:
ledger, history, page. Sparkplug acknowledges nothing, so what the broker delivered and the disk refused is
tried again from memory; what came while the service was down is a gap, unless the node stores and forwards
for a primary host: for those this host's STATE says when it is there.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from cloud.config import SparkplugConfig
from cloud.hub import Hub, SamplesLedgered, shown
from cloud.ledger.ledger import Ledger, Prepared
from cloud.ledger.tags import TagMap
from cloud.mailbox import Mailbox, Message
from cloud.mqtt import Address, MqttPipe, Retained
from cloud.store.database import Database
from protocols import states, telemetry
from protocols.clock import Clock
from protocols.lanes import Lane
from protocols.packing import digest
from protocols.session import Batch
from protocols.sparkplug_host import SparkplugHost, Told
from protocols.sparkplug_topics import NAMESPACE, HostState, encode_state, state_topic
from protocols.states import CatalogueAnnounced, DeviceHeartbeat, Event, Notice
from protocols.telemetry import SampleColumns
from protocols.values import Sample

_log = structlog.get_logger(__name__)

GATHER = 0.2
"""Seconds in which messages are gathered for one transaction."""
MAX_BYTES = 32 * 1024 * 1024
"""Bytes of messages that may wait while the database does not answer; then the newest are left out."""
GROUP_MESSAGES, GROUP_BYTES = 500, 4 * 1024 * 1024
ROWS = 20_000
"""Samples of one batch."""
RETRY_FIRST, RETRY_MOST = 0.2, 5.0
GOODBYE = 1.0
"""Seconds to wait until the broker has taken the last STATE."""
PROBLEMS_APART = 60.0
"""Seconds between two notices of one node."""


class SparkplugStats(msgspec.Struct, frozen=True):
    """Since the start of the service; ``ignored`` messages by reason."""

    connected: bool
    problem: str
    messages: int
    overflow: int
    samples: int
    ignored: dict[str, int]


@dataclass(slots=True)
class _Edge:
    """How one foreign node is written down: a stream of its own since this start of the service."""

    id: str
    stream: bytes = field(default_factory=lambda: uuid.uuid4().bytes)
    seqs: dict[Lane, int] = field(default_factory=dict)
    catalogue: bytes = b""
    live: list[Sample] = field(default_factory=list)
    historical: list[Sample] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    complained: float = -PROBLEMS_APART

    def batch(self, lane: Lane, blob: bytes, count: int, *, historical: bool = False) -> Batch:
        """The next batch of a lane."""
        seq = self.seqs[lane] = self.seqs.get(lane, 0) + 1
        return Batch(b"", self.stream, lane, seq, digest(blob), count, historical, blob)


class SparkplugSource:
    """Runs the host. ``receive`` is called on paho's thread; everything else under :meth:`run`."""

    def __init__(
        self,
        config: SparkplugConfig,
        address: Address,
        database: Database,
        ledger: Ledger,
        tag_map: TagMap,
        hub: Hub,
        clock: Clock,
    ) -> None:
        self._database, self._ledger, self._tag_map = database, ledger, tag_map
        self._hub, self._clock = hub, clock
        self._host = SparkplugHost()
        self._edges: dict[str, _Edge] = {}
        self._mailbox = Mailbox(MAX_BYTES)
        self._messages = self._samples = 0
        self._lost = False
        started = clock.now() // 1000
        self._topic = state_topic(config.host)
        # Birth and death of one connection carry one time (6.4.27); it stays for the life of this process.
        self._online = Retained(self._topic, encode_state(HostState(True, started)))
        self._offline = Retained(self._topic, encode_state(HostState(False, started)))
        self.pipe = MqttPipe(
            address,
            f"onelot-sparkplug-{config.host}",
            [*(f"{NAMESPACE}/{group}/#" for group in config.groups), self._topic],
            self.receive,
            self._connection_changed,
            self._offline,
        )

    def stats(self) -> SparkplugStats:
        """Figures for /health."""
        pipe = self.pipe
        return SparkplugStats(
            pipe.connected,
            pipe.problem,
            self._messages,
            self._mailbox.dropped,
            self._samples,
            dict(self._host.ignored),
        )

    # --- on paho's thread -----------------------------------------------------------------------------

    def receive(self, topic: str, payload: bytes) -> None:
        """Enqueue a message. Never waits and never raises."""
        if topic == self._topic:
            if payload == self._offline.payload:  # our own will, late: we are here
                self.pipe.retain(self._online)
            return
        self._mailbox.put(Message(topic, payload, self._clock.now()))

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self.pipe.retain(self._online)
        else:
            self._lost = True

    # --- on the event loop ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled; says OFFLINE before it goes."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.pipe.run(), name="sparkplug mqtt")
            try:
                await self._work()
            finally:
                await asyncio.shield(asyncio.to_thread(self.pipe.retain, self._offline, GOODBYE))

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(GATHER if self._mailbox.waiting < GROUP_BYTES else 0)
            try:
                prepared = await asyncio.to_thread(self._digest)
                await self._write(prepared)
                await asyncio.to_thread(self._show, prepared)
            except Exception:  # noqa: BLE001 - what strangers send must not end the service
                _log.exception("sparkplug.failed")

    async def _write(self, prepared: list[Prepared]) -> None:
        """Bring batches to disk, however long the database does not answer."""
        pause = RETRY_FIRST
        while prepared:
            try:
                await self._database.run(lambda tx: self._commit(tx, prepared))
            except (SQLAlchemyError, OSError) as error:
                _log.error("sparkplug.commit_failed", error=str(error).splitlines()[0], retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, RETRY_MOST)
            else:
                return

    def _digest(self) -> list[Prepared]:
        """Read what waits, answer, and make batches of it."""
        prepared: list[Prepared] = []
        if self._lost:
            self._lost = False
            for told in self._host.forget(self._clock.now()):
                self._note(told, prepared)
        messages = self._mailbox.take(GROUP_MESSAGES, GROUP_BYTES, 0.0)
        self._messages += len(messages)
        for topic, payload, received in messages:
            answer = self._host.received(topic, payload, received)
            if answer is not None:
                self._note(answer, prepared)
        for edge in self._edges.values():
            self._seal(edge, prepared)
        return prepared

    def _note(self, told: Told, prepared: list[Prepared]) -> None:
        edge = self._edges.setdefault(told.edge, _Edge(told.edge))
        now = self._clock.now()
        if told.supersedes:
            self._seal(edge, prepared)
        if told.grows or told.supersedes:
            found = self._host.catalogue_of(edge.id)
            if found is not None:
                edge.events = [e for e in edge.events if not isinstance(e, CatalogueAnnounced)]
                edge.catalogue = found.content_hash()
                edge.events.append(CatalogueAnnounced(edge.catalogue, found))
        edge.events += [
            DeviceHeartbeat(state.ts, state.device, state.connected, state.ts, state.detail)
            for state in told.states
        ]
        if told.problem and self._clock.monotonic() - edge.complained >= PROBLEMS_APART:
            edge.complained = self._clock.monotonic()
            _log.warning("sparkplug.problem", edge=edge.id, problem=told.problem)
            edge.events.append(Notice(now, "warning", "sparkplug.problem", told.problem))
        edge.live += told.live
        edge.historical += told.historical
        for answer in told.answers:
            self.pipe.publish(answer.topic, answer.payload)

    def _seal(self, edge: _Edge, prepared: list[Prepared]) -> None:
        """Make batches of what an edge has: what explains the samples first."""
        now = self._clock.now()
        events, edge.events = edge.events, []
        if events:
            blob = states.encode(events)
            batch = edge.batch(Lane.STATES, blob, len(events))
            prepared.append(Prepared(edge.id, batch, now, states=events))
        for historical in (False, True):
            rows = edge.historical if historical else edge.live
            for start in range(0, len(rows), ROWS):
                columns = telemetry.columns(edge.catalogue, rows[start : start + ROWS])
                blob = telemetry.encode(columns)
                batch = edge.batch(Lane.TELEMETRY, blob, len(columns), historical=historical)
                prepared.append(Prepared(edge.id, batch, now, samples=columns))
        edge.live, edge.historical = [], []

    def _commit(self, tx: Connection, batches: Sequence[Prepared]) -> None:
        with self._ledger.writing(tx, self._clock.now()) as writer:
            for prepared in batches:
                writer.commit(prepared)

    def _show(self, batches: Iterable[Prepared]) -> None:
        """Tell who watches, once it is on disk."""
        for prepared in batches:
            columns: SampleColumns | None = prepared.samples
            if columns is None:
                continue
            self._samples += len(columns)
            ids = self._tag_map.ids(columns.catalogue)
            if ids is not None and self._hub.wanted(SamplesLedgered):
                self._hub.publish(shown(prepared.edge, columns, ids, prepared.batch.historical))
