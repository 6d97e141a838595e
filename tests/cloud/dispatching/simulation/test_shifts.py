"""The simulated shop's calendar against counting second by second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloud.dispatching.simulation.shifts import DAY, WEEK, Shifts

SHIFTS = st.builds(
    lambda opens, length, days: Shifts(opens * 3600, min(24, opens + length) * 3600, days),
    st.integers(0, 20),
    st.integers(1, 24),
    st.integers(1, 7),
)
HOUR = 3600


@given(shifts=SHIFTS, time=st.integers(0, 3 * WEEK), seconds=st.integers(1, WEEK))
def test_working_time_and_clock_time_agree(shifts: Shifts, time: int, seconds: int) -> None:
    end = shifts.after(time, seconds)
    assert end > time
    assert shifts.worked(end) - shifts.worked(time) == seconds
    assert shifts.worked(end - 1) - shifts.worked(time) == seconds - 1, "no earlier time will do"


@given(shifts=SHIFTS, hour=st.integers(0, 3 * WEEK // HOUR))
def test_worked_counts_open_hours(shifts: Shifts, hour: int) -> None:
    counted = sum(HOUR for n in range(hour) if shifts.is_open(n * HOUR))
    assert shifts.worked(hour * HOUR) == counted


@given(shifts=SHIFTS, begin=st.integers(0, 2 * WEEK), length=st.integers(1, WEEK))
def test_closed_times_are_those_at_which_nobody_works(shifts: Shifts, begin: int, length: int) -> None:
    end = begin + length
    spans = list(shifts.closed(begin, end))
    assert all(start < stop for start, stop in spans)
    for time in range(begin, end, 1800):
        assert shifts.is_open(time) is not any(start <= time < stop for start, stop in spans)


@given(shifts=SHIFTS, time=st.integers(0, 2 * WEEK))
def test_opening_and_closing(shifts: Shifts, time: int) -> None:
    opening, closing = shifts.opening(time), shifts.closing(time)
    assert shifts.is_open(opening)
    assert opening >= time
    assert opening < closing <= opening + DAY
    assert not shifts.is_open(closing) or shifts.closes - shifts.opens == DAY
    assert shifts.worked(opening) == shifts.worked(time)
