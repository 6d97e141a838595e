"""Scores the machines of an edge with its models, row by row, whatever the network does.

What it hears is what was put on disk for the cloud, in the same order, so that both make the same rows and
the same scores of it. Scoring runs in a thread; a score goes out as samples of tags of its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

from edge.life import journal
from edge.life.journal import Unfinished
from edge.life.model_files import EdgeModel
from edge.life.tags import NAMES
from edge.outbox.store import OutboxFullError, Store
from edge.recorder import Takes
from edge.station.station_view import LifeView
from protocols.catalogue import Catalogue
from protocols.clock import Clock
from protocols.prognostics import deployment, lifeline
from protocols.prognostics.lifeline import Lifeline, Score, Stretch, asked, newest_judged
from protocols.prognostics.rows import Assembler, Row, assembler
from protocols.states import Event, ItemState, MachineStateChanged
from protocols.telemetry import Flag, SampleColumns
from protocols.values import Quality, Reason

log = structlog.get_logger(__name__)

LATELY, LATELY_SECONDS = 100_000, 60.0
"""Samples, and seconds of them, that are remembered for a model that comes: what the service remembers of a
machine is some seconds old when it is here."""
STATES = 50
"""States of a machine that are remembered for it."""


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
    tags: dict[int, str] = field(default_factory=dict)
    """Number → name of the tags that the model asks for."""

    @property
    def by_work(self) -> bool:
        """Whether a row is made by work, and not by a counter."""
        row = self.model.prognoser.model.row
        return row is not None and not row.counter

    @property
    def newest(self) -> int:
        """µs UTC of the newest scored row, or of the life's beginning."""
        return self.line.last[0].end if self.line.last is not None else self.since

    def rows_after(self, ts: int) -> list[Row]:
        """The rows that stand after a time (µs UTC), scored or not, as far as they are remembered."""
        known = [row for stretch in (*self.line.done, self.line.stretch) for row in [*stretch.rows]]
        return [row for row in (*known, *self.due) if row.end > ts]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a machine under a model: its lifeline, and what the assembler has of its open row."""

    line: Lifeline
    row: bytes = b""


@dataclass(slots=True)
class Lives:
    """All scored machines of one edge. ``columns`` of samples are heard by :meth:`heard` once they are on
    disk. Call :meth:`open` before anything else.
    """

    store: Store
    clock: Clock
    expects: bool = True
    """Whether models may come while it runs."""
    recorder: Takes = field(init=False)
    """Takes the scores; set before :meth:`run`."""
    _since: dict[str, int] = field(default_factory=dict, init=False)
    """Since when each asset is as new (µs UTC), where that was ever said here."""
    _scored: dict[str, _Scored] = field(default_factory=dict, init=False)
    _by_tag: dict[int, tuple[_Scored, str]] = field(default_factory=dict, init=False)
    _begun: set[str] = field(default_factory=set, init=False)
    """Devices whose new life, or new model, is not on disk yet."""
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _lately: deque[tuple[float, SampleColumns]] = field(default_factory=deque, init=False)
    """What was heard lately, with monotonic seconds."""
    _waiting: int = field(default=0, init=False)
    """Samples in it."""
    _states: dict[str, list[MachineStateChanged]] = field(default_factory=dict, init=False)
    """The newest states of each device."""

    async def open(
        self, models: Mapping[str, EdgeModel], assets: Mapping[str, str], catalogue: Mapping[str, Catalogue]
    ) -> None:
        """Go on where each life was. ``assets`` are those of the devices; ``catalogue`` has the numbers of
        their tags.
        """
        self._since = await self.store.read(journal.renewed)
        for device, model in models.items():
            asset = assets[device]
            since = self._since.get(asset, 0)

            def read(
                db: sqlite3.Connection, asset: str = asset, sha: str = model.sha256, since: int = since
            ) -> tuple[Stretch, Unfinished] | None:
                return journal.load(db, asset, sha, since)

            stretch, unfinished = await self.store.read(read) or (None, Unfinished())
            line = await asyncio.to_thread(Lifeline, model.prognoser, stretch)
            scored = self._made(device, asset, model, line, catalogue[device])
            if unfinished.remembered:
                scored.rows.remember(unfinished.remembered)
            if unfinished.due:
                scored.due = unfinished.due
                self._news.set()
            self._engage(scored)
            if stretch is None:
                self._begun.add(device)
        if self._begun:
            await self.save()

    def since(self, asset: str) -> int:
        """Since when an asset is as new (µs UTC); 0 where that was never said here."""
        return self._since.get(asset, 0)

    def take_up(
        self, device: str, asset: str, model: EdgeModel, known: Known | None, catalogue: Catalogue
    ) -> None:
        """Score a machine with a model from now on; call :meth:`save` then. ``known`` is what is known of the
        machine under it. Rows that the model before made of the same tags are scored on with this one; else
        what was heard since is heard again.
        """
        before = self._scored.get(device)
        known = known or Known(Lifeline(model.prognoser))
        scored = self._made(device, asset, model, known.line, catalogue)
        self._engage(scored)
        self._begun.add(device)
        if before is not None and _same_rows(before, scored):
            scored.rows, scored.due = before.rows, before.rows_after(scored.newest)
            self._news.set()
        else:
            self._go_on(scored, known.row)

    def drop(self, device: str) -> None:
        """Score a machine no more."""
        self._scored.pop(device, None)
        self._begun.discard(device)
        self._by_tag = {tag: found for tag, found in self._by_tag.items() if found[0].device != device}

    def heard(self, columns: SampleColumns) -> None:
        """Samples are on disk."""
        if self.expects:
            now = self.clock.monotonic()
            self._lately.append((now, columns))
            self._waiting += len(columns.tags)
            while self._lately and (self._waiting > LATELY or self._lately[0][0] < now - LATELY_SECONDS):
                self._waiting -= len(self._lately.popleft()[1].tags)
        self._hear(columns, self._by_tag)

    def _hear(self, columns: SampleColumns, by_tag: Mapping[int, tuple[_Scored, str]]) -> None:
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
            if isinstance(event, MachineStateChanged):
                self._states[event.device] = [*self._states.get(event.device, [])[-STATES:], event]

    def _go_on(self, scored: _Scored, row: bytes) -> None:
        """Go on with a row that somebody else began, and with what was heard here meanwhile: of that what is
        not newer is passed over.
        """
        if row:
            scored.rows.remember(row)
        for state in self._states.get(scored.device, []):
            scored.rows.works(state.ts, executes=state.item_state == ItemState.EXECUTING)
        by_tag = {number: (scored, name) for number, name in scored.tags.items()}
        for _, columns in self._lately:
            self._hear(columns, by_tag)

    def renewed(self, device: str, since: int, asset: str | None = None, known: Known | None = None) -> None:
        """A machine was repaired: its life begins anew at ``since`` (µs UTC), with what is ``known`` of it.
        An earlier time than the one that is known changes nothing. ``asset`` is that of a machine which may
        not be scored here.
        """
        scored = self._scored.get(device)
        asset = scored.asset if scored is not None else asset
        if asset is None or since <= self._since.get(asset, 0):
            return
        self._since[asset] = since
        self._begun.add(device)
        self._news.set()
        if scored is None:
            return
        line = known.line if known is not None else Lifeline(scored.model.prognoser)
        later = scored.rows_after(max(since, line.last[0].end if line.last is not None else 0))
        scored.line, scored.since = line, since
        self._show(scored)
        if known is not None and scored.by_work:
            # Where its rows begin depends on what was worked since the renewal, which the service knows.
            scored.rows, scored.due = _assembler(scored.model, line, since), []
            self._go_on(scored, known.row)
        else:
            scored.due = later
            scored.rows.renew(since)

    async def save(self, also: Callable[[sqlite3.Connection], None] = lambda _db: None) -> None:
        """Write all that began anew, with something ``also`` in the same transaction.

        Raises:
            OutboxFullError: there is no room; nothing was written, and the next call writes it.
        """
        since, begun = dict(self._since), set(self._begun)
        self._begun.clear()
        fresh = [self._scored[device] for device in begun if device in self._scored]

        def write(db: sqlite3.Connection) -> None:
            for asset, ts in since.items():
                journal.renew(db, asset, ts)
            for scored in fresh:
                journal.begin(db, scored.asset, scored.model.sha256, scored.since, scored.line.stretch)
            also(db)

        try:
            await self.store.run(write, urgent=False)
        except OutboxFullError:
            self._begun |= begun
            raise

    async def run(self) -> None:
        """Score what is due until cancelled; then keep what is not finished."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                for scored in [*self._scored.values()]:
                    await self._score(scored)
        finally:
            await self._leave()

    def views(self) -> dict[str, LifeView]:
        """What is known, by device."""
        return {device: _view(scored) for device, scored in self._scored.items()}

    # --- inside ---------------------------------------------------------------------------------------

    def _made(
        self, device: str, asset: str, model: EdgeModel, line: Lifeline, catalogue: Catalogue
    ) -> _Scored:
        numbers = {tag.path.removeprefix(f"{device}/"): tag.number for tag in catalogue.tags}
        since = self._since.get(asset, 0)
        own = tuple(numbers[name] for name in NAMES)
        scored = _Scored(device, asset, model, since, line, own, _assembler(model, line, since))
        self._show(scored)
        scored.tags = {numbers[name]: name for name in model.tags}
        return scored

    @staticmethod
    def _show(scored: _Scored) -> None:
        """What is known of a machine as its lifeline has it."""
        line = scored.line
        scored.judged = newest_judged(line.stretch.rows, line.stretch.scores)
        scored.age = line.history.age
        scored.seen = line.last is None or line.last[1].seen

    def _engage(self, scored: _Scored) -> None:
        self.drop(scored.device)
        self._scored[scored.device] = scored
        self._by_tag |= {number: (scored, name) for number, name in scored.tags.items()}

    async def _score(self, scored: _Scored) -> None:
        """Score the rows of one machine that are due, keep them and tell them."""
        if self._begun:
            try:
                await self.save()
            except OutboxFullError as error:
                log.error("life.disk_full", error=str(error))
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
        if not self._goes_on(scored, line):
            now = self._scored.get(scored.device)
            if now is not None and _same_rows(now, scored):
                _score_again(now, rows)
                self._news.set()
            return

        def keep(db: sqlite3.Connection) -> None:
            for stretch, place, row, score in made:
                if place == 0 and stretch.first:
                    journal.begin(db, scored.asset, scored.model.sha256, since, stretch)
                journal.add(db, scored.asset, place, row, score)
            journal.leave(db, scored.asset, unfinished)

        await self._kept(keep)
        if not self._goes_on(scored, line):
            return
        del line.done[:-1]  # a renewal that is heard of late goes back a little
        for _, _, row, score in made:
            if score.seen:
                scored.judged = row, score
            self._tell(scored, row, score)
        scored.age, scored.seen = line.history.age, made[-1][3].seen

    def _goes_on(self, scored: _Scored, line: Lifeline) -> bool:
        """Whether a machine was neither renewed nor given another model meanwhile."""
        return self._scored.get(scored.device) is scored and scored.line is line

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


