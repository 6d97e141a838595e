"""Hears the samples of machines piece by piece, and has each held against the envelope of its program.

A thin shell: :mod:`~cloud.quality.part_signals` says what belongs to a piece,
:mod:`~cloud.quality.part_courses` learns and judges. Only live samples count: of a piece that was made during
an outage something is always missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from cloud.hub import EdgeChanged, Event, Hub, Lagged, QualityChanged, SamplesLedgered, StatesLedgered
from cloud.ledger import reading
from cloud.quality import part_courses
from cloud.quality.part_signals import Piece, Recorder, recorders
from cloud.store.database import Database, DatabaseClosedError
from cloud.store.outage import Outage
from protocols.site import Site
from protocols.states import ItemState, MachineStateChanged
from protocols.values import Quality

log = structlog.get_logger(__name__)

TRY_AGAIN = 5.0
"""Seconds until the tags are asked for again after the database was away."""


@dataclass(slots=True)
class PartsService:
    """One task; ``run`` lives in the service's TaskGroup."""

    database: Database
    hub: Hub
    site: Site
    _of_tag: dict[int, Recorder] = field(default_factory=dict, init=False)
    _of_device: dict[str, Recorder] = field(default_factory=dict, init=False)
    _paths: dict[int, str] = field(default_factory=dict, init=False)
    _edges: dict[str, str] = field(default_factory=dict, init=False)
    _stale: bool = field(default=True, init=False)
    _outage: Outage = field(default_factory=lambda: Outage("quality"), init=False)

    async def run(self) -> None:
        """Follow the machines until cancelled."""
        kinds: set[type[Event]] = {SamplesLedgered, StatesLedgered, EdgeChanged}
        async with self.hub.subscribe(kinds) as events:
            while True:
                if self._stale and not await self._look():
                    await asyncio.sleep(TRY_AGAIN)
                    continue
                for event in await events.get_all():
                    await self._take(event)

    async def _look(self) -> bool:
        """Ask which machines count their pieces and tell signals; False when the database is away."""

        def read(tx: Connection) -> tuple[list[reading.Tag], list[reading.Machine]]:
            return reading.tags(tx), reading.machines(tx)

        self._stale = True
        with self._outage.survived():
            self._know(*await self.database.query(read))
            self._stale = False
        return not self._stale

    def _know(self, tags: Sequence[reading.Tag], machines: Sequence[reading.Machine]) -> None:
        known = self._of_device
        self._paths = {tag.id: tag.path for tag in tags}
        self._edges = {tag.device: tag.edge for tag in tags}
        self._of_device, self._of_tag = {}, {}
        executing = {m.id: m.item_state == ItemState.EXECUTING for m in machines}
        for made in recorders({tag.id: (tag.device, tag.role) for tag in tags}):
            before = known.get(made.device)
            same = before is not None and (before.count_tag, before.program_tag, before.signals) == (
                made.count_tag,
                made.program_tag,
                made.signals,
            )
            recorder = before if same and before is not None else made
            if recorder is made:
                recorder.executing = executing.get(made.device, True)
            self._of_device[made.device] = recorder
            tags_of = {recorder.count_tag, recorder.program_tag, *recorder.signals}
            self._of_tag |= {tag: recorder for tag in tags_of if tag is not None}

    async def _take(self, event: Event) -> None:
        match event:
            case SamplesLedgered():
                pieces = self.pieces(event)
                if pieces:
                    await self._keep(pieces)
            case StatesLedgered():
                for state in event.events:
                    if isinstance(state, MachineStateChanged) and state.device in self._of_device:
                        executing = state.item_state is ItemState.EXECUTING
                        self._of_device[state.device].state(state.ts, executing=executing)
            case Lagged():
                for recorder in self._of_device.values():
                    recorder.lost()
                self._stale = True
            case EdgeChanged():
                self._stale = True
            case _:
                pass

    def pieces(self, event: SamplesLedgered) -> list[Piece]:
        """The pieces that end with a batch of samples. Its columns are in no order of time between tags."""
        if event.historical:
            return []
        if not event.follows:
            for device, recorder in self._of_device.items():
                if self._edges.get(device) == event.edge:
                    recorder.lost()
        columns = zip(event.tags, event.times, event.values, event.qualities, strict=True)
        rows = [
            (ts, self._of_tag[tag].count_tag == tag, tag, value, quality)
            for tag, ts, value, quality in columns
            if tag in self._of_tag
        ]
        rows.sort(key=lambda row: row[:2])
        found = []
        for ts, _, tag, value, quality in rows:
            made = self._of_tag[tag].sample(tag, ts, value, good=quality == Quality.GOOD)
            if made is not None:
                found.append(made)
        return found

    async def _keep(self, pieces: Sequence[Piece]) -> None:
        devices = self.site.devices()

        def write(tx: Connection) -> int:
            left = 0
            for piece in pieces:
                device = devices.get(piece.device)
                cells = device.workcells if device is not None else ()
                left += len(part_courses.take(tx, piece, self._paths, cells))
            return left

        try:
            left = await self.database.run(write)
        except (SQLAlchemyError, DatabaseClosedError) as error:
            log.warning("quality.pieces_not_judged", count=len(pieces), error=str(error).splitlines()[0])
            return
        if left:
            self.hub.publish(QualityChanged(0))
