"""An outage of the database is gone through, and said once when it begins and once when it ends."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from cloud.store.database import Database
from cloud.store.outage import Outage


async def _ask(database: Database, outage: Outage, statement: str = "SELECT 1") -> bool:
    """Whether it answered."""
    answers = []
    with outage.survived():
        answers.append(await database.run(lambda tx: tx.scalar(text(statement))))
    return bool(answers)


async def test_an_outage_is_said_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    outage = Outage("lives")
    database = Database(f"sqlite:///{tmp_path / 'cloud.db'}")
    answered, away = [], []
    with capture_logs() as logs:
        for _ in range(3):
            answered.append(await _ask(database, outage))  # it is not open
        with database:
            answered.append(await _ask(database, outage, "SELECT 1 FROM nothing"))  # it refuses
            away.append(outage.away)
            answered += [await _ask(database, outage), await _ask(database, outage)]
            away.append(outage.away)
    assert answered == [False] * 4 + [True] * 2
    assert away == [True, False]
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("lives.database_away", "warning"),
        ("lives.database_back", "info"),
    ]
    assert "is not open" in logs[0]["error"]
    assert "\n" not in logs[0]["error"]


def test_what_is_no_fault_of_the_database_passes() -> None:
    outage, known = Outage("lives"), dict[str, int]()
    with pytest.raises(KeyError), outage.survived():
        known["asset"] += 1
    assert not outage.away


def _refuse() -> None:
    raise OperationalError("SELECT 1", {}, Exception("the server is away"))


def test_a_server_that_is_away_is_an_outage() -> None:
    outage = Outage("lives")
    with outage.survived():
        _refuse()
    assert outage.away
