"""Hours of life become dates by planned load alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.maintenance.rul.calendar_dates import HOUR, Busy, Dates, dates

NOW = 1_790_000_000_000_000


def at(hours: float) -> int:
    return NOW + round(hours * HOUR)


def busy(start: float, end: float, load: float = 1.0) -> Busy:
    return Busy(at(start), at(end), load)


def test_life_is_used_up_by_planned_work_and_not_by_the_nights_between() -> None:
    shifts = [busy(24 * day, 24 * day + 8) for day in range(5)]

    assert dates(NOW, 4.0, 10.0, 30.0, shifts) == Dates(at(4), at(26), at(24 * 3 + 6))


def test_what_the_plan_does_not_reach_has_no_date() -> None:
    assert dates(NOW, 4.0, 10.0, 30.0, [busy(0, 8)]) == Dates(at(4), None, None)
    assert dates(NOW, 4.0, 5.0, None, [busy(0, 8)]) == Dates(at(4), at(5), None)
    assert dates(NOW, 1.0, 2.0, 3.0, []) == Dates(None, None, None)


def test_no_life_left_is_now() -> None:
    assert dates(NOW, 0.0, 1.0, 2.0, [busy(5, 20)]).lower == NOW


def test_what_lies_in_the_past_is_over() -> None:
    assert dates(NOW, 1.0, 3.0, 99.0, [busy(-50, -1), busy(-2, 2), busy(10, 20)]) == Dates(
        at(1), at(11), None
    )


def test_half_load_wears_half_as_fast_and_none_not_at_all() -> None:
    assert dates(NOW, 2.0, 4.0, 5.0, [busy(0, 8, 0.5), busy(8, 100, 0.0), busy(100, 101, 2.0)]) == Dates(
        at(4), at(8), at(100.5)
    )


def test_overlapping_work_counts_once() -> None:
    overlapping = [busy(0, 4), busy(2, 6), busy(2, 3)]
    assert dates(NOW, 6.0, 6.0, 6.5, overlapping) == Dates(at(6), at(6), None)


spans = st.lists(
    st.tuples(st.integers(-20, 60), st.integers(0, 30), st.sampled_from([0.0, 0.5, 1.0, 2.0])), max_size=12
)


@given(spans, st.integers(0, 40), st.randoms())
def test_dates_are_in_order_whatever_the_order_of_the_plan(
    given_spans: list[tuple[int, int, float]], life: int, rng: random.Random
) -> None:
    plan = [busy(start, start + length, load) for start, length, load in given_spans]
    found = dates(NOW, life / 2, life, life * 2, plan)
    rng.shuffle(plan)

    assert dates(NOW, life / 2, life, life * 2, plan) == found
    known = [one for one in (found.lower, found.median, found.upper) if one is not None]
    assert known == sorted(known)
    assert all(one >= NOW for one in known)


@pytest.mark.parametrize(("start", "end", "load"), [(5, 4, 1.0), (0, 1, -1.0), (0, 1, float("inf"))])
def test_impossible_plans_are_refused(start: float, end: float, load: float) -> None:
    with pytest.raises(ValueError, match="planned span"):
        busy(start, end, load)


def test_impossible_lives_are_refused() -> None:
    with pytest.raises(ValueError, match="a life of -1"):
        dates(NOW, -1.0, 1.0, 2.0, [])
