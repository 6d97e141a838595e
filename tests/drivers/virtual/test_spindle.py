"""The physics behind the demo's accelerometer, held to what an analyst would find in it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pytest

from drivers.driver import Captures
from drivers.profile.files import load_profile
from drivers.registry import driver_type
from drivers.simulate import Script, simulate
from drivers.simulator import Movement
from drivers.virtual.factory import Factory
from drivers.virtual.spindle import Spindle, block, raw
from protocols.waveforms.features import Recipe, features
from tests.drivers.virtual.test_factory import PROFILES, demo_site

RATE, LENGTH = 6400.0, 8192
RECIPE = Recipe(
    RATE, ((0, 200), (200, 1000), (1000, 3200)), (1200, 2400), True, 24.8, {"bpfo": 3.58, "bpfi": 5.42}
)


def found(wear: float, seed: int = 1, **more: Any) -> dict[str, float]:
    samples = block(Spindle(**more), wear, LENGTH, RATE, np.random.default_rng(seed))
    return {name: value for name, value in features(samples, RECIPE).items() if value is not None}


def test_a_new_bearing_shows_its_imbalance_and_nothing_else() -> None:
    new = found(0.0)
    assert new["shaft"] == pytest.approx(1.2, rel=0.05)
    assert new["envelope_bpfo"] < 0.05 and 1.4 < new["kurtosis"] < 3.0


def test_impacts_grow_with_wear_where_the_balls_pass_the_outer_race() -> None:
    stages = [found(wear) for wear in (0.0, 0.3, 0.6, 0.9)]
    for name in ("rms", "peak", "band_3", "envelope", "envelope_bpfo", "kurtosis"):
        values = [stage[name] for stage in stages]
        assert values == sorted(values), name
    worn = stages[-1]
    assert worn["envelope_bpfo"] > 5 * worn["envelope_bpfi"]
    assert worn["shaft"] == pytest.approx(1.2, rel=0.15), "imbalance does not grow with it"


def test_the_balls_slip_but_on_average_they_pass_as_often_as_the_geometry_says() -> None:
    slipping, rigid = found(0.8, slip=0.03), found(0.8, slip=0.0)
    assert 0 < slipping["envelope_bpfo"] < rigid["envelope_bpfo"]


def test_the_same_seed_gives_the_same_block_and_a_standing_shaft_only_hums() -> None:
    def one(**more: bool) -> Any:
        return block(Spindle(), 0.5, 512, RATE, np.random.default_rng(7), **more)

    assert (one() == one()).all()
    assert np.abs(one(turning=False)).max() < 0.2


@pytest.mark.parametrize(("kind", "low", "high"), [("int16", -32768, 32767), ("uint16", 0, 65535)])
def test_what_a_converter_does_not_hold_is_cut_off(kind: str, low: int, high: int) -> None:
    counts = raw(np.array([-1e9, 0.0, 1e9]), kind, 0.5, 0.0)
    assert counts.tolist() == [low, 0, high] and counts.dtype.name == kind


async def test_a_laser_of_the_demo_shows_its_wear_in_its_accelerometer() -> None:
    profile = load_profile(PROFILES / "virtual/laser.yaml")
    async with Factory(demo_site(), PROFILES, speed=60) as factory:
        task = asyncio.create_task(factory.run())
        machine = factory.machine("laser-1")
        machine.press("start", "P-1", 5.0)
        machine.wear = 0.8
        driver = driver_type("opcua").create(factory.server("laser-1").url, profile, {"security": "none"})
        async with driver, asyncio.timeout(20):
            while True:
                captured = await cast("Captures", driver).capture("drive")
                if np.abs(captured.values).max() * 0.002 > 5:
                    break
                await asyncio.sleep(0.2)
        assert captured.values.dtype == np.int16 and len(captured.values) == 2048
        assert captured.source_time is not None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("protocol", ["opcua", "modbus"])
async def test_any_profile_with_a_waveform_can_be_simulated(protocol: str) -> None:
    place = {"opcua": "ns=1;s={}", "modbus": "holding:{}"}[protocol]
    kind = driver_type(protocol)
    profile = kind.profile.model_validate(
        {
            "vendor": "A",
            "model": "B",
            "protocol": protocol,
            "tags": {"load": {"address": place.format(0), "type": "float32"}},
            "waveforms": {
                "wave": {
                    "address": place.format(100),
                    "type": "int32",
                    "scale": 0.001,
                    "waveform": {"rate": 2000, "length": 400, "shaft": 20.0},
                }
            },
        }
    )
    assert Movement(profile).blocks(3)["wave"].tolist() == Movement(profile).blocks(3)["wave"].tolist()
    told: list[Mapping[str, Any]] = []
    options = {"security": "none"} if protocol == "opcua" else {}

    def say(_text: str, said: Mapping[str, Any]) -> None:
        told.append(said)

    task = asyncio.create_task(simulate(profile, "127.0.0.1", 0, 1, Script(), say, step=0.05))
    async with asyncio.timeout(20):
        while not told:  # noqa: ASYNC110 - it says where it serves
            await asyncio.sleep(0.05)
        async with kind.create(told[0]["url"], profile, options) as driver:
            while not (values := (await cast("Captures", driver).capture("wave")).values).any():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert len(values) == 400
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
