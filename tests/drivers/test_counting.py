"""Part counters that wrap, are reset, set, glitch or were away: never a negative, never a leap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.counting import BATCH, SLACK, Count, Rule, count, rule_of
from drivers.profile.profile import Counter, Tag
from protocols.values import DataType

UINT16 = Rule(65535)


def totals(readings: list[int], rule: Rule = UINT16, seconds: float = 1.0) -> list[int]:
    """The total after each reading, from 0 at the first."""
    found, now = [], None
    for raw in readings:
        now = count(now, raw, seconds, rule)
        found.append(now.total)
    return [total - found[0] for total in found]


@pytest.mark.parametrize(
    ("what", "readings", "rule", "expected"),
    [
        ("counts up", [100, 101, 103], UINT16, [0, 1, 3]),
        ("a sheet of 240 parts at once", [100, 340], UINT16, [0, 240]),
        ("wraps at its type", [65534, 65535, 0, 1], UINT16, [0, 1, 2, 3]),
        ("wraps over several", [65530, 4], UINT16, [0, 10]),
        ("wraps at 999", [998, 1], Rule(999), [0, 3]),
        ("is reset at the end of a shift", [412, 0, 1, 2], UINT16, [0, 0, 1, 2]),
        ("was reset and has made three since", [412, 3, 4], UINT16, [0, 3, 4]),
        ("falls close to its end: a wrap", [990, 0], Rule(999), [0, 10]),
        ("is set to a number below", [5000, 4000, 4001], UINT16, [0, 0, 1]),
        ("is set to a number above", [5000, 50_000, 50_001], UINT16, [0, 0, 1]),
        ("jumps back by one and goes on", [5000, 4999, 5000, 5001], UINT16, [0, 0, 0, 1]),
        ("stays one lower: the higher value stands", [5000, 4999, 4999, 5000], UINT16, [0, 0, 0, 0]),
        ("reads 0 once", [800, 0, 800, 801], UINT16, [0, 0, 0, 1]),
        ("reads 0 once, and goes on with the next", [800, 0, 801], UINT16, [0, 0, 1]),
        ("reads 3 once: what was counted stands", [800, 3, 801, 802], UINT16, [0, 3, 3, 4]),
        ("is reset at one", [1, 0, 1, 2], UINT16, [0, 0, 1, 2]),
        ("never resets, so a fall is a wrap", [65_000, 300], Rule(65535, resets=False), [0, 836]),
        ("never resets and falls by much", [30_000, 200], Rule(65535, resets=False), [0, 0]),
        ("has no end and falls", [2**31, 5], Rule(None), [0, 5]),
        ("counts below zero", [-5, -3, 0], Rule(None), [0, 2, 5]),
    ],
)
def test_a_counter(what: str, readings: list[int], rule: Rule, expected: list[int]) -> None:
    assert totals(readings, rule) == expected, what


@pytest.mark.parametrize(
    ("seconds", "raw", "parts"),
    [(3600.0, 400, 400), (3600.0, 4000, 0), (20.0, 400, 400), (1.0, 400, 0)],
)
def test_a_counter_that_restarts_while_it_was_away_has_made_what_it_shows(
    seconds: float, raw: int, parts: int
) -> None:
    rule = Rule(65535, rate=1.0 if seconds == 3600.0 else 20.0)
    before = count(None, 5000, 0, rule)
    assert count(before, raw, seconds, rule).total - before.total == parts


def test_the_first_reading_starts_where_the_counter_stands() -> None:
    assert count(None, 417, 1, UINT16) == Count(417, 417)
    assert count(None, -3, 1, UINT16).total == 0


@pytest.mark.parametrize(
    ("tag", "rule"),
    [
        (Tag(address="x", type=DataType.UINT16), Rule(65535)),
        (Tag(address="x", type=DataType.UINT16, counter=Counter(max=9999)), Rule(9999)),
        (
            Tag(address="x", type=DataType.INT32, counter=Counter(reset=False, rate=3)),
            Rule(2**31 - 1, False, 3),
        ),
        (Tag(address="x", type=DataType.FLOAT64), Rule(None)),
        (Tag(address="x", type=DataType.UINT16, scale=10), Rule(None)),
    ],
)
def test_the_rule_of_a_tag(tag: Tag, rule: Rule) -> None:
    assert rule_of(tag) == rule


RULES = st.builds(
    Rule,
    st.one_of(st.none(), st.sampled_from([9, 99, 999, 65535, 2**32 - 1])),
    st.booleans(),
    st.sampled_from([0.1, 1.0, 20.0]),
)


@given(
    st.lists(st.tuples(st.integers(-10, 70_000), st.floats(0, 100_000)), min_size=1, max_size=40),
    RULES,
)
def test_whatever_it_reads_the_total_never_falls_and_never_leaps(
    readings: list[tuple[int, float]], rule: Rule
) -> None:
    now: Count | None = None
    for raw, seconds in readings:
        before, now = now, count(now, raw, seconds, rule)
        assert now.total >= 0
        if before is not None:
            assert 0 <= now.total - before.total <= BATCH + SLACK + rule.rate * seconds


@given(
    st.sampled_from([99, 999, 9999, 65535]),
    st.integers(0, 65535),
    st.lists(st.integers(0, SLACK), max_size=200),
)
def test_through_any_number_of_wraps_every_part_is_counted(
    wraps_at: int, start: int, steps: list[int]
) -> None:
    raws = [start % (wraps_at + 1)]
    for step in steps:
        raws.append((raws[-1] + step) % (wraps_at + 1))
    assert totals(raws, Rule(wraps_at))[-1] == sum(steps)


@given(
    st.integers(0, 60_000),
    st.lists(st.integers(1, SLACK), min_size=1, max_size=50),
    st.data(),
)
def test_one_glitch_anywhere_changes_the_total_by_no_more_than_it_can_hide(
    start: int, steps: list[int], data: st.DataObject
) -> None:
    raws = [start]
    for step in steps:
        raws.append(raws[-1] + step)
    at = data.draw(st.integers(1, len(raws) - 1))
    wrong = data.draw(st.one_of(st.just(0), st.just(max(0, raws[at] - 1)), st.integers(0, 65535)))
    glitched = [*raws[:at], wrong, *raws[at:]]
    true, found = raws[-1] - raws[0], totals(glitched)[-1]
    assert found <= true + BATCH + SLACK
    assert found >= 0


@given(st.lists(st.integers(1, 20), max_size=6), st.integers(0, 30_000))
def test_resets_to_zero_between_readings_lose_nothing_that_the_counter_shows(
    shifts: list[int], start: int
) -> None:
    readings, made = [start], 0
    for parts in shifts:
        readings.append(0)
        readings += range(1, parts + 1)
        made += parts
    found = totals(readings, Rule(None))[-1]
    assert found == made
