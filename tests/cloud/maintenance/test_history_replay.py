"""The history of a span, read back and gathered again, gives the scores that were given live, bit for bit."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

from cloud.history.port import Series
from cloud.history.sqlite import SqliteHistory
from cloud.maintenance.health.asset import AssetHealth
from cloud.maintenance.health.facts import facts
from cloud.maintenance.health.gathering import Gatherer
from cloud.maintenance.health.limits import Limits
from protocols.values import MICROSECONDS, Quality, Value

SPAN = 10 * MICROSECONDS
STARTED = 1_790_000_000 * MICROSECONDS
LIMITS = Limits(learn=20)
NAMES = {1: "vibration", 2: "temperature", 3: "spindle_load"}
Told = tuple[int, int, Value, int]
"""Tag, time, value, quality."""


def course(seconds: int) -> list[Told]:
    """Three tags at uneven times, some values bad or no number; vibration rises in the second half."""
    rng = random.Random(7)
    told: list[Told] = []
    for second in range(seconds):
        for tag, level in ((1, 2.0 + max(0, second - seconds // 2) * 0.01), (2, 40.0), (3, 60.0)):
            if rng.random() < 0.8:
                ts = STARTED + second * MICROSECONDS + rng.randrange(900_000)
                quality = Quality.BAD if rng.random() < 0.02 else Quality.GOOD
                value = None if quality is Quality.BAD else level + rng.gauss(0, level / 50)
                told.append((tag, ts, value, quality))
    return told


def scores(told: list[Told]) -> tuple[list[float], bytes]:
    known = [facts(name, name, "", "float64", 5.0, SPAN) for name in NAMES.values()]
    gatherer, health = Gatherer(SPAN, known), AssetHealth()
    gatherer.modes.change(0, "processing")
    given = []
    for tag, ts, value, quality in told:
        for window in gatherer.take(NAMES[tag], ts, value, quality):
            health.take(window, gatherer.facts, LIMITS, SPAN)
            given.append(health.score)
    return given, msgspec.msgpack.encode(health)


def test_the_history_gives_the_same_scores(tmp_path: Path) -> None:
    told = course(900)
    # live, a batch brings one tag after the other, each in its own order
    live = sorted(told, key=lambda each: (each[1] // (5 * MICROSECONDS), each[0], each[1]))
    history = SqliteHistory(tmp_path)
    try:
        for tag in NAMES:
            rows = [each for each in live if each[0] == tag]
            bad = {n: each[3] for n, each in enumerate(rows) if each[3] != Quality.GOOD}
            history.write({tag: Series([r[1] for r in rows], [r[2] for r in rows], bad)})
        kept: list[Told] = []
        for tag in NAMES:
            series = history.read(tag, STARTED, STARTED + 1000 * MICROSECONDS)
            kept += [
                (tag, ts, value, series.quality(row))
                for row, (ts, value) in enumerate(zip(series.times, series.values, strict=True))
            ]
    finally:
        history.close()
    given, state = scores(live)
    again, state_again = scores(sorted(kept, key=lambda each: (each[1], each[0])))

    assert max(given) > 1.0, "the rise was not noticed: nothing is compared"
    assert again == given
    assert state_again == state
