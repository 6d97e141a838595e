"""``driver add``: files that are right as a whole, or none at all."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from drivers.modbus.simulator import ModbusServer
from drivers.opcua.simulator import OpcuaServer
from drivers.profile.files import load_profile
from edge.commission.asking import PROFILES
from edge.commission.main import app
from edge.config import load_setup

METER = "modbus://127.0.0.1:1?unit=3"  # nobody listens there: it is added all the same


def add(folder: Path, *more: str, url: str = METER, profile: str = "eastron/sdm630") -> Result:
    arguments = ["add", url, "--profile", profile, "--site", str(folder), *more]
    return CliRunner().invoke(app, arguments)


def add_unknown(folder: Path, url: str, *more: str) -> Result:
    """Without ``--profile``: the machine is asked."""
    return CliRunner().invoke(app, ["add", url, "--site", str(folder), *more])


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_empty_folder_becomes_a_site_that_an_edge_takes(tmp_path: Path) -> None:
    result = add(tmp_path)
    assert result.exit_code == 0, result.output
    assert "answers  not yet: " in result.output
    setup = load_setup(tmp_path / "edge.yaml")
    (machine,) = setup.machines
    assert (machine.device.id, machine.device.url) == ("sdm630-1", METER)
    assert machine.device.workcells == ("sdm630-1",)


def test_the_next_machine_extends_what_is_there_and_keeps_comments(tmp_path: Path) -> None:
    add(tmp_path)
    site = tmp_path / "site.yaml"
    site.write_text(site.read_text("utf-8").replace("title: Hall", "title: Hall  # the old one"), "utf-8")
    before = load_setup(tmp_path / "edge.yaml").site
    result = add(tmp_path, "--workcell", "sdm630-1", url="modbus://127.0.0.1:1?unit=4")
    assert result.exit_code == 0, result.output
    assert "# the old one" in site.read_text("utf-8")
    after = load_setup(tmp_path / "edge.yaml")
    assert [m.device.id for m in after.machines] == ["sdm630-1", "sdm630-2"]
    assert after.site.workcells().keys() == before.workcells().keys()
    assert after.site.uuid == before.uuid


def test_an_edited_profile_is_kept_and_said(tmp_path: Path) -> None:
    add(tmp_path)
    profile = tmp_path / "profiles/eastron/sdm630.yaml"
    profile.write_text(profile.read_text("utf-8") + "# ours\n", "utf-8")
    result = add(tmp_path, url="modbus://127.0.0.1:1?unit=4")
    assert profile.read_text("utf-8").endswith("# ours\n")
    assert "kept" in result.output


@pytest.mark.parametrize(
    ("more", "url", "said"),
    [
        (("--name", "other"), METER, 'is device "sdm630-1" with profile eastron/sdm630 already'),
        (("--profile", "eastron/sdm120"), METER, "change it in site.yaml"),
        (("--name", "sdm630-1"), "modbus://127.0.0.1:2", "choose another --name"),
        (("--name", "Meter_1"), "modbus://127.0.0.1:2", "write meter-1"),
        (("--option", "timeuot=3"), "modbus://127.0.0.1:2", "timeout"),
        (
            (),
            "opc.tcp://127.0.0.1:2",
            "is no address for the profile of Eastron SDM630-Modbus (modbus) — write modbus://",
        ),
        (("--profile", "eastron/sdm360"), "modbus://127.0.0.1:2", "did you mean eastron/sdm630?"),
    ],
)
def test_what_does_not_fit_writes_nothing(tmp_path: Path, more: tuple[str, ...], url: str, said: str) -> None:
    add(tmp_path)
    before = content(tmp_path)
    result = add(tmp_path, *more, url=url)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output
    assert content(tmp_path) == before


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
    (tmp_path / "other").mkdir()
    (tmp_path / "site.yaml").rename(tmp_path / "other/site.yaml")
    edge.write_text(edge.read_text("utf-8").replace("site: site.yaml", "site: other/site.yaml"), "utf-8")
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
    assert machine.device.profile == "sunspec/inverter-three-phase"
    assert "sunspec/inverter-three-phase fits: 5 of 5 checks read as expected" in result.output


async def test_a_machine_nobody_recognises_names_the_ways_to_a_profile(tmp_path: Path) -> None:
    async with ModbusServer(load_profile(PROFILES / "example/press.yaml")) as server:
        result = await asyncio.to_thread(
            CliRunner().invoke, app, ["add", server.url, "--site", str(tmp_path)]
        )
    assert result.exit_code == 1
    assert "no profile here recognises it" in result.output
    for way in ("driver add", "driver list", "driver probe", "driver browse", "driver import csv FILE"):
        assert f"onelot {way}" in result.output
    assert content(tmp_path) == {}


def test_the_same_machine_again_changes_nothing(tmp_path: Path) -> None:
    add(tmp_path)
    before = content(tmp_path)
    result = add(tmp_path)
    assert result.exit_code == 0, result.output
    assert "wrote    nothing: it is there already" in result.output
    assert content(tmp_path) == before


def test_one_machine_is_known_by_whatever_way_its_address_is_written(tmp_path: Path) -> None:
    add(tmp_path, url="modbus://127.0.0.1:502?unit=1")
    result = add(tmp_path, url="modbus://127.0.0.1")
    assert "nothing: it is there already" in result.output
    assert len(load_setup(tmp_path / "edge.yaml").machines) == 1


def test_options_are_numbers_where_they_are_numbers(tmp_path: Path) -> None:
    add(tmp_path, "--option", "timeout=1.5")
    (machine,) = load_setup(tmp_path / "edge.yaml").machines
    assert machine.device.options == {"timeout": 1.5}


def test_files_that_edge_yaml_names_are_found_where_they_are(tmp_path: Path) -> None:
    add(tmp_path)
    (tmp_path / "broker.pw").write_text("secret", "utf-8")
    edge = tmp_path / "edge.yaml"
    named = "port: 1883\n  username: hall\n  password_file: broker.pw\n"
    edge.write_text(edge.read_text("utf-8").replace("port: 1883\n", named), "utf-8")
    before = edge.read_bytes()
    result = add(tmp_path, url="modbus://127.0.0.1:1?unit=4")
    assert result.exit_code == 0, result.output
    assert edge.read_bytes() == before
    assert len(load_setup(edge).machines) == 2


def test_a_profile_of_the_site_is_used_where_it_is(tmp_path: Path) -> None:
    own = tmp_path / "profiles/ours/press.yaml"
    own.parent.mkdir(parents=True)
    tags = "tags: {count: {address: 'holding:0', type: uint16}}"
    own.write_text(f"vendor: 冲压\nmodel: 一号\nprotocol: modbus\n{tags}\n", "utf-8")
    for profile in (str(own), "ours/press"):
        result = add(tmp_path, profile=profile)
        assert result.exit_code == 0, result.output
    (machine,) = load_setup(tmp_path / "edge.yaml").machines
    assert (machine.device.profile, machine.device.id) == ("ours/press", "machine-1")
    assert [path.name for path in tmp_path.rglob("*.yaml") if "profiles" in path.parts] == ["press.yaml"]


def test_when_one_file_cannot_be_written_all_are_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path)
    before = content(tmp_path)
    replace = os.replace

    def full_disk(source: Path, target: Path) -> None:
        if target.name == "site.yaml":
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full_disk)
    result = add(tmp_path, url="modbus://127.0.0.1:2", profile="eastron/sdm120")
    assert result.exit_code == 1
    assert "site.yaml: No space left on device — nothing was written" in result.output
    assert content(tmp_path) == before


async def test_a_server_that_offers_plain_text_is_not_logged_in_to_unasked(tmp_path: Path) -> None:
    async with OpcuaServer(load_profile(PROFILES / "virtual/laser.yaml")) as server:
        result = await asyncio.to_thread(add_unknown, tmp_path, server.url)
    assert result.exit_code == 1
    assert "security=none" in result.output
    assert content(tmp_path) == {}
