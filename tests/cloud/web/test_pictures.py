"""The pictures of the page: well-formed, everything in its row, states never by colour alone."""

from __future__ import annotations

from datetime import datetime
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from cloud.history.port import Series
from cloud.web import gantt, record, trend
from cloud.web.gantt import Bar, Shifted, Window
from cloud.web.shapes import FAULT, IDLE, NO_DATA, RUNNING, SETUP, STOPPED, look
from cloud.web.words import ago
from protocols.values import MICROSECONDS, Quality

NOW = 1_790_000_000 * MICROSECONDS
HOUR = 3600 * MICROSECONDS
BERLIN = ZoneInfo("Europe/Berlin")
SVG = "{http://www.w3.org/2000/svg}"
CELLS = [("laser-1", "Laser 1"), ("brake-1", "Press brake")]


def drawn(*bars: Bar, windows: tuple[Window, ...] = ()) -> ElementTree.Element:
    view = gantt.span(bars, windows, NOW, NOW + HOUR, BERLIN)
    return ElementTree.fromstring(gantt.draw(CELLS, bars, windows, view))  # noqa: S314 - our own picture


def clock(ts: int | None, *, day: bool = False) -> str:
    when = datetime.fromtimestamp((ts or 0) / 1e6, BERLIN)
    return f"{when:%m-%d %H:%M}" if day else f"{when:%H:%M}"


def texts(picture: ElementTree.Element) -> list[str]:
    return [node.text or "" for node in picture.iter(f"{SVG}text")]


def test_every_bar_lies_in_the_row_of_its_workcell() -> None:
    picture = drawn(
        Bar("laser-1", NOW, NOW + 4 * HOUR, "A", id="a"), Bar("brake-1", NOW, NOW + 4 * HOUR, "B", id="b")
    )
    tops = {g.get("data-open"): float(g[0].get("y", "0")) for g in picture.iter(f"{SVG}g")}

    assert tops["operation:b"] - tops["operation:a"] == gantt.ROW
    assert {"Laser 1", "Press brake", "now", "A", "B"} <= set(texts(picture))


def test_a_late_order_says_so_in_words() -> None:
    picture = drawn(Bar("laser-1", NOW, NOW + 4 * HOUR, "24-1187", late=600))

    assert "late · 24-1187" in texts(picture)


def test_changeovers_are_hatched_and_windows_outlined() -> None:
    bars = (Bar("laser-1", NOW + HOUR, NOW + 4 * HOUR, "A", changeover=1800),)
    picture = drawn(*bars, windows=(Window("brake-1", NOW + HOUR, NOW + 2 * HOUR, "spindle"),))
    rects = list(picture.iter(f"{SVG}rect"))

    assert [r for r in rects if r.get("fill") == "url(#hatch)"]
    assert [r for r in rects if r.get("stroke-dasharray")]


def test_a_window_is_named_and_its_bound_flagged_in_words() -> None:
    """Four hours from 17:13 Berlin time, to be done before 23:13."""
    window = Window("brake-1", NOW + HOUR, NOW + 5 * HOUR, "spindle", "case:c1", bound=NOW + 7 * HOUR)
    picture = drawn(Bar("laser-1", NOW, NOW + 12 * HOUR, "A"), windows=(window,))
    flag = next(g for g in picture.iter(f"{SVG}g") if g.find(f"{SVG}path") is not None)
    rect = next(r for r in picture.iter(f"{SVG}rect") if r.get("stroke-dasharray"))
    line = flag.find(f"{SVG}line")

    assert "◇ maintenance" in texts(picture)
    assert flag.get("data-open") == "case:c1"
    assert [text for text in texts(picture) if text.startswith("bound ")] == [f"bound {clock(window.bound)}"]
    assert line is not None
    assert float(line.get("x1", "0")) > float(rect.get("x", "0")) + float(rect.get("width", "0"))


def test_a_window_behind_the_end_of_the_picture_is_told_at_its_edge() -> None:
    later = Window("brake-1", NOW + 30 * HOUR, NOW + 31 * HOUR, "spindle", "case:c1", bound=NOW + 40 * HOUR)
    view = gantt.span((), (later,), NOW, NOW + HOUR, BERLIN, 86_400)
    picture = ElementTree.fromstring(gantt.draw(CELLS, (), (later,), view))  # noqa: S314 - our own picture

    told = [text for text in texts(picture) if text.endswith("▸")]
    assert told == [f"◇ {clock(later.start, day=True)} ▸"]
    assert [g.get("data-open") for g in picture.iter(f"{SVG}g")] == ["case:c1"]


