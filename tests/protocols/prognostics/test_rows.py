"""Rows of a running machine: exact by a counter, means by work, the same from stored samples as live."""

from __future__ import annotations

import random
from math import isnan, nan
from typing import Any

import pytest

from protocols.prognostics.rows import SILENT, ByCounter, ByWork, Row, RowKind, assembler, wanted
from protocols.values import MICROSECONDS, Quality, Value

S = MICROSECONDS
START = 1_790_000_040 * S  # a whole minute
TAGS = ("speed", "vibration")
CYCLE = RowKind(counter="cycle")
Told = tuple[str, int, Value, int]


def read(cycle: int, ts: int, speed: float, vibration: float) -> list[Told]:
    """All tags of one read: one time, the counter anywhere among them."""
    return [("speed", ts, speed, 0), ("cycle", ts, cycle, 0), ("vibration", ts, vibration, 0)]


def rows(
    told: list[Told], kind: RowKind, tags: tuple[str, ...] = TAGS, after: Row | None = None
) -> list[Row]:
    made = assembler(kind, tags, after)
    return [row for one in told for row in made.take(*one)]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "one of the two"),
        ({"counter": "c", "every": 60.0}, "one of the two"),
        ({"every": 0.5}, "1 s to a week"),
        ({"counter": "c", "settle": -1.0}, "0 to an hour"),
    ],
)
def test_what_a_row_is_must_be_said_once(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RowKind(**wrong)


def test_every_value_of_the_counter_is_a_row_of_exactly_what_was_read() -> None:
    told = [one for n in range(1, 6) for one in read(n, START + n * S, 1000.1 * n, 0.1 * n)]
    found = rows(told, CYCLE)
    assert found == [Row(START + n * S, (1000.1 * n, 0.1 * n), 0, float(n)) for n in range(1, 5)]
    assert wanted(CYCLE, TAGS) == ("speed", "vibration", "cycle")


def test_a_value_within_the_deadband_stands() -> None:
    told = [*read(1, START, 1000.0, 0.5), ("cycle", START + S, 2, 0), ("cycle", START + 2 * S, 3, 0)]
    assert [row.values for row in rows(told, CYCLE)] == [(1000.0, 0.5), (1000.0, 0.5)]


def test_a_counter_that_is_told_again_is_no_row() -> None:
    told = read(1, START, 1.0, 1.0) + read(1, START + 30 * S, 2.0, 2.0) + read(2, START + 60 * S, 3.0, 3.0)
    assert [row.values for row in rows(told, CYCLE)] == [(1.0, 1.0)]


def test_values_that_come_after_their_counter_are_waited_for() -> None:
    """The machine tells one tag after the other: 0.2 s later all of its cycle have come."""
    told: list[Told] = []
    for n in (1, 2, 3):
        at = START + n * S
        told += [
            ("cycle", at, n, 0),
            ("vibration", at + 90_000, n / 4, 0),
            ("speed", at + 150_000, n * 10.0, 0),
        ]
    settled = rows(told, RowKind(counter="cycle", settle=0.2))
    assert [(row.count, row.values) for row in settled] == [(1, (10.0, 0.25)), (2, (20.0, 0.5))]
    assert rows(told, CYCLE)[1].values == (10.0, 0.25), (
        "without it the row has the values of the cycle before"
    )


def test_a_bad_value_is_missing_and_a_bad_counter_is_no_row() -> None:
    told: list[Told] = [
        *read(1, START, 1000.0, 0.5),
        ("vibration", START + S // 2, None, int(Quality.BAD)),
        ("cycle", START + S, None, int(Quality.BAD)),
        ("cycle", START + 2 * S, 2, 0),
        ("cycle", START + 3 * S, 3, 0),
    ]
    found = rows(told, CYCLE)
    assert [row.count for row in found] == [1, 2]
    assert found[1].values[0] == 1000.0
    assert isnan(found[1].values[1])


@pytest.mark.parametrize(("then", "missed"), [(2, 0), (5, 3), (1, 0), (0, 0), (50_000, 0)])
def test_what_the_counter_leapt_over_was_missed(then: int, missed: int) -> None:
    told = read(1, START, 1.0, 1.0) + read(then, START + S, 2.0, 2.0) + read(99_999, START + 2 * S, 3.0, 3.0)
    last = rows(told, CYCLE)[-1]
    assert last.missed == (missed if then != 1 else 0)


def test_rows_by_a_counter_go_on_after_a_stored_one() -> None:
    told = [one for n in range(1, 9) for one in read(n, START + n * S, 1000.0 + n, 0.1 * n)]
    whole = rows(told, CYCLE)
    assert rows(told, CYCLE, after=whole[3]) == whole[4:]


def worked(told: list[Told], kind: RowKind, states: list[tuple[int, bool]] = [], after: Row | None = None):  # type: ignore[no-untyped-def]  # noqa: B006
    made = ByWork(kind, ("load",), after)
    for ts, executes in states:
        made.works(ts, executes=executes)
    return [row for one in told for row in made.take(*one)]


def test_a_row_of_work_is_a_mean_weighted_by_time() -> None:
    told: list[Told] = [("load", START, 10.0, 0), ("load", START + 15 * S, 30.0, 0)]
    told += [("load", START + n * 60 * S, 30.0, 0) for n in range(1, 4)]
    found = worked(told, RowKind(every=60.0))
    assert [(row.end, row.values) for row in found] == [
        (START + 60 * S, (25.0,)),
        (START + 120 * S, (30.0,)),
    ]


def test_only_work_counts() -> None:
    """Half a minute of each: two minutes make one row, and the tag's standstill is not in it."""
    states = [(START, True)]
    told: list[Told] = []
    for n in range(6):
        at = START + n * 60 * S
        told += [("load", at, 40.0, 0), ("load", at + 30 * S, 0.0, 0)]
        states += [(at, True), (at + 30 * S, False)]
    found = worked(told, RowKind(every=60.0), states)
    assert [(row.end, row.values) for row in found] == [
        (START + 120 * S, (40.0,)),
        (START + 240 * S, (40.0,)),
    ]


def test_time_of_which_nothing_was_told_is_no_work() -> None:
    gap = 24 * 3600 * S
    told: list[Told] = [("load", START + n * 60 * S, 1.0, 0) for n in range(3)]
    told += [("load", START + gap + n * 60 * S, 1.0, 0) for n in range(4)]
    found = worked(told, RowKind(every=60.0))
    assert len(found) == 2 + SILENT // (60 * S) + 2
    assert found[-1].end == START + gap + 120 * S


def test_a_tag_without_values_for_half_of_the_work_is_missing() -> None:
    told: list[Told] = [("load", START, 1.0, 0), ("load", START + 20 * S, None, int(Quality.BAD))]
    told += [("load", START + n * 60 * S, None, int(Quality.BAD)) for n in (1, 2, 3)]
    assert [isnan(row.values[0]) for row in worked(told, RowKind(every=60.0))] == [True, True]


def test_rows_by_work_go_on_after_a_stored_one() -> None:
    rng = random.Random(4)
    told: list[Told] = [
        ("load", START + n * 7 * S + rng.randrange(S), rng.gauss(50, 9), 0) for n in range(400)
    ]
    states = [(START + n * 97 * S, n % 3 != 2) for n in range(30)]
    whole = worked(told, RowKind(every=120.0), states)
    assert len(whole) > 10
    stored = whole[6]
    again = worked(
        [one for one in told if one[1] > stored.end - 60 * S], RowKind(every=120.0), states, stored
    )
    assert again == whole[7:]


@pytest.mark.parametrize("kind", [CYCLE, RowKind(every=60.0)])
def test_a_row_that_is_not_closed_is_gone_on_with_after_a_restart(kind: RowKind) -> None:
    rng = random.Random(6)
    told: list[Told] = []
    for n in range(1, 300):
        told += read(n // 3, START + n * 3 * S, 1000.0 + rng.random(), rng.random())
    told = [one for one in told if kind.counter or one[0] != "cycle"]
    whole = rows(told, kind)
    for stop in (5, 200, 401, 517):
        before = assembler(kind, TAGS)
        before.works(START, executes=True)
        first = [row for one in told[:stop] for row in before.take(*one)]
        after = assembler(kind, TAGS)
        after.remember(before.remembered())
        assert first + [row for one in told[stop:] for row in after.take(*one)] == whole
    with pytest.raises(ValueError, match="another kind of row"):
        assembler(RowKind(counter="parts"), TAGS).remember(before.remembered())


def test_what_is_late_or_told_twice_changes_nothing() -> None:
    told = [one for n in range(1, 6) for one in read(n, START + n * S, 1000.0, 0.1 * n)]
    doubled = [one for told_once in told for one in (told_once, told_once)]
    assert rows(doubled, CYCLE) == rows(told, CYCLE)
    late = [*told[:9], ("vibration", START, 99.0, 0), *told[9:]]
    assert rows(late, CYCLE) == rows(told, CYCLE)


def test_texts_and_numbers_that_are_none_are_missing() -> None:
    made = ByCounter(CYCLE, TAGS)
    for one in [("speed", START, "fast", 0), ("vibration", START, nan, 0), ("cycle", START, True, 0)]:
        made.take(*one)  # type: ignore[arg-type]
    (row,) = made.take("cycle", START + S, 2)
    assert all(isnan(value) for value in row.values)
    assert row.count == 1.0
