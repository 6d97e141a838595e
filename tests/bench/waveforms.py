"""What a block of vibration costs at the edge, how small it is kept, how early its numbers tell of wear."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from cloud.maintenance.waveforms.plot import draw
from drivers.driver import Captures
from drivers.opcua.driver import OPCUA
from drivers.profile.features import waveform_of
from drivers.profile.files import LIBRARY, load_profile
from drivers.profile.waveform import Waveform
from drivers.virtual.spindle import Spindle, raw
from drivers.virtual.spindle import block as felt
from edge.waveforms.making import Made, Taken, made, recipe
from edge.waveforms.ring import Ring, RingBounds
from protocols.waveforms.block import decode
from protocols.waveforms.coding import coded
from protocols.waveforms.features import features
from tests.bench.figures import Figure, Size, median

LENGTH, RATE, TURNS = 2048, 6400.0, 24.8
PATH = "laser-1/drive"
T0 = 1_790_000_000_000_000
SIGMAS = 6.0
"""Standard deviations above its own mean when new at which a number tells of wear."""
TELLING = ("rms", "peak", "crest", "kurtosis", "band_3", "envelope", "envelope_bpfo")


async def run(size: Size) -> list[Figure]:
    """See the module."""
    tag, waveform = waveform_of(load_profile(LIBRARY / "virtual/laser.yaml"), "drive")
    repeats = size.of(20, 200)
    blocks = [counts(0.4, seed) for seed in range(repeats)]

    def make(values: NDArray[Any]) -> Made:
        return made("drive", tag, waveform, Taken(PATH, values, T0, "running", TURNS))

    def numbers(values: NDArray[Any]) -> dict[str, float | None]:
        return features(values * tag.scale, recipe(waveform, TURNS))

    figures = [
        median(f"numbers of a block of {LENGTH}", _each(numbers, blocks), "ms", note="CPU, as all below"),
        median("code of it, without loss", _each(coded, blocks), "ms"),
        median("both, with the readings", _each(make, blocks), "ms"),
        *await _read(repeats),
        *_ring([make(values).block for values in blocks]),
        median(
            "drawn as a picture", _each(draw, [decode(make(values).block) for values in blocks[:20]]), "ms"
        ),
        median("the virtual machine makes one", _each(lambda seed: counts(0.4, seed), range(repeats)), "ms"),
    ]
    figures += _sizes(size.of(4, 20))
    return figures + _wear(waveform, size.of(30, 200))


def counts(wear: float, seed: int, length: int = LENGTH) -> NDArray[Any]:
    """A bearing's acceleration as a converter gives it: 16 bits, 0.002 m/s² each."""
    return raw(felt(Spindle(), wear, length, RATE, np.random.default_rng(seed)), "int16", 0.002, 0.0)


def _each(work: Callable[[Any], object], items: Any) -> list[float]:
    """CPU of each, ms."""
    runs = []
    for item in items:
        began = time.process_time()
        work(item)
        runs.append((time.process_time() - began) * 1e3)
    return runs


async def _read(repeats: int) -> list[Figure]:
    """A block over OPC UA on loopback, the server in this very process: both sides together."""
    profile = load_profile(LIBRARY / "virtual/laser.yaml")
    server = OPCUA.serve(profile)
    async with server, OPCUA.create(server.url, profile, {"security": "none"}) as driver:
        runs = []
        for seed in range(repeats):
            server.set_block("drive", counts(0.4, seed))
            began = time.process_time()
            await cast("Captures", driver).capture("drive")
            runs.append((time.process_time() - began) * 1e3)
    return [median("read over OPC UA, server and driver", runs, "ms", note="CPU of both")]


def _ring(blocks: list[bytes]) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        ring = Ring(Path(folder) / "ring")
        ring.open()
        cpu, wall = [], []
        for number, data in enumerate(blocks):
            began, at = time.process_time(), time.perf_counter()
            ring.put(PATH, T0 + number, data, RingBounds(100 * 4096, 30))
            cpu.append((time.process_time() - began) * 1e3)
            wall.append((time.perf_counter() - at) * 1e3)
        per_sample = ring.size / (len(ring) * LENGTH)
    return [
        median("kept in the ring", cpu, "ms", note="CPU; a file, flushed and renamed"),
        median("the same, by the clock", wall, "ms", note="the disk's flush"),
        Figure("bytes of the disk a sample", per_sample, "B", note="whole clusters of 4 KiB"),
    ]


def _sizes(count: int) -> list[Figure]:
    """Bytes a sample of blocks of 8,192, and whether they come back."""
    rng, length = np.random.default_rng(1), 8192
    times = np.arange(length) / RATE
    kinds: dict[str, Callable[[int], NDArray[Any]]] = {
        "bearing, new, 16 bits": lambda seed: counts(0.0, seed, length),
        "bearing, worn, 16 bits": lambda seed: counts(0.8, seed, length),
        "the same as 32-bit floats": lambda seed: felt(
            Spindle(), 0.8, length, RATE, np.random.default_rng(seed)
        ).astype(np.float32),
        "motor current, 50 Hz, 16 bits": lambda _: np.rint(
            8000 * np.sin(2 * np.pi * 50 * times) + rng.normal(0, 4, length)
        ).astype(np.int16),
    }
    figures = []
    for name, make in kinds.items():
        sizes = []
        for seed in range(count):
            values = make(seed)
            _, _, data = coded(values)
            sizes.append(len(data) / length)
        plain = values.dtype.itemsize
        figures.append(median(f"bytes a sample, {name}", sizes, "B", note=f"of {plain}, without loss"))
    return figures


def _wear(waveform: Waveform, count: int) -> list[Figure]:
    """At which wear (0 new, 1 failed) each number stands out from what it was when new."""

    def of(wear: float, seed: int) -> dict[str, float | None]:
        return features(counts(wear, seed) * 0.002, recipe(waveform, TURNS))

    new = [of(0.0, seed) for seed in range(count)]
    figures = []
    for name in TELLING:
        values = [value for each in new if (value := each[name]) is not None]
        limit = statistics.fmean(values) + SIGMAS * statistics.stdev(values)
        shows = None
        for step in range(1, 101):
            found = [of(step / 100, 10_000 + step * 10 + n)[name] for n in range(5)]
            if statistics.median(value or 0.0 for value in found) > limit:
                shows = step / 100
                break
        figures.append(
            Figure(f"wear at which {name} tells", shows, "", note=f"mean + {SIGMAS:g} σ of {count} new")
        )
    return figures
