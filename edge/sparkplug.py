"""The edge as a Sparkplug B node: what it commits is published northbound, for whoever else listens.

Optional, and beside the link to our own cloud, which does not depend on it. Sparkplug acknowledges nothing,
so what was published shortly before a connection broke is published again as historical. Nothing comes in
this way but requests for births: values are never written from here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from edge.config import SparkplugConfig
from edge.pipe import Connected, Disconnected, MqttPipe, PipeEvent, Will
from edge.sparkplug_backlog import Backlog, Late
from protocols import telemetry
from protocols.broker import Broker
from protocols.catalogue import TagDefinition
from protocols.clock import Clock
from protocols.packing import UndecodableError
from protocols.sparkplug_node import Message, NodeState, SparkplugNode
from protocols.sparkplug_topics import Kind, decode_state, parse, state_topic
from protocols.states import DeviceHeartbeat, Event
from protocols.telemetry import SampleColumns

log = structlog.get_logger(__name__)

FILE = "sparkplug.db"
RESENT = 10.0
"""Seconds before a loss whose samples are sent again: twice what it takes to notice that a broker is gone."""
DRAIN_ROWS = 20
DRAIN_PAUSE = 0.02
"""Batches of backlog in a row, and seconds between such rows: live samples go first."""
MAX_WAITING = 500
"""Batches that may wait in memory for the file."""
BD_SEQ = "bdSeq"

T = TypeVar("T")


class SparkplugHealth(msgspec.Struct, frozen=True):
    """``state`` is offline, waiting (for the primary host) or born; samples since the start."""

    state: str
    published: int
    waiting: int
    dropped: int
    problem: str


class _Sent(NamedTuple):
    """Published, and perhaps never received."""

    at: float
    samples: int
    blob: bytes
    """Live: the batch. Empty for a batch of the backlog, which is still on disk."""
    row: int


@dataclass(slots=True)
class SparkplugPublisher:
    """One node. :meth:`committed` and :meth:`reported` are called on the event loop after each commit.

    ``definitions`` gives the tags of a catalogue by its hash.
    """

    config: SparkplugConfig
    edge: str
    broker: Broker
    data: Path
    clock: Clock
    definitions: Callable[[bytes], Awaitable[Sequence[TagDefinition]]]
    published: int = field(default=0, init=False)
    problem: str = field(default="not connected yet", init=False)
    _node: SparkplugNode = field(init=False)
    _pipe: MqttPipe = field(init=False)
    _backlog: Backlog | None = field(default=None, init=False)
    _thread: ThreadPoolExecutor = field(init=False)
    _new: deque[SampleColumns | list[Event] | PipeEvent] = field(default_factory=deque, init=False)
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _sent: deque[_Sent] = field(default_factory=deque, init=False)
    _read_up_to: int = field(default=0, init=False)
    """Row of the backlog that was published last on this connection."""
    _drained: bool = field(default=False, init=False)
    _catalogue: bytes = field(default=b"", init=False)
    _forgotten: int = field(default=0, init=False)
    _kept: int = field(default=-1, init=False)
    _refused: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        name = self.config.node or self.edge
        host = self.config.primary_host or ""
        self._node = SparkplugNode(self.config.group, name, host)
        topics = [*self._node.subscriptions, *([state_topic(host)] if host else [])]
        self._pipe = MqttPipe(self.broker, f"onelot-sparkplug-{self.edge}", topics, self._put, self._will)

    # --- called by others -----------------------------------------------------------------------------

    def committed(self, columns: SampleColumns) -> None:
        """Samples are on disk in the outbox."""
        if len(self._new) >= MAX_WAITING:
            self._forgotten += len(columns)
        else:
            self._put(columns)

    def reported(self, events: list[Event]) -> None:
        """Events are on disk in the outbox."""
        if any(isinstance(event, DeviceHeartbeat) for event in events):
            self._put(events)

    def health(self) -> SparkplugHealth:
        """For /health."""
        waiting, dropped = (self._backlog.samples, self._backlog.dropped) if self._backlog else (0, 0)
        problem = self.problem
        if self._node.state is NodeState.WAITING:
            problem = f"primary host {self.config.primary_host} is not online"
        return SparkplugHealth(
            str(self._node.state), self.published, waiting, dropped + self._forgotten, problem
        )

    async def run(self) -> None:
        """Publish until cancelled; what is under way then is on disk for the next start.

        Raises:
            OSError: the file of the backlog cannot be used.
        """
        with ThreadPoolExecutor(1, "sparkplug") as self._thread:
            self._backlog = await self._on_disk(
                lambda: Backlog(self.data / FILE, self.config.max_bytes), shield=False
            )
            self._node.bd_seq = self._backlog.kept(BD_SEQ) % 256
            self._pipe.start()
            try:
                while True:
                    await self._wait()
                    await self._work()
                    await self._drain()
                    await self._settle()
            finally:
                if self._node.state is NodeState.BORN:
                    self._publish([self._node.farewell(self.clock.now())])
                await self._pipe.close()
                await self._on_disk(self._keep)

    # --- one turn -------------------------------------------------------------------------------------

    def _put(self, item: SampleColumns | list[Event] | PipeEvent) -> None:
        self._new.append(item)
        self._news.set()

    async def _wait(self) -> None:
        """Until there is something to do."""
        drains = self._node.state is NodeState.BORN and self._catalogue and not self._drained
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_PAUSE if drains else 1.0):
                await self._news.wait()
        self._news.clear()

    async def _work(self) -> None:
        late: list[tuple[int, bytes]] = []
        while self._new:
            item = self._new.popleft()
            if isinstance(item, SampleColumns):
                late += await self._samples(item)
            elif isinstance(item, list):
                self._devices(item)
            else:
                late += self._event(item)
        if late:
            await self._on_disk(lambda: self._disk.append(late))
            self._drained = False
        if (bd_seq := self._node.bd_seq) != self._kept:
            await self._on_disk(lambda: self._disk.keep(BD_SEQ, bd_seq))
            self._kept = bd_seq

    async def _samples(self, columns: SampleColumns) -> list[tuple[int, bytes]]:
        """Publish live samples; what could not be is to be stored."""
        now = self.clock.now()
        if columns.catalogue != self._catalogue:
            self._catalogue = columns.catalogue
            self._publish(self._node.describe(await self.definitions(columns.catalogue), now))
        is_born = self._node.state is NodeState.BORN
        messages = self._node.live(columns.samples(), now)
        blob = telemetry.encode(columns)
        if not is_born or not self._publish(messages):
            return [(len(columns), blob)]
        self.published += len(columns)
        self._sent.append(_Sent(self.clock.monotonic(), len(columns), blob, 0))
        return []

    def _devices(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, DeviceHeartbeat):
                self._publish(
                    self._node.device(event.device, connected=event.connected, now=self.clock.now())
                )

    def _event(self, event: PipeEvent) -> list[tuple[int, bytes]]:
        now = self.clock.now()
        if isinstance(event, Connected):
            self.problem = ""
            self._publish(self._node.connected(now))
            return []
        if isinstance(event, Disconnected):
            self.problem = event.reason
            self._node.disconnected()
            return self._unproven()
        topic = parse(event.topic)
        if topic is None:
            state = decode_state(event.payload)
            if state is None:
                return []
            messages = self._node.host(state, now)
            self._publish(messages)
            if messages and self._node.state is NodeState.OFFLINE:
                self._pipe.drop(f"primary host {self.config.primary_host} is offline")
        elif topic.kind is Kind.NCMD:
            births, refused = self._node.command(event.payload, now)
            self._publish(births)
            self._say_refused(refused)
        else:
            self._say_refused(f"DCMD for {topic.device}")
        return []

    def _unproven(self) -> list[tuple[int, bytes]]:
        """What was published just before the loss, to be stored; batches of the backlog are there still."""
        sent, self._sent = self._sent, deque()
        self._read_up_to, self._drained = 0, False
        return [(one.samples, one.blob) for one in sent if one.blob]

    def _say_refused(self, what: str) -> None:
        if what and what not in self._refused and len(self._refused) < 100:
            self._refused.add(what)
            log.warning("sparkplug.command_refused", command=what, why="values are written at a station only")

    async def _drain(self) -> None:
        """Publish a little of what waits on disk."""
        if self._node.state is not NodeState.BORN or self._drained or self._new or not self._catalogue:
            return
        after = self._read_up_to
        rows: list[Late] = await self._on_disk(lambda: self._disk.after(after, DRAIN_ROWS))
        self._drained = not rows
        for row in rows:
            try:
                columns = telemetry.decode(row.blob)
            except UndecodableError as error:
                log.error("sparkplug.backlog_damaged", row=row.id, error=str(error))
            else:
                if not self._publish(self._node.backlog(columns.samples(), self.clock.now())):
                    return
                self.published += row.samples
            self._read_up_to = row.id
            self._sent.append(_Sent(self.clock.monotonic(), row.samples, b"", row.id))

    async def _settle(self) -> None:
        """Forget what was sent long enough ago on a connection that still stands."""
        before, row = self.clock.monotonic() - RESENT, 0
        while self._sent and self._sent[0].at < before:
            row = max(row, self._sent.popleft().row)
        if row:
            await self._on_disk(lambda: self._disk.remove(row))

    # --- doing ----------------------------------------------------------------------------------------

    @property
    def _disk(self) -> Backlog:
        if self._backlog is None:
            raise RuntimeError("the backlog is open while the publisher runs, and only then")
        return self._backlog

    async def _on_disk(self, work: Callable[[], T], *, shield: bool = True) -> T:
        """Run file work in the publisher's own thread, to its end."""
        working = asyncio.get_running_loop().run_in_executor(self._thread, work)
        return await (asyncio.shield(working) if shield else working)

    def _keep(self) -> None:
        """Bring to disk what is in memory, and close."""
        late = self._unproven()
        late += [(len(item), telemetry.encode(item)) for item in self._new if isinstance(item, SampleColumns)]
        if late:
            self._disk.append(late)
        self._disk.close()

    def _will(self) -> Will:
        """Called on the pipe's thread, for each attempt to connect."""
        death = self._node.will(self.clock.now())
        return Will(death.topic, death.payload, death.qos)

    def _publish(self, messages: Sequence[Message]) -> bool:
        return all(self._pipe.publish(*message) for message in messages)
