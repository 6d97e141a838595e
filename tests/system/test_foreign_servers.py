"""Machines whose servers this project did not write: node-opcua from npm, and libmodbus from Debian.

Their values go all the way: server, driver, outbox, broker, ledger, and out of the API again.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers import require
from tests.system.accounts import Accounts
from tests.system.foreign_programs import FOREIGN, NODE_OPCUA, node
from tests.system.plant import Machine, Plant, plant
from tests.system.processes import Process, quiet_port, until

MILL = {
    "state": 3,
    "temperature": 61.5,
    "override": 75.0,
    "running": True,
    "program": "BRACKET-7",
    "parts": 4711,
}
KILN = {
    "state": 3,
    "temperature": 1180.25,
    "temperature_swapped": 1180.25,
    "total": 100_000,
    "recipe": "GLAZE-12",
    "draught": -12.5,
    "fan": True,
    "door": True,
}

pytestmark = [
    pytest.mark.system,
    pytest.mark.needs("npm", "cc", "libmodbus", "mosquitto"),
    pytest.mark.timeout(600),  # the first time npm fetches node-opcua
]


def compiled(folder: Path) -> Path:
    """The kiln, compiled."""
    program = folder / "kiln"
    command = [require("cc"), "-Wall", "-Werror", "-o", str(program), str(FOREIGN / "kiln.c"), "-lmodbus"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return program


async def test_an_edge_reads_servers_that_are_not_ours(tmp_path: Path) -> None:
    mill_port, kiln_port = quiet_port(), quiet_port()
    mill = Process("mill", node(NODE_OPCUA, "mill.js", str(mill_port), tmp_path), tmp_path / "logs/mill.log")
    kiln = Process("kiln", [str(compiled(tmp_path)), str(kiln_port)], tmp_path / "logs/kiln.log")
    machines = [
        Machine("mill-1", "foreign/mill", f"opc.tcp://127.0.0.1:{mill_port}/mill", {"security": "none"}),
        Machine("kiln-1", "foreign/kiln", f"modbus://127.0.0.1:{kiln_port}"),
    ]
    mill.start()
    kiln.start()
    try:
        await _ready(mill)
        await _ready(kiln)
        async with plant(tmp_path, {"workshop": machines}) as site:
            await site.start()
            await _arrives(site, "mill-1", MILL)
            await _arrives(site, "kiln-1", KILN)
            before = {path: len(_counted(site, path)) for path in ("mill-1/counter", "kiln-1/counter")}

            async def both_count() -> bool:
                return all(len(_counted(site, path)) >= count + 10 for path, count in before.items())

            await until(both_count, "both counters go on in the ledger")
            for path in before:
                values = _counted(site, path)
                assert values == sorted(set(values))
    finally:
        await mill.stop()
        await kiln.stop()
    assert mill.orphans() == []


async def _ready(server: Process) -> None:
    async def says_so() -> bool:
        server.check()
        return "ready" in server.tail()

    await until(says_so, f"{server.name} is ready", 60)


async def _arrives(site: Plant, device: str, expected: dict[str, Any]) -> None:
    """Wait until the API shows every value of a device, good."""
    wanted = {name: (value, 0) for name, value in expected.items()}
    found: dict[str, tuple[Any, Any]] = {}

    async def shown() -> bool:
        site.check()
        for tag in await site.get("/tags", device=device):
            name = tag["path"].removeprefix(f"{device}/")
            if name in wanted:
                found[name] = (tag["value"], tag["quality"])
        return found == wanted

    try:
        await until(shown, f"the values of {device} arrive", 60, 0.2)
    except AssertionError:
        assert found == wanted  # says which
        raise


def _counted(site: Plant, path: str) -> list[int]:
    """Values of a counter in the ledger, oldest first."""
    story = Accounts.of(site.ledger).story("workshop", path)
    return [int(str(sample.value)) for _, sample in sorted(story.samples.items()) if sample.quality == 0]
