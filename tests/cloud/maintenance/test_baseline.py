"""Health from the machine's own baseline: learns, stays calm, notices wear, says why."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.maintenance.baseline import AssetHealth, Evidence, Limits, Window, words
from cloud.maintenance.windows import Regimes, Windows
from protocols.values import Quality

LIMITS = Limits(learn=30)


def fed(
    health: AssetHealth, means: list[float], tag: str = "spindle/vibration", regime: str = "processing"
) -> None:
    start = health.updated + 1
    for step, mean in enumerate(means):
        health.take(Window(tag, start + step, regime, mean), LIMITS)


def healthy(count: int, seed: int = 1, mean: float = 2.0, sigma: float = 0.1) -> list[float]:
    generator = random.Random(seed)
    return [generator.gauss(mean, sigma) for _ in range(count)]


def test_health_is_unknown_while_learning() -> None:
    health = AssetHealth()
    fed(health, healthy(LIMITS.learn - 1))

    assert health.health(LIMITS) is None
    assert health.evidence() == []


@pytest.mark.parametrize("seed", range(20))
def test_a_healthy_machine_raises_no_alarm(seed: int) -> None:
    health = AssetHealth()
    for mean in healthy(2_000, seed):
        fed(health, [mean])
        assert not health.alarmed
    assert health.health(LIMITS) == 100.0


@pytest.mark.parametrize("seed", range(20))
def test_wear_is_noticed_before_the_signal_has_doubled(seed: int) -> None:
    health = AssetHealth()
    fed(health, healthy(LIMITS.learn, seed))
    worn = [mean * (1 + 0.01 * step) for step, mean in enumerate(healthy(100, seed + 100))]
    alarmed_at = None
    for step, mean in enumerate(worn):
        fed(health, [mean])
        if health.alarmed and alarmed_at is None:
            alarmed_at = step
    assert alarmed_at is not None
    assert 20 <= alarmed_at < 100


def test_an_unseen_regime_is_learned_and_never_an_alarm() -> None:
    health = AssetHealth()
    fed(health, healthy(100))
    for mean in healthy(LIMITS.learn - 1, mean=50.0):
        fed(health, [mean], regime="setup")
        assert not health.alarmed
        assert health.health(LIMITS) is None


def test_evidence_names_the_tag_that_moved_first() -> None:
    health = AssetHealth()
    for tag in ("temperature", "vibration"):
        fed(health, healthy(LIMITS.learn), tag)
    fed(health, healthy(20), "temperature")
    fed(health, [4.0] * 20, "vibration")

    first = health.evidence()[0]

    assert first.tag == "vibration"
    assert first.deviation > 10
    assert words(first, "mm/s").startswith("vibration is 4 mm/s, normally 2")
    assert words(first, "mm/s").endswith("spreads above)")


def test_words_tell_the_side() -> None:
    assert "below" in words(Evidence("load", "processing", -4.0, 1.0, 2.0, 0.25), "")


def test_alarm_has_hysteresis() -> None:
    health = AssetHealth()
    fed(health, healthy(LIMITS.learn))
    fed(health, [5.0] * 20)
    assert health.alarmed
    fed(health, [2.0 + 0.75] * 30)  # back under the alarm, not yet well
    middle = health.health(LIMITS)
    assert middle is not None
    fed(health, healthy(60))
    assert not health.alarmed


def test_a_restart_does_not_learn_again() -> None:
    health = AssetHealth()
    fed(health, healthy(100))

    copy = msgspec.msgpack.decode(msgspec.msgpack.encode(health), type=AssetHealth)

    assert copy == health
    fed(copy, [9.0] * 30)
    assert copy.alarmed


def test_a_repair_resets() -> None:
    health = AssetHealth()
    fed(health, healthy(LIMITS.learn))
    fed(health, [9.0] * 30)
    repaired = health.updated + 100
    health.reset(repaired)

    assert not health.alarmed
    assert health.health(LIMITS) is None
    fed(health, [9.0] * LIMITS.learn)  # still in the outbox when it was repaired
    assert health.health(LIMITS) is None
    health.updated = repaired
    fed(health, healthy(LIMITS.learn, mean=3.0))
    fed(health, healthy(20, mean=3.0))
    assert health.health(LIMITS) == 100.0


def test_many_tags_make_no_quicker_alarm() -> None:
    """Each span of time is judged once: five tags that rise together are one bad span, not five."""
    tags = [f"spindle/{name}" for name in ("vibration", "temperature", "load", "current", "noise")]
    health = AssetHealth()
    for step in range(LIMITS.learn):
        for number, tag in enumerate(tags):
            health.take(Window(tag, 1 + step, "processing", healthy(LIMITS.learn, number)[step]), LIMITS)
    alarmed = []
    for step in range(6):
        for tag in tags:
            health.take(Window(tag, 1 + LIMITS.learn + step, "processing", 20.0), LIMITS)
        alarmed.append(health.alarmed)
    assert alarmed == [False, False, False, True, True, True]


def test_a_flat_sensor_is_not_infinitely_exact() -> None:
    health = AssetHealth()
    fed(health, [2.0] * LIMITS.learn)
    fed(health, [2.001] * 50)

    assert health.health(LIMITS) == 100.0


def test_windows_are_means_of_good_numbers_in_one_regime() -> None:
    windows = Windows(span=100)
    windows.regimes.change(0, "processing")
    for ts, value in ((0, 1.0), (50, 3.0)):
        assert windows.take("t", ts, value, Quality.GOOD) is None
    assert windows.take("t", 60, 99.0, Quality.BAD) is None
    assert windows.take("t", 70, "text", Quality.GOOD) is None

    assert windows.take("t", 100, 5.0, Quality.GOOD) == Window("t", 100, "processing", 2.0)


def test_a_window_in_which_the_regime_changed_is_left_out() -> None:
    windows = Windows(span=100)
    windows.regimes.change(0, "processing")
    windows.regimes.change(40, "")
    windows.take("t", 0, 1.0, Quality.GOOD)

    assert windows.take("t", 100, 1.0, Quality.GOOD) is None


@given(st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(["a", "b"])), max_size=50))
def test_regimes_do_not_depend_on_the_order_they_arrive_in(changes: list[tuple[int, str]]) -> None:
    unique = dict(changes)
    ordered, shuffled = Regimes(), Regimes()
    for ts in sorted(unique):
        ordered.change(ts, unique[ts])
    for ts, name in unique.items():
        shuffled.change(ts, name)

    assert (ordered.times, ordered.names) == (shuffled.times, shuffled.names)
