"""Thresholds hold the false-alarm budget on healthy data, dependent data and tags that move together too."""

from __future__ import annotations

import random

import msgspec
import pytest

from cloud.maintenance.health.limits import Limits
from cloud.maintenance.health.threshold import Thresholds, thresholds

OPEN = Limits(learn=60, false_alarms=1.0, joint_floor=0.0, single_floor=0.0, joint_cap=99.0, single_cap=99.0)
"""Neither floors nor caps: the budget alone."""
MONTH = 1000


def windows(rng: random.Random, count: int, tags: int, phi: float, common: float) -> list[dict[str, float]]:
    """Unit variance, lag-one autocorrelation ``phi``, correlation ``common`` between tags."""
    state = [rng.gauss(0, 1) for _ in range(tags)]
    rows = []
    for _ in range(count):
        shared = rng.gauss(0, 1)
        fresh = [common**0.5 * shared + (1 - common) ** 0.5 * rng.gauss(0, 1) for _ in range(tags)]
        state = [phi * old + (1 - phi * phi) ** 0.5 * new for old, new in zip(state, fresh, strict=True)]
        rows.append({f"t{n}": value for n, value in enumerate(state)})
    return rows


def standardised(healthy: list[dict[str, float]], rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """By mean and spread of the healthy rows, as the service does it."""
    found = {}
    for tag in healthy[0]:
        values = [row[tag] for row in healthy]
        mean = sum(values) / len(values)
        spread = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
        found[tag] = mean, spread
    return [{tag: (row[tag] - mean) / spread for tag, (mean, spread) in found.items()} for row in rows]


def alarms(limit: Thresholds, rows: list[dict[str, float]], limits: Limits) -> int:
    """Onsets of the joint or the single deviation above its threshold, without any debounce."""
    smoothed = dict.fromkeys(rows[0], 0.0)
    above, count = False, 0
    for row in rows:
        for tag, value in row.items():
            smoothed[tag] += limits.smoothing * (value - smoothed[tag])
        sizes = [abs(value) for value in smoothed.values()]
        over = sum(sizes) / len(sizes) > limit.joint or max(sizes) > limit.single
        count += over and not above
        above = over
    return count


@pytest.mark.parametrize(
    ("tags", "phi", "common"), [(1, 0.0, 0.0), (5, 0.0, 0.0), (5, 0.5, 0.0), (5, 0.0, 0.6), (3, 0.6, 0.5)]
)
def test_the_budget_holds_on_healthy_machines(tags: int, phi: float, common: float) -> None:
    """60 machines of a month each, every one learned from 60 windows of its own: on average at most one."""
    rng = random.Random(tags * 1000 + int(phi * 100) + int(common * 10))
    count = 0
    for _ in range(60):
        course = windows(rng, OPEN.learn + MONTH, tags, phi, common)
        rows = standardised(course[: OPEN.learn], course)
        limit = thresholds(rows[: OPEN.learn], MONTH, OPEN)
        count += alarms(limit, rows[OPEN.learn :], OPEN)
    assert count / 60 <= 1.0


def test_tags_that_vary_less_than_the_smallest_spread_have_a_lower_threshold_that_holds_too() -> None:
    """Every other tag at a third of its spread: 30 machines of a month keep the budget all the same."""
    rng = random.Random(4)
    still = {"t0", "t2", "t4"}
    machines, count = 30, 0
    lower = 0.0
    for _ in range(machines):
        course = windows(rng, OPEN.learn + MONTH, 6, 0.0, 0.0)
        rows = standardised(course[: OPEN.learn], course)
        quiet = [{tag: row[tag] / 3 if tag in still else row[tag] for tag in row} for row in rows]
        usual = thresholds(rows[: OPEN.learn], MONTH, OPEN)
        limit = thresholds(quiet[: OPEN.learn], MONTH, OPEN)
        assert limit.together < usual.together
        lower += limit.joint / usual.joint / machines
        count += alarms(limit, quiet[OPEN.learn :], OPEN)
    assert lower < 0.9
    assert count / machines <= 1.0


def test_tags_that_are_judged_in_some_regimes_only_are_tags_all_the_same() -> None:
    rng = random.Random(6)
    rows = windows(rng, 120, 8, 0.0, 0.0)
    parted = [
        {
            tag: value
            for tag, value in row.items()
            if tag not in ({"t0", "t1"} if number % 2 else {"t2", "t3"})
        }
        for number, row in enumerate(rows)
    ]
    assert thresholds(parted, MONTH, OPEN).together == pytest.approx(
        thresholds(rows, MONTH, OPEN).together, rel=0.15
    )


def test_centres_of_many_regimes_from_the_same_windows_raise_the_threshold() -> None:
    rng = random.Random(7)
    quiet = [{tag: value / 2 for tag, value in row.items()} for row in windows(rng, 60, 5, 0.0, 0.0)]
    assert thresholds(quiet, MONTH, OPEN, 6).joint > thresholds(quiet, MONTH, OPEN).joint


def test_a_smaller_budget_a_shorter_learning_and_dependence_raise_the_threshold() -> None:
    rng = random.Random(1)
    rows = windows(rng, 200, 4, 0.0, 0.0)
    usual = thresholds(rows, MONTH, OPEN)
    strict = thresholds(rows, MONTH, msgspec.structs.replace(OPEN, false_alarms=0.01))
    short = thresholds(rows[:20], MONTH, OPEN)
    dependent = thresholds(windows(rng, 200, 4, 0.7, 0.0), MONTH, OPEN)
    assert usual.single < strict.single
    assert usual.joint < short.joint
    assert usual.single < dependent.single
    assert dependent.dependence > 0.5


def test_floors_and_caps_hold_and_a_cap_says_that_the_budget_is_not_proved() -> None:
    rng = random.Random(2)
    limits = Limits()
    healthy = windows(rng, 200, 4, 0.0, 0.0)
    usual = thresholds(healthy, 43_200, limits)
    assert usual.single == limits.single_floor
    assert limits.joint(4)[0] < usual.joint < limits.joint(4)[1], "the budget decides"
    assert usual.budgeted
    generous = thresholds(healthy, 43_200, msgspec.structs.replace(limits, false_alarms=5000))
    assert generous.joint == limits.joint(4)[0]
    short = thresholds(windows(rng, 6, 4, 0.0, 0.0), 43_200, limits)
    assert short.single == limits.single_cap
    assert not short.budgeted


def test_limits_that_cannot_be_meant_are_refused() -> None:
    for wrong in (
        {"learn": 2},
        {"smoothing": 0.0},
        {"false_alarms": 0.0},
        {"alarm_windows": 6},
        {"failed": 0.5},
        {"single_floor": 20.0},
    ):
        with pytest.raises(ValueError, match=r"\w"):
            msgspec.structs.replace(Limits(), **wrong)
