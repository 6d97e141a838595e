"""Weibull lives under censoring, against published results, analytic cases and another implementation."""

from __future__ import annotations

import math
import random
from math import exp, log

import pytest

from cloud.maintenance.rul.runs import TrainingRefusedError
from cloud.maintenance.rul.weibull import PartLife, WeibullLife, fit

BEARINGS = [
    17.88, 28.92, 33.00, 41.52, 42.12, 45.60, 48.48, 51.84, 51.96, 54.12, 55.56, 67.80, 68.64, 68.64, 68.88,
    84.12, 93.12, 98.64, 105.12, 105.84, 127.92, 128.04, 173.40,
]  # fmt: skip
"""Millions of revolutions of 23 ball bearings, all failed: Lieblein and Zelen, 1956."""

SHOCK_ABSORBERS = (
    "6700F 6950 7820 8790 9120F 9660 9820 11310 11690 11850 11880 12140 12200F 12870 13150F 13330 13470 "
    "14040 14300F 17520F 17540 17890 18450 18960 18980 19410 20100F 20100 20150 20320 20900F 22700F 23490 "
    "26510F 27410 27490F 27890 28100"
)
"""Kilometres of 38 shock absorbers, F: failed (Meeker and Escobar, 1998)."""


def absorbers() -> list[PartLife]:
    return [PartLife(float(word.rstrip("F")), word.endswith("F")) for word in SHOCK_ABSORBERS.split()]


def test_bearings_without_censoring_have_the_published_parameters() -> None:
    """Shape 2.10 and scale 81.9 (Lawless, Statistical Models and Methods for Lifetime Data)."""
    life = fit([PartLife(value, True) for value in BEARINGS])

    assert (life.failures, life.censored) == (23, 0)
    assert life.shape == pytest.approx(2.102, abs=0.001)
    assert life.scale == pytest.approx(81.88, abs=0.01)


def test_shock_absorbers_with_censoring_have_the_published_parameters() -> None:
    """μ 10.23 and σ 0.3164 of the logarithm (Meeker and Escobar, 1998), with their normal intervals."""
    life = fit(absorbers())

    assert (life.failures, life.censored) == (11, 27)
    assert log(life.scale) == pytest.approx(10.23, abs=0.005)
    assert 1 / life.shape == pytest.approx(0.3164, abs=5e-5)
    shape, scale = life.shape_bounds(0.95), life.scale_bounds(0.95)
    assert [shape.lower, shape.upper] == pytest.approx([2.01, 4.97], abs=0.01)
    assert [scale.lower, scale.upper] == pytest.approx([22348, 34380], abs=2)


def test_the_maximum_is_one() -> None:
    """No neighbour is more likely."""
    parts = absorbers()

    def likelihood(shape: float, scale: float) -> float:
        return sum(
            (log(shape / scale) + (shape - 1) * log(part.life / scale) if part.failed else 0.0)
            - math.pow(part.life / scale, shape)
            for part in parts
        )

    found = fit(parts)
    best = likelihood(found.shape, found.scale)
    for shape, scale in ((1.001, 1), (0.999, 1), (1, 1.001), (1, 0.999)):
        assert likelihood(found.shape * shape, found.scale * scale) < best


def test_it_agrees_with_scipy_on_censored_lives() -> None:
    from scipy.stats import CensoredData, weibull_min

    parts = absorbers()
    data = CensoredData(
        uncensored=[p.life for p in parts if p.failed], right=[p.life for p in parts if not p.failed]
    )
    shape, _, scale = weibull_min.fit(data, floc=0)
    found = fit(parts)

    assert [found.shape, found.scale] == pytest.approx([shape, scale], rel=1e-4)


def test_counting_replaced_parts_as_failures_would_tell_a_shorter_life() -> None:
    parts = absorbers()
    wrong = fit([PartLife(part.life, True) for part in parts])

    assert wrong.scale < 0.7 * fit(parts).scale


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e9])
def test_the_unit_of_the_counter_changes_nothing_but_the_scale(unit: float) -> None:
    life = fit([PartLife(value * unit, True) for value in BEARINGS])

    assert life.shape == pytest.approx(2.10206, abs=1e-5)
    assert life.scale == pytest.approx(81.8783 * unit, rel=1e-5)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """300 simulated fleets of 30 parts, a third replaced early; 90 % intervals."""
    rng = random.Random(11)
    inside_shape = inside_scale = 0
    for _ in range(300):
        parts = []
        for _ in range(30):
            life, replaced = rng.weibullvariate(500.0, 2.5), rng.uniform(200.0, 1000.0)
            parts.append(PartLife(min(life, replaced), life <= replaced))
        found = fit(parts)
        shape, scale = found.shape_bounds(), found.scale_bounds()
        inside_shape += shape.lower <= 2.5 <= shape.upper
        inside_scale += scale.lower <= 500.0 <= scale.upper
    assert 0.85 <= inside_shape / 300 <= 0.95
    assert 0.84 <= inside_scale / 300 <= 0.95


def test_the_b10_life_is_where_a_tenth_has_failed() -> None:
    life = fit(absorbers())
    found = life.life_bounds(0.1, 0.95)

    assert life.reliability(found.value) == pytest.approx(0.9)
    assert found.lower < found.value < found.upper
    with pytest.raises(ValueError, match="between 0 and 1"):
        life.life_bounds(1.0)


EXPONENTIAL = WeibullLife(1.0, 100.0, 20, 0, (0.01, 0.01, 0.0))
WEAR = WeibullLife(3.0, 100.0, 20, 0, (0.01, 0.01, 0.0))


def test_without_wear_age_changes_nothing() -> None:
    new, old = EXPONENTIAL.remaining(0.0), EXPONENTIAL.remaining(250.0)

    assert new.median == pytest.approx(100.0 * log(2))
    assert (old.lower, old.median, old.upper) == pytest.approx((new.lower, new.median, new.upper))


def test_with_wear_an_old_part_has_less_left_and_reaches_its_quantiles() -> None:
    ages = [0.0, 50.0, 100.0, 150.0]
    medians = [WEAR.remaining(age).median for age in ages]
    assert medians == sorted(medians, reverse=True)

    left = WEAR.remaining(80.0)
    for share, value in ((0.05, left.lower), (0.5, left.median), (0.95, left.upper)):
        assert WEAR.reliability(80.0 + value) / WEAR.reliability(80.0) == pytest.approx(1 - share)


def test_a_part_far_beyond_its_life_still_has_an_answer() -> None:
    left = WEAR.remaining(10_000.0)

    assert 0.0 <= left.lower <= left.median <= left.upper < 1.0
    with pytest.raises(ValueError, match="the age is -1"):
        WEAR.remaining(-1.0)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], "0 of 0 parts failed"),
        ([PartLife(10.0, False)] * 40, "0 of 40 parts failed, 3 failures are wanted"),
        ([PartLife(10.0, True), PartLife(11.0, True), PartLife(12.0, False)], "2 of 3 parts failed"),
        ([PartLife(10.0, True)] * 8, "all 8 lives are 10"),
        ([PartLife(0.0, True)], "a part's life is 0.0"),
        ([PartLife(float("nan"), True)], "a part's life is nan"),
    ],
)
def test_data_that_tell_no_life_are_refused(parts: list[PartLife], said: str) -> None:
    with pytest.raises(TrainingRefusedError, match=said):
        fit(parts)


def test_reliability_is_one_at_the_start_and_falls() -> None:
    assert WEAR.reliability(0.0) == 1.0
    assert WEAR.reliability(100.0) == pytest.approx(exp(-1))
