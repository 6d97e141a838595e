"""The Gantt chart: every bar where its work is, well-formed whatever the names, marks at round times."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from typer.testing import CliRunner

from cloud.dispatching.command.main import app
from cloud.dispatching.gantt.chart import Kind, chart, ticks
from cloud.dispatching.gantt.picture import ENDINGS, CannotDraw, picture
from cloud.dispatching.gantt.svg import MARGIN, svg
from cloud.dispatching.shop.schedule import jobs
from cloud.dispatching.solving.construct import construct
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop

SVG = "{http://www.w3.org/2000/svg}"
SEEDS = range(6)


def _rects(root: Element, kind: str) -> list[Element]:
    """Bars, which have tooltips; swatches of the legend have none."""
    return [
        rect
        for rect in root.iter(SVG + "rect")
        if rect.get("class", "").split()[:1] == [kind] and rect.find(SVG + "title") is not None
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_operation_has_its_bar_and_runs_have_one(seed: int) -> None:
    problem = random_shop(random.Random(seed), operations=30, machines=6, load=3.0)
    plan = construct(problem)
    shown = chart(problem, plan)
    work = {(bar.row, bar.start, bar.end) for bar in shown.bars if bar.kind is Kind.WORK}
    row = {machine.id: number for number, machine in enumerate(problem.machines)}
    assert work == {(row[a.machine], a.start, a.end) for a in plan.assignments.values()}
    for operation in problem.operations:
        assert any(re.search(rf"\b{re.escape(operation.id)}\b", bar.note) for bar in shown.bars)
    changes = {(b.row, b.start, b.end) for b in shown.bars if b.kind is Kind.CHANGEOVER}
    assert changes == {
        (row[a.machine], a.occupied_from, a.start) for a in plan.assignments.values() if a.changeover_seconds
    }
    assert sum(b.kind is Kind.SERVICE for b in shown.bars) == len(plan.services)
    assert any(b.late for b in shown.bars) == any(f.late for f in jobs(problem, plan.assignments).values())


@pytest.mark.parametrize("seed", SEEDS)
def test_rests_lie_in_their_work_and_no_vehicle_is_on_two_ways(seed: int) -> None:
    problem = random_shop(random.Random(seed), operations=30, machines=5, second=1, features=ALL)
    plan = construct(problem)
    shown = chart(problem, plan)
    work = [bar for bar in shown.bars if bar.kind is Kind.WORK]
    for rest in (bar for bar in shown.bars if bar.kind is Kind.REST):
        assert any(w.row == rest.row and w.start < rest.start and rest.end < w.end for w in work)
    trips = [bar for bar in shown.bars if bar.kind is Kind.TRIP]
    assert sorted((t.start, t.end) for t in trips) == sorted((t.start, t.end) for t in plan.trips)
    assert problem.vehicles is not None
    for one, other in pairwise(sorted(trips, key=lambda bar: (bar.row, bar.start))):
        assert one.row != other.row or one.end + problem.vehicles.empty <= other.start
    most = max(problem.vehicles.count, *(level.capacity for level in problem.vehicles.levels), 0)
    lanes = {bar.row for bar in trips}
    assert lanes == set(range(len(problem.machines), len(shown.rows)))
    assert len(lanes) <= most
    root = fromstring(svg(shown))
    assert len(_rects(root, "trip")) == len(trips)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("machines", [3, 30, 100])
def test_bars_lie_inside_the_picture_and_in_their_rows(seed: int, machines: int) -> None:
    problem = random_shop(random.Random(seed), operations=60, machines=machines)
    plan = construct(problem)
    root = fromstring(svg(chart(problem, plan)))
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    bars = [rect for kind in Kind for rect in _rects(root, kind)]
    assert len(bars) == len(chart(problem, plan).bars)
    for rect in bars:
        x, y, w, h = (float(rect.get(key, "nan")) for key in ("x", "y", "width", "height"))
        assert x > 0 and x + w <= width - MARGIN + 1
        assert y > 0 and y + h <= height
        assert w > 0 and h >= 10


@given(st.text(max_size=30), st.text(max_size=30))
def test_names_of_any_kind_leave_the_picture_well_formed(label: str, order: str) -> None:
    problem = random_shop(random.Random(1), operations=4, machines=2)
    first = replace(problem.operations[0], label=label, order_id=order)
    machine = replace(problem.machines[0], label=label)
    problem = replace(
        problem,
        operations=(first, *problem.operations[1:]),
        machines=(machine, *problem.machines[1:]),
    )
    root = fromstring(svg(chart(problem, construct(problem), title=label)))
    assert root.tag == SVG + "svg"


@given(st.integers(-1000, 10**6), st.integers(1, 10**8), st.sampled_from([0, 1_767_225_600_000_000]))
def test_ticks_are_few_evenly_spaced_and_inside(start: int, span: int, origin: int) -> None:
    found = list(ticks(start, start + span, origin))
    assert len(found) <= 14
    assert all(start <= tick.at <= start + span for tick in found)
    assert len({b.at - a.at for a, b in pairwise(found)}) <= 1
    if span >= 60 * 12:
        assert found


def test_ticks_of_a_day_stand_at_full_hours() -> None:
    labels = [tick.label for tick in ticks(0, 86_400, 1_767_225_600_000_000)]
    assert labels[:3] == ["01-01 00:00", "01-01 02:00", "01-01 04:00"]


def test_the_command_draws_valid_plans_only(tmp_path: Path) -> None:
    shop, plan, out = tmp_path / "shop.txt", tmp_path / "plan.json", tmp_path / "plan.svg"
    shop.write_text("2 2\n0 3 1 2\n1 4 0 1\n")
    solved = ["solve", str(shop), "--seconds", "0", "--out", str(plan), "--gantt", str(out)]
    assert CliRunner().invoke(app, solved).exit_code == 0
    drawn = out.read_text("utf-8")
    assert len(_rects(fromstring(drawn), "work")) == 4
    words = ["gantt", str(shop), str(plan), "--out", str(tmp_path / "again.svg")]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert (tmp_path / "again.svg").read_text("utf-8") == drawn
    plan.write_text(plan.read_text().replace('"machine": "M0"', '"machine": "M1"', 1))
    refused = CliRunner().invoke(app, words)
    assert (refused.exit_code, "cannot run on M1" in refused.stderr) == (1, True)
    other = CliRunner().invoke(app, [*words[:-1], "plan.jpg"])
    assert (other.exit_code, '".jpg" is not one of .svg, .png' in other.stderr) == (2, True)


def test_a_png_is_the_svg_in_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = random_shop(random.Random(1), operations=20, machines=4)
    shown = chart(problem, construct(problem), "床 and table")
    assert set(ENDINGS) == {".svg", ".png"}
    assert picture(shown, ".svg").decode() == svg(shown)
    try:
        png = picture(shown, ".png", 800)
    except CannotDraw as error:
        pytest.skip(str(error))
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") == 1600
    monkeypatch.setattr("cloud.dispatching.gantt.picture.FAMILIES", ("No Such Font",))
    with pytest.raises(CannotDraw, match="no font on this computer"):
        picture(shown, ".png")
