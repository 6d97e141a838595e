"""Run lengths: the fast simulation decides as the rules do, and comes to the published figures."""

import numpy as np
import pytest

from cloud.quality.run_length import Runs, first_signals, mean_run_length
from protocols.spc.chart import State, advance
from protocols.spc.charts import Kind, Sample, Spec
from protocols.spc.limits import PROVISIONAL_BELOW
from protocols.spc.rules import Rule, rules_of, signals
from protocols.spc.run_lengths import run_length
from protocols.spc.weighted import cusum_step

CHARTS = 20_000


def test_the_simulation_signals_where_the_rules_do() -> None:
    z = np.random.default_rng(3).normal(0, 1.2, (400, 40))
    z[100:130] *= 0.4  # or rule 7 hardly ever speaks
    z[200:260] = np.abs(z[200:260])
    runs = Runs(40)
    found: list[set[tuple[int, Rule]]] = [set() for _ in range(40)]
    for index in range(400):
        for rule, hits in runs.take(z[index]).items():
            for chart in np.flatnonzero(hits).tolist():
                found[chart].add((index, rule))
    for number, each in enumerate(found):
        assert each == set(signals([float(v) for v in z[:, number]], tuple(Rule)))
    assert {rule for each in found for _, rule in each} >= set(Rule) - {Rule.NELSON_4}


def test_published_run_lengths() -> None:
    found = first_signals(CHARTS, 1)
    wanted = {
        ("nelson-1",): 370.4,
        ("nelson-1", "nelson-2"): 214,
        ("nelson-1", "nelson-2", "nelson-3"): 145,
        ("nelson-1", "nelson-2", "nelson-5", "nelson-6"): 106,
        ("nelson",): 73,
        ("western-electric",): 91.75,
    }
    for names, points in wanted.items():
        rules = rules_of(names)
        assert mean_run_length(found, rules) == pytest.approx(points, rel=0.05), names
        stored = run_length(rules)
        assert stored is not None
        assert stored.in_control == pytest.approx(mean_run_length(found, rules), rel=0.03)
    shifted = first_signals(CHARTS, 2, shift=1.0)
    assert mean_run_length(shifted, rules_of(["western-electric"])) == pytest.approx(9.22, rel=0.05)
    with pytest.raises(ValueError, match="nelson-1"):
        mean_run_length(found, (Rule.NELSON_2,))


@pytest.mark.parametrize(("decision", "in_control", "shifted"), [(4, 168, 8.38), (5, 465, 10.4)])
def test_run_lengths_of_cusum(decision: float, in_control: float, shifted: float) -> None:
    assert _cusum(decision, 0.0) == pytest.approx(in_control, rel=0.05)
    assert _cusum(decision, 1.0) == pytest.approx(shifted, rel=0.05)


def _cusum(decision: float, shift: float) -> float:
    rng, high, low = np.random.default_rng(5), np.zeros(CHARTS), np.zeros(CHARTS)
    total, number = 0, 0
    while len(high):
        number += 1
        z = rng.standard_normal(len(high)) + shift
        high, low = np.maximum(0, high + z - 0.5), np.maximum(0, low - z - 0.5)
        going = np.maximum(high, low) <= decision
        total += number * int((~going).sum())
        high, low = high[going], low[going]
    return total / CHARTS


@pytest.mark.parametrize(
    ("weight", "width", "in_control", "shifted"), [(0.1, 2.814, 500, 10.3), (0.2, 2.962, 500, 10.5)]
)
def test_run_lengths_of_ewma(weight: float, width: float, in_control: float, shifted: float) -> None:
    # Lucas and Saccucci 1990, steady limits
    assert _ewma(weight, width, 0.0) == pytest.approx(in_control, rel=0.05)
    assert _ewma(weight, width, 1.0) == pytest.approx(shifted, rel=0.05)


def _ewma(weight: float, width: float, shift: float) -> float:
    rng, z = np.random.default_rng(6), np.zeros(CHARTS)
    limit, total, number = width * (weight / (2 - weight)) ** 0.5, 0, 0
    while len(z):
        number += 1
        z = weight * (rng.standard_normal(len(z)) + shift) + (1 - weight) * z
        going = np.abs(z) <= limit
        total += number * int((~going).sum())
        z = z[going]
    return total / CHARTS


def test_the_array_forms_above_are_our_charts() -> None:
    values = [float(v) for v in np.random.default_rng(8).normal(0.4, 1, 60)]
    spec = Spec(Kind.EWMA, target=0.0, sigma=1.0, weight=0.1, width=2.814, steady=True)
    state, z, sums = State(), 0.0, (0.0, 0.0)
    other, both = Spec(Kind.CUSUM, target=0.0, sigma=1.0), State()
    for value in values:
        state, point = advance(spec, None, state, Sample((value,)))
        both, second = advance(other, None, both, Sample((value,)))
        z, sums = 0.1 * value + 0.9 * z, cusum_step(*sums, value, 0.5)
        assert point is not None
        assert second is not None
        assert point.plotted == pytest.approx(z)
        assert bool(point.signals) == (abs(z) > 2.814 * (0.1 / 1.9) ** 0.5)
        assert (second.plotted, second.second) == pytest.approx(sums)
        assert bool(second.signals) == (max(sums) > 5)


@pytest.mark.parametrize(
    ("points", "rate", "any_of_20"),
    [
        (5, 0.0569, 0.345),
        (10, 0.0235, 0.238),
        (15, 0.0147, 0.187),
        (20, 0.0108, 0.157),
        (30, 0.0076, 0.123),
        (50, 0.0054, 0.096),
        (100, 0.0039, 0.074),
    ],
)
def test_what_limits_from_few_points_cost(points: int, rate: float, any_of_20: float) -> None:
    """Why limits below 20 points are provisional: nominal are 0.0027 and 0.053."""
    random = np.random.default_rng(9)
    base, later = random.standard_normal((40_000, points)), random.standard_normal((40_000, 20))
    center = base.mean(axis=1, keepdims=True)
    sigma = np.abs(np.diff(base)).mean(axis=1, keepdims=True) / 1.128
    out = np.abs(later - center) > 3 * sigma
    assert out.mean() == pytest.approx(rate, rel=0.05)
    assert out.any(axis=1).mean() == pytest.approx(any_of_20, rel=0.05)
    assert PROVISIONAL_BELOW == 20