def test_what_the_newest_plan_moved_has_an_arrow_and_its_old_place() -> None:
    picture = drawn(
        Bar("laser-1", NOW, NOW + 2 * HOUR, "A", shifted=Shifted("brake-1", 0)),
        Bar("laser-1", NOW + 2 * HOUR, NOW + 4 * HOUR, "B", shifted=Shifted("laser-1", 660)),
        Bar("brake-1", NOW, NOW + 2 * HOUR, "C", shifted=Shifted("brake-1", -3600)),
        Bar("brake-1", NOW + 2 * HOUR, NOW + 4 * HOUR, "D", late=60, shifted=Shifted("brake-1", 20)),
    )
    tips = "\n".join(node.text or "" for node in picture.iter(f"{SVG}title"))

    assert {"⇅ A", "→ B", "← C", "late · D"} <= set(texts(picture))
    assert len([line for line in picture.iter(f"{SVG}line") if line.get("class") == "moved"]) == 3
    assert "was at Press brake, 16:13:20" in tips
    assert "11 min later by the newest plan: was at 18:02:20" in tips


def test_names_from_outside_cannot_break_the_picture() -> None:
    picture = drawn(Bar("laser-1", NOW, NOW + 4 * HOUR, '<script>"&', tip="</title>", id='"><b>'))

    assert '<script>"&' in texts(picture)


def test_the_trend_breaks_where_there_is_no_good_value() -> None:
    series = Series(
        [NOW + row * MICROSECONDS for row in range(5)], [1.0, 2.0, None, 3.0, 4.0], {2: Quality.BAD}
    )
    svg = trend.draw(series, "mm/s", NOW, NOW + HOUR, BERLIN, [(NOW, NOW + 1, "disk full")])
    picture = ElementTree.fromstring(svg)  # noqa: S314 - our own picture

    assert len(list(picture.iter(f"{SVG}polyline"))) == 2
    assert "gap: disk full" in [node.text for node in picture.iter(f"{SVG}title")]


def test_a_trend_without_numbers_says_so() -> None:
    assert "no good values" in trend.draw(Series([1], [None], {0: Quality.BAD}), "", 0, 10, BERLIN)


@pytest.mark.parametrize(
    ("item_state", "mode", "stopped", "fresh", "shown"),
    [
        ("executing", "processing", False, True, RUNNING),
        ("not_executing", "setup", False, True, SETUP),
        ("not_executing", "processing", False, True, IDLE),
        ("not_executing", "processing", True, True, STOPPED),
        ("out_of_service", "processing", True, True, FAULT),
        ("executing", "processing", False, False, NO_DATA),
        ("", "", False, True, NO_DATA),
    ],
)
def test_looks(item_state: str, mode: str, stopped: bool, fresh: bool, shown: object) -> None:
    assert look(item_state, mode, stopped=stopped, fresh=fresh) == shown


def test_no_two_looks_share_shape_or_word() -> None:
    looks = [RUNNING, SETUP, STOPPED, FAULT, IDLE, NO_DATA]

    assert len({found.shape for found in looks}) == len({found.word for found in looks}) == len(looks)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.44, "0.4 s"), (12, "12 s"), (180, "3 min"), (7200, "2 h"), (400_000, "5 d")]
)
def test_ages(seconds: float, words: str) -> None:
    assert ago(seconds) == words


def test_a_trend_of_texts_has_a_line_for_each_and_holds_until_the_next() -> None:
    series = Series([NOW, NOW + HOUR // 2], ["RAL 5010", "<RAL 9005>"])
    picture = ElementTree.fromstring(trend.draw(series, "", NOW, NOW + HOUR, BERLIN))  # noqa: S314
    (line,) = picture.iter(f"{SVG}polyline")

    assert {"RAL 5010", "<RAL 9005>"} <= set(texts(picture))
    assert len(line.get("points", "").split()) == 4


def test_the_plan_can_be_cut_to_what_comes_next() -> None:
    bars = (Bar("laser-1", NOW, NOW + HOUR, "A"), Bar("laser-1", NOW + 90 * HOUR, NOW + 99 * HOUR, "Z"))
    near = gantt.span(bars, (), NOW, NOW, BERLIN, 8 * 3600)
    picture = ElementTree.fromstring(gantt.draw(CELLS, bars, (), near))  # noqa: S314 - our own picture

    assert near.end < NOW + 9 * HOUR
    assert "A" in texts(picture)
    assert "Z" not in texts(picture)


def test_a_spike_stays_visible_in_a_long_trend_of_a_figure() -> None:
    numbers = [0.0] * 3000
    numbers[1234] = 7.0
    picture = ElementTree.fromstring(record.spark(numbers, "since 06:00"))  # noqa: S314 - our own picture
    (line,) = picture.iter(f"{SVG}polyline")
    heights = [float(point.split(",")[1]) for point in line.get("points", "").split()]

    assert len(heights) <= record.POINTS
    assert min(heights) == 2.0
