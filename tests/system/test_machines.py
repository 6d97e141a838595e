"""Machines that fail, one after the other: each costs its own values and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocols.values import Quality
from tests.system.processes import until
from tests.system.scene import NORTH, SOUTH, Scene, scene

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto"), pytest.mark.timeout(300)]


async def test_an_illegal_address_a_silent_device_and_a_restarted_server(tmp_path: Path) -> None:
    async with scene(tmp_path, 3) as now:
        await now.worked(3)
        await _illegal_address(now)
        await _silent_device(now)
        await _restarted_server(now)
        await now.settle_and_compare()


async def _illegal_address(now: Scene) -> None:
    """The profile names a register that the device refuses: that tag says so, the others go on."""
    now.presses[0].make_illegal("spare")
    spare = await _shows(now, "press-1/spare", lambda tag: tag["quality"] == Quality.BAD)
    assert spare["value"] is None
    health = await _device(now, NORTH, "press-1")
    assert health["connected"]
    assert list(health["problems"]) == ["spare"] and "refuses" in health["problems"]["spare"]
    await _counts_on(now, "press-1/counter", "lathe-1/counter", "press-2/counter")


async def _silent_device(now: Scene) -> None:
    """A device that takes requests and answers none is lost, alone, and found again."""
    press = now.presses[1]
    press.silent = True
    await _until_connected(now, SOUTH, "press-2", False)
    assert "no reply" in (await _device(now, SOUTH, "press-2"))["detail"]
    await _shows(now, "press-2/counter", lambda tag: tag["quality"] == Quality.BAD and tag["value"] is None)
    await _counts_on(now, "press-1/counter", "lathe-1/counter")
    await now.worked(2)  # also at the station whose machine is silent
    press.silent = False
    await _until_connected(now, SOUTH, "press-2", True)
    await _counts_on(now, "press-2/counter")


async def _restarted_server(now: Scene) -> None:
    """An OPC UA server goes away with all its sessions and comes back at the same address."""
    await now.lathe.stop()
    await _until_connected(now, NORTH, "lathe-1", False)
    await _shows(now, "lathe-1/load", lambda tag: tag["quality"] == Quality.BAD)
    await _counts_on(now, "press-1/counter", "press-2/counter")
    await now.lathe.start()
    await _until_connected(now, NORTH, "lathe-1", True)
    await _counts_on(now, "lathe-1/counter")
    await _shows(now, "lathe-1/load", lambda tag: tag["quality"] == Quality.GOOD)


async def _shows(now: Scene, path: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until the API shows a tag as it should be."""

    async def looks() -> dict[str, Any] | None:
        tags: list[dict[str, Any]] = await now.plant.get("/tags", device=path.partition("/")[0])
        return next((tag for tag in tags if tag["path"] == path and condition(tag)), None)

    found = await until(looks, f"{path} is shown as it is")
    assert found is not None
    return found


async def _counts_on(now: Scene, *paths: str) -> None:
    """Wait until the page's value of each counter has risen by three."""
    for path in paths:
        first = await _shows(now, path, lambda tag: tag["quality"] == Quality.GOOD)
        least = first["value"] + 3
        await _shows(now, path, lambda tag, least=least: (tag["value"] or 0) >= least)  # type: ignore[misc]


async def _device(now: Scene, edge: str, device: str) -> dict[str, Any]:
    health = await now.plant.edge_health(edge)
    assert health is not None
    found: dict[str, Any] = next(each for each in health["devices"] if each["id"] == device)
    return found


async def _until_connected(now: Scene, edge: str, device: str, connected: bool) -> None:
    """Wait until the edge, and after it the cloud, knows that a device is there or lost."""

    async def edge_knows() -> bool:
        return bool((await _device(now, edge, device))["connected"]) is connected

    async def cloud_knows() -> bool:
        machines = await now.plant.get("/machines")
        return any(each["id"] == device and each["connected"] is connected for each in machines)

    word = "connected" if connected else "lost"
    await until(edge_knows, f"{edge} knows that {device} is {word}")
    await until(cloud_knows, f"the cloud knows that {device} is {word}")
