"""Sensor health: every fault is raised, only while it lasts, and nothing healthy is ever one."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.maintenance.health.facts import TagFacts, facts
from cloud.maintenance.health.gathering import TagSpan
from cloud.maintenance.health.sensor import SKEWED_SAMPLES, ClockWatch, Fault, SensorWatch

FACTS = TagFacts("vibration", "vibration", "mm/s", low=0.0, high=500.0)
HOUR = 3_600_000_000


def good(rng: random.Random) -> TagSpan:
    low = 2.0 + rng.random() * 0.1
    return TagSpan(low + 0.05, low, low + 0.1, 1.0, 60)


def flat(value: float = 2.0) -> TagSpan:
    return TagSpan(value, value, value, 1.0, 60)


def watched(rng: random.Random, count: int = 60) -> SensorWatch:
    """A sensor that was learned from ``count`` windows in which it varied."""
    watch = SensorWatch()
    for number in range(count):
        assert watch.take(good(rng), FACTS, number, working=True, broken=False)
        watch.learn()
    return watch


CASES = {
    Fault.GAP: TagSpan(covered=0.1),
    Fault.OUT_OF_RANGE: TagSpan(2.0, 1.9, 2.1, 0.9, 50, outside=10),
    Fault.NAN_STORM: TagSpan(2.0, 1.9, 2.1, 0.6, 40, odd=20),
    Fault.CLOCK_DISORDER: TagSpan(2.0, 1.9, 2.1, 1.0, 60, disordered=3),
    Fault.STUCK: flat(),
}


@pytest.mark.parametrize("fault", CASES)
def test_a_fault_is_raised_lasts_and_ends_when_the_sensor_is_well(fault: Fault) -> None:
    rng = random.Random(1)
    watch = watched(rng)
    number = 100
    while fault not in watch.faults:
        number += 1
        assert number < 120, "never raised"
        usable = watch.take(CASES[fault], FACTS, number, working=True, broken=False)
        assert not usable or fault is Fault.STUCK
    assert watch.faults == {fault: number}
    for _ in range(30):
        number += 1
        assert not watch.take(CASES[fault], FACTS, number, working=True, broken=False)
    raised = watch.faults[fault]
    while watch.faults:
        assert watch.faults == {fault: raised}
        number += 1
        assert number < 200, "never ends"
        watch.take(good(rng), FACTS, number, working=True, broken=False)
    assert watch.take(good(rng), FACTS, number + 1, working=True, broken=False)


@pytest.mark.parametrize("fault", [fault for fault in CASES if fault is not Fault.STUCK])
def test_one_odd_window_is_not_judged_and_no_fault(fault: Fault) -> None:
    rng = random.Random(1)
    watch = watched(rng)
    assert not watch.take(CASES[fault], FACTS, 100, working=True, broken=False)
    assert watch.faults == {}
    assert watch.take(good(rng), FACTS, 101, working=True, broken=False)


def test_flat_after_a_restart_is_noticed_sooner_than_stuck() -> None:
    watch = watched(random.Random(1))
    for number in range(8):
        watch.take(flat(), FACTS, number, working=True, broken=number == 0)
    assert list(watch.faults) == [Fault.FLAT_AFTER_RESTART]
    slow = watched(random.Random(1))
    for number in range(8):
        slow.take(flat(), FACTS, number, working=True, broken=False)
    assert slow.faults == {}


def test_a_warm_machine_is_not_stuck_and_a_dead_sensor_of_temperature_is() -> None:
    slow = TagFacts("temperature", "temperature", "°C")
    rng = random.Random(1)
    watch = watched(rng)
    for number in range(100):
        assert watch.take(flat(38.5), slow, number, working=True, broken=False)
    watch.take(good(rng), slow, 100, working=True, broken=False)
    assert watch.longest == 99, "a run that ended by itself was a healthy one"
    for number in range(101, 500):
        watch.take(flat(38.5), slow, number, working=True, broken=False)
    assert list(watch.faults) == [Fault.STUCK]


def test_a_tag_that_stands_still_by_nature_is_never_stuck() -> None:
    watch = SensorWatch()
    for number in range(60):
        watch.take(flat(), FACTS, number, working=True, broken=False)
        watch.learn()
    for number in range(60, 600):
        assert watch.take(flat(), FACTS, number, working=True, broken=number == 300)


def test_a_tag_is_not_stuck_and_has_no_gap_while_the_machine_rests() -> None:
    watch = watched(random.Random(1))
    for number in range(300):
        watch.take(flat() if number % 2 else TagSpan(), FACTS, number, working=False, broken=False)
    assert watch.faults == {}


def test_a_range_is_that_of_the_role_in_its_unit() -> None:
    assert facts("t", "temperature", "°C", "float64", 60, 1).high == 1600
    assert facts("t", "temperature", "K", "float64", 60, 1).low == 213
    assert facts("t", "temperature", "furlong", "float64", 60, 1).high == float("inf")


@given(st.integers(0, 2**32), st.integers(100, 400))
def test_a_healthy_sensor_never_has_a_fault(seed: int, windows: int) -> None:
    rng = random.Random(seed)
    watch = watched(rng)
    for number in range(windows):
        broken = rng.random() < 0.02
        assert watch.take(good(rng), FACTS, number, working=rng.random() < 0.8, broken=broken)
    assert watch.faults == {}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*CASES.values(), flat(3.0), TagSpan(2.0, 1.0, 3.0, 1.0, 60)]), st.booleans()
        ),
        max_size=80,
    )
)
def test_every_fault_ends_after_enough_good_windows_and_the_state_survives_storage(
    rows: list[tuple[TagSpan, bool]],
) -> None:
    rng = random.Random(2)
    watch = watched(rng)
    for number, (span, working) in enumerate(rows):
        watch.take(span, FACTS, number, working=working, broken=False)
        watch = msgspec.msgpack.decode(msgspec.msgpack.encode(watch), type=SensorWatch)
    for number in range(10):
        watch.take(good(rng), FACTS, 1000 + number, working=True, broken=False)
    assert watch.faults == {}
    assert watch.shown == {}


def test_a_clock_that_is_ahead_or_behind_is_off_until_it_is_right() -> None:
    for skew in (60_000_000, -2 * HOUR):
        clock = ClockWatch()
        now = 10 * HOUR
        used = [clock.take(now + n + skew, now + n, 5_000_000, HOUR) for n in range(SKEWED_SAMPLES)]
        assert used == [False] * SKEWED_SAMPLES
        assert clock.since == now + SKEWED_SAMPLES - 1
        assert clock.worst == skew
        for n in range(SKEWED_SAMPLES):
            assert clock.since
            assert clock.take(now + 1000 + n, now + 1000 + n, 5_000_000, HOUR)
        assert clock.since == 0


@given(st.lists(st.integers(-3 * HOUR, 3 * HOUR), max_size=200))
def test_a_sample_from_the_future_is_never_used(skews: list[int]) -> None:
    clock = ClockWatch()
    for number, skew in enumerate(skews):
        now = 10 * HOUR + number
        assert clock.take(now + skew, now, 5_000_000, HOUR) == (-HOUR <= skew <= 5_000_000)


def test_what_is_told_now_and_then_has_a_gap_only_when_it_is_silent_much_longer_than_usual() -> None:
    event = TagFacts("drive.rms", "vibration", "m/s²", hold=0)
    rng = random.Random(6)
    watch = SensorWatch()
    for number in range(80):
        watch.take(good(rng) if number % 8 == 0 else TagSpan(), event, number, working=True, broken=False)
        watch.learn()
    for number in range(80, 90):
        assert watch.take(TagSpan(), event, number, working=True, broken=False)
    for number in range(90, 110):
        watch.take(TagSpan(), event, number, working=True, broken=False)
    assert list(watch.faults) == [Fault.GAP]
    watch.take(good(rng), event, 111, working=True, broken=False)
    assert watch.faults == {}
