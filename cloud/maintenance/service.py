"""Follows the samples, scores the assets, opens cases: a thin shell around ``baseline`` and ``windows``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import msgspec
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from cloud.hub import CaseChanged, EdgeChanged, Event, Hub, Lagged, SamplesLedgered, StatesLedgered
from cloud.maintenance import cases
from cloud.maintenance.baseline import AssetHealth, Evidence, Limits, words
from cloud.maintenance.cases import Case, HealthRow
from cloud.maintenance.windows import Windows
from cloud.store.database import Database, DatabaseClosedError
from protocols.clock import Clock
from protocols.lifecycles import CaseState
from protocols.states import ItemState, MachineStateChanged
from protocols.values import MICROSECONDS

log = structlog.get_logger(__name__)

WATCHED_ROLES = frozenset({"vibration", "temperature", "spindle_load", "current"})
"""Roles whose rise means wear."""
MODE = "wear"
"""The failure mode that the self-baseline can tell."""
SAVE_EVERY = 10.0
"""Seconds between two writes of what was learned, and between two tries of what the database refused."""


class Settings(msgspec.Struct, frozen=True):
    """``window`` in seconds; ``limits`` judge what the windows say."""

    window: float = 60.0
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class WatchedTag:
    """A tag whose rise means wear, and the asset it belongs to."""

    asset: str
    device: str
    path: str
    unit: str = ""


@dataclass(slots=True)
class MaintenanceService:
    """One task. ``watched_tags`` gives the tags of :data:`WATCHED_ROLES` by cloud tag id."""

    database: Database
    hub: Hub
    clock: Clock
    watched_tags: Callable[[], Awaitable[Mapping[int, WatchedTag]]]
    settings: Settings = field(default_factory=Settings)
    _tags: Mapping[int, WatchedTag] = field(default_factory=dict, init=False)
    _assets: dict[str, AssetHealth] = field(default_factory=dict, init=False)
    _devices: dict[str, str] = field(default_factory=dict, init=False)
    _windows: dict[str, Windows] = field(default_factory=dict, init=False)
    _changed: set[str] = field(default_factory=set, init=False)
    _unopened: dict[str, Case] = field(default_factory=dict, init=False)
    _stale: bool = field(default=False, init=False)
    _failing: bool = field(default=False, init=False)

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
            await self._keep()

    async def _load(self) -> None:
        """What was learned before; without it nothing may be learned anew."""
        loaded = False
        while not loaded:
            with self._trying():
                self._assets = await self.database.query(cases.load)
                loaded = True
            if not loaded:
                await asyncio.sleep(SAVE_EVERY)

    @contextlib.contextmanager
    def _trying(self) -> Iterator[None]:
        """Survive a database that is away: said once when it goes and once when it is back."""
        try:
            yield
        except (SQLAlchemyError, DatabaseClosedError) as error:
            if not self._failing:
                log.warning("maintenance.database_away", error=str(error).splitlines()[0])
            self._failing = True
        else:
            if self._failing:
                log.info("maintenance.database_back")
            self._failing = False

    async def _follow(self) -> None:
        async with self.hub.subscribe({SamplesLedgered, StatesLedgered, EdgeChanged, CaseChanged}) as events:
            await self._reload()
            while True:
                for event in await events.get_all():
                    await self._take(event)

    async def _save_regularly(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            if self._stale:
                await self._reload()
            await self._keep()

    async def _keep(self) -> None:
        """Open the cases that wait, then save what was learned: a saved alarm opens no case any more."""
        await self._open_waiting()
        if not self._unopened:
            await self._save()

    async def _take(self, event: Event) -> None:
        if isinstance(event, EdgeChanged | Lagged):
            await self._reload()
        elif isinstance(event, CaseChanged):
            await self._learn_anew()
        elif isinstance(event, StatesLedgered):
            for state in event.events:
                if isinstance(state, MachineStateChanged):
                    regime = state.mode if state.item_state == ItemState.EXECUTING else ""
                    self._window(state.device).regimes.change(state.ts, regime)
        elif isinstance(event, SamplesLedgered):
            await self._score(event)

    async def _score(self, event: SamplesLedgered) -> None:
        limits = self.settings.limits
        for tag_id, ts, value, quality in zip(
            event.tags, event.times, event.values, event.qualities, strict=True
        ):
            tag = self._tags.get(tag_id)
            if tag is None:
                continue
            window = self._window(tag.device).take(tag.path, ts, value, quality)
            if window is None:
                continue
            health = self._assets.setdefault(tag.asset, AssetHealth())
            before = health.alarmed
            health.take(window, limits)
            self._changed.add(tag.asset)
            if health.alarmed and not before:
                await self._open(tag, health, window.ts)

    async def _open(self, tag: WatchedTag, health: AssetHealth, ts: int) -> None:
        evidence = tuple(health.evidence())
        units = {watched.path: watched.unit for watched in self._tags.values()}
        case = Case(
            id=str(uuid4()),
            asset=tag.asset,
            device=tag.device,
            mode=MODE,
            state=CaseState.OPEN,
            opened=ts,
            changed=ts,
            health=health.health(self.settings.limits) or 0.0,
            summary=_summary(evidence, units),
            evidence=evidence,
        )
        self._unopened[case.id] = case
        await self._open_waiting()

    async def _open_waiting(self) -> None:
        for case in list(self._unopened.values()):
            with self._trying():
                known = self._row(case.asset), self._assets[case.asset]
                opened = await self.database.run(partial(_open_case, case, known))
                if self._unopened.pop(case.id, None) is not None and opened:
                    log.info("case.opened", device=case.device, health=case.health, why=case.summary)
                    self.hub.publish(CaseChanged(case.id))

    def _window(self, device: str) -> Windows:
        return self._windows.setdefault(device, Windows(int(self.settings.window * MICROSECONDS)))

    async def _reload(self) -> None:
        self._stale = True
        with self._trying():
            self._tags = await self.watched_tags()
            self._stale = False
        self._devices = {tag.asset: tag.device for tag in self._tags.values()}
        await self._learn_anew()

    async def _learn_anew(self) -> None:
        """Forget what was normal of assets whose case a person has ended."""
        stored: Mapping[str, AssetHealth] = {}
        with self._trying():
            stored = await self.database.query(cases.load)
        for asset, health in stored.items():
            if asset not in self._assets or health.since > self._assets[asset].since:
                self._assets[asset] = health

    async def _save(self) -> None:
        changed, self._changed = self._changed, set()
        if not changed:
            return
        rows = [(self._row(asset), self._assets[asset]) for asset in sorted(changed)]

        def write(tx: Connection) -> None:
            cases.save(tx, rows)

        saved = False
        try:
            with self._trying():
                await self.database.run(write)
                saved = True
        finally:
            if not saved:
                self._changed |= changed

    def _row(self, asset: str) -> HealthRow:
        health = self._assets[asset]
        value = health.health(self.settings.limits)
        return HealthRow(
            asset=asset,
            device=self._devices.get(asset, ""),
            state="learning" if value is None else "watching",
            health=value,
            updated=health.updated,
        )


def _open_case(case: Case, known: tuple[HealthRow, AssetHealth], tx: Connection) -> bool:
    """With what is known of the asset, so that the end of the case finds it."""
    cases.save(tx, [known])
    return cases.open_case(tx, case)


def _summary(evidence: tuple[Evidence, ...], units: Mapping[str, str]) -> str:
    return words(evidence[0], units.get(evidence[0].tag, "")) if evidence else "no evidence"
