"""Sends the active models to the edges whose machines they are for, with the renewals, until each edge says
that it has them: a thin shell around the registry, the lives and the publisher.

What an edge is to have stands in the registry alone; this only looks what differs. A file goes out part by
part when its edge asks for it, slowly enough that values and job lists pass between the parts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from cloud.hub import CaseChanged, EdgeOpened, Event, Hub, Lagged, ModelsChanged, StatesLedgered
from cloud.maintenance.rul import holdings, lives, registry
from cloud.maintenance.rul.holdings import Holding
from cloud.maintenance.rul.registry import ModelState, ModelVersion
from cloud.maintenance.rul.scopes import best
from cloud.maintenance.rul.service import LifeService
from cloud.publisher import Publisher
from cloud.store.database import Database, DatabaseClosedError
from protocols.clock import Clock
from protocols.prognostics import deployment
from protocols.prognostics.deployment import MAX_BEGINNING, Assigned, Deployment, Part
from protocols.site import Device, Site
from protocols.states import ModelsHeld

log = structlog.get_logger(__name__)

PACE = 0.1
"""Seconds between two parts to the same edge."""
LOOK = 1.0
"""Seconds between two looks at edges that are due."""
PATIENCE = 600.0
"""Seconds that an edge waits for what is remembered of its machines while that is worked out anew."""
BEGINNINGS = 4 << 20
"""Bytes of all that is remembered in one message; what goes beyond begins anew at its edge."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an edge is to have, without what is remembered of its machines."""

    versions: dict[str, tuple[Device, ModelVersion]]
    renewed: dict[str, int]
    held: dict[str, Holding]

    @property
    def is_nothing(self) -> bool:
        return not (self.versions or self.renewed or self.held)

    def knows(self, device: str) -> bool:
        """Whether the edge scores a machine with the model it is to have, since the life began."""
        held = self.held.get(device)
        known = self.versions.get(device)
        return (
            held is not None
            and known is not None
            and held.sha256 == known[1].sha256
            and held.life == self.renewed.get(device, 0)
        )


