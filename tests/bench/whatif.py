"""A rush order asked for in a shop of 2,000 operations: when the first answer is there.

The service's own parts: orders in a database, the plan in force, a scenario that is made and rolled back, two
problems, the plan in force carried on, the first plan and its comparison. What the search then still finds is
told beside it. The dispatcher itself does not run.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from cloud.dispatching.asking.changes import ScenarioRequest
from cloud.dispatching.asking.scenarios import ScenarioAnswer, Scenarios, ScenarioState
from cloud.dispatching.floor.building import build
from cloud.dispatching.floor.floor import read_floor
from cloud.dispatching.keeping import plans
from cloud.dispatching.keeping.service import DispatchService
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.solving.construct import construct
from cloud.hub import Hub
from cloud.store.database import Database
from cloud.store.schema import import_tables
from protocols.clock import Clock
from protocols.jobs import JobList, ReleaseRequest
from tests.bench.figures import Figure, Size, median
from tests.cloud.orders.shop import SITE, open_database, order, order_desk

OPERATIONS = 2000
OF_EACH = 6
"""Operations of a cabinet."""
TARGET_S = 2.0
SETTINGS = DispatchSettings(scenario_seconds=10.0)


class _Nobody:
    def publish_jobs(self, job_list: JobList) -> None: ...

    def request_release(self, edge: str, request: ReleaseRequest) -> None: ...

    def withdraw(self, edge: str, request: str) -> None: ...


async def run(size: Size) -> list[Figure]:
    """See the module."""
    import_tables()
    wanted, times = size.of(200, OPERATIONS), size.of(1, 7)
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'shop.db'}")
        try:
            count = await asyncio.to_thread(_busy_shop, database, wanted)
            return await _ask(database, count, times)
        finally:
            database.close()


def _busy_shop(database: Database, operations: int) -> int:
    """Orders that are in time, and a plan in force; gives the number of operations."""
    clock, now = Clock(), datetime.now(UTC)
    desk = order_desk("bench", SITE, clock)

    def fill(tx: Connection) -> int:
        for number in range(-(-operations // OF_EACH)):
            due = now + timedelta(hours=8 + number * 0.6)
            colour = {"colour": ("RAL 5010", "RAL 3000")[number % 2]}
            desk.create(tx, order(("cabinet", 1 + number % 3, colour), due=due.isoformat()))
        floor = read_floor(tx, SITE, clock.now(), SETTINGS.repair_seconds)
        problem = build(floor, SITE, SETTINGS)
        plan = construct(problem)
        plans.store(tx, problem, plan, causes=[], down=[], seconds=0, now=clock.now(), keep=10)
        return len(floor.operations)

    return database.write(fill).result()


async def _ask(database: Database, operations: int, times: int) -> list[Figure]:
    hub, clock = Hub(), Clock()
    desk = order_desk("office", SITE, clock)
    dispatching = DispatchService(database, hub, _Nobody(), SITE, clock, SETTINGS)
    scenarios = Scenarios(database, hub, SITE, desk, dispatching, clock, SETTINGS)
    seconds: list[float] = []
    processor: list[float] = []
    for _ in range(times):
        began, used = time.perf_counter(), time.process_time()
        first = await scenarios.ask(_rush(), "bench")
        seconds.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
        scenarios.discard(first.id)
    first = await scenarios.ask(_rush(), "bench")
    last = await _searched(scenarios, first.id)
    better = 1 - last.comparison.after.cost / first.comparison.after.cost
    note = f"{operations} operations; {first.comparison.moved} move, {len(first.comparison.hurt)} orders hurt"
    return [
        median("rush order asked for → first answer", seconds, "s", TARGET_S, note=note),
        median("processor time of it", processor, "s"),
        Figure(f"cheaper after {last.seconds:.0f} s more", 100 * better, "%", better="more"),
    ]


def _rush() -> ScenarioRequest:
    lines = [{"product": "door", "quantity": 4, "parameters": {}}]
    due = (datetime.now(UTC) + timedelta(hours=4)).isoformat()
    rush = {"change": "new_order", "order": {"due": due, "priority": 10, "lines": lines}}
    return ScenarioRequest.model_validate({"changes": [rush]})


async def _searched(scenarios: Scenarios, name: str) -> ScenarioAnswer:
    running = asyncio.create_task(scenarios.run())
    try:
        while True:
            answer = await scenarios.answer(name)
            if answer.state is ScenarioState.FINISHED:
                return answer
            await asyncio.sleep(0.5)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
