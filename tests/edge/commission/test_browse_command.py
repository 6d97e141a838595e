"""``onelot driver browse`` without a screen: nodes and registers as CSV, JSON and a profile."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua import ua

from drivers.modbus.profile import ModbusProfile, Table
from drivers.modbus.simulator import ModbusServer
from drivers.opcua.simulator import OpcuaServer
from drivers.profile.files import load_profile
from tests.drivers.opcua.test_opcua_driver import URI, profile
from tests.edge.commission.background import onelot_driver, serving

MODEL = profile({"count": {"access": "read-write"}, "level": {"type": "float64"}})
METER = ModbusProfile.model_validate(
    {
        "vendor": "Test",
        "model": "Meter",
        "protocol": "modbus",
        "modbus": {"unit": 7},
        "tags": {
            "voltage": {"address": "input:0", "type": "float32"},
            "energy": {"address": "input:6", "type": "uint32", "word_order": "CDAB"},
            "relay": {"address": "coil:3", "type": "bool"},
        },
    }
)
NONE = ("--option", "security=none")


@asynccontextmanager
async def machine(leaves: int = 3) -> AsyncIterator[OpcuaServer]:
    """A machine with two axes that have the same names inside, an array and a structure's children."""
    async with OpcuaServer(MODEL) as server:
        inner = server._server
        assert inner is not None
        number = await inner.get_namespace_index(URI)
        top = await inner.nodes.objects.add_object(ua.NodeId("Mill", number), "Mill")  # type: ignore[arg-type]
        for axis in ("X", "Y"):
            part = await top.add_object(ua.NodeId(f"Mill.{axis}", number), f"Axis {axis}")  # type: ignore[arg-type]
            await part.add_variable(ua.NodeId(f"Mill.{axis}.pos", number), "Position", 1.5)  # type: ignore[arg-type]
            await part.add_reference(top, ua.NodeId(35, 0))  # type: ignore[arg-type]
        loads = await top.add_variable(ua.NodeId("Mill.loads", number), "Loads", [1.0, 2.0, 3.0])  # type: ignore[arg-type]
        assert loads is not None
        await top.add_method(ua.NodeId("Mill.home", number), "Home", lambda _parent: [])  # type: ignore[arg-type]
        many = await top.add_folder(ua.NodeId("Mill.many", number), "Many")  # type: ignore[arg-type]
        for n in range(leaves):
            await many.add_variable(ua.NodeId(f"Mill.many.{n}", number), f"Value {n}", n)  # type: ignore[arg-type]
        yield server


@asynccontextmanager
async def meter() -> AsyncIterator[ModbusServer]:
    """A meter with a hole between its values, and one register more that it refuses."""
    server = ModbusServer(METER, gaps=False)
    server.set("voltage", 230.5)
    server.set("energy", 123_456_789)
    server.illegal.add((Table.INPUT, 7))
    async with server:
        yield server


@pytest.fixture(scope="module")
def mill() -> Iterator[str]:
    with serving(machine) as server:
        yield server.url


@pytest.fixture(scope="module")
def grid() -> Iterator[str]:
    with serving(meter) as server:
        yield server.url


def test_all_nodes_come_as_csv_and_a_loop_ends(mill: str) -> None:
    result = onelot_driver("browse", mill, *NONE, "--csv")
    assert result.exit_code == 0, result.output
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(result.stdout))}
    assert rows["Mill/Axis X/Position"] == {
        "path": "Mill/Axis X/Position",
        "address": f"nsu={URI};s=Mill.X.pos",
        "kind": "variable",
        "type": "float64",
        "access": "read",
        "detail": "",
    }
    assert rows["count"]["access"] == "read-write"
    assert rows["Mill/Loads"]["detail"] == "array"
    assert rows["Mill/Home"]["kind"] == "method"
    assert not any(path.startswith("Server") for path in rows if path != "Server")
    assert "left out: the server's own diagnostics" in result.stderr


