"""What a sample costs on its way into the outbox: bytes on disk, and µs of CPU to encode and commit it.

A thousand tags once a second, as a shop has them: registers with one decimal, counters, states, raw 32-bit
and 64-bit floats. Every value of every second is new, which a deadband would not let happen: the worst case
for size.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy

from edge.outbox.outbox import Outbox, append_samples
from edge.outbox.store import Store
from protocols import telemetry
from protocols.clock import Clock
from protocols.telemetry import SampleColumns
from protocols.values import Value
from tests.bench.figures import Figure, Size, median

TAGS = 1000
BASE = 1_790_000_000_000_000
CATALOGUE = bytes(16)
_BESIDE = "blob, a batch a second; measured for DESIGN §2: ≈ 4, and 26 for a row a sample"


class Walks:
    """Tags that move as measured ones do: each a random walk, shown at the resolution of its sensor."""

    def __init__(self, show: Callable[[int, float], Value], seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._show = show
        self._at = [self._random.uniform(20, 80) for _ in range(TAGS)]

    def seconds(self, count: int) -> Iterator[SampleColumns]:
        """One batch a second."""
        numbers, steps = list(range(1, TAGS + 1)), [0] * TAGS
        for second in range(count):
            self._at = [at + self._random.gauss(0, 0.4) for at in self._at]
            values = [self._show(tag, at) for tag, at in enumerate(self._at)]
            yield SampleColumns(CATALOGUE, BASE + second * 1_000_000, numbers, list(steps), values, [])


def shop(tag: int, at: float) -> Value:
    """Half registers of one decimal, a fifth 32-bit floats, a tenth each: 64-bit floats, counters, states."""
    match tag % 10:
        case 0 | 1 | 2 | 3 | 4:
            return round(at, 1)
        case 5 | 6:
            return single(tag, at)
        case 7:
            return at
        case 8:
            return int(at * 1000)
        case _:
            return int(at) % 4


def single(_tag: int, at: float) -> Value:
    """A 32-bit float as a driver gives it: 24 bits that nobody rounded."""
    return float(numpy.float32(at))


KINDS: dict[str, Callable[[int, float], Value]] = {
    "mixed values of a shop": shop,
    "one decimal": lambda _tag, at: round(at, 1),
    "32-bit floats, unrounded": single,
    "64-bit floats, unrounded": lambda _tag, at: at,
}


async def run(size: Size) -> list[Figure]:
    """See the module."""
    seconds = size.of(20, 300)
    figures = [_encoded(name, show, seconds) for name, show in KINDS.items()]
    figures.append(_pack(seconds, size.of(2, 5)))
    for live in (True, False):
        figures += await _committed(seconds, live=live)
    return figures


def _encoded(name: str, show: Callable[[int, float], Value], seconds: int) -> Figure:
    total = sum(len(telemetry.encode(batch)) for batch in Walks(show).seconds(seconds))
    return Figure(f"bytes a sample, {name}", total / (seconds * TAGS), "B", note=_BESIDE)


def _pack(seconds: int, repeats: int) -> Figure:
    batches = list(Walks(shop).seconds(seconds))
    runs = []
    for _ in range(repeats):
        began = time.process_time()
        for batch in batches:
            telemetry.encode(batch)
        runs.append((time.process_time() - began) / (seconds * TAGS) * 1e6)
    return median("encode and compress", runs, "µs/sample", 0.2, note="DESIGN §2 measured ≈ 0.2")


async def _committed(seconds: int, *, live: bool) -> list[Figure]:
    """Through the store, one commit a second: sealed at once while live, merged while offline."""
    batches = list(Walks(shop).seconds(seconds))
    how = "live" if live else "offline, merged"

    def appended(batch: SampleColumns) -> Callable[[sqlite3.Connection], None]:
        return lambda db: append_samples(db, batch, sealed=live)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edge.db"
        async with Store(path) as store:
            outbox = Outbox(store, Clock())
            await outbox.open()
            began = time.process_time()
            for batch in batches:
                await store.run(appended(batch), urgent=False)
            cpu = time.process_time() - began
        samples = seconds * TAGS
        size = path.stat().st_size
    return [
        Figure(f"bytes of the file a sample, {how}", size / samples, "B", note=f"{TAGS} tags × 1 s"),
        Figure(f"commit, {how}", cpu / samples * 1e6, "µs/sample", note="CPU of the process, fsync excluded"),
    ]
