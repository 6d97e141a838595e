"""Samples and actions for tests of the outbox, and whether its account is right."""

import itertools
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

from edge.outbox.outbox import Outbox, OutboxBounds, append_actions, append_samples
from edge.outbox.store import Store, StoreLimits
from protocols import states, telemetry
from protocols.actions import Action, ShiftNote
from protocols.clock import Clock
from protocols.lanes import Lane
from protocols.states import Dropped
from protocols.telemetry import SampleColumns
from protocols.values import Sample

T0 = 1_700_000_000_000_000


class Ticks:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.ns = T0 * 1000

    def __call__(self) -> int:
        return self.ns


def clock() -> Clock:
    ticks = Ticks()
    return Clock(ticks, ticks)


def action(n: int) -> Action:
    return Action(f"a{n}", T0 + n, "brake-1", "K7", ShiftNote(f"note {n}"))


def batch(start: int, count: int, tags: int = 3, catalogue: bytes = b"c") -> SampleColumns:
    return telemetry.columns(
        catalogue, [Sample(n % tags + 1, T0 + n, n / 7) for n in range(start, start + count)]
    )


def noisy(start: int, count: int) -> SampleColumns:
    noise = random.Random(start)
    return telemetry.columns(b"c", [Sample(1, T0 + n, noise.random()) for n in range(start, start + count)])


def put(columns: SampleColumns, *, sealed: bool = False) -> Callable[[sqlite3.Connection], None]:
    return lambda db: append_samples(db, columns, sealed=sealed)


def did(*done: Action) -> Callable[[sqlite3.Connection], None]:
    return lambda db: append_actions(db, list(done))


async def fill(store: Store) -> None:
    """Write telemetry until there is no room."""
    for n in itertools.count():
        await store.run(put(noisy(n * 5_000, 5_000), sealed=True), urgent=False)


def opened(folder: Path, bound: OutboxBounds | None = None, **limits: int) -> tuple[Store, Outbox]:
    store = Store(folder / "edge.db", limits=StoreLimits(**{"ballast": 0, **limits}))
    return store, Outbox(store, clock(), bound or OutboxBounds())


async def tombstones(outbox: Outbox) -> list[Dropped]:
    found: list[Dropped] = []
    for sealed in await outbox.pending():
        if sealed.key.lane is Lane.STATES:
            blob = await outbox.blob(sealed.key)
            assert blob is not None
            found += [event for event in states.decode(blob) if isinstance(event, Dropped)]
    return found


async def check_arithmetic(outbox: Outbox) -> None:
    stats = await outbox.stats()
    assert stats.committed == stats.acked + stats.dropped + stats.queued
    stones = await tombstones(outbox)
    assert stats.dropped == sum(stone.samples for stone in stones)
    assert all(stone.samples == sum(stone.counts.values()) for stone in stones)
