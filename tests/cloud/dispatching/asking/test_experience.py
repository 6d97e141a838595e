"""What is learnt from the past: the scatter of durations, and how often machines fail."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from cloud.dispatching.asking.experience import DAYS, ENOUGH, experience
from cloud.ledger.tables import stop
from cloud.orders import tables as t
from cloud.store.database import Database
from tests.cloud.dispatching.asking.test_forecast import forecasts
from tests.cloud.dispatching.asking.test_scenarios import busy_shop
from tests.cloud.dispatching.keeping.test_service import QUICK, Shop
from tests.cloud.orders.shop import open_database

SECOND = 1_000_000
HOUR = 3600 * SECOND


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'past.db'}")
    yield opened
    opened.close()


def past(database: Database, shares: list[float], now: int, stops: int = 0, days: int = 10) -> None:
    """Runs of ``shares`` times the planned duration, one after the other; the first ``stops`` of them
    stopped for 60 s."""

    def work(tx: Connection) -> None:
        op = t.operation
        known = tx.execute(select(op).order_by(op.c.id).limit(1)).one()
        planned = float(known.setup_seconds + known.seconds_per_run + known.seconds_per_piece * 3)
        opened = now - days * 24 * HOUR
        for number, share in enumerate(shares):
            ended = opened + round(share * planned * SECOND) + 30 * SECOND
            run = {
                "id": f"past-{number}", "workcell": "laser-1", "edge": "machining", "actor": "", "reason": "",
                "state": "completed", "opened": opened, "started": opened, "ended": ended,
                "paused_us": 30 * SECOND,
            }  # fmt: skip
            part = {
                "run_id": run["id"], "operation_id": known.id, "quantity": 3, "good": 2, "scrap": 1,
                "rework": 0, "finished": True, "effective": True,
            }  # fmt: skip
            tx.execute(insert(t.run).values(run))
            tx.execute(insert(t.run_part).values(part))
            if number < stops:
                at = opened + SECOND
                stopped = {
                    "id": f"stop-{number}", "edge": "machining", "device": "laser-1", "workcell": "laser-1",
                    "opened": at, "closed": at + 60 * SECOND, "hint": "",
                }  # fmt: skip
                tx.execute(insert(stop).values(stopped))
            opened = ended + HOUR

    database.write(work).result()


def scattered(spread: float, count: int = 200) -> list[float]:
    rng = random.Random(7)
    return [1.4 * rng.lognormvariate(0, spread) for _ in range(count)]


async def test_the_scatter_is_learnt_and_a_night_in_between_is_not(database: Database) -> None:
    async with busy_shop(database, 1) as shop:
        now = shop.clock.now()
        past(database, [*scattered(0.12), *[30.0] * 10], now)
        with database.read() as tx:
            found = experience(tx, now)
        assert found.runs == 210
        assert found.spread == pytest.approx(0.12, abs=0.03)
        assert found.breakdowns == {}
        outlook = await forecasts(shop).outlook()
        assert (outlook.spread, outlook.runs, outlook.failing) == (found.spread, 210, [])


async def test_too_few_or_too_old_runs_say_nothing(database: Database) -> None:
    async with busy_shop(database, 1) as shop:
        now = shop.clock.now()
        past(database, scattered(0.1, ENOUGH - 1), now)
        with database.read() as tx:
            few, old = experience(tx, now), experience(tx, now + DAYS * 24 * HOUR)
        outlook = await forecasts(shop).outlook()
    assert (few.runs, few.spread) == (ENOUGH - 1, None)
    assert (old.runs, old.breakdowns) == (0, {})
    assert outlook.spread == 0.3


async def test_a_machine_that_failed_is_expected_to_fail_again(database: Database) -> None:
    async with busy_shop(database, 2) as shop:
        now = shop.clock.now()
        before = await forecasts(shop).outlook()
        past(database, [1.0] * 40, now, stops=20)
        with database.read() as tx:
            found = experience(tx, now)
            planned = sum(
                run.ended - run.opened - run.paused_us
                for run in tx.execute(select(t.run).where(t.run.c.id.startswith("past-")))
            )
        outlook = await forecasts(shop).outlook()
    (each,) = found.breakdowns.values()
    assert set(found.breakdowns) == {"laser-1"} == set(outlook.failing)
    assert each.mean_between == pytest.approx((planned / SECOND - 20 * 60) / 20)
    assert each.mean_repair == pytest.approx(60 / 0.6931, rel=0.001)
    assert outlook.spread < before.spread


async def test_nothing_happened_yet(database: Database) -> None:
    with database.read() as tx:
        found = experience(tx, Shop(database, QUICK).clock.now())
    assert (found.runs, found.spread, found.breakdowns) == (0, None, {})
