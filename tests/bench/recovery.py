"""Back after an outage: the broker is killed and started again; an OPC UA server is stopped and started.

Counted from when the server answers again until the cloud's live view has a value that was taken after that.
"""

from __future__ import annotations

import asyncio
import time

from tests.bench.counting import Counter, counting, newest
from tests.bench.figures import Figure, Size, median, missing
from tests.bench.site import lacking
from tests.system.plant import Plant
from tests.system.processes import until

BROKER_S, SERVER_S = 3.0, 5.0
PATIENCE_S = 60.0
COUNT_S = 0.05
"""Between two parts: so soon can a fresh value be seen."""


async def run(size: Size) -> list[Figure]:
    """See the module."""
    if lack := lacking("mosquitto"):
        return [missing("broker back → live", "s", lack, BROKER_S)]
    outages, away = size.of(1, 6), size.of(2, 8)
    async with counting() as (made, counters):
        working = [asyncio.create_task(_count(counter)) for counter in counters.values()]
        try:
            machine = counters["opcua"]
            await _fresh(made, machine, 0)

            lost = [await _killed(made, machine, away) for _ in range(outages)]
            gone = [await _stopped(made, machine, away) for _ in range(outages)]
        finally:
            for task in working:
                task.cancel()
            await asyncio.wait(working)
    note = f"{outages} outages of {away} s; longest {{:.1f}}"
    return [
        median("broker back → live again", lost, "s", BROKER_S, note="killed; " + note.format(max(lost))),
        median(
            "OPC UA server back → fresh value", gone, "s", SERVER_S, note="stopped; " + note.format(max(gone))
        ),
    ]


async def _count(counter: Counter) -> None:
    while True:
        counter.advance()
        await asyncio.sleep(COUNT_S)


async def _stopped(made: Plant, machine: Counter, away: float) -> float:
    await machine.server.stop()
    await asyncio.sleep(away)
    await machine.server.start()
    return await _fresh(made, machine, time.time_ns() // 1000)


async def _killed(made: Plant, machine: Counter, away: float) -> float:
    await asyncio.to_thread(made.broker.kill)
    await asyncio.sleep(away)
    await asyncio.to_thread(made.broker.start)
    return await _fresh(made, machine, time.time_ns() // 1000)


async def _fresh(made: Plant, machine: Counter, since: int) -> float:
    """Seconds until the live view has a good value of after ``since`` (µs UTC)."""
    began = time.monotonic()

    async def is_fresh() -> bool:
        value = await newest(made, machine.id)
        return value["quality"] == 0 and (value["ts"] or 0) > since

    await until(is_fresh, "a fresh value is live", PATIENCE_S, 0.02)
    return time.monotonic() - began
