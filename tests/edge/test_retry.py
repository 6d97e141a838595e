"""When a lost machine is tried again."""

import pytest

from edge.retry import LOST_FOR_LONG, MOST, SETTLED, SOON, Retry


def waits(retry: Retry, count: int, now: float = 0.0) -> list[float]:
    found = []
    for _ in range(count):
        found.append(retry.failed(now, None))
        now += found[-1]
    return found


def test_in_the_first_ten_minutes_it_is_tried_every_two_seconds_then_less_and_less_often() -> None:
    retry = Retry(0.0)
    soon = waits(retry, 300)
    assert soon[:4] == [0.5, 1.0, SOON, SOON]
    assert set(soon[2:]) == {SOON}
    assert not retry.is_demoted(sum(soon))
    later = waits(retry, 8, LOST_FOR_LONG)
    assert later == [2.0, 4.0, 8.0, 16.0, MOST, MOST, MOST, MOST]
    assert retry.is_demoted(LOST_FOR_LONG)


@pytest.mark.parametrize("failures", [1, 5, 30])
def test_where_the_device_says_so_it_is_demoted_after_that_many_failures(failures: int) -> None:
    retry = Retry(0.0, demote_after=failures)
    found = waits(retry, failures + 10)
    assert max(found[:failures]) <= SOON
    assert found[-1] == MOST <= 60
    assert retry.is_demoted(sum(found))


def test_who_answers_is_not_demoted_and_one_who_flaps_is_not_tried_all_the_time() -> None:
    retry = Retry(0.0, demote_after=2)
    waits(retry, 6)
    assert retry.failed(100.0, SETTLED) == 0.5
    assert not retry.is_demoted(100.0)
    assert [retry.failed(100.0 + n, 0.1) for n in range(4)] == [1.0, SOON, SOON, SOON]
