"""A folder larger than one answer, on a server that this project did not write: node-opcua from npm."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.opcua.driver import OPCUA, OpcuaDriver
from drivers.opcua.profile import OpcuaProfile
from protocols.values import DataType
from tests.system.foreign_programs import NODE_OPCUA, node
from tests.system.processes import Process, quiet_port, until

pytestmark = [pytest.mark.system, pytest.mark.needs("npm"), pytest.mark.timeout(600)]

COUNT = 3500
FLAT = "nsu=urn:onelot:bench;s=Flat"
PROFILE = OpcuaProfile.model_validate(
    {
        "vendor": "Foreign",
        "model": "Flat",
        "protocol": "opcua",
        "tags": {"first": {"address": "nsu=urn:onelot:bench;i=1", "type": "float64"}},
    }
)


async def test_every_node_of_a_large_folder_comes_once(tmp_path: Path) -> None:
    port = quiet_port()
    command = node(NODE_OPCUA, "flat.js", str(port), tmp_path, str(COUNT))
    server = Process("flat", command, tmp_path / "flat.log")
    server.start()
    try:

        async def is_ready() -> bool:
            server.check()
            return "ready" in server.tail()

        await until(is_ready, "the server is ready", 60)
        address = f"opc.tcp://127.0.0.1:{port}"
        async with OPCUA.create(address, PROFILE, {"security": "none", "timeout": 20}) as driver:
            assert isinstance(driver, OpcuaDriver)
            pages = [page async for page in driver.browse_pages(FLAT)]
            found = [each for page in pages for each in page]
            assert sorted(each.name for each in found) == sorted(f"Tag{n}" for n in range(COUNT))
            assert {each.type for each in found} == {DataType.FLOAT64}
            assert max(map(len, pages)) <= 1000
            for size in (1, 7):  # many more places to go on from than the server keeps at once
                under_way = driver.browse_pages(FLAT, size)
                for _ in range(20):
                    assert len(await anext(under_way)) == size
                await under_way.aclose()
            assert len(await driver.browse(FLAT)) == COUNT
    finally:
        await server.stop()
