"""A dispatching service, an edge and an operator's terminal in one process, for holds that reach a screen.

All parts are the real ones; between service and edge stands no broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import Connection
from textual.pilot import Pilot

from cloud.dispatching.settings import DispatchSettings
from cloud.hub import QualityChanged
from cloud.orders.articles import import_products
from cloud.quality import nonconformances
from cloud.store.database import Database
from edge.client import EdgeClient
from edge.station.places import places
from edge.terminal.app import TerminalApp
from edge.terminal.screens.work import WorkPage
from edge.terminal.session import Session
from protocols.inspection import Disposition
from protocols.jobs import JobList
from protocols.lifecycles import NonconformanceEvent
from tests.cloud.dispatching.keeping.test_service import Edges, Shop
from tests.cloud.orders.shop import NOW_US, SITE
from tests.cloud.quality.shop import bracket
from tests.edge.edges import TOKEN, Edge, edge_api, edge_with_stations

BEND, WELD = "lot-1-20", "lot-1-30"


class _Bridge(Edges):
    """What the service sends arrives at the edge, one list after the other."""

    def __init__(self, before: Edges) -> None:
        super().__init__(before.database, before.hub, before.clock)
        self.sent: asyncio.Queue[JobList] = asyncio.Queue()

    def publish_jobs(self, job_list: JobList) -> None:
        super().publish_jobs(job_list)
        if job_list.edge == "machining":
            self.sent.put_nowait(self.lists["machining"])

    async def deliver(self, edge: Edge) -> None:
        while True:
            await edge.stations.jobs_received(await self.sent.get())


class Line:
    """A lot of brackets on its way from the brake to the welder, whose terminal is looked at."""

    def __init__(self, shop: Shop, edge: Edge) -> None:
        self.shop = shop
        self.edge = edge
        self.holds = 0

    async def hold(self) -> int:
        """A supervisor reports what does not conform at the brake; its number."""
        self.holds += 1

        def work(tx: Connection) -> int | None:
            return nonconformances.open_one(
                tx,
                source=f"report-{self.holds}",
                operation_id=BEND,
                workcell="brake-1",
                text=(f"crack {self.holds}", f"裂纹 {self.holds}"),
                actor="sup-1",
                now=self.shop.clock.now(),
            )

        made = await self.shop.database.run(work)
        self.shop.hub.publish(QualityChanged(0))
        assert made is not None
        return made

    async def release(self, number: int) -> None:
        """And decides that it fits."""

        def work(tx: Connection) -> None:
            nonconformances.advance(
                tx,
                number,
                NonconformanceEvent.DISPOSE,
                actor="sup-1",
                now=self.shop.clock.now(),
                reason="fits",
                command=f"release-{number}",
                disposition=Disposition.USE_AS_IS,
            )

        await self.shop.database.run(work)
        self.shop.hub.publish(QualityChanged(0))


@asynccontextmanager
async def line(database: Database, folder: Path, settings: DispatchSettings) -> AsyncIterator[Line]:
    """The line at work, its lot listed at the stations of the edge."""
    database.write(lambda tx: import_products(tx, [bracket()], NOW_US)).result()
    shop = Shop(database, settings)
    bridge = _Bridge(shop.edges)
    shop.edges = shop.service._publisher = bridge
    async with edge_with_stations(folder, places=places(SITE, "machining")) as edge:
        delivering = asyncio.create_task(bridge.deliver(edge))
        try:
            async with shop.running():
                shop.order(("bracket", 4, {}), id="lot")
                await _until(lambda: any(o.operation.id == WELD for o in edge.stations.view("weld-1").queue))
                yield Line(shop, edge)
        finally:
            delivering.cancel()
            await asyncio.wait([delivering])


@asynccontextmanager
async def terminal(
    edge: Edge, station: str, app: type[TerminalApp] = TerminalApp
) -> AsyncIterator[Pilot[str]]:
    """A terminal at a station, over the edge's API."""
    numbers = iter(range(10**6))
    async with edge_api(edge) as client:
        session = Session(
            station=station,
            url=client.url,
            actor="K7",
            now=edge.stations.clock.now,
            new_id=lambda: f"terminal-{next(numbers):06}",
            home=WorkPage(),
        )
        made = app(session, EdgeClient(client.url, TOKEN))
        async with made.run_test(size=(100, 30)) as pilot:
            yield pilot


def screen(pilot: Pilot[str]) -> str:
    app = pilot.app
    assert isinstance(app, TerminalApp)
    return "\n".join(app.canvas.render_line(y).text for y in range(app.canvas.size.height))


async def _until(condition: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


async def shown(pilot: Pilot[str], words: str, *, gone: bool = False, seconds: float = 20) -> None:
    """Wait until words are painted, or no more; raises AssertionError showing the screen."""
    try:
        async with asyncio.timeout(seconds):
            while (words in screen(pilot)) is gone:
                await pilot.pause(0.005)
    except TimeoutError:
        raise AssertionError(f"{words!r} is {'still' if gone else 'not'} there:\n{screen(pilot)}") from None
