"""Dispatching outlives a database that is away: it says so once and goes on when it is back."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from cloud.store.database import Database
from tests.cloud.dispatching.keeping.test_service import QUICK, Shop, until
from tests.cloud.orders.shop import open_database

T = TypeVar("T")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(open_database(f"sqlite:///{tmp_path / 'orders.db'}")) as opened:
        yield opened


async def test_a_database_that_is_away_ends_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failures = 0

    async def refused(self: Database, work: Callable[[Connection], T]) -> T:
        nonlocal failures
        failures += 1
        raise OperationalError("SELECT", {}, Exception("disk I/O error"))

    monkeypatch.setattr("cloud.dispatching.keeping.service._TRIES_AFTER_ERROR", 0.01)
    shop = Shop(database, QUICK)
    shop.order(("cabinet", 1, {"width": 612}))
    with monkeypatch.context() as away:
        away.setattr(Database, "run", refused)
        away.setattr(Database, "query", refused)
        async with shop.running():
            await until(lambda: failures > 3)
            away.undo()
            await until(lambda: shop.edges.queue("pack-1"))
    assert capsys.readouterr().out.count("dispatching failed") == 1
