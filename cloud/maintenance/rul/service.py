"""Scores the machines of the site with the models in use, live: a thin shell around ``rul.following``.

Rows are made of what comes; what came late, or before a model was in use, is read back from the history, so
that the scores are those of all samples whatever the link did. Scoring runs in a thread; what was worked out
is saved every few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection

from cloud.history.port import History
from cloud.hub import (
    CaseChanged,
    EdgeChanged,
    EdgeOpened,
    Event,
    Hub,
    Lagged,
    ModelsChanged,
    SamplesLedgered,
    StatesLedgered,
)
from cloud.ledger import reading, source
from cloud.ledger.reading import Tag
from cloud.maintenance.health.asset import CLOCK
from cloud.maintenance.rul import lives, registry, stored_samples
from cloud.maintenance.rul.drifting import Drifts
from cloud.maintenance.rul.following import STATE, Follower, Told, believable, made
from cloud.maintenance.rul.lives import Kept, RemainingLife
from cloud.maintenance.rul.registry import ModelState, ModelVersion
from cloud.maintenance.rul.scopes import best
from cloud.store.database import Database
from cloud.store.outage import Outage
from protocols.clock import Clock
from protocols.prognostics import lifeline, model_file
from protocols.prognostics.deployment import beginning
from protocols.prognostics.lifeline import Lifeline
from protocols.prognostics.model import Prognoser
from protocols.prognostics.model_file import ModelRefusedError
from protocols.prognostics.rows import Row
from protocols.site import Device
from protocols.states import ItemState, MachineStateChanged
from protocols.values import MICROSECONDS, Quality

log = structlog.get_logger(__name__)

SAVE_EVERY = 10.0
"""Seconds between two writes, and between two tries of what the database refused."""
LOOK_EVERY = 1.0
"""Seconds between two looks for what has to catch up."""
QUIET = 5.0
"""Seconds without anything late after which no more is waited for but the history, until it has that."""
TRIES = 12
"""Looks at the history for what came live, before it is given up there."""
LOOK_BACK = 7 * 86_400 * MICROSECONDS
"""µs that the samples of a machine are read back when a model is first used for it."""
STANDING = 600 * MICROSECONDS
"""µs before a row that are read again, so that it is known what stood then."""
NEVER = 2**62
"""A time (µs UTC) that does not come."""
MAX_WAITING = 500_000
"""Samples that may wait for one machine while it catches up; beyond, they are read from the history."""

Faults = Callable[[str], Sequence[tuple[str, str]]]
"""What is wrong with an asset's sensors: tag and words."""
Key = tuple[str, str]
"""Asset and version."""


