"""What is normal for a tag: drawn in where odd, pooled over regimes, left out where too little is known."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.maintenance.health.baseline import Learned, deviations, normals, settling
from cloud.maintenance.health.regimes import Point


def rows(values: list[float], tag: str = "t") -> list[tuple[str, Learned]]:
    return [("r", Learned(n, Point("r", "", {}), {tag: value})) for n, value in enumerate(values)]


def test_one_spike_does_not_blind() -> None:
    rng = random.Random(1)
    values = [rng.gauss(10, 1) for _ in range(60)]
    clean = normals(rows(values), 0.01)["r"]["t"]
    spiked = normals(rows([*values[:-1], 1000.0]), 0.01)["r"]["t"]
    assert clean.centre == pytest.approx(statistics.fmean(values), abs=0.1)
    assert spiked.spread < 1.3 * clean.spread
    assert spiked.centre == pytest.approx(clean.centre, abs=0.2)


def test_a_seldom_regime_borrows_the_spread_of_the_others() -> None:
    rng = random.Random(2)
    usual = [("a", Learned(n, Point("a", "", {}), {"t": rng.gauss(10, 1)})) for n in range(60)]
    seldom = [("b", Learned(n, Point("b", "", {}), {"t": 50 + n * 0.001})) for n in range(4)]
    found = normals([*usual, *seldom], 0.01)
    assert 0.7 < found["b"]["t"].spread < 1.3


def test_too_little_is_left_out() -> None:
    assert normals(rows([1.0, 1.1, 1.2]), 0.01) == {}
    assert normals(rows([1.0, 1.1]), 0.01) == {}
    both = rows([1.0 + n % 3 for n in range(40)])
    few = [(regime, Learned(w.end, w.point, {**w.means, "seldom": 1.0 + w.end})) for regime, w in both[:6]]
    assert set(normals([*few, *both[6:]], 0.01)["r"]) == {"t"}


def test_a_coarse_sensor_is_not_finer_than_its_step() -> None:
    found = normals(rows([20.0] * 59 + [20.5]), 0.005)["r"]["t"]
    assert found.spread >= 0.25
    assert not found.constant


@pytest.mark.parametrize(
    ("noise", "spread", "constant"), [(0.1, 5.0, True), (3.0, 5.0, False), (20.0, 20.0, False)]
)
def test_no_spread_is_finer_than_a_part_of_the_value(noise: float, spread: float, *, constant: bool) -> None:
    rng = random.Random(4)
    found = normals(rows([rng.gauss(1000, noise) for _ in range(60)]), 0.005)["r"]["t"]
    assert found.spread == pytest.approx(spread, rel=0.25)
    assert found.constant is constant


def test_what_is_fine_in_one_regime_may_be_coarse_in_another() -> None:
    rng = random.Random(5)
    low = [("low", Learned(n, Point("low", "", {}), {"t": rng.gauss(100, 1)})) for n in range(40)]
    high = [("high", Learned(n, Point("high", "", {}), {"t": rng.gauss(1000, 1)})) for n in range(40)]
    found = normals([*low, *high], 0.005)
    assert not found["low"]["t"].constant
    assert found["high"]["t"].constant


def test_a_tag_that_stands_still_is_not_finer_than_its_last_decimal_place() -> None:
    coarse = [
        (name, Learned(n, Point(name, "", {}), {"ratio": value}))
        for n in range(20)
        for name, value in (("a", 0.02), ("b", 0.03))
    ]
    found = normals(coarse, 0.01)
    assert found["a"]["ratio"].constant
    assert deviations(found["a"], {"ratio": 0.03})["ratio"] == pytest.approx(2.0)
    whole = normals(rows([0.0] * 20), 0.01)["r"]
    assert deviations(whole, {"t": 0.1})["t"] > 100, "nothing tells how fine a tag is that is always 0"


def test_what_still_rises_is_named() -> None:
    rng = random.Random(3)
    warming = [Learned(n, Point("r", "", {}), {"t": n * 1.0 + rng.gauss(0, 0.5)}) for n in range(30)]
    steady = [Learned(n, Point("r", "", {}), {"t": rng.gauss(0, 0.5)}) for n in range(30)]
    assert settling(warming, ["t"]) == "t"
    assert settling(steady, ["t", "absent"]) == ""


@given(st.lists(st.floats(-1e9, 1e9), min_size=5, max_size=60))
def test_a_spread_is_above_zero_and_a_centre_within_the_values(values: list[float]) -> None:
    found = normals(rows(values), 0.01)["r"]["t"]
    assert found.spread > 0
    slack = 1e-9 * max(1.0, *(abs(value) for value in values))
    assert min(values) - slack <= found.centre <= max(values) + slack
