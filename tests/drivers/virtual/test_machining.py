"""A spindle's bearing: silent, then growing, ended by its own vibration; the same seed is the same life."""

from __future__ import annotations

import random
import statistics

import pytest

from drivers.virtual.machining import CUTS, Bearing, MachiningCentre
from drivers.virtual.physics import Character, State

FOREVER = Character(heat=24, lag=300, repair_seconds=1e12)


def centre(seed: int, program: str = "ST-1", *, others: int = 0) -> MachiningCentre:
    dice = random.Random(f"{seed}:{others}")
    machine = MachiningCentre(FOREVER, dice, bearing=Bearing(life=60), seed=str(seed))
    machine.press("start", program, 600)
    return machine


def run_down(machine: MachiningCentre, step: float = 60) -> list[float]:
    """What it shook at every step, until it fails."""
    felt = []
    while machine.state is not State.FAULT:
        machine.advance(step)
        felt.append(machine.vibration)
        assert len(felt) < 100_000
    return felt


def test_it_shakes_as_new_until_the_pit_opens_and_ends_at_the_limit_of_its_drive() -> None:
    machine = centre(7)
    felt = run_down(machine)
    third = len(felt) // 4
    assert statistics.mean(felt[:third]) == pytest.approx(CUTS["ST"].vibration, rel=0.05)
    assert max(felt[-3:]) == pytest.approx(machine.bearing.trip, rel=0.2)
    assert max(felt[: -len(felt) // 10]) < machine.bearing.trip
    assert (machine.alarm, machine.pitted) == ("E-417 spindle vibration above its limit", True)
    assert machine.press("start") is False


def test_lives_differ_about_their_median_and_the_same_seed_is_the_same_life() -> None:
    lives = []
    for seed in range(60):
        machine = centre(seed)
        run_down(machine)
        lives.append(machine.worked)
    assert 0.85 < statistics.median(lives) / 60 < 1.2
    assert min(lives) < 40 and max(lives) > 90
    again = centre(3, others=9)
    run_down(again)
    # What tools and material make of it differs; the bearing is the same.
    assert again.worked == pytest.approx(lives[3], rel=0.03)


def test_heavy_cuts_end_a_bearing_sooner_and_another_program_has_another_normal() -> None:
    by_program = {}
    for program in ("AL-7", "ST-7", "SS-7", "what"):
        machine = centre(5, program)
        machine.advance(60)
        speed, load = machine.spindle_speed, machine.load
        run_down(machine)
        by_program[program] = (machine.worked, round(speed, -2), round(load, -1))
    assert by_program["AL-7"][0] > by_program["ST-7"][0] > by_program["SS-7"][0]
    assert by_program["AL-7"][1:] == (12000, 30)
    assert by_program["what"][1:] == by_program["ST-7"][1:] == (4200, 60)


def test_a_repair_begins_another_life() -> None:
    machine = centre(11)
    run_down(machine)
    first = machine.worked
    machine.repair()
    assert (machine.state, machine.alarm, machine.wear, machine.worked) == (State.IDLE, "", 0.0, 0.0)
    assert not machine.pitted
    assert machine.press("start", "ST-1", 600)
    machine.advance(60)
    assert machine.vibration < 2
    run_down(machine)
    assert machine.worked != pytest.approx(first, rel=0.01)


def test_standing_still_wears_nothing() -> None:
    machine = centre(2)
    machine.press("stop")
    for _ in range(1000):
        machine.advance(3600)
    assert (machine.worked, machine.wear) == (0.0, 0.0)
    assert machine.temperature == pytest.approx(machine.character.ambient, abs=6)
    assert machine.spindle_speed == 0
