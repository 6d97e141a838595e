"""Follows the samples, scores the assets, opens cases: a thin shell around ``cloud.maintenance.health``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import msgspec
import structlog
from sqlalchemy import Connection

from cloud.hub import (
    CaseChanged,
    EdgeChanged,
    Event,
    Hub,
    Lagged,
    SamplesLedgered,
    StatesLedgered,
)
from cloud.ledger import reading
from cloud.maintenance import cases
from cloud.maintenance.cases import SENSOR, Case, HealthRow
from cloud.maintenance.health.asset import AssetHealth
from cloud.maintenance.health.evidence import Evidence, words
from cloud.maintenance.health.facts import REGIME_ROLES, SIGNS, TagFacts, facts
from cloud.maintenance.health.gathering import Gatherer, Window
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.health.sensor import WORDS, Fault
from cloud.store.database import Database
from cloud.store.outage import Outage
from protocols.clock import Clock
from protocols.lifecycles import CaseState
from protocols.states import DeviceHeartbeat, ItemState, MachineStateChanged
from protocols.values import MICROSECONDS

log = structlog.get_logger(__name__)

WATCHED_ROLES = frozenset(SIGNS) | REGIME_ROLES
"""Roles that the service follows: signs of wear, and what tells the regime."""
MODE = "wear"
"""The failure mode that the self-baseline can tell."""
SAVE_EVERY = 10.0
"""Seconds between two writes of what was learned, and between two tries of what the database refused."""
SILENT = 120 * MICROSECONDS
"""µs that a heartbeat may be ahead of the samples of its device: states overtake telemetry."""


class Settings(msgspec.Struct, frozen=True):
    """``window`` in seconds; ``limits`` judge what the windows say. ``trusted_keys`` are files with the
    public keys of who may sign models of remaining life; with ``life_cases`` such a life alone opens a case.
    """

    window: float = 60.0
    limits: Limits = Limits()
    trusted_keys: tuple[str, ...] = ()
    life_cases: bool = True

    def __post_init__(self) -> None:
        """Raise ValueError for windows that cannot be meant."""
        if not 0.05 <= self.window <= 86_400:
            raise ValueError(f"window {self.window:g} s is not between 0.05 s and a day")

    @property
    def span(self) -> int:
        """Length of a window in µs."""
        return int(self.window * MICROSECONDS)


@dataclass(frozen=True, slots=True)
class WatchedTag:
    """A tag that the service follows, and the asset it belongs to. ``kind`` is its type."""

    asset: str
    device: str
    path: str
    unit: str = ""
    role: str = "vibration"
    kind: str = "float64"
    max_interval: float = 0.0
    edge: str = ""

    @property
    def name(self) -> str:
        """The tag's name at its asset: without the place, since health follows the asset."""
        return self.path.removeprefix(f"{self.device}/")


