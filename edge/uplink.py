"""The uplink: the pure link (:class:`protocols.link_edge.EdgeLink`) between the outbox and the broker.

One task owns the link. It is woken by the pipe, by the outbox (a batch was sealed) and by time, carries the
link's commands out in order, and offers it the rows it wants. What comes down (job lists, release requests)
and what the neighbours did goes to handlers in a task of their own, so that a disk never delays a sample.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from edge.outbox.outbox import Outbox, Sealed, append_states
from edge.outbox.store import OutboxFullError
from edge.pipe import Arrived, Connected, Disconnected, MqttPipe, PipeEvent
from protocols import actions, jobs, session
from protocols.actions import Action
from protocols.jobs import JobList, ReleaseRequest
from protocols.lanes import SESSION, Down, Lane, down, parse_down, parse_up, up
from protocols.link_commands import Alarm, Command, Delete, Queued, Rekey, SendBatch, SendHello
from protocols.link_edge import EdgeLink, LinkState
from protocols.link_window import Timing
from protocols.packing import UndecodableError
from protocols.prognostics import deployment
from protocols.prognostics.deployment import Deployment, Part
from protocols.session import Batch, BatchKey, SessionUnknown
from protocols.states import Notice
from protocols.waveforms.messages import Wanted, decode_wanted

log = structlog.get_logger(__name__)

T = TypeVar("T")

TICK = 0.1
"""Seconds between looks at the clock."""
ANSWERS = 5.0
"""Seconds without a word from the service, with batches under way, after which it counts as away."""
SILENCE = 20.0
"""The same, after which the connection is made anew. A broker that is gone is noticed sooner, by the pipe;
this is for whatever else can go wrong between, and long enough not to punish a service that is busy."""
HANDED_OVER = 1000
"""Messages for the handlers that may wait; more are forgotten (job lists come again, neighbours repeat)."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """What a screen shows: ``online``: the broker is reached; ``cloud``: the service answers; ``last_ack``
    in µs UTC.
    """

    online: bool = False
    cloud: bool = False
    last_ack: int | None = None
    queued_batches: int = 0
    queued_actions: int = 0


HINT_SESSION = bytes(16)
"""Session of batches that only neighbours are meant to read."""
HINT_EVERY, HINT_AGAIN = 1.0, 30.0
HINTS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Handlers:
    """Who hears what comes down. They run one after the other and may take their time."""

    jobs: Callable[[JobList], Awaitable[object]]
    release: Callable[[ReleaseRequest], Awaitable[object]]
    neighbour: Callable[[str, list[Action]], Awaitable[object]]
    catalogue: Callable[[bytes], Awaitable[object]]
    """The cloud asks for the catalogue of a hash."""
    waveform: Callable[[Wanted], Awaitable[object]]
    """The cloud asks for blocks of a waveform."""
    models: Callable[[Deployment | Part], Awaitable[object]]
    """The cloud says what machines are scored with, or sends a part of it."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a hello says about this edge: content hashes of its configuration, hash of its catalogue."""

    configs: dict[str, str]
    catalogue: bytes


@dataclass(slots=True)
class UplinkStats:
    """Counts since the start."""

    sent_batches: int = 0
    sent_bytes: int = 0
    connects: int = 0
    undecodable: int = 0
    alarms: int = 0


def topics(edge: str, neighbours: Iterable[str]) -> list[str]:
    """What an edge subscribes to: all that is meant for it, and the actions of its neighbours."""
    own = [down(edge, kind) for kind in Down if kind is not Down.CONFIG]
    return own + [up(other, Lane.ACTIONS) for other in neighbours if other != edge]


