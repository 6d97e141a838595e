"""A life of a model in operating hours: by the pace of its rows, less what was worked since."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import insert

from cloud.ledger.tables import machine_state
from cloud.maintenance.case import Case
from cloud.maintenance.cases import SENSOR
from cloud.maintenance.desk import CaseDesk
from cloud.maintenance.foresight import by_trend
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.prognosis import HOUR
from cloud.maintenance.rul import lives
from cloud.maintenance.rul.foresight import by_model, evidence
from cloud.maintenance.rul.lives import Kept, LifeState, RemainingLife
from cloud.maintenance.work_order import BoundFrom
from cloud.store.database import Database
from protocols.clock import Clock
from protocols.lifecycles import CaseState
from protocols.prognostics.lifeline import Lifeline
from protocols.prognostics.model import Prognoser
from protocols.prognostics.rows import Row, RowKind
from protocols.site import Site
from tests.cloud.maintenance.rul import signed

NOW = 1_790_000_000_000_000
CASE = Case("c1", "a1", "m1", "wear", CaseState.OPEN, NOW, NOW, 40.0, "why", ())
LIFE = RemainingLife(
    "a1", "m1", "v1", "press", "cycles", 125.0, 0.9, signed.BY_CYCLE, 0, 10, NOW, NOW, 40.0, 30.0, 60.0,
    LifeState.SCORED,
)  # fmt: skip
PROGNOSER = Prognoser(signed.model())


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path}/cloud.db") as made:
        made.create_all()
        yield made


def executing(database: Database) -> None:
    """From ten hours ago on it works every second hour, and does so on."""
    rows = [
        {
            "device": "m1",
            "ts": NOW + hour * HOUR,
            "item_state": "executing" if hour % 2 == 0 else "not_executing",
            "mode": "processing",
            "detail": "",
        }
        for hour in range(-10, 10)
    ]
    database.write(lambda tx: tx.execute(insert(machine_state), rows)).result()


def rowed(database: Database, missed: int = 0) -> None:
    """Eleven rows, one an hour, the last one now."""
    line = Lifeline(PROGNOSER)
    for n in range(11):
        line.take(
            Row(NOW + (n - 10) * HOUR, (1000.0, 1.0 + n / 10, 50.0, 5.0), missed if n == 5 else 0, float(n))
        )
    database.write(lambda tx: lives.keep(tx, [Kept("a1", "v1", 0, line.stretch)])).result()


def shown(database: Database, life: RemainingLife) -> None:
    database.write(lambda tx: lives.show(tx, [life])).result()


def test_a_life_by_work_is_its_hours_less_those_worked_since(database: Database) -> None:
    executing(database)
    shown(database, replace(LIFE, row=RowKind(every=1800.0)))
    with database.read() as tx:
        found = by_model()(tx, CASE, NOW)
        later = by_model()(tx, CASE, NOW + 4 * HOUR)
        gone = by_model()(tx, CASE, NOW + 90 * HOUR)
    assert found is not None
    assert found.source is BoundFrom.RUL
    assert (found.prognosis.lower, found.prognosis.median, found.prognosis.upper) == (15.0, 20.0, 30.0)
    assert later is not None
    assert (later.prognosis.lower, later.prognosis.upper) == (13.0, 28.0)
    assert gone is not None
    assert (gone.prognosis.lower, gone.prognosis.median) == (10.0, 15.0), "it stands since its last change"


@pytest.mark.parametrize(("missed", "hours"), [(0, 0.5), (10, 0.25)])
def test_cycles_become_hours_by_their_pace(database: Database, missed: int, hours: float) -> None:
    executing(database)
    rowed(database, missed)
    shown(database, replace(LIFE, upper=None))
    with database.read() as tx:
        found = by_model()(tx, CASE, NOW)
    assert found is not None
    assert found.prognosis.lower == pytest.approx(30 * hours)
    assert found.prognosis.median == pytest.approx(40 * hours)
    assert found.prognosis.upper is None, "beyond the horizon"


def test_a_machine_without_states_works_all_the_time(database: Database) -> None:
    rowed(database)
    shown(database, LIFE)
    with database.read() as tx:
        found = by_model()(tx, CASE, NOW + HOUR)
    assert found is not None
    assert found.prognosis.lower == pytest.approx(29.0)


def test_nothing_is_foreseen_where_nothing_is_known(database: Database) -> None:
    with database.read() as tx:
        assert by_model()(tx, CASE, NOW) is None
    shown(database, LIFE)
    with database.read() as tx:
        assert by_model()(tx, CASE, NOW) is None, "no rows: nobody knows how long a cycle takes"
    rowed(database)
    with database.read() as tx:
        assert by_model()(tx, replace(CASE, mode=SENSOR), NOW) is None
    shown(database, replace(LIFE, life=None, lower=None, upper=None))
    with database.read() as tx:
        assert by_model()(tx, CASE, NOW) is None


def test_the_desk_asks_the_model_before_the_trend(database: Database) -> None:
    site = Path(__file__).parents[4] / "firmware_configs/sites/demo/site.yaml"
    from protocols.documents import load

    rowed(database)
    shown(database, LIFE)
    desk = CaseDesk(
        load(site, Site),
        Clock(wall_ns=lambda: NOW * 1000, elapsed_ns=lambda: 0),
        lambda _tx, _cell: (),
        lambda _tx, _case: None,
        foresights=(by_model(), by_trend(Limits())),
    )
    with database.read() as tx:
        order, life = desk.proposal(tx, CASE), desk.life(tx, CASE)
    assert order.bound_from is BoundFrom.RUL
    assert life is not None
    assert life.lower_at is not None
    assert NOW < order.bound < life.lower_at, "less the margin"


def test_what_speaks_for_a_life_is_worked_out_from_what_is_stored(database: Database) -> None:
    with database.read() as tx:
        assert evidence(tx, LIFE, PROGNOSER) == []
    rowed(database)
    with database.read() as tx:
        found = evidence(tx, LIFE, PROGNOSER)
    assert len(found) == 3
    assert abs(found[0].life) >= abs(found[1].life) >= abs(found[2].life) > 0
