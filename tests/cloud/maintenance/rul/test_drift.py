"""Drift: signals that are no longer those of the training, and lives that end outside the interval."""

from __future__ import annotations

import random
from math import log, nan

import msgspec
import pytest

from cloud.maintenance.rul.drift import FEWEST_SAMPLES, DriftWatch, Ended, Seen, stability_index, surprised

rng = random.Random(7)
DRAWN = sorted(rng.gauss(0, 1) for _ in range(5000))
DECILES = tuple(DRAWN[min(len(DRAWN) - 1, n * len(DRAWN) // 10)] for n in range(11))


def watched(shift: float, count: int = 2000) -> DriftWatch:
    watch = DriftWatch(("load", "heat"), (DECILES, DECILES))
    own = random.Random(3)
    for _ in range(count):
        watch.take([own.gauss(0, 1), own.gauss(shift, 1)])
    return watch


def test_the_index_is_its_formula() -> None:
    assert stability_index([0.5, 0.5], [50, 50]) == 0.0
    assert stability_index([0.5, 0.5], [80, 20]) == pytest.approx(0.3 * log(1.6) - 0.3 * log(0.4))


def test_the_same_distribution_does_not_alarm() -> None:
    drift = watched(0.0).drift()

    assert drift is not None
    assert drift.index < 0.05
    assert not drift.alarm


def test_a_shifted_signal_alarms_by_its_name() -> None:
    drift = watched(1.0).drift()

    assert drift is not None
    assert (drift.signal, drift.alarm) == ("heat", True)


def test_few_samples_do_not_alarm() -> None:
    drift = watched(3.0, FEWEST_SAMPLES - 1).drift()

    assert drift is not None
    assert drift.index > 1
    assert not drift.alarm


def test_counts_can_be_stored_and_taken_up_again() -> None:
    first = watched(1.0)
    stored = msgspec.json.decode(msgspec.json.encode(first.seen), type=list[Seen])

    assert DriftWatch(("load", "heat"), (DECILES, DECILES), stored).drift() == first.drift()


def test_missing_values_are_no_drift() -> None:
    watch = watched(0.0)
    before = watch.drift()
    for _ in range(500):
        watch.take([nan, nan])

    assert watch.drift() == before
    assert watch.seen[0].missing == 500


def test_a_signal_of_few_values_is_compared_by_them() -> None:
    flat = (0.0,) * 6 + (1.0,) * 5
    watch = DriftWatch(("door",), (flat,))
    for value in [0.0] * 600 + [1.0] * 400:
        watch.take([value])
    drift = watch.drift()

    assert drift is not None
    assert drift.index < 0.1


def test_ends_within_their_intervals_are_no_surprise() -> None:
    inside, outside = Ended(10.0, 30.0, 20.0), Ended(10.0, 30.0, 45.0)

    assert surprised([], 0.9) == (0, 1.0, False)
    assert surprised([inside] * 18 + [outside] * 2, 0.9)[2] is False
    count, chance, alarm = surprised([inside] * 12 + [outside] * 8, 0.9)
    assert (count, alarm) == (8, True)
    assert chance < 0.001


def test_an_end_beyond_the_horizon_is_within_an_open_bound() -> None:
    assert surprised([Ended(100.0, None, 400.0)], 0.9)[0] == 0
    assert surprised([Ended(100.0, None, 40.0)], 0.9)[0] == 1


def test_expected_values_of_other_signals_are_refused() -> None:
    with pytest.raises(ValueError, match="1 signals, but expected values of 2"):
        DriftWatch(("load",), (DECILES, DECILES))
