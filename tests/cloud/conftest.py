"""Both databases for every test of the cloud that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.store.database import Database
from cloud.store.schema import import_tables


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, SQLite and then PostgreSQL."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'cloud.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """An open database with the tables of the code (the tests of the schema prove that migrations agree)."""
    import_tables()
    with Database(url) as opened:
        opened.create_all()
        yield opened
