"""What a machine recorded while it was out of reach, read back and put into the outbox as historical.

Live and historical values are two orders of a tag, each strictly increasing; of two values with one time the
first that was written stays. What is read back never passes through the machine's watch: states and counts
are of the moment they were seen.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from drivers.driver import Remembers
from edge.outbox.outbox import Outbox, append_history
from edge.tags import TagState, fitted
from protocols import telemetry
from protocols.values import MICROSECONDS, Quality, Reading, Reason, Sample

RATE = 5_000.0
"""Samples a second that are read back, by all devices of an edge together."""
GATHER = 5_000
"""Samples in one row of the outbox."""
MOST = 2_000_000
"""Samples of one gap."""
FARTHEST = 7 * 86_400 * MICROSECONDS
"""µs that are read back at most."""
SHORTEST = 2 * MICROSECONDS
"""µs; a gap that is shorter is none."""
FULL = 0.5
"""Share of the outbox's bytes from which on nothing more is read back: fresh values come first."""
LOOK_AGAIN = 5.0


@dataclass(frozen=True, slots=True)
class Gap:
    """From when to when nothing was read, µs UTC. ``shift`` is what our clock is ahead of the machine's."""

    start: int
    end: int
    shift: int = 0

    @property
    def is_worth_it(self) -> bool:
        """Whether there is anything to read back: a time is known, and it is not a moment ago."""
        return self.start > 0 and self.end - self.start >= SHORTEST

    def within_bounds(self) -> Gap:
        """The part of it that is read back."""
        return Gap(max(self.start, self.end - FARTHEST), self.end, self.shift)


@dataclass(slots=True)
class Historic:
    """Makes samples of recorded readings: within the gap, strictly increasing for each tag. Pure."""

    tags: Mapping[str, TagState]
    gap: Gap
    _latest: dict[int, int] = field(default_factory=dict, init=False)

    def samples(self, readings: Iterable[Reading]) -> list[Sample]:
        """The readings as samples; one without a time of its own, or outside the gap, is none."""
        found = []
        for reading in readings:
            tag = self.tags.get(reading.path)
            if tag is None or reading.source_time is None:
                continue
            ts = reading.source_time + self.gap.shift
            if not self.gap.start < ts < self.gap.end:
                continue
            ts = max(ts, self._latest.get(tag.number, 0) + 1)
            self._latest[tag.number] = ts
            found.append(_sample(tag, reading, ts))
        return found


def _sample(tag: TagState, reading: Reading, ts: int) -> Sample:
    quality, reason = reading.quality, reading.reason
    value = None
    if quality is not Quality.BAD:
        value, fits, why = fitted(tag, reading.value)
        if fits is not Quality.GOOD:
            quality, reason = fits, why
    if quality is Quality.BAD:
        value = None
    if quality is not Quality.GOOD:
        reason = reason or Reason.OTHER
    return Sample(tag.number, ts, value, quality, reason)


@dataclass(slots=True)
class Backfill:
    """Reads back for all devices of one edge. ``catalogue`` gives the hash of the one in force."""

    outbox: Outbox
    catalogue: Callable[[], bytes]
    rate: float = RATE
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def fill(self, driver: Remembers, gap: Gap, tags: Mapping[str, TagState]) -> int:
        """Read back what the machine recorded in a gap; the samples that were put into the outbox.

        Raises:
            DriverError: the machine did not give it.
            OutboxFullError: there is no room.
        """
        gap = gap.within_bounds()
        historic = Historic(tags, gap)
        done = 0
        paths = list(tags)
        async for samples in _gathered(
            historic, driver.history(paths, gap.start - gap.shift, gap.end - gap.shift)
        ):
            samples = samples[: MOST - done]
            await self._put(samples)
            done += len(samples)
            if done >= MOST:
                break
        return done

    async def _put(self, samples: Sequence[Sample]) -> None:
        async with self._turn:
            await self._room()
            columns = telemetry.columns(self.catalogue(), samples)

            def work(db: sqlite3.Connection) -> None:
                append_history(db, columns)

            await self.outbox.store.run(work, urgent=False)
            await asyncio.sleep(len(samples) / self.rate)

    async def _room(self) -> None:
        """Wait until the outbox is no longer half full."""
        while True:
            stats = await self.outbox.stats()
            waiting = sum(lane.bytes for lane in stats.lanes.values())
            if waiting <= FULL * self.outbox.bounds.max_bytes:
                return
            await asyncio.sleep(LOOK_AGAIN)


async def _gathered(historic: Historic, lists: AsyncIterator[list[Reading]]) -> AsyncIterator[list[Sample]]:
    """Samples in portions that are worth a row."""
    waiting: list[Sample] = []
    async for readings in lists:
        waiting += historic.samples(readings)
        while len(waiting) >= GATHER:
            yield waiting[:GATHER]
            del waiting[:GATHER]
    if waiting:
        yield waiting
