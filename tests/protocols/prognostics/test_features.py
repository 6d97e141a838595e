"""Features: against their definitions, with gaps, stored and taken up again."""

from __future__ import annotations

import math
import random
import statistics
from math import nan

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.prognostics.features import Feature, History, Kind, Plan, Recorder


def played(plan: Plan, values: list[float]) -> list[float]:
    recorder = Recorder(plan, 1)
    history = recorder.new()
    for value in values:
        recorder.take(history, [value])
    return recorder.row(history)


def slope(values: list[float]) -> float:
    return statistics.linear_regression(range(len(values)), values).slope


VALUES = [random.Random(3).gauss(5, 2) for _ in range(200)]


@pytest.mark.parametrize(
    ("kind", "span", "meant"),
    [
        ("age", 0, 200.0),
        ("last", 0, VALUES[-1]),
        ("mean", 15, statistics.fmean(VALUES[-15:])),
        ("mean", 512, statistics.fmean(VALUES)),
        ("spread", 30, statistics.pstdev(VALUES[-30:])),
        ("slope", 30, slope(VALUES[-30:])),
        ("life_mean", 0, statistics.fmean(VALUES)),
        ("life_slope", 0, slope(VALUES)),
        ("drift", 10, statistics.fmean(VALUES[-10:]) - statistics.fmean(VALUES[:20])),
    ],
)
def test_a_feature_is_what_it_is_called(kind: Kind, span: int, meant: float) -> None:
    assert played(Plan((Feature(kind, 0, span),)), VALUES) == [pytest.approx(meant)]


def test_smoothing_begins_as_the_plain_mean_and_forgets_afterwards() -> None:
    plan = Plan((Feature("smoothed", 0, 9),))

    assert played(plan, [4.0]) == [4.0]
    assert played(plan, [4.0, 6.0]) == [5.0]
    assert played(plan, [0.0] * 100 + [10.0]) == [pytest.approx(10.0 * 2 / 10)]


@pytest.mark.parametrize(
    "kind", ["last", "mean", "spread", "slope", "smoothed", "life_mean", "life_slope", "drift"]
)
def test_an_asset_without_values_has_no_features(kind: Kind) -> None:
    plan = Plan((Feature(kind, 0, 5),))

    assert math.isnan(played(plan, [])[0])
    assert math.isnan(played(plan, [nan] * 40)[0])


def test_a_few_gaps_are_left_out_and_many_are_no_feature() -> None:
    plan = Plan((Feature("mean", 0, 10), Feature("slope", 0, 10), Feature("spread", 0, 10)))
    line = [float(at) for at in range(30)]
    few = [nan if at % 3 == 0 else value for at, value in enumerate(line)]

    mean, steep, spread = played(plan, few)
    assert mean == pytest.approx(statistics.fmean([20, 22, 23, 25, 26, 28, 29]))
    assert steep == pytest.approx(1.0)
    assert spread > 0
    assert all(math.isnan(value) for value in played(plan, [*line[:24], nan, nan, nan, nan, nan, nan]))


samples = st.lists(st.tuples(*[st.floats(-50, 50) | st.just(nan)] * 2).map(list), min_size=1, max_size=80)
KINDS: tuple[tuple[Kind, int], ...] = (
    ("age", 0),
    ("last", 0),
    ("mean", 7),
    ("spread", 9),
    ("slope", 12),
    ("smoothed", 5),
    ("smoothed", 30),
    ("life_mean", 0),
    ("life_slope", 0),
    ("drift", 4),
)
EVERY = Plan(tuple(Feature(kind, signal, span) for signal in (0, 1) for kind, span in KINDS), first=6)


@settings(deadline=None, max_examples=60)
@given(samples, st.data())
def test_a_history_stored_and_taken_up_again_gives_the_same_bits(
    given_samples: list[list[float]], data: st.DataObject
) -> None:
    recorder = Recorder(EVERY, 2)
    straight, resumed = recorder.new(), recorder.new()
    restart = data.draw(st.integers(0, len(given_samples)))
    for at, sample in enumerate(given_samples):
        if at == restart:
            resumed = msgspec.msgpack.decode(msgspec.msgpack.encode(resumed), type=History)
        recorder.take(straight, sample)
        recorder.take(resumed, sample)
        assert list(map(repr, recorder.row(straight))) == list(map(repr, recorder.row(resumed)))


def test_what_is_remembered_is_bounded() -> None:
    recorder = Recorder(EVERY, 2)
    history = recorder.new()
    for at in range(5_000):
        recorder.take(history, [float(at), nan])

    assert len(msgspec.msgpack.encode(history)) < 1_000


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        (Feature("mean", 0, 0), "span 0"),
        (Feature("mean", 0, 10_000), "span 10000"),
        (Feature("mean", -1, 5), "signal -1"),
        (Feature("smoothed", 0, 0), "span 0"),
    ],
)
def test_a_plan_with_impossible_features_is_refused(feature: Feature, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Plan((feature,))


def test_a_feature_of_a_signal_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond the 1 of the model"):
        Recorder(Plan((Feature("mean", 1, 5),)), 1)
