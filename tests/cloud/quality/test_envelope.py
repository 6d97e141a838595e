"""The golden envelope: learned from good parts, one bad one among them, and where the next part leaves it."""

from __future__ import annotations

import math
import random

import pytest

from cloud.quality.envelope import Envelope, SignalError, in_words, judge, learn, on_grid

Signal = tuple[list[float], list[float]]


def part(
    seed: int, *, seconds: float = 10.0, samples: int = 300, noise: float = 0.3, bump: float = 0.0
) -> Signal:
    """A pressing force over time: up, held, down; ``bump`` kN more in the middle of the hold."""
    rng = random.Random(seed)
    times = [seconds * n / (samples - 1) for n in range(samples)]
    values = []
    for at in times:
        share = at / seconds
        shape = math.sin(math.pi * min(1.0, max(0.0, share))) ** 0.5
        extra = bump if 0.45 < share < 0.6 else 0.0
        values.append(50 * shape + extra + rng.gauss(0, noise))
    return times, values


@pytest.fixture(scope="module")
def envelope() -> Envelope:
    return learn("PRESS-12", "force", [part(seed) for seed in range(12)])


def test_good_parts_stay_inside(envelope: Envelope) -> None:
    judged = [judge(envelope, *part(seed)) for seed in range(100, 160)]
    assert sum(each.inside for each in judged) >= 58
    assert in_words(judged[0]) == "inside the envelope"


def test_it_says_where_a_part_left_it(envelope: Envelope) -> None:
    judged = judge(envelope, *part(7, bump=4.0))
    assert not judged.inside
    (left,) = [each for each in judged.stretches if each.worst > 1.5]
    assert left.above
    assert left.start == pytest.approx(0.45, abs=0.02)
    assert left.end == pytest.approx(0.6, abs=0.02)
    assert in_words(judged).startswith("above from 4")
    below = judge(envelope, *part(8, bump=-4.0))
    assert not max(below.stretches, key=lambda each: each.worst).above


def test_a_part_that_took_a_little_longer_and_was_sampled_otherwise_compares(envelope: Envelope) -> None:
    assert judge(envelope, *part(31, seconds=10.8, samples=977)).inside


def test_a_part_that_took_far_longer_says_so(envelope: Envelope) -> None:
    judged = judge(envelope, *part(32, seconds=14.0))
    assert not judged.inside
    assert judged.duration == "took 14, good parts up to 12"
    assert judge(envelope, *part(33, seconds=5.0)).duration.startswith("took 5, good parts at least")


def test_one_bad_part_among_the_good_ones_moves_nothing() -> None:
    good = [part(seed) for seed in range(9)]
    spoiled = learn("P", "f", [*good, part(9, bump=30.0)])
    assert not judge(spoiled, *part(50, bump=4.0)).inside
    assert max(spoiled.upper) < 56


def test_a_spike_of_noise_is_tolerated(envelope: Envelope) -> None:
    times, values = part(40)
    values[150] += 30
    judged = judge(envelope, times, values)
    assert judged.inside
    assert judged.stretches[0].worst > 5
    assert not judge(envelope, times, values, tolerated=0.0).inside


def test_parts_that_agree_by_chance_do_not_make_an_infinitely_narrow_band() -> None:
    same = part(1, noise=0.0)
    found = learn("P", "f", [same] * 6)
    assert all(high - low >= 2 * 0.02 * 45 for low, high in zip(found.lower, found.upper, strict=True))
    flat = learn("P", "f", [([0.0, 1.0], [5.0, 5.0])] * 5)
    assert judge(flat, [0.0, 1.0], [5.05, 5.05]).inside
    assert not judge(flat, [0.0, 1.0], [5.5, 5.5]).inside


@pytest.mark.parametrize(
    ("times", "values", "words"),
    [
        ([0.0], [1.0], "2 to 1000000 samples"),
        ([0.0, 1.0], [1.0], "1 values and 2 times"),
        ([0.0, 1.0], [1.0, math.nan], "not a finite number"),
        ([0.0, 1.0, 1.0], [1.0, 2.0, 3.0], "sample 3 is not after"),
        ([0.0, 2.0, 1.0], [1.0, 2.0, 3.0], "sample 3 is not after"),
    ],
)
def test_signals_that_cannot_be_compared(times: list[float], values: list[float], words: str) -> None:
    with pytest.raises(SignalError, match=words):
        on_grid(times, values)


def test_few_good_parts_make_no_envelope() -> None:
    with pytest.raises(SignalError, match="4 good parts are too few"):
        learn("P", "f", [part(seed) for seed in range(4)])
