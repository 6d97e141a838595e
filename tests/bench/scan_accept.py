"""Scan → accepted at a station: over the real API, the disk commit included.

Run: ``python -m tests.bench.scan_accept``. Target (DESIGN §4): p95 ≤ 200 ms. Beside it, in the same run, what
one bare commit of the same file costs (SQLite, WAL, ``synchronous=FULL``).
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Coroutine
from decimal import Decimal
from pathlib import Path

from edge.client import EdgeClient
from edge.station import commands as asked
from tests.edge.edges import Edge, edge_api, edge_with_stations
from tests.edge.workcells import STEPS, job_list, operation

OPERATIONS = 30
"""Length of the queue: the snapshot that is pushed after every action holds all of it."""
PAUSE_SECONDS = 0.025


async def measure(actions: int = 300) -> dict[str, float]:
    """Milliseconds from sending to accepted: p50, p95, p99; and of a bare commit."""
    with tempfile.TemporaryDirectory() as folder:
        async with edge_with_stations(Path(folder)) as edge, edge_api(edge) as client:
            queue = [operation(f"op-{n}", quantity=100_000, steps=STEPS) for n in range(OPERATIONS)]
            await edge.stations.jobs_received(job_list(*queue))
            await client.act("brake-1", asked.OpenRun(id="run-00000001", actor="K7", operations=("op-0",)))
            commands = [
                asked.Book(
                    id=f"booking-{number:06}",
                    actor="K7",
                    run="run-00000001",
                    booking=asked.Booking(operation="op-0", good=Decimal(1)),
                )
                for number in range(actions)
            ]
            accepted = await _timed([_act(client, command) for command in commands])
            bare = await _timed([_commit(edge) for _ in range(actions)])
    return {
        "actions": float(actions),
        "p50_ms": accepted[49],
        "p95_ms": accepted[94],
        "p99_ms": accepted[98],
        "bare_commit_p50_ms": bare[49],
        "bare_commit_p95_ms": bare[94],
    }


async def _timed(calls: list[Coroutine[object, object, object]]) -> list[float]:
    """Percentiles 1…99 in ms, at a pace that a person (and the API's limit) allows."""
    found = []
    for call in calls:
        began = time.perf_counter()
        await call
        found.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(PAUSE_SECONDS)
    return [round(cut, 2) for cut in statistics.quantiles(found, n=100)]


async def _act(client: EdgeClient, command: asked.Command) -> None:
    await client.act("brake-1", command)


async def _commit(edge: Edge) -> None:
    def work(db: sqlite3.Connection) -> None:
        db.execute("UPDATE workcell_queue SET version = version")

    await edge.store.run(work)


if __name__ == "__main__":
    print(json.dumps({"scan_to_accept": asyncio.run(measure())}))
