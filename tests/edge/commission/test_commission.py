"""``onelot driver …`` as it is typed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge.commission.main import app

PROFILES = Path(__file__).parents[2] / "drivers" / "profiles"
MODBUS = str(PROFILES / "contract-modbus.yaml")
OPCUA = str(PROFILES / "contract-opcua.yaml")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@contextmanager
def simulated(profile: str) -> Iterator[str]:
    """``simulate`` in a process of its own; yields the address it prints."""
    code = "from edge.commission.main import app; app()"
    command = [sys.executable, "-u", "-c", code, "simulate", profile]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            found = re.search(r"\S+://\S+", line)
            assert found, line
            yield found.group()
        finally:
            process.terminate()
            process.wait(10)


def test_list_names_drivers_and_profiles() -> None:
    result = run("list")
    assert result.exit_code == 0
    assert "modbus   modbus://10.0.4.7:502?unit=1" in result.output
    assert "virtual/laser" in result.output
    listed = json.loads(run("list", "--json").output)
    assert [d["name"] for d in listed["drivers"]] == ["modbus", "opcua", "vda5050"]
    assert "virtual/laser" in listed["profiles"]


def test_listing_imports_no_protocol_library() -> None:
    code = (
        "import sys; from drivers.registry import driver_types; driver_types(); import edge.commission.main; "
        "print([m for m in ('asyncua', 'paho', 'pymodbus') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert result.stdout.strip() == "[]"


def test_show_says_what_is_required_and_what_is_default() -> None:
    output = run("show", "opcua").output
    assert re.search(r"security +required", output)
    assert re.search(r"timeout +4\.0", output)
    assert json.loads(run("show", "modbus", "--json").output)["options"]["properties"]["timeout"]


def test_show_of_an_unknown_driver_names_the_known_ones() -> None:
    result = run("show", "modbsu")
    assert result.exit_code == 1
    assert 'no driver and no profile "modbsu" — did you mean modbus?' in result.output


def test_check_prints_every_mistake_and_fails(tmp_path: Path) -> None:
    bad = tmp_path / "press.yaml"
    bad.write_text(Path(MODBUS).read_text().replace("order: CDAB", "order: CBAD").replace("scale:", "scael:"))
    result = run("check", str(bad), OPCUA)
    assert result.exit_code == 1
    assert f'{bad}:4:31  modbus.word_order: "CBAD" is not one of ABCD' in result.output
    assert 'unknown key "scael" — did you mean scale?' in result.output
    assert "2 errors, 16 tags checked" in result.output
    found = json.loads(run("check", str(bad), "--json").output)
    assert found["problems"][0] | {"message": ""} == {
        "file": str(bad),
        "line": 4,
        "col": 31,
        "path": "modbus.word_order",
        "message": "",
    }


def test_check_of_a_folder_of_right_profiles_succeeds() -> None:
    result = run("check", str(PROFILES))
    assert (result.exit_code, result.output) == (0, "0 errors, 16 tags checked\n")


def test_check_of_a_missing_file_fails_with_its_name(tmp_path: Path) -> None:
    result = run("check", str(tmp_path / "no.yaml"))
    assert result.exit_code == 1
    assert "no.yaml:1:1  cannot be read: No such file" in result.output


@pytest.mark.parametrize(("profile", "options"), [(MODBUS, []), (OPCUA, ["--option", "security=none"])])
def test_a_simulated_profile_is_read_by_the_same_profile(profile: str, options: list[str]) -> None:
    with simulated(profile) as address:
        result = run("read", address, "--profile", profile, *options)
        assert result.exit_code == 0, result.output
        rows = {line.split()[0]: line for line in result.output.splitlines()}
        assert {name for name in rows if not name.startswith("wave.")} == {
            "count",
            "temperature",
            "ratio",
            "running",
            "program",
            "setpoint",
            "ready",
            "missing",
        }
        read = {
            r["tag"]: r
            for r in json.loads(run("read", address, "--profile", profile, *options, "--json").output)
        }
        assert read["temperature"]["quality"] == "good"
        assert -4000 < read["temperature"]["value"] < 4000


def test_read_says_what_to_do_next_when_it_cannot() -> None:
    refused = run("read", "modbus://127.0.0.1:9", "--profile", MODBUS)
    assert refused.exit_code == 1
    assert "connection refused — check the port" in refused.output
    unsaid = run("read", "opc.tcp://127.0.0.1:9", "--profile", OPCUA)
    assert unsaid.exit_code == 1
    assert 'missing key "security"' in unsaid.output
    wrong = run("read", "http://x", "--profile", MODBUS)
    assert (wrong.exit_code, "write modbus://" in wrong.output) == (1, True)
    unknown = run("read", "modbus://x", "--profile", "virtual/lasre")
    assert "did you mean virtual/laser?" in unknown.output
    option = run("read", "modbus://x", "--profile", MODBUS, "--option", "tiemout=1")
    assert "did you mean timeout?" in option.output


def test_a_wrong_option_is_named_without_a_place_that_is_none() -> None:
    result = run("read", "modbus://127.0.0.1:1", "--profile", MODBUS, "--option", "lost_after=x")
    assert result.exit_code == 1
    assert '--option lost_after: "x" is not a whole number' in result.output
    assert "onelot driver show modbus" in result.output
    assert ":1:1" not in result.output


def test_show_prints_a_profile_to_start_from(tmp_path: Path) -> None:
    copy = tmp_path / "press.yaml"
    copy.write_text(run("show", "example/press").output, "utf-8")
    assert run("check", str(copy)).exit_code == 0


def test_show_lists_every_key_of_a_profile() -> None:
    shown = run("show", "modbus").output
    for key in ("tags.*.word_order", "writes.*.precondition.equals", "states.*.item_state", "modbus.max_gap"):
        assert key in shown
    schema = json.loads(run("show", "opcua", "--json").output)["profile"]
    assert "OpcuaTag" in schema["$defs"]


def test_check_of_a_folder_without_profiles_says_so(tmp_path: Path) -> None:
    result = run("check", str(tmp_path))
    assert result.exit_code == 1
    assert "no file named *.yaml below" in result.output


def test_ctrl_c_ends_a_simulator_as_shells_have_it() -> None:
    code = "from edge.commission.main import app; app()"
    command = [sys.executable, "-u", "-c", code, "simulate", MODBUS, "--json"]
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdout is not None
        assert "serving" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (130, "", "\nstopped\n")


def test_a_port_that_is_taken_is_said_once() -> None:
    with simulated(MODBUS) as address:
        port = address.rpartition(":")[2].partition("?")[0]
        result = run("simulate", MODBUS, "--port", port)
    assert result.exit_code == 1
    assert result.output.count("cannot listen on") == 1
    assert "try another --port" in result.output
