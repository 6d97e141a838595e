"""Builds the service: the only file that knows all its parts, and the order they start and stop in.

Constructing reads and checks files and opens nothing. ``run`` opens the database and runs everything under
one TaskGroup until it is cancelled; the database closes last.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog
import uvicorn
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from cloud.api.accounts import Accounts
from cloud.config import CloudConfig, HttpConfig, load_site
from cloud.context import Context
from cloud.dispatching.asking.forecast import Forecasts
from cloud.dispatching.asking.scenarios import Scenarios
from cloud.dispatching.floor import load
from cloud.dispatching.keeping.service import DispatchService
from cloud.history.influx import InfluxHistory, InfluxSettings
from cloud.history.port import History
from cloud.history.projection import Projection
from cloud.history.source import HistorySource
from cloud.history.sqlite import SqliteHistory
from cloud.hub import EdgeOpened, Hub
from cloud.ingest import Ingest
from cloud.ledger import reading, retention
from cloud.ledger.effects import Effects
from cloud.ledger.ledger import Ledger
from cloud.ledger.machines import MachineEffects
from cloud.ledger.source import ProjectionSource
from cloud.ledger.tags import TagMap
from cloud.live import LiveValues
from cloud.maintenance.bounds import keep_bounds
from cloud.maintenance.desk import CaseDesk
from cloud.maintenance.effects import CaseEffects
from cloud.maintenance.foresight import by_limit, by_trend
from cloud.maintenance.rul import keys
from cloud.maintenance.rul.deploying import ModelDeployment
from cloud.maintenance.rul.desk import ModelDesk
from cloud.maintenance.rul.ends import LifeEnds
from cloud.maintenance.rul.foresight import by_model
from cloud.maintenance.rul.holdings import HoldingEffects
from cloud.maintenance.rul.life_cases import LifeCases
from cloud.maintenance.rul.service import LifeService
from cloud.maintenance.service import MODE, WATCHED_ROLES, MaintenanceService, Settings, WatchedTag
from cloud.maintenance.waveforms.desk import WaveformDesk, WaveformSettings
from cloud.maintenance.waveforms.store import WaveformStore
from cloud.mqtt import MqttPipe
from cloud.orders import exceptions
from cloud.orders.articles import import_products, load_products
from cloud.orders.controls import ControlEffects
from cloud.orders.create import OrderDesk
from cloud.orders.effects import OrderEffects
from cloud.publisher import Publisher
from cloud.quality.effects import QualityEffects
from cloud.quality.parts_service import PartsService
from cloud.quality.service import QualityService
from cloud.recall import Recall
from cloud.sparkplug import SparkplugSource
from cloud.store.database import Database
from cloud.store.lock import sole_user
from cloud.store.schema import migrate
from protocols.clock import Clock
from protocols.lanes import ROOT
from protocols.site_maintenance import Upkeep
from protocols.values import MICROSECONDS

_log = structlog.get_logger(__name__)

PRUNE_EVERY = 600.0
"""Seconds between two looks for what may be deleted."""

GOODBYE = 3
"""Seconds that open connections of browsers get when the service stops."""

HOUR = 3600 * MICROSECONDS


class Service:
    """All parts of the cloud service, constructed. Raises DocumentError for a file that cannot be used."""

    def __init__(self, config: CloudConfig, clock: Clock | None = None) -> None:
        self.config = config
        self.clock = clock or Clock()
        self.site = load_site(config)
        self.products = load_products(config.site, self.site)
        self.hub = Hub()
        self.live = LiveValues()
        self.database = Database(config.database_url)
        self.tag_map = TagMap(self.database)
        self.started = self.clock.now()
        self.pipe = MqttPipe(
            config.broker_address(),
            f"onelot-cloud-{self.site.id}",
            [f"{ROOT}/+/up/+"],
            lambda topic, payload: self.ingest.receive(topic, payload),
            self._connection_changed,
        )
        effects: list[Effects] = [
            MachineEffects(self.hub),
            ControlEffects(self.hub),
            CaseEffects(self.hub),
            OrderEffects(),
            QualityEffects(self.hub),
            HoldingEffects(self.hub),
        ]
        ledger = Ledger(effects, _inbox, self.hub)
        self.ingest = Ingest(
            self.database,
            ledger,
            self.tag_map,
            self.hub,
            self.clock,
            self.pipe.publish,
            lambda edge: self.publisher.opened(edge),
            known=[edge.id for edge in self.site.edges],
        )
        self.sparkplug: SparkplugSource | None = None
        if config.sparkplug is not None:
            address = config.broker_address(config.sparkplug.broker)
            self.sparkplug = SparkplugSource(
                config.sparkplug, address, self.database, ledger, self.tag_map, self.hub, self.clock
            )
        self.publisher = Publisher(self.pipe.publish, self.hub, self.clock, self.ingest.heard)
        self.dispatching = DispatchService(
            self.database, self.hub, self.publisher, self.site, self.clock, config.dispatch
        )
        self.desk = OrderDesk(self.site, self.clock)
        self.scenarios = Scenarios(
            self.database, self.hub, self.site, self.desk, self.dispatching, self.clock, config.dispatch
        )
        self.forecasts = Forecasts(
            self.database, self.site, self.desk, self.dispatching, self.clock, config.dispatch
        )
        self.quality = QualityService(self.database, self.hub, self.clock, self.site)
        self.parts = PartsService(self.database, self.hub, self.site)
        self.maintenance = MaintenanceService(
            self.database,
            self.hub,
            self.clock,
            self._watched_tags,
            msgspec.convert(config.maintenance, Settings),
        )
        trusted = keys.trusted(map(Path, self.maintenance.settings.trusted_keys))
        self.models = ModelDesk(self.site.devices(), self.clock, trusted)
        self.lives = LifeService(
            self.database,
            self.hub,
            self.clock,
            self.site.devices(),
            trusted,
            lambda: self.database.query(reading.tags),
            self.maintenance.faults,
        )
        self.deployment = ModelDeployment(
            self.database, self.hub, self.publisher, self.lives, self.site, self.clock
        )
        kept = config.retention
        self.waveforms = WaveformDesk(
            WaveformStore(config.data / "waveforms.db"),
            self.database,
            self.hub,
            self.publisher,
            self.site,
            self.clock,
            WaveformSettings(kept.waveform_days, kept.waveform_bytes),
        )
        usual = Upkeep(
            seconds=config.dispatch.service_seconds,
            within_hours=config.dispatch.service_within_seconds / 3600,
        )
        self.desk_of_cases = CaseDesk(
            self.site,
            self.clock,
            load.busy,
            load.service,
            usual,
            (by_model(), by_limit(self.site), by_trend(self.maintenance.settings.limits)),
            self.lives,
        )
        self.life_cases = LifeCases(
            self.database,
            self.hub,
            self.clock,
            self.maintenance.settings.limits,
            MODE,
            lambda device: self.desk_of_cases.upkeep_of(device, MODE).within_hours,
            lambda: self.lives.prognosers,
        )

    # --- running --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled; raises OSError (address taken), FolderInUseError, NewerSchemaError."""
        with _listening(self.config.http) as sockets, self.opened() as context:
            app, feed = await asyncio.to_thread(_page, context)
            recall = Recall(context.database, context.history, context.live, context.clock)
            # Libraries and page are here to stay. Looking through all that, the garbage collector would halt
            # every thread for a tenth of a second now and then.
            gc.collect()
            gc.freeze()
            async with asyncio.TaskGroup() as tasks:
                if self.maintenance.settings.life_cases:
                    tasks.create_task(self.life_cases.run(), name="cases of lives")
                if self.sparkplug is not None:
                    tasks.create_task(self.sparkplug.run(), name="sparkplug")
                for name, part in {
                    "live values": self.live.run(self.hub),
                    "values from before": recall.run(self.hub),
                    "maintenance": self.maintenance.run(),
                    "remaining lives": self.lives.run(context.history),
                    "models at edges": self.deployment.run(),
                    "ends of lives": LifeEnds(self.database, self.hub, self.clock).run(),
                    "waveforms": self.waveforms.run(),
                    "bounds of maintenance": keep_bounds(self.database, self.hub, self.desk_of_cases),
                    "quality": self.quality.run(),
                    "pieces": self.parts.run(),
                    "publisher": self.publisher.run(),
                    "dispatching": self.dispatching.run(),
                    "scenarios": self.scenarios.run(),
                    "job lists of opened sessions": self._resend(),
                    "history": _in_thread(context.projection.run),
                    "pruning": self._prune(context.history),
                    "ingest": self.ingest.run(),
                    "mqtt": self.pipe.run(),
                    "page feed": feed.run(),
                    "http": _serve(app, sockets),
                }.items():
                    tasks.create_task(part, name=name)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Context]:
        """The database, migrated, with the products of the site; it closes last of all."""
        self.config.data.mkdir(parents=True, exist_ok=True)
        with sole_user(self.config.data), self.database:
            migrate(self.database)
            self.database.write(lambda tx: import_products(tx, self.products, self.clock.now())).result()
            source = ProjectionSource(self.database, self.tag_map, self.ingest.want_catalogue)
            history = _history(self.config)
            self.waveforms.store.open()
            try:
                yield Context(
                    config=self.config,
                    site=self.site,
                    products=self.products,
                    clock=self.clock,
                    database=self.database,
                    hub=self.hub,
                    live=self.live,
                    tag_map=self.tag_map,
                    pipe=self.pipe,
                    ingest=self.ingest,
                    sparkplug=self.sparkplug,
                    publisher=self.publisher,
                    history=history,
                    projection=Projection(HistorySource(source), history, self.clock.monotonic),
                    desk=self.desk,
                    maintenance=self.maintenance,
                    lives=self.lives,
                    models=self.models,
                    waveforms=self.waveforms,
                    desk_of_cases=self.desk_of_cases,
                    dispatching=self.dispatching,
                    scenarios=self.scenarios,
                    forecasts=self.forecasts,
                    started=self.started,
                )
            finally:
                self.waveforms.store.close()
                history.close()

    async def _prune(self, history: History) -> None:
        """Delete what nobody needs any more and tidy up what is kept, now and then."""
        while True:
            now = self.clock.now()
            before = now - int(self.config.retention.telemetry_hours * HOUR)
            try:
                while await self.database.run(partial(_prune_ledger, before)) == retention.BATCHES:
                    pass
                oldest = now - self.config.history.keep_days * 24 * HOUR
                await asyncio.to_thread(history.prune, oldest)
                await asyncio.to_thread(history.compact_closed, now)
            except (SQLAlchemyError, sqlite3.Error, OSError) as error:  # the next time will do
                _log.warning("pruning.failed", error=str(error).splitlines()[0])
            await asyncio.sleep(PRUNE_EVERY)

    # --- what parts ask of each other -----------------------------------------------------------------

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self.ingest.greet([edge.id for edge in self.site.edges])

    async def _resend(self) -> None:
        """An edge that opens a session may have been put back to an older copy of its file."""
        async with self.hub.subscribe({EdgeOpened}) as events:
            async for event in events:
                if isinstance(event, EdgeOpened):
                    try:
                        await self.dispatching.resend(event.edge)
                    except SQLAlchemyError as error:  # the edge says hello again when it must
                        _log.warning("jobs.not_resent", edge=event.edge, error=str(error).splitlines()[0])

    async def _watched_tags(self) -> Mapping[int, WatchedTag]:
        devices = self.site.devices()
        tags = await self.database.query(reading.tags)
        return {
            tag.id: WatchedTag(
                str(devices[tag.device].asset),
                tag.device,
                tag.path,
                tag.unit,
                tag.role,
                tag.type,
                tag.max_interval,
                tag.edge,
            )
            for tag in tags
            if tag.current and tag.role in WATCHED_ROLES and tag.device in devices
        }


