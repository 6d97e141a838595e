"""Charts for small lots: deviation from nominal, Z-MR, self-starting Q, pre-control.

Deviation from nominal: the first two parts are the example of Advantive's article on short-run charts. Q:
Quesenberry, Journal of Quality Technology 23 (1991) 213, on the JETS data of SAS/QC.
"""

import math

import pytest

from protocols.spc import pre_control
from protocols.spc.chart import State, acts, advance, chart
from protocols.spc.charts import Kind, Phase, Sample, SampleError, Signal, Spec
from protocols.spc.limits import Limits
from protocols.spc.pre_control import Zone, zone
from protocols.spc.rules import Rule

PARTS = {
    "A": (17.400, 0.008, [17.408, 17.387, 17.402, 17.395]),
    "B": (12.700, 0.006, [12.706, 12.699, 12.712]),
    "C": (10.500, 0.007, [10.493, 10.501, 10.509]),
}
MIXED = [
    Sample((value,), nominal=nominal, sigma=sigma, part=part)
    for part, (nominal, sigma, values) in PARTS.items()
    for value in values
]
JETS = [
    78.4, 80.1, 84.4, 79.1, 80.4, 83.5, 73.8, 83.5, 75.0, 76.8,
    70.5, 80.3, 82.4, 79.4, 86.4, 90.5, 77.7, 82.5, 79.9, 83.2
]  # fmt: skip


def test_deviation_from_nominal_puts_parts_on_one_chart() -> None:
    limits, points = chart(Spec(Kind.DNOM), MIXED)
    wanted = [0.008, -0.013, 0.002, -0.005, 0.006, -0.001, 0.012, -0.007, 0.001, 0.009]
    assert [p.plotted for p in points] == pytest.approx(wanted, abs=1e-9)
    assert limits is not None
    assert limits.center == pytest.approx(0.0012, abs=1e-9)
    assert limits.spread == pytest.approx(0.0121111, abs=5e-8)
    # With the handbook's factor 2.66 for 3/d2: exact limits are narrower by 0.05 %.
    assert points[0].upper == pytest.approx(0.0334156, abs=2e-5)
    assert points[0].lower == pytest.approx(-0.0310156, abs=2e-5)


def test_z_mr_standardises_each_part() -> None:
    _, points = chart(Spec(Kind.Z_MR), MIXED)
    z = [1, -1.625, 0.25, -0.625, 1, -0.16667, 2, -1, 0.14286, 1.28571]
    moving = [2.625, 1.875, 0.875, 1.625, 1.16667, 2.16667, 3.0, 1.14286, 1.14286]
    assert [p.plotted for p in points] == pytest.approx(z, abs=5e-6)
    assert [p.second for p in points[1:]] == pytest.approx(moving, abs=5e-6)
    assert (points[0].lower, points[0].center, points[0].upper) == (-3, 0, 3)
    assert points[1].second_upper == pytest.approx(3.686, abs=5e-4)
    assert {p.phase for p in points} == {Phase.FROZEN}


def test_moving_ranges_between_different_parts_may_be_left_out() -> None:
    _, points = chart(Spec(Kind.Z_MR, across_parts=False), MIXED)
    assert [n for n, p in enumerate(points) if p.second is None] == [0, 4, 7]


def test_q_chart_starts_by_itself() -> None:
    _, points = chart(Spec(Kind.Q), [Sample((x,)) for x in JETS])
    q = [
        1.3492, -0.4492, -0.0306, 1.0310, -2.0481, 0.8770, -1.3213, -0.7294, -2.0304,
        0.3436, 0.7884, 0.0700, 1.6406, 2.2099, -0.4955, 0.4676, -0.0733, 0.6161
    ]  # fmt: skip
    assert [p.plotted for p in points[:2]] == [None, None]
    assert [p.plotted for p in points[2:]] == pytest.approx(q, abs=5e-5)
    assert (points[2].lower, points[2].upper) == (-3, 3)


def test_q_chart_after_values_that_never_varied() -> None:
    state, spec = State(), Spec(Kind.Q)
    for value in (5.0, 5.0, 5.0):
        state, point = advance(spec, None, state, Sample((value,)))
    assert point is not None
    assert point.plotted == 0
    state, point = advance(spec, None, state, Sample((5.1,)))
    assert point is not None
    assert point.plotted == math.inf
    assert point.signals == (Rule.NELSON_1,)


def test_zones_of_pre_control() -> None:
    limits = (10.0, 14.0)
    wanted = {
        9.99: Zone.RED_LOW,
        10.0: Zone.YELLOW_LOW,
        10.99: Zone.YELLOW_LOW,
        11.0: Zone.GREEN,
        13.0: Zone.GREEN,
        13.01: Zone.YELLOW_HIGH,
        14.0: Zone.YELLOW_HIGH,
        14.01: Zone.RED_HIGH,
    }
    assert {value: zone(value, *limits) for value in wanted} == wanted