@dataclass(slots=True)
class LifeService:
    """One task. ``trusted`` are the public keys of who may have signed a model, by id; ``tags`` gives those
    of the site, ``faults`` what is known of the sensors.
    """

    database: Database
    hub: Hub
    clock: Clock
    devices: Mapping[str, Device]
    trusted: Mapping[str, bytes]
    tags: Callable[[], Awaitable[Sequence[Tag]]]
    faults: Faults = lambda _asset: ()
    quiet: float = QUIET
    prognosers: dict[str, Prognoser] = field(default_factory=dict, init=False)
    """By version; whoever only asks may use them, too."""
    rows: int = field(default=0, init=False)
    """Rows scored as they came, since the start."""
    refused: dict[str, str] = field(default_factory=dict, init=False)
    """Why a version that should be in use is not, in words."""
    _history: History | None = field(default=None, init=False)
    _followers: dict[Key, Follower] = field(default_factory=dict, init=False)
    _by_tag: dict[int, list[tuple[Follower, str]]] = field(default_factory=dict, init=False)
    _by_device: dict[str, list[Follower]] = field(default_factory=dict, init=False)
    _actives: dict[str, Follower] = field(default_factory=dict, init=False)
    """Asset → the follower with the model in use."""
    _ids: dict[str, dict[str, int]] = field(default_factory=dict, init=False)
    """Device → name of a tag → its id."""
    _drifts: Drifts = field(default_factory=Drifts, init=False)
    _scoring: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    """Held while a thread scores, or lifelines are written down."""
    _unscored: int = field(default=0, init=False)
    """Batches of rows that were made and wait to be scored."""
    _shown: dict[str, RemainingLife] = field(default_factory=dict, init=False)
    """As it is in the database."""
    _untidy: bool = field(default=True, init=False)
    """What is shown there may be of models that are in use no more."""
    _stale: bool = field(default=True, init=False)
    _outage: Outage = field(default_factory=lambda: Outage("lives"), init=False)

    async def run(self, history: History) -> None:
        """Until cancelled; what was worked out is saved at the end, too."""
        self._history = history
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow(), name="lives follow")
                tasks.create_task(self._look_regularly(), name="lives catch up")
                tasks.create_task(self._save_regularly(), name="lives save")
        finally:
            await self.keep()

    @property
    def followed(self) -> int:
        """Machines that are scored, counted once for each model."""
        return len(self._followers)

    @property
    def behind(self) -> int:
        """Machines whose samples from before are being worked through, or wait for that."""
        return sum(follower.behind for follower in self._followers.values())

    async def remembered(self, asset: str, version: str, since: int) -> bytes | None:
        """What is remembered of an asset under a model in the life that began at ``since`` (µs UTC), as a
        deployment has it; empty where that is nothing. None while it is being worked out.
        """
        follower = self._followers.get((asset, version))
        if follower is None:
            return None
        async with self._scoring:
            if follower.behind or follower.since != since or self._unscored:
                return None
            if follower.rows.newest < 0 and follower.line.last is None:
                return b""
            return beginning(lifeline.packed(follower.line.stretch), follower.rows.remembered())

    async def _follow(self) -> None:
        kinds: set[type[Event]] = {
            *(SamplesLedgered, StatesLedgered, EdgeChanged, EdgeOpened, CaseChanged, ModelsChanged)
        }
        async with self.hub.subscribe(kinds) as events:
            await self._reload()
            while True:
                for event in await events.get_all():
                    await self._take(event)

    async def _look_regularly(self) -> None:
        while True:
            await asyncio.sleep(min(LOOK_EVERY, self.quiet) or 0.001)
            now = self.clock.monotonic()
            due = [one for one in self._followers.values() if one.behind and now - one.stirred >= self.quiet]
            if not due:
                continue
            with self._outage.survived():
                ledgered, stored = await self.database.query(source.progress)
                for follower in due:
                    if follower.awaited is None:
                        follower.awaited = ledgered
                    if stored >= follower.awaited:
                        await self._catch_up(follower)

    async def _save_regularly(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            if self._stale:
                await self._reload()
            await self.keep()

    # --- events in ------------------------------------------------------------------------------------

    async def _take(self, event: Event) -> None:
        if isinstance(event, SamplesLedgered):
            if event.historical:
                self._late(event)
            else:
                await self._score(self._rows(event))
        elif isinstance(event, StatesLedgered):
            for state in event.events:
                if isinstance(state, MachineStateChanged):
                    self._works(state)
        elif isinstance(event, EdgeOpened):
            now = self.clock.monotonic()
            for follower in self._followers.values():
                if follower.edge == event.edge:
                    follower.stir(now)
        else:
            if isinstance(event, Lagged):
                for follower in self._followers.values():
                    follower.stir(self.clock.monotonic())
            await self._reload()

    def _rows(self, event: SamplesLedgered) -> list[tuple[Follower, Row]]:
        found: list[tuple[Follower, Row]] = []
        by_tag = self._by_tag
        for tag, ts, value, quality in zip(
            event.tags, event.times, event.values, event.qualities, strict=True
        ):
            for follower, name in by_tag.get(tag, ()):
                if follower.behind:
                    self._wait(follower, (name, ts, value, quality))
                elif made_now := follower.rows.take(name, ts, value, quality):
                    found += [(follower, row) for row in made_now]
        return found

    def _wait(self, follower: Follower, told: Told) -> None:
        if len(follower.waiting) >= MAX_WAITING:
            follower.waiting.clear()
            follower.stir(self.clock.monotonic())
        follower.waiting.append(told)

    def _late(self, event: SamplesLedgered) -> None:
        """A backlog: from its first sample on everything is worked out anew when it has come."""
        first: dict[Key, int] = {}
        for tag, ts in zip(event.tags, event.times, strict=True):
            for follower, _ in self._by_tag.get(tag, ()):
                key = follower.asset, follower.version
                first[key] = min(ts, first.get(key, ts))
        for key, ts in first.items():
            self._followers[key].stir(self.clock.monotonic(), ts)

    def _works(self, state: MachineStateChanged) -> None:
        executes = state.item_state == ItemState.EXECUTING
        for follower in self._by_device.get(state.device, ()):
            if follower.behind:
                self._wait(follower, (STATE, state.ts, executes, int(Quality.GOOD)))
            else:
                follower.rows.works(state.ts, executes=executes)

    # --- scores ---------------------------------------------------------------------------------------

    async def _score(self, due: Sequence[tuple[Follower, Row]]) -> None:
        if not due:
            return
        believed = {id(follower): not self._unbelieved(follower) for follower, _ in due}
        self._unscored += 1
        try:
            async with self._scoring:
                await asyncio.to_thread(self._score_all, due, believed)
        finally:
            self._unscored -= 1

    def _score_all(self, due: Sequence[tuple[Follower, Row]], believed: Mapping[int, bool]) -> None:
        for follower, row in due:
            score = follower.score(row, believed=believed[id(follower)])
            self.rows += 1
            if not score.seen:
                continue
            self._drifts.take(follower.version, follower.prognoser.model, follower.line.history)
            if follower.state is ModelState.SHADOW:
                active = self._actives.get(follower.asset)
                apart = abs(score.life - active.judged[1].life) if active and active.judged else 0.0
                follower.distances.append(apart)

    def _unbelieved(self, follower: Follower) -> list[tuple[str, str]]:
        return believable(self.faults(follower.asset), follower.tags, CLOCK)

    # --- what came late -------------------------------------------------------------------------------

    async def _catch_up(self, follower: Follower) -> None:
        """Work through what the history has from the last row on, or from what came late, then what waits.

        What came before it fell behind is in the history by now, what came since waits: together they are
        all there is. The newest slice of the one is sorted with the other, as the history goes on meanwhile.
        """
        signs, live = follower.signs, follower.rows.newest
        line, now = await self._taken_back(follower), self.clock.now()
        last = line.last
        start = max(follower.since, now - LOOK_BACK) if last is None else last[0].end
        after, start = start, start - STANDING
        rows, ids = follower.fresh(line), self._ids.get(follower.device.id, {})
        tags = {name: ids[name] for name in follower.tags if name in ids}

        def states(tx: Connection) -> list[reading.MachineStateRow]:
            return reading.machine_states(tx, follower.device.id, start, now + MICROSECONDS)

        for state in await self.database.query(states):
            rows.works(state.ts, executes=state.item_state == ItemState.EXECUTING)
        stored = (
            stored_samples.told(self._history, tags, start, now + MICROSECONDS) if self._history else iter(())
        )

        def score(told: Sequence[Told]) -> None:
            for row in made(rows, told):
                if row.end > after:
                    line.take(row)

        def go_on(held: Sequence[Told]) -> list[Told] | None:
            """Score what is held once there is more behind it."""
            following = next(stored, None)
            if following is not None:
                score(held)
            return following

        held: list[Told] = []
        while (following := await asyncio.to_thread(go_on, held)) is not None:
            held = following
        waiting, follower.waiting = follower.waiting, []
        together = sorted([*held, *waiting], key=lambda told: told[1])
        await asyncio.to_thread(score, together)
        if follower.signs == signs and rows.newest < live and follower.tries < TRIES:
            follower.tries, follower.stirred = follower.tries + 1, self.clock.monotonic()
        elif follower.signs == signs:
            believed = not self._unbelieved(follower)
            follower.go_on(line, rows, believed=believed)
            while follower.waiting:
                more, follower.waiting = follower.waiting, []
                await self._score([(follower, row) for row in made(rows, more)])
            if follower.signs == signs:
                follower.behind, follower.rewind = False, None
            return
        follower.waiting = waiting + follower.waiting  # more came late meanwhile, or not all is there yet

    async def _taken_back(self, follower: Follower) -> Lifeline:
        """Its lifeline before anything that came late, apart from the one that is in use."""
        line, ts = follower.line, follower.rewind
        if ts is None:
            return await asyncio.to_thread(line.rewound, NEVER)
        known = [*line.done, line.stretch]
        for place in range(len(known) - 1, -1, -1):
            rows = known[place].rows
            if known[place].first == 0 or (rows and rows[0].end < ts):
                before = await asyncio.to_thread(Lifeline, line.prognoser, known[place])
                return (await asyncio.to_thread(before.rewound, ts)).with_done(known[:place])
        asset, version, since = follower.asset, follower.version, follower.since
        stretch = await self.database.query(lambda tx: lives.newest(tx, asset, version, since, ts))
        before = await asyncio.to_thread(Lifeline, line.prognoser, stretch)
        return await asyncio.to_thread(before.rewound, ts)

    # --- models, tags and assets ----------------------------------------------------------------------

    async def _reload(self) -> None:
        self._stale = True
        with self._outage.survived():
            versions = await self.database.query(registry.in_use)
            tags = await self.tags()
            renewed = await self.database.query(lives.renewals)
            await self._load(versions)
            await self._engage(versions, tags, renewed)
            self._stale = False

    async def _load(self, versions: Sequence[ModelVersion]) -> None:
        """Read the models that are in use and were not yet."""
        for version in versions:
            if version.id in self.prognosers or version.id in self.refused:
                continue
            data = await self.database.query(lambda tx, name=version.id: registry.file(tx, name))  # type: ignore[misc]

            def read(data: bytes = data, name: str = version.id) -> Prognoser:
                return Prognoser(model_file.read(data, f"model {name}", self.trusted))

            try:
                self.prognosers[version.id] = await asyncio.to_thread(read)
            except ModelRefusedError as error:
                self.refused[version.id] = str(error)
                log.error("lives.model_refused", why=str(error))
            seen = await self.database.query(lambda tx, name=version.id: registry.seen(tx, name))  # type: ignore[misc]
            if version.id in self.prognosers:
                self._drifts.begin(version, self.prognosers[version.id].model, seen)

    async def _engage(
        self, versions: Sequence[ModelVersion], tags: Sequence[Tag], renewed: Mapping[str, int]
    ) -> None:
        """Follow every asset with the models that are in use for it, each from where it was."""
        self._ids = {}
        for tag in tags:
            self._ids.setdefault(tag.device, {})[tag.path.removeprefix(f"{tag.device}/")] = tag.id
        edges = {tag.device: tag.edge for tag in tags}
        followers: dict[Key, Follower] = {}
        for device in self.devices.values():
            asset, since = str(device.asset), renewed.get(str(device.asset), 0)
            for version in best(versions, device):
                prognoser = self.prognosers.get(version.id)
                if prognoser is None or prognoser.model.row is None:
                    continue
                before = self._followers.get((asset, version.id))
                if before is None or before.since != since:
                    before = await self._follower(device, edges.get(device.id, ""), version, prognoser, since)
                before.state, before.edge = version.state, edges.get(device.id, before.edge)
                known = self._ids.get(device.id, {})
                before.missing = tuple(name for name in before.tags if known and name not in known)
                followers[asset, version.id] = before
        self._followers, self._by_tag, self._by_device, self._untidy = followers, {}, {}, True
        self._actives = {one.asset: one for one in followers.values() if one.state is ModelState.ACTIVE}
        for follower in followers.values():
            self._by_device.setdefault(follower.device.id, []).append(follower)
            known = self._ids.get(follower.device.id, {})
            for name in follower.tags:
                if name in known:
                    self._by_tag.setdefault(known[name], []).append((follower, name))

    async def _follower(
        self, device: Device, edge: str, version: ModelVersion, prognoser: Prognoser, since: int
    ) -> Follower:
        asset, kind = str(device.asset), prognoser.model.row
        assert kind is not None  # noqa: S101 - the caller asked
        stretch = await self.database.query(lambda tx: lives.newest(tx, asset, version.id, since))
        line = await asyncio.to_thread(Lifeline, prognoser, stretch)
        made = Follower(device, edge, version.id, version.state, prognoser, since, line, kind)
        made.stir(self.clock.monotonic())
        return made

    # --- what was worked out --------------------------------------------------------------------------

    async def keep(self) -> None:
        """Save what changed: what is shown, the stretches, the comparisons in shadow and the drift."""
        async with self._scoring:
            changed = [each for each in self._followers.values() if each.changed]
            every = [each.life(self._unbelieved(each)) for each in self._actives.values()]
            shown = [life for life in every if self._shown.get(life.asset) != life]
            kept = [
                Kept(each.asset, each.version, each.since, stretch, each.untidy or bool(each.line.done))
                for each in changed
                if not each.behind
                for stretch in (*each.line.done, each.line.stretch)
            ]
            # It may have gone back and have another lifeline by the time all is written.
            done = [
                (each, each.line, each.behind, len(each.line.done), len(each.distances)) for each in changed
            ]
            distances: dict[str, list[float]] = {}
            for each in changed:
                distances.setdefault(each.version, []).extend(each.distances)
            drifts = self._drifts.changed()
            for each in changed:
                each.changed = each.behind
            now, tidy = self.clock.now(), self._untidy

            def write(tx: Connection) -> None:
                lives.keep(tx, kept)
                lives.show(tx, shown)
                if tidy:
                    lives.hide_others(tx, [life.asset for life in every])
                for version, found in distances.items():
                    registry.compare(tx, version, found)
                for drift in drifts:
                    drift.write(tx, now)

            saved = False
            try:
                with self._outage.survived():
                    await self.database.run(write)
                    saved = True
            finally:
                for each, line, behind, stretches, compared in done:
                    if not saved:
                        each.changed = True
                        continue
                    del each.distances[:compared]
                    if not behind:
                        del line.done[:stretches]
                        each.untidy = each.line is not line
                if saved:
                    self._shown, self._untidy = {life.asset: life for life in every}, False
                else:
                    self._drifts.again(drifts)
