"""What the page says about quality, in both languages, on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.quality import charts, nonconformances
from cloud.web import lists, sheets
from cloud.web.quality.needs import needs
from cloud.web.sheet import Sheet
from cloud.web.speech import CHINA, ENGLISH, Speech
from protocols.inspection import Disposition
from protocols.lifecycles import NonconformanceEvent
from tests.cloud.orders.shop import NOW_US, SITE, open_database
from tests.cloud.quality.shop import QualityFloor, quality_floor
from tests.cloud.quality.test_effects import BEND, decide, in_control

SAID = "above the tolerance; beyond 3 sigma; the spread is beyond its limit"


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[QualityFloor]:
    database = open_database(f"sqlite:///{tmp_path / 'quality.db'}")
    try:
        made = quality_floor(database, 400)
        run = in_control(made, 20)
        made.measures(run, BEND, 25.42)
        yield made
    finally:
        database.close()


def sheet(floor: QualityFloor, address: str, say: Speech = ENGLISH) -> Sheet:
    return floor.database.write(lambda tx: sheets.read(tx, SITE, NOW_US + 10**10, address, say)).result()


def test_a_chart_says_what_it_stands_on(floor: QualityFloor) -> None:
    shown = sheet(floor, "chart:1")
    assert shown.title == "Flange · BRAKE-1"
    assert shown.lines[0] == "21 points, limits: ready to freeze"
    assert "a false alarm every 159 points" in shown.lines[1]
    assert shown.lines[2] == "a violation of frozen limits holds the lot"
    assert shown.lines[3].startswith("capability of 21 values, 95 % intervals: Cp ")
    assert "◆" in shown.picture or "■" in shown.picture
    points, versions = shown.tables
    assert points.rows[0].cells[3:] == (
        "25.42",
        "▲ above the tolerance; beyond 3 sigma; the spread is beyond its limit",
    )
    assert (points.rows[0].opens, points.rows[0].late) == (f"operation:{BEND}", True)
    assert (versions.rows, shown.acts) == ([], (("freeze", "1"),))


def test_what_does_not_conform_leads_to_its_chart(floor: QualityFloor) -> None:
    shown = sheet(floor, "nonconformance:1")
    assert shown.title == "Nonconformance 1 · job q-1-1"
    assert (
        shown.lines[0]
        == "Flange 25.42 mm: above the tolerance; beyond 3 sigma; the spread is beyond its limit"
    )
    assert shown.lines[2] == "■ what follows in this job waits"
    assert shown.acts == (("dispose", "1"), ("withdraw", "1"))
    assert [row.opens for row in shown.tables[0].rows] == [f"operation:{BEND}", "chart:1"]
    decide(floor, 1, NonconformanceEvent.DISPOSE, Disposition.SCRAP, "cannot be bent back")
    after = sheet(floor, "nonconformance:1")
    assert after.lines[2] == "the pieces are booked as scrap at the station (F6)"
    assert [row.cells[2:] for row in after.tables[1].rows][1] == ("decided: scrap", "cannot be bent back")
    assert after.acts == (("conform", "1"), ("hold again", "1"))


def test_the_way_leads_from_the_line_and_from_the_order(floor: QualityFloor) -> None:
    heads = [table.heading for table in sheet(floor, "workcell:brake-1").tables]
    assert "Control charts" in heads
    assert "Control charts" not in [table.heading for table in sheet(floor, "workcell:weld-1").tables]
    order = sheet(floor, "order:q-1")
    assert [t.rows[0].opens for t in order.tables if t.heading.startswith("Nonconf")] == ["nonconformance:1"]
    overview = sheet(floor, "quality")
    assert [len(table.rows) for table in overview.tables] == [1, 1, 0, 0]


def test_what_is_not_there(floor: QualityFloor) -> None:
    for address in ("chart:77", "chart:x", "nonconformance:77", "nonconformance:²"):
        assert sheet(floor, address).lines[0].startswith("there is no such")


def test_needs_in_order_of_urgency(floor: QualityFloor) -> None:
    def read(say: Speech) -> list[tuple[int, str, str, str]]:
        found = floor.database.write(
            lambda tx: [*needs(nonconformances.nonconformances(tx, open_only=True), charts.ready(tx), say)]
        ).result()
        return [(need.rank, need.text, need.action, need.opens) for need in found]

    assert read(ENGLISH) == [
        (2, "Job q-1-1 is on hold", "dispose", "nonconformance:1"),
        (7, "Flange has 21 points", "freeze", "chart:1"),
    ]
    decide(floor, 1, NonconformanceEvent.DISPOSE, Disposition.REWORK)
    assert read(CHINA)[0] == (5, "作业 q-1-1：返工尚未报告完成", "conform", "nonconformance:1")
    decide(floor, 1, NonconformanceEvent.CLOSE)
    assert [need[2] for need in read(ENGLISH)] == ["freeze"]


def test_a_text_from_outside_is_only_text(floor: QualityFloor) -> None:
    floor.database.write(
        lambda tx: nonconformances.open_one(
            tx,
            source="s",
            operation_id=BEND,
            workcell="brake-1",
            text=("<script>alert(1)</script>", ""),
            actor="x",
            now=NOW_US,
        )
    ).result()
    html = lists.sheet(sheet(floor, "nonconformance:2"))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_in_chinese(floor: QualityFloor) -> None:
    shown = sheet(floor, "chart:1", CHINA)
    assert shown.title.startswith("折边")
    assert "超出公差上限" in shown.picture
    assert "移动极差" in shown.picture
