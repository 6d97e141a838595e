"""All waveforms of one edge: their ring with the one thread that works on it, and the cloud's questions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import msgspec
import structlog

from drivers.profile.profile import AnyProfile
from drivers.profile.tags import Tag
from drivers.profile.waveform import Waveform
from edge.outbox.store import Store
from edge.waveforms.answers import answered
from edge.waveforms.journal import answer, append, is_answered
from edge.waveforms.making import Made, Taken, made
from edge.waveforms.ring import Ring, RingBounds, RingFullError
from protocols.clock import Clock
from protocols.values import MICROSECONDS
from protocols.waveforms.messages import Found, Message, Wanted

log = structlog.get_logger(__name__)

SAY_AGAIN = 600.0
"""Seconds before it is said again that blocks cannot be kept."""

AT_ONCE = 4
"""Parts of an answer in one transaction: people's actions wait for no more of them."""
TIDY = 3600 * MICROSECONDS
ORPHAN_DAYS = 30.0
"""Days that blocks are kept of a waveform that the profile does not have any more."""

T = TypeVar("T")


class WaveformHealth(msgspec.Struct, frozen=True):
    """Blocks taken since the start; those ``kept`` on disk now and their ``bytes`` there; those
    ``given_up`` for want of disk since the start. ``problem``: why blocks cannot be kept at the moment;
    empty while they are.
    """

    taken: int
    kept: int
    bytes: int
    given_up: int
    problem: str


@dataclass(slots=True)
class Blocks:
    """Opened by ``async with``; a ring that cannot be used costs the blocks, not their numbers."""

    folder: Path
    store: Store
    clock: Clock
    ring: Ring = field(init=False)
    taken: int = field(default=0, init=False)
    """Blocks taken since the start."""
    problem: str = field(default="", init=False)
    """Why blocks cannot be kept; empty while they are."""
    _waveforms: dict[str, Waveform] = field(default_factory=dict, init=False)
    _thread: ThreadPoolExecutor = field(init=False)
    _tidied: int = field(default=0, init=False)
    _said: float = field(default=-SAY_AGAIN, init=False)

    def __post_init__(self) -> None:
        self.ring = Ring(self.folder)
        self._thread = ThreadPoolExecutor(1, "waveforms")

    async def __aenter__(self) -> Self:
        try:
            await self._in_thread(self.ring.open)
        except OSError as error:
            self._cannot_keep(error)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._thread.shutdown)

    def know(self, device: str, profile: AnyProfile) -> None:
        """A device has these waveforms from now on, and no others."""
        for path in [path for path in self._waveforms if path.partition("/")[0] == device]:
            del self._waveforms[path]
        for name, tag in profile.waveforms.items():
            if tag.waveform is not None:
                self._waveforms[f"{device}/{name}"] = tag.waveform

    @property
    def health(self) -> WaveformHealth | None:
        """For ``/health``; None where no device has a waveform and nothing is kept."""
        ring = self.ring
        if not (self._waveforms or len(ring)):
            return None
        return WaveformHealth(self.taken, len(ring), ring.size, ring.given_up, self.problem)

    async def make(self, name: str, tag: Tag, waveform: Waveform, taken: Taken) -> Made:
        """The numbers of a block, once it is kept on disk (or cannot be)."""
        bounds = RingBounds(waveform.keep, waveform.keep_days)

        def work() -> Made:
            done = made(name, tag, waveform, taken)
            if done.block:
                try:
                    self._tidy(taken.ts)
                    self.ring.put(taken.path, taken.ts, done.block, bounds)
                    self.problem = ""
                except (OSError, RingFullError) as error:
                    self._cannot_keep(error)
            return done

        self.taken += 1
        return await self._in_thread(work)

    def _tidy(self, now: int) -> None:
        """Now and then, let go what is too old: also of waveforms that nobody takes any more."""
        if now - self._tidied < TIDY:
            return
        self._tidied = now
        known = dict(self._waveforms)
        self.ring.prune(lambda path: known[path].keep_days if path in known else ORPHAN_DAYS, now)

    async def asked(self, wanted: Wanted) -> None:
        """Answer the cloud's question by the ``bulk`` lane, once. Raises OutboxFullError: it asks again."""
        if await self.store.read(lambda db: is_answered(db, wanted.id)):
            return
        found, parts = await self._in_thread(lambda: answered(wanted, self.ring, self._waveforms))
        now = self.clock.now()
        for at in range(0, len(parts), AT_ONCE):
            await self.store.run(partial(_append, parts[at : at + AT_ONCE], now), urgent=False)
        await self.store.run(partial(_answer, found, now), urgent=False)
        log.info("waveforms.answered", path=wanted.path, blocks=len(found.blocks), parts=len(parts))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _cannot_keep(self, error: Exception) -> None:
        self.problem = str(error)
        now = self.clock.monotonic()
        if now - self._said >= SAY_AGAIN:
            self._said = now
            log.error("waveforms.not_kept", folder=str(self.folder), error=str(error))


def _append(parts: Sequence[Message], now: int, db: sqlite3.Connection) -> None:
    append(db, parts, now)


def _answer(found: Found, now: int, db: sqlite3.Connection) -> bool:
    return answer(db, found, now)
