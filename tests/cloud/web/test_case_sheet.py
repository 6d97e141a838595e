"""The sheet of a case in words and as a picture, its window in the plan, and what it asks of somebody."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from sqlalchemy import insert

from cloud.config import CloudConfig, load_site
from cloud.dispatching.keeping import plans
from cloud.dispatching.tables import plan, plan_service
from cloud.maintenance import assets, cases
from cloud.maintenance.assets import HealthRow
from cloud.maintenance.case import Case, Step, Verdict
from cloud.maintenance.desk import CaseDesk
from cloud.maintenance.health.asset import AssetHealth
from cloud.maintenance.health.baseline import Normal
from cloud.maintenance.health.evidence import Evidence
from cloud.maintenance.health.trend import Point, Trend
from cloud.maintenance.prognosis import PlannedLoad, Prognosis
from cloud.maintenance.work_order import BoundFrom, Foreseen, Life, WorkOrder, life
from cloud.store.database import Database
from cloud.web import sheets
from cloud.web.gantt import Span, Window, draw
from cloud.web.maintenance import evidence_plot
from cloud.web.maintenance.on_the_board import Placed, asks, windows
from cloud.web.sheet import Sheet
from cloud.web.speech import CHINA, ENGLISH, Speech
from protocols.lifecycles import CaseEvent, CaseState
from tests.cloud.api.service import SITE

NOW = 1_790_000_000_000_000
HOUR = 3_600_000_000
SEEN = (
    Evidence("laser-1/<vibration>", "processing", 9.4, 6.1, 2.0, 0.4),
    Evidence("laser-1/current", "processing", -1.2, 11.0, 12.0, 0.8),
)
OPEN = Case("c1", "a1", "laser-1", "wear", CaseState.OPEN, NOW - HOUR, NOW - HOUR, 41.0, "it shakes", SEEN)
ORDER = WorkOrder("laser-1", 1800, NOW, NOW + 4 * HOUR, BoundFrom.RUL)
PLANT = load_site(CloudConfig(site=SITE))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path}/cloud.db") as made:
        made.create_all()
        made.write(lambda tx: cases.open_case(tx, OPEN)).result()
        yield made


def step(database: Database, event: CaseEvent, **more: Any) -> None:
    taken = Step(event, "ann", NOW - 1, **more)
    database.write(lambda tx: cases.step(tx, "c1", taken)).result()


def placed(database: Database, start: int, end: int) -> None:
    row = {"created": NOW, "causes": [], "status": "feasible", "seconds": 1.0, "objective": {}}
    row |= {"difference": {}, "down": [], "wishes": ["c1"], "note": ""}
    service = {"version": 1, "service_id": "c1", "workcell": "laser-1", "start": start, "end": end}
    database.write(lambda tx: tx.execute(insert(plan).values(row))).result()
    database.write(lambda tx: tx.execute(insert(plan_service).values(service))).result()


def shown(database: Database, say: Speech = ENGLISH, now: int = NOW) -> Sheet:
    with database.read() as tx:
        return sheets.read(tx, PLANT, now, "case:c1", say)


def need(database: Database, now: int) -> str:
    with database.read() as tx:
        placed = [service.case for service in plans.services(tx, 1)]
        found = asks(cases.find(tx, "c1"), placed, now, ENGLISH)
    return "" if found is None else f"{found.rank} {found.detail} {found.action}".strip()


def test_a_case_says_why_when_and_what_can_be_done(database: Database) -> None:
    step(database, CaseEvent.PLAN, order=ORDER)
    placed(database, NOW + HOUR, NOW + HOUR + ORDER.duration)
    sheet = shown(database)
    text = "\n".join(sheet.lines)
    assert "maintenance order: 30 min" in text
    assert "bound: lower end of the remaining life, less a margin" in text
    assert "in the plan from" in text
    assert [name for name, _ in sheet.acts] == ["keep", "move", "supply", "refuse", "finish", "verdict"]
    assert any("Lock" in cell or "lock" in cell for row in sheet.tables[1].rows for cell in row.cells)
    assert [row.cells[2] for row in sheet.tables[2].rows] == ["opened", "planned"]


@dataclass(frozen=True, slots=True)
class Foretold:
    """A desk that knows one prognosis."""

    prognosis: Prognosis

    def proposal(self, tx: Any, case: Case) -> WorkOrder:
        return ORDER

    def life(self, tx: Any, case: Case) -> Life:
        load = PlannedLoad(((NOW, NOW + 20 * HOUR),), NOW + 20 * HOUR)
        return life(Foreseen(self.prognosis, BoundFrom.RUL), NOW, load)


@pytest.mark.parametrize(
    ("prognosis", "words", "end"),
    [
        (
            Prognosis(4.0, 12.0, 30.0),
            "remaining life: 4.0 to 30 operating hours, most likely 12: ",
            " to later than is looked ahead",
        ),
        (Prognosis(4.0, 12.0, None), "remaining life: at least 4.0 operating hours, to ", ", most likely 12"),
        (Prognosis(4.0, None, None), "remaining life: at least 4.0 operating hours, to ", ":20"),
        (Prognosis(), "remaining life: beyond what can be foreseen", ""),
    ],
)
def test_the_remaining_life_in_hours_and_dates(
    database: Database, prognosis: Prognosis, words: str, end: str
) -> None:
    with database.read() as tx:
        sheet = sheets.read(tx, PLANT, NOW, "case:c1", desk=cast("CaseDesk", Foretold(prognosis)))
    assert any(line.startswith("proposed maintenance order: 30 min") for line in sheet.lines)
    (line,) = (line for line in sheet.lines if line.startswith("remaining life"))
    assert line.startswith(words)
    assert line.endswith(end)


def test_kept_past_its_bound_it_says_so(database: Database) -> None:
    step(database, CaseEvent.PLAN, order=ORDER)
    step(database, CaseEvent.MOVE, order=ORDER.kept_at(NOW + 5 * HOUR), note="no people")
    sheet = shown(database)
    assert any("⚲ kept from" in line for line in sheet.lines)
    assert any("▲ it ends 1 h 30 min past its bound" in line for line in sheet.lines)
    assert [name for name, _ in sheet.acts] == ["move", "free", "supply", "refuse", "finish", "verdict"]
    assert sheet.tables[2].rows[-1].cells[3] == "no people"


def test_in_work_the_page_says_that_it_locks_nothing(database: Database) -> None:
    step(database, CaseEvent.START)
    sheet = shown(database)
    assert any("never replaces lock-out/tag-out" in line for line in sheet.lines)
    assert any("不能代替上锁挂牌" in line for line in shown(database, CHINA).lines)
    assert [name for name, _ in sheet.acts] == ["finish"]


def test_the_verdict_stands_on_it(database: Database) -> None:
    step(database, CaseEvent.CLOSE, verdict=Verdict.FALSE_ALARM, cause="sensor loose", found="all well")
    text = "\n".join(shown(database).lines)
    assert "verdict: false alarm (ann" in text
    assert "cause: sensor loose" in text
    assert "as found: all well" in text
    with database.read() as tx:
        risk = sheets.read(tx, PLANT, NOW, "risk")
    assert risk.tables[-1].rows[0].cells[1:] == ("1", "0", "1", "0", "0%")


def test_a_case_that_is_not_there(database: Database) -> None:
    with database.read() as tx:
        assert "there is no such case" in sheets.read(tx, PLANT, NOW, "case:nothing").lines[0]


def test_what_it_asks_of_somebody(database: Database) -> None:
    assert need(database, NOW) == "4 it shakes acknowledge"
    step(database, CaseEvent.SNOOZE, until=NOW + HOUR)
    assert need(database, NOW) == ""
    assert need(database, NOW + HOUR) == "4 it shakes acknowledge"
    step(database, CaseEvent.ACKNOWLEDGE)
    assert need(database, NOW) == "5 it shakes plan"
    step(database, CaseEvent.PLAN, order=ORDER)
    assert need(database, NOW) == ""
    assert need(database, NOW + 2 * HOUR) == "4 the plan has no room for it before its bound"
    assert need(database, NOW + 5 * HOUR) == "3 past its bound: do it, or say why not"
    placed(database, NOW + HOUR, NOW + 2 * HOUR)
    assert need(database, NOW + 2 * HOUR) == ""
    step(database, CaseEvent.KEEP, order=ORDER.kept_at(NOW + HOUR))
    assert need(database, NOW + 2 * HOUR) == "4 its time has come, and nobody has begun"
    step(database, CaseEvent.FINISH)
    assert need(database, NOW + 2 * HOUR) == "6 it shakes verdict"


def test_the_picture_of_the_evidence_is_escaped_and_marks_what_is_far_off() -> None:
    picture = evidence_plot.draw(SEEN, ENGLISH)
    ElementTree.fromstring(picture)  # noqa: S314 - made here
    assert "&lt;vibration&gt;" in picture
    assert "▲ +9.4" in picture
    assert "▲ -1.2" not in picture
    assert evidence_plot.draw((), ENGLISH) == ""
    extreme = (replace(SEEN[0], deviation=1e9),)
    drawn = ElementTree.fromstring(evidence_plot.draw(extreme, ENGLISH))  # noqa: S314 - made here
    places = [float(part.get("cx", "0")) for part in drawn.iter() if part.tag.endswith("circle")]
    assert 0 <= places[0] <= evidence_plot.WIDTH


def test_the_course_of_its_tags_is_a_picture_of_its_own(database: Database) -> None:
    tag = SEEN[0].tag
    points = [Point(NOW - HOUR + n, 1.0, "processing", {tag: 2.0 + n}) for n in range(4)]
    known = AssetHealth(trend=Trend(points, 1, 4), normals={"processing": {tag: Normal(2.0, 0.4, 60)}})
    row = HealthRow("a1", "laser-1", "watching", 41.0, NOW)
    database.write(lambda tx: assets.save(tx, [(row, known)])).result()
    picture = shown(database).picture
    data = picture.partition("base64,")[2].rstrip('">')
    drawn = ElementTree.fromstring(b64decode(data))  # noqa: S314 - made here
    assert any("<vibration>" in (part.text or "") for part in drawn.iter())
    step(database, CaseEvent.CLOSE, verdict=Verdict.OTHER)
    assert "base64" not in shown(database).picture


def test_window_and_bound_stand_in_the_plan() -> None:
    view = Span(NOW - HOUR, NOW + 8 * HOUR, NOW, NOW, ZoneInfo("UTC"))
    free = Window("laser-1", NOW + HOUR, NOW + 2 * HOUR, "lens", "case:c1", bound=NOW + 4 * HOUR)
    picture = draw([("laser-1", "Laser 1")], [], [free], view)
    ElementTree.fromstring(picture)  # noqa: S314 - made here
    assert picture.count('data-open="case:c1"') == 2
    assert "to be done before" in picture
    assert "stroke-dasharray" in picture
    late = Window("laser-1", NOW + 3 * HOUR, NOW + 5 * HOUR, "lens", "", bound=NOW + 4 * HOUR, fixed=True)
    assert "▲ ⚲" in draw([("laser-1", "Laser 1")], [], [late], view)


def test_what_people_fixed_stands_where_they_said() -> None:
    """And not where a plan made before had it."""
    planned = replace(OPEN, state=CaseState.PLANNED, order=ORDER)
    fixed = replace(planned, id="c2", order=ORDER.kept_at(NOW + 3 * HOUR))
    placed = {name: Placed("laser-1", NOW, NOW + HOUR) for name in ("c1", "c2", "gone")}
    found = {
        window.opens: (window.start, window.fixed) for window in windows([planned, fixed], placed, PLANT)
    }
    assert found == {"case:c1": (NOW, False), "case:c2": (NOW + 3 * HOUR, True), "case:gone": (NOW, False)}
