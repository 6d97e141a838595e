"""Capability against its definitions, NIST/SEMATECH e-Handbook 6.1.6 and the usual tables of intervals."""

import math
import random

import pytest

from cloud.quality.capability import (
    NoToleranceError,
    TooFewValuesError,
    bissell,
    capability,
    fallout,
    indices,
    interval_factors,
)


def test_indices_of_the_nist_handbook() -> None:
    found = indices(16.0, 2.0, 8.0, 20.0, target=14.0)
    assert found["cp"] == pytest.approx(1.0)
    assert found["cpu"] == pytest.approx(0.6667, abs=5e-5)
    assert found["cpl"] == pytest.approx(1.3333, abs=5e-5)
    assert found["cpk"] == pytest.approx(0.6667, abs=5e-5)
    assert found["cpm"] == pytest.approx(0.7071, abs=5e-5)


@pytest.mark.parametrize(
    ("cp", "ppm", "digits"),
    [(1.0, 2699.8, 0.05), (4 / 3, 63.34, 0.005), (5 / 3, 0.5733, 5e-5), (2.0, 0.00197, 5e-6)],
)
def test_fallout_of_a_centred_process(cp: float, ppm: float, digits: float) -> None:
    assert fallout(0.0, 1.0, -3 * cp, 3 * cp) * 1e6 == pytest.approx(ppm, abs=digits)


def test_within_and_overall_are_different_things() -> None:
    found = capability([10.0, 12.0, 11.0, 13.0, 12.0], lower=6.0, upper=16.0)
    within, overall = 1.5 / 1.128379167, math.sqrt(1.3)
    assert found.mean == pytest.approx(11.6)
    assert (found.within, found.overall) == pytest.approx((within, overall), abs=1e-6)
    assert found.cp is not None
    assert found.pp is not None
    assert found.cp.value == pytest.approx(10 / (6 * within))
    assert found.cpk.value == pytest.approx(4.4 / (3 * within))
    assert found.pp.value == pytest.approx(10 / (6 * overall))
    assert found.ppk.value == pytest.approx(4.4 / (3 * overall))
    assert found.cpm is None


def test_one_limit_has_no_cp() -> None:
    found = capability([10.0, 12.0, 11.0, 13.0, 12.0], lower=None, upper=16.0, target=11.0)
    assert found.cp is None
    assert found.pp is None
    assert found.cpm is None
    assert found.cpk.value == pytest.approx(4.4 / (3 * found.within))


@pytest.mark.parametrize(
    ("n", "low", "high"), [(10, 0.548, 1.454), (25, 0.719, 1.281), (50, 0.802, 1.197), (100, 0.861, 1.139)]
)
def test_how_well_cp_is_known(n: int, low: float, high: float) -> None:
    assert interval_factors(n - 1) == pytest.approx((low, high), abs=6e-4)


def test_bissell() -> None:
    found = bissell(1.33, 50)
    assert (found.low, found.high) == pytest.approx((1.051, 1.609), abs=6e-4)


def test_an_index_without_its_interval_is_refused_below_25() -> None:
    with pytest.raises(TooFewValuesError, match="from 24 values"):
        bissell(1.33, 24).alone()
    assert bissell(1.33, 25).alone() == 1.33
    assert str(bissell(1.33, 24)) == "1.330 (0.923 to 1.737)"


@pytest.mark.parametrize("size", [1, 5])
def test_intervals_hold_what_they_promise(size: int) -> None:
    # 90 % intervals of a known process: the true index lies in nearly nine of ten.
    rng, hits, trials = random.Random(20), {"cp": 0, "cpk": 0, "pp": 0, "ppk": 0, "cpm": 0}, 400
    true = {"cp": 4 / 3, "cpk": 1.0, "pp": 4 / 3, "ppk": 1.0, "cpm": 8 / (6 * math.hypot(1, 1))}
    for _ in range(trials):
        values = [rng.gauss(1.0, 1.0) for _ in range(40)]
        found = capability(values, lower=-4.0, upper=4.0, target=0.0, size=size, confidence=0.9)
        for name in hits:
            index = getattr(found, name)
            hits[name] += index.low <= true[name] <= index.high
    for name, hit in hits.items():
        assert 0.85 <= hit / trials <= 0.96, name


@pytest.mark.parametrize(
    ("values", "lower", "upper", "size", "error"),
    [
        ([1.0, 2.0], 0.0, 3.0, 1, TooFewValuesError),
        ([1.0, 2.0, 3.0, 4.0], 0.0, 3.0, 5, TooFewValuesError),
        ([1.0, 2.0, 1.5], None, None, 1, NoToleranceError),
        ([1.0, 2.0, 1.5], 3.0, 1.0, 1, NoToleranceError),
        ([2.0, 2.0, 2.0], 1.0, 3.0, 1, ValueError),
    ],
)
def test_what_has_no_capability(
    values: list[float], lower: float | None, upper: float | None, size: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        capability(values, lower=lower, upper=upper, size=size)
