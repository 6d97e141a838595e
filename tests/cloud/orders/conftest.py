"""A database with the small shop's products, and its order desk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.orders.create import OrderDesk
from cloud.store.database import Database
from tests.cloud.orders.shop import open_database, order_desk


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'orders.db'}")
    yield opened
    opened.close()


@pytest.fixture
def desk() -> OrderDesk:
    return order_desk()