def signals_of(values: list[float]) -> list[tuple[str, ...]]:
    _, points = chart(Spec(Kind.PRE_CONTROL, lower=10.0, upper=14.0), [Sample((v,)) for v in values])
    return [point.signals for point in points]


@pytest.mark.parametrize(
    ("pieces", "last"),
    [
        ([12.0, 12.0], ()),
        ([12.0, 13.5], ()),
        ([13.5, 12.0], ()),
        ([13.5, 13.5], (Signal.ADJUST,)),
        ([10.5, 13.5], (Signal.STOP,)),
        ([14.5], (Signal.ABOVE, Signal.STOP)),
        ([9.0], (Signal.BELOW, Signal.STOP)),
    ],
)
def test_pairs_after_five_greens(pieces: list[float], last: tuple[str, ...]) -> None:
    said = signals_of([12.0] * 5 + pieces)
    assert said[-1] == last
    assert all(not signals for signals in said[:-1])


def test_a_yellow_during_set_up_starts_the_count_again() -> None:
    state, spec = State(), Spec(Kind.PRE_CONTROL, lower=10.0, upper=14.0)
    for value, greens in [(12.0, 1), (12.0, 2), (13.5, 0), (12.0, 1), *[(12.0, n) for n in range(2, 6)]]:
        state, _ = advance(spec, None, state, Sample((value,)))
        assert state.greens == greens
    state, _ = advance(spec, None, state, Sample((13.5,)))
    assert state.greens == pre_control.QUALIFY  # a single yellow does not undo a qualified set-up


@pytest.mark.parametrize(("cp", "qualify"), [(0.67, 0.151), (1.0, 0.488), (1.33, 0.790), (1.67, 0.940)])
def test_chances_of_pre_control(cp: float, qualify: float) -> None:
    found = pre_control.chances(cp)
    assert found.qualify == pytest.approx(qualify, abs=6e-4)
    assert found.green + 2 * found.yellow + found.red == pytest.approx(1)


def test_chances_of_pre_control_at_cp_one() -> None:
    found = pre_control.chances(1.0)
    assert (found.green, found.yellow, found.red) == pytest.approx((0.8664, 0.0655, 0.0027), abs=5e-5)
    assert found.adjust == pytest.approx(0.00857, abs=1e-5)


def test_a_tolerance_holds_even_while_a_chart_is_learning() -> None:
    spec = Spec(Kind.I_MR, lower=9.0, upper=11.0)
    _, point = advance(spec, None, State(), Sample((11.5,)))
    assert point is not None
    assert (point.phase, point.signals, point.upper) == (Phase.LEARNING, (Signal.ABOVE,), None)
    assert acts(point)


def test_trial_limits_note_and_frozen_limits_act() -> None:
    spec, state = Spec(Kind.I_MR), State()
    for value in (10.0, 10.2, 9.9, 10.1, 10.0, 9.8):
        state, _ = advance(spec, None, state, Sample((value,)))
    _, trial = advance(spec, None, state, Sample((13.0,)))
    assert trial is not None
    assert trial.phase is Phase.PROVISIONAL
    assert Rule.NELSON_1 in trial.signals
    assert not acts(trial)
    _, frozen = advance(spec, Limits(10.0, 0.15, 0.17, points=25, version=1), state, Sample((13.0,)))
    assert frozen is not None
    assert acts(frozen)
    few = Limits(10.0, 0.15, 0.17, points=12, version=1)
    _, early = advance(spec, few, state, Sample((13.0,)))
    assert early is not None
    assert early.phase is Phase.PROVISIONAL


@pytest.mark.parametrize(
    ("spec", "sample", "words"),
    [
        (Spec(Kind.I_MR), Sample((math.nan,)), "finite"),
        (Spec(Kind.I_MR), Sample(()), "finite"),
        (Spec(Kind.I_MR), Sample((1.0, 2.0)), "one value"),
        (Spec(Kind.XBAR_R, size=5), Sample((1.0, 2.0)), "subgroup of 5"),
        (Spec(Kind.P, size=50), Sample((51.0,)), "51 of 50"),
        (Spec(Kind.C), Sample((1.5,)), "a count"),
        (Spec(Kind.C), Sample((-1.0,)), "a count"),
        (Spec(Kind.DNOM), Sample((1.0,)), "nominal"),
        (Spec(Kind.Z_MR, nominal=1.0), Sample((1.0,)), "sigma"),
        (Spec(Kind.PRE_CONTROL, upper=3.0), Sample((1.0,)), "lower"),
    ],
)
def test_samples_that_have_no_place(spec: Spec, sample: Sample, words: str) -> None:
    with pytest.raises(SampleError, match=words):
        advance(spec, None, State(), sample)


def test_values_without_any_spread_signal_what_differs() -> None:
    spec, state = Spec(Kind.I_MR), State()
    for _ in range(6):
        state, point = advance(spec, None, state, Sample((5.0,)))
        assert point is not None
        assert point.signals == ()
    _, point = advance(spec, None, state, Sample((5.2,)))
    assert point is not None
    assert Rule.NELSON_1 in point.signals
