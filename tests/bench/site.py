"""A site for benches: real broker, cloud and edge processes, and what they use of the processor."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.servers import NEEDS, find_program
from tests.system.plant import Machine, Plant, plant

EDGE = "bench"


def lacking(*names: str) -> str:
    """Which of these programs (keys of ``NEEDS``) this machine does not have; "" when none."""
    return ", ".join(
        f"{name} is not on this machine" for name in names if find_program(NEEDS[name].program) is None
    )


@contextlib.asynccontextmanager
async def site(
    profiles: Path, machines: Mapping[str, tuple[str, str]], *, outbox: Mapping[str, Any] | None = None
) -> AsyncIterator[Plant]:
    """A plant of one edge, laid out and not started; ``machines``: profile and address by id."""
    with tempfile.TemporaryDirectory() as folder:
        owned = [
            Machine(name, profile, url, {"security": "none"} if url.startswith("opc") else {})
            for name, (profile, url) in machines.items()
        ]
        async with plant(Path(folder), {EDGE: owned}, profiles=profiles, outbox=outbox) as made:
            yield made


class Meter:
    """CPU seconds and time of one process since the meter was made."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._cpu = self._used()
        self._at = time.monotonic()

    def _used(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def cpu(self) -> float:
        """CPU seconds."""
        return self._used() - self._cpu

    def seconds(self) -> float:
        """Elapsed seconds."""
        return time.monotonic() - self._at

    def rss_mb(self) -> float:
        """Resident memory now, in MB."""
        return float(self._process.memory_info().rss) / 1e6


async def readings(made: Plant) -> float:
    """Readings that the edge's drivers delivered since its start."""
    answer = await made.http.get(f"{made.edges[EDGE].url}/metrics")
    answer.raise_for_status()
    found = [line for line in answer.text.splitlines() if line.startswith("onelot_device_readings_total")]
    return sum(float(line.rpartition(" ")[2]) for line in found)


async def per_reading(made: Plant, seconds: float) -> tuple[float, float]:
    """CPU µs of the edge process for each reading, and readings a second, over a while."""
    before = await readings(made)
    meter = Meter(made.edges[EDGE].process.pid)
    await asyncio.sleep(seconds)
    cpu, passed = meter.cpu(), meter.seconds()
    count = await readings(made) - before
    return cpu / count * 1e6, count / passed


async def windows(measure: Callable[[], Any], count: int) -> list[Any]:
    """Several measurements, one after the other."""
    return [await measure() for _ in range(count)]
