"""What the spindle bench counts: which failure a case was about, whether its interval held, the sums."""

from __future__ import annotations

import pytest

from cloud.maintenance.prognosis import Prognosis
from protocols.calendar import working
from tests.bench.spindle import contains, figures, foretold
from tests.bench.spindle_run import Failure, Outcome, Suspicion, orders
from tests.bench.spindle_shop import HOUR, MONDAY, two_shifts

HALF_DAY = 12 * HOUR


def suspicion(life: int = 1, *, worked: float = 40.0, told: Prognosis | None = None) -> Suspicion:
    return Suspicion(
        life=life,
        opened=MONDAY,
        worked=worked,
        pitted=True,
        vibration=2.0,
        first_tag="mill-1/vibration",
        prognosis=told,
        bound=MONDAY + 50 * HOUR,
        window=(MONDAY + 20 * HOUR, MONDAY + 24 * HOUR),
        begun=MONDAY + 20 * HOUR,
        used=50.0,
        verdict="true",
        learned_anew=True,
    )


@pytest.mark.parametrize(
    ("told", "held"),
    [
        (Prognosis(20.0, 40.0, 80.0), True),
        (Prognosis(20.0, 40.0, None), True),
        (Prognosis(20.0, 40.0, 59.0), False),
        (Prognosis(61.0, 70.0, 80.0), False),
        (Prognosis(None, None, None), False),
        (None, False),
    ],
)
def test_an_interval_holds_where_the_failure_was_in_it(told: Prognosis | None, held: bool) -> None:
    assert contains(suspicion(told=told), Failure(1, 100.0, MONDAY)) is held


def test_the_first_life_is_compared_and_a_run_that_shows_nothing_counts_against_it() -> None:
    told = Prognosis(20.0, 40.0, 80.0)
    watched = Outcome(1, True, cases=[suspicion(told=told), suspicion(2)], planned_hours=8.0)
    alone = Outcome(1, False, failures=[Failure(1, 100.0, MONDAY)], unplanned_hours=20.0, orders=50, late=7)
    silent = (Outcome(2, True), Outcome(2, False, failures=[Failure(1, 90.0, MONDAY)], unplanned_hours=20.0))
    assert foretold((watched, alone)) == (watched.cases[0], alone.failures[0])
    assert foretold(silent) is None
    told_of = {figure.what: figure for figure in figures([(watched, alone), silent])}
    share = told_of["runs whose interval, told when the case opened, contains the failure"]
    assert (share.reached, share.met) == (50.0, False)
    assert told_of["lead of the case before the failure"].reached == 60.0
    assert told_of["life of the first bearing that was used"].reached == 50.0
    assert told_of["downtime, with maintenance"].reached == 8.0
    assert told_of["downtime, with maintenance"].target == 40.0
    assert told_of["late orders, without"].reached == 7.0
    assert told_of["windows in the plan that end before their bound"].reached == 100.0


def test_a_seed_is_the_same_orders_and_another_one_is_not() -> None:
    shifts = [(s.start, s.end) for s in working(two_shifts(), MONDAY, MONDAY + 14 * 24 * HOUR)]
    once, again, other = orders(1, shifts), orders(1, shifts), orders(2, shifts)
    assert once == again != other
    assert all(wanted.due > start + HALF_DAY for start, some in once.items() for wanted in some)
