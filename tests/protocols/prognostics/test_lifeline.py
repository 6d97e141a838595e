"""Scores row by row: stored and scored again they are the same to the last bit."""

from __future__ import annotations

import random
import struct
from math import nan

from protocols.prognostics.lifeline import (
    LENGTH,
    UNSEEN,
    Lifeline,
    Score,
    Stretch,
    asked,
    newest_judged,
    packed,
    replayed,
    unpacked,
)
from protocols.prognostics.model import Prognoser
from protocols.prognostics.rows import Row
from tests.protocols.prognostics import grown

PROGNOSER = Prognoser(grown.model(3))


def course(count: int, seed: int = 5) -> list[Row]:
    """Rows of a machine that wears, in two regimes, some of them missed, some in none."""
    rng = random.Random(seed)
    found = []
    for n in range(count):
        speed = rng.choice([1000.0, 3000.0, 3000.0, 9000.0 if n % 17 == 0 else 1000.0])
        values = (speed, 1.0 + n / count + rng.gauss(0, 0.1), rng.gauss(50, 4), nan if n % 13 == 0 else 6.0)
        found.append(Row((n + 1) * 1_000_000, values, 2 if n % 29 == 7 else 0, float(n)))
    return found


def bits(scores: list[Score]) -> list[tuple[int, bytes]]:
    return [
        (one.regime, struct.pack("<3d", one.life, one.lower, nan if one.upper is None else one.upper))
        for one in scores
    ]


def test_stored_stretches_give_the_same_scores_to_the_last_bit() -> None:
    line = Lifeline(PROGNOSER)
    given = [line.take(row) for row in course(3 * LENGTH + 9)]
    stretches = [unpacked(packed(one)) for one in (*line.done, line.stretch)]
    again = [score for one in stretches for score in replayed(PROGNOSER, one)[0]]

    assert len(stretches) == 4
    assert bits(again) == bits(given)
    assert [one for stretch in stretches for one in bits(stretch.scores)] == bits(given)
    assert len(set(bits(given))) > LENGTH, "the scores hardly differ: nothing is compared"


def test_scoring_goes_on_from_a_stored_stretch() -> None:
    rows = course(150)
    whole = Lifeline(PROGNOSER)
    given = [whole.take(row) for row in rows]
    for stop in (0, 1, LENGTH - 1, LENGTH, LENGTH + 1, 120):
        before = Lifeline(PROGNOSER)
        for row in rows[:stop]:
            before.take(row)
        after = Lifeline(PROGNOSER, unpacked(packed(before.stretch)))
        assert bits([after.take(row) for row in rows[stop:]]) == bits(given[stop:])


def test_missed_rows_age_the_asset() -> None:
    line = Lifeline(PROGNOSER)
    line.take(Row(1, (1000.0, 1.0, 50.0, 6.0)))
    line.take(Row(2, (1000.0, 1.0, 50.0, 6.0), missed=7))
    assert line.history.age == 9


def test_an_unseen_regime_is_said_and_not_judged() -> None:
    line = Lifeline(PROGNOSER)
    known = line.take(Row(1, (1000.0, 1.0, 50.0, 6.0)))
    strange = line.take(Row(2, (9000.0, 1.0, 50.0, 6.0)))
    assert (known.seen, strange.seen, strange.regime) == (True, False, UNSEEN)
    judged = newest_judged(line.stretch.rows, line.stretch.scores)
    assert judged is not None
    assert judged[0].end == 1
    assert newest_judged([], []) is None


def test_a_lifeline_can_be_taken_back_to_a_time() -> None:
    rows = course(30)
    line = Lifeline(PROGNOSER)
    given = [line.take(row) for row in rows]
    back = line.rewound(rows[20].end)
    assert len(back.stretch.rows) == 20
    assert bits([back.take(row) for row in rows[20:]]) == bits(given[20:])
    assert back.last is not None
    assert Lifeline(PROGNOSER, Stretch(PROGNOSER.new())).last is None


def test_a_row_has_conditions_before_signals() -> None:
    assert asked(PROGNOSER.model) == ("speed", "vibration", "temperature", "current")
