"""From an array at a machine to a picture in the browser, through real processes, outages included."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.opcua.simulator import OpcuaServer
from drivers.profile.files import LIBRARY, load_profile
from drivers.virtual.spindle import Spindle, block, raw
from protocols.values import Quality
from tests.system.plant import Machine, Plant, plant
from tests.system.processes import quiet_port, until

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto"), pytest.mark.timeout(300)]

WAVEFORMS = "/maintenance/waveforms"
PATH = "laser-1/drive"


class Laser(OpcuaServer):
    """The demo's laser with an accelerometer at a drive whose bearing wears as the test says."""

    def __init__(self) -> None:
        super().__init__(load_profile(LIBRARY / "virtual/laser.yaml"), port=quiet_port())
        self.wear = 0.0
        self._rng = np.random.default_rng(5)
        self.update({"state": 3, "program": "P-7"})

    async def turn(self) -> None:
        """A new block every half second, for ever."""
        while True:
            self.set_block(
                "drive", raw(block(Spindle(), self.wear, 2048, 6400.0, self._rng), "int16", 0.002, 0)
            )
            await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def turning(folder: Path) -> AsyncIterator[tuple[Plant, Laser]]:
    laser = Laser()
    machine = Machine("laser-1", "virtual/laser", laser.url, {"security": "none"})
    async with laser, plant(folder, {"north": [machine]}, profiles=LIBRARY) as there:
        task = asyncio.create_task(laser.turn())
        try:
            await there.start()
            yield there, laser
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def numbers(there: Plant) -> dict[str, Any]:
    """The newest numbers of the waveform, by name."""
    tags = await there.get("/tags", device="laser-1")
    return {tag["path"].removeprefix(f"{PATH}."): tag for tag in tags if tag["path"].startswith(f"{PATH}.")}


async def answered(there: Plant, question: str) -> dict[str, Any]:
    """A question once it is answered."""
    found: dict[str, Any] = {}

    async def is_answered() -> bool:
        there.check()
        found.update(await there.get(f"{WAVEFORMS}/questions/{question}"))
        return found["state"] not in ("asked", "arriving")

    await until(is_answered, "the edge answers", 60, 0.1)
    return found


async def ask(there: Plant, ts: int) -> dict[str, Any]:
    response = await there.api("POST", f"{WAVEFORMS}/questions", json={"path": PATH, "start": ts, "end": ts})
    assert response.status_code == 202, response.text
    made: dict[str, Any] = response.json()
    return made


async def shown(there: Plant, ts: int) -> dict[str, Any]:
    """The block of a time."""
    response = await there.api("GET", f"{WAVEFORMS}/blocks/{ts}", params={"path": PATH})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_worn_bearing_shows_and_its_block_is_fetched_after_outages_too(tmp_path: Path) -> None:
    async with turning(tmp_path) as (there, laser):
        new = await _settled_numbers(there, 0)
        assert all(tag["role"] == "vibration" and tag["quality"] == Quality.GOOD for tag in new.values())
        laser.wear = 0.7
        worn = await _settled_numbers(there, max(tag["ts"] for tag in new.values()) + 3_000_000)
        assert worn["kurtosis"]["value"] > 1.5 * new["kurtosis"]["value"]
        assert worn["envelope_bpfo"]["value"] > 5 * new["envelope_bpfo"]["value"]
        assert worn["shaft"]["value"] == pytest.approx(1.2, rel=0.2)
        ts = worn["rms"]["ts"]
        listed = await there.get(WAVEFORMS, device="laser-1")
        assert [(each["path"], each["edge"]) for each in listed["waveforms"]] == [(PATH, "north")]
        question = await answered(there, (await ask(there, ts))["id"])
        assert question["state"] == "here", question
        found = await shown(there, ts)
        samples = np.array(found["samples"])
        assert (len(samples), found["regime"], found["unit"]) == (2048, "running P-7", "m/s²")
        assert np.sqrt(((samples - samples.mean()) ** 2).mean()) == pytest.approx(
            worn["rms"]["value"], rel=1e-9
        )
        picture = await there.api("GET", f"{WAVEFORMS}/blocks/{ts}/picture", params={"path": PATH})
        assert picture.text.startswith("<svg ")
        health = await there.edge_health("north")
        assert health is not None and health["waveforms"]["kept"] >= 2 and not health["waveforms"]["problem"]
        await _asked_while_the_edge_is_away(there, ts)
        await _a_killed_cloud_forgets_no_question(there)
        gone = await answered(there, (await ask(there, 1_000_000))["id"])
        assert gone["state"] == "none" and "overwritten: the edge keeps blocks" in gone["why"]


async def _settled_numbers(there: Plant, after: int) -> dict[str, Any]:
    """The numbers of a block that was taken after a time (µs UTC)."""
    found: dict[str, Any] = {}

    async def is_there() -> bool:
        there.check()
        found.clear()
        found.update(await numbers(there))
        return bool(found) and all(tag["ts"] is not None and tag["ts"] > after for tag in found.values())

    await until(is_there, "numbers of a new block", 60, 0.2)
    return found


async def _asked_while_the_edge_is_away(there: Plant, ts: int) -> None:
    """A question waits for its edge, and the ring is still there after a kill."""
    edge = there.edges["north"].process
    await edge.kill()
    question = await ask(there, ts - 2_000_000)
    assert question["state"] == "asked"
    edge.start()
    found = await answered(there, question["id"])
    assert found["state"] == "here", found


async def _a_killed_cloud_forgets_no_question(there: Plant) -> None:
    await until(lambda: _has_rms(there), "numbers after the kill", 60, 0.2)
    ts = (await numbers(there))["rms"]["ts"]
    question = await ask(there, ts)
    await there.cloud.kill()
    there.cloud.start()
    await there.ready()
    found = await answered(there, question["id"])
    assert found["state"] == "here", found
    assert (await shown(there, ts))["path"] == PATH


async def _has_rms(there: Plant) -> bool:
    tag = (await numbers(there)).get("rms")
    return tag is not None and tag["ts"] is not None and tag["value"] is not None
