"""Modbus against programs this project did not write: mbpoll reads our simulator, we read libmodbus servers.

Over TCP, and over a serial line made of pseudo-terminals: no real RS-485 yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import WriteFailed
from drivers.modbus.address import Line, Transport
from drivers.modbus.driver import MODBUS
from drivers.modbus.profile import ModbusProfile
from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import load_profile
from protocols.values import Value
from tests.drivers.serial_pair import serial_pair
from tests.servers import require
from tests.system.processes import Process, quiet_port, until

HERE = Path(__file__).parent
FOREIGN = HERE / "foreign"
UNIT = 5
LINES = [Transport.TCP, Transport.RTU]

pytestmark = [pytest.mark.system, pytest.mark.needs("mbpoll", "cc", "libmodbus")]


# --- mbpoll reads the simulator -------------------------------------------------------------------------

ORDERS = {"ABCD": ["-B"], "CDAB": []}
"""The two orders that mbpoll knows."""
TAGS: dict[str, dict[str, Any]] = {
    "speed": {"address": "holding:0", "type": "uint16"},
    "limit": {"address": "holding:2", "type": "int32", "access": "read-write"},
    "power": {"address": "holding:10", "type": "float32"},
    "energy": {"address": "input:20", "type": "int32"},
    "flow": {"address": "input:22", "type": "float32"},
    "relay": {"address": "coil:3", "type": "bool", "access": "read-write"},
    "door": {"address": "discrete:4", "type": "bool"},
}
VALUES = {
    "speed": 1480,
    "limit": -70_000,
    "power": 1180.25,
    "energy": 2_000_000_011,
    "flow": -0.5,
    "relay": True,
    "door": True,
}
ASKED = {
    "speed": ("-t4", 0),
    "limit": ("-t4:int", 2),
    "power": ("-t4:float", 10),
    "energy": ("-t3:int", 20),
    "flow": ("-t3:float", 22),
    "relay": ("-t0", 3),
    "door": ("-t1", 4),
}
"""mbpoll's type of each tag, and its address from 0."""


def model(order: str) -> ModbusProfile:
    return ModbusProfile.model_validate(
        {
            "vendor": "Test",
            "model": "M",
            "protocol": "modbus",
            "modbus": {"unit": UNIT, "word_order": order},
            "tags": TAGS,
            "writes": {"limit": {}, "relay": {}},
        }
    )


@contextlib.asynccontextmanager
async def simulated(transport: Transport, order: str) -> AsyncIterator[tuple[ModbusServer, list[str], str]]:
    """A simulator, the options by which mbpoll finds it, and where."""
    with contextlib.ExitStack() as stack:
        more: dict[str, Any] = {}
        if transport is Transport.RTU:
            ours, theirs = stack.enter_context(serial_pair())
            more = {"path": ours, "line": Line(parity="N")}
        async with ModbusServer(model(order), transport=transport, **more) as server:
            server.update(VALUES)
            if transport is Transport.RTU:
                yield server, ["-m", "rtu", "-b", "19200", "-P", "none"], theirs
            else:
                yield server, ["-m", "tcp", "-p", str(server.port)], "127.0.0.1"


