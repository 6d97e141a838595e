"""An edge's stations over a real store, and their API on a real port, for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.api import create_app, listen, serve
from edge.client import EdgeClient
from edge.control.control import Control
from edge.control.journal import CONTROL
from edge.control.machines import Machines, NoMachines
from edge.outbox.outbox import Outbox
from edge.outbox.store import Store, StoreLimits
from edge.programs.journal import PROGRAMS
from edge.station.journal import WORKCELL
from edge.station.station_view import LinkView
from edge.station.stations import Stations
from edge.station.workcell import Place
from protocols import actions, states
from protocols.clock import Clock
from protocols.lanes import Lane
from tests.edge.workcells import PLACE, T0

TOKEN = "a-token-for-tests"


@dataclass
class Hands:
    """The clock and the network of an edge, in the test's hands."""

    seconds: float = 0.0
    link: LinkView = field(default_factory=lambda: LinkView(online=True, cloud=True, last_ack=T0))

    def clock(self) -> Clock:
        return Clock(
            wall_ns=lambda: T0 * 1000 + int(self.seconds * 1e9), elapsed_ns=lambda: int(self.seconds * 1e9)
        )


@dataclass
class Edge:
    stations: Stations
    store: Store
    outbox: Outbox
    hands: Hands
    control: Control

    async def sent_actions(self) -> list[actions.Action]:
        """All actions in the outbox, in their order."""
        blobs = await self._blobs(Lane.ACTIONS)
        return [action for blob in blobs for action in actions.decode(blob)]

    async def sent_states(self) -> list[states.Event]:
        await self.outbox.seal()
        return [event for blob in await self._blobs(Lane.STATES) for event in states.decode(blob)]

    async def _blobs(self, lane: Lane) -> list[bytes]:
        keys = [sealed.key for sealed in await self.outbox.pending() if sealed.key.lane is lane]
        return [blob for key in keys if (blob := await self.outbox.blob(key)) is not None]


@contextlib.asynccontextmanager
async def edge_with_stations(
    folder: Path,
    *,
    places: Sequence[Place] = (PLACE,),
    devices: dict[str, list[str]] | None = None,
    hands: Hands | None = None,
    limits: StoreLimits | None = None,
    machines: Machines | None = None,
) -> AsyncIterator[Edge]:
    """Stations on a store in ``folder``; entering it again is a restart."""
    held = hands or Hands()
    clock = held.clock()
    store = Store(
        folder / "edge.db", migrations=[WORKCELL, CONTROL, PROGRAMS], limits=limits or StoreLimits(ballast=0)
    )
    async with store:
        outbox = Outbox(store, clock)
        await outbox.open()
        control = Control(devices or {}, machines or NoMachines())
        stations = Stations(places, store, clock, lambda: held.link, devices or {}, control=control)
        await stations.open()
        yield Edge(stations, store, outbox, held, control)


@contextlib.asynccontextmanager
async def edge_api(edge: Edge, *, port: int = 0, **options: object) -> AsyncIterator[EdgeClient]:
    """A client of the edge's API, served on a free port."""
    app = create_app(edge.stations, token=TOKEN, **options)  # type: ignore[arg-type]
    listener = listen("127.0.0.1", port)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    serving = asyncio.ensure_future(serve(app, listener))
    try:
        async with EdgeClient(url, TOKEN) as client:
            yield client
    finally:
        serving.cancel()
        await asyncio.wait([serving])
