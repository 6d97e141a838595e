"""The picture of a course: valid XML whatever the names, the band of each regime, what is outside marked."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.maintenance.health.asset import AssetHealth
from cloud.maintenance.health.baseline import Normal
from cloud.maintenance.health.plot import plot
from cloud.maintenance.health.trend import POINTS, Point, Trend
from tests.cloud.maintenance.health.course import LIMITS, fed, healthy

SVG = "{http://www.w3.org/2000/svg}"


def drawn(
    trend: Trend, normals: dict[str, dict[str, Normal]], tags: list[str], title: str = "laser-1"
) -> str:
    return plot(trend, normals, tags, lambda _: "mm/s", str, title)


def test_a_worn_machine_leaves_its_band() -> None:
    health = AssetHealth()
    fed(health, healthy(LIMITS.learn))
    fed(health, healthy(20))
    fed(health, [2.0 + 0.1 * step for step in range(30)])

    tree = ElementTree.fromstring(drawn(health.trend, health.normals, ["vibration"]))  # noqa: S314

    dots = tree.findall(f"{SVG}circle")
    assert len(dots) == len(health.trend.points) == 50
    outside = [dot for dot in dots if dot.get("class") == "out"]
    assert 20 <= len(outside) <= 30
    assert all(dot.get("class") == "in" for dot in dots[:15])
    assert len(tree.findall(f"{SVG}rect[@class='band']")) == 50
    assert float(dots[-1].get("cy", "0")) < float(dots[0].get("cy", "0"))


def test_nothing_judged_yet_is_said() -> None:
    assert "nothing was judged yet" in drawn(Trend(), {}, ["vibration"])


@given(
    st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False, width=32), st.sampled_from("ab")),
        max_size=70,
    ),
    st.text(max_size=20),
)
@settings(deadline=None)
def test_every_course_is_a_picture(rows: list[tuple[float, str]], name: str) -> None:
    trend = Trend()
    for number, (value, regime) in enumerate(rows):
        trend.add(Point(number, 0.5, regime, {name: value}))
    normals = {"a": {name: Normal(0.0, 1.0, 30)}}
    ElementTree.fromstring(drawn(trend, normals, [name], name))  # noqa: S314


@given(st.integers(0, 1000))
def test_a_course_keeps_few_points_evenly_and_the_newest(count: int) -> None:
    trend = Trend()
    for number in range(count):
        trend.add(Point(number, 0.0, "r", {}))
    ends = [point.end for point in trend.points]
    assert len(ends) <= POINTS
    assert ends == sorted(ends)
    if count:
        assert ends[-1] == count - 1
        steps = {after - before for before, after in itertools.pairwise(ends[:-1])}
        assert len(steps) <= 1 or count <= 2
