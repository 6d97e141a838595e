"""From a measurement that holds to the job list that says so, and from the disposition to the free one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from cloud.dispatching.settings import DispatchSettings
from cloud.hub import QualityChanged
from cloud.orders.articles import import_products
from cloud.quality import nonconformances
from cloud.quality.effects import QualityEffects
from cloud.quality.nonconformances import Disposition
from cloud.store.database import Database
from protocols import actions as act
from protocols.jobs import JobOperation
from protocols.lifecycles import NonconformanceEvent
from tests.cloud.dispatching.keeping.test_service import Shop, until
from tests.cloud.orders.shop import NOW_US, open_database, shop_products
from tests.cloud.quality.shop import bracket

SETTINGS = DispatchSettings(solve_seconds=0)
"""As the service runs, but for the search."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'quality.db'}")
    opened.write(lambda tx: import_products(tx, [*shop_products(), bracket()], NOW_US)).result()
    yield opened
    opened.close()


def listed(shop: Shop, workcell: str) -> JobOperation | None:
    """The operation of a station as its edge has it."""
    jobs = shop.edges.lists.get("machining")
    return next((o for o in jobs.operations if o.workcell == workcell), None) if jobs else None


def held(shop: Shop) -> bool:
    weld = listed(shop, "weld-1")
    return weld is not None and bool(weld.held)


async def test_a_hold_reaches_the_next_station_and_so_does_its_release(database: Database) -> None:
    shop = Shop(database, SETTINGS)
    shop.edges.floor.effects = _Both(shop)  # type: ignore[assignment]
    async with shop.running():
        shop.order(("bracket", 4, {}))
        await until(lambda: listed(shop, "weld-1") is not None)
        bend = listed(shop, "brake-1")
        assert bend is not None
        assert [each.name for each in bend.inspection] == ["flange", "leg", "force"]
        assert not held(shop)

        shop.edges.says("brake-1", act.StepDone("r", bend.id, 1, "25.42", ok=False))
        # With the settings of a real service: looked at within a second, then sent. Two are promised.
        await until(lambda: held(shop), seconds=10)
        weld, bend = listed(shop, "weld-1"), listed(shop, "brake-1")
        assert weld is not None
        assert bend is not None
        assert weld.held[0].en == "Flange 25.42 mm: above the tolerance"
        assert weld.held[0].zh == "折边 25.42 mm：超出公差上限"
        assert [each.en for each in bend.notices] == ["Flange: above the tolerance"]
        assert bend.held == ()

        def decide(tx: Connection) -> None:
            nonconformances.advance(
                tx,
                1,
                NonconformanceEvent.DISPOSE,
                actor="sup-1",
                now=NOW_US,
                reason="fits all the same",
                command="decide-1",
                disposition=Disposition.USE_AS_IS,
            )

        await database.run(decide)
        shop.hub.publish(QualityChanged(1))
        await until(lambda: not held(shop), seconds=10)


class _Both:
    """Effects on orders and on quality, as the ledger has them."""

    def __init__(self, shop: Shop) -> None:
        self.orders = shop.edges.floor.effects
        self.quality = QualityEffects(shop.hub)

    def actions(self, tx: Connection, edge: str, actions: list[act.Action], received: int) -> None:
        self.orders.actions(tx, edge, actions, received)
        self.quality.actions(tx, edge, actions, received)

    def states(self, tx: Connection, edge: str, events: list[object], received: int) -> None:
        self.orders.states(tx, edge, events, received)  # type: ignore[arg-type]
