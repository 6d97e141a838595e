"""Samples to windows: weighted by time, in one mode, the same in whatever interleaving they are read."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.maintenance.health.facts import TagFacts, facts
from cloud.maintenance.health.gathering import Gatherer, Timeline, Window
from protocols.values import Quality, Value

SPAN = 100


def gatherer(*names: str, hold: int = 300) -> Gatherer:
    return Gatherer(
        SPAN, [TagFacts(name, "vibration", "mm/s", low=0.0, high=500.0, hold=hold) for name in names]
    )


def closed(gathering: Gatherer, samples: list[tuple[str, int, Value]]) -> list[Window]:
    return [window for name, ts, value in samples for window in gathering.take(name, ts, value)]


def test_a_mean_is_weighted_by_how_long_a_value_stood() -> None:
    gathering = gatherer("t")
    gathering.modes.change(0, "processing")

    (window,) = closed(gathering, [("t", 0, 1.0), ("t", 75, 3.0), ("t", 200, 9.0)])

    assert (window.end, window.mode) == (100, "processing")
    assert window.tags["t"].mean == pytest.approx(1.5)
    assert (window.tags["t"].low, window.tags["t"].high, window.tags["t"].good) == (1.0, 3.0, 2)
    assert window.tags["t"].covered == 1.0


def test_a_steady_tag_stands_as_long_as_its_deadband_may_keep_it_silent() -> None:
    gathering = gatherer("t", "u", hold=250)
    windows = closed(
        gathering, [("t", 0, 1.0), ("u", 0, 5.0), ("u", 150, 5.0), ("u", 340, 5.0), ("u", 600, 5.0)]
    )

    assert [(w.end, w.tags["t"].mean, w.tags["t"].covered) for w in windows[:4]] == [
        (100, 1.0, 1.0),
        (200, 1.0, 1.0),
        (300, 1.0, 0.5),
        (400, None, 0.0),
    ]


def test_what_is_no_good_number_is_counted_and_not_meant() -> None:
    gathering = gatherer("t")
    for ts, value, quality in (
        (0, 1.0, Quality.GOOD),
        (10, math.nan, Quality.GOOD),
        (20, math.inf, Quality.GOOD),
        (30, "text", Quality.GOOD),
        (40, True, Quality.GOOD),
        (50, 7.0, Quality.BAD),
        (55, 7.0, Quality.UNCERTAIN),
        (60, 999.0, Quality.GOOD),
        (70, 3.0, Quality.GOOD),
        (65, 3.0, Quality.GOOD),
        (70, 4.0, Quality.GOOD),
    ):
        gathering.take("t", ts, value, quality)

    (window,) = gathering.take("t", 250, 3.0)
    span = window.tags["t"]
    assert (span.good, span.odd, span.bad, span.outside, span.disordered) == (2, 4, 2, 1, 1)
    assert span.covered == pytest.approx(0.4)
    assert span.mean == pytest.approx((1.0 * 10 + 3.0 * 30) / 40)


def test_a_window_in_which_the_mode_changed_has_none() -> None:
    gathering = gatherer("t")
    gathering.modes.change(0, "processing")
    gathering.modes.change(40, "")
    gathering.modes.change(90, "processing")

    (window,) = closed(gathering, [("t", 0, 1.0), ("t", 200, 1.0)])
    assert window.mode == ""


def test_a_program_is_that_of_the_whole_window() -> None:
    gathering = Gatherer(
        SPAN, [facts("program", "program", "", "string", 0, SPAN), *gatherer("t").facts.values()]
    )
    for ts, program in ((0, "A"), (100, "A"), (250, "B")):
        gathering.take("program", ts, program)
    windows = closed(gathering, [("t", 0, 1.0), ("t", 150, 1.0), ("t", 250, 1.0), ("t", 480, 1.0)])
    assert [window.program for window in windows] == ["A", "A", ""]


def test_what_comes_after_its_window_closed_is_late() -> None:
    gathering = gatherer("t", "u")
    windows = closed(
        gathering, [("t", 0, 1.0), ("u", 10, 1.0), ("t", 250, 1.0), ("u", 60, 99.0), ("u", 260, 1.0)]
    )
    assert [window.end for window in windows] == [100]
    assert windows[0].tags["u"].mean == 1.0
    assert gathering.late == 1


def test_a_long_silence_is_a_break_and_no_endless_row_of_windows() -> None:
    gathering = gatherer("t", hold=SPAN)
    first = closed(gathering, [("t", 0, 1.0), ("t", 90, 1.0), ("t", 250, 1.0)])
    later = closed(gathering, [("t", 10**12, 1.0), ("t", 10**12 + 350, 1.0)])
    assert [window.broken for window in first] == [True]
    assert len(later) <= 5
    assert [window.broken for window in later if window.end > 1000] == [True]


def test_a_heartbeat_closes_windows_of_a_tag_that_says_nothing() -> None:
    gathering = gatherer("t", hold=SPAN)
    closed(gathering, [("t", 0, 1.0)])
    windows = list(gathering.heard(650))
    assert [window.end for window in windows] == [100, 200, 300, 400, 500]
    assert [window.tags["t"].covered for window in windows] == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_a_changed_unit_begins_anew() -> None:
    gathering = gatherer("t")
    gathering.take("t", 0, 1.0)
    gathering.know([TagFacts("t", "vibration", "in/s")])
    (window,) = [*gathering.take("t", 50, 0.04), *gathering.take("t", 250, 0.04)]
    assert window.tags["t"].mean == pytest.approx(0.04)
    with pytest.raises(KeyError):
        gathering.take("unknown", 300, 1.0)


SAMPLES = st.lists(
    st.tuples(st.sampled_from("tuv"), st.integers(0, 990), st.floats(0, 400, width=32)),
    min_size=1,
    max_size=60,
)


@given(SAMPLES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_interleaving_of_tags_changes_no_window(
    samples: list[tuple[str, int, float]], rng: object
) -> None:
    """Within the grace every order of tags gives the same windows, bit for bit."""
    unique = {(name, ts): value for name, ts, value in samples}
    ordered = sorted((ts, name, value) for (name, ts), value in unique.items())
    by_tag = sorted((ts // SPAN, name, ts, value) for ts, name, value in ordered)
    end = [("t", 5000, 1.0)]
    left = closed(gatherer("t", "u", "v"), [*((n, ts, v) for ts, n, v in ordered), *end])
    right = closed(gatherer("t", "u", "v"), [*((n, ts, v) for _, n, ts, v in by_tag), *end])
    assert left == right


@given(SAMPLES)
def test_a_mean_lies_between_the_lowest_and_the_highest_value(samples: list[tuple[str, int, float]]) -> None:
    for window in closed(gatherer("t", "u", "v"), [*sorted(samples, key=lambda s: s[1]), ("t", 5000, 1.0)]):
        for tag, span in window.tags.items():
            known = [value for name, _, value in samples if name == tag] + [1.0]
            assert 0.0 <= span.covered <= 1.0
            if span.mean is not None:
                assert min(known) - 1e-9 <= span.mean <= max(known) * (1 + 1e-9) + 1e-9


@given(st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(["a", "b"])), max_size=50))
def test_a_timeline_does_not_depend_on_the_order_its_changes_arrive_in(
    changes: list[tuple[int, str]],
) -> None:
    unique = dict(changes)
    ordered, shuffled = Timeline(), Timeline()
    for ts in sorted(unique):
        ordered.change(ts, unique[ts])
    for ts, name in unique.items():
        shuffled.change(ts, name)

    assert (ordered.times, ordered.names) == (shuffled.times, shuffled.names)


def test_what_is_told_now_and_then_stands_for_nothing_but_its_moment() -> None:
    gathering = gatherer("drive.rms", "t", hold=0)
    samples: list[tuple[str, int, Value]] = [("drive.rms", 10, 1.0), ("drive.rms", 90, 4.0)]
    windows = closed(gathering, [*samples, ("t", 150, 1.0), ("t", 350, 1.0)])
    assert [(w.tags["drive.rms"].mean, w.tags["drive.rms"].covered) for w in windows] == [
        (2.5, 1.0),
        (None, 0.0),
    ]
