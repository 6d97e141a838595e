"""The agent of an edge, running: the order in which its parts start and stop, and what it says of itself.

Start: uplink, recorder, stations and API, then the machines. Stop: the machines first, then what they
reported is committed and sealed, then the API and the uplink, last (by whoever opened it) the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import structlog

from edge.api import create_app, listen, serve
from edge.config import Setup, shown_address
from edge.control.execution import Execution
from edge.devices import Devices
from edge.life.deployments import Deployments
from edge.life.lives import Lives
from edge.metrics import EdgeMetrics, resident_bytes
from edge.outbox.outbox import Outbox
from edge.outbox.store import OutboxFullError
from edge.programs.keeper import Keeper
from edge.reconfigure import ConfigHealth, Reconfiguration
from edge.recorder import Recorder
from edge.sparkplug import SparkplugHealth, SparkplugPublisher
from edge.station.station_view import LifeView
from edge.station.stations import Stations
from edge.transport.transport import Transport
from edge.uplink import LinkStatus, Uplink
from edge.waveforms.blocks import Blocks, WaveformHealth
from protocols.states import Event

log = structlog.get_logger(__name__)

KEEP_BOUNDS = 1.0
"""Seconds between looks at the outbox's bounds."""
KEEP_BALLAST = 60
"""Looks after which the store's ballast is looked at, too."""
WAITING_EVENTS = 10_000
SHOWN_PROBLEMS = 50
"""Tags without a good value that health lists for each device."""


class DeviceHealth(msgspec.Struct, frozen=True):
    """``address`` is without a password; ``last_read`` in µs UTC; ``problems`` by tag.

    ``detail`` says why it is not connected.
    ``tried_every``: seconds between two attempts to reach a device that has been silent for long; else 0.
    """

    id: str
    address: str
    connected: bool
    last_read: int
    detail: str
    problems: dict[str, str]
    tried_every: float


class SampleHealth(msgspec.Struct, frozen=True):
    """Since the edge's file was made: committed = acked + dropped + queued."""

    committed: int
    acked: int
    dropped: int
    queued: int


class ActionHealth(msgspec.Struct, frozen=True):
    accepted: int
    acked: int
    queued: int


class LinkHealth(msgspec.Struct, frozen=True):
    """The way to the cloud. ``last_ack`` in µs UTC, ``oldest`` of what waits, too (0: nothing waits)."""

    online: bool
    cloud: bool
    state: str
    session: str
    last_ack: int | None
    queued_batches: int
    queued_bytes: int
    under_way: int
    oldest: int
    connects: int


class Health(msgspec.Struct, frozen=True):
    """``GET /health``. ``ok`` is false while a device is lost or the cloud is out of reach."""

    ok: bool
    edge: str
    stream: str
    link: LinkHealth
    devices: list[DeviceHealth]
    samples: SampleHealth
    actions: ActionHealth
    config: ConfigHealth
    jobs_version: int
    clock_uncertain: bool
    started: int
    rss_mb: float
    waveforms: WaveformHealth | None
    sparkplug: SparkplugHealth | None
    lives: list[LifeView]


