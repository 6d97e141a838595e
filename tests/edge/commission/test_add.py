"""``driver add``: files that are right as a whole, or none at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from drivers.modbus_simulator import ModbusServer
from drivers.profile_files import load_profile
from edge.commission.asking import PROFILES
from edge.commission.main import app
from edge.config import load_setup

METER = "modbus://127.0.0.1:1?unit=3"  # nobody listens there: it is added all the same


def add(folder: Path, *more: str, url: str = METER, profile: str = "eastron/sdm630") -> Result:
    arguments = ["add", url, "--profile", profile, "--site", str(folder), *more]
    return CliRunner().invoke(app, arguments)


def test_an_empty_folder_becomes_a_site_that_an_edge_takes(tmp_path: Path) -> None:
    result = add(tmp_path)
    assert result.exit_code == 0, result.output
    assert "answers  not yet: " in result.output
    setup = load_setup(tmp_path / "edge.yaml")
    (machine,) = setup.machines
    assert (machine.device.id, machine.device.url) == ("sdm630-modbus-1", METER)
    assert machine.device.workcells == ("sdm630-modbus-1",)


def test_the_next_machine_extends_what_is_there_and_keeps_comments(tmp_path: Path) -> None:
    add(tmp_path)
    site = tmp_path / "site.yaml"
    site.write_text(site.read_text("utf-8").replace("title: Hall", "title: Hall  # the old one"), "utf-8")
    before = load_setup(tmp_path / "edge.yaml").site
    result = add(tmp_path, "--workcell", "sdm630-modbus-1", url="modbus://127.0.0.1:1?unit=4")
    assert result.exit_code == 0, result.output
    assert "# the old one" in site.read_text("utf-8")
    after = load_setup(tmp_path / "edge.yaml")
    assert [m.device.id for m in after.machines] == ["sdm630-modbus-1", "sdm630-modbus-2"]
    assert after.site.workcells().keys() == before.workcells().keys()
    assert after.site.uuid == before.uuid


def test_an_edited_profile_is_kept_and_said(tmp_path: Path) -> None:
    add(tmp_path)
    profile = tmp_path / "profiles/eastron/sdm630-modbus.yaml"
    profile.write_text(profile.read_text("utf-8") + "# ours\n", "utf-8")
    result = add(tmp_path, url="modbus://127.0.0.1:1?unit=4")
    assert profile.read_text("utf-8").endswith("# ours\n")
    assert "kept" in result.output


@pytest.mark.parametrize(
    ("more", "url", "said"),
    [
        ((), METER, 'is device "sdm630-modbus-1" already'),
        (("--name", "sdm630-modbus-1"), "modbus://127.0.0.1:2", "choose another --name"),
        (("--name", "Meter_1"), "modbus://127.0.0.1:2", "write meter-1"),
        (("--option", "timeuot=3"), "modbus://127.0.0.1:2", "timeout"),
        ((), "opc.tcp://127.0.0.1:2", "is not a Modbus address"),
        (("--profile", "eastron/sdm360"), "modbus://127.0.0.1:2", "did you mean eastron/sdm630?"),
    ],
)
def test_what_does_not_fit_writes_nothing(tmp_path: Path, more: tuple[str, ...], url: str, said: str) -> None:
    add(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = add(tmp_path, *more, url=url)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_broken_site_is_told_at_its_real_place(tmp_path: Path) -> None:
    add(tmp_path)
    site = tmp_path / "site.yaml"
    site.write_text(site.read_text("utf-8").replace("title: Hall", "titel: Hall"), "utf-8")
    result = add(tmp_path, url="modbus://127.0.0.1:2")
    assert result.exit_code == 1
    assert f"{site}:" in result.output
    assert "did you mean title?" in result.output


def test_a_folder_that_is_kept_otherwise_is_left_to_its_owner(tmp_path: Path) -> None:
    add(tmp_path)
    edge = tmp_path / "edge.yaml"
    edge.write_text(edge.read_text("utf-8").replace("site: site.yaml", "site: ../other/site.yaml"), "utf-8")
    result = add(tmp_path, url="modbus://127.0.0.1:2")
    assert result.exit_code == 1
    assert "by hand" in result.output


async def test_a_machine_that_says_what_it_is_needs_no_profile(tmp_path: Path) -> None:
    profile = load_profile(PROFILES / "sunspec/inverter-three-phase.yaml")
    async with ModbusServer(profile) as server:
        result = await asyncio.to_thread(
            CliRunner().invoke, app, ["add", server.url, "--site", str(tmp_path), "--name", "pv-1"]
        )
    assert result.exit_code == 0, result.output
    (machine,) = load_setup(tmp_path / "edge.yaml").machines
    assert machine.profile.vendor == profile.vendor
    assert machine.profile.model == profile.model


async def test_a_machine_nobody_recognises_names_the_ways_to_a_profile(tmp_path: Path) -> None:
    async with ModbusServer(load_profile(PROFILES / "example/press.yaml")) as server:
        result = await asyncio.to_thread(
            CliRunner().invoke, app, ["add", server.url, "--site", str(tmp_path)]
        )
    assert result.exit_code == 1
    assert "onelot driver probe" in result.output
    assert not (tmp_path / "site.yaml").exists()
