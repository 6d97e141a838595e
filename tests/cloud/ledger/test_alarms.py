"""Alarms in the database: rise, acknowledgement, end; what stands, what was; a flood is bounded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloud.ledger import alarms, reading
from cloud.ledger.machines import MachineEffects
from cloud.store.database import Database
from cloud.store.schema import migrate
from protocols.states import AlarmChanged, DeviceHeartbeat, Event

NOW = 1_700_000_000_000_000


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database(url) as opened:
        migrate(opened)
        yield opened


def tell(database: Database, *events: Event, edge: str = "hall") -> None:
    database.write(lambda tx: MachineEffects().states(tx, edge, list(events), NOW)).result()


def change(name: str, active: bool = True, at: int = 0, **more: object) -> AlarmChanged:
    given = {"text": f"{name} is bad", "severity": 500, "source": "spindle", **more}
    return AlarmChanged(NOW + at, "press", name, active, **given)  # type: ignore[arg-type]


def stored(database: Database) -> list[tuple[str, int, int | None, int | None]]:
    with database.read() as reader:
        return [
            (
                row.alarm,
                row.severity,
                row.acknowledged and row.acknowledged - NOW,
                row.cleared and row.cleared - NOW,
            )
            for row in alarms.history(reader)
        ]


def test_an_alarm_is_kept_with_all_that_happens_to_it(database: Database) -> None:
    tell(database, change("E7"), change("E7"), change("E8", severity=900, at=1))
    assert stored(database) == [("E8", 900, None, None), ("E7", 500, None, None)]
    tell(database, change("E7", severity=700, acknowledged=True, at=2))
    tell(database, change("E7", severity=700, acknowledged=True, at=3))
    assert stored(database)[1] == ("E7", 700, 2, None)
    tell(database, change("E7", False, acknowledged=True, at=4, text="", severity=0))
    assert stored(database)[1] == ("E7", 700, 2, 4)
    tell(database, change("E8", False, at=5))
    assert stored(database)[0] == ("E8", 900, None, 5)
    tell(database, change("E8", False, acknowledged=True, at=6))
    assert stored(database)[0] == ("E8", 900, 6, 5), "acknowledged when it was over"
    tell(database, change("E7", at=7))
    assert stored(database)[0] == ("E7", 500, None, None), "another time"
    with database.read() as reader:
        (again,) = alarms.standing(reader)["press"]
    assert (again.raised, again.source, again.text, again.edge) == (NOW + 7, "spindle", "E7 is bad", "hall")


def test_one_that_needs_attention_again_is_not_acknowledged_any_more(database: Database) -> None:
    tell(database, change("E7", acknowledged=True), change("E7", at=1))
    assert stored(database) == [("E7", 500, None, None)]


def test_what_stands_comes_most_severe_first_then_oldest(database: Database) -> None:
    tell(
        database,
        change("new", at=9),
        change("old", at=1),
        change("mild", severity=100),
        change("fire", severity=999, at=10),
        DeviceHeartbeat(
            NOW + 20, "press", True, NOW, standing=40, untold=17, firmware="9.1", differs="not it"
        ),
    )
    with database.read() as reader:
        assert [row.alarm for row in alarms.standing(reader)["press"]] == ["fire", "old", "new", "mild"]
        assert alarms.standing(reader, ["saw"]) == {}
        (machine,) = reading.machines(reader)
    assert machine.alarms[0] == "fire is bad"
    assert (machine.alarms_standing, machine.alarms_untold) == (40, 17)
    assert (machine.firmware, machine.differs) == ("9.1", "not it")


def test_an_edge_that_sends_a_flood_fills_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "STANDING", 20)
    monkeypatch.setattr(alarms, "KEPT", 30)
    tell(database, *(change(f"flood-{number}", text="x" * 5000) for number in range(50)))
    with database.read() as reader:
        assert len(alarms.standing(reader)["press"]) == 20
        (machine,) = reading.machines(reader)
        assert (machine.alarms_standing, machine.alarms_untold) == (20, 30)
        assert len(machine.alarms) == alarms.NAMED
        assert max(len(row.text) for row in alarms.history(reader)) == alarms.MAX_TEXT
    for number in range(100):
        tell(database, change("flood-1", False, at=number), change("flood-1", at=number))
    assert len(stored(database)) <= 30 + 20
    with database.read() as reader:
        assert len(alarms.standing(reader)["press"]) == 20, "what stands is never forgotten"


def test_history_goes_back_page_by_page(database: Database) -> None:
    tell(
        database,
        *(change(f"E{number}", active, at=number) for number in range(7) for active in (True, False)),
    )
    pages, before = [], None
    with database.read() as reader:
        while page := alarms.history(reader, ["press"], before=before, limit=3):
            pages.append([row.alarm for row in page])
            before = page[-1].id
        assert pages == [["E6", "E5", "E4"], ["E3", "E2", "E1"], ["E0"]]
        assert [row.alarm for row in alarms.history(reader, since=NOW + 5)] == ["E6", "E5"]
