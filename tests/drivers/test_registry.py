"""Drivers of other packages come through the same door as ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drivers.registry import driver_names, driver_type, driver_types

ROOT = Path(__file__).parents[2]

MODULE = """
from drivers.driver import DriverType, Options
from drivers.profile.profile import Profile

ECHO = DriverType(
    name="echo", summary="Says what it hears", schemes=("echo",), example="echo://here", config=Options,
    profile=Profile, factory="elsewhere:Echo", simulator="elsewhere:EchoServer",
)
NOT_ONE = 7
"""


def install(folder: Path, **points: str) -> None:
    """What ``pip`` leaves behind of a package with entry points."""
    (folder / "their_drivers.py").write_text(MODULE)
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("[onelot.drivers]\n" + "\n".join(lines))


def listed(folder: Path) -> dict[str, Any]:
    code = "from edge.commission.main import app; app()"
    result = subprocess.run(
        [sys.executable, "-c", code, "list", "--json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    rows: dict[str, Any] = {row["name"]: row for row in json.loads(result.stdout)["drivers"]}
    return rows


def test_the_built_in_drivers_are_there() -> None:
    assert {"modbus", "opcua"} <= set(driver_names())
    assert driver_types()["modbus"] is driver_type("modbus")
    with pytest.raises(KeyError, match='no driver "profinet"'):
        driver_type("profinet")


def test_an_installed_package_brings_its_driver(tmp_path: Path) -> None:
    install(tmp_path, echo="their_drivers:ECHO")
    assert listed(tmp_path)["echo"]["summary"] == "Says what it hears"


def test_a_broken_package_is_named_and_hides_no_other(tmp_path: Path) -> None:
    install(tmp_path, gone="no_such_module:X", wrong="their_drivers:NOT_ONE", echo="their_drivers:ECHO")
    rows = listed(tmp_path)
    assert "No module named 'no_such_module'" in rows["gone"]["summary"]
    assert "is no DriverType" in rows["wrong"]["summary"]
    assert {"modbus", "opcua", "echo"} <= set(rows)


def test_a_profile_of_a_driver_that_cannot_be_loaded_is_a_mistake_at_its_place(tmp_path: Path) -> None:
    install(tmp_path, gone="no_such_module:X")
    profile = tmp_path / "gone.yaml"
    profile.write_text("vendor: A\nmodel: B\nprotocol: gone\ntags: {}\n")
    result = subprocess.run(
        [sys.executable, "-c", "from edge.commission.main import app; app()", "check", str(profile)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert result.returncode == 1
    assert "gone.yaml:3:11  protocol: the driver gone cannot be loaded" in result.stdout
    assert "Traceback" not in result.stderr
