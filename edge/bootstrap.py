"""The one place that builds an edge: every part is made here and given what it needs."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from drivers.counting import Count
from drivers.driver import Driver
from drivers.profile.profile import Role
from drivers.registry import driver_type
from edge.agent import Agent
from edge.api import token_of
from edge.backfill import Backfill
from edge.catalogues import Catalogues
from edge.collector import Collector
from edge.config import Machine, Setup
from edge.control.collected_machines import CollectedMachines
from edge.control.control import Control
from edge.control.execution import Execution
from edge.control.journal import CONTROL
from edge.devices import Devices
from edge.life import tags as life_tags
from edge.life.deployments import Deployments
from edge.life.journal import LIFE
from edge.life.lives import Lives
from edge.life.model_files import EdgeModel
from edge.machine import MachineWatch, open_stops
from edge.outbox.numbering import kept_catalogue
from edge.outbox.outbox import Outbox, append_states
from edge.outbox.store import Store
from edge.pipe import MqttPipe, PipeEvent
from edge.programs.book import Book
from edge.programs.journal import PROGRAMS
from edge.programs.keeper import Keeper
from edge.reconfigure import Reconfiguration
from edge.recorder import Recorder, last_time
from edge.remembered import Remembered, remembered
from edge.sparkplug import SparkplugPublisher
from edge.station.journal import WORKCELL
from edge.station.places import places
from edge.station.stations import Stations
from edge.transport import journal as transport_journal
from edge.transport.assignments import taken_up
from edge.transport.carriers import Carriers
from edge.transport.handshakes import Handshakes
from edge.transport.journal import TRANSPORT
from edge.transport.missions import MissionState, reconciled
from edge.transport.profile_fleet import ProfileFleet
from edge.transport.registers import takes_missions
from edge.transport.station_devices import CollectedDevices
from edge.transport.stations import served
from edge.transport.transport import Transport
from edge.transport.vda5050_fleet import Vda5050Fleet
from edge.uplink import Handlers, Running, Uplink, topics
from edge.watching import hashes
from edge.waveforms.blocks import Blocks
from edge.waveforms.journal import WAVEFORMS
from edge.witness import Witness
from protocols.catalogue import Catalogue, TagDefinition
from protocols.clock import Clock
from protocols.lifecycles import RunState
from protocols.states import CatalogueAnnounced, ConfigApplied
from protocols.telemetry import SampleColumns

DATABASE, BLOCKS = "edge.db", "waveforms"


def new_id() -> str:
    """Id of something that begins at this edge."""
    return uuid.uuid4().hex


@contextlib.asynccontextmanager
async def built(setup: Setup, *, clock: Clock | None = None, witness: str = "") -> AsyncIterator[Agent]:
    """An edge, its file open and its parts made; run it with :meth:`Agent.run` inside the block.

    Raises:
        StoreError: the edge's file cannot be used.
        OSError: nobody listens at ``witness`` (HOST:PORT), or the data folder cannot be written.
    """
    clock = clock or Clock()
    config = setup.config
    async with contextlib.AsyncExitStack() as stack:
        for protocol in sorted({machine.profile.protocol for machine in setup.machines}):
            await asyncio.to_thread(driver_type(protocol).warm_up)
        store = Store(
            config.data / DATABASE,
            (WORKCELL, CONTROL, TRANSPORT, PROGRAMS, WAVEFORMS, LIFE),
            config.outbox.limits,
        )
        await stack.enter_async_context(store)
        clock.resume(await store.read(last_time))
        if witness:
            told = Witness(setup.edge.id, witness)
            stack.callback(told.close)
            store.after_commit(told)
        outbox = Outbox(store, clock, config.outbox.bounds)
        await outbox.open()
        blocks = await stack.enter_async_context(Blocks(config.data / BLOCKS, store, clock))
        configs = hashes(setup)
        lives = Lives(store, clock, bool(setup.life.trusted))
        deployments = Deployments(setup.edge.id, setup.life.models, setup.life.trusted, store, clock, lives)
        await deployments.open({machine.device.id: machine for machine in setup.machines})
        catalogues = Catalogues(setup.edge.id, store, clock, life_tags.definitions(deployments.models))
        catalogue = await catalogues.announce(setup.machines, b"", [ConfigApplied(clock.now(), configs)])
        before = await store.read(remembered)
        recorder = Recorder(outbox, catalogue)
        backfill = Backfill(outbox, lambda: recorder.catalogue)
        devices = Devices(recorder)
        control = Control({machine.device.id: machine.device.workcells for machine in setup.machines})
        book = Book()
        control.machines = CollectedMachines(devices, book)
        control.vehicles = [
            machine.device.id
            for machine in setup.machines
            if not machine.device.workcells and machine.profile.tag_with(Role.MISSION) is not None
        ]
        stations = Stations(
            places(setup.site, setup.edge.id),
            store,
            clock,
            link=lambda: uplink.status,
            devices=control.devices,
            new_id=new_id,
            control=control,
        )
        uplink = _uplink(setup, outbox, stations, blocks, deployments, Running(configs, catalogue))
        await stations.open()

        def make(setup: Setup, machine: Machine, numbers: Catalogue) -> Collector:
            made = _collector(setup, machine, recorder, clock, numbers, stations, backfill, before, blocks)
            made.recognition.locked, made.recognition.accepted = control.refuses, control.accepted
            return made

        def other_devices(known: Mapping[str, Sequence[str]]) -> None:
            control.devices = known
            stations.devices_changed(known)

        def applied(configs: dict[str, str], catalogue: bytes) -> None:
            uplink.running = Running(configs, catalogue)

        def renew_programs(setup: Setup) -> None:
            book.renew(
                setup.releases, setup.site, {machine.device.id: machine.device for machine in setup.machines}
            )

        renew_programs(setup)
        numbered = {machine.device.id: await catalogues.numbered(machine) for machine in setup.machines}
        for machine in setup.machines:
            devices.show(make(setup, machine, numbered[machine.device.id]))
        assets = {machine.device.id: str(machine.device.asset) for machine in setup.machines}
        lives.recorder = recorder
        await lives.open(deployments.models, assets, numbered)
        control.lives, control.on_repaired = lives.views, lives.renewed
        before = Remembered()  # what stood before this start belongs to what is read from the start
        keeper = Keeper(book, control, stations, control.machines, recorder.report, store, clock)
        execution = Execution(control, stations, control.machines, clock, keeper)
        reconfiguration = Reconfiguration(
            setup.sources["edge"],
            setup,
            configs,
            devices,
            recorder,
            catalogues,
            clock,
            make,
            on_applied=applied,
            on_devices=other_devices,
            on_setup=renew_programs,
            paused=execution.paused,
        )

        async def announce(
            models: Mapping[str, EdgeModel],
            machines: Sequence[Machine],
            begin: Callable[[Mapping[str, Catalogue]], None],
        ) -> None:
            catalogues.also = life_tags.definitions(models)
            numbers = {machine.device.id: await catalogues.numbered(machine) for machine in machines}
            await reconfiguration.announce(lambda: begin(numbers))

        deployments.machines, deployments.announce = lambda: reconfiguration.running, announce
        agent = Agent(
            setup,
            outbox,
            recorder,
            uplink,
            stations,
            devices,
            reconfiguration,
            token_of(config.data),
            clock.now(),
            execution,
            keeper,
        )
        agent.sparkplug = _sparkplug(setup, recorder, store, clock)
        agent.transport = await _transport(setup, devices, stations, store, clock, control)
        agent.blocks, agent.lives, agent.deployments = blocks, lives, deployments
        recorder.on_samples = _both(lives.heard, recorder.on_samples)
        recorder.on_events = agent.hear
        yield agent


def _uplink(
    setup: Setup,
    outbox: Outbox,
    stations: Stations,
    blocks: Blocks,
    deployments: Deployments,
    running: Running,
) -> Uplink:
    edge = setup.edge.id

    def pipe(deliver: Callable[[PipeEvent], None]) -> MqttPipe:
        neighbours = [other.id for other in setup.site.edges]
        return MqttPipe(setup.config.broker, f"onelot-edge-{edge}", topics(edge, neighbours), deliver)

    async def catalogue_asked(content_hash: bytes) -> None:
        """Announce again what the cloud does not know (any more)."""

        def work(db: sqlite3.Connection) -> None:
            known = kept_catalogue(db, content_hash)
            if known is not None:
                append_states(db, [CatalogueAnnounced(content_hash, known)])

        await outbox.store.run(work, urgent=False)

    handlers = Handlers(
        stations.jobs_received,
        stations.release_requested,
        stations.neighbour_actions,
        catalogue_asked,
        blocks.asked,
        deployments.received,
    )
    return Uplink(edge, outbox, running, handlers, pipe)


async def _transport(
    setup: Setup, devices: Devices, stations: Stations, store: Store, clock: Clock, control: Control
) -> Transport | None:
    """The transport of an edge that has a site graph and vehicles of its own."""
    vehicles = [machine.device.id for machine in setup.machines if machine.profile.protocol == "vda5050"]
    known = {m.device.id: m.profile for m in setup.machines if takes_missions(m.profile)}
    if setup.graph is None or not (vehicles or known):
        return None

    def locked(workcell: str) -> bool:
        return control.locked(workcell) is not None

    missions, orders = await store.read(transport_journal.load)
    open_handshakes = await store.read(transport_journal.load_handshakes)
    station_devices = CollectedDevices(devices, control)
    handshakes = Handshakes(setup.graph.stations, station_devices, store, clock, open_handshakes)
    assignments = await store.read(transport_journal.load_assignments)
    behind_tags = ProfileFleet(setup.graph, known, station_devices, stations, store, clock, assignments)
    theirs = taken_up(missions, assignments.values())
    behind_tags.resume(theirs)
    rest = {name: each for name, each in missions.items() if name not in theirs}
    rest = reconciled(rest, orders.values(), handshakes.handing())
    missions = {name: theirs.get(name) or rest[name] for name in missions}
    homes = setup.graph.homes(vehicles)
    carrier = Vda5050Fleet(setup.graph, homes, devices.driver, store, new_id, handshakes, orders, locked)
    carrier.resume({each.id: each for each in rest.values() if each.state is MissionState.UNDER_WAY})
    transport = Transport(
        stations,
        setup.edge.workcells,
        served(setup.graph, [machine.device.id for machine in setup.machines]),
        Carriers([carrier, behind_tags]),
        store,
        clock,
        locked,
        "material" if "material" in setup.site.andon_topics else next(iter(setup.site.andon_topics), ""),
        missions,
    )
    handshakes.on_late, transport.holds = transport.late, handshakes.holds
    return transport


def _both(
    one: Callable[[SampleColumns], None], other: Callable[[SampleColumns], None] | None
) -> Callable[[SampleColumns], None]:
    def heard(columns: SampleColumns) -> None:
        one(columns)
        if other is not None:
            other(columns)

    return heard


def _sparkplug(setup: Setup, recorder: Recorder, store: Store, clock: Clock) -> SparkplugPublisher | None:
    """The Sparkplug node of this edge, where there is to be one."""
    config = setup.config.sparkplug
    if config is None:
        return None

    async def definitions(content_hash: bytes) -> Sequence[TagDefinition]:
        known = await store.read(lambda db: kept_catalogue(db, content_hash))
        return () if known is None else known.tags

    broker = config.broker or setup.config.broker
    node = SparkplugPublisher(config, setup.edge.id, broker, setup.config.data, clock, definitions)
    recorder.on_samples = node.committed
    return node


def _collector(
    setup: Setup,
    machine: Machine,
    recorder: Recorder,
    clock: Clock,
    catalogue: Catalogue,
    stations: Stations,
    backfill: Backfill,
    before: Remembered,
    blocks: Blocks,
) -> Collector:
    device, profile = machine.device, machine.profile
    cells = setup.site.workcells()

    def make_driver() -> Driver[Any]:
        return driver_type(profile.protocol).create(device.url, profile, device.options, setup.config.data)

    def is_busy(workcell: str) -> bool:
        if workcell not in setup.edge.workcells:
            return False
        return any(run.state is RunState.RUNNING for run in stations.view(workcell).runs)

    watch = MachineWatch(
        device.id,
        profile,
        {workcell: cells[workcell].micro_stop for workcell in device.workcells},
        new_id,
        is_busy,
        open_stops(before.stops, device.id),
        count=stations.count_of(device.id) if device.counts else None,
    )
    collector = Collector(
        device,
        profile,
        make_driver,
        recorder,
        clock,
        catalogue,
        watch,
        on_count=stations.counted if device.counts else _uncounted,
        backfill=backfill,
        read_until=before.read.get(device.id, 0),
        blocks=blocks,
    )
    stood = before.alarms.get(device.id, {})
    collector.flow.resume(stood, device.id, clock.now())
    collector.alarms.resume(watch.stood(stood))
    return collector


def _uncounted(device: str, count: Count) -> None:
    """The parts that a device counts are those of no workcell."""
