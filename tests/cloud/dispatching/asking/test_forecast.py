"""When: outlooks of the plan in force, and promises of which nothing stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud.dispatching.asking.changes import ImpossibleChanges
from cloud.dispatching.asking.forecast import FRESH_SECONDS, Forecasts, PromiseRequest
from cloud.store.database import Database
from protocols.clock import Clock
from tests.cloud.dispatching.asking.test_scenarios import at, busy_shop, contents
from tests.cloud.dispatching.keeping.test_service import QUICK, SITE, Shop, until
from tests.cloud.orders.shop import open_database

SECOND = 1_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'when.db'}")
    yield opened
    opened.close()


def forecasts(shop: Shop, clock: Clock | None = None) -> Forecasts:
    return Forecasts(
        shop.database,
        SITE,
        shop.desk,
        shop.service,
        clock or shop.clock,
        QUICK.model_copy(update={"scenario_workers": 2}),
        promise_seconds=0.5,
    )


def asking(quantity: int = 1, **fields: Any) -> PromiseRequest:
    lines = [{"product": "cabinet", "quantity": quantity, "parameters": {}}]
    return PromiseRequest.model_validate({"lines": lines} | fields)


async def test_an_outlook_has_ranges_around_what_is_expected(database: Database) -> None:
    async with busy_shop(database) as shop:
        found = await forecasts(shop).outlook()
        assert found.version == 1
        assert len(found.orders) == 4
        for order in found.orders:
            assert order.p10 <= order.p50 <= order.p90
            assert order.p10 <= order.expected <= order.p90
            assert abs(order.planned - order.expected) < 3600 * SECOND
            assert order.on_time is not None and 0 <= order.on_time <= 1
            assert order.last.startswith(order.order)
            assert order.chain[0].startswith(order.last)
        shares = [order.on_time for order in found.orders if order.on_time is not None]
        assert shares == sorted(shares)
        assert found.on_time == pytest.approx(sum(shares) / 4, abs=1e-3)


async def test_an_outlook_is_computed_once_for_a_plan_and_a_while(database: Database) -> None:
    elapsed = [0]
    async with busy_shop(database, 2) as shop:
        asked = forecasts(shop, Clock(elapsed_ns=lambda: elapsed[0]))
        first = await asked.outlook()
        assert await asked.outlook() is first
        elapsed[0] += round(FRESH_SECONDS * 1e9)
        later = await asked.outlook()
        assert (later is first, later.version) == (False, first.version)
        order_id = shop.order(("door", 1, {}))
        await until(lambda: order_id in str(shop.edges.lists))
        newest = await asked.outlook()
    assert newest.version > first.version
    assert order_id in {order.order for order in newest.orders}


async def test_nothing_planned_has_no_outlook(database: Database) -> None:
    found = await forecasts(Shop(database, QUICK)).outlook()
    assert (found.version, found.orders, found.on_time) == (0, [], None)


async def test_a_promise_hurts_nobody_and_haste_says_whom_it_hurts(database: Database) -> None:
    async with busy_shop(database) as shop:
        before = contents(database)["orders"]
        found = await forecasts(shop).promise(asking(priority=3, by=at(minutes=40)), "ann")
        after = contents(database)["orders"]
    assert after == before
    assert found.undisturbed is not None
    assert found.earliest == found.undisturbed.end
    assert found.earliest is not None and found.earliest > shop.clock.now()
    assert found.undisturbed.hurt == []
    assert found.undisturbed.comparison.moved == 0
    assert found.allowance is not None and found.allowance > found.earliest - 3600 * SECOND
    assert found.moving is not None
    assert found.by is not None
    assert found.by.end <= found.earliest
    assert (found.order, found.version) == ("26-0005", 1)


async def test_a_promise_for_nonsense_says_every_reason_where_it_was_asked(database: Database) -> None:
    shop = Shop(database, QUICK)
    with pytest.raises(ImpossibleChanges) as refused:
        await forecasts(shop).promise(asking(-1, by="2001-01-01T00:00:00Z"), "ann")
    assert {problem.path for problem in refused.value.problems} == {"by", "lines.0.quantity"}


async def test_a_promise_in_an_empty_shop_is_its_own_work(database: Database) -> None:
    found = await forecasts(Shop(database, QUICK)).promise(asking(), "ann")
    assert found.earliest is not None
    assert (found.by, found.kept) == (None, None)
    assert found.undisturbed is not None and found.undisturbed.comparison.before.orders == 0
