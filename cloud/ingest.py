"""From MQTT into the ledger: paho's thread enqueues, this thread decodes, the database's thread commits,
and only then is anything acknowledged or shown.

While one group of messages is being committed, the next one is decoded. Decisions about batches are the
link's (:mod:`protocols.link_cloud`) and are taken inside the transaction that carries them out.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec
import structlog
from sqlalchemy import Connection, update
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from cloud.hub import EdgeChanged, EdgeOpened, Hub, SamplesLedgered, shown
from cloud.latency import Latency, Percentiles
from cloud.ledger import tables
from cloud.ledger.ledger import Ledger, LedgerWriter, Prepared, prepare
from cloud.ledger.tags import TagMap
from cloud.mailbox import Mailbox, Message
from cloud.store.database import Database, savepoint
from protocols import session
from protocols.clock import Clock
from protocols.lanes import SESSION, Down, down, parse_up
from protocols.link_cloud import CloudLinks, Commit, Forked, Ignored, Opened, Refused, Replayed
from protocols.packing import MAX_SINGLE, UndecodableError
from protocols.session import Batch, Hello
from protocols.telemetry import SampleColumns

_log = structlog.get_logger(__name__)

MAX_PAYLOAD = MAX_SINGLE + 64 * 1024
"""Bytes of the largest message that is read; larger ones are quarantined unread."""

MAX_STRANGER = 64 * 1024
"""Bytes of the largest hello that is read of an edge that the site does not have."""

MAX_STRANGERS = 100
"""Such edges that the log names."""

GROUP_MESSAGES = 256
GROUP_BYTES = 8 * 1024 * 1024
"""What one transaction takes at most, so that it stays short."""

ASK_AGAIN = 2.0
"""Seconds between two requests for the same catalogue."""

RETRY_FIRST = 0.2
RETRY_MOST = 5.0
"""Seconds to wait after a transaction that failed."""


class IngestStats(msgspec.Struct, frozen=True):
    """What the ingest did since its start; ``ignored`` by reason (see ``protocols.link_cloud.Ignored``; also
    ``refused`` hellos, and whatever a ``stranger`` sends).
    """

    messages: int
    overflow: int
    waiting_bytes: int
    failures: int
    ignored: dict[str, int]
    latency_ms: Percentiles


class _Item(NamedTuple):
    """A message as read: a hello, a batch ready for the ledger, or what is wrong with it."""

    message: Message
    edge: str
    hello: Hello | None
    prepared: Prepared | None
    problem: str


@dataclass(slots=True)
class _Done:
    """What a transaction did, to be told once it is on disk."""

    opened: list[Hello] = field(default_factory=list)
    samples: list[tuple[Prepared, SampleColumns]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


class Ingest:
    """Reads what edges send. ``send(topic, payload)`` publishes; ``opened(edge)`` hears of new sessions.

    ``known`` are the edges of the site: others are told so and leave no trace but a count. None: any edge.

    ``run`` lives in the service's TaskGroup; ``receive`` is called on paho's thread.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        tag_map: TagMap,
        hub: Hub,
        clock: Clock,
        send: Callable[[str, bytes], object],
        opened: Callable[[str], None] = lambda _edge: None,
        links: CloudLinks | None = None,
        mailbox: Mailbox | None = None,
        *,
        known: Collection[str] | None = None,
    ) -> None:
        self.latency = Latency()
        self.heard: dict[str, int] = {}
        """When each edge was last heard, µs UTC, since the start."""
        self._newest: dict[str, tuple[bytes, int]] = {}
        """Stream and seq of the newest live telemetry of each edge: whether the next one follows it."""
        self._database = database
        self._ledger = ledger
        self._tag_map = tag_map
        self._hub = hub
        self._clock = clock
        self._send = send
        self._opened = opened
        self._links = links or CloudLinks()
        self._mailbox = mailbox or Mailbox()
        self._known = None if known is None else frozenset(known)
        self._strangers: set[str] = set()
        self._stopping = threading.Event()
        self._asked: dict[tuple[str, bytes], float] = {}
        self._messages = 0
        self._failures = 0
        self._ignored: Counter[str] = Counter()
        self._pause = RETRY_FIRST

    # --- from other threads ---------------------------------------------------------------------------

    def receive(self, topic: str, payload: bytes) -> None:
        """Enqueue a message. Never waits and never raises."""
        self._mailbox.put(Message(topic, payload, self._clock.now()))

    def greet(self, edges: Sequence[str]) -> None:
        """Tell edges that no session is known here (any more), so that they say hello at once."""
        unknown = session.encode(session.SessionUnknown(b""))
        for edge in edges:
            self._send(down(edge, Down.SESSION), unknown)

    def want_catalogue(self, edge: str, catalogue: bytes) -> None:
        """Ask an edge for a catalogue, but not all the time. The payload is its hash."""
        now = self._clock.monotonic()
        if now - self._asked.get((edge, catalogue), -ASK_AGAIN) >= ASK_AGAIN:
            self._asked[edge, catalogue] = now
            self._send(down(edge, Down.CATALOGUE), catalogue)

    def stats(self) -> IngestStats:
        """Figures for /health."""
        return IngestStats(
            self._messages,
            self._mailbox.dropped,
            self._mailbox.waiting,
            self._failures,
            dict(self._ignored),
            self.latency.percentiles(),
        )

    # --- the thread -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled; what is already being committed is finished and acknowledged."""
        with ThreadPoolExecutor(1, "ingest") as thread:
            work = asyncio.get_running_loop().run_in_executor(thread, self.work)
            try:
                await asyncio.shield(work)
            finally:
                self.stop()
                await work

    def stop(self) -> None:
        """End ``work``: what waits in the queue is left to the link, which sends it again."""
        self._stopping.set()
        self._mailbox.close()

    def work(self) -> None:
        """The loop of the thread: read a group, hand it over, acknowledge the one before."""
        committing: Future[_Done] | None = None
        while not self._stopping.is_set():
            messages = self._mailbox.take(GROUP_MESSAGES, GROUP_BYTES, 0.0 if committing else 0.5)
            items = [item for message in messages if (item := self._read(message)) is not None]
            if committing is not None:
                self._finish(committing)
                committing = None
            if items:
                committing = self._database.write(lambda tx, items=items: self._transact(tx, items))  # type: ignore[misc]
        if committing is not None:
            self._finish(committing)

    def _read(self, message: Message) -> _Item | None:
        self._messages += 1
        where = parse_up(message.topic)
        if where is None:
            return None  # not ours: somebody else's topic below the same root
        edge, channel = where
        if self._known is not None and edge not in self._known:
            self._turn_away(edge, channel, message.payload, self._known)
            return None
        self.heard[edge] = message.received
        if len(message.payload) > MAX_PAYLOAD:
            problem = f"message of {len(message.payload)} bytes, the limit is {MAX_PAYLOAD}"
            return _Item(message, edge, None, None, problem)
        try:
            if channel == SESSION:
                return _Item(message, edge, session.decode_hello(message.payload), None, "")
            batch = session.decode_batch(message.payload)
            if batch.lane != channel:
                raise UndecodableError(f"batch of lane {batch.lane} on the topic of {channel}")
            return _Item(message, edge, None, prepare(edge, batch, message.received), "")
        except (UndecodableError, RecursionError, MemoryError) as error:  # bytes made to harm nest or swell
            return _Item(message, edge, None, None, str(error) or type(error).__name__)

    def _turn_away(self, edge: str, channel: str, payload: bytes, known: Collection[str]) -> None:
        """Tell an edge that the site does not have why nobody listens; nothing of it is kept."""
        self._ignored["stranger"] += 1
        if channel != SESSION or len(payload) > MAX_STRANGER:
            return
        try:
            hello = session.decode_hello(payload)
        except (UndecodableError, RecursionError, MemoryError):
            return  # counted above: a stranger's garbage is not worth a row
        reason = (
            f'edge "{edge}" is not in the site: it has {", ".join(sorted(known))}; add it to site.yaml and '
            "start the cloud again, or correct the edge's id"
        )
        if edge not in self._strangers and len(self._strangers) < MAX_STRANGERS:
            self._strangers.add(edge)
            _log.warning("ingest.stranger", edge=edge, reason=reason)
        self._send(down(edge, Down.SESSION), session.encode(session.Rejected(hello.session, reason)))

    def _finish(self, committing: Future[_Done]) -> None:
        """Wait for the commit; then acknowledge, show, ask. After a failure the edges begin again."""
        try:
            done = committing.result()
        except Exception as error:  # noqa: BLE001 - disk full, database away: nothing was acknowledged
            self._links.reset()
            self._failures += 1
            _log.error("ingest.commit_failed", error=str(error).splitlines()[0], retry_in=self._pause)
            self._stopping.wait(self._pause)
            self._pause = min(self._pause * 2, RETRY_MOST)
            return
        self._pause = RETRY_FIRST
        for edge, answer in self._links.flush():
            self._send(down(edge, Down.SESSION), session.encode(answer))
        self._ignored.update(done.ignored)
        try:
            self._tell(done)
        except SQLAlchemyError as error:  # it is ledgered and acknowledged: who watches reads it later
            _log.warning("ingest.not_shown", error=str(error).splitlines()[0])

    def _tell(self, done: _Done) -> None:
        """Show what is live, ask for catalogues, tell who waits for an edge's session."""
        now = self._clock.now()
        for prepared, columns in done.samples:
            self._show(prepared.edge, prepared.batch, columns, now)
        for hello in done.opened:
            self._hub.publish(EdgeOpened(hello.edge))
            self._hub.publish(EdgeChanged(hello.edge))
            self._opened(hello.edge)
            if hello.catalogue and self._tag_map.ids(hello.catalogue) is None:
                self.want_catalogue(hello.edge, hello.catalogue)

    def _show(self, edge: str, batch: Batch, columns: SampleColumns, now: int) -> None:
        historical, follows = batch.historical, True
        if not historical:
            follows = self._newest.get(edge) == (batch.stream, batch.seq - 1)
            self._newest[edge] = batch.stream, batch.seq
        ids = self._tag_map.ids(columns.catalogue)
        if ids is None:
            self.want_catalogue(edge, columns.catalogue)
            return
        if not historical:
            self.latency.measure(columns.times(), now)
        if self._hub.wanted(SamplesLedgered):
            self._hub.publish(shown(edge, columns, ids, historical, follows=follows))

    # --- inside the transaction (the database's thread) ----------------------------------------------

    def _transact(self, tx: Connection, items: Sequence[_Item]) -> _Done:
        done = _Done()
        with self._ledger.writing(tx, items[-1].message.received) as ledger:
            for item in items:
                problem = item.problem
                if item.hello is not None:
                    try:
                        with savepoint(tx):
                            self._decide(ledger, item, done)
                    except OperationalError:
                        raise
                    except Exception as error:  # noqa: BLE001 - one edge's hello must not stop the others
                        _log.exception("ingest.hello_failed", edge=item.edge)
                        problem = f"the hello could not be taken: {error}"
                elif not problem:
                    self._decide(ledger, item, done)
                if problem:
                    ledger.quarantine(item.edge, item.message.topic, problem, item.message.payload)
        return done

    def _decide(self, ledger: LedgerWriter, item: _Item, done: _Done) -> None:
        edge = item.edge
        message = item.prepared.batch if item.prepared is not None else item.hello
        if message is None:
            return
        decision = self._links.received(edge, message, ledger, self._clock.monotonic(), item.message.received)
        match decision:
            case Commit(batch, historical, damaged):
                self._commit(ledger, item.prepared, historical, damaged, done)
            case Replayed():
                ledger.count(edge, replays=1)
            case Forked(batch, ledgered):
                ledger.count(edge, forks=1)
                ledger.note(
                    edge,
                    "fork",
                    f'edge "{edge}" sent {batch.lane} {batch.seq} of stream {batch.stream.hex()} with '
                    f"digest {batch.digest.hex()}, the ledger has {ledgered.hex()}: was its file restored "
                    "or copied?",
                )
            case Opened(hello, gaps):
                ledger.count(edge)
                ledger.tx.execute(
                    update(tables.edge).where(tables.edge.c.id == edge).values(configs=hello.configs)
                )
                for gap in gaps:
                    ledger.note(
                        edge,
                        "lane-gap",
                        f'edge "{edge}" has no {gap.lane} {gap.first} to {gap.last} of stream '
                        f"{gap.stream.hex()}, and neither has the ledger: the edge's file lost them, or this "
                        "database was put back to an older copy, which lacks the samples of that time, too",
                    )
                done.opened.append(hello)
            case Refused(reason):
                done.ignored["refused"] += 1
                _log.warning("ingest.refused", edge=edge, reason=reason)
            case Ignored(why):
                done.ignored[why] += 1

    def _commit(
        self, ledger: LedgerWriter, prepared: Prepared | None, historical: bool, damaged: bool, done: _Done
    ) -> None:
        if prepared is None:
            raise TypeError("the link wants to commit what is no batch")
        if prepared.batch.historical != historical:
            prepared = replace(prepared, batch=msgspec.structs.replace(prepared.batch, historical=historical))
        if damaged:
            prepared = prepared.unreadable("the blob does not have its digest: is the edge's disk damaged?")
        row = ledger.commit(prepared)
        if row is not None and prepared.samples is not None:
            done.samples.append((prepared, prepared.samples))
