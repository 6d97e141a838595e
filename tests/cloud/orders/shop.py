"""A small shop for tests: a site file, its products, a database with both, requests and what edges say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from cloud.orders.articles import import_products, load_products
from cloud.orders.create import OrderDesk
from cloud.orders.effects import OrderEffects
from cloud.orders.products import Product
from cloud.orders.requests import OrderRequest
from cloud.store.database import Database
from protocols import actions as act
from protocols.clock import Clock
from protocols.documents import loads
from protocols.site import Site

ROOT = Path(__file__).parents[3]
PRODUCTS = ROOT / "firmware_configs/sites/demo/products"
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
SECOND = 1_000_000

CELLS = {
    "laser-1": "kind: laser, run: nest, capacity: 4",
    "laser-2": "kind: laser, run: nest, capacity: 4",
    "brake-1": "kind: brake, changeover: {tool: 300}",
    "weld-1": "kind: weld",
    "coat-1": "kind: coat, run: batch, capacity: 3, changeover: {colour: 900}",
    "asm-1": "kind: assembly",
    "pack-1": "kind: pack",
}


def _uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def site_text(calendar: str = "{}") -> str:
    """``site.yaml`` of the small shop."""
    cells = "".join(
        f"          - {{id: {name}, uuid: {_uuid(10 + number)}, title: {name.upper()}, {rest}}}\n"
        for number, (name, rest) in enumerate(CELLS.items())
    )
    return f"""
id: small
uuid: {_uuid(1)}
title: Small shop
calendar: {calendar}
products: [{PRODUCTS / "cabinet.yaml"}, {PRODUCTS / "door.yaml"}]
areas:
  - id: hall
    uuid: {_uuid(2)}
    title: Hall
    lines:
      - id: line
        uuid: {_uuid(3)}
        title: Line
        workcells:
{cells}
edges:
  - {{id: machining, workcells: [laser-1, laser-2, brake-1, weld-1], devices: []}}
  - {{id: finishing, workcells: [coat-1, asm-1, pack-1], devices: []}}
transport: {{default: 60, seconds: {{"laser-1>brake-1": 20}}}}
"""


SITE = loads(site_text(), Site, "site.yaml")
EDGE_OF = SITE.edge_of()


@lru_cache
def shop_products() -> list[Product]:
    """The demo's own product files, which the small shop can make."""
    return load_products(Path("site.yaml"), SITE)


def open_database(url: str) -> Database:
    """A started database with tables and products; close it."""
    database = Database(url).start()
    database.create_all()
    database.write(lambda tx: import_products(tx, shop_products(), NOW_US)).result()
    return database


def still_clock() -> Clock:
    """A clock that stands at NOW."""
    return Clock(wall_ns=lambda: NOW_US * 1000, elapsed_ns=lambda: 0)


def order_desk(name: str = "office", site: Site = SITE, clock: Clock | None = None) -> OrderDesk:
    """A desk whose commands are numbered."""
    numbers = count(1)
    return OrderDesk(site, clock or still_clock(), new_id=lambda: f"{name}-{next(numbers)}")


def order(*lines: tuple[str, int, dict[str, Any]], days: float = 3, **fields: Any) -> OrderRequest:
    """A request as the API would read it from JSON."""
    return OrderRequest.model_validate(
        {
            "due": (NOW + timedelta(days=days)).isoformat(),
            "lines": [
                {"product": product, "quantity": quantity, "parameters": parameters}
                for product, quantity, parameters in lines
            ],
        }
        | fields
    )


class Floor:
    """The shop floor as the ledger hears it: actions of workcells, ``step`` µs one after the other."""

    def __init__(self, database: Database, start: int = NOW_US, step: int = 60 * SECOND) -> None:
        self.database = database
        self.start = start
        self.step = step
        self.effects = OrderEffects()
        self.count = 0

    def action(self, workcell: str, event: act.Event) -> act.Action:
        """The next action of a workcell."""
        self.count += 1
        return act.Action(f"a{self.count}", self.start + self.count * self.step, workcell, "op-7", event)

    def says(self, workcell: str, *events: act.Event) -> list[act.Action]:
        """Ledger these events of a workcell as one batch; returns the actions."""
        actions = [self.action(workcell, event) for event in events]
        self.ledger(EDGE_OF[workcell], actions)
        return actions

    def ledger(self, edge: str, actions: list[act.Action]) -> None:
        """Ledger a batch of an edge."""
        received = actions[-1].ts + 1
        self.database.write(lambda tx: self.effects.actions(tx, edge, actions, received)).result()
