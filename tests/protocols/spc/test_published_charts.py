"""Charts against published results: NIST/SEMATECH e-Handbook 6.3, Montgomery (Introduction to Statistical
Quality Control), Ross (Introduction to Probability and Statistics for Engineers, 13.6), SAS/QC.

Handbooks round their constants (d2 = 1.128, 3/d2 = 2.66): limits of theirs agree to four digits.
"""

import pytest

from protocols.spc.chart import chart, estimate
from protocols.spc.charts import Kind, Point, Sample, Signal, Spec
from protocols.spc.limits import Limits
from protocols.spc.rules import Rule
from protocols.spc.weighted import cusum, ewma

ONE = (Rule.NELSON_1,)
NIST_I = [49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1]
JETS = [
    78.4, 80.1, 84.4, 79.1, 80.4, 83.5, 73.8, 83.5, 75.0, 76.8,
    70.5, 80.3, 82.4, 79.4, 86.4, 90.5, 77.7, 82.5, 79.9, 83.2
]  # fmt: skip
NIST_EWMA = [
    52.0, 47.0, 53.0, 49.3, 50.1, 47.0, 51.0, 50.1, 51.2, 50.5,
    49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1
]  # fmt: skip
NIST_CUSUM = [
    324.925, 324.675, 324.725, 324.350, 325.350, 325.225, 324.125, 324.525, 325.225, 324.600,
    324.625, 325.150, 328.325, 327.250, 327.825, 328.500, 326.675, 327.775, 326.875, 328.350
]  # fmt: skip
MONTGOMERY = [
    9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34, 9.03, 11.47, 10.51, 9.40, 10.08,
    9.37, 10.62, 10.31, 8.52, 10.84, 10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52
]  # fmt: skip
RINGS = """30 2 19 -8 8 / -5 -8 1 11 4 / -12 24 21 5 2 / 2 -4 -7 15 9 / -8 7 15 -11 14 / 9 -6 -3 -15 -7 /
-5 6 -6 0 5 / -15 3 -7 15 -12 / 8 -5 9 5 4 / -2 0 -10 7 -5 / -6 -2 -6 -5 -10 / 4 0 7 0 -4 / -17 2 -2 -3 12 /
6 -33 -6 0 -16 / 12 14 -2 -1 7 / 0 -16 5 -2 -4 / -6 12 -14 5 7 / 6 10 18 3 0 / -16 2 3 5 -3 / 0 10 13 20 3 /
-18 1 15 5 -4 / 4 -1 -10 6 9 / 10 -11 -10 9 14 / 15 8 -7 0 10 / -18 -16 -5 17 13"""
"""Montgomery, table 6.3: inside diameters of piston rings, (mm - 74) x 1000."""


def ones(values: list[float]) -> list[Sample]:
    return [Sample((value,)) for value in values]


def numbers(points: list[Point]) -> list[int]:
    """Numbers of the points that signal."""
    return [point.number for point in points if point.signals]


def test_individuals_of_the_nist_handbook() -> None:
    limits, points = chart(Spec(Kind.I_MR), ones(NIST_I))
    assert limits is not None
    assert limits.center == pytest.approx(50.81)
    assert limits.spread == pytest.approx(1.8778, abs=5e-5)
    assert points[0].upper == pytest.approx(55.8041, abs=2e-3)
    assert points[0].lower == pytest.approx(45.8159, abs=2e-3)
    assert points[1].second_upper == pytest.approx(6.1347, abs=2e-3)
    assert [p.second for p in points[1:]] == pytest.approx([2.0, 2.3, 1.4, 3.5, 3.4, 1.4, 0.2, 1.2, 1.5])
    assert numbers(points) == []
    assert limits.provisional


def test_individuals_of_sas_jets() -> None:
    limits, points = chart(Spec(Kind.I_MR), ones(JETS))
    assert limits is not None
    assert limits.center == pytest.approx(80.39)
    assert limits.spread == pytest.approx(5.326316, abs=5e-7)
    assert limits.sigma == pytest.approx(4.720325, abs=1e-6)
    assert points[0].upper == pytest.approx(94.55098, abs=1e-5)
    assert points[0].lower == pytest.approx(66.22902, abs=1e-5)


def test_ewma_of_the_nist_handbook() -> None:
    spec = Spec(Kind.EWMA, target=50.0, sigma=2.0539, weight=0.3, width=3.0, steady=True)
    _, points = chart(spec, ones(NIST_EWMA))
    wanted = [
        50.60, 49.52, 50.56, 50.18, 50.16, 49.21, 49.75, 49.85, 50.26, 50.33,
        50.11, 49.36, 49.52, 50.05, 49.38, 49.92, 50.73, 51.23, 51.94, 51.99
    ]  # fmt: skip
    assert [p.plotted for p in points] == pytest.approx(wanted, abs=0.006)
    for point in points:
        assert (point.lower, point.upper) == pytest.approx((47.4116, 52.5884), abs=2e-4)
    assert numbers(points) == []


