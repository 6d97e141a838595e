"""The virtual machines: same seed same story; work makes parts and wear, wear shows before it fails."""

from __future__ import annotations

import random

import pytest

from drivers.virtual.physics import Character, Machine, State, Vehicle

STEP = 0.2


def machine(speed: float = 60.0, wear_hours: float = 1.0, micro_stops: float = 0.0) -> Machine:
    character = Character(wear_hours=wear_hours, repair_seconds=600, micro_stops_per_hour=micro_stops)
    return Machine(character, random.Random(4), speed)


def after(subject: Machine, seconds: float) -> Machine:
    for _ in range(round(seconds / STEP)):
        subject.advance(STEP)
    return subject


def test_an_idle_machine_makes_and_wears_nothing() -> None:
    idle = after(machine(), 30)

    assert (idle.parts, idle.wear, idle.state) == (0, 0.0, State.IDLE)
    assert idle.vibration < 0.2


def test_a_running_machine_makes_a_part_every_cycle() -> None:
    running = machine(wear_hours=1000)
    assert running.press("start", "P-7", seconds_per_piece=2.0)

    after(running, 20.4)

    assert running.parts == 10
    assert running.program == "P-7"
    assert running.energy > 0


def test_speed_divides_wear_and_repair() -> None:
    worn = machine(speed=60, wear_hours=1)  # one hour of work is one minute at speed 60
    worn.press("start")
    after(worn, 59)
    assert worn.state is State.RUNNING
    after(worn, 2)
    assert worn.state.name == "FAULT"
    assert worn.alarm.startswith("E-231")
    assert not worn.press("start")

    after(worn, 10.5)  # 600 s of repair at speed 60

    assert (worn.state, worn.wear, worn.alarm) == (State.IDLE, 0.0, "")


def test_vibration_rises_before_the_failure() -> None:
    worn = machine(speed=60, wear_hours=1)
    worn.press("start")
    new = after(worn, 5).vibration
    late = after(worn, 50).vibration

    assert worn.state is State.RUNNING
    assert late > 3 * new


def test_a_micro_stop_ends_by_itself_and_work_goes_on() -> None:
    stopping = machine(wear_hours=1000, micro_stops=30)
    stopping.press("start")
    seen = set()
    for _ in range(5_000):
        stopping.advance(STEP)
        seen.add(stopping.state)

    assert seen == {State.RUNNING, State.STOPPED}


def test_the_same_seed_tells_the_same_story() -> None:
    stories = []
    for _ in range(2):
        subject = machine(micro_stops=5)
        subject.press("start")
        stories.append([(after(subject, 1).vibration, subject.state) for _ in range(60)])

    assert stories[0] == stories[1]


@pytest.mark.parametrize("button", ["", "reset", "START"])
def test_an_unknown_button_does_nothing(button: str) -> None:
    assert not machine().press(button)


def test_a_vehicle_carries_and_charges() -> None:
    vehicle = Vehicle(stations=9, rng=random.Random(1), speed=60, battery=50.0)
    vehicle.send(2, 5)
    visited = set()
    for _ in range(200):
        vehicle.advance(STEP)
        visited.add(vehicle.station)

    assert {2, 3, 4, 5} <= visited
    assert (vehicle.station, vehicle.mission, vehicle.driving) == (5, 2, False)
    assert vehicle.charging or vehicle.battery >= 95
