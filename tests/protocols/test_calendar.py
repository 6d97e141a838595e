"""Shifts in local time as spans of UTC, over clock changes and midnight."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.calendar import Span, holidays, longest_stretch, resting, shifts, without, working, zone
from protocols.site import Break, Calendar, Shift

HOUR = 3600 * 1_000_000


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def berlin(*shifts: Shift) -> Calendar:
    return Calendar(timezone="Europe/Berlin", shifts=shifts)


ALL = (1, 2, 3, 4, 5, 6, 7)


def test_no_shifts_means_round_the_clock() -> None:
    assert working(Calendar(), 5, 9) == [Span(5, 9)]
    assert resting(Calendar(), 5, 9) == []
    assert longest_stretch(Calendar()) is None


def test_weekdays_in_local_time() -> None:
    day = berlin(Shift(name="day", days=(1, 2, 3, 4, 5), start="06:00", end="14:00"))
    # From Friday noon to Monday noon, in winter (UTC+1).
    spans = working(day, utc("2026-11-20T11:00"), utc("2026-11-23T11:00"))
    assert spans == [
        Span(utc("2026-11-20T11:00"), utc("2026-11-20T13:00")),
        Span(utc("2026-11-23T05:00"), utc("2026-11-23T11:00")),
    ]
    assert longest_stretch(day) == 8 * 3600


def test_night_shift_belongs_to_the_day_it_begins_and_joins_the_next() -> None:
    shifts = berlin(
        Shift(name="late", days=(5,), start="14:00", end="22:00"),
        Shift(name="night", days=(5,), start="22:00", end="06:00"),
    )
    spans = working(shifts, utc("2026-11-20T00:00"), utc("2026-11-23T00:00"))
    assert spans == [Span(utc("2026-11-20T13:00"), utc("2026-11-21T05:00"))]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_days_of_23_and_25_hours(day: str, hours: int) -> None:
    whole = berlin(Shift(name="all", days=ALL, start="00:00", end="00:00"))
    weekday = datetime.fromisoformat(day).isoweekday()
    only = berlin(Shift(name="all", days=(weekday,), start="00:00", end="00:00"))
    start = utc(f"{day}T00:00") - 5 * HOUR
    (span,) = working(only, start, start + 36 * HOUR)
    assert span.end - span.start == hours * HOUR
    assert working(whole, start, start + 36 * HOUR) == [Span(start, start + 36 * HOUR)]


def test_unknown_zone_is_named() -> None:
    with pytest.raises(ValueError, match="Europe/Berln"):
        zone(Calendar(timezone="Europe/Berln"))


times = st.sampled_from(["00:00", "02:30", "06:00", "14:00", "22:00"])
any_shifts = st.lists(
    st.builds(
        Shift,
        name=st.just("s"),
        days=st.lists(st.integers(1, 7), min_size=1, unique=True).map(tuple),
        start=times,
        end=times,
    ),
    min_size=1,
    max_size=3,
).map(tuple)


@given(worked=any_shifts, start=st.integers(1_700_000_000, 1_800_000_000), hours=st.integers(1, 400))
def test_work_and_rest_tile_the_time(worked: tuple[Shift, ...], start: int, hours: int) -> None:
    calendar = Calendar(timezone="America/New_York", shifts=worked)
    begin, end = start * 1_000_000, start * 1_000_000 + hours * HOUR
    spans = sorted([*working(calendar, begin, end), *resting(calendar, begin, end)])
    assert spans[0].start == begin
    assert spans[-1].end == end
    for one, other in pairwise(spans):
        assert one.end == other.start


def test_breaks_are_not_worked_after_midnight_either() -> None:
    night = Shift(
        name="night",
        days=(5,),
        start="22:00",
        end="06:00",
        breaks=(Break(start="23:45", end="00:15"), Break(start="03:00", end="03:30")),
    )
    spans = working(berlin(night), utc("2026-11-20T00:00"), utc("2026-11-23T00:00"))
    assert spans == [
        Span(utc("2026-11-20T21:00"), utc("2026-11-20T22:45")),
        Span(utc("2026-11-20T23:15"), utc("2026-11-21T02:00")),
        Span(utc("2026-11-21T02:30"), utc("2026-11-21T05:00")),
    ]
    assert longest_stretch(berlin(night)) == 165 * 60


def test_no_shift_begins_on_a_holiday() -> None:
    night = Shift(name="night", days=ALL, start="22:00", end="06:00")
    calendar = Calendar(timezone="Europe/Berlin", shifts=(night,), holidays={"2026-12-25": "Christmas"})
    assert working(calendar, utc("2026-12-24T12:00"), utc("2026-12-27T12:00")) == [
        Span(utc("2026-12-24T21:00"), utc("2026-12-25T05:00")),  # begun on Christmas Eve: worked to its end
        Span(utc("2026-12-26T21:00"), utc("2026-12-27T05:00")),
    ]
    assert list(holidays(calendar, utc("2026-12-24T12:00"), utc("2026-12-27T12:00"))) == ["2026-12-25"]


def test_round_the_clock_rests_on_holidays() -> None:
    calendar = Calendar(timezone="Europe/Berlin", holidays={"2026-12-25": "Christmas"})
    start, end = utc("2026-12-24T12:00"), utc("2026-12-27T12:00")
    assert resting(calendar, start, end) == [Span(utc("2026-12-24T23:00"), utc("2026-12-25T23:00"))]


def test_shifts_come_with_their_names() -> None:
    early = Shift(name="early", days=(1,), start="06:00", end="14:00")
    late = Shift(name="late", days=(1,), start="14:00", end="22:00")
    found = shifts(berlin(early, late), utc("2026-11-23T14:00"), utc("2026-11-24T00:00"))
    assert [(shift.name, span) for shift, span in found] == [
        ("late", Span(utc("2026-11-23T13:00"), utc("2026-11-23T21:00")))
    ]


pieces = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 10)).map(lambda at: Span(at[0], at[0] + at[1])), max_size=8
)


@given(worked=pieces, off=pieces)
def test_what_is_left_is_what_is_in_none_of_it(worked: list[Span], off: list[Span]) -> None:
    times = {at for span in worked for at in range(span.start, span.end)}
    ascending = [Span(at, at + 1) for at in sorted(times)]
    left = without(ascending, off)
    gone = {at for span in off for at in range(span.start, span.end)}
    assert [at for span in left for at in range(span.start, span.end)] == sorted(times - gone)
