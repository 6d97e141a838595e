"""A cloud reduced to its ingest, as a process that a test may kill: ``URL HOST PORT EDGE…``."""

import asyncio
import sys

from sqlalchemy import Connection

from cloud.hub import Hub
from cloud.ingest import Ingest
from cloud.ledger.ledger import Ledger
from cloud.ledger.machines import MachineEffects
from cloud.ledger.tags import TagMap
from cloud.mqtt import Address, MqttPipe
from cloud.store.database import Database
from cloud.store.schema import migrate
from protocols.clock import Clock
from protocols.lanes import ROOT


def inbox(tx: Connection, edge: str, batch: int, kind: str, text: str, received: int) -> None:
    """The test looks at stderr when something comes in here."""
    print(kind, text, file=sys.stderr)


async def main(url: str, host: str, port: int, edges: list[str]) -> None:
    """Run until killed."""
    hub = Hub()
    with Database(url) as database:
        migrate(database)
        ledger = Ledger([MachineEffects(hub)], inbox, hub)
        ingest = Ingest(
            database,
            ledger,
            TagMap(database),
            hub,
            Clock(),
            lambda topic, payload: pipe.publish(topic, payload),
        )
        pipe = MqttPipe(
            Address(host, port),
            "cloud",
            [f"{ROOT}/+/up/+"],
            ingest.receive,
            lambda connected: ingest.greet(edges) if connected else None,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ingest.run())
            tasks.create_task(pipe.run())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
