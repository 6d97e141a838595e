"""The network between edges and cloud at its worst: nothing accepted is lost, and the people work on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.chaos import ChaosProxy, Trouble
from tests.system.plant import quiet_broker
from tests.system.processes import until
from tests.system.scene import NORTH, SOUTH, Scene, scene

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto"), pytest.mark.timeout(300)]


async def test_the_broker_gone_blackholed_and_slow(tmp_path: Path) -> None:
    broker = quiet_broker(tmp_path)
    proxy = ChaosProxy(broker.host, broker.port)
    async with (
        proxy.running(),
        scene(tmp_path, 2, broker=broker, broker_port=proxy.listening) as now,
    ):
        await now.worked(3)
        await _gone(now)
        await _blackholed(now, proxy)
        await _slow(now, proxy)
        accounts = await now.settle_and_compare()
        assert accounts.tombstones() == []


async def _gone(now: Scene) -> None:
    """Nobody listens: edges say so at once, go on, and are live again when it is back."""
    now.plant.broker.kill()
    await _until_link(now, online=False)
    await now.worked(5)
    health = await now.plant.edge_health(NORTH)
    assert health is not None and not health["ok"]
    assert health["actions"]["queued"] >= 5 and health["samples"]["queued"] > 0
    now.plant.broker.start()
    await now.plant.settled()


async def _blackholed(now: Scene, proxy: ChaosProxy) -> None:
    """Every byte disappears and no connection breaks: edges notice by silence alone."""
    proxy.blackhole()
    await _until_link(now, online=False)
    before = proxy.connections
    await now.worked(5)

    async def tries_again() -> bool:
        return proxy.connections >= before + 2

    await until(tries_again, "edges keep trying through a black hole")
    proxy.blackhole(False)
    await now.plant.settled()


async def _slow(now: Scene, proxy: ChaosProxy) -> None:
    """Every packet late and in slices: live values still come, a little later, and in order."""
    proxy.up, proxy.down = Trouble(delay=0.2, slice=400), Trouble(delay=0.2, slice=400)
    ledgered = await _ledgered(now)
    await now.worked(5)

    async def still_coming() -> bool:
        return await _ledgered(now) > ledgered + 20

    await until(still_coming, "samples arrive through a slow network")
    proxy.reset()
    proxy.calm()
    await now.plant.settled()


async def _ledgered(now: Scene) -> int:
    health = await now.plant.cloud_health()
    assert health is not None
    count: int = health["samples"]["ledgered"]
    return count


async def _until_link(now: Scene, *, online: bool) -> None:
    async def both() -> bool:
        found = [await now.plant.edge_health(edge) for edge in (NORTH, SOUTH)]
        return all(health is not None and health["link"]["online"] is online for health in found)

    await until(both, f"both edges see the broker {'up' if online else 'gone'}")