@dataclass(slots=True)
class ModelDeployment:
    """For all edges of a site. ``lives`` says what is remembered of a machine under a model."""

    database: Database
    hub: Hub
    publisher: Publisher
    lives: LifeService
    site: Site
    clock: Clock
    _due: dict[str, float] = field(default_factory=dict, init=False)
    """Edge → monotonic seconds since which it is to be looked at."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _said: dict[str, Deployment] = field(default_factory=dict, init=False)
    """What was said to each edge last."""
    _parts: dict[str, deque[Part]] = field(default_factory=dict, init=False)
    """What is still to be sent, by edge."""
    _sending: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name="deployment follow")
            tasks.create_task(self._look(), name="deployment look")
            tasks.create_task(self._send(), name="deployment send")

    async def _follow(self) -> None:
        kinds: set[type[Event]] = {ModelsChanged, CaseChanged, EdgeOpened, StatesLedgered}
        async with self.hub.subscribe(kinds) as events:
            self._stir(*(edge.id for edge in self.site.edges))
            while True:
                for event in await events.get_all():
                    if isinstance(event, StatesLedgered):
                        for state in event.events:
                            if isinstance(state, ModelsHeld):
                                await self._told(event.edge, state)
                    elif isinstance(event, EdgeOpened):
                        self._said.pop(event.edge, None)  # it may have missed it, or be an older copy
                        self._stir(event.edge)
                    elif isinstance(event, ModelsChanged | CaseChanged | Lagged):
                        if isinstance(event, Lagged):
                            self._said.clear()
                        self._stir(*(edge.id for edge in self.site.edges))

    def _stir(self, *edges: str) -> None:
        now = self.clock.monotonic()
        for edge in edges:
            self._due.setdefault(edge, now)
        self._wake.set()

    # --- what an edge is to have ----------------------------------------------------------------------

    async def _look(self) -> None:
        while True:
            if not self._due:
                await self._wake.wait()
            self._wake.clear()
            due, self._due = self._due, {}
            for edge, since in due.items():
                try:
                    done = await self._deploy(edge, since)
                except (SQLAlchemyError, DatabaseClosedError):
                    done = False  # at the next look
                if not done:
                    self._due[edge] = since
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._wake.wait()

    async def _deploy(self, edge: str, since: float) -> bool:
        """Say what an edge is to have, unless that was said; False: it is not worked out yet."""
        if edge not in {each.id for each in self.site.edges}:
            return True
        wanted = await self.database.query(lambda tx: self._wanted(tx, edge))
        if wanted.is_nothing:
            return True
        machines, size, ready = [], 0, True
        for device, version in wanted.versions.values():
            asset, beginning = str(device.asset), b""
            if not wanted.knows(device.id):
                life = wanted.renewed.get(device.id, 0)
                remembered = await self.lives.remembered(asset, version.id, life)
                ready = ready and remembered is not None
                beginning = remembered or b""
            if len(beginning) > MAX_BEGINNING or size + len(beginning) > BEGINNINGS:
                log.warning("deployment.too_much_remembered", edge=edge, device=device.id)
                beginning = b""
            size += len(beginning)
            bytes_ = await self._size(version.id)
            machines.append(Assigned(device.id, asset, version.id, version.sha256, bytes_, beginning))
        if not ready and self.clock.monotonic() - since < PATIENCE:
            return False
        made = deployment.deployment(edge, tuple(machines), wanted.renewed)
        said = self._said.get(edge)
        if said is None or said.id != made.id:
            self._said[edge] = made
            self._parts.pop(edge, None)
            self.publisher.deploy(made)
            log.info("deployment.said", edge=edge, deployment=made.id, machines=len(machines))
        return True

    def _wanted(self, tx: Connection, edge: str) -> _Wanted:
        devices = self.site.edge(edge).devices
        versions = registry.in_use(tx)
        found: dict[str, tuple[Device, ModelVersion]] = {}
        for device in devices:
            for version in best(versions, device):
                if version.state is ModelState.ACTIVE and version.id not in self.lives.refused:
                    found[device.id] = device, version
        renewals = lives.renewals(tx)
        renewed = {one.id: renewals[str(one.asset)] for one in devices if str(one.asset) in renewals}
        return _Wanted(found, renewed, {one.device: one for one in holdings.holdings(tx, edge)})

    async def _size(self, version: str) -> int:
        return await self.database.query(lambda tx: registry.size(tx, version))

    # --- what an edge says ----------------------------------------------------------------------------

    async def _told(self, edge: str, held: ModelsHeld) -> None:
        said = self._said.get(edge)
        if said is None or said.id != held.deployment:
            return
        if not held.wants:
            self._parts.pop(edge, None)
            self.publisher.deployed(edge)
            for one in held.machines:
                if one.refused:
                    log.warning("deployment.refused", edge=edge, device=one.device, why=one.why)
            return
        if edge in self._parts:
            return  # they are on their way
        versions = {one.sha256: one.model for one in said.machines}
        parts: deque[Part] = deque()
        for sha256 in held.wants:
            if sha256 in versions:
                try:
                    file = await self._file(versions[sha256])
                except (SQLAlchemyError, DatabaseClosedError):
                    return  # it asks again
                parts.extend(deployment.parts(sha256, file))
        if parts:
            self._parts[edge] = parts
            self._sending.set()

    async def _file(self, version: str) -> bytes:
        return await self.database.query(lambda tx: registry.file(tx, version))

    # --- parts ----------------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            await self._sending.wait()
            for edge, parts in [*self._parts.items()]:
                part = parts.popleft()
                if not parts:
                    del self._parts[edge]
                await asyncio.to_thread(self.publisher.send_part, edge, part)
            if self._parts:
                await asyncio.sleep(PACE)
            else:
                self._sending.clear()
