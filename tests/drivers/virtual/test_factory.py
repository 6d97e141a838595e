"""The whole demo factory on its real protocols, read back through the same profiles."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import pytest

from drivers.profile.files import load_profile
from drivers.registry import driver_types
from drivers.virtual.factory import Factory, UnknownMachineError
from drivers.virtual.panel import Panel, Press, serve
from protocols.documents import load
from protocols.site import Site
from protocols.site_graph import SiteGraph
from tests.servers import MosquittoServer

ROOT = Path(__file__).parents[3] / "firmware_configs"
PROFILES = ROOT / "profiles"


def moved(url: str, broker: int) -> str:
    """The address on any free port; a vehicle's on the test's broker."""
    if url.startswith("vda5050:"):
        return url.replace(":1883", f":{broker}")
    return url.rsplit(":", 1)[0] + ":0" + ("?unit=1" if "modbus" in url else "")


def demo_site(broker: int = 1) -> Site:
    """The demo site with every port 0, so that tests do not meet. Without a broker the vehicle waits."""
    site = load(ROOT / "sites/demo/site.yaml", Site)
    edges = [
        edge.model_copy(
            update={
                "devices": tuple(
                    device.model_copy(update={"url": moved(device.url, broker)}) for device in edge.devices
                )
            }
        )
        for edge in site.edges
    ]
    return site.model_copy(update={"edges": tuple(edges)})


async def test_every_device_of_the_demo_site_reads_good_values(mosquitto: MosquittoServer) -> None:
    site = demo_site(mosquitto.port)
    graph = load(ROOT / "sites/demo/graph.yaml", SiteGraph)
    async with Factory(site, PROFILES, speed=60, graph=graph) as factory:
        for device in site.devices().values():
            profile = load_profile(PROFILES / f"{device.profile}.yaml")
            driver = driver_types()[profile.protocol].create(
                factory.server(device.id).url, profile, dict(device.options)
            )
            async with driver:
                readings = await driver.read(list(profile.tags))
            bad = [reading for reading in readings if reading.quality]
            assert not bad, f"{device.id}: {bad}"
            assert len(readings) == len(profile.tags)


async def test_pressing_start_makes_parts_that_the_protocol_shows() -> None:
    async with Factory(demo_site(), PROFILES, speed=60) as factory, serve(factory, port=0) as port:
        panel = Panel("127.0.0.1", port)
        running = asyncio.create_task(factory.run())
        try:
            started = await panel.press(Press("brake-1", "start", "BEND-1", 0.5))
            assert (started.done, started.state) == (True, "running")
            profile = load_profile(PROFILES / "virtual/brake.yaml")
            driver = driver_types()["modbus"].create(factory.server("brake-1").url, profile, {})
            async with driver:
                async with asyncio.timeout(20):
                    while True:
                        state, parts, program = await driver.read(["state", "part_count", "program"])
                        if parts.value and isinstance(parts.value, int) and parts.value >= 2:
                            break
                        await asyncio.sleep(0.1)
            assert (state.value, program.value) == (3, "BEND-1")
            stopped = await panel.press(Press("brake-1", "stop"))
            assert stopped.state == "idle"
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await panel.close()


async def test_the_panel_says_what_is_wrong() -> None:
    async with Factory(demo_site(), PROFILES) as factory, serve(factory, port=0) as port:
        panel = Panel("127.0.0.1", port)
        nobody = await panel.press(Press("lathe-9", "start"))
        assert not nobody.done
        assert 'no machine "lathe-9"' in nobody.why
        assert "laser-1" in nobody.why
        nowhere = await panel.press(Press(pick="laser-1", drop="moon"))
        assert 'no station "moon"' in nowhere.why
        await panel.close()

        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b'{"press": 7}\n')
        assert "not a request" in json.loads(await reader.readline())["why"]
        writer.write(b"x" * 10_000 + b"\n")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


async def test_nobody_at_the_panel_is_an_answer_too() -> None:
    from tests import servers

    panel = Panel("127.0.0.1", servers.free_port())

    answer = await panel.press(Press("laser-1", "start"))

    assert not answer.done
    assert "no factory at 127.0.0.1" in answer.why
    await panel.close()


def test_a_machine_that_does_not_exist_cannot_wear() -> None:
    with pytest.raises(UnknownMachineError, match="lathe-9 cannot wear"):
        Factory(demo_site(), PROFILES, worn={"lathe-9": 1.0})