@dataclass(slots=True)
class Uplink:
    """The edge's side of the link, running. ``make_pipe`` is given the function that takes its events."""

    edge: str
    outbox: Outbox
    running: Running
    handlers: Handlers
    make_pipe: Callable[[Callable[[PipeEvent], None]], MqttPipe]
    timing: Timing = field(default_factory=Timing)
    stats: UplinkStats = field(default_factory=UplinkStats, init=False)
    session_answered: bool = field(default=False, init=False)
    """Whether the cloud answered this connection's hello."""
    _link: EdgeLink = field(init=False)
    _pipe: MqttPipe = field(init=False)
    _online: bool = field(default=False, init=False)
    _heard: float = field(default=0.0, init=False)
    _idle_since: float = field(default=0.0, init=False)
    _ticked: float = field(default=0.0, init=False)
    _inbox: list[PipeEvent | list[Sealed]] = field(default_factory=list, init=False)
    _wake: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _done: list[tuple[BatchKey, bytes]] = field(default_factory=list, init=False)
    _acked: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _handed: asyncio.Queue[Arrived] = field(default_factory=lambda: asyncio.Queue(HANDED_OVER), init=False)
    _queued: tuple[int, int] = field(default=(0, 0), init=False)

    def __post_init__(self) -> None:
        self._link = EdgeLink(self.edge, lambda: uuid.uuid4().bytes, self.timing)
        self._pipe = self.make_pipe(self._post)

    @property
    def status(self) -> LinkStatus:
        """For screens and health."""
        batches, waiting = self._queued
        return LinkStatus(self._online, self._cloud_answers(), self.outbox.last_ack, batches, waiting)

    @property
    def state(self) -> LinkState:
        return self._link.state

    @property
    def session(self) -> bytes:
        return self._link.session

    @property
    def under_way(self) -> int:
        return self._link.under_way

    async def run(self) -> None:
        """Keep the link until cancelled."""
        loop = asyncio.get_running_loop()
        self.outbox.subscribe(lambda sealed: _call(loop, self._post, sealed))
        self._pipe.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._serve(), name="uplink")
                tasks.create_task(self._forget_acknowledged(), name="uplink-acks")
                tasks.create_task(self._hand_over(), name="uplink-handlers")
                tasks.create_task(self._count_queue(), name="uplink-queue")
                tasks.create_task(self._tell_neighbours(), name="uplink-neighbours")
        finally:
            self.outbox.live = False
            await self._pipe.close()

    # --- the one owner of the link --------------------------------------------------------------------

    def _post(self, event: PipeEvent | list[Sealed]) -> None:
        self._inbox.append(event)
        self._wake.set()

    def _now(self) -> float:
        return self.outbox.clock.monotonic()

    async def _serve(self) -> None:
        while True:
            if not self._inbox:
                try:
                    async with asyncio.timeout(TICK):
                        await self._wake.wait()
                except TimeoutError:
                    pass
            self._wake.clear()
            events, self._inbox = self._inbox, []
            for event in events:
                await self._carry_out(self._take(event))
            if self._now() - self._ticked >= TICK:
                await self._tick()
            await self._offer()

    def _take(self, event: PipeEvent | list[Sealed]) -> list[Command]:
        """What the link answers to an event."""
        now = self._now()
        match event:
            case list():
                return [command for sealed in event for command in self._link.sealed(sealed.key, now)]
            case Connected():
                self._online, self._heard = True, now
                self.session_answered = False
                self.stats.connects += 1
                return self._link.connected(now)
            case Disconnected():
                self._online = self.session_answered = False
                self.outbox.live = False
                return self._link.disconnected(now)
            case Arrived():
                return self._arrived(event, now)

    def _arrived(self, message: Arrived, now: float) -> list[Command]:
        self._heard = now
        if parse_down(message.topic) is not Down.SESSION:
            if self._handed.full():
                log.warning("uplink.handlers_behind", forgotten=message.topic, limit=HANDED_OVER)
            else:
                self._handed.put_nowait(message)
            return []
        try:
            received = session.decode_down(message.payload)
        except UndecodableError as error:
            self._undecodable(message.topic, error)
            return []
        if not isinstance(received, SessionUnknown):
            self.session_answered = True
        return self._link.received(received, now)

    async def _tick(self) -> None:
        now = self._ticked = self._now()
        if self._link.under_way == 0:
            self._idle_since = now
        if self._online and now - max(self._heard, self._idle_since) > SILENCE:
            log.warning("uplink.silence", seconds=SILENCE, under_way=self._link.under_way)
            self._idle_since = now
            self._pipe.drop(f"no answer for {SILENCE:g} s")
        await self._carry_out(self._link.tick(now))
        live = self._online and self._link.state is LinkState.LIVE
        if live and not self.outbox.live:
            self.outbox.live = True
            await self._with_room(self.outbox.seal())
        elif not live:
            self.outbox.live = False

    async def _offer(self) -> None:
        """Answer what the link wants to know of the outbox."""
        while wants := self._link.wants(self._now()):
            for want in wants:
                rows: list[Queued] = await self.outbox.wanted(want)
                await self._carry_out(self._link.offer(want, rows, self._now()))

    async def _carry_out(self, commands: list[Command]) -> None:
        """Carry commands out in order; batches that are sent one after the other are read together."""
        sends: list[SendBatch] = []
        for command in commands:
            if isinstance(command, SendBatch):
                sends.append(command)
                if len(sends) < 16:
                    continue
            await self._send(sends)
            sends = []
            match command:
                case SendHello():
                    await self._say_hello(command)
                case Delete():
                    self._done += command.batches
                    self._acked.set()
                case Rekey(key, digest, open_stream):
                    await self._with_room(self.outbox.rekey(key, digest, open_stream=open_stream))
                case Alarm():
                    await self._raise_alarm(command)
        await self._send(sends)

    async def _send(self, sends: list[SendBatch]) -> None:
        if not sends:
            return
        blobs = await self.outbox.blobs([send.batch.key for send in sends])
        gone: list[BatchKey] = []
        for send, blob in zip(sends, blobs, strict=True):
            if blob is None:
                gone.append(send.batch.key)
                continue
            message = session.encode(send.envelope(blob))
            if self._pipe.publish(up(self.edge, send.batch.key.lane), message):
                self.stats.sent_batches += 1
                self.stats.sent_bytes += len(message)
        if gone:
            await self._carry_out(self._link.dropped(gone, self._now()))

    async def _say_hello(self, command: SendHello) -> None:
        greeting = await self._with_room(self.outbox.greeting())
        if greeting is None:
            return
        streams, bounds = greeting
        sent_at = self.outbox.clock.now()
        running = self.running
        hello = self._link.hello(
            command.session, streams, bounds, running.configs, running.catalogue, sent_at
        )
        if hello is not None:
            self._pipe.publish(up(self.edge, SESSION), session.encode(hello))

    async def _raise_alarm(self, alarm: Alarm) -> None:
        self.stats.alarms += 1
        log.error("uplink.alarm", code=alarm.code, text=alarm.text)
        notice = Notice(self.outbox.clock.now(), "error", alarm.code, alarm.text)
        await self._with_room(self.outbox.store.run(lambda db: append_states(db, [notice])))

    async def _with_room(self, work: Awaitable[T]) -> T | None:
        """What ``work`` gives; None when there was no room, which is logged: the link will ask again."""
        try:
            return await work
        except OutboxFullError as error:
            log.error("uplink.disk_full", error=str(error))
            return None

    # --- beside it ------------------------------------------------------------------------------------

    async def _forget_acknowledged(self) -> None:
        """Delete what the ledger has; many acknowledgements share one commit."""
        while True:
            await self._acked.wait()
            self._acked.clear()
            done, self._done = self._done, []
            if not done:
                continue
            try:
                await self.outbox.acknowledge(done)
            except OutboxFullError:  # no room to note that there is more room: once more, a little later
                self._done = done + self._done
                self._acked.set()
                await asyncio.sleep(1.0)

    async def _hand_over(self) -> None:
        while True:
            message = await self._handed.get()
            try:
                await self._handle(message)
            except UndecodableError as error:
                self._undecodable(message.topic, error)
            except OutboxFullError as error:
                log.error("uplink.not_recorded", topic=message.topic, error=str(error))
            except Exception:  # a message from outside must not stop the edge
                log.exception("uplink.handler_failed", topic=message.topic)

    async def _handle(self, message: Arrived) -> None:
        match parse_down(message.topic):
            case Down.JOBS:
                await self.handlers.jobs(jobs.decode_jobs(message.payload))
            case Down.RELEASE:
                await self.handlers.release(jobs.decode_release(message.payload))
            case Down.CATALOGUE:
                await self.handlers.catalogue(message.payload)
            case Down.WAVEFORM:
                await self.handlers.waveform(decode_wanted(message.payload))
            case Down.MODELS:
                await self.handlers.models(deployment.decode(message.payload))
            case None if (from_edge := parse_up(message.topic)) is not None:
                batch = session.decode_batch(message.payload)
                await self.handlers.neighbour(from_edge.edge, actions.decode(batch.blob))
            case _:
                log.warning("uplink.unexpected", topic=message.topic)

    async def _count_queue(self) -> None:
        """What waits, for the screens, once a second."""
        while True:
            stats = await self.outbox.stats()
            self._queued = (stats.queued_batches, stats.queued_actions)
            await asyncio.sleep(1.0)

    async def _tell_neighbours(self) -> None:
        """While the cloud takes nothing, let neighbours hear what was done here: the broker still runs.

        These are hints in a session that the cloud does not know; the outbox keeps its batches until the
        ledger has them. Told again now and then, for neighbours that were away.
        """
        told, told_at = 0, self._now()
        while True:
            await asyncio.sleep(HINT_EVERY)
            if not self._online or self._link.state is LinkState.LIVE:
                told = 0
                continue
            if self._now() - told_at > HINT_AGAIN:
                told, told_at = 0, self._now()
            for sealed, blob in await self.outbox.waiting_actions(told, HINTS_AT_ONCE):
                hint = Batch(HINT_SESSION, *sealed.key, sealed.digest, sealed.count, True, blob)
                self._pipe.publish(up(self.edge, Lane.ACTIONS), session.encode(hint))
                told = sealed.serial

    def _undecodable(self, topic: str, error: UndecodableError) -> None:
        self.stats.undecodable += 1
        log.warning("uplink.undecodable", topic=topic, error=str(error))

    def _cloud_answers(self) -> bool:
        """Whether the service answered lately, if it had reason to."""
        if not (self._online and self.session_answered and self._link.state is LinkState.LIVE):
            return False
        return self._now() - max(self._heard, self._idle_since) < ANSWERS


def _call(
    loop: asyncio.AbstractEventLoop, post: Callable[[list[Sealed]], None], sealed: list[Sealed]
) -> None:
    """From the writer thread to the loop; nobody listens any more once that is closed."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(post, sealed)