def test_under_and_depth_say_where_and_how_deep(mill: str) -> None:
    found = json.loads(
        onelot_driver("browse", mill, *NONE, "--json", "--under", f"nsu={URI};s=Mill", "--depth", "1").stdout
    )
    assert [each["path"] for each in found] == ["Axis X", "Axis Y", "Loads", "Home", "Many"]


def test_a_profile_of_all_variables_is_right_and_read_back(mill: str, tmp_path: Path) -> None:
    file = tmp_path / "mill.yaml"
    under = ("--under", f"nsu={URI};s=Mill")
    result = onelot_driver("browse", mill, *NONE, "--yaml", *under, "--out", str(file))
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    made = load_profile(file)
    assert {"Axis_X/Position", "Axis_Y/Position", "Loads/0", "Loads/2", "Value_2"} <= set(made.tags)
    assert made.tags["Axis_X/Position"].address == "ns=1;s=Mill.X.pos"
    assert made.writes == {}
    assert onelot_driver("check", str(file)).exit_code == 0
    result = onelot_driver("read", mill, "--profile", str(file), *NONE, "--json")
    read = {row["tag"]: row["value"] for row in json.loads(result.stdout)}
    assert (read["Axis_X/Position"], read["Loads/1"], read["Value_2"]) == (1.5, 2.0, 2)


def test_registers_come_in_every_word_order_with_what_is_refused(grid: str) -> None:
    result = onelot_driver("browse", grid, "--csv", "--table", "input", "--count", "10")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["reference"] for row in rows][:2] == ["30001", "30002"]
    assert (rows[0]["raw"], rows[0]["float32 ABCD"]) == ("4366", "230.5")
    assert rows[2]["refused"] == "exception 2: illegal data address"
    assert (rows[6]["raw"] != "", rows[7]["refused"] != "", rows[6]["uint32 CDAB"]) == (True, True, "")


def test_registers_as_a_profile_are_read_back(grid: str, tmp_path: Path) -> None:
    file = tmp_path / "meter.yaml"
    result = onelot_driver("browse", grid, "--yaml", "--from", "input:0", "--count", "7", "--out", str(file))
    assert result.exit_code == 0, result.output
    assert sorted(load_profile(file).tags) == ["input_0", "input_1", "input_6"]
    assert onelot_driver("check", str(file)).exit_code == 0
    read = json.loads(onelot_driver("read", grid, "--profile", str(file), "--json").stdout)
    assert read[0]["value"] == 0x4366


def test_coils_come_one_by_one(grid: str) -> None:
    found = json.loads(onelot_driver("browse", grid, "--json", "--from", "coil:3", "--count", "1").stdout)
    assert found == [{"address": 3, "reference": "00004", "raw": "0", "bool": False, "refused": ""}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["http://x"], '"http://x" cannot be browsed — write modbus://'),
        (["modbus://127.0.0.1:1?unit=1", "--json"], "127.0.0.1:1: connection refused"),
        (["modbus://127.0.0.1:1", "--csv", "--json"], "--csv and --json exclude each other"),
        (["modbus://127.0.0.1:1", "--csv", "--table", "holdng"], "did you mean holding?"),
        (["modbus://127.0.0.1:1", "--csv", "--from", "99999"], "--from: 99999 lies outside 0 to 65535"),
        (["opc.tcp://127.0.0.1:1", "--csv"], 'missing key "security"'),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], said: str) -> None:
    result = onelot_driver("browse", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_an_address_that_is_not_there_is_said(mill: str) -> None:
    result = onelot_driver("browse", mill, *NONE, "--csv", "--under", f"nsu={URI};s=nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "BadNodeIdInvalid" in result.stderr
    result = onelot_driver("browse", mill, *NONE, "--csv", "--under", "nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is not an OPC UA node" in result.stderr


def test_a_file_that_cannot_be_written_is_said(grid: str, tmp_path: Path) -> None:
    result = onelot_driver("browse", grid, "--csv", "--out", str(tmp_path / "no" / "x.csv"))
    assert result.exit_code == 1
    assert "x.csv cannot be written: No such file or directory" in result.stderr
