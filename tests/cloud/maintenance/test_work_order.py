"""Hours become dates, dates become a window, verdicts become labels and a precision."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cloud.maintenance.case import Case, Verdict
from cloud.maintenance.prognosis import DAY, HOUR, PlannedLoad, Prognosis, date, planned_load, trend
from cloud.maintenance.verdicts import by_month, label
from cloud.maintenance.work_order import BoundFrom, Foreseen, foresee_again, propose
from protocols.lifecycles import CaseState
from protocols.site import Calendar, Shift
from protocols.site_maintenance import Upkeep
from protocols.values import MICROSECONDS

NOW = 1_790_000_000_000_000
ALWAYS = PlannedLoad(((NOW, NOW + 90 * DAY),), NOW + 90 * DAY)
TWO_SHIFTS = Calendar(shifts=(Shift(name="day", days=(1, 2, 3, 4, 5, 6, 7), start="06:00", end="22:00"),))


def test_hours_are_counted_where_work_is_planned() -> None:
    load = PlannedLoad(((NOW, NOW + 2 * HOUR), (NOW + 10 * HOUR, NOW + 12 * HOUR)), NOW + DAY)
    assert date(load, NOW, 0) == NOW
    assert date(load, NOW, 1.5) == NOW + HOUR + HOUR // 2
    assert date(load, NOW, 3) == NOW + 11 * HOUR
    assert date(load, NOW, 5) is None
    assert date(load, NOW + HOUR, 2) == NOW + 11 * HOUR


def test_behind_the_plan_every_shift_counts_in_full() -> None:
    load = planned_load([(NOW + HOUR, NOW + 2 * HOUR), (NOW - DAY, NOW - HOUR)], TWO_SHIFTS, NOW)
    assert load.spans[0] == (NOW + HOUR, NOW + 2 * HOUR)
    one_more_day = date(load, NOW, 17.0)
    assert one_more_day is not None
    assert DAY - 8 * HOUR <= one_more_day - NOW <= 2 * DAY


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 50)), max_size=20), st.floats(0, 200))
def test_more_hours_are_never_earlier(work: list[tuple[int, int]], hours: float) -> None:
    load = planned_load([(NOW + s * HOUR, NOW + (s + n) * HOUR) for s, n in work], Calendar(), NOW)
    assert list(load.spans) == sorted(load.spans)
    less, more = date(load, NOW, hours / 2), date(load, NOW, hours)
    assert less is not None
    assert more is not None
    assert NOW <= less <= more


def test_a_prognosis_is_in_order() -> None:
    assert Prognosis(1.0, None, 3.0) == Prognosis(lower=1.0, upper=3.0)
    for wrong in ((3.0, 2.0, None), (-1.0, None, None), (float("nan"), None, None)):
        with pytest.raises(ValueError, match="0 ≤ lower ≤ median ≤ upper"):
            Prognosis(*wrong)


def test_the_trend_of_the_health() -> None:
    falling = [(float(hour), 50.0 - hour) for hour in range(20)]
    found = trend(falling)
    assert found is not None
    assert (found.lower, found.median, found.upper) == pytest.approx((31, 31, 31))
    odd = [*falling[:10], (10.0, 90.0), *falling[11:]]
    still = trend(odd)
    assert still is not None
    assert still.median == pytest.approx(31, rel=0.05)
    assert trend([(0.0, 50.0), (10.0, 40.0)]) == Prognosis(20.0, 40.0, None)
    assert trend([(0.0, 40.0), (10.0, 50.0)]) is None
    assert trend([(0.0, 40.0)]) is None


def test_the_window_is_from_the_parts_to_the_bound() -> None:
    upkeep = Upkeep(seconds=7200, lead_hours=4, within_hours=48, margin=0.25, weight=3)
    by_span = propose(upkeep, "laser-1", NOW, ALWAYS)
    by_rul = propose(upkeep, "laser-1", NOW, ALWAYS, Foreseen(Prognosis(40.0, 60.0, None), BoundFrom.RUL))
    far = propose(upkeep, "laser-1", NOW, ALWAYS, Foreseen(Prognosis(None, None, None), BoundFrom.RUL))
    assert (by_span.earliest, by_span.bound, by_span.bound_from) == (
        NOW + 4 * HOUR,
        NOW + 48 * HOUR,
        BoundFrom.SPAN,
    )
    assert (by_rul.bound, by_rul.bound_from, by_rul.weight) == (NOW + 30 * HOUR, BoundFrom.RUL, 3)
    assert far == by_span


def test_parts_that_come_after_the_bound_put_it_off_and_say_so() -> None:
    upkeep = Upkeep(seconds=3600, lead_hours=100)
    order = propose(upkeep, "x", NOW, ALWAYS, Foreseen(Prognosis(10.0), BoundFrom.RUL))
    assert order.late_parts
    assert order.bound >= order.earliest + order.duration


def test_another_bound_only_where_it_differs_by_much() -> None:
    order = propose(Upkeep(within_hours=100), "x", NOW, ALWAYS)
    near = replace(order, bound=order.bound + HOUR // 10)
    far = replace(order, bound=order.bound - 50 * HOUR, bound_from=BoundFrom.RUL)
    assert foresee_again(order, near) is None
    better = foresee_again(order.kept_at(NOW + HOUR), far)
    assert better is not None
    assert (better.bound, better.bound_from, better.fixed, better.revision) == (
        far.bound,
        BoundFrom.RUL,
        NOW + HOUR,
        2,
    )


CASE = Case(
    "c1", "a1", "laser-1", "wear", CaseState.CLOSED, NOW, NOW, 40.0, "why", (), evidence_from=NOW - DAY
)


def test_a_false_alarm_is_no_failure_and_no_repair() -> None:
    true = label(replace(CASE, verdict=Verdict.TRUE, ended=NOW + HOUR, cause="bearing"))
    false = label(replace(CASE, verdict=Verdict.FALSE_ALARM, ended=NOW + HOUR))
    other = label(replace(CASE, verdict=Verdict.OTHER))
    assert (true.failure, true.repaired, true.start, true.end) == (True, NOW + HOUR, NOW - DAY, NOW)
    assert (false.failure, false.repaired, other.failure, other.repaired) == (False, None, False, None)
    with pytest.raises(ValueError, match="it has no verdict yet"):
        label(CASE)


def test_precision_per_month_in_local_time() -> None:
    last_of_august = 1_788_191_999 * MICROSECONDS  # 2026-08-31 15:59:59 UTC, 23:59:59 in Shanghai
    found = [
        replace(CASE, id="1", opened=last_of_august, verdict=Verdict.TRUE),
        replace(CASE, id="2", opened=last_of_august + MICROSECONDS, verdict=Verdict.TRUE),
        replace(CASE, id="3", opened=last_of_august + HOUR, verdict=Verdict.FALSE_ALARM),
        replace(CASE, id="4", opened=last_of_august + HOUR, verdict=Verdict.FALSE_ALARM),
        replace(CASE, id="5", opened=last_of_august + HOUR, verdict=Verdict.OTHER),
        replace(CASE, id="6", opened=last_of_august + HOUR),
    ]
    september, august = by_month(found, ZoneInfo("Asia/Shanghai"))
    assert (august.month, august.opened, august.precision) == ("2026-08", 1, 1.0)
    assert (september.month, september.opened, september.unjudged) == ("2026-09", 5, 1)
    assert september.precision == pytest.approx(1 / 3)
    assert by_month([CASE], ZoneInfo("UTC"))[0].precision is None