def test_ewma_of_ross_with_its_own_start() -> None:
    x = [48, 52, 70, 62, 57, 81, 56, 59, 77, 82, 78, 80, 74, 82, 68, 84]
    spec = Spec(Kind.EWMA, target=62.0, sigma=24 / 4**0.5, weight=0.25, width=3.0, start=60.0, steady=True)
    _, points = chart(spec, ones([float(value) for value in x]))
    first = [57, 55.75, 59.31, 59.98, 59.24, 64.68]
    rest = [62.51, 61.63, 65.47, 69.61, 71.70, 73.78, 73.83, 75.88, 73.91, 76.43]
    assert [p.plotted for p in points] == pytest.approx(first + rest, abs=0.02)
    assert (points[0].lower, points[0].upper) == pytest.approx((48.39, 75.61), abs=0.005)
    assert numbers(points) == [14, 16]


def test_ewma_of_montgomery_with_exact_limits() -> None:
    spec = Spec(Kind.EWMA, target=10.0, sigma=1.0, weight=0.1, width=2.7)
    _, points = chart(spec, ones(MONTGOMERY))
    z = [point.plotted for point in points]
    assert z[:3] == pytest.approx([9.945, 9.7495, 9.70355])
    assert z[27:] == pytest.approx([10.57314, 10.64682, 10.63414], abs=5e-6)
    assert points[0].upper == pytest.approx(10.27)
    assert points[-1].upper == pytest.approx(10.61942, abs=6e-4)  # the final limit, nearly reached
    assert numbers(points) == [29, 30]
    steady = Spec(Kind.EWMA, target=10.0, sigma=1.0, weight=0.1, width=2.7, steady=True)
    assert chart(steady, ones(MONTGOMERY))[1][0].upper == pytest.approx(10.61942, abs=5e-6)


def test_cusum_of_the_nist_handbook() -> None:
    sigma = 0.635
    spec = Spec(Kind.CUSUM, target=325.0, sigma=sigma, slack=0.3175 / sigma, decision=4.1959 / sigma)
    _, points = chart(spec, ones(NIST_CUSUM))
    high = [0, 0, 0, 0, 0.03, 0, 0, 0, 0, 0, 0, 0, 3.01, 4.94, 7.45, 10.63, 11.99, 14.44, 16.00, 19.04]
    low = [0, 0.01, 0, 0.33, 0, 0, 0.56, 0.72, 0.17, 0.25, 0.31, *[0] * 9]
    assert [p.plotted for p in points] == pytest.approx(high, abs=0.006)
    assert [p.second for p in points] == pytest.approx(low, abs=0.006)
    assert numbers(points)[0] == 14
    assert {name for p in points for name in p.signals} == {Signal.CUSUM_HIGH}


def test_cusum_of_montgomery() -> None:
    _, points = chart(Spec(Kind.CUSUM, target=10.0, sigma=1.0), ones(MONTGOMERY))
    high = [
        0, 0, 0, 1.16, 2.82, 2.50, 0.04, 1.00, 0, 0, 0, 0.97, 0.98, 0, 0,
        0, 0.12, 0, 0, 0.34, 0.74, 0, 1.79, 2.79, 2.89, 3.47, 3.35, 4.47, 5.28, 5.30
    ]  # fmt: skip
    low = [0.05, 1.56, 1.77, 0, 0, 0, 1.46, 0, 0.30, 0, 0.47, 0, 0, 0.10, 0, 0.13, 0, 0, 0.98, 0, 0, 0.17, 0]
    assert [p.plotted for p in points] == pytest.approx(high, abs=1e-9)
    assert [p.second for p in points][: len(low)] == pytest.approx(low, abs=1e-9)
    assert numbers(points) == [29, 30]


def test_cusum_signals_strictly_beyond_its_decision_limit() -> None:
    spec = Spec(Kind.CUSUM, target=10.0, sigma=1.0, slack=0.5, decision=4.0)
    _, points = chart(spec, ones([10.0, 10.0, 10.0, 11.0, 12.0, 13.0]))
    assert [p.plotted for p in points] == pytest.approx([0, 0, 0, 0.5, 2.0, 4.5])
    assert numbers(points) == [6]
    exact = Spec(Kind.CUSUM, target=10.0, sigma=1.0, slack=0.5, decision=4.5)
    assert numbers(chart(exact, ones([10.0, 10.0, 10.0, 11.0, 12.0, 13.0]))[1]) == []


