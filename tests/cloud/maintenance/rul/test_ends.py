"""Lives that outlast what was told of them raise the note of their model, and only those."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection

from cloud.maintenance.rul import lives, registry
from cloud.maintenance.rul.drifting import NOTE
from cloud.maintenance.rul.ends import count, due
from cloud.maintenance.rul.lives import Kept, LifeState, RemainingLife
from cloud.maintenance.rul.registry import DriftKind
from cloud.orders import exceptions
from cloud.store.database import Database
from protocols.prognostics import model_file
from protocols.prognostics.lifeline import Lifeline
from protocols.prognostics.model import Prognoser
from protocols.prognostics.rows import Row
from tests.cloud.maintenance.rul import signed

START = 1_790_000_000_000_000
PROGNOSER = Prognoser(signed.model())
LIFE = RemainingLife(
    "a", "m", "v1", "press", "h", 125.0, 0.9, signed.BY_CYCLE, 0, 1, START, START, 1.0, 1.0, 1.0,
    LifeState.SCORED,
)  # fmt: skip
TOLD = 10.0
"""Upper end that is told of every life, in rows, at its third row; before it lies beyond the horizon."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path}/cloud.db") as made:
        made.create_all()
        made.write(_active).result()
        yield made


def _active(tx: Connection) -> None:
    data = model_file.write(signed.model(), signed.KEY)
    registry.register(tx, "v1", "acme/press", signed.model(), data, 1, "ann")
    registry.shadow(tx, "v1", 2, "ann")
    registry.activate(tx, "v1", 3, "ann", "tried on files")


def lived(asset: str, since: int, rows: int, *, goes_on: bool = False) -> Callable[[Connection], bool]:
    """A life of so many rows after the third; it ended, unless it ``goes_on``."""

    def work(tx: Connection) -> bool:
        line = Lifeline(PROGNOSER)
        for n in range(3 + rows):
            line.take(Row(START + since + n, (1000.0, 1.0, 50.0, 5.0), 0, float(n)))
            upper = None if n < 2 else TOLD if n == 2 else 99.0
            line.stretch.scores[-1] = replace(line.stretch.scores[-1], regime=0, upper=upper)
        stretches = (*line.done, line.stretch)
        lives.keep(tx, [Kept(asset, "v1", since, each) for each in stretches])
        now = since if goes_on else since + 1
        life = replace(LIFE, asset=asset, device=f"m-{asset}", since=now)
        lives.show(tx, [life])
        return count(tx, due(tx, life), START)

    return work


def kind(database: Database) -> tuple[DriftKind, bool]:
    """The alarm of the model, and whether its note is open."""
    with database.read() as tx:
        noted = exceptions.is_open(tx, kind=NOTE, concerns="v1")
        return registry.version(tx, "v1").drift_kind, noted


def test_two_lives_in_two_that_outlasted_it_raise_the_note_once_and_more_that_fit_end_it(
    database: Database,
) -> None:
    database.write(lived("a", 1, 11)).result()
    assert kind(database) == (DriftKind.NONE, False), "one life is chance"
    database.write(lived("b", 1, 30, goes_on=True)).result()
    assert kind(database) == (DriftKind.ENDS, True)
    with database.read() as tx:
        assert "2 of 2 lives went on for longer" in registry.version(tx, "v1").drift_text
    database.write(lived("c", 1, 40)).result()
    assert kind(database) == (DriftKind.ENDS, True)
    for n in range(20):
        database.write(lived(f"d{n}", 1, 5)).result()
    assert kind(database) == (DriftKind.NONE, False)


def test_a_life_that_goes_on_within_its_interval_counts_for_nothing_yet(database: Database) -> None:
    for n in range(5):
        database.write(lived(f"e{n}", 1, 10, goes_on=True)).result()
    database.write(lived("a", 1, 11)).result()
    database.write(lived("b", 1, 11)).result()
    with database.read() as tx:
        assert "2 of 2 lives" in registry.version(tx, "v1").drift_text


def test_lives_that_were_ended_early_raise_nothing(database: Database) -> None:
    for n in range(10):
        database.write(lived(f"a{n}", 1, 0)).result()
    assert kind(database) == (DriftKind.NONE, False)


def test_the_same_life_is_counted_once(database: Database) -> None:
    for _ in range(3):
        database.write(lived("a", 1, 30, goes_on=True)).result()
    assert kind(database) == (DriftKind.NONE, False)