async def mbpoll(options: list[str], *arguments: str) -> str:
    """What mbpoll prints of one poll."""
    command = [require("mbpoll"), *options, "-a", str(UNIT), "-0", "-1", "-q", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, printed.decode()
    return printed.decode()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("transport", LINES)
async def test_mbpoll_reads_what_the_simulator_shows(transport: Transport, order: str) -> None:
    async with simulated(transport, order) as (_, options, where):
        for name, (kind, address) in ASKED.items():
            printed = await mbpoll([*options, *ORDERS[order]], kind, "-r", str(address), where)
            found = re.search(rf"\[{address}\]:\s+(\S+)", printed)
            assert found, printed
            assert float(found[1]) == VALUES[name], name


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("transport", LINES)
async def test_what_mbpoll_writes_the_simulator_has(transport: Transport, order: str) -> None:
    async with simulated(transport, order) as (server, options, where):
        await mbpoll([*options, *ORDERS[order]], "-t4:int", "-r", "2", where, "--", "-123456")
        await mbpoll(options, "-t0", "-r", "3", where, "0")
        assert (server.get("limit"), server.get("relay")) == (-123_456, False)


# --- libmodbus serves, we read --------------------------------------------------------------------------

KILN = {
    "state": 3,
    "temperature": 1180.25,
    "temperature_swapped": 1180.25,
    "recipe": "GLAZE-12",
    "draught": -12.5,
    "fan": True,
    "door": True,
}


def compiled(folder: Path, name: str) -> Path:
    """A server of libmodbus, compiled."""
    program = folder / name
    command = [require("cc"), "-Wall", "-Werror", "-o", str(program), str(FOREIGN / f"{name}.c"), "-lmodbus"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return program


@contextlib.asynccontextmanager
async def kiln(transport: Transport, folder: Path) -> AsyncIterator[str]:
    """A kiln of libmodbus; yields its address."""
    with contextlib.ExitStack() as stack:
        if transport is Transport.RTU:
            ours, theirs = stack.enter_context(serial_pair())
            name, where, address = "kiln_rtu", theirs, f"modbus+rtu://{ours}?unit=7&parity=N"
        else:
            port = str(quiet_port())
            name, where, address = "kiln", port, f"modbus://127.0.0.1:{port}?unit=7"
        process = Process(name, [str(compiled(folder, name)), where], folder / f"{name}.log")
        process.start()

        async def ready() -> bool:
            process.check()
            return "ready" in process.tail()

        try:
            await until(ready, f"{name} is ready")
            yield address
        finally:
            await process.stop()


@pytest.mark.parametrize("transport", LINES)
async def test_a_libmodbus_server_is_read_and_written(transport: Transport, tmp_path: Path) -> None:
    profile = load_profile(HERE / "profiles" / "foreign" / "kiln.yaml")
    async with kiln(transport, tmp_path) as address, MODBUS.create(address, profile, {}) as made:
        assert {r.path: r.value for r in await made.read(list(KILN))} == KILN
        await made.identify()  # one that knows neither 43/14 nor 17 is none the worse for it
        assert {r.path: r.value for r in await made.read(list(KILN))} == KILN


@pytest.mark.parametrize("transport", LINES)
@pytest.mark.parametrize("defaults", [{"single_write": 6, "bit_write": "mask"}, {"single_write": 16}])
async def test_writes_of_every_function_reach_a_libmodbus_server(
    transport: Transport, defaults: dict[str, Any], tmp_path: Path
) -> None:
    how = {"bit_write": "read_modify_write", **defaults}
    written: dict[str, dict[str, Any]] = {
        "word": {"address": "holding:14", "type": "uint16"},
        "bit": {"address": "holding:14", "type": "bool", "bit": 9},
        "wide": {"address": "holding:40", "type": "float64"},
        "text": {"address": "holding:50", "type": "string", "length": 9},
        "coil": {"address": "coil:7", "type": "bool"},
    }
    profile = ModbusProfile.model_validate(
        {
            "vendor": "Foreign",
            "model": "kiln",
            "protocol": "modbus",
            "modbus": how,
            "tags": {name: {**tag, "access": "read-write"} for name, tag in written.items()},
            "writes": {name: {} for name in written},
        }
    )
    async with kiln(transport, tmp_path) as address, MODBUS.create(address, profile, {}) as made:
        values: dict[str, Value] = {"word": 5, "bit": True, "wide": -1e300, "text": "ENAMEL", "coil": True}
        for name, value in values.items():
            assert (await made.write(name, value)).value == value
        assert (await made.read(["word"]))[0].value == 5 | 1 << 9
        await made.write("bit", False)
        assert (await made.read(["word"]))[0].value == 5


async def test_a_libmodbus_server_refuses_what_it_does_not_have(tmp_path: Path) -> None:
    profile = ModbusProfile.model_validate(
        {
            "vendor": "Foreign",
            "model": "kiln",
            "protocol": "modbus",
            "tags": {"beyond": {"address": "holding:64", "type": "uint16", "access": "read-write"}},
            "writes": {"beyond": {}},
        }
    )
    async with kiln(Transport.TCP, tmp_path) as address, MODBUS.create(address, profile, {}) as made:
        with pytest.raises(WriteFailed, match="exception 2: illegal data address"):
            await made.write("beyond", 1)
