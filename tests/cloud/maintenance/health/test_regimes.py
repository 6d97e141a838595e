"""Operating regimes found in healthy windows, and what is outside of them is unknown."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.maintenance.health.regimes import Point, extended, found


def at(speed: float, program: str = "", mode: str = "processing") -> Point:
    return Point(mode, program, {"speed": speed})


def around(level: float, count: int, rng: random.Random, noise: float = 0.01) -> list[Point]:
    return [at(level * (1 + rng.gauss(0, noise))) for _ in range(count)]


def test_levels_of_a_speed_are_regimes_with_names_people_know() -> None:
    rng = random.Random(1)
    points = [*around(8000, 20, rng), *around(12_000, 20, rng), *around(3000, 20, rng)]
    regimes = found(points, ["speed"])

    assert sorted({regimes.name(p).rsplit(" ", 1)[0] for p in points}) == ["processing · speed"]
    assert len({regimes.name(p) for p in points}) == 3
    assert regimes.name(at(8100)) == regimes.name(points[0])
    assert regimes.name(at(10_000)) == ""
    assert regimes.name(at(20_000)) == ""


def test_one_speed_is_one_regime_and_another_is_unknown() -> None:
    regimes = found(around(8000, 60, random.Random(1)), ["speed"])
    assert regimes.name(at(8050)) == "processing"
    assert regimes.name(at(4000)) == ""
    assert regimes.name(Point("processing", "", {})) == ""


def test_programs_are_regimes_only_where_they_repeat() -> None:
    repeated = [at(1.0, program) for program in "ABAB" * 10]
    assert found(repeated, ["speed"]).name(at(1.0, "A")) == "processing · A"
    assert found(repeated, ["speed"]).name(at(1.0, "C")) == ""
    lots_of_one = [at(1.0, f"order-{number // 10}") for number in range(40)]
    assert found(lots_of_one, ["speed"]).name(at(1.0, "order-99")) == "processing"


def test_where_nothing_is_given_a_load_with_levels_clearly_apart_tells_them() -> None:
    rng = random.Random(3)

    def load(level: float) -> Point:
        return Point("processing", "", {"spindle_load": level + rng.gauss(0, 0.5)})

    apart = found([load(20 if n % 2 else 70) for n in range(60)], [], ["spindle_load"])
    assert len({apart.name(load(level)) for level in (20, 70)}) == 2
    assert apart.name(load(95)) == apart.name(load(70)), "a load that rises with wear stays in its regime"
    one = found([load(40) for _ in range(60)], [], ["spindle_load"])
    assert one.cells == {}


def test_noise_in_even_steps_is_one_level() -> None:
    rng = random.Random(4)
    points = [at(round(rng.gauss(0, 0.0003), 4)) for _ in range(60)]
    assert len(found(points, ["speed"]).cells["speed"]) == 1


def test_what_was_unknown_is_known_once_it_was_learned() -> None:
    rng = random.Random(5)
    regimes = found(around(8000, 60, rng), ["speed"])
    wider = extended(regimes, around(4000, 30, rng, 0.0001))
    assert wider.name(at(4000)) == "processing · speed 4000"
    assert wider.name(at(8000)) == regimes.name(at(8000)) == "processing", "a known regime keeps its name"
    assert wider.name(at(8000)) != wider.name(at(4000))
    assert wider.name(at(6000)) == ""


@pytest.mark.parametrize("seed", range(20))
def test_a_healthy_speed_is_seldom_unknown(seed: int) -> None:
    rng = random.Random(seed)
    regimes = found(around(8000, 60, rng), ["speed"])
    assert all(regimes.name(point) for point in around(8000, 2000, rng))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_the_windows_does_not_matter(values: list[float], rng: random.Random) -> None:
    points = [at(value) for value in values]
    shuffled = points[:]
    rng.shuffle(shuffled)
    assert found(points, ["speed"]) == found(shuffled, ["speed"])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80))
@settings(deadline=None)
def test_cells_do_not_overlap(values: list[float]) -> None:
    cells = found([at(value) for value in values], ["speed"]).cells.get("speed", [])
    for before, after in itertools.pairwise(cells):
        assert before.high <= after.low
    assert all(cell.low <= cell.centre <= cell.high for cell in cells)
