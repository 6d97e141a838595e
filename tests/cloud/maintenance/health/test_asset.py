"""Health from the machine's own baseline: learns, stays calm, notices wear, says why."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.maintenance.health.asset import AssetHealth, State
from cloud.maintenance.health.evidence import Evidence, words
from cloud.maintenance.health.facts import TagFacts
from cloud.maintenance.health.gathering import TagSpan, Window
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.health.sensor import Fault
from tests.cloud.maintenance.health.course import FACTS, LIMITS, SPAN, fed, healthy, window


def state(health: AssetHealth) -> State:
    return health.state


def test_health_is_unknown_while_learning_and_says_how_far_it_is() -> None:
    health = AssetHealth()
    fed(health, healthy(LIMITS.learn - 3))

    assert (state(health), health.health(LIMITS)) == (State.LEARNING, None)
    assert health.progress(LIMITS) == pytest.approx(27 / 30)
    assert health.evidence(FACTS) == []
    fed(health, healthy(3, 2))
    assert (state(health), health.health(LIMITS), health.progress(LIMITS)) == (State.WATCHING, 100.0, 1.0)


def test_learning_lasts_as_many_days_as_it_is_told_to() -> None:
    limits = Limits(learn=30, learn_days=0.5)
    health = AssetHealth()
    fed(health, healthy(700), limits=limits)
    assert state(health) is State.LEARNING
    assert 0.9 < health.progress(limits) < 1.0
    assert len(health.learning) <= 8 * limits.learn
    fed(health, healthy(40, 2), limits=limits)
    assert state(health) is State.WATCHING


def test_a_machine_that_is_still_warming_up_is_learned_when_it_is_warm() -> None:
    warming = [45 - 24 * 0.93**minute + noise for minute, noise in enumerate(healthy(200, mean=0, sigma=0.1))]
    health = AssetHealth()
    fed(health, warming[:30], "temperature")
    assert state(health) is State.LEARNING
    fed(health, warming[30:], "temperature")
    assert state(health) is State.WATCHING
    assert health.normals["processing"]["temperature"].centre == pytest.approx(45, abs=1.5)
    assert not health.alarmed


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
    alarmed_at = None
    for step, mean in enumerate(healthy(100, seed + 100)):
        fed(health, [mean * (1 + 0.01 * step)])
        if health.alarmed and alarmed_at is None:
            alarmed_at = step
    assert alarmed_at is not None
    assert 20 <= alarmed_at < 100


def test_an_unseen_regime_is_unknown_then_learned_and_never_an_alarm() -> None:
    health = AssetHealth()
    fed(health, healthy(100))
    for mean in healthy(LIMITS.learn - 1, mean=50.0):
        fed(health, [mean], mode="setup")
        assert not health.alarmed
        assert health.regime == ""
        assert health.health(LIMITS) == 100.0
    fed(health, healthy(30, 4, mean=50.0), mode="setup")
    assert health.regime == "setup"
    assert health.health(LIMITS) == 100.0
    fed(health, healthy(30, mean=90.0), mode="setup")
    assert health.alarmed


def test_deviation_goes_on_from_one_regime_to_the_next() -> None:
    """A worn spindle is worn whatever it makes: changing programs does not make it well."""
    health = AssetHealth()
    rows = [("A", 2.0), ("B", 8.0)]
    number = 0
    for noise in healthy(60, mean=0.0):
        number += 1
        program, level = rows[number % 2]
        health.take(window(number, {"vibration": level + noise}, program=program), FACTS, LIMITS, SPAN)
    assert sorted(health.normals) == ["processing · A", "processing · B"]
    for noise in healthy(20, mean=2.0):
        number += 1
        program, level = rows[number % 2]
        health.take(window(number, {"vibration": level + noise}, program=program), FACTS, LIMITS, SPAN)
    assert health.alarmed


def test_learning_waits_for_a_regime_that_was_seldom_yet() -> None:
    """The fan of 30 windows has two in which it ran fast: they are no ground to judge by."""
    facts = {**FACTS, "speed": TagFacts("speed", "speed", "1/min")}
    health = AssetHealth()
    for number, noise in enumerate(healthy(45, mean=0.0), 1):
        fast = number in (7, 20, 33, 36, 39)
        means = {"vibration": (5.0 if fast else 2.0) + noise, "speed": 3000.0 if fast else 1000.0}
        health.take(window(number, means), facts, LIMITS, SPAN)
        assert (health.thresholds is None) == (number < 39)
    assert sorted(health.normals) == ["processing · speed 1000", "processing · speed 3000"]


def test_evidence_names_the_tag_that_moved_first() -> None:
    health = AssetHealth()
    rng = random.Random(5)
    for number in range(1, 61):
        moved = 4.0 if number > 30 else 2.0
        means = {"vibration": rng.gauss(moved, 0.1), "temperature": rng.gauss(40, 0.5)}
        health.take(window(number, means), FACTS, LIMITS, SPAN)

    first, second = health.evidence(FACTS)

    assert first.tag == "vibration"
    assert first.deviation > 10
    assert first.contribution > 0.9
    assert abs(first.contribution) + abs(second.contribution) == pytest.approx(1.0)
    assert words(first, "mm/s").startswith("vibration is 4")
    assert words(first, "mm/s").endswith("spreads above)")


def test_words_tell_the_side() -> None:
    assert "below" in words(Evidence("load", "processing", -4.0, 1.0, 2.0, 0.25), "")


def test_what_falls_is_no_wear_where_only_a_rise_is() -> None:
    health = AssetHealth()
    fed(health, healthy(LIMITS.learn))
    fed(health, healthy(30, mean=1.0))
    assert not health.alarmed
    facts = {"pressure": TagFacts("pressure", "pressure", "bar")}
    health = AssetHealth()
    fed(health, healthy(LIMITS.learn), "pressure", facts=facts)
    fed(health, healthy(30, mean=1.0), "pressure", facts=facts)
    assert health.alarmed
    assert health.evidence(facts)[0].contribution == -1.0


def test_alarm_has_hysteresis() -> None:
    health = AssetHealth()
    fed(health, healthy(LIMITS.learn))
    fed(health, [5.0] * 20)
    assert health.alarmed
    assert health.thresholds is not None
    spread = health.normals["processing"]["vibration"].spread
    centre = health.normals["processing"]["vibration"].centre
    fed(health, [centre + 0.9 * health.thresholds.single * spread] * 30)  # under the alarm, not yet well
    assert health.alarmed
    assert health.score < 1.0
    fed(health, healthy(60))
    assert not health.alarmed


def test_one_bad_window_is_no_alarm() -> None:
    health = AssetHealth()
    fed(health, healthy(LIMITS.learn))
    fed(health, [4.0, *healthy(20, 3)])
    assert health.episodes == []


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
    repaired = health.updated + 100 * SPAN
    health.reset(repaired)

    assert not health.alarmed
    assert health.health(LIMITS) is None
    fed(health, [9.0] * LIMITS.learn)  # still in the outbox when it was repaired
    assert health.health(LIMITS) is None
    assert health.offered == 0
    health.updated = repaired
    fed(health, healthy(LIMITS.learn + 1, mean=3.0))
    fed(health, healthy(20, mean=3.0))
    assert health.health(LIMITS) == 100.0


def test_many_tags_make_no_quicker_alarm() -> None:
    """Each span of time is judged once: five tags that rise together are one bad span, not five."""
    tags = {f"v{number}": TagFacts(f"v{number}", "vibration", "mm/s") for number in range(5)}
    health = AssetHealth()
    for step in range(LIMITS.learn):
        means = {tag: healthy(LIMITS.learn, number)[step] for number, tag in enumerate(tags)}
        health.take(window(1 + step, means), tags, LIMITS, SPAN)
    alarmed = []
    for step in range(6):
        health.take(window(31 + step, dict.fromkeys(tags, 20.0)), tags, LIMITS, SPAN)
        alarmed.append(health.alarmed)
    assert alarmed == [False, False, False, True, True, True]


def test_a_flat_sensor_is_not_infinitely_exact() -> None:
    health = AssetHealth()
    flat = TagSpan(2.0, 2.0, 2.0, 1.0, 60)
    for number in range(1, 31):
        health.take(window(number, {"vibration": flat}), FACTS, LIMITS, SPAN)
    fed(health, [2.001] * 50)

    assert health.health(LIMITS) == 100.0
    assert health.normals["processing"]["vibration"].constant


def test_a_jump_after_a_silence_asks_whether_something_was_replaced() -> None:
    health = AssetHealth()
    fed(health, healthy(60))
    for number in range(200, 208):
        new = window(number, {"vibration": 5.0 + number * 0.001}, broken=number == 200)
        health.take(new, FACTS, LIMITS, SPAN)
    assert health.alarmed
    assert health.jumped


def test_wear_after_the_first_windows_asks_nothing() -> None:
    health = AssetHealth()
    health.take(window(1, {"vibration": 2.0}, broken=True), FACTS, LIMITS, SPAN)
    fed(health, healthy(LIMITS.learn))
    fed(health, healthy(6, mean=5.0))
    assert health.alarmed
    assert not health.jumped


def test_a_sensor_that_fails_freezes_the_asset_and_scoring_resumes() -> None:
    health = AssetHealth()
    fed(health, healthy(60))
    score, judged = health.score, health.judged
    start = health.updated // SPAN + 1
    for step in range(5):
        gone = window(start + step, {"vibration": None, "temperature": 40.0})
        health.take(gone, FACTS, LIMITS, SPAN)
    assert state(health) is State.FROZEN
    assert [(tag, fault) for tag, fault, _ in health.faults()] == [("vibration", Fault.GAP)]
    assert (health.score, health.judged) == (score, judged)
    fed(health, healthy(10, 3))
    assert state(health) is State.WATCHING
    assert health.judged > judged
    assert health.health(LIMITS) == 100.0


def test_a_tag_that_changes_its_unit_freezes_until_it_is_as_it_was_or_learned_anew() -> None:
    health = AssetHealth()
    fed(health, healthy(60))
    inches = {"vibration": TagFacts("vibration", "vibration", "in/s")}
    fed(health, healthy(10, mean=0.08, sigma=0.004), facts=inches)
    assert [(tag, fault) for tag, fault, _ in health.faults()] == [("vibration", Fault.CHANGED)]
    assert not health.alarmed
    fed(health, healthy(1))
    assert state(health) is State.WATCHING
    fed(health, healthy(10, mean=0.08, sigma=0.004), facts=inches)
    health.reset(health.updated)
    fed(health, healthy(31, mean=0.08, sigma=0.004), facts=inches)
    assert state(health) is State.WATCHING
    assert health.faults() == []


def test_windows_out_of_order_or_repeated_change_nothing() -> None:
    health = AssetHealth()
    fed(health, healthy(60))
    before = msgspec.msgpack.encode(health)
    for number in (60, 59, 1):
        health.take(window(number, {"vibration": 99.0}), FACTS, LIMITS, SPAN)
    assert msgspec.msgpack.encode(health) == before


def test_a_confirmed_threshold_holds_and_its_author_is_kept() -> None:
    health = AssetHealth()
    fed(health, healthy(LIMITS.learn))
    health.confirm(4.0, 7, "supervisor")
    fed(health, healthy(30, mean=3.0))
    assert not health.alarmed
    assert (health.factor, health.confirmed, health.confirmed_by) == (4.0, 7, "supervisor")
    with pytest.raises(ValueError, match=r"0\.5"):
        health.confirm(0.1, 8, "supervisor")


@given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from(["processing", "", "setup"])), max_size=120))
@settings(deadline=None, max_examples=50)
def test_replaying_stored_windows_gives_the_same_health_bit_for_bit(rows: list[tuple[float, str]]) -> None:
    """From any stored state on, through the form it is stored in, at every window."""
    windows = [window(31 + step, {"vibration": mean}, mode) for step, (mean, mode) in enumerate(rows)]
    stored = msgspec.msgpack.encode(windows)
    live = AssetHealth()
    fed(live, healthy(LIMITS.learn))
    kept = msgspec.msgpack.encode(live)
    scores = []
    for each in windows:
        live.take(each, FACTS, LIMITS, SPAN)
        scores.append((live.score, live.health(LIMITS)))
    again = msgspec.msgpack.decode(kept, type=AssetHealth)
    replayed = []
    for each in msgspec.msgpack.decode(stored, type=list[Window]):
        again = msgspec.msgpack.decode(msgspec.msgpack.encode(again), type=AssetHealth)
        again.take(each, FACTS, LIMITS, SPAN)
        replayed.append((again.score, again.health(LIMITS)))
    assert replayed == scores
    assert msgspec.msgpack.encode(again) == msgspec.msgpack.encode(live)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False, width=32)),
            st.sampled_from(["processing", ""]),
            st.booleans(),
        ),
        min_size=40,
        max_size=150,
    )
)
@settings(deadline=None, max_examples=50)
def test_health_is_always_between_0_and_100_whatever_comes(
    rows: list[tuple[float | None, str, bool]],
) -> None:
    health = AssetHealth()
    for number, (mean, mode, broken) in enumerate(rows, 1):
        health.take(window(number, {"vibration": mean}, mode, broken=broken), FACTS, LIMITS, SPAN)
        value = health.health(LIMITS)
        assert value is None or 0.0 <= value <= 100.0
        assert 0.0 <= health.progress(LIMITS) <= 1.0
        assert len(health.trend.points) <= 64
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(health), type=AssetHealth) == health
