"""The running service as its API and page see it: one object that holds the parts they may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloud.config import CloudConfig
from cloud.dispatching.asking.forecast import Forecasts
from cloud.dispatching.asking.scenarios import Scenarios
from cloud.dispatching.keeping.service import DispatchService
from cloud.history.port import History
from cloud.history.projection import Projection
from cloud.hub import Hub
from cloud.ingest import Ingest
from cloud.ledger.tags import TagMap
from cloud.live import LiveValues
from cloud.maintenance.desk import CaseDesk
from cloud.maintenance.rul.desk import ModelDesk
from cloud.maintenance.rul.service import LifeService
from cloud.maintenance.service import MaintenanceService
from cloud.maintenance.waveforms.desk import WaveformDesk
from cloud.mqtt import MqttPipe
from cloud.orders.create import OrderDesk
from cloud.orders.products import Product
from cloud.publisher import Publisher
from cloud.sparkplug import SparkplugSource
from cloud.store.database import Database
from protocols.clock import Clock
from protocols.site import Site


@dataclass(slots=True)
class Context:
    """The parts of one service; its database is open. ``started`` is when the service started, µs UTC."""

    config: CloudConfig
    site: Site
    products: Sequence[Product]
    clock: Clock
    database: Database
    hub: Hub
    live: LiveValues
    tag_map: TagMap
    pipe: MqttPipe
    ingest: Ingest
    sparkplug: SparkplugSource | None
    publisher: Publisher
    history: History
    projection: Projection
    desk: OrderDesk
    maintenance: MaintenanceService
    lives: LifeService
    models: ModelDesk
    waveforms: WaveformDesk
    desk_of_cases: CaseDesk
    dispatching: DispatchService
    scenarios: Scenarios
    forecasts: Forecasts
    started: int
