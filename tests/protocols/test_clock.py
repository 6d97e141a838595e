"""Live time only moves forwards, whatever is done to the wall clock."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.clock import LONGEST_STEP, STEP_TOLERANCE, Clock

T0 = 1_760_000_000_000_000
SECOND = 1_000_000
HOUR = 3600 * SECOND


@dataclass
class Clocks:
    """A wall clock that can be set and a monotonic one that cannot; µs."""

    wall: int = T0
    elapsed: int = 5 * SECOND

    def clock(self) -> Clock:
        return Clock(lambda: self.wall * 1000, lambda: self.elapsed * 1000)

    def pass_time(self, us: int) -> None:
        self.wall += us
        self.elapsed += us


def test_time_passes() -> None:
    clocks = Clocks()
    clock = clocks.clock()
    assert clock.now() == T0
    clocks.pass_time(SECOND)
    assert (clock.now(), clock.uncertain) == (T0 + SECOND, False)
    assert clock.monotonic() == 6.0


def test_step_forward_is_followed() -> None:
    clocks = Clocks()
    clock = clocks.clock()
    clocks.wall += HOUR
    assert (clock.now(), clock.uncertain) == (T0 + HOUR, False)
    clocks.pass_time(SECOND)
    assert clock.now() == T0 + HOUR + SECOND


def test_step_back_an_hour_is_bridged_and_marked_uncertain_until_the_wall_has_caught_up() -> None:
    clocks = Clocks()
    clock = clocks.clock()
    clock.now()
    clocks.wall -= HOUR
    clocks.pass_time(SECOND)
    assert (clock.now(), clock.uncertain) == (T0 + SECOND, True)
    clocks.pass_time(HOUR)
    assert (clock.now(), clock.uncertain) == (T0 + SECOND + HOUR, True)
    clocks.wall += HOUR
    assert (clock.now(), clock.uncertain) == (T0 + SECOND + HOUR, False)


def test_small_correction_is_not_a_step() -> None:
    clocks = Clocks()
    clock = clocks.clock()
    clocks.wall -= STEP_TOLERANCE
    assert (clock.now(), clock.uncertain) == (T0, False)
    clocks.wall -= 1
    assert (clock.now(), clock.uncertain) == (T0, True)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, HOUR), st.integers(-2 * HOUR, 2 * HOUR)), max_size=30))
def test_time_never_runs_backwards_nor_stands_still_for_longer_than_it_took(
    events: list[tuple[int, int]],
) -> None:
    clocks = Clocks()
    clock = clocks.clock()
    before = clock.now()
    for passed, step in events:
        clocks.pass_time(passed)
        clocks.wall += step
        now = clock.now()
        assert now >= before + passed
        assert now >= clocks.wall
        assert clock.uncertain == (now - clocks.wall > STEP_TOLERANCE)
        before = now


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (T0 - 1, T0),
        (T0, T0 + 1),
        (T0 + HOUR, T0 + HOUR + 1),
        (T0 + LONGEST_STEP - 1, T0 + LONGEST_STEP),
        (T0 + LONGEST_STEP, T0),
    ],
    ids=["earlier", "the same", "set back an hour", "just within a day", "a wrong year before"],
)
def test_restart_goes_on_after_the_newest_time_on_disk(last: int, expected: int) -> None:
    clock = Clocks().clock()
    clock.resume(last)
    assert clock.now() == expected
    assert clock.uncertain == (expected - T0 > STEP_TOLERANCE)


def test_the_machines_own_clocks_are_the_default() -> None:
    clock = Clock()
    first = clock.now()
    assert T0 < first <= clock.now()