def _prune_ledger(before: int, tx: Connection) -> int:
    return retention.prune(tx, before)


async def _in_thread(work: Callable[[threading.Event], None]) -> None:
    """Run ``work`` in a thread of its own until cancelled; it ends when its event is set."""
    stop = threading.Event()
    with ThreadPoolExecutor(1, "history") as thread:
        working = asyncio.get_running_loop().run_in_executor(thread, work, stop)
        try:
            await asyncio.shield(working)
        finally:
            stop.set()
            await working


# --- page and API -----------------------------------------------------------------------------------


def _page(context: Context) -> tuple[Any, Any]:
    """API and page, and the feed to run beside them. The credential of the first start is shown once, as the
    file it is in.
    """
    from cloud.api.app import create_app
    from cloud.web.page import mount

    accounts = Accounts(context.database, context.config.data, context.clock)
    credential = accounts.prepare()
    if credential is not None:
        _log.info("accounts.first_login", file=str(credential))
    app = create_app(context, accounts)
    return app, mount(app, context, accounts)


@contextlib.contextmanager
def _listening(http: HttpConfig) -> Iterator[list[socket.socket]]:
    """The socket of page and API, bound before anything else starts; raises OSError naming the address."""
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    try:
        listener = socket.create_server((http.host, http.port), family=family, backlog=512)
    except OSError as error:
        where = f"{http.host}:{http.port}"
        raise OSError(
            error.errno, f"cannot listen on {where} ({error.strerror}): change http in the config"
        ) from None
    with listener:
        yield [listener]


async def _serve(app: Any, sockets: list[socket.socket]) -> None:
    """Serve until cancelled. The server's own signal handling is left out: the main module has it."""
    server = _Server(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=GOODBYE)
    )
    serving = asyncio.ensure_future(server.serve(sockets))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _inbox(tx: Connection, edge: str, batch: int, kind: str, text: str, received: int) -> None:
    """The ledger's own entries in the exceptions inbox."""
    exceptions.record(
        tx, ts=received, kind=kind, text=text, edge=edge, source=f"batch {batch}" if batch else ""
    )


def _history(config: CloudConfig) -> History:
    """The adapter that the configuration asks for."""
    influx = config.history.influxdb
    if config.history.adapter == "sqlite":
        return SqliteHistory(config.data / "history")
    if influx is None:
        raise ValueError("history influxdb without its server: the configuration was not checked")
    token = influx.token_file.read_text("utf-8").strip() if influx.token_file is not None else ""
    return InfluxHistory(InfluxSettings(influx.url, influx.database, influx.api, influx.org, token))