def _same_rows(one: _Scored, other: _Scored) -> bool:
    """Whether two models make the same rows of a machine's samples."""
    a, b = one.model.prognoser.model, other.model.prognoser.model
    return one.asset == other.asset and a.row == b.row and asked(a) == asked(b)


def _score_again(scored: _Scored, rows: Sequence[Row]) -> None:
    """Rows that were being scored for nothing: those that its lifeline has not are due."""
    due = {row.end: row for row in (*rows, *scored.due) if row.end > scored.newest}
    scored.due = [due[end] for end in sorted(due)]


def begun(model: EdgeModel, data: bytes) -> Known | None:
    """What the service remembered of a machine under a model, scored again here; None where that gives other
    scores than it gave there, or it is not of this model.
    """
    try:
        found = deployment.begun(data)
        stretch = lifeline.unpacked(found.stretch)
        again, _ = lifeline.replayed(model.prognoser, stretch)
        line = Lifeline(model.prognoser, stretch)
        _assembler(model, line, 0).remember(found.row)
    except (msgspec.DecodeError, ValueError, IndexError, KeyError, TypeError):
        return None
    return Known(line, found.row) if again == stretch.scores else None


def _assembler(model: EdgeModel, line: Lifeline, since: int) -> Assembler:
    kind, last = model.prognoser.model.row, line.last
    assert kind is not None  # noqa: S101 - without it a model is not loaded
    return assembler(kind, asked(model.prognoser.model), last[0] if last else None, since)


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