@dataclass(slots=True)
class Agent:
    """All parts of one edge, built and not yet running."""

    setup: Setup
    outbox: Outbox
    recorder: Recorder
    uplink: Uplink
    stations: Stations
    devices: Devices
    reconfiguration: Reconfiguration
    token: str
    started: int
    execution: Execution
    programs: Keeper
    sparkplug: SparkplugPublisher | None = None
    transport: Transport | None = None
    blocks: Blocks | None = None
    lives: Lives | None = None
    deployments: Deployments | None = None
    events: asyncio.Queue[list[Event]] = field(default_factory=lambda: asyncio.Queue(WAITING_EVENTS))
    """Events of machines that are on disk, on their way to the stations."""
    metrics: EdgeMetrics = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = EdgeMetrics(self.outbox, self.recorder, self.uplink, self.devices)

    async def run(self, on_ready: Callable[[int], None] = lambda _port: None) -> None:
        """Run until cancelled. ``on_ready`` is told the API's port once everything has started.

        Raises:
            OSError: the API's address cannot be had.
        """
        api = self.setup.config.api
        listener = listen(api.host, api.port)
        port: int = listener.getsockname()[1]
        app = create_app(
            self.stations,
            token=self.token,
            health=self.health,
            metrics=self.metrics.text,
            reload=self.reconfiguration.reload,
        )
        async with asyncio.TaskGroup() as base:
            base.create_task(self.uplink.run(), name="uplink")
            base.create_task(self._keep_bounds(), name="bounds")
            base.create_task(self.stations.run(), name="stations")
            base.create_task(self._tell_stations(), name="machine-events")
            base.create_task(self.execution.run(), name="commands")
            base.create_task(self.programs.run(), name="programs")
            base.create_task(serve(app, listener), name="api")
            if self.sparkplug is not None:
                base.create_task(self.sparkplug.run(), name="sparkplug")
            if self.transport is not None:
                base.create_task(self.transport.run(), name="transport")
            if self.lives is not None:
                base.create_task(self.lives.run(), name="lives")
            try:
                async with self.recorder.running(), asyncio.TaskGroup() as machines:
                    machines.create_task(self.devices.run(lambda: on_ready(port)), name="devices")
                    machines.create_task(self.reconfiguration.run(), name="configuration")
            finally:
                with contextlib.suppress(OutboxFullError):
                    await self.outbox.seal()

    async def _keep_bounds(self) -> None:
        for turn in itertools.count(1):
            await asyncio.sleep(KEEP_BOUNDS)
            try:
                await self.outbox.enforce()
            except OutboxFullError as error:
                log.error("outbox.bounds", error=str(error))
            if turn % KEEP_BALLAST == 0:
                await asyncio.to_thread(self.outbox.store.ballast.keep)

    async def _tell_stations(self) -> None:
        """Machine events to the stations, in order; what they write themselves must not delay a sample."""
        while True:
            events = await self.events.get()
            try:
                await self.stations.states_reported(events)
            except OutboxFullError as error:
                log.error("station.disk_full", error=str(error))

    def hear(self, events: list[Event]) -> None:
        """Events are on disk: the recorder calls this."""
        if self.sparkplug is not None:
            self.sparkplug.reported(events)
        if self.lives is not None:
            self.lives.reported(events)
        if self.events.full():
            log.error("station.events_forgotten", events=len(events), limit=WAITING_EVENTS)
        else:
            self.events.put_nowait(events)

    async def health(self) -> Mapping[str, object]:
        """What ``/health`` says: see :class:`Health`."""
        stats = await self.outbox.stats()
        status: LinkStatus = self.uplink.status
        waiting = [lane for lane in stats.lanes.values() if lane.batches]
        health = Health(
            ok=status.cloud and all(collector.connected for collector in self.devices),
            edge=self.setup.edge.id,
            stream=self.outbox.stream.hex(),
            link=LinkHealth(
                online=status.online,
                cloud=status.cloud,
                state=str(self.uplink.state),
                session=self.uplink.session.hex(),
                last_ack=status.last_ack,
                queued_batches=stats.queued_batches,
                queued_bytes=sum(lane.bytes for lane in waiting),
                under_way=self.uplink.under_way,
                oldest=min((lane.oldest for lane in waiting), default=0),
                connects=self.uplink.stats.connects,
            ),
            devices=[
                DeviceHealth(
                    collector.device.id,
                    shown_address(collector.device.url),
                    collector.connected,
                    collector.last_read,
                    collector.detail,
                    dict(itertools.islice(collector.problems.items(), SHOWN_PROBLEMS)),
                    collector.tried_every,
                )
                for collector in self.devices
            ],
            samples=SampleHealth(stats.committed, stats.acked, stats.dropped, stats.queued),
            actions=ActionHealth(stats.accepted, stats.delivered, stats.queued_actions),
            config=self.reconfiguration.health,
            jobs_version=self.stations.jobs_version,
            clock_uncertain=self.outbox.clock.uncertain,
            started=self.started,
            rss_mb=round(resident_bytes() / (1 << 20), 1),
            waveforms=self.blocks.health if self.blocks is not None else None,
            sparkplug=self.sparkplug.health() if self.sparkplug is not None else None,
            lives=[*self.lives.views().values()] if self.lives is not None else [],
        )
        return msgspec.structs.asdict(health)
