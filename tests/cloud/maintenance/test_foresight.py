"""What the course of the health foretells: in operating hours, from the last decline alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import insert

from cloud.ledger.tables import machine_state
from cloud.maintenance import assets
from cloud.maintenance.assets import HealthRow
from cloud.maintenance.case import Case
from cloud.maintenance.cases import SENSOR
from cloud.maintenance.foresight import by_limit, by_trend, decline, operating_hours
from cloud.maintenance.health.asset import AssetHealth
from cloud.maintenance.health.baseline import Normal
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.health.trend import Point, Trend
from cloud.maintenance.prognosis import HOUR
from cloud.maintenance.work_order import BoundFrom
from cloud.store.database import Database
from protocols.documents import load
from protocols.lifecycles import CaseState
from protocols.site import Site
from protocols.site_maintenance import Maintenance, Upkeep

NOW = 1_790_000_000_000_000
LIMITS = Limits()
CASE = Case("c1", "a1", "m1", "wear", CaseState.OPEN, NOW, NOW, 40.0, "why", ())


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path}/cloud.db") as made:
        made.create_all()
        yield made


def states(database: Database, *changes: tuple[int, str]) -> None:
    rows = [
        {"device": "m1", "ts": NOW + hour * HOUR, "item_state": state, "mode": "processing", "detail": ""}
        for hour, state in changes
    ]
    database.write(lambda tx: tx.execute(insert(machine_state), rows)).result()


def learned(database: Database, scores: list[float]) -> None:
    points = [Point(NOW + hour * HOUR, score, "a", {}) for hour, score in enumerate(scores)]
    row = HealthRow("a1", "m1", "watching", 50.0, NOW)
    known = AssetHealth(trend=Trend(points, 1, len(points)))
    database.write(lambda tx: assets.save(tx, [(row, known)])).result()


def test_hours_are_those_in_which_the_machine_executed(database: Database) -> None:
    states(database, (-5, "executing"), (2, "not_executing"), (6, "executing"), (9, "out_of_service"))
    with database.read() as tx:
        hours = operating_hours(tx, "m1", NOW, NOW + 12 * HOUR)
        assert [hours(NOW + h * HOUR) for h in (-1, 0, 1, 2, 4, 7, 9, 12)] == [0, 0, 1, 2, 2, 3, 5, 5]
        assert operating_hours(tx, "m9", NOW, NOW + HOUR)(NOW + HOUR) == 0


def test_only_the_last_decline_counts() -> None:
    points = [Point(at, score, "a", {}) for at, score in enumerate((0.1, 0.9, 0.2, 0.3, 0.7, 1.0, 1.4))]
    assert [at for at, _ in decline(points, LIMITS)] == [3, 4, 5, 6]
    assert decline([], LIMITS) == []


def test_a_steady_fall_foretells_when_health_is_gone(database: Database) -> None:
    """Ten points an hour of work; the machine works every second hour of the day."""
    states(database, *((hour, "executing" if hour % 2 == 0 else "not_executing") for hour in range(10)))
    scores = [1.0 + 0.2 * hour for hour in range(9)]  # 50, 45, 40 … 10
    learned(database, scores)
    with database.read() as tx:
        found = by_trend(LIMITS)(tx, CASE, NOW + 8 * HOUR)
        assert by_trend(LIMITS)(tx, replace(CASE, mode=SENSOR), NOW + 8 * HOUR) is None
        assert by_trend(LIMITS)(tx, replace(CASE, asset="a9"), NOW + 8 * HOUR) is None
    assert found is not None
    assert found.source is BoundFrom.TREND
    assert found.prognosis.median == pytest.approx(1.0, rel=0.35)  # 10 points at 10 an hour of work
    assert found.prognosis.lower is not None
    assert found.prognosis.lower <= 1.0


@pytest.mark.parametrize("scores", [[1.0] * 9, [1.0, 1.1, 1.2], [2.0, 1.8, 1.5, 1.2, 1.1, 1.0]])
def test_no_fall_and_few_points_foretell_nothing(database: Database, scores: list[float]) -> None:
    states(database, (0, "executing"))
    learned(database, scores)
    with database.read() as tx:
        assert by_trend(LIMITS)(tx, CASE, NOW + 9 * HOUR) is None


# --- a sign that grows towards a limit of the site file ---------------------------------------------------

WORN = Maintenance(rules=(Upkeep(device="m1", mode="wear", limits={"vibration": 9.0}),))
PLANT = load(Path(__file__).parents[3] / "firmware_configs/sites/demo/site.yaml", Site)
LIMITED = PLANT.model_copy(update={"maintenance": WORN})


def grown(database: Database, hours: int, *, tag: str = "vibration") -> None:
    """Two regimes by turns, well for ten hours; then the vibration grows by 5 % of normal an hour."""
    normal = {"slow": 1.0, "fast": 2.0}
    known = AssetHealth(
        normals={name: {tag: Normal(centre, 0.03 * centre, 60)} for name, centre in normal.items()}
    )
    for hour in range(hours):
        regime = "fast" if hour % 2 else "slow"
        mean = normal[regime] * (1 + 0.05 * max(0, hour - 10) + 0.03 * (-1) ** (hour // 2))
        known.trend.add(Point(NOW + hour * HOUR, 1.0, regime, {tag: mean}))
    row = HealthRow("a1", "m1", "watching", 40.0, NOW)
    database.write(lambda tx: assets.save(tx, [(row, known)])).result()


def test_a_sign_is_foretold_to_the_limit_of_the_regime_that_reaches_it_first(database: Database) -> None:
    """Twice a normal of 2 plus 5 % of it an hour: 9 mm/s is 3.5 times above, 70 hours after the tenth."""
    states(database, (-5, "executing"))
    grown(database, 50)
    with database.read() as tx:
        found = by_limit(LIMITED)(tx, CASE, NOW + 49 * HOUR)
    assert found is not None
    assert found.source is BoundFrom.LIMIT
    known = found.prognosis
    assert known.lower is not None and known.upper is not None and known.median is not None
    assert known.lower < 80 - 49 < known.upper
    assert known.median == pytest.approx(80 - 49, rel=0.4)


def test_without_a_limit_or_before_anything_is_known_no_crossing_is_foretold(database: Database) -> None:
    states(database, (-5, "executing"))
    with database.read() as tx:
        assert by_limit(LIMITED)(tx, CASE, NOW) is None
    grown(database, 50, tag="temperature")
    with database.read() as tx:
        assert by_limit(LIMITED)(tx, CASE, NOW + 49 * HOUR) is None
        assert by_limit(PLANT)(tx, CASE, NOW + 49 * HOUR) is None
        assert by_limit(LIMITED)(tx, replace(CASE, mode=SENSOR), NOW + 49 * HOUR) is None
