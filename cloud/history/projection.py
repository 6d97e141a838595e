"""From the ledger to the history: gather, write, remember how far. Replayable from any cursor.

The cursor is a row of the ledger. It is saved only after the history has what lies before it, so a crash
repeats work and never skips any. Rows whose catalogue is not here yet are held and tried again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from cloud.history.port import History, Series
from protocols import telemetry
from protocols.packing import UndecodableError

log = structlog.get_logger(__name__)

GATHER_SAMPLES = 200_000
"""Samples after which gathered series are written whatever the time."""
GATHER_SECONDS = 2.0
READ_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TelemetryRow:
    """One telemetry batch of the ledger."""

    id: int
    edge: str
    blob: bytes


class Ledger(Protocol):
    """What the projection needs of the ledger and of its own place in the database."""

    def telemetry_after(self, cursor: int, limit_bytes: int) -> Sequence[TelemetryRow]:
        """Telemetry batches with a higher id, ascending, about ``limit_bytes`` of them."""

    def telemetry_row(self, row: int) -> TelemetryRow | None:
        """One batch by id; None when it was pruned."""

    def tag_ids(self, edge: str, catalogue: bytes) -> Mapping[int, int] | None:
        """Tag number → tag id, or None while that catalogue has not arrived."""

    def refuse(self, row: TelemetryRow, problem: str) -> None:
        """Put a batch that cannot be read into the quarantine; durable on return. Once is enough."""

    def load_progress(self) -> Progress:
        """Where the last run stopped."""

    def save_progress(self, progress: Progress) -> None:
        """Keep it, durable on return."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the history has got: all rows up to ``cursor`` except the ``held`` ones."""

    cursor: int = 0
    held: tuple[int, ...] = ()


@dataclass(slots=True)
class Projection:
    """Moves samples from ``ledger`` to ``history``; one thread calls :meth:`step`.

    ``elapsed`` gives monotonic seconds.
    """

    ledger: Ledger
    history: History
    elapsed: Callable[[], float]
    gather_seconds: float = GATHER_SECONDS
    gather_samples: int = GATHER_SAMPLES
    samples: int = field(default=0, init=False)
    """Samples written since the start."""
    failures: int = field(default=0, init=False)
    _gathered: dict[int, Series] = field(default_factory=dict, init=False)
    _count: int = field(default=0, init=False)
    _since: float = field(default=0.0, init=False)
    _saved: Progress = field(default_factory=Progress, init=False)
    _cursor: int = field(default=0, init=False)
    _held: list[int] = field(default_factory=list, init=False)
    _wanting: dict[int, tuple[str, bytes]] = field(default_factory=dict, init=False)
    """Edge and catalogue that a held row was found to wait for."""

    def __post_init__(self) -> None:
        self._saved = self.ledger.load_progress()
        self._cursor, self._held = self._saved.cursor, list(self._saved.held)

    @property
    def cursor(self) -> int:
        """Row of the ledger up to which everything not held is in the history, on disk."""
        return self._saved.cursor

    @property
    def held(self) -> int:
        """Batches waiting for a catalogue."""
        return len(self._held)

    def step(self) -> bool:
        """Gather what is new and write it when enough or old enough; False when there was nothing to do."""
        rows = self.ledger.telemetry_after(self._cursor, READ_BYTES)
        for row in rows:
            if not self._gather(row):
                self._held.append(row.id)
            self._cursor = row.id
            if self._count >= self.gather_samples:
                self.flush()
        if self._count and self.elapsed() - self._since >= self.gather_seconds:
            self._retry_held()
            self.flush()
        elif not rows and self._held and self._retry_held():
            self.flush()
        return bool(rows)

    def flush(self) -> None:
        """Write what was gathered, then the cursor."""
        if self._gathered:
            self.history.write(self._gathered)
            self.samples += self._count
            self._gathered, self._count = {}, 0
        progress = Progress(self._cursor, tuple(self._held))
        if progress != self._saved:
            self.ledger.save_progress(progress)
            self._saved = progress

    def run(self, stop: threading.Event, idle: float = 0.2) -> None:
        """Until ``stop``: project, and wait with growing patience while the history cannot be reached."""
        pause = idle
        while not stop.is_set():
            try:
                busy = self.step()
                pause = idle
            except Exception as error:  # noqa: BLE001 - whatever the server says: keep the cursor, try again
                self.failures += 1
                self._forget()
                log.warning("history.unreachable", error=str(error), retry_in=pause)
                busy, pause = False, min(pause * 2, 30.0)
            if not busy:
                stop.wait(pause)
        try:
            self.flush()
        except Exception as error:  # noqa: BLE001 - the ledger still has it; the next start goes on from the cursor
            log.warning("history.unreachable", error=str(error), at="shutdown")

    def _forget(self) -> None:
        self._gathered, self._count = {}, 0
        self._cursor, self._held = self._saved.cursor, list(self._saved.held)

    def _retry_held(self) -> bool:
        """Try the held rows again, each catalogue once: they may be many, and it may never come."""
        kept: list[int] = []
        missing: set[tuple[str, bytes]] = set()
        for held in self._held:
            wanted = self._wanting.get(held)
            if wanted is not None and wanted not in missing and self.ledger.tag_ids(*wanted) is None:
                missing.add(wanted)
            if wanted in missing:
                kept.append(held)
                continue
            row = self.ledger.telemetry_row(held)
            if row is not None and not self._gather(row):
                kept.append(held)
            else:
                self._wanting.pop(held, None)
        moved = len(kept) < len(self._held)
        self._held = kept
        return moved

    def _gather(self, row: TelemetryRow) -> bool:
        try:
            batch = telemetry.decode(row.blob)
        except UndecodableError as error:
            # What is historical is ledgered as it came, and decoded here for the first time.
            log.error("history.undecodable", ledger_row=row.id, edge=row.edge, error=str(error))
            self.ledger.refuse(row, str(error))
            return True
        ids = self.ledger.tag_ids(row.edge, batch.catalogue)
        if ids is None:
            self._wanting[row.id] = row.edge, batch.catalogue
            return False
        if not self._count:
            self._since = self.elapsed()
        gathered = self._gathered
        flags = {flag.index: flag.quality for flag in batch.flags}
        for index, (number, ts, value) in enumerate(
            zip(batch.tags, batch.times(), batch.values, strict=True)
        ):
            tag = ids.get(number)
            if tag is None:
                continue
            series = gathered.get(tag)
            if series is None:
                series = gathered[tag] = Series()
            if index in flags:
                series.qualities[len(series.times)] = flags[index]
            series.times.append(ts)
            series.values.append(value)
        self._count += len(batch.tags)
        return True