def test_plain_functions_give_the_same_series() -> None:
    spec = Spec(Kind.EWMA, target=10.0, sigma=1.0, weight=0.1)
    assert [p.plotted for p in chart(spec, ones(MONTGOMERY))[1]] == ewma(MONTGOMERY, 0.1, 10.0)
    sums = cusum(MONTGOMERY, 10.0, 0.5)
    points = chart(Spec(Kind.CUSUM, target=10.0, sigma=1.0), ones(MONTGOMERY))[1]
    assert [(p.plotted, p.second) for p in points] == sums


def rings() -> list[Sample]:
    rows = [[74 + int(n) / 1000 for n in row.split()] for row in RINGS.split("/")]
    return [Sample(tuple(row)) for row in rows]


def test_mean_and_range_of_the_piston_rings() -> None:
    limits, points = chart(Spec(Kind.XBAR_R, size=5), rings())
    assert limits is not None
    assert limits.points == 25
    assert limits.center == pytest.approx(74.001176, abs=5e-7)
    assert limits.spread == pytest.approx(0.02324, abs=5e-9)
    assert limits.sigma == pytest.approx(0.0099917, abs=5e-8)
    assert (points[0].lower, points[0].upper) == pytest.approx((73.98777, 74.01458), abs=5e-6)
    assert points[0].second_upper == pytest.approx(0.04914, abs=5e-6)
    assert points[0].second_lower == 0
    assert numbers(points) == []


def test_mean_and_standard_deviation_of_the_piston_rings() -> None:
    limits, points = chart(Spec(Kind.XBAR_S, size=5), rings())
    assert limits is not None
    assert limits.spread == pytest.approx(0.0093995, abs=5e-8)
    assert limits.sigma == pytest.approx(0.0099996, abs=5e-8)
    assert points[0].second_upper == pytest.approx(0.019635, abs=1e-6)
    assert points[0].upper == pytest.approx(74.014592, abs=5e-7)


def test_subgroups_of_two() -> None:
    rows = [(10, 12), (11, 13), (9, 11), (12, 14), (10, 12)]
    limits = estimate(Spec(Kind.XBAR_R, size=2), [Sample((float(a), float(b))) for a, b in rows])
    assert limits is not None
    assert limits.center == pytest.approx(11.4)
    assert limits.spread == pytest.approx(2)
    assert limits.sigma == pytest.approx(2 / 1.128379167, abs=1e-9)


def test_a_subgroup_of_single_values_is_the_same_as_one_given_whole() -> None:
    spec = Spec(Kind.XBAR_R, size=5)
    single = [Sample((value,)) for sample in rings() for value in sample.values]
    assert chart(spec, single) == chart(spec, rings())


def test_c_chart_of_the_nist_handbook() -> None:
    counts = [
        16, 14, 28, 16, 12, 20, 10, 12, 10, 17, 19, 17, 14,
        16, 15, 13, 14, 16, 11, 20, 11, 19, 16, 31, 13
    ]  # fmt: skip
    assert sum(counts) == 400
    limits, points = chart(Spec(Kind.C, ONE), ones([float(c) for c in counts]))
    assert limits is not None
    assert limits.center == 16
    assert (points[0].lower, points[0].upper) == (4, 28)
    assert numbers(points) == [24]  # the third, 28, lies exactly on its limit


def test_p_chart_of_the_nist_handbook() -> None:
    counts = [
        12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22,
        8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6
    ]  # fmt: skip
    samples = ones([float(c) for c in counts])
    limits, points = chart(Spec(Kind.P, ONE, size=50), samples)
    assert limits is not None
    assert limits.center == pytest.approx(0.231333, abs=5e-7)
    assert points[0].upper == pytest.approx(0.410239, abs=5e-7)
    assert points[0].lower == pytest.approx(0.052427, abs=1e-6)
    assert numbers(points) == [15, 23]
    _, in_units = chart(Spec(Kind.NP, ONE, size=50), samples)
    assert numbers(in_units) == [15, 23]
    assert in_units[0].upper == pytest.approx(50 * 0.410239, abs=5e-5)


def test_u_chart_with_units_that_vary() -> None:
    samples = [Sample((float(c),), size=n) for c, n in [(4, 2.0), (2, 1.0), (6, 3.0), (1, 0.5), (3, 1.5)]]
    limits, points = chart(Spec(Kind.U, ONE), samples)
    assert limits is not None
    assert limits.center == pytest.approx(2)
    assert [p.plotted for p in points] == pytest.approx([2, 2, 2, 2, 2])
    assert points[2].upper == pytest.approx(2 + 3 * (2 / 3) ** 0.5)


def test_frozen_limits_do_not_move() -> None:
    frozen = Limits(50.0, 2.0, 2.2567583, points=25, version=3)
    _, points = chart(Spec(Kind.I_MR, ONE), ones([*NIST_I, 56.5]), frozen)
    assert {(p.lower, p.upper) for p in points} == {(44.0, 56.0)}
    assert {p.phase for p in points} == {"frozen"}
    assert numbers(points) == [11]
