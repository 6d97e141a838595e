"""Scores the machines of an edge with its models, row by row, whatever the network does.

What it hears is what was put on disk for the cloud, in the same order, so that both make the same rows and
the same scores of it. Scoring runs in a thread; a score goes out as samples of tags of its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from edge.life import journal
from edge.life.journal import Unfinished
from edge.life.model_files import EdgeModel
from edge.life.tags import NAMES
from edge.outbox.store import OutboxFullError, Store
from edge.recorder import Takes
from edge.station.station_view import LifeView
from protocols.catalogue import Catalogue
from protocols.prognostics.lifeline import Lifeline, Score, Stretch, asked, newest_judged
from protocols.prognostics.rows import Assembler, Row, assembler
from protocols.states import Event, ItemState, MachineStateChanged
from protocols.telemetry import Flag, SampleColumns
from protocols.values import Quality, Reason

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Scored:
    """One machine under its model. ``numbers`` are those of its own tags in the catalogue."""

    device: str
    asset: str
    model: EdgeModel
    since: int
    line: Lifeline
    numbers: tuple[int, ...]
    rows: Assembler
    due: list[Row] = field(default_factory=list)
    judged: tuple[Row, Score] | None = None
    told: int = 0
    """Time of the last score that was told."""
    age: int = 0
    """Of the machine, in rows, by then."""
    seen: bool = True
    """Whether the model knew what it did then."""


@dataclass(slots=True)
class Lives:
    """All scored machines of one edge. ``columns`` of samples are heard by :meth:`heard` once they are on
    disk. Call :meth:`open` before anything else.
    """

    models: Mapping[str, EdgeModel]
    assets: Mapping[str, str]
    """Device → asset."""
    store: Store
    recorder: Takes
    _scored: dict[str, _Scored] = field(default_factory=dict, init=False)
    _by_tag: dict[int, tuple[_Scored, str]] = field(default_factory=dict, init=False)
    _renewed: set[str] = field(default_factory=set, init=False)
    """Devices whose new life is not on disk yet."""
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def open(self, catalogue: Mapping[str, Catalogue]) -> None:
        """Go on where each life was; ``catalogue`` has the numbers of each device's tags."""
        renewed = await self.store.read(journal.renewed)
        for device, model in self.models.items():
            asset = self.assets[device]
            since = renewed.get(asset, 0)

            def read(
                db: sqlite3.Connection, asset: str = asset, sha: str = model.sha256, since: int = since
            ) -> tuple[Stretch, Unfinished] | None:
                return journal.load(db, asset, sha, since)

            stretch, unfinished = await self.store.read(read) or (None, Unfinished())
            line = await asyncio.to_thread(Lifeline, model.prognoser, stretch)
            numbers = {tag.path.removeprefix(f"{device}/"): tag.number for tag in catalogue[device].tags}
            scored = _Scored(
                device,
                asset,
                model,
                since,
                line,
                tuple(numbers[name] for name in NAMES),
                self._assembler(model, line, since),
                judged=newest_judged(line.stretch.rows, line.stretch.scores),
                age=line.history.age,
                seen=line.last is None or line.last[1].seen,
            )
            if unfinished.remembered:
                scored.rows.remember(unfinished.remembered)
            if unfinished.due:
                scored.due = unfinished.due
                self._news.set()
            self._scored[device] = scored
            self._by_tag |= {numbers[name]: (scored, name) for name in model.tags}
            if stretch is None:
                await self.store.run(lambda db, one=scored: self._begin(db, one), urgent=False)  # type: ignore[misc]

    def heard(self, columns: SampleColumns) -> None:
        """Samples are on disk."""
        by_tag = self._by_tag
        if not by_tag:
            return
        qualities = {flag.index: flag.quality for flag in columns.flags}
        for index, (number, ts, value) in enumerate(
            zip(columns.tags, columns.times(), columns.values, strict=True)
        ):
            found = by_tag.get(number)
            if found is None:
                continue
            scored, name = found
            if rows := scored.rows.take(name, ts, value, qualities.get(index, 0)):
                scored.due += rows
                self._news.set()

    def reported(self, events: Sequence[Event]) -> None:
        """What machines do is on disk."""
        for event in events:
            if isinstance(event, MachineStateChanged) and event.device in self._scored:
                executes = event.item_state == ItemState.EXECUTING
                self._scored[event.device].rows.works(event.ts, executes=executes)

    def renewed(self, device: str, since: int) -> None:
        """A machine was repaired: its life begins anew at ``since`` (µs UTC)."""
        scored = self._scored.get(device)
        if scored is None or since <= scored.since:
            return
        scored.since, scored.judged, scored.age, scored.seen = since, None, 0, True
        scored.line = Lifeline(scored.model.prognoser)
        scored.rows.renew(since)
        scored.due = [row for row in scored.due if row.end > since]
        self._renewed.add(device)
        self._news.set()

    async def run(self) -> None:
        """Score what is due until cancelled; then keep what is not finished."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                for scored in self._scored.values():
                    await self._score(scored)
        finally:
            await self._leave()

    def views(self) -> dict[str, LifeView]:
        """What is known, by device."""
        return {device: _view(scored) for device, scored in self._scored.items()}

    # --- inside ---------------------------------------------------------------------------------------

    @staticmethod
    def _assembler(model: EdgeModel, line: Lifeline, since: int) -> Assembler:
        kind, last = model.prognoser.model.row, line.last
        assert kind is not None  # noqa: S101 - without it a model is not loaded
        return assembler(kind, asked(model.prognoser.model), last[0] if last else None, since)

    @staticmethod
    def _begin(db: sqlite3.Connection, scored: _Scored) -> None:
        journal.begin(db, scored.asset, scored.model.sha256, scored.since, scored.line.stretch)

    async def _score(self, scored: _Scored) -> None:
        """Score the rows of one machine that are due, keep them and tell them."""
        if scored.device in self._renewed:
            self._renewed.discard(scored.device)
            asset, since = scored.asset, scored.since

            def renew(db: sqlite3.Connection) -> None:
                journal.renew(db, asset, since)
                self._begin(db, scored)

            await self._kept(renew)
        rows, scored.due = scored.due, []
        unfinished = Unfinished(scored.rows.remembered())
        line, since = scored.line, scored.since
        rows = [row for row in rows if row.end > since]
        if not rows:
            return
        try:
            made = await asyncio.to_thread(_taken, line, rows)
        except asyncio.CancelledError:
            scored.due = rows + scored.due  # they are scored after the next start
            raise
        if scored.line is not line:
            return  # it was renewed meanwhile

        def keep(db: sqlite3.Connection) -> None:
            for stretch, place, row, score in made:
                if place == 0 and stretch.first:
                    journal.begin(db, scored.asset, scored.model.sha256, since, stretch)
                journal.add(db, scored.asset, place, row, score)
            journal.leave(db, scored.asset, unfinished)

        await self._kept(keep)
        line.done.clear()
        for _, _, row, score in made:
            if score.seen:
                scored.judged = row, score
            self._tell(scored, row, score)
        scored.age, scored.seen = line.history.age, made[-1][3].seen

    async def _leave(self) -> None:
        unfinished = {
            scored.asset: Unfinished(scored.rows.remembered(), scored.due) for scored in self._scored.values()
        }

        def keep(db: sqlite3.Connection) -> None:
            for asset, each in unfinished.items():
                journal.leave(db, asset, each)

        if unfinished:
            await self._kept(keep)

    async def _kept(self, work: Callable[[sqlite3.Connection], None]) -> None:
        try:
            await self.store.run(work, urgent=False)
        except OutboxFullError as error:
            log.error("life.disk_full", error=str(error))

    def _tell(self, scored: _Scored, row: Row, score: Score) -> None:
        """The score as samples at the time of its row: uncertain in an unseen regime, and beyond the horizon
        the upper bound is."""
        rows = self.recorder.rows
        horizon = scored.model.prognoser.model.horizon
        scored.told = ts = max(row.end, scored.told + 1)
        for number, value in zip(scored.numbers, (score.life, score.lower, score.upper), strict=True):
            if not score.seen:
                rows.flags.append(Flag(len(rows.tags), int(Quality.UNCERTAIN), int(Reason.OTHER)))
            elif value is None:
                rows.flags.append(Flag(len(rows.tags), int(Quality.UNCERTAIN), int(Reason.OUT_OF_RANGE)))
            rows.tags.append(number)
            rows.times.append(ts)
            rows.values.append(horizon if value is None else value)
        self.recorder.touch()


def _taken(line: Lifeline, rows: Sequence[Row]) -> list[tuple[Stretch, int, Row, Score]]:
    """Score rows; each with the stretch it is in and its place there."""
    found = []
    for row in rows:
        score = line.take(row)
        found.append((line.stretch, len(line.stretch.rows) - 1, row, score))
    return found


def _view(scored: _Scored) -> LifeView:
    model = scored.model.prognoser.model
    row, score = scored.judged if scored.judged is not None else (None, None)
    return LifeView(
        scored.device,
        model.unit,
        model.horizon,
        scored.age,
        score.life if score is not None else None,
        score.lower if score is not None else None,
        score.upper if score is not None else None,
        row.end if row is not None else 0,
        scored.seen,
    )
