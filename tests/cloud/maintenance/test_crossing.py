"""When a growing sign reaches its limit: in its interval as often as promised, on courses of any shape."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from cloud.maintenance.crossing import Seen, reached
from cloud.maintenance.prognosis import Prognosis

LIMIT = 5.0


def observed(course: Callable[[float], float], until: float, noise: float, seed: int) -> list[Seen]:
    """Forty windows of a course up to an hour, each off by its own noise."""
    dice = random.Random(seed)
    hours = [until * number / 40 for number in range(41)]
    return [Seen(h, course(h) + (1 + course(h)) * dice.gauss(0, noise), noise) for h in hours]


def line(hours: float) -> float:
    """Well for 40 hours, at its limit after 140."""
    return LIMIT * max(0.0, hours - 40) / 100


def exponential(hours: float) -> float:
    """The same, bent upwards."""
    return LIMIT * math.expm1(3 * max(0.0, hours - 40) / 100) / math.expm1(3)


def parabola(hours: float) -> float:
    """The same, as a square: no course of the family that is looked at."""
    return LIMIT * (max(0.0, hours - 40) / 100) ** 2


def jump(hours: float) -> float:
    """A first pit at once, then a line."""
    return LIMIT * (0.1 + 0.9 * (hours - 40) / 100) if hours > 40 else 0.0


COURSES = (line, exponential, parabola, jump)


@pytest.mark.parametrize("course", COURSES, ids=lambda course: course.__name__)
@pytest.mark.parametrize("until", [80.0, 110.0])
def test_the_interval_contains_the_end(course: Callable[[float], float], until: float) -> None:
    held = 0
    for seed in range(10):
        found = reached(observed(course, until, 0.03, seed), LIMIT, until)
        assert found is not None and found.lower is not None and found.median is not None
        held += found.lower <= 140 - until <= (found.upper or float("inf"))
    assert held >= 8


@pytest.mark.parametrize("course", [line, exponential], ids=lambda course: course.__name__)
def test_it_narrows_as_the_end_comes_nearer(course: Callable[[float], float]) -> None:
    widths, middles = [], []
    for until in (75.0, 105.0, 130.0):
        found = reached(observed(course, until, 0.02, 1), LIMIT, until)
        assert found is not None and found.median is not None
        widths.append((found.upper or float("inf")) - (found.lower or 0.0))
        middles.append(until + found.median)
    assert widths[0] > widths[1] > widths[2]
    assert middles[2] == pytest.approx(140, abs=6)


def test_what_does_not_grow_ends_far_away_if_ever() -> None:
    found = reached(observed(lambda _: 0.0, 100.0, 0.03, 1), LIMIT, 100.0)
    assert found is not None
    assert found.upper is None or found.upper > 500
    assert found.lower is not None and found.lower > 5


def test_twice_the_hours_are_twice_the_life_and_the_same_input_is_the_same_answer() -> None:
    seen = observed(exponential, 100.0, 0.03, 5)
    once, again = reached(seen, LIMIT, 100.0), reached(seen, LIMIT, 100.0)
    twice = reached([Seen(2 * s.hours, s.growth, s.spread) for s in seen], LIMIT, 200.0)
    assert once == again
    assert once is not None and twice is not None
    assert twice.median == pytest.approx(2 * (once.median or 0.0))


def test_hours_without_a_look_count_as_hours_of_life() -> None:
    seen = observed(exponential, 100.0, 0.03, 5)
    now, later = reached(seen, LIMIT, 100.0), reached(seen, LIMIT, 110.0)
    assert now is not None and later is not None
    assert (later.median or 0.0) == pytest.approx((now.median or 0.0) - 10, abs=5)


def test_beyond_the_limit_there_is_nothing_left_and_of_little_nothing_is_said() -> None:
    seen = observed(line, 100.0, 0.01, 1)
    assert reached([*seen, Seen(101.0, 1.1 * LIMIT, 0.01)], LIMIT, 101.0) == Prognosis(0.0, 0.0, 0.0)
    assert reached(seen[:4], LIMIT, 100.0) is None
    assert reached([], LIMIT, 100.0) is None
    assert reached(seen, 0.0, 100.0) is None
    assert reached([Seen(0.0, 0.1, 0.01)] * 9, LIMIT, 0.0) is None