@dataclass(slots=True)
class MaintenanceService:
    """One task. ``watched_tags`` gives the tags of :data:`WATCHED_ROLES` by cloud tag id."""

    database: Database
    hub: Hub
    clock: Clock
    watched_tags: Callable[[], Awaitable[Mapping[int, WatchedTag]]]
    settings: Settings = field(default_factory=Settings)
    _tags: dict[int, tuple[str, str, str]] = field(default_factory=dict, init=False)
    """Cloud tag id → asset, device, name of the tag."""
    _assets: dict[str, AssetHealth] = field(default_factory=dict, init=False)
    _devices: dict[str, str] = field(default_factory=dict, init=False)
    _asset_at: dict[str, str] = field(default_factory=dict, init=False)
    _edges: dict[str, str] = field(default_factory=dict, init=False)
    """Device → the edge that collects it."""
    _gatherers: dict[str, Gatherer] = field(default_factory=dict, init=False)
    _changed: set[str] = field(default_factory=set, init=False)
    _skewed: set[str] = field(default_factory=set, init=False)
    """Assets some of whose samples had an impossible time lately."""
    _unopened: dict[str, Case] = field(default_factory=dict, init=False)
    _stale: bool = field(default=False, init=False)
    _outage: Outage = field(default_factory=lambda: Outage("maintenance"), init=False)

    async def run(self) -> None:
        """Until cancelled; what was learned is saved every few seconds and at the end.

        What the database refuses meanwhile is kept and tried again.
        """
        await self._load()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow(), name="maintenance follow")
                tasks.create_task(self._save_regularly(), name="maintenance save")
        finally:
            await self.keep()

    async def _load(self) -> None:
        """What was learned before; without it nothing may be learned anew."""
        loaded = False
        while not loaded:
            with self._outage.survived():
                self._assets = await self.database.query(cases.load)
                for machine in await self.database.query(reading.machines):
                    mode = machine.mode if machine.item_state == ItemState.EXECUTING else ""
                    self._gatherer(machine.id).modes.change(machine.state_since, mode)
                loaded = True
            if not loaded:
                await asyncio.sleep(SAVE_EVERY)

    async def _follow(self) -> None:
        kinds: set[type[Event]] = {SamplesLedgered, StatesLedgered, EdgeChanged, CaseChanged}
        async with self.hub.subscribe(kinds) as events:
            await self._reload()
            while True:
                for event in await events.get_all():
                    await self._take(event)

    async def _save_regularly(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            if self._stale:
                await self._reload()
            await self.keep()

    async def keep(self) -> None:
        """Open the cases that wait, then save what was learned: a saved alarm opens no case any more."""
        await self._open_waiting()
        if not self._unopened:
            await self._save()

    def faults(self, asset: str) -> list[tuple[str, str]]:
        """The tags of an asset that cannot be believed now, and why, in words; the oldest fault first."""
        health = self._assets.get(asset)
        return [] if health is None else [(name, WORDS[fault]) for name, fault, _ in health.faults()]

    @property
    def assets(self) -> Mapping[str, AssetHealth]:
        """What is known now, by asset; empty before the service has loaded it."""
        return self._assets

    # --- events in ----------------------------------------------------------------------------------

    async def _take(self, event: Event) -> None:
        if isinstance(event, EdgeChanged | Lagged):
            await self._reload()
        elif isinstance(event, CaseChanged):
            await self._learn_anew()
        elif isinstance(event, StatesLedgered):
            for state in event.events:
                if isinstance(state, MachineStateChanged):
                    mode = state.mode if state.item_state == ItemState.EXECUTING else ""
                    self._gatherer(state.device).modes.change(state.ts, mode)
                elif (
                    isinstance(state, DeviceHeartbeat) and state.connected and state.device in self._asset_at
                ):
                    alive = min(state.ts, self.clock.now()) - SILENT
                    await self._apply(state.device, self._gatherer(state.device).heard(alive))
        elif isinstance(event, SamplesLedgered):
            await self._score(event)

    async def _score(self, event: SamplesLedgered) -> None:
        if event.historical:
            self._count_late(event)
            return
        if event.times and not event.follows:
            for device, edge in self._edges.items():
                if edge == event.edge:
                    self._gatherer(device).interrupted(min(event.times))
        now = self.clock.now()
        limits, tags = self.settings.limits, self._tags
        ahead, behind = int(limits.clock_ahead * MICROSECONDS), int(limits.clock_behind * MICROSECONDS)
        times = event.times
        fine = not self._skewed and bool(times) and max(times) <= now + ahead and min(times) >= now - behind
        gatherers = self._gatherers
        for tag_id, ts, value, quality in zip(event.tags, times, event.values, event.qualities, strict=True):
            tag = tags.get(tag_id)
            if tag is None:
                continue
            asset, device, name = tag
            if not fine and not await self._timely(asset, device, ts, now, ahead, behind):
                continue
            if windows := gatherers[device].take(name, ts, value, quality):
                await self._apply(device, windows)

    async def _timely(self, asset: str, device: str, ts: int, now: int, ahead: int, behind: int) -> bool:
        """Whether the time of a live sample can be; opens a case when it goes on being impossible."""
        clock = self._assets[asset].clock
        was = clock.since
        timely = clock.take(ts, now, ahead, behind)
        if clock.since or clock.run:
            self._skewed.add(asset)
        else:
            self._skewed.discard(asset)
        if clock.since != was:
            self._changed.add(asset)
            if clock.since:
                await self._open(asset, device, SENSOR, now)
            else:
                log.info("maintenance.resumed", device=device)
        return timely

    def _count_late(self, event: SamplesLedgered) -> None:
        """A backlog is in the history and never judged: by then the machine has gone on."""
        for tag_id in event.tags:
            tag = self._tags.get(tag_id)
            if tag is not None:
                self._assets[tag[0]].late += 1
                self._changed.add(tag[0])

    async def _apply(self, device: str, windows: Iterable[Window]) -> None:
        asset = self._asset_at[device]
        known = self._gatherers[device].facts
        for window in windows:
            health = self._assets[asset]
            alarmed, faulty = health.alarmed, bool(health.faults())
            health.take(window, known, self.settings.limits, self.settings.span)
            self._changed.add(asset)
            if health.alarmed and not alarmed:
                await self._open(asset, device, MODE, window.end)
            frozen = bool(health.faults())
            if frozen and not faulty:
                await self._open(asset, device, SENSOR, window.end)
            elif faulty and not frozen:
                log.info("maintenance.resumed", device=device)

    # --- cases --------------------------------------------------------------------------------------

    async def _open(self, asset: str, device: str, mode: str, ts: int) -> None:
        health = self._assets[asset]
        known = self._gatherers[device].facts
        evidence = tuple(
            msgspec.structs.replace(item, tag=f"{device}/{item.tag}") for item in health.evidence(known)
        )
        case = Case(
            id=str(uuid4()),
            asset=asset,
            device=device,
            mode=mode,
            state=CaseState.OPEN,
            opened=ts,
            changed=ts,
            health=health.health(self.settings.limits) or 0.0,
            summary=(
                sensor_summary(device, health)
                if mode == SENSOR
                else wear_summary(device, evidence, known, jumped=health.jumped)
            ),
            evidence=() if mode == SENSOR else evidence,
        )
        self._unopened[case.id] = case
        await self._open_waiting()

    async def _open_waiting(self) -> None:
        for case in list(self._unopened.values()):
            with self._outage.survived():
                known = self._row(case.asset), self._assets[case.asset]
                opened = await self.database.run(partial(_open_case, case, known))
                if self._unopened.pop(case.id, None) is not None and opened:
                    log.info("case.opened", device=case.device, health=case.health, why=case.summary)
                    self.hub.publish(CaseChanged(case.id))

    # --- tags and assets ----------------------------------------------------------------------------

    def _gatherer(self, device: str) -> Gatherer:
        found = self._gatherers.get(device)
        if found is None:
            found = self._gatherers[device] = Gatherer(self.settings.span)
        return found

    async def _reload(self) -> None:
        self._stale = True
        tags: Mapping[int, WatchedTag] | None = None
        with self._outage.survived():
            tags = await self.watched_tags()
            self._stale = False
        if tags is not None:
            self._know(tags)
        await self._learn_anew()

    def _know(self, tags: Mapping[int, WatchedTag]) -> None:
        """The tags as they are now: their assets, and what is known of each before anything is measured."""
        before = {device: asset for asset, device in self._devices.items()}
        self._tags = {tag_id: (tag.asset, tag.device, tag.name) for tag_id, tag in tags.items()}
        self._devices = {tag.asset: tag.device for tag in tags.values()}
        self._asset_at = {device: asset for asset, device in self._devices.items()}
        self._edges = {tag.device: tag.edge for tag in tags.values()}
        by_device: dict[str, list[TagFacts]] = {}
        for tag in tags.values():
            each = facts(tag.name, tag.role, tag.unit, tag.kind, tag.max_interval, self.settings.span)
            by_device.setdefault(tag.device, []).append(each)
        for device, known in by_device.items():
            self._gatherer(device).know(known)
            asset = self._asset_at[device]
            if asset not in self._assets:
                self._assets[asset] = AssetHealth(predecessor=before.get(device, ""))
                if before.get(device):
                    log.info("maintenance.asset_replaced", device=device, asset=asset, before=before[device])

    async def _learn_anew(self) -> None:
        """Forget what was normal of assets whose case a person has ended."""
        stored: Mapping[str, AssetHealth] = {}
        with self._outage.survived():
            stored = await self.database.query(cases.load)
        for asset, health in stored.items():
            if asset not in self._assets or health.since > self._assets[asset].since:
                self._assets[asset] = health

    async def confirm(self, asset: str, factor: float, actor: str) -> AssetHealth:
        """Take over a threshold that a person confirmed. Raises KeyError for an asset that was never scored,
        ValueError for a factor that cannot be meant.
        """
        if asset not in self._assets:
            self._assets[asset] = (await self.database.query(cases.load))[asset]
        health = self._assets[asset]
        health.confirm(factor, self.clock.now(), actor)
        self._changed.add(asset)
        await self._save()
        return health

    # --- what was learned ---------------------------------------------------------------------------

    async def _save(self) -> None:
        changed, self._changed = self._changed, set()
        if not changed:
            return
        rows = [(self._row(asset), self._assets[asset]) for asset in sorted(changed)]

        def write(tx: Connection) -> None:
            cases.save(tx, rows)

        saved = False
        try:
            with self._outage.survived():
                await self.database.run(write)
                saved = True
        finally:
            if not saved:
                self._changed |= changed

    def _row(self, asset: str) -> HealthRow:
        health = self._assets[asset]
        return HealthRow(
            asset=asset,
            device=self._devices.get(asset, ""),
            state=health.state,
            health=health.health(self.settings.limits),
            updated=health.updated,
        )


def _open_case(case: Case, known: tuple[HealthRow, AssetHealth], tx: Connection) -> bool:
    """With what is known of the asset, so that the end of the case finds it."""
    cases.save(tx, [known])
    return cases.open_case(tx, case)


def wear_summary(
    device: str, evidence: tuple[Evidence, ...], known: Mapping[str, TagFacts], *, jumped: bool
) -> str:
    """The first tag in words, and whether the deviation came at once."""
    if not evidence:
        return "no evidence"
    first = evidence[0]
    name = first.tag.removeprefix(f"{device}/")
    text = words(first, known[name].unit if name in known else "")
    if jumped:
        text += (
            " — since the machine was silent: if it was repaired or replaced, say so and it is learned anew"
        )
    return text


def sensor_summary(device: str, health: AssetHealth) -> str:
    """What is wrong with which sensor."""
    found = health.faults()
    said = []
    for name, fault, _ in found[:3]:
        subject = device if fault is Fault.CLOCK_SKEW else f"{device}/{name}"
        text = f"{subject} {WORDS[fault]}"
        if fault is Fault.CLOCK_SKEW:
            side = "ahead" if health.clock.worst > 0 else "behind"
            text += f": {abs(health.clock.worst) / MICROSECONDS:.0f} s {side}"
        said.append(text)
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return "; ".join(said) + more + " — health is not judged until it is well"
