"""After a start the page shows what was known before: from the history, the newest of each tag."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection

from cloud.history.port import Series
from cloud.history.sqlite import SqliteHistory
from cloud.ledger import reading, tags
from cloud.live import LiveValue, LiveValues
from cloud.recall import DAY, Recall
from cloud.store.database import Database
from protocols.catalogue import TagDefinition, catalogue
from protocols.clock import Clock
from protocols.values import MICROSECONDS, DataType, Quality

KNOWN = catalogue(
    "north",
    [
        TagDefinition(1, "press/temperature", DataType.FLOAT64, "°C", "", "press", 60.0),
        TagDefinition(2, "press/parts", DataType.UINT32, "C62", "part_count", "press", 60.0),
        TagDefinition(3, "press/broken", DataType.FLOAT64, "mm", "", "press", 60.0),
        TagDefinition(4, "press/gone", DataType.FLOAT64, "mm", "", "press", 60.0),
        TagDefinition(5, "press/live", DataType.FLOAT64, "mm", "", "press", 60.0),
    ],
)


async def test_what_stands_still_is_shown_from_the_history_and_nothing_older(
    database: Database, tmp_path: Path
) -> None:
    clock, live = Clock(), LiveValues()
    now = clock.now()

    def announce(tx: Connection) -> None:
        tags.announce(tx, "north", KNOWN.content_hash(), KNOWN, now)

    await database.run(announce)
    ids = {tag.path: tag.id for tag in await database.query(reading.tags)}
    recent, hours = now - 5 * MICROSECONDS, now - DAY // 2
    with closing(SqliteHistory(tmp_path / "history")) as history:
        history.write(
            {
                ids["press/temperature"]: Series([recent - 1, recent], [20.0, 21.0]),
                ids["press/parts"]: Series([hours, hours + 1], [41, None], {1: int(Quality.BAD)}),
                ids["press/broken"]: Series([recent], [None], {0: int(Quality.BAD)}),
                ids["press/gone"]: Series([hours], [1.0]),
                ids["press/live"]: Series([recent], [1.0]),
            }
        )
        live.put(ids["press/live"], LiveValue(now, 2.0, Quality.GOOD))

        left = await Recall(database, history, live, clock).look()

    assert left == 1
    assert live.get(ids["press/gone"]) is None
    assert live.get(ids["press/temperature"]) == LiveValue(recent, 21.0, Quality.GOOD)
    assert live.get(ids["press/parts"]) == LiveValue(hours, 41, Quality.GOOD)
    assert live.get(ids["press/broken"]) == LiveValue(recent, None, Quality.BAD)
    assert live.get(ids["press/live"]) == LiveValue(now, 2.0, Quality.GOOD)


async def test_a_history_that_cannot_be_read_stops_nobody(database: Database, tmp_path: Path) -> None:
    clock = Clock()

    def announce(tx: Connection) -> None:
        tags.announce(tx, "north", KNOWN.content_hash(), KNOWN, clock.now())

    await database.run(announce)
    with closing(SqliteHistory(tmp_path / "history")) as history:
        history.write({1: Series([clock.now()], [20.0])})
        for file in (tmp_path / "history").glob("*.db*"):
            file.write_bytes(b"this is no database" * 100)

        assert await Recall(database, history, LiveValues(), clock).look() is None


async def test_a_database_that_is_away_stops_nobody(tmp_path: Path) -> None:
    with (
        closing(SqliteHistory(tmp_path / "history")) as history,
        Database(f"sqlite:///{tmp_path / 'empty.db'}") as without_tables,
    ):
        assert await Recall(without_tables, history, LiveValues(), Clock()).look() is None
